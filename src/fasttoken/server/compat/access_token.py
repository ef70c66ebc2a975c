"""``access-token``: Agora's sample server in Node.js (TokenServer-nodejs)."""

from __future__ import annotations

from time import time

from ...services import Role
from ..desk import Desk, RtcOrder
from ..faults import BadRequest
from ..routing import Answer, Request, Route
from ..settings import Settings
from .originals import (
    JSON_UTF8,
    NO_CACHE,
    Origins,
    allowed_headers,
    encode,
    express_nowhere,
    more_headers,
    query,
    seconds_until,
    status,
    user,
    words,
)

PATH = "/access_token"
METHODS = (b"access-control-allow-methods", b"GET, HEAD, OPTIONS")


def routes(settings: Settings) -> list[Route]:
    """The routes of this family."""
    origins = Origins(settings)

    async def mint(request: Request, desk: Desk) -> Answer:
        asked = query(request)
        channel_name, uid, expired_ts = (
            asked.get(name, "") for name in ("channel", "uid", "expiredTs")
        )
        if not channel_name:
            raise BadRequest("channel name is required")
        if not uid:
            # The original minted for any user.
            raise BadRequest("uid is required")
        if expired_ts in ("", "0"):
            expire = desk.defaults.expire
        else:
            expire = seconds_until("expiredTs", expired_ts, int(time()))
        # The original grants to join, and no more.
        order = RtcOrder(
            channel_name, user(uid), Role.SUBSCRIBER, expire, expire, desk.defaults.version
        )
        token = desk.mint(request.caller, order).token
        headers = (JSON_UTF8, *NO_CACHE, *origins.header(request))
        return Answer(200, encode({"token": token}), headers)

    async def preflight(request: Request, desk: Desk) -> Answer:
        allow = allowed_headers(request, "*")
        return Answer(204, b"", (METHODS, allow, *origins.header(request)))

    def fail(error: Exception, request: Request) -> Answer:
        # The original has 500 for whatever a request lacks.
        code = 500 if status(error) == 400 else status(error)
        headers = (JSON_UTF8, *NO_CACHE, *origins.header(request), *more_headers(error))
        return Answer(code, encode({"error": words(error)}), headers)

    return [
        Route("GET", PATH, mint, fail, cors=False),
        Route("OPTIONS", PATH, preflight, fail, public=True, cors=False),
        express_nowhere(PATH),
    ]
