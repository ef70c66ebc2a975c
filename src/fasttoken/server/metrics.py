"""How often, and how fast: counters in Prometheus' text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .desk import AnyOrder


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``metrics`` of the settings."""

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""


class Meter:
    """The metrics at work."""

    def __init__(self, settings: Metrics) -> None:
        pass

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A route answered; its pattern, not its path."""

    def minted(self, order: AnyOrder) -> None:
        """A token was minted."""

    def reloaded(self, well: bool) -> None:
        """The settings were read again, and taken or not."""

    def page(self) -> tuple[bytes, bytes]:
        """The content type and the text of ``GET /metrics``, over all workers."""
        return b"text/plain; version=0.0.4; charset=utf-8", b""
