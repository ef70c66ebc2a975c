"""``fasttoken backend``: which core runs."""

from __future__ import annotations

from .._core import backend as core
from . import console


def backend(json: console.Json = False) -> None:
    """Show which core runs, on which CPU path, and why."""
    found = core()
    data = found._asdict()
    if json:
        console.in_json(data)
        return
    for name, value in data.items():
        text = ", ".join(value) or "none" if isinstance(value, tuple) else value or "none"
        console.line(f"{name:<14} {text}")
