"""Agora's sample servers as tables: what they document, and how each takes its parameters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from fasttoken.server.compat import FAMILIES
from fasttoken.services import Apaas, Chat, Fpa, Rtc, Rtm, Service

TOKEN = re.compile(rb"00[67][0-9A-Za-z+/=]{60,}")
HOUR = 3600
JSON = "application/json"
JSON_UTF8 = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
PLAIN = "text/plain"
HTML = "text/html; charset=utf-8"
ALL = ",".join(FAMILIES)

NO_CACHE = {
    "cache-control": "private, no-cache, no-store, must-revalidate",
    "expires": "-1",
    "pragma": "no-cache",
}
SERVICE = {
    **NO_CACHE,
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "Origin, Content-Type",
}
EVERYONE = {"access-control-allow-origin": "*"}
FETCH = {
    **EVERYONE,
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "*",
}


def joins(channel: str, uid: int | str, expire: int = HOUR) -> Rtc:
    """What a subscriber gets."""
    return Rtc(channel, uid, {1: expire})


def publishes(channel: str, uid: int | str, expire: int = HOUR) -> Rtc:
    """What a publisher gets."""
    return Rtc(channel, uid, dict.fromkeys((1, 2, 3, 4), expire))


def rtm(user_id: str, expire: int = HOUR) -> Rtm:
    """What a Signaling user gets."""
    return Rtm(user_id, {1: expire})


@dataclass(frozen=True)
class Exchange:
    """A request, and the answer of the original: the body with ``<token>`` for each token, and
    what is in the tokens."""

    method: str
    path: str
    body: bytes
    kind: str
    send: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    tokens: tuple[tuple[Service, ...], ...] = ()
    expire: int = HOUR

    def __str__(self) -> str:
        sent = self.send.get("json", self.send.get("content", ""))
        return f"{self.method} {self.path} {sent}"


def body(**members: Any) -> dict[str, Any]:
    """A JSON body to send."""
    return {"json": members}


def text(content: str) -> dict[str, Any]:
    """A body to send as it stands."""
    return {"content": content, "headers": {"content-type": "application/json"}}


def fetched(send: dict[str, Any], *services: Service, path: str = "rtc", method: str = "POST"):
    """A token from the Go sample server."""
    return Exchange(
        method,
        f"/fetch_{path}_token",
        b'{"code":"200","token":"<token>"}',
        JSON,
        send,
        FETCH,
        tokens=(services,),
    )


def not_fetched(send: dict[str, Any], told: str, path: str = "rtc", status: int = 400):
    """A refusal of the Go sample server."""
    answer = {"code": str(status), "token": told}
    written = json.dumps(answer, separators=(",", ":")).encode()
    return Exchange("POST", f"/fetch_{path}_token", written, JSON, send, FETCH, status)


def unsupported(method: str, path: str):
    """Another method, at the Go sample server."""
    told = b"" if method == "HEAD" else b"Unsupported method. Please check.\n"
    headers = {**FETCH, "x-content-type-options": "nosniff"}
    return Exchange(method, path, told, TEXT, headers=headers, status=404)


WRONG_TYPE = "Bad request. Wrong type provided for field "
FETCH_TOKEN = [
    # As documented, and in the letter case that the documented clients write.
    fetched(body(uid=1234, ChannelName="ChannelA", role=1), publishes("ChannelA", 1234)),
    fetched(body(uid=123456, channelName="ChannelA", role=1), publishes("ChannelA", 123456)),
    fetched(body(UID=5, CHANNELNAME="c", Role=2), joins("c", 5)),
    fetched(body(uid=4294967295, channelname="c", role=2), joins("c", 4294967295)),
    # The older web client: GET, and the uid as text.
    fetched(body(uid="123456", channelName="channelA"), publishes("channelA", 123456)),
    fetched(
        body(uid="123456", channelName="channelA"), publishes("channelA", 123456), method="GET"
    ),
    # The roles of 006; none counts as 0, as it does in Go.
    fetched(body(uid=1, channelName="c"), publishes("c", 1)),
    fetched(body(uid=1, channelName="c", role=0), publishes("c", 1)),
    fetched(body(uid=1, channelName="c", role=2), joins("c", 1)),
    fetched(body(uid=1, channelName="c", role=101), publishes("c", 1)),
    fetched(body(uid=1, channelName="c", role=None), publishes("c", 1)),
    # The form does not matter to Go.
    fetched(body(uid=1, channelName="c", role=1, more={"uid": [2]}), publishes("c", 1)),
    fetched(text(' \n{"role":1 , "uid":\t7,"channelName":"a b"}\n'), publishes("a b", 7)),
    fetched(text('{"\\u0075id":7,"channelName":"\\u0063"}'), publishes("c", 7)),
    fetched(
        {"content": b'{"uid":7,"channelName":"c"}', "headers": {"content-type": "text/plain"}},
        publishes("c", 7),
    ),
    not_fetched(text(""), "Bad request."),
    not_fetched(text("{"), "Bad request."),
    not_fetched(text("uid=1&channelName=c"), "Bad request."),
    not_fetched(body(uid="alice", channelName="c"), f"{WRONG_TYPE}stringuidrtc_int_token_struct"),
    not_fetched(body(uid=-1, channelName="c"), f"{WRONG_TYPE}number -1uidrtc_int_token_struct"),
    not_fetched(body(uid=1.5, channelName="c"), f"{WRONG_TYPE}number 1.5uidrtc_int_token_struct"),
    not_fetched(
        body(uid=4294967296, channelName="c"),
        f"{WRONG_TYPE}number 4294967296uidrtc_int_token_struct",
    ),
    not_fetched(body(uid=True, channelName="c"), f"{WRONG_TYPE}booluidrtc_int_token_struct"),
    not_fetched(
        body(uid=1, channelName=["c"]), f"{WRONG_TYPE}arrayChannelNamertc_int_token_struct"
    ),
    not_fetched(
        body(uid=1, channelName="c", role="1"), f"{WRONG_TYPE}stringrolertc_int_token_struct"
    ),
    not_fetched(
        body(uid=1, channelName="c", role=-1),
        f"{WRONG_TYPE}number -1rolertc_int_token_struct",
    ),
    not_fetched(body(uid=1, channelName="c", role=3), "Bad request. role: must be 0, 1, 2 or 101"),
    not_fetched(text("[]"), f"{WRONG_TYPE}array"),
    not_fetched(text('"uid"'), f"{WRONG_TYPE}string"),
    fetched(body(uid="user"), rtm("user"), path="rtm"),
    fetched(body(Uid="用户"), rtm("用户"), path="rtm"),
    not_fetched(body(uid=1), "Bad request. Please check your params.", path="rtm"),
    not_fetched(text("{]"), "Bad request.", path="rtm"),
    unsupported("GET", "/fetch_rtc_token"),
    unsupported("HEAD", "/fetch_rtc_token"),
    unsupported("PUT", "/fetch_rtc_token"),
    unsupported("DELETE", "/fetch_rtc_token"),
    unsupported("GET", "/fetch_rtm_token"),
    unsupported("PATCH", "/fetch_rtm_token"),
]


def in_json(method: str, path: str, status: int = 200, kind: str = JSON_UTF8, **more: Any):
    """An exchange whose answer is JSON with ``answer`` in it."""
    answer = more.pop("answer")
    written = json.dumps(answer, separators=(",", ":")).encode()
    return Exchange(method, path, written, kind, status=status, **more)


def accessed(path: str, *services: Service, expire: int = HOUR):
    """A token from the Node.js sample server."""
    return in_json(
        "GET",
        path,
        answer={"token": "<token>"},
        headers=NO_CACHE | EVERYONE,
        tokens=(services,),
        expire=expire,
    )


def not_accessed(path: str, told: str):
    """A refusal of the Node.js sample server."""
    return in_json("GET", path, 500, answer={"error": told}, headers=NO_CACHE | EVERYONE)


ACCESS_TOKEN = [
    accessed("/access_token?channel=test&uid=1234", joins("test", 1234)),
    accessed("/access_token?uid=1234&channel=test&expiredTs=0", joins("test", 1234)),
    accessed("/access_token?channel=a%20b&uid=alice&expiredTs=", joins("a b", "alice")),
    accessed("/access_token?channel=test&uid=007&other=1", joins("test", "007")),
    not_accessed("/access_token?uid=1234", "channel name is required"),
    not_accessed("/access_token", "channel name is required"),
    not_accessed("/access_token?channel=&uid=1234", "channel name is required"),
    not_accessed("/access_token?channel=test", "uid is required"),
    Exchange("POST", "/access_token", b"Cannot POST /access_token\n", HTML, status=404),
]


def served(path: str, key: str, *services: Service, expire: int = HOUR):
    """A token from the Gin token service."""
    return in_json(
        "GET",
        path,
        answer={key: "<token>"},
        headers=SERVICE,
        tokens=(services,),
        expire=expire,
    )


def not_served(path: str, answer: dict[str, Any]):
    """A refusal of the Gin token service."""
    return in_json("GET", path, 400, answer={**answer, "status": 400}, headers=SERVICE)


def got(send: dict[str, Any], *services: Service, expire: int = HOUR):
    """A token from ``POST /getToken``."""
    return Exchange(
        "POST",
        "/getToken",
        b'{"token":"<token>"}\n',
        JSON,
        send,
        SERVICE,
        tokens=(services,),
        expire=expire,
    )


def not_got(send: dict[str, Any], told: str):
    """A refusal of ``POST /getToken``."""
    headers = {**SERVICE, "x-content-type-options": "nosniff"}
    return Exchange("POST", "/getToken", f"{told}\n".encode(), TEXT, send, headers, 400)


INVALID = ', causing error: strconv.ParseUint: parsing "failing": invalid syntax'
UNREADABLE = ', to uint causing error: strconv.ParseUint: parsing "test": invalid syntax'
TOKEN_SERVICE = [
    served(
        "/rtc/fsda/publisher/uid/7/?expiry=600",
        "rtcToken",
        publishes("fsda", 7, 600),
        expire=600,
    ),
    served("/rtc/fsda/publisher/uid/7/", "rtcToken", publishes("fsda", 7)),
    served("/rtc/fsda/publisher/uid/7", "rtcToken", publishes("fsda", 7)),
    served("/rtc/fsda/subscriber/uid/7/", "rtcToken", joins("fsda", 7)),
    served("/rtc/fsda/audience/uid/7/", "rtcToken", joins("fsda", 7)),
    served("/rtc/fsda/publisher/userAccount/ann/", "rtcToken", publishes("fsda", "ann")),
    served("/rtc/fsda/publisher/userAccount/0/", "rtcToken", publishes("fsda", "0")),
    served("/rtc/a%20b/publisher/userAccount/%C3%A9/", "rtcToken", publishes("a b", "é")),
    served("/rtm/username/?expiry=600", "rtmToken", rtm("username", 600), expire=600),
    served("/rtm/username", "rtmToken", rtm("username")),
    served("/chat/app/", "chatToken", Chat("", {2: HOUR})),
    served("/chat/account/username/", "chatToken", Chat("username", {1: HOUR})),
    served("/chat/userAccount/username/", "chatToken", Chat("username", {1: HOUR})),
    in_json(
        "GET",
        "/rte/channelName/publisher/uid/2345/?expiry=600",
        answer={"rtcToken": "<token>", "rtmToken": "<token>"},
        headers=SERVICE,
        tokens=(
            (publishes("channelName", 2345, 600),),
            (Rtc("channelName", 2345, {1: 600, 4: 600}), rtm("2345", 600)),
        ),
        expire=600,
    ),
    in_json(
        "GET",
        "/rte/channelName/subscriber/uid/2345/rtmid/",
        answer={"rtcToken": "<token>", "rtmToken": "<token>"},
        headers=SERVICE,
        tokens=(
            (joins("channelName", 2345),),
            (Rtc("channelName", "rtmid", {1: HOUR, 4: HOUR}), rtm("rtmid")),
        ),
    ),
    in_json("GET", "/ping", answer={"message": "pong"}, headers=SERVICE),
    not_served(
        "/rtc/fsda/publisher/uid/test/?expiry=600",
        {"error": f"Error Generating RTC token - failed to parse uidStr: test{UNREADABLE}"},
    ),
    not_served(
        "/rtc/fsda/publisher/uid/7/?expiry=failing",
        {"message": f"Error Generating RTC token: failed to parse expireTime: failing{INVALID}"},
    ),
    not_served(
        "/rtc/fsda/publisher/nonsense/7/",
        {
            "error": "Error Generating RTC token - failed to generate RTC token for Unknown "
            "Tokentype: nonsense"
        },
    ),
    not_served(
        "/rtm/0/?expiry=600",
        {"message": 'Error Generating RTM token: invalid RTM User ID: "0"'},
    ),
    not_served(
        "/rtm/username/?expiry=failing",
        {"message": f"Error Generating RTM token: failed to parse expireTime: failing{INVALID}"},
    ),
    not_served(
        "/rte/channelName/publisher/uid/0/?expiry=600",
        {
            "message": "Error Generating RTC and RTM token: failed to parse rtm user ID. Cannot "
            'be empty or "0"'
        },
    ),
    not_served(
        "/rte/channelName/publisher/uid/2345/?expiry=failing",
        {
            "message": "Error Generating RTC and RTM token: failed to parse expireTime: "
            f"failing{INVALID}"
        },
    ),
    not_served(
        "/chat/account/",
        {"message": "Error Generating Chat token: userAccount type requires chat ID"},
    ),
    not_served(
        "/chat/invalid/",
        {"message": 'Error Generating Chat token: token type must be "userAccount" or "app"'},
    ),
    got(
        body(tokenType="rtc", channel="my_channel", role="publisher", uid="user123", expire=3600),
        publishes("my_channel", "user123"),
    ),
    got(
        body(tokenType="rtc", channel="my_channel", role="subscriber", uid="123"),
        joins("my_channel", 123),
    ),
    got(body(TOKENTYPE="rtc", Channel="c", UID="123", expire=0), joins("c", 123)),
    got(body(tokenType="rtm", uid="user123", expire=60), rtm("user123", 60), expire=60),
    got(
        body(tokenType="rtm", uid="user123", channel="stream"),
        Rtc("stream", "user123", {1: HOUR, 4: HOUR}),
        rtm("user123"),
    ),
    got(body(tokenType="chat", expire=60), Chat("", {2: 60}), expire=60),
    got(body(tokenType="chat", uid="user123"), Chat("user123", {1: HOUR})),
    not_got(body(tokenType="rtc", role="publisher", uid="1"), "invalid: missing channel name"),
    not_got(body(tokenType="rtc", channel="c"), "invalid: missing user ID or account"),
    not_got(body(tokenType="rtm", expire=3600), "invalid: missing user ID or account"),
    not_got(body(tokenType="fpa"), "Unsupported tokenType"),
    not_got(body(), "Unsupported tokenType"),
    not_got(text(""), "EOF"),
    not_got(
        body(tokenType="rtc", channel="c", uid=7),
        "json: cannot unmarshal number into Go struct field TokenRequest.uid of type string",
    ),
    not_got(
        body(tokenType="rtc", channel="c", uid="7", expire="60"),
        "json: cannot unmarshal string into Go struct field TokenRequest.expire of type int",
    ),
    Exchange("POST", "/ping", b"404 page not found", PLAIN, headers=SERVICE, status=404),
    Exchange("GET", "/getToken", b"404 page not found", PLAIN, status=404),
    Exchange("POST", "/rtc/c/publisher/uid/7/", b"404 page not found", PLAIN, status=404),
]


def generated(send: dict[str, Any], *services: Service, expire: int = HOUR):
    """A token from the Docker image's token service."""
    return in_json(
        "POST",
        "/token/generate",
        answer={"code": 0, "data": {"token": "<token>"}, "message": "Success"},
        send=send,
        tokens=(services,),
        expire=expire,
    )


