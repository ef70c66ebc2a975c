"""The compatible routes, over HTTP: what the originals document, and what is never let through."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from compat_requests import (
    ALL,
    EXCHANGES,
    FETCH,
    HOUR,
    NO_CACHE,
    TOKEN,
    WAYS,
    Exchange,
    joins,
    publishes,
    rtm,
    ways,
)
from conftest import PATIENCE, Server
from helpers import APP_ID

from fasttoken import parse
from fasttoken.server import Settings
from fasttoken.server.compat import FAMILIES, port
from fasttoken.services import Rtc, Rtm

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with all families, minting 007."""
    started = Server("--dev", "--compat", ALL, cwd=tmp_path_factory.mktemp("new"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A server with all families, minting 006 where the originals did."""
    place = tmp_path_factory.mktemp("old")
    started = Server("--dev", "--compat", ALL, cwd=place, FASTTOKEN_SERVER_TOKENS__VERSION="006")
    yield started
    started.stop()


def ask(server: Server, method: str, path: str, **send: object) -> httpx.Response:
    """The answer to a request, whatever its status."""
    return server.client.request(method, path, **send)


def tokens_of(answer: httpx.Response) -> list[str]:
    """The tokens in an answer, wherever they stand."""
    return [found.decode() for found in TOKEN.findall(answer.content)]


def accepted(project, token: str, services) -> None:
    """Checks that Agora would take a token for what its services grant."""
    for service in services:
        if isinstance(service, Rtc):
            privilege = "rtc.publish_data" if 4 in service.privileges else "rtc.join_channel"
            verdict = project.verify(
                token, channel_name=service.channel_name, uid=service.uid, privilege=privilege
            )
        elif isinstance(service, Rtm):
            verdict = project.verify(token, uid=service.user_id, privilege="rtm.login")
        else:
            verdict = project.verify(token)
        assert verdict.ok, verdict


@pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
def test_it_answers_as_its_original(server, project, exchange: Exchange):
    before = int(time.time())
    answer = ask(server, exchange.method, exchange.path, **exchange.send)
    after = int(time.time())
    assert answer.status_code == exchange.status, answer.text
    assert answer.headers["content-type"] == exchange.kind
    found = tokens_of(answer)
    body = TOKEN.sub(b"<token>", answer.content)
    assert body == exchange.body
    for name, value in exchange.headers.items():
        assert answer.headers[name] == value
    assert len(found) == len(exchange.tokens)
    for token, services in zip(found, exchange.tokens, strict=True):
        claims = parse(token).claims
        assert token.startswith("007")
        assert claims.app_id == APP_ID
        assert claims.services == services
        assert claims.expire == exchange.expire
        assert before <= claims.issue_ts <= after
        accepted(project, token, services)
        assert "no-store" in answer.headers["cache-control"]


# 006 ------------------------------------------------------------------------------------------

OLD = [
    ("POST", "/fetch_rtc_token", {"uid": 7, "ChannelName": "c", "role": 0}, publishes("c", 7)),
    ("POST", "/fetch_rtc_token", {"uid": 7, "ChannelName": "c", "role": 1}, publishes("c", 7)),
    ("POST", "/fetch_rtc_token", {"uid": 7, "ChannelName": "c", "role": 2}, joins("c", 7)),
    ("POST", "/fetch_rtc_token", {"uid": 7, "ChannelName": "c", "role": 101}, publishes("c", 7)),
    ("GET", "/fetch_rtc_token", {"uid": "7", "channelName": "c"}, publishes("c", 7)),
    ("POST", "/fetch_rtm_token", {"uid": "ann"}, rtm("ann")),
    ("GET", "/access_token?channel=c&uid=7", None, joins("c", 7)),
    ("GET", "/rtcToken?channelName=c&uid=7", None, publishes("c", 7)),
    ("GET", "/rtmToken?account=ann", None, rtm("ann")),
    ("GET", "/v1/token?channel_name=c&uid=7", None, publishes("c", 7)),
]


@pytest.mark.parametrize(("method", "path", "body", "service"), OLD)
def test_it_mints_006_where_its_original_did(old, project, method, path, body, service):
    before = int(time.time())
    answer = ask(old, method, path, **({"json": body} if body else {}))
    after = int(time.time())
    assert answer.status_code == 200, answer.text
    [token] = tokens_of(answer)
    assert token.startswith("006" + APP_ID)
    claims = parse(token).claims
    login = isinstance(service, Rtm)
    privileges = {1000} if login else set(service.privileges)
    assert set(claims.privileges) == privileges
    # Absolute, as 006 has them, and the same for each.
    [expires] = set(claims.privileges.values())
    assert before + HOUR <= expires <= after + HOUR
    assert before + 24 * HOUR <= claims.ts <= after + 24 * HOUR
    if login:
        assert project.verify(token, uid=service.user_id, privilege="rtm.login").ok
    else:
        wanted = "rtc.publish_audio" if 2 in privileges else "rtc.join_channel"
        assert project.verify(token, channel_name="c", uid=7, privilege=wanted).ok
        assert not project.verify(token, channel_name="c", uid=8).ok
        assert not project.verify(token, channel_name="d", uid=7).ok


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/rtc/c/publisher/uid/7/"), ("POST", "/getToken"), ("POST", "/token/generate")],
)
def test_what_never_made_006_does_not(old, method, path):
    body = {"tokenType": "rtc", "channel": "c", "channelName": "c", "uid": "7"}
    body |= {"serviceRtc": {"enable": True}}
    answer = ask(old, method, path, **({} if method == "GET" else {"json": body}))
    assert [token[:3] for token in tokens_of(answer)] == ["007"]


def test_an_absolute_expiry_is_kept(server, old):
    for running in (server, old):
        ends = int(time.time()) + 600
        answer = ask(running, "GET", f"/access_token?channel=c&uid=7&expiredTs={ends}")
        [token] = tokens_of(answer)
        claims = parse(token).claims
        found = claims.privileges[1] if running is old else claims.issue_ts + claims.expire
        # The clock may tick between reading the request and minting.
        assert ends <= found <= ends + 1


# What is refused whatever the original did ----------------------------------------------------


def refused(answer: httpx.Response) -> None:
    """Checks that an answer is a refusal in its family's form, and that no token is in it."""
    assert answer.status_code in (400, 404, 500), answer.text
    assert not TOKEN.search(answer.content)
    if answer.status_code == 404:
        return  # the path has an empty part: no route has it
    family = answer.request.url.path
    if family == "/access_token":
        assert answer.status_code == 500
        assert list(answer.json()) == ["error"]
    elif family.startswith("/fetch_"):
        assert answer.json()["code"] == "400"
        assert answer.json()["token"].startswith("Bad request.")
    elif family == "/token/generate":
        assert answer.json()["code"] in (-1, -2)
        assert answer.json()["data"] == ""
    elif family in ("/rtcToken", "/rtmToken"):
        assert list(answer.json()) == ["error"]
    elif family in ("/v1/token", "/getToken"):
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert answer.json()["status"] == 400
    if family != "/access_token":
        assert answer.status_code == 400


def named(way) -> str:
    return way.name


def put(server: Server, request) -> httpx.Response:
    """The answer to a request that a `Way` made."""
    method, path, send = request
    return ask(server, method, path, **send)


@pytest.mark.parametrize("way", WAYS, ids=named)
def test_what_is_refused_below_is_minted_otherwise(server, way):
    answer = put(server, way.request())
    assert answer.status_code == 200
    assert len(tokens_of(answer)) == (2 if way.name == "rte" else 1)


@pytest.mark.parametrize("uid", ["0", "4294967296", "99999999999999999999", "9" * 200, ""])
@pytest.mark.parametrize("way", ways("uid"), ids=named)
def test_a_uid_out_of_range_is_refused(server, way, uid):
    refused(put(server, way.request(user=uid)))


@pytest.mark.parametrize("uid", ["-1", "1e3", "0x7", "٣", "7 ", "alice", "*"])
@pytest.mark.parametrize("name", ["fetch_rtc_token", "rtc uid"])
def test_a_uid_that_is_no_number_is_refused(server, name, uid):
    [way] = [way for way in WAYS if way.name == name]
    refused(put(server, way.request(user=uid)))


@pytest.mark.parametrize("user", ["", "*", "x" * 256])
@pytest.mark.parametrize("way", ways("user"), ids=named)
def test_a_user_who_is_none_is_refused(server, way, user):
    refused(put(server, way.request(user=user)))


@pytest.mark.parametrize("channel", ["", "*", "x" * 65, "é", 'a"b', "a/b", "a\n"])
@pytest.mark.parametrize("way", ways("channel"), ids=named)
def test_a_channel_name_that_is_none_is_refused(server, way, channel):
    refused(put(server, way.request(channel=channel)))


@pytest.mark.parametrize("channel", ["*", "x" * 65, "é"])
@pytest.mark.parametrize("way", ways("stream"), ids=named)
def test_a_stream_channel_that_is_none_is_refused(server, way, channel):
    refused(put(server, way.request(channel=channel)))


@pytest.mark.parametrize("seconds", [86_401, 172_800, 1_700_000_000, 2**32, 2**64, -60])
@pytest.mark.parametrize("way", ways("expiry"), ids=named)
def test_a_lifetime_above_a_day_is_refused(server, way, seconds):
    if way.name == "access_token":
        # Which is a time here. Some seconds more, for the clock to go on.
        seconds += int(time.time()) + 60 * (seconds > 0)
    refused(put(server, way.request(expire=seconds)))


@pytest.mark.parametrize("way", ways("expiry"), ids=named)
def test_a_lifetime_of_a_day_is_minted(server, way):
    day = 24 * HOUR
    expire = int(time.time()) + day if way.name == "access_token" else day
    answer = put(server, way.request(expire=expire))
    assert answer.status_code == 200, answer.text
    for token in tokens_of(answer):
        assert day - 5 <= parse(token).claims.expire <= day


def test_a_privilege_for_above_a_day_is_refused(server):
    body = {"channelName": "c", "uid": "7", "serviceRtc": {"enable": True}}
    for seconds, status in ((86_400, 200), (86_401, 400), (4294967295, 400)):
        answer = ask(server, "POST", "/token/generate", json={**body, "privilegeExpireTs": seconds})
        assert answer.status_code == status


BODIES = ["/fetch_rtc_token", "/fetch_rtm_token", "/getToken", "/token/generate"]
FULL = (
    '"uid":"7","channelName":"c","channel":"c","tokenType":"rtc",'
    '"serviceRtc":{"enable":true,"role":1}'
)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "content",
    [
        "null",
        " null ",
        "[null]",
        "true",
        "7",
        '"{}"',
        '{"uid":null,"channelName":null,"channel":null,"tokenType":null,"serviceRtc":null}',
        "{" + FULL + "}{" + FULL + "}",
        "{" + FULL + "}x",
        "{" + FULL + ',"uid":"7"}',
        "{" + FULL + ',"UID":"8"}',
        "{" + FULL + ',"\\u0075id":"8"}',
        '{"uid":NaN}',
        '{"uid":Infinity}',
        "[" * 60_000,
        '{"a":' * 10_000,
        "{" + FULL + ',"a":"\\ud800"',
        b"\xef\xbb\xbf{" + FULL.encode() + b"}",
        b"\xff\xfe",
        b"{" + FULL.encode() + b',"a":"\xff"}',
        b"\x00",
    ],
    ids=repr,
)
def test_a_body_that_is_none_is_refused(server, path, content):
    refused(ask(server, "POST", path, content=content))


@pytest.mark.parametrize("path", BODIES)
def test_the_same_body_once_is_minted(server, path):
    answer = ask(server, "POST", path, content="{" + FULL + "}")
    assert answer.status_code == 200
    assert len(tokens_of(answer)) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/access_token?channel=c&uid=7&uid=8",
        "/access_token?channel=c&channel=d&uid=7",
        "/rtcToken?channelName=c&uid=7&uid=7",
        "/rtmToken?account=ann&account=bob",
        "/v1/token?channel_name=c&uid=7&uid=8",
        "/rtc/c/publisher/uid/7/?expiry=60&expiry=86400",
        "/access_token?channel=%FF&uid=7",
        "/access_token?channel=c&uid=7" + "&a=1" * 100,
    ],
)
def test_a_query_that_can_be_read_two_ways_is_refused(server, path):
    answer = ask(server, "GET", path)
    assert answer.status_code in (400, 500)
    assert not TOKEN.search(answer.content)


