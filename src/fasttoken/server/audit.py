"""What was handed out: one JSON line each, never with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .auth import Caller
    from .desk import AnyOrder, Minted


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``audit`` of the settings."""

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""


class AuditLog:
    """The audit log at work."""

    def __init__(self, settings: Audit) -> None:
        pass

    def minted(self, caller: Caller, order: AnyOrder, minted: Minted) -> None:
        """A token was minted."""

    def refused(self, caller: Caller | None, order: AnyOrder | None, error: Exception) -> None:
        """A request was refused: the caller, the order, or neither was good."""

    def event(self, name: str, **details: object) -> None:
        """Something happened to the server: settings were read again, for one."""

    def close(self) -> None:
        """Writes what is left."""
