"""What a person sees of a job, on standard error: the plan, the progress, the summary in words."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from ..cli import console
from .job import Progress
from .plan import Plan
from .sources import STANDARD
from .summary import Reason, Summary

SHOWN_REJECTS = 5
EVERY = 5.0  # seconds between lines where no terminal is


def number(count: float) -> str:
    """A count for people."""
    return f"{count:,.0f}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def span(seconds: float) -> str:
    """A time span for people."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"


def rows(count: int) -> str:
    """A number of rows."""
    return "1 row" if count == 1 else f"{count:,} rows"


def say(text: str, colour: str | None = None) -> None:
    """A line on standard error."""
    console.line(text, colour, err=True)


def show_plan(plan: Plan) -> None:
    """Prints a plan."""
    names = [source.name for source in plan.inputs]
    total = sum(source.size or 0 for source in plan.inputs)
    kinds = ", ".join(dict.fromkeys(str(source.format) for source in plan.inputs))
    known = plan.rows is not None
    lines = {
        "input": f"{names[0]}{f' and {len(names) - 1} more files' if len(names) > 1 else ''}"
        f" ({kinds}{f', {size(total)}' if total else ''})",
        "rows": ("" if plan.exact else "about ") + number(plan.rows or 0) if known else "not known",
        "columns": ", ".join(
            field if field == column else f"{field} from {column!r}"
            for field, column in plan.columns.items()
        ),
        "output": f"{'standard output' if plan.output == STANDARD else plan.output}"
        f" ({plan.output_format}{f', about {size(plan.size)}' if plan.size else ''})",
        "issued": console.utc(plan.issued_at),
        "expiring": console.utc(plan.first_expiry)
        if plan.first_expiry == plan.last_expiry
        else f"from {console.utc(plan.first_expiry)} to {console.utc(plan.last_expiry)}",
    }
    if plan.rejected is not None:
        lines["rejected"] = number(plan.rejected)
    width = max(map(len, lines))
    for name, text in lines.items():
        say(f"{name:{width}}  {text}")
    show_rejects(plan.rejects)
    for warning in plan.warnings:
        say(f"warning: {warning}", "yellow")


def show_rejects(rejects: tuple[Reason, ...]) -> None:
    """Prints why rows are rejected."""
    for reason in rejects[:SHOWN_REJECTS]:
        what = f"{reason.field}: {reason.reason}" if reason.field else reason.reason
        say(f"rejected {rows(reason.rows)}: {what}", "yellow")
    if len(rejects) > SHOWN_REJECTS:
        say(f"and for {len(rejects) - SHOWN_REJECTS} other reasons", "yellow")


def show_summary(summary: Summary) -> None:
    """Prints a summary, in words."""
    rate = summary.rows / summary.seconds if summary.seconds else 0
    attempts = f" in {summary.attempts} attempts" if summary.attempts > 1 else ""
    say(
        f"{rows(summary.rows)} read, {number(summary.minted)} tokens minted, "
        f"{number(summary.rejected)} rejected, in {span(summary.seconds)}{attempts} "
        f"({number(rate)} rows per second).",
        "green" if not summary.rejected else "yellow",
    )
    for file in summary.outputs:
        name = "standard output" if file.name == STANDARD else file.name
        bytes_ = "" if file.bytes is None else f", {size(file.bytes)}"
        say(f"{name}: {rows(file.rows or 0)}{bytes_}.")
    show_rejects(summary.rejects)
    for warning in summary.warnings:
        say(f"warning: {warning}", "yellow")


class Spoken(Progress):
    """Progress in words: a bar on a terminal, else a line now and then."""

    def __init__(self, show_rejects: bool) -> None:
        self._left = SHOWN_REJECTS if show_rejects else 0
        self._bar: Any = None
        self._task: Any = None
        self._begun = self._said = monotonic()
        self._first: tuple[int, float] | None = None  # rows and fraction when this run began
        self._total: int | None = None

    def plan(self, plan: Plan) -> None:
        show_plan(plan)
        self._total = plan.rows
        self._begun = self._said = monotonic()
        if sys.stderr.isatty():
            self._start_bar()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._bar.start()

    def resumed(self, rows: int) -> None:
        say(f"going on behind {number(rows)} rows")

    def step(self, rows: int, rejected: int, fraction: float) -> None:
        now = monotonic()
        if self._first is None:
            self._first = (rows, fraction)
            self._begun = now
        text = f"{number(rows)} rows"
        passed = now - self._begun
        if passed > 0:
            text += f", {number((rows - self._first[0]) / passed)} rows per second"
            done = fraction - self._first[1]
            if done > 0:
                text += f", {span(passed * (1 - fraction) / done)} left"
        if rejected:
            text += f", {number(rejected)} rejected"
        if self._bar is not None:
            self._bar.update(self._task, completed=fraction, description=text)
        elif now - self._said >= EVERY:
            self._said = now
            say(f"{fraction:.0%}: {text}" if fraction else text)

    def rejected(self, where: str) -> None:
        if self._left:
            self._left -= 1
            say(f"rejected: {where}", "yellow")

    def end(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def done(self, summary: Summary) -> None:
        self.end()
        show_summary(summary)
