"""Which web pages may read an answer (CORS)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ..errors import FieldError

if TYPE_CHECKING:
    from .app import Answer, Request

ANY = "*"
_ORIGIN = re.compile(r"https?://[^\s/?#@*,]+")


class Cors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``cors`` of the settings.

    ``origins`` are exact, as ``"https://app.example.com"``; ``"*"`` alone is any page. With
    ``credentials`` pages may send cookies and client certificates along. ``max_age``: seconds for
    which a browser may remember that it may ask.
    """

    origins: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 600

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""
        for origin in self.origins:
            if origin == ANY:
                if self.credentials:
                    raise FieldError("cors.origins", "must not be * with credentials")
                if len(self.origins) > 1:
                    raise FieldError("cors.origins", "must be * alone, or exact")
            elif not _ORIGIN.fullmatch(origin):
                rule = "must be exact, as in https://app.example.com, without a path"
                raise FieldError("cors.origins", rule)
        if not 0 <= self.max_age <= 86_400:
            raise FieldError("cors.max_age", "must be in 0..86400 seconds")


class CorsHeaders:
    """CORS at work, for the routes that don't answer for themselves. ``dev`` allows any page."""

    def __init__(self, settings: Cors, dev: bool) -> None:
        origins = settings.origins or ((ANY,) if dev else ())
        self._any = ANY in origins
        self._origins = frozenset(origin.encode() for origin in origins)
        self._max_age = settings.max_age
        self._more = (
            ((b"access-control-allow-credentials", b"true"),) if settings.credentials else ()
        )

    def _allowed(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that let the page of a request read the answer; none if it may not."""
        origin = request.headers.get(b"origin")
        if origin is None:
            return ()
        if self._any:
            return ((b"access-control-allow-origin", b"*"),)
        if origin in self._origins:
            return ((b"access-control-allow-origin", origin), *self._more)
        return ()

    def preflight(self, request: Request, methods: tuple[str, ...]) -> Answer | None:
        """The answer to an OPTIONS request for a path with these methods; None if it is none.
        `headers` are still to be added to it, as to every answer."""
        from .app import Answer

        if b"access-control-request-method" not in request.headers:
            return None
        if not self._allowed(request):
            return Answer(204, b"", ())
        headers = (
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", b"authorization, content-type, x-api-key"),
            (b"access-control-max-age", b"%d" % self._max_age),
        )
        return Answer(204, b"", headers)

    def headers(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """What to add to an answer."""
        # An answer differs by origin unless all are alike: caches must know.
        vary = () if self._any else ((b"vary", b"origin"),)
        return (*self._allowed(request), *vary)
