"""Which web pages may read an answer (CORS)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ..errors import FieldError
from .faults import Forbidden

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


def _is_local(origin: bytes) -> bool:
    scheme, _, netloc = origin.partition(b"://")
    return scheme in (b"http", b"https") and netloc != b"" and is_near(netloc)


def is_near(netloc: bytes) -> bool:
    """Whether a Host, or an origin without its scheme, is this machine's, or no name at all that
    a stranger could have given an address."""
    if netloc.startswith(b"["):
        return netloc[1:].partition(b"]")[0] == b"::1"
    name = netloc.partition(b":")[0].lower()
    return b"." not in name or name == b"127.0.0.1"


class CorsHeaders:
    """CORS at work, for the routes that don't answer for themselves. With ``dev``, pages of this
    machine may ask as well, and no others may: everyone is let in there, so that any page that
    the developer looks at could fetch tokens."""

    def __init__(self, settings: Cors, dev: bool) -> None:
        origins = settings.origins
        self._dev = dev
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
        if origin in self._origins or (self._dev and _is_local(origin)):
            return ((b"access-control-allow-origin", origin), *self._more)
        return ()

    def check(self, request: Request) -> None:
        """`Forbidden` for a page of elsewhere, with ``dev``; also one whose name leads here."""
        if not self._dev or self._any:
            return
        origin = request.headers.get(b"origin")
        # Where origins are listed, no other page can read an answer.
        if origin is not None and not self._origins and not _is_local(origin):
            raise Forbidden("with dev, pages of this machine may ask, or those in cors.origins")
        if not is_near(request.headers.get(b"host", b"")):
            raise Forbidden("with dev, the server answers to localhost only")

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
