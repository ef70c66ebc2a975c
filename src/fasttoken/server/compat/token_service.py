"""``token-service``: AgoraIO-Community/agora-token-service (Go, Gin)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from ...rules import identifier
from ...services import Chat, Role, Rtc, Rtm, Service
from ..desk import Desk, Order, RtcOrder
from ..faults import BadRequest, Forbidden, NotFound
from ..routing import Answer, Headers, Request, Route
from ..settings import Settings
from .originals import (
    JSON_UTF8,
    NO_CACHE,
    NOSNIFF,
    PLAIN,
    TEXT,
    Origins,
    Shape,
    allowed_headers,
    encode,
    go_json,
    more_headers,
    nothing_here,
    parse_uint,
    query,
    shown,
    status,
    user,
    words,
)

METHODS = (b"access-control-allow-methods", b"GET, POST, OPTIONS")
HEADERS = "Origin, Content-Type"
ALWAYS: Headers = (*NO_CACHE, METHODS, (b"access-control-allow-headers", HEADERS.encode()))
_BODY = Shape(
    "service",
    "TokenRequest",
    {"tokenType": "string", "channel": "string", "role": "string", "uid": "string"}
    | {"expire": "int"},
)


class BadParameter(BadRequest):
    """A parameter that can't be read: the original tells of it in other words than of a token
    that can't be built."""


class OriginRefused(Forbidden):
    """The page that asks is of an origin which the settings don't list."""


def _expiry(request: Request, desk: Desk) -> int:
    text = query(request).get("expiry")
    if text is None:
        return desk.defaults.expire
    try:
        return parse_uint(text)
    except BadRequest as error:
        raise BadParameter(
            f"failed to parse expireTime: {shown(text)}, causing error: {error.detail}"
        ) from None


def _role(text: str) -> Role:
    """A role: whatever does not say publisher subscribes."""
    return Role.PUBLISHER if text == "publisher" else Role.SUBSCRIBER


def _rtc(request: Request, expire: int) -> RtcOrder:
    """The RTC token that a path asks for."""
    path = request.path_params
    kind, text = path["type"], path["uid"]
    uid: int | str = text
    if kind == "uid":
        try:
            uid = parse_uint(text)
        except BadRequest as error:
            raise BadRequest(
                f"failed to parse uidStr: {shown(text)}, to uint causing error: {error.detail}"
            ) from None
    elif kind != "userAccount":
        raise BadRequest(f"failed to generate RTC token for Unknown Tokentype: {shown(kind)}")
    return RtcOrder(path["channel"], uid, _role(path["role"]), expire, expire)


def _rtm(user_id: str, expire: int, stream_channel: str = "") -> Order:
    """An RTM token; with a stream channel also to join that and publish data."""
    services: tuple[Service, ...] = (Rtm(user_id, {Rtm.Privilege.LOGIN: expire}),)
    if stream_channel:
        join_and_publish = (Rtc.Privilege.JOIN_CHANNEL, Rtc.Privilege.PUBLISH_DATA)
        stream = Rtc(stream_channel, user_id, dict.fromkeys(join_and_publish, expire))
        services = (stream, *services)
    return Order(services, expire)


def _chat(user_id: str, expire: int) -> Order:
    """A Chat token for a user."""
    identifier("user_id", user_id)
    return Order((Chat(user_id, {Chat.Privilege.USER: expire}),), expire)


def _chat_app(expire: int) -> Order:
    return Order((Chat("", {Chat.Privilege.APP: expire}),), expire)


def _from_body(asked: dict[str, object], expire: int) -> RtcOrder | Order:
    """The token that the body of ``POST /getToken`` asks for."""
    kind, channel, role, uid = (
        str(asked.get(name, "")) for name in ("tokenType", "channel", "role", "uid")
    )
    if kind == "chat":
        return _chat(uid, expire) if uid else _chat_app(expire)
    if kind not in ("rtc", "rtm"):
        raise BadRequest("Unsupported tokenType")
    if kind == "rtc" and not channel:
        raise BadRequest("invalid: missing channel name")
    if not uid:
        raise BadRequest("invalid: missing user ID or account")
    if kind == "rtm":
        return _rtm(uid, expire, channel)
    return RtcOrder(channel, user(uid), _role(role), expire, expire)