@pytest.mark.parametrize(
    "path",
    [
        "/rtc//publisher/uid/7/",
        "/rtc/%2F/publisher/uid/7/",
        "/rtc/c/publisher/uid//",
        "/rtm//",
        "/rtm/%2e%2e/%2e%2e/",
        "/chat/app/ann/",
        "//rtm/ann/",
        "/rtm/ann//",
        "/RTM/ann/",
        "/fetch_rtc_token/",
        "/v1/token/?channel_name=c&uid=7",
    ],
)
def test_a_path_that_is_none_is_not_found(server, path):
    answer = server.client.send(
        server.client.build_request("GET", httpx.URL(server.url, raw_path=path.encode()))
    )
    assert answer.status_code == 404
    assert not TOKEN.search(answer.content)


def test_a_path_parameter_is_one_name_whatever_it_holds(server):
    answer = ask(server, "GET", "/rtm/%2e%2e/")
    [token] = tokens_of(answer)
    assert parse(token).claims.services == (rtm(".."),)


# Pages of other origins -----------------------------------------------------------------------

PREFLIGHTS = [
    ("/fetch_rtc_token", 200, "POST, OPTIONS", "*"),
    ("/fetch_rtm_token", 200, "POST, OPTIONS", "*"),
    ("/access_token", 204, "GET, HEAD, OPTIONS", "*"),
    ("/rtc/c/publisher/uid/7/", 204, "GET, POST, OPTIONS", "Origin, Content-Type"),
    ("/rtm/ann", 204, "GET, POST, OPTIONS", "Origin, Content-Type"),
    ("/chat/app/", 204, "GET, POST, OPTIONS", "Origin, Content-Type"),
    ("/getToken", 204, "GET, POST, OPTIONS", "Origin, Content-Type"),
    ("/rtcToken", 204, "GET, HEAD, OPTIONS", "*"),
    ("/rtmToken", 204, "GET, HEAD, OPTIONS", "*"),
]
PAGE = "http://localhost:3000"
ASKS = {"origin": PAGE, "access-control-request-method": "POST"}