def not_generated(send: dict[str, Any], code: int, told: str):
    """A refusal of the Docker image's token service. What it can't read it answers as text."""
    answer = {"code": code, "data": "", "message": told}
    kind = TEXT if code == -1 else JSON_UTF8
    return in_json("POST", "/token/generate", 400, kind, answer=answer, send=send)


GO = "json: cannot unmarshal"
TOKEN_GENERATE = [
    generated(
        body(
            channelName="channel_name_test",
            uid="12345678",
            tokenExpireTs=3600,
            privilegeExpireTs=3600,
            serviceRtc={"enable": True, "role": 1},
            serviceRtm={"enable": True},
        ),
        publishes("channel_name_test", 12345678),
        rtm("12345678"),
    ),
    generated(
        body(channelName="c", uid="7", serviceRtc={"enable": True, "role": 2}), joins("c", 7, 0)
    ),
    generated(
        body(channelName="c", uid="ann", tokenExpireTs=60, serviceRtc={"Enable": True}),
        joins("c", "ann", 0),
        expire=60,
    ),
    generated(
        body(uid="ann", tokenExpireTs=0, serviceRtc=None, serviceRtm={"enable": True}),
        rtm("ann"),
    ),
    generated(
        body(
            tokenExpireTs=600,
            serviceFpa={"enable": True},
            serviceChat={"enableUser": True, "userUuid": "ann"},
            serviceEducation={"enableUser": True, "userUuid": "bob"},
        ),
        Fpa({1: 0}),
        Chat("ann", {1: 600}),
        Apaas("", "bob", -1, {2: 600}),
        expire=600,
    ),
    generated(
        body(serviceChat={"enableApp": True}, serviceEducation={"enableApp": True}),
        Chat("", {2: HOUR}),
        Apaas("", "", -1, {3: HOUR}),
    ),
    not_generated(text(""), -1, "EOF"),
    not_generated(body(uid=7), -1, f"{GO} number into Go struct field Request.uid of type string"),
    not_generated(
        body(tokenExpireTs="60"),
        -1,
        f"{GO} string into Go struct field Request.tokenExpireTs of type uint32",
    ),
    not_generated(
        body(tokenExpireTs=-1),
        -1,
        f"{GO} number -1 into Go struct field Request.tokenExpireTs of type uint32",
    ),
    not_generated(
        body(serviceRtc={"enable": 1}),
        -1,
        f"{GO} number into Go struct field RequestServiceRtc.serviceRtc.enable of type bool",
    ),
    not_generated(
        body(serviceRtm=True),
        -1,
        f"{GO} bool into Go struct field Request.serviceRtm of type main.RequestServiceRtm",
    ),
    not_generated(text("[]"), -1, f"{GO} array into Go value of type main.Request"),
    not_generated(body(uid="7"), -2, "no service is enabled"),
    Exchange("GET", "/token/generate", b"404 page not found", PLAIN, status=404),
]


