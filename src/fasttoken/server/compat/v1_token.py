"""``v1-token``: ``GET /v1/token?channel_name=``, answered with the bare token.

The original took a channel name alone and minted for any user. Here the uid has to be said.
"""

from __future__ import annotations

from ...services import Role
from ..desk import Desk, RtcOrder
from ..faults import BadRequest
from ..routing import NO_STORE, Answer, Request, Route
from ..settings import Settings
from .originals import (
    TEXT,
    Origins,
    allowed_headers,
    more_headers,
    nothing_here,
    query,
    status,
    user,
    words,
)

PATH = "/v1/token"
METHODS = (b"access-control-allow-methods", b"GET, HEAD, OPTIONS")


def routes(settings: Settings) -> list[Route]:
    """The routes of this family."""
    origins = Origins(settings)
    version, expire = settings.tokens.version, settings.tokens.expire

    async def mint(request: Request, desk: Desk) -> Answer:
        asked = query(request)
        channel_name, uid = asked.get("channel_name", ""), asked.get("uid", "")
        for name, value in (("channel_name", channel_name), ("uid", uid)):
            if not value:
                raise BadRequest(f"{name} is required")
        order = RtcOrder(channel_name, user(uid), Role.PUBLISHER, expire, expire, version)
        token = desk.mint(request.caller, order).token
        return Answer(200, token.encode(), (TEXT, NO_STORE, *origins.header(request)))

    async def preflight(request: Request, desk: Desk) -> Answer:
        allow = allowed_headers(request, "*")
        return Answer(204, b"", (METHODS, allow, *origins.header(request)))

    def fail(error: Exception, request: Request) -> Answer:
        headers = (TEXT, NO_STORE, *origins.header(request), *more_headers(error))
        return Answer(status(error), words(error).encode(), headers)

    return [
        Route("GET", PATH, mint, fail, cors=False),
        Route("OPTIONS", PATH, preflight, fail, public=True, cors=False),
        nothing_here(PATH, "404 page not found"),
    ]
