"""``token-generate``: the token service in Agora's Docker image (Go, Gin)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...rules import identifier
from ...services import Apaas, Chat, Fpa, Role, Rtc, Rtm, Service
from ..desk import Desk, Order
from ..faults import BadRequest
from ..routing import NO_STORE, Answer, Request, Route
from ..settings import Settings
from .originals import (
    JSON_UTF8,
    NOSNIFF,
    PLAIN,
    TEXT,
    Shape,
    encode,
    go_json,
    more_headers,
    nothing_here,
    status,
    user,
    words,
)

PATH = "/token/generate"
SUCCESS, BAD_PARAMETERS, NOT_GENERATED = 0, -1, -2

_PERSON = {"enableUser": "bool", "enableApp": "bool", "userUuid": "string"}
_BODY = Shape(
    "main",
    "Request",
    {
        "channelName": "string",
        "uid": "string",
        "tokenExpireTs": "uint32",
        "privilegeExpireTs": "uint32",
        "serviceRtc": Shape("main", "RequestServiceRtc", {"enable": "bool", "role": "uint16"}),
        "serviceRtm": Shape("main", "RequestServiceRtm", {"enable": "bool"}),
        "serviceFpa": Shape("main", "RequestServiceFpa", {"enable": "bool"}),
        "serviceChat": Shape("main", "RequestServiceChat", _PERSON),
        "serviceEducation": Shape("main", "RequestServiceEducation", _PERSON),
    },
)


class NotGenerated(BadRequest):
    """The body can be read, and no token can be made of it."""


def _services(asked: dict[str, Any], expire: int) -> tuple[Service, ...]:
    """The services that a body asks for, as the original grants them."""
    rtc, rtm, fpa, chat, education = (
        asked.get(f"service{name}", {}) for name in ("Rtc", "Rtm", "Fpa", "Chat", "Education")
    )
    uid, lasts = asked.get("uid", ""), asked.get("privilegeExpireTs", 0)
    found: list[Service] = []
    if rtc.get("enable"):
        publishes = rtc.get("role") == Role.PUBLISHER
        wanted = [p for p in Rtc.Privilege if publishes or p is Rtc.Privilege.JOIN_CHANNEL]
        privileges = dict.fromkeys(wanted, lasts)
        found.append(Rtc(asked.get("channelName", ""), user(uid), privileges))
    if rtm.get("enable"):
        found.append(Rtm(uid, {Rtm.Privilege.LOGIN: expire}))
    if fpa.get("enable"):
        found.append(Fpa({Fpa.Privilege.LOGIN: 0}))
    if chat.get("enableUser"):
        found.append(Chat(_person("serviceChat", chat), {Chat.Privilege.USER: expire}))
    if chat.get("enableApp"):
        found.append(Chat("", {Chat.Privilege.APP: expire}))
    if education.get("enableUser"):
        person = _person("serviceEducation", education)
        found.append(Apaas("", person, -1, {Apaas.Privilege.USER: expire}))
    if education.get("enableApp"):
        found.append(Apaas("", "", -1, {Apaas.Privilege.APP: expire}))
    if not found:
        raise NotGenerated("no service is enabled")
    return tuple(found)


def _person(service: str, asked: dict[str, Any]) -> str:
    """The user of a service, who has to be one: the original took none for any."""
    text: str = asked.get("userUuid", "")
    identifier(f"{service}.userUuid", text)
    return text


def _answer(http: int, code: int, message: str, data: object) -> Answer:
    body = encode({"code": code, "data": data, "message": message})
    if code == BAD_PARAMETERS:
        # Gin has sent the head by then, without the type that follows.
        return Answer(http, body, (TEXT, NOSNIFF, NO_STORE))
    return Answer(http, body, (JSON_UTF8, NO_STORE))


async def _mint(request: Request, desk: Desk) -> Answer:
    asked = go_json(request.body, _BODY)
    # 0 is as if it were not there.
    expire = asked.get("tokenExpireTs") or desk.defaults.expire
    token = desk.mint(request.caller, Order(_services(asked, expire), expire)).token
    return _answer(200, SUCCESS, "Success", {"token": token})


def _fail(error: Exception, request: Request) -> Answer:
    unreadable = isinstance(error, BadRequest) and not isinstance(error, NotGenerated)
    code = BAD_PARAMETERS if unreadable else NOT_GENERATED
    found = _answer(status(error), code, words(error), "")
    return replace(found, headers=found.headers + more_headers(error))


def routes(settings: Settings) -> list[Route]:
    """The routes of this family. The original knows nothing of pages of other origins: these may
    ask as the settings say."""
    return [
        Route("POST", PATH, _mint, _fail),
        nothing_here(PATH, "404 page not found", (PLAIN,), cors=True),
    ]
