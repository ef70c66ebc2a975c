"""``fasttoken explain``: a verdict as a report that people can read."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from ..facts import Facts, facts
from ..verify import Verdict, unverified
from . import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNBROKEN = ("code", "privilege", "ends in local time", "in UTC")
PIPED_WIDTH = 120  # columns where there is no terminal to ask


def explain(
    token: console.Token = None,
    channel: console.Channel = None,
    uid: console.Uid = None,
    account: console.Account = None,
    privilege: console.Privilege = None,
    now: console.Now = None,
    leeway: console.Leeway = 0,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """Explain a token: what it says, when it lives, what is wrong with it and how to mend that.

    Without App ID and certificate, everything but the signature is explained. Exits as verify does.
    """
    text = console.token(token)
    at = console.moment("--now", now)
    user = console.user(uid, account)
    project = console.project_if_any(env_file)
    check = unverified if project is None else project.verify
    verdict = check(
        text, channel_name=channel, uid=user, privilege=privilege, now=at, leeway=leeway
    )
    if json:
        console.in_json(verdict.to_data())
    else:
        _report(verdict, at)
    raise typer.Exit(console.exit_code(verdict))


def _report(verdict: Verdict, now: int) -> None:
    from rich.console import Console

    fixed = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    out = Console(width=PIPED_WIDTH if fixed else None, highlight=False, soft_wrap=False)
    plural = "" if len(verdict.errors) == 1 else "s"
    found = "accepted" if verdict.ok else f"rejected, {len(verdict.errors)} reason{plural}"
    out.print(f"Verdict: {found}", style="bold green" if verdict.ok else "bold red", markup=False)
    if verdict.parsed is not None:
        told = facts(verdict.claims)
        _head(out, verdict, told)
        _timeline(out, told, now)
        _services(out, told, now)
    _reasons(out, verdict)


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in UNBROKEN)
    return table


def _add(table: Table, *cells: str, style: str = "") -> None:
    """Adds a row as plain text: a token's own text is no markup, and drives no terminal."""
    from rich.text import Text

    plain = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in cell) for cell in cells)
    table.add_row(*map(Text, plain), style=style)


def _head(out: Console, verdict: Verdict, told: Facts) -> None:
    table = _table("Token", "", "")
    table.show_header = False
    _add(table, "format", str(verdict.format))
    _add(table, "App ID", told.app_id)
    if verdict.verified:
        _add(table, "made with", f"the {verdict.certificate} certificate", style="green")
    else:
        _add(table, "made with", "UNVERIFIED: anybody could have written this", style="yellow")
    out.print(table)


def _timeline(out: Console, told: Facts, now: int) -> None:
    moments = [("now", now, "bold")]
    if told.issued_at is not None:
        moments.append(("issued", told.issued_at, ""))
    if told.ends_at is not None:
        moments.append(("token ends", told.ends_at, "red" if told.ends_at <= now else "green"))
    table = _table("Timeline", "", "local time", "UTC", "seen from now")
    for name, when, style in sorted(moments, key=lambda moment: moment[1]):
        seen = "" if name == "now" else console.from_now(when, now)
        _add(table, name, console.local(when), console.utc(when), seen, style=style)
    if told.ends_at is None:
        _add(table, "token ends", "never", "never", "")
    out.print(table)


def _services(out: Console, told: Facts, now: int) -> None:
    columns = ("service", "for", "privilege", "ends in local time", "in UTC", "seen from now")
    table = _table("Services and privileges", *columns)
    for grant in told.grants:
        where = [] if grant.channel_name is None else [f"channel {grant.channel_name!r}"]
        who = [] if grant.user is None else [f"{grant.user_field} {grant.user!r}"]
        aim = ", ".join(where + who) or "not in the token"
        rows = grant.privileges or (None,)
        for number, granted in enumerate(rows):
            first = (grant.service, aim) if number == 0 else ("", "")
            if granted is None:
                _add(table, *first, "none", "", "", "")
            elif granted.ends_at is None:
                _add(table, *first, granted.name, "never", "never", "")
            else:
                ends = granted.ends_at
                times = console.local(ends), console.utc(ends), console.from_now(ends, now)
                _add(table, *first, granted.name, *times, style="red" if ends <= now else "")
    out.print(table)


def _reasons(out: Console, verdict: Verdict) -> None:
    if not verdict.reasons:
        out.print("Nothing is wrong with it.", style="green")
        return
    table = _table("Reasons", "code", "client error", "what is the matter", "mend")
    for reason in verdict.reasons:
        style = "red" if reason.severity == "error" else "yellow"
        shown = str(reason.client_error or "") if reason.severity == "error" else "(warning)"
        _add(table, reason.code, shown, reason.sentence, reason.mend, style=style)
    out.print(table)
