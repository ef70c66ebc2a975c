"""Who asks: API keys and JWTs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .app import Request


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``auth`` of the settings."""

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""

    def files(self) -> Iterator[Path]:
        """The files that keys are read from."""
        yield from ()


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a name for logs and limits, the claims that the policy goes by, an address."""

    name: str
    claims: Mapping[str, Any]
    address: str


class Authenticator:
    """Finds the caller of a request."""

    def __init__(self, settings: Auth, dev: bool) -> None:
        self._dev = dev

    async def caller(self, request: Request) -> Caller:
        """The caller. `Unauthorized` if it can't be told."""
        return Caller("dev", {}, request.address)
