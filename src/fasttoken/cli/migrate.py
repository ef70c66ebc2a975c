"""fasttoken migrate: rewrite calls of AgoraIO's 006 builders (docs/upgrading.md)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..migrate import Migration

SOMETHING_LEFT = 1
USAGE = 2


def migrate(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", exists=True, help="A Python file, or a folder of them."),
    ],
    diff: Annotated[
        bool, typer.Option("--diff", help="Print the changes as a unified diff.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Change the files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Rewrite Python calls of AgoraIO's 006 token builders to 007.

    Only what provably does the same is rewritten; the rest is left alone, and listed by file and
    line with the reason. Without --diff or --write nothing but that summary happens.

    Exit codes: 0 nothing left alone, 1 something left alone, 2 usage.
    """
    if diff and write:
        raise typer.BadParameter("--diff and --write exclude each other")
    try:
        from .. import migrate as mod
    except ModuleNotFoundError as error:
        if error.name != "libcst":
            raise
        typer.echo('migrate needs LibCST: pip install "fasttoken[cli]"', err=True)
        raise typer.Exit(USAGE) from None

    migrations = list(mod.migrate_path(path))
    if write:
        try:
            mod.write(migrations)
        except OSError as error:
            typer.echo(f"nothing more was written: {error}", err=True)
            raise typer.Exit(USAGE) from None
    if as_json:
        typer.echo(json.dumps(report(migrations, write, diff), indent=2, ensure_ascii=False))
    else:
        if diff:
            for migration in migrations:
                _print_diff(migration.diff())
        # The patch stands alone on stdout, for `patch -p1` and the like.
        for line in summary(migrations, write):
            typer.echo(line, err=diff)
    if any(migration.left_alone for migration in migrations):
        raise typer.Exit(SOMETHING_LEFT)


def _print_diff(text: str) -> None:
    colours = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in text.split("\n")[:-1]:
        fg = colours.get(line[:1]) if coloured else None
        typer.echo(typer.style(line, fg=fg) if fg else line)


def report(migrations: list[Migration], written: bool, with_diff: bool) -> dict[str, Any]:
    """The report as JSON-able data: the schema in docs/upgrading.md."""
    files = []
    for migration in migrations:
        entry: dict[str, Any] = {
            "path": str(migration.path),
            "changed": migration.changed,
            "rewritten": [row._asdict() for row in migration.rewritten],
            "left_alone": [row._asdict() for row in migration.left_alone],
            "notes": [row._asdict() for row in migration.notes],
        }
        if with_diff:
            entry["diff"] = migration.diff()
        files.append(entry)
    return {"written": written, "files": files, "totals": _totals(migrations)}


def _totals(migrations: list[Migration]) -> dict[str, int]:
    return {
        "changed_files": sum(migration.changed for migration in migrations),
        "rewritten": sum(len(migration.rewritten) for migration in migrations),
        "left_alone": sum(len(migration.left_alone) for migration in migrations),
    }


def summary(migrations: list[Migration], written: bool) -> list[str]:
    """The report as lines of text."""
    lines = []
    for title, kind in (
        ("Rewritten", "rewritten"),
        ("Left alone", "left_alone"),
        ("Note", "notes"),
    ):
        rows = [(m.path, row) for m in migrations for row in getattr(m, kind)]
        if rows:
            lines.append(f"{title}:")
            lines += [f"  {path}:{row.line}: {_sentence(row)}" for path, row in rows]
    totals = _totals(migrations)
    changed, calls, left = totals["changed_files"], totals["rewritten"], totals["left_alone"]
    lines.append(
        f"{calls} {'call' if calls == 1 else 'calls'} in {changed} "
        f"{'file' if changed == 1 else 'files'} {'rewritten' if written else 'to rewrite'}, "
        f"{left} left alone."
    )
    if changed and not written:
        lines.append("Nothing was written: --diff shows the changes, --write makes them.")
    return lines


def _sentence(row: Any) -> str:
    if hasattr(row, "builder"):
        return f"{row.builder} -> Project.{row.method}"
    return f"[{row.code}] {row.reason}" if hasattr(row, "code") else str(row.text)