def keyed(path: str, *services: Service):
    """A token from the demonstration server in Node.js."""
    return in_json("GET", path, answer={"key": "<token>"}, headers=EVERYONE, tokens=(services,))


def not_keyed(path: str, told: str):
    """A refusal of the demonstration server in Node.js."""
    return in_json("GET", path, 400, answer={"error": told}, headers=EVERYONE)


DEMO_SERVER = [
    keyed("/rtcToken?channelName=test&uid=7", publishes("test", 7)),
    keyed("/rtcToken?channelName=test&uid=ann", publishes("test", "ann")),
    keyed("/rtmToken?account=testAccount", rtm("testAccount")),
    not_keyed("/rtcToken?uid=7", "channel name is required"),
    not_keyed("/rtcToken?channelName=test", "uid is required"),
    not_keyed("/rtmToken", "account is required"),
    Exchange("POST", "/rtcToken", b"Cannot POST /rtcToken\n", HTML, status=404),
]

V1_TOKEN = [
    Exchange(
        "GET",
        "/v1/token?channel_name=test&uid=7",
        b"<token>",
        TEXT,
        tokens=((publishes("test", 7),),),
    ),
    Exchange("GET", "/v1/token?uid=7", b"channel_name is required", TEXT, status=400),
    Exchange("GET", "/v1/token?channel_name=test", b"uid is required", TEXT, status=400),
]

