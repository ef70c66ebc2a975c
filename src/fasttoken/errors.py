"""The exceptions and the warning of fasttoken.

    FastTokenError
    ├── FieldError       (ValueError)    a value breaks a rule of its field
    ├── RowsError        (ValueError)    rows of a batch break rules; lists every one
    ├── MalformedToken   (ValueError)    a token that can't be read
    ├── RejectedToken    (ValueError)    a token that Agora would reject; holds the verdict
    ├── JobError                         a bulk job did not come to its end
    │   ├── JobRefused                   it never began: what it was given does not fit together
    │   ├── JobFailed                    it broke off; most often it can be resumed
    │   │   └── RowRejected              a bad row, where none was allowed
    │   └── JobStopped                   it was asked to stop, and can be resumed
    └── CoreError        (ImportError)   the core asked for does not exist here

    TokenWarning         (UserWarning)   the token is valid, and probably not what you want

No message ever holds a certificate or a whole token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .verify import Verdict


class FastTokenError(Exception):
    """The root of every error that fasttoken raises on purpose."""


class FieldError(FastTokenError, ValueError):
    """A value breaks a rule of its field.

    Attributes: ``field`` (the name of the field), ``rule`` (what it must be) and
    ``mend`` (what to do about it where the mistake is a classic one, else ``""``).
    """

    def __init__(self, field: str, rule: str, mend: str = "") -> None:
        super().__init__(field, rule, mend)
        self.field = field
        self.rule = rule
        self.mend = mend

    @property
    def reason(self) -> str:
        """The rule and, in brackets, the mend."""
        return f"{self.rule} ({self.mend})" if self.mend else self.rule

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


@dataclass(frozen=True)
class BadRow:
    """One row of a batch that can't be minted: its index, the field, why."""

    index: int
    field: str
    reason: str


class RowsError(FastTokenError, ValueError):
    """Rows of a batch break rules. ``rows`` lists every bad row, by ascending index."""

    SHOWN = 5

    def __init__(self, rows: Sequence[BadRow]) -> None:
        super().__init__(tuple(rows))
        self.rows = tuple(rows)

    def __str__(self) -> str:
        shown = "; ".join(
            f"row {row.index}: {row.field}: {row.reason}" for row in self.rows[: self.SHOWN]
        )
        rest = len(self.rows) - self.SHOWN
        return f"{len(self.rows)} bad rows: {shown}" + (f"; and {rest} more" if rest > 0 else "")


class MalformedToken(FastTokenError, ValueError):
    """A token can't be read.

    Attributes: ``stage``, where reading stopped (``"prefix"``, ``"base64"``, ``"zlib"`` or
    ``"field"``), and ``rule``, what was expected there.
    """

    def __init__(self, stage: str, rule: str) -> None:
        super().__init__(stage, rule)
        self.stage = stage
        self.rule = rule

    def __str__(self) -> str:
        return f"malformed token ({self.stage}): {self.rule}"


class RejectedToken(FastTokenError, ValueError):
    """A token that Agora would reject. ``verdict`` says why, and what can be done about it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        return "; ".join(f"{reason.code}: {reason.sentence}" for reason in self.verdict.errors)


class JobError(FastTokenError):
    """A bulk job did not come to its end. See docs/bulk.md."""


class JobRefused(JobError):
    """A bulk job never began: what it was given does not fit together. Nothing was written."""


class JobFailed(JobError):
    """A bulk job broke off: a damaged input, a full disk, a folder that was deleted."""


class RowRejected(JobFailed):
    """A bulk job that was to have no bad rows came upon one."""


class JobStopped(JobError):
    """A bulk job was asked to stop, and did so where it can be resumed."""


class CoreError(FastTokenError, ImportError):
    """``FASTTOKEN_IMPL`` or ``FASTTOKEN_CPU`` asks for something that is not there."""


class TokenWarning(UserWarning):
    """The token is valid, and probably not what its maker wants."""
