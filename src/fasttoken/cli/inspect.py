"""``fasttoken inspect``: what a token says, unverified."""

from __future__ import annotations

from typing import Any

import typer

from ..claims import to_data
from ..facts import facts
from ..verify import unverified
from . import console

NOTE = "NOTHING WAS VERIFIED: anybody could have written this. To verify: fasttoken verify"


def inspect(token: console.Token = None, json: console.Json = False) -> None:
    """Decode a token of any format. Verifies nothing, and needs no certificate."""
    verdict = unverified(console.token(token), now=0)
    # Without a project and a question, reading is all that says something.
    unread = verdict.reasons[:1] if verdict.parsed is None else ()
    data: dict[str, Any] = {
        "verified": False,
        "format": verdict.format,
        "issued_at": verdict.issued_at,
        "expires_at": None,
        "claims": None,
        "error": None,
    }
    if verdict.parsed is not None:
        data["expires_at"] = facts(verdict.parsed.claims).ends_at
        data["claims"] = to_data(verdict.parsed)
    else:
        data["error"] = verdict.to_data()["reasons"][0]
    if json:
        console.in_json(data)
    elif verdict.parsed is not None:
        console.line(NOTE, "yellow")
        _show(data["claims"], "", data)
    else:
        console.reason_lines(unread)
    if verdict.parsed is None:
        raise typer.Exit(console.MALFORMED)


def _show(value: dict[str, Any], indent: str, times: dict[str, Any]) -> None:
    """Prints claims as a tree; times in UTC beside the numbers."""
    for name, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            for number, each in enumerate(item, 1):
                console.line(f"{indent}{name} {number}")
                _show(each, f"{indent}  ", times)
        elif isinstance(item, dict) and item:
            console.line(f"{indent}{name}")
            _show(item, f"{indent}  ", times)
        else:
            text = "none" if item in (None, {}, []) else str(item)
            console.line(f"{indent}{name:<14} {text}{_time(name, item, times)}")


def _time(name: str, value: Any, times: dict[str, Any]) -> str:
    """What a number means as a time, where it does."""
    if name in ("issue_ts", "ts", "unix_ts", "expired_ts") and value:
        return f"  {console.utc(value)}"
    if name == "expire":
        return f"  {console.utc(times['expires_at'])}"
    return ""
