"""The compatible routes with callers: keys, policy, limits, each refusal in its family's form."""

from __future__ import annotations

import pytest
from compat_requests import ALL, TOKEN, WAYS
from conftest import Server

from fasttoken.server.auth import new_key

pytestmark = pytest.mark.once
KEY, DIGEST = new_key()
SETTINGS = f"""
[[auth.keys]]
name = "app"
sha256 = "{DIGEST}"

[[policy.rules]]
name = "rooms"
callers = ["key:app"]
services = ["*"]
channels = ["room*"]
uid = ["7"]
longest = 3600

[limits]
caller = "10000/second"
address = "10000/second"
body_bytes = 2000

[audit]
file = "audit.jsonl"
"""
BEARER = {"authorization": f"Bearer {KEY}"}
PAGE = {"origin": "https://app.example"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the server works."""
    return tmp_path_factory.mktemp("callers")


@pytest.fixture(scope="module")
def server(place):
    """A server with one API key, which may mint for one user in some channels."""
    (place / "server.toml").write_text(SETTINGS)
    started = Server("--config", "server.toml", "--compat", ALL, cwd=place)
    yield started
    started.stop()


def put(server, request, headers):
    method, path, send = request
    return server.client.request(method, path, **send, headers=headers)


def refused(answer, status: int) -> str:
    """Checks that an answer has a status in its family's form; gives what it says."""
    assert answer.status_code == status, answer.text
    assert not TOKEN.search(answer.content)
    path = answer.request.url.path
    if path in ("/v1/token", "/getToken"):
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        return answer.text
    told = answer.json()
    if path.startswith("/fetch_"):
        assert told.keys() == {"code", "token"}
        assert told["code"] == str(status)
        return told["token"]
    if path == "/token/generate":
        assert (told["code"], told["data"]) == (-2, "")
        return told["message"]
    if path in ("/access_token", "/rtcToken", "/rtmToken"):
        assert told.keys() == {"error"}
    else:
        assert told.keys() == {"error", "status"}
        assert told["status"] == status
    return told["error"]


def named(way):
    return way.name


# A user of Education outside any room: the policy takes that for a wildcard.
ROOMLESS = "generate education"


@pytest.mark.parametrize("way", [way for way in WAYS if way.name != ROOMLESS], ids=named)
@pytest.mark.parametrize("headers", [BEARER, {"x-api-key": KEY}], ids=["bearer", "x-api-key"])
def test_a_caller_gets_what_the_policy_grants(server, way, headers):
    answer = put(server, way.request("room-1", "7"), headers)
    assert answer.status_code == 200, answer.text
    assert TOKEN.search(answer.content)


@pytest.mark.parametrize("way", WAYS, ids=named)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "ft_nonsense"}], ids=["none", "unknown"])
def test_nobody_else_gets_anything(server, way, headers):
    answer = put(server, way.request("room-1", "7"), {**headers, **PAGE})
    told = refused(answer, 401)
    assert "API key" in told
    assert answer.headers["www-authenticate"].startswith("Bearer")
    # So that a page can tell why, where the original lets pages ask.
    may = answer.headers.get("access-control-allow-origin")
    pages = not way.name.startswith(("generate", "v1"))
    assert may in ("*", PAGE["origin"]) if pages else may is None


@pytest.mark.parametrize("way", WAYS, ids=named)
def test_the_policy_holds_here_too(server, way):
    assert refused(put(server, way.request("room-1", "8"), BEARER), 403)
    if way.takes & {"channel", "stream"}:
        assert refused(put(server, way.request("lobby", "7"), BEARER), 403)


def test_an_app_token_needs_its_own_grant(server):
    for method, path, send in (
        ("GET", "/chat/app/", {}),
        ("POST", "/getToken", {"json": {"tokenType": "chat"}}),
        ("POST", "/token/generate", {"json": {"serviceEducation": {"enableApp": True}}}),
    ):
        answer = server.client.request(method, path, **send, headers=BEARER)
        assert "privileges" in refused(answer, 403) or "single" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        *("/fetch_rtc_token", "/fetch_rtm_token", "/access_token", "/rtc/c/publisher/uid/7/"),
        *("/getToken", "/rtcToken", "/rtmToken"),
    ],
)
def test_a_preflight_needs_no_credential(server, path):
    wanted = {
        **PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = server.client.options(path, headers=wanted)
    assert answer.status_code in (200, 204)
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_what_the_original_says_to_anyone_it_says(server):
    assert server.client.get("/ping").json() == {"message": "pong"}
    assert server.client.put("/fetch_rtc_token").status_code == 404
    assert server.client.get("/token/generate").status_code == 404


@pytest.mark.parametrize(
    "path", ["/fetch_rtc_token", "/fetch_rtm_token", "/getToken", "/token/generate"]
)
def test_a_long_body_is_refused(server, path):
    answer = server.client.post(path, content=b" " * 2001, headers=BEARER)
    assert refused(answer, 413)


def test_a_caller_over_its_rate_is_told_when_to_come_again(place):
    settings = SETTINGS.replace('caller = "10000/second"', 'caller = "1/day"')
    (place / "slow.toml").write_text(settings)
    server = Server("--config", "slow.toml", "--compat", ALL, cwd=place)
    try:
        first, *rest = WAYS
        assert put(server, first.request("room-1", "7"), BEARER).status_code == 200
        for way in rest:
            answer = put(server, way.request("room-1", "7"), BEARER)
            assert refused(answer, 429)
            assert int(answer.headers["retry-after"]) > 0
    finally:
        server.stop()


def test_nothing_secret_is_written_down(place):
    server = Server("--config", "server.toml", "--compat", ALL, cwd=place)
    tokens = set()
    for way in WAYS:
        for user in ("7", "8", "0"):
            answer = put(server, way.request("room-9", user), BEARER)
            tokens.update(TOKEN.findall(answer.content))
    assert len(tokens) == len(WAYS)  # rte gives two, the roomless none
    assert server.stop() == 0
    written = (place / "audit.jsonl").read_bytes() + server.log.encode()
    assert written.count(b"room-9") > 10
    assert KEY.encode() not in written
    assert not [token for token in tokens if token in written]
