"""``demo-server``: the demonstration server beside Agora's Node.js builders (DemoServer.js)."""

from __future__ import annotations

from ...services import Role, Rtm
from ..desk import Desk, Order, RtcOrder
from ..faults import BadRequest
from ..routing import NO_STORE, Answer, Request, Route
from ..settings import Settings
from .originals import (
    JSON_UTF8,
    Origins,
    allowed_headers,
    encode,
    express_nowhere,
    more_headers,
    query,
    status,
    user,
    words,
)

METHODS = (b"access-control-allow-methods", b"GET, HEAD, OPTIONS")


def routes(settings: Settings) -> list[Route]:
    """The routes of this family."""
    origins = Origins(settings)
    version, expire = settings.tokens.version, settings.tokens.expire

    async def rtc(request: Request, desk: Desk) -> Answer:
        asked = query(request)
        channel_name, uid = asked.get("channelName", ""), asked.get("uid", "")
        if not channel_name:
            raise BadRequest("channel name is required")
        if not uid:
            # The original minted for any user.
            raise BadRequest("uid is required")
        order = RtcOrder(channel_name, user(uid), Role.PUBLISHER, expire, expire, version)
        return answer(request, desk.mint(request.caller, order).token)

    async def rtm(request: Request, desk: Desk) -> Answer:
        account = query(request).get("account", "")
        if not account:
            raise BadRequest("account is required")
        order = Order((Rtm(account, {Rtm.Privilege.LOGIN: expire}),), expire, version)
        return answer(request, desk.mint(request.caller, order).token)

    def answer(request: Request, token: str) -> Answer:
        headers = (JSON_UTF8, NO_STORE, *origins.header(request))
        return Answer(200, encode({"key": token}), headers)

    async def preflight(request: Request, desk: Desk) -> Answer:
        allow = allowed_headers(request, "*")
        return Answer(204, b"", (METHODS, allow, *origins.header(request)))

    def fail(error: Exception, request: Request) -> Answer:
        headers = (JSON_UTF8, NO_STORE, *origins.header(request), *more_headers(error))
        return Answer(status(error), encode({"error": words(error)}), headers)

    found = []
    for path, mint in (("/rtcToken", rtc), ("/rtmToken", rtm)):
        found += [
            Route("GET", path, mint, fail, cors=False),
            Route("OPTIONS", path, preflight, fail, public=True, cors=False),
            express_nowhere(path),
        ]
    return found
