"""What a caller may mint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .auth import Caller
    from .desk import AnyOrder


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``policy`` of the settings."""

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""

    def files(self) -> Iterator[Path]:
        """The files that the policy is read from."""
        yield from ()


class Rules:
    """The policy at work."""

    def __init__(self, settings: Policy, dev: bool) -> None:
        pass

    def check(self, caller: Caller, order: AnyOrder) -> None:
        """`Forbidden` unless the caller may have what was ordered."""

    def check_verify(self, caller: Caller) -> None:
        """`Forbidden` unless the caller may ask for verdicts."""
