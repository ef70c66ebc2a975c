"""``fetch-token``: the Go sample server of Agora's documentation, on port 8082.

``POST /fetch_rtc_token`` is what most clients in the world ask; it is kept short: one pass of
msgspec over the body where that is as usual, `go_json` where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...rules import U32_MAX
from ...services import Role, Rtm
from ..desk import Desk, Order, RtcOrder
from ..faults import BadRequest, title
from ..routing import ANY, NO_STORE, Answer, Headers, Request, Route
from ..settings import Settings
from .originals import (
    EVERYONE,
    NOSNIFF,
    TEXT,
    Origins,
    Shape,
    WrongType,
    allowed_headers,
    encode,
    go_json,
    is_uid,
    more_headers,
    status,
    words,
)

METHODS = (b"access-control-allow-methods", b"POST, OPTIONS")
ALL_HEADERS = (b"access-control-allow-headers", b"*")
JSON = (b"content-type", b"application/json")
# The original's two handlers do not agree on a space.
PREFLIGHTS = {
    "/fetch_rtc_token": (b"content-type", b"application/json; charset=UTF-8"),
    "/fetch_rtm_token": (b"content-type", b"application/json;charset=UTF-8"),
}

# 006's roles; attendee (0, and none) and admin (101) publish, as the sample says itself.
ROLES: Mapping[int | None, Role] = {
    None: Role.PUBLISHER,
    0: Role.PUBLISHER,
    1: Role.PUBLISHER,
    2: Role.SUBSCRIBER,
    101: Role.PUBLISHER,
}
_RTC = Shape(
    "main", "rtc_int_token_struct", {"uid": "uid", "ChannelName": "string", "role": "uint32"}
)
_RTM = Shape("main", "rtm_token_struct", {"uid": "string"})


class _Usual(msgspec.Struct, forbid_unknown_fields=True):
    """The body as nearly everyone writes it."""

    uid: int | str
    channelName: str = ""
    ChannelName: str = ""
    role: int | None = None


_usual = msgspec.json.Decoder(_Usual).decode


def _asked(body: bytes) -> tuple[int, str, int | None]:
    """The uid, the channel name and the role that a body asks for."""
    try:
        found = _usual(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _asked_carefully(body)
    uid = found.uid
    # As many quotes as these names and texts need: no name came twice.
    quotes = 6 if found.role is None else 8
    if isinstance(uid, str):
        quotes += 2
        uid = int(uid) if is_uid(uid) and len(uid) <= 10 else -1
    if body.count(b'"') != quotes or not 0 <= uid <= U32_MAX:
        return _asked_carefully(body)
    return uid, found.channelName or found.ChannelName, found.role


def _asked_carefully(body: bytes) -> tuple[int, str, int | None]:
    """The same, for a body in any letter case, or one that is wrong."""
    try:
        found = go_json(body, _RTC)
    except WrongType as error:
        field = f"{error.value}{error.field}{error.struct}"
        raise BadRequest(f"Bad request. Wrong type provided for field {field}") from None
    except BadRequest:
        raise BadRequest("Bad request.") from None
    return found.get("uid", 0), found.get("ChannelName", ""), found.get("role")


def routes(settings: Settings) -> list[Route]:
    """The routes of this family."""
    origins = Origins(settings)
    version, expire = settings.tokens.version, settings.tokens.expire
    always: Headers = (JSON, NO_STORE, METHODS, ALL_HEADERS)
    everyone: Headers = (*always, *EVERYONE)
    for_all = origins.all

    def headers(request: Request) -> Headers:
        return (*always, *origins.header(request))

    async def rtc(request: Request, desk: Desk) -> Answer:
        uid, channel_name, number = _asked(request.body)
        role = ROLES.get(number)
        if role is None:
            _asked_carefully(request.body)  # which may find that it is not even a uint32
            raise BadRequest("Bad request. role: must be 0, 1, 2 or 101")
        order = RtcOrder(channel_name, uid, role, expire, expire, version)
        token = desk.mint(request.caller, order).token
        page = everyone if for_all else headers(request)
        return Answer(200, f'{{"code":"200","token":"{token}"}}'.encode(), page)

    async def rtc_by_get(request: Request, desk: Desk) -> Answer:
        # The documentation's older web client sends its JSON with GET. The server never took
        # that; a GET without a body gets what it always got.
        return await rtc(request, desk) if request.body else await unsupported(request, desk)

    async def rtm(request: Request, desk: Desk) -> Answer:
        try:
            user_id = go_json(request.body, _RTM).get("uid", "")
        except WrongType:
            raise BadRequest("Bad request. Please check your params.") from None
        except BadRequest:
            raise BadRequest("Bad request.") from None
        order = Order((Rtm(user_id, {Rtm.Privilege.LOGIN: expire}),), expire, version)
        token = desk.mint(request.caller, order).token
        return Answer(200, f'{{"code":"200","token":"{token}"}}'.encode(), headers(request))

    async def preflight(request: Request, desk: Desk) -> Answer:
        allow = allowed_headers(request, "*")
        kind = PREFLIGHTS[request.path]
        return Answer(200, b"", (kind, METHODS, allow, *origins.header(request)))

    async def unsupported(request: Request, desk: Desk) -> Answer:
        page = (TEXT, NOSNIFF, METHODS, ALL_HEADERS, *origins.header(request))
        return Answer(404, b"Unsupported method. Please check.\n", page)

    def fail(error: Exception, request: Request) -> Answer:
        code, text = status(error), words(error)
        if not text.startswith("Bad request."):
            text = f"{'Bad request' if code == 400 else title(code)}. {text}"
        page = (*headers(request), *more_headers(error))
        return Answer(code, encode({"code": str(code), "token": text}), page)

    found = []
    for path, mint in (("/fetch_rtc_token", rtc), ("/fetch_rtm_token", rtm)):
        found += [
            Route("POST", path, mint, fail, cors=False),
            Route("OPTIONS", path, preflight, fail, public=True, cors=False),
            Route(ANY, path, unsupported, fail, public=True, cors=False),
        ]
    return [
        *found,
        Route("GET", "/fetch_rtc_token", rtc_by_get, fail, cors=False),
        Route("HEAD", "/fetch_rtc_token", unsupported, fail, public=True, cors=False),
    ]
