"""How much, how fast and how often a client may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .app import Request
    from .auth import Caller


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``limits`` of the settings."""

    body_bytes: int = 65_536
    batch_body_bytes: int = 8_388_608
    body_seconds: float = 10.0

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""


class Limiter:
    """The rate limits at work."""

    def __init__(self, settings: Limits) -> None:
        pass

    async def address(self, request: Request) -> None:
        """`TooMany` if the address asks too often. Called before anything else is looked at."""

    async def caller(self, caller: Caller) -> None:
        """`TooMany` if the caller asks too often."""


def http_protocol(settings: Limits) -> Any:
    """What uvicorn speaks HTTP with: a protocol class, or the name of one."""
    return "httptools"