@pytest.mark.parametrize(("path", "status", "methods", "allowed"), PREFLIGHTS)
def test_a_page_may_ask_first(server, path, status, methods, allowed):
    answer = ask(server, "OPTIONS", path, headers=ASKS)
    assert (answer.status_code, answer.content) == (status, b"")
    assert answer.headers["access-control-allow-origin"] in ("*", PAGE)
    assert answer.headers["access-control-allow-methods"] == methods
    assert answer.headers["access-control-allow-headers"] == allowed
    wanted = {"access-control-request-headers": "authorization, content-type, x-api-key"}
    answer = ask(server, "OPTIONS", path, headers=ASKS | wanted)
    assert answer.headers["access-control-allow-headers"] == f"{allowed}, authorization, x-api-key"


def test_the_preflights_of_the_go_sample_are_its_own(server):
    for path, kind in (
        ("/fetch_rtc_token", "application/json; charset=UTF-8"),
        ("/fetch_rtm_token", "application/json;charset=UTF-8"),
    ):
        answer = ask(server, "OPTIONS", path, headers=ASKS)
        assert answer.headers["content-type"] == kind
        assert {name: answer.headers[name] for name in FETCH} == FETCH


@pytest.mark.parametrize(
    ("path", "methods"), [("/token/generate", "POST"), ("/v1/token", "GET, HEAD")]
)
def test_what_knew_nothing_of_pages_answers_them_as_the_settings_say(server, choosy, path, methods):
    for running in (server, choosy):
        answer = ask(running, "OPTIONS", path, headers=ASKS)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-methods"] == methods
        allowed = answer.headers["access-control-allow-headers"]
        assert allowed == "authorization, content-type, x-api-key"
        # Once: browsers refuse a header that stands twice.
        assert answer.headers["access-control-allow-origin"] in ("*", PAGE)
    other = ask(choosy, "OPTIONS", path, headers=ASKS | {"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-methods" not in other.headers


def test_nothing_in_an_error_is_html(server):
    for path in ("/rtc/c/publisher/<script>&/7/", "/chat/account/é/?expiry=<b>"):
        answer = ask(server, "GET", path)
        assert answer.status_code == 400
        assert not set(b"<>&") & set(answer.content)
        assert "<" in str(answer.json())


def test_the_token_service_names_the_page_that_asks(server):
    answer = ask(server, "GET", "/rtm/ann/", headers={"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-origin" not in ask(server, "GET", "/rtm/ann/").headers


@pytest.fixture(scope="module")
def choosy(tmp_path_factory):
    """A server for pages of one origin."""
    place = tmp_path_factory.mktemp("choosy")
    started = Server(
        "--dev", "--compat", ALL, cwd=place, FASTTOKEN_SERVER_CORS__ORIGINS=f'["{PAGE}"]'
    )
    yield started
    started.stop()


@pytest.mark.parametrize("way", WAYS, ids=named)
def test_listed_origins_alone_may_read(choosy, way):
    method, path, send = way.request()
    mine = ask(choosy, method, path, **send, headers={"origin": PAGE})
    assert mine.status_code == 200
    assert mine.headers["access-control-allow-origin"] == PAGE
    other = ask(choosy, method, path, **send, headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    if path.startswith(("/rt", "/chat", "/getToken")) and "Token?" not in path:
        # The original refuses, where others leave it to the browser.
        assert (other.status_code, other.json()) == (403, {"error": "Origin not allowed"})
    assert ask(choosy, method, path, **send).status_code == 200


# Who asked for what ---------------------------------------------------------------------------


def test_no_request_sees_anothers_token(server):
    """Hundreds at once, on connections that they share; each gets what it asked for."""
    ways_of_rtc = [way for way in WAYS if "uid" in way.takes and way.name != "rte"]

    async def one(client: httpx.AsyncClient, number: int) -> None:
        way = ways_of_rtc[number % len(ways_of_rtc)]
        channel, uid = f"room-{number % 7}", str(1000 + number)
        method, path, send = way.request(channel, uid)
        answer = await client.request(method, path, **send)
        assert answer.status_code == 200
        [token] = tokens_of(answer)
        [service] = parse(token).claims.services
        assert (service.channel_name, service.uid) == (channel, int(uid))

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            base_url=server.url, timeout=PATIENCE, limits=limits
        ) as client:
            await asyncio.gather(*(one(client, number) for number in range(700)))

    asyncio.run(all_of_them())


# Families -------------------------------------------------------------------------------------

ONE_PATH = {
    "fetch-token": ("POST", "/fetch_rtc_token"),
    "access-token": ("GET", "/access_token?channel=c&uid=7"),
    "token-service": ("GET", "/rtm/ann/"),
    "token-generate": ("POST", "/token/generate"),
    "demo-server": ("GET", "/rtmToken?account=ann"),
    "v1-token": ("GET", "/v1/token?channel_name=c&uid=7"),
}


def test_a_family_is_there_when_it_is_named(serve):
    named = ["token-service", "fetch-token"]
    running = serve("--dev", "--compat", named[0], "--compat", named[1])
    for family, (method, path) in ONE_PATH.items():
        send = {"content": "{" + FULL + "}"} if method == "POST" else {}
        answer = ask(running, method, path, **send)
        assert answer.status_code == (200 if family in named else 404)
    assert set(ONE_PATH) == set(FAMILIES)


def test_no_family_is_there_unless_named(dev):
    for method, path in ONE_PATH.values():
        assert ask(dev, method, path).status_code == 404


def test_each_family_has_its_port():
    assert port(["fetch-token"]) == 8082
    assert port(["fetch-token", "fetch-token"]) == 8082
    assert port(["fetch-token", "token-service"]) is None
    assert port([]) is None
    assert Settings(compat=("fetch-token",)).bound_port == 8082
    assert Settings(compat=("fetch-token", "v1-token")).bound_port == 8080
    assert Settings(compat=("fetch-token",), port=99).bound_port == 99


def test_ping_needs_no_token_service_caller(server):
    answer = ask(server, "GET", "/ping")
    assert answer.json() == {"message": "pong"}
    assert {name: answer.headers[name] for name in NO_CACHE} == NO_CACHE
