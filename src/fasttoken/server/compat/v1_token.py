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
    NOSNIFF,
    PLAIN,
    TEXT,
    more_headers,
    nothing_here,
    query,
    status,
    user,
    words,
)

PATH = "/v1/token"


def routes(settings: Settings) -> list[Route]:
    """The routes of this family. Pages of other origins may ask as the settings say."""
    version, expire = settings.tokens.version, settings.tokens.expire

    async def mint(request: Request, desk: Desk) -> Answer:
        asked = query(request)
        channel_name, uid = asked.get("channel_name", ""), asked.get("uid", "")
        for name, value in (("channel_name", channel_name), ("uid", uid)):
            if not value:
                raise BadRequest(f"{name} is required")
        order = RtcOrder(channel_name, user(uid), Role.PUBLISHER, expire, expire, version)
        token = desk.mint(request.caller, order).token
        return Answer(200, token.encode(), (TEXT, NO_STORE))

    def fail(error: Exception, request: Request) -> Answer:
        headers = (TEXT, NO_STORE, NOSNIFF, *more_headers(error))
        return Answer(status(error), words(error).encode(), headers)

    return [
        Route("GET", PATH, mint, fail),
        nothing_here(PATH, "404 page not found", (PLAIN,), cors=True),
    ]