def routes(settings: Settings) -> list[Route]:
    """The routes of this family."""
    origins = Origins(settings)

    def headers(request: Request) -> Headers:
        """What the original sends along with every answer: it names the page that asks."""
        origin = request.headers.get(b"origin")
        if origin is None:
            return ALWAYS
        if not origins.allow(request):
            return NO_CACHE
        return (*ALWAYS, (b"access-control-allow-origin", origin), (b"vary", b"origin"))

    def in_json(request: Request, data: dict[str, object], code: int = 200) -> Answer:
        return Answer(code, encode(data), (JSON_UTF8, *headers(request)))

    def checked(
        answer: Callable[[Request, Desk], Awaitable[Answer]],
    ) -> Callable[[Request, Desk], Awaitable[Answer]]:
        async def answered(request: Request, desk: Desk) -> Answer:
            if not origins.allow(request):
                raise OriginRefused("Origin not allowed")
            return await answer(request, desk)

        return answered

    async def rtc(request: Request, desk: Desk) -> Answer:
        order = _rtc(request, _expiry(request, desk))
        return in_json(request, {"rtcToken": desk.mint(request.caller, order).token})

    async def rtm(request: Request, desk: Desk) -> Answer:
        expire, user_id = _expiry(request, desk), request.path_params["uid"]
        if user_id == "0":
            raise BadParameter('invalid RTM User ID: "0"')
        order = _rtm(user_id, expire)
        return in_json(request, {"rtmToken": desk.mint(request.caller, order).token})

    async def rte(request: Request, desk: Desk) -> Answer:
        expire, path = _expiry(request, desk), request.path_params
        user_id = path.get("rtm_user", path["uid"])
        if user_id == "0":
            raise BadParameter('failed to parse rtm user ID. Cannot be empty or "0"')
        of_rtc = desk.mint(request.caller, _rtc(request, expire))
        of_rtm = desk.mint(request.caller, _rtm(user_id, expire, path["channel"]))
        return in_json(request, {"rtcToken": of_rtc.token, "rtmToken": of_rtm.token})

    async def chat(request: Request, desk: Desk) -> Answer:
        kind, user_id = request.path_params.get("type", ""), request.path_params.get("user", "")
        if kind not in ("account", "userAccount", "app"):
            raise BadParameter('token type must be "userAccount" or "app"')
        if kind != "app" and not user_id:
            raise BadParameter("userAccount type requires chat ID")
        if kind == "app" and user_id:
            raise NotFound("404 page not found")
        expire = _expiry(request, desk)
        order = _chat_app(expire) if kind == "app" else _chat(user_id, expire)
        return in_json(request, {"chatToken": desk.mint(request.caller, order).token})

    async def get_token(request: Request, desk: Desk) -> Answer:
        asked = go_json(request.body, _BODY)
        # 0 is as if it were not there.
        order = _from_body(asked, asked.get("expire") or desk.defaults.expire)
        token = desk.mint(request.caller, order).token
        body = b'{"token":"%b"}\n' % token.encode()
        return Answer(200, body, ((b"content-type", b"application/json"), *headers(request)))

    async def ping(request: Request, desk: Desk) -> Answer:
        return in_json(request, {"message": "pong"})

    async def preflight(request: Request, desk: Desk) -> Answer:
        found = dict(headers(request)) | dict([allowed_headers(request, HEADERS)])
        return Answer(204, b"", tuple(found.items()))

    def failing(what: str, start: str) -> Callable[[Exception, Request], Answer]:
        """How the errors of one kind of token look: ``what`` could not be read, or built."""

        def fail(error: Exception, request: Request) -> Answer:
            code, text = status(error), words(error)
            data: dict[str, object] = {"error": text, "status": code}
            if isinstance(error, BadParameter):
                data = {"message": f"Error Generating {what} token: {text}", "status": code}
            elif isinstance(error, OriginRefused):
                data = {"error": text}
            elif code == 400:
                data["error"] = f"Error Generating {start}{text}"
            answer = in_json(request, data, code)
            return replace(answer, headers=answer.headers + more_headers(error))

        return fail

    plain = failing("", "")

    def fail_in_text(error: Exception, request: Request) -> Answer:
        if isinstance(error, OriginRefused):
            return plain(error, request)
        page = (TEXT, NOSNIFF, *headers(request), *more_headers(error))
        return Answer(status(error), words(error).encode() + b"\n", page)

    rtc_path = "{channel}/{role}/{type}/{uid}"
    found = []
    for path, mint, fail in (
        (f"/rtc/{rtc_path}", rtc, failing("RTC", "RTC token - ")),
        ("/rtm/{uid}", rtm, failing("RTM", "RTM token: ")),
        (f"/rte/{rtc_path}", rte, failing("RTC and RTM", "RTC token - ")),
        (f"/rte/{rtc_path}/{{rtm_user}}", rte, failing("RTC and RTM", "RTC token - ")),
        ("/chat/{type}", chat, failing("Chat", "Chat token: ")),
        ("/chat/{type}/{user}", chat, failing("Chat", "Chat token: ")),
    ):
        # The original sends a path without its last slash to the one with it.
        for written in (f"{path}/", path):
            found += [
                Route("GET", written, checked(mint), fail, cors=False),
                Route("OPTIONS", written, checked(preflight), fail, public=True, cors=False),
                nothing_here(written, "404 page not found", (PLAIN, *ALWAYS)),
            ]
    return [
        *found,
        Route("POST", "/getToken", checked(get_token), fail_in_text, cors=False),
        Route("OPTIONS", "/getToken", checked(preflight), plain, public=True, cors=False),
        nothing_here("/getToken", "404 page not found", (PLAIN, *ALWAYS)),
        Route("GET", "/ping", checked(ping), plain, public=True, cors=False),
        Route("OPTIONS", "/ping", checked(preflight), plain, public=True, cors=False),
        nothing_here("/ping", "404 page not found", (PLAIN, *ALWAYS)),
    ]