EXCHANGES = [
    *FETCH_TOKEN,
    *ACCESS_TOKEN,
    *TOKEN_SERVICE,
    *TOKEN_GENERATE,
    *DEMO_SERVER,
    *V1_TOKEN,
]


# How each route takes a channel name, a user and a lifetime -----------------------------------


@dataclass(frozen=True)
class Way:
    """A way to ask for a token: ``request(channel, user, expire)`` gives method, path and what to
    send. ``expire`` is None where the route takes none, or to leave it out."""

    name: str
    takes: frozenset[str]

    def request(
        self, channel: Any = "room", user: Any = "7", expire: Any = None
    ) -> tuple[str, str, dict[str, Any]]:
        """A request in this way."""
        return _REQUESTS[self.name](channel, user, expire)


def _with(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return given | {name: value for name, value in more.items() if value is not None}


def _path(first: str, channel: Any, user: Any, expire: Any, *, kind: str = "uid"):
    end = "" if expire is None else f"?expiry={quote(str(expire), safe='')}"
    places = [quote(str(place), safe="") for place in (channel, "publisher", kind, user)]
    return "GET", f"/{first}/{'/'.join(places)}/{end}", {}


def _one(first: str, user: Any, expire: Any):
    end = "" if expire is None else f"?expiry={quote(str(expire), safe='')}"
    return "GET", f"/{first}/{quote(str(user), safe='')}/{end}", {}


def _query(path: str, **given: Any):
    return "GET", f"{path}?{urlencode(_with({}, **given))}", {}


def _generate(channel: Any, user: Any, expire: Any, **services: Any):
    asked = _with({"channelName": channel, "uid": user}, tokenExpireTs=expire)
    return "POST", "/token/generate", {"json": asked | services}


_REQUESTS = {
    "fetch_rtc_token": lambda c, u, e: (
        "POST",
        "/fetch_rtc_token",
        {"json": {"uid": u, "channelName": c, "role": 1}},
    ),
    "fetch_rtm_token": lambda c, u, e: ("POST", "/fetch_rtm_token", {"json": {"uid": u}}),
    "access_token": lambda c, u, e: _query("/access_token", channel=c, uid=u, expiredTs=e),
    "rtc uid": lambda c, u, e: _path("rtc", c, u, e),
    "rtc account": lambda c, u, e: _path("rtc", c, u, e, kind="userAccount"),
    "rte": lambda c, u, e: _path("rte", c, u, e),
    "rtm": lambda c, u, e: _one("rtm", u, e),
    "chat": lambda c, u, e: _one("chat/account", u, e),
    "getToken rtc": lambda c, u, e: (
        "POST",
        "/getToken",
        {"json": _with({"tokenType": "rtc", "channel": c, "uid": u}, expire=e)},
    ),
    "getToken rtm": lambda c, u, e: (
        "POST",
        "/getToken",
        {"json": _with({"tokenType": "rtm", "uid": u}, expire=e)},
    ),
    "getToken stream": lambda c, u, e: (
        "POST",
        "/getToken",
        {"json": _with({"tokenType": "rtm", "uid": u, "channel": c or None}, expire=e)},
    ),
    "generate rtc": lambda c, u, e: _generate(c, u, e, serviceRtc={"enable": True, "role": 1}),
    "generate rtm": lambda c, u, e: _generate(c, u, e, serviceRtm={"enable": True}),
    "generate chat": lambda c, u, e: _generate(
        c, u, e, serviceChat={"enableUser": True, "userUuid": u}
    ),
    "generate education": lambda c, u, e: _generate(
        c, u, e, serviceEducation={"enableUser": True, "userUuid": u}
    ),
    "rtcToken": lambda c, u, e: _query("/rtcToken", channelName=c, uid=u),
    "rtmToken": lambda c, u, e: _query("/rtmToken", account=u),
    "v1": lambda c, u, e: _query("/v1/token", channel_name=c, uid=u),
}

_TAKES = {
    "fetch_rtc_token": "channel uid",
    "fetch_rtm_token": "user",
    "access_token": "channel uid expiry",
    "rtc uid": "channel uid expiry",
    "rtc account": "channel user expiry",
    "rte": "channel uid expiry",
    "rtm": "user expiry",
    "chat": "user expiry",
    "getToken rtc": "channel uid expiry",
    "getToken rtm": "user expiry",
    "getToken stream": "stream user expiry",
    "generate rtc": "channel uid expiry",
    "generate rtm": "user expiry",
    "generate chat": "user expiry",
    "generate education": "user expiry",
    "rtcToken": "channel uid",
    "rtmToken": "user",
    "v1": "channel uid",
}
WAYS = [Way(name, frozenset(takes.split())) for name, takes in _TAKES.items()]


def ways(*takes: str) -> list[Way]:
    """The ways that take any of these."""
    return [way for way in WAYS if way.takes & set(takes)]
