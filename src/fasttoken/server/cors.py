"""Which web pages may read an answer (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .app import Answer, Request


class Cors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``cors`` of the settings."""

    origins: tuple[str, ...] = ()

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""


class CorsHeaders:
    """CORS at work, for the routes that don't answer for themselves."""

    def __init__(self, settings: Cors, dev: bool) -> None:
        pass

    def preflight(self, request: Request, methods: tuple[str, ...]) -> Answer | None:
        """The answer to an OPTIONS request for a path with these methods; None if it is none."""
        return None

    def headers(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """What to add to an answer."""
        return ()
