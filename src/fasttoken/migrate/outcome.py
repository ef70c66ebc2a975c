"""What became of a file, and of each call in it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Rewritten(NamedTuple):
    """A call that was rewritten: its line, the builder it called, the method it calls now."""

    line: int
    builder: str
    method: str


class LeftAlone(NamedTuple):
    """What was not rewritten: its line, a stable code (docs/upgrading.md) and the reason."""

    line: int
    code: str
    reason: str


class Note(NamedTuple):
    """Something worth a look; nothing had to be left alone for it."""

    line: int
    text: str


@dataclass(frozen=True)
class Migration:
    """One file: its bytes before and after, and what happened to it."""

    path: Path
    before: bytes
    after: bytes
    rewritten: tuple[Rewritten, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff; lines that can't be decoded show as U+FFFD."""
        name = self.path.as_posix().lstrip("/")
        old, new = (_lines(content) for content in (self.before, self.after))
        out = []
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
            out.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
        return "".join(out)


def _lines(content: bytes) -> list[str]:
    # Not splitlines(): a form feed, say, ends no line of a patch.
    *lines, last = content.decode("utf-8", "replace").split("\n")
    return [line + "\n" for line in lines] + ([last] if last else [])


class Left(Exception):
    """A proof that failed: why a call is left alone."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
