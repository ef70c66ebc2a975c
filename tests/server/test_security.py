"""What a review of the whole server found, or made sure of."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from hashlib import sha256

import pytest

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
pytest.importorskip("jwt", reason="the extra [server] is not installed")
from conftest import PATIENCE, environment, settings_file

from fasttoken.server.cors import is_near

pytestmark = pytest.mark.once

ASK = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 7}]}
BODY = json.dumps(ASK).encode()
SERVE = (sys.executable, "-m", "fasttoken", "serve")


def raw(server, sent):
    """The server's answers to some bytes, until it ends the connection."""
    host, port = server.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(65536):
            answer += part
    return answer


def codes(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


# With dev ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost.evil.example"},
        {"origin": "https://127.0.0.1.evil.example"},
        {"origin": "file://"},
        {"host": "evil.example"},
        {"host": "evil.example:8080"},
        {"host": "rebound.127.0.0.1.evil.example"},
        {"host": "127.0.0.1", "origin": "http://evil.example:8080"},
    ],
)
def test_no_strange_page_fetches_tokens_from_a_developers_server(dev, headers):
    """Whatever page a developer looks at can ask this machine, also under a name of its own."""
    for method, path in (("POST", "/v1/tokens"), ("OPTIONS", "/v1/tokens"), ("GET", "/healthz")):
        answer = dev.client.request(method, path, content=BODY, headers=headers)
        assert answer.status_code == 403
        assert "token" not in answer.json()
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "https://[::1]:8443"},
        {"host": "localhost:8080"},
        {"host": "[::1]:8080"},
        {"host": "buildbox"},
    ],
)
def test_pages_of_this_machine_do(dev, headers):
    answer = dev.client.post("/v1/tokens", content=BODY, headers=headers)
    assert answer.status_code == 200
    if "origin" in headers:
        assert answer.headers["access-control-allow-origin"] == headers["origin"]


@pytest.mark.parametrize(
    ("netloc", "near"),
    [(b"", True), (b"[::1", True), (b"[::2]", False), (b"1.2.3.4", False), (b"LOCALHOST:1", True)],
)
def test_what_is_near(netloc, near):
    assert is_near(netloc) is near


def test_dev_is_not_turned_on_while_the_server_runs(serve, tmp_path):
    """The socket may be open to everyone: new settings with a loopback host don't change that."""
    config, _ = settings_file(tmp_path)
    server = serve("--config", config)
    assert server.client.post("/v1/tokens", content=BODY).status_code == 401
    with open(config, "r+") as file:
        text = file.read()
        file.seek(0)
        file.write('dev = true\nhost = "127.0.0.1"\n' + text)
    server.wait_for("dev: must not be turned on while the server runs")
    assert server.client.post("/v1/tokens", content=BODY).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_dev_is_for_loopback(tmp_path, host):
    done = subprocess.run(
        [*SERVE, "--dev", "--check", "--host", host],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "host: must be a loopback address" in done.stderr


# Settings ----------------------------------------------------------------------------------------


def test_no_secret_is_shown_by_the_check(tmp_path):
    hidden = {"jwt": "j" * 40, "redis": "redis-password"}
    (tmp_path / "server.toml").write_text(
        f"""
        [[auth.issuers]]
        name = "login"
        issuer = "x"
        audience = "y"
        algorithms = ["HS256"]
        secret = "{hidden["jwt"]}"

        [limits]
        redis = "redis://:{hidden["redis"]}@127.0.0.1:1/0"
        """
    )
    for more in ((), ("--port", "-1")):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "fasttoken",
                "serve",
                "--check",
                "--config",
                "server.toml",
                *more,
            ],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
        shown = done.stdout + done.stderr
        assert bool(done.returncode) is bool(more), shown
        assert not [text for text in hidden.values() if text in shown]
        assert '"***"' in shown or more


# Callers -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(serve_all):
    """A server with one caller and every family of compatible routes."""
    from fasttoken.server.compat import FAMILIES

    keys = [{"name": "mobile", "sha256": sha256(b"ft_key").hexdigest()}]
    rules = [{"name": "own", "channels": ["mine-*"], "uid": ["8"], "services": ["*"]}]
    return serve_all(
        *("--compat", ",".join(FAMILIES)),
        FASTTOKEN_SERVER_AUTH__KEYS=json.dumps(keys),
        FASTTOKEN_SERVER_POLICY__RULES=json.dumps(rules),
        FASTTOKEN_SERVER_LIMITS__ADDRESS="off",
        FASTTOKEN_SERVER_LIMITS__CALLER="off",
    )


PATHS = (
    "/v1/tokens",
    "/v1/tokens:batch",
    "/v1/verify",
    "/metrics",
    "/fetch_rtc_token",
    "/fetch_rtm_token",
    "/access_token?channel=c&uid=7",
    "/rtc/c/publisher/uid/7/",
    "/rtm/7/",
    "/rte/c/publisher/uid/7/",
    "/chat/app/",
    "/chat/account/7/",
    "/getToken",
    "/token/generate",
    "/rtcToken?channelName=c&uid=7",
    "/rtmToken?account=7",
    "/v1/token?channel_name=c",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "PATCH", "DELETE"])
def test_no_route_mints_for_nobody_or_against_the_policy(closed, method, path):
    """Nothing that a token could be in comes back: neither to a stranger, nor to a caller who may
    have other channels than these."""
    body = {
        **ASK, "tokens": [ASK], "channelName": "c", "uid": 7, "role": 1, "tokenType": "rtc",
        "channel": "c", "serviceRtc": {"enable": True, "role": 1},
    }  # fmt: skip
    for body in (body, {"uid": "7", "channelName": "c"}, ASK):  # noqa: B020
        for headers in ({}, {"authorization": "Bearer ft_kez"}, {"x-api-key": "ft_key"}):
            answer = closed.client.request(method, path, json=body, headers=headers)
            assert not re.search("00[67][0-9a-zA-Z+/=]{40}", answer.text)
            if method == "POST" and not headers and path.startswith("/v1/"):
                assert answer.status_code == 401 or path.startswith("/v1/token?")


def test_a_caller_has_its_own_by_any_route(closed):
    mine = {"x-api-key": "ft_key"}
    assert closed.client.get("/rtc/mine-1/publisher/uid/8/", headers=mine).status_code == 200
    assert closed.client.get("/rtc/mine-1/publisher/uid/7/", headers=mine).status_code == 403


def test_a_credential_in_the_query_is_none(closed):
    for name in ("api_key", "token", "access_token", "authorization", "x-api-key"):
        answer = closed.client.post("/v1/tokens", params={name: "ft_key"}, json=ASK)
        assert answer.status_code == 401


def test_a_strange_credential_is_not_echoed(closed):
    mark = "zq7" * 20
    for headers in (
        {"authorization": f"Bearer {mark}"},
        {"authorization": f"Basic {mark}"},
        {"authorization": f"Bearer {mark}.{mark}.{mark}"},
        {"x-api-key": mark},
    ):
        answer = closed.client.post("/v1/tokens", json=ASK, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="fasttoken"'
        assert "zq7" not in answer.text
    assert "zq7" not in closed.log


# Requests in requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upgrade",
    [
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
    ],
)
def test_an_upgrade_hides_no_second_request(dev, upgrade):
    inner = b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    head = b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n" % len(inner + BODY)
    answer = raw(dev, head + upgrade + b"\r\n" + inner + BODY)
    assert answer.count(b'"token"') <= 1
    assert codes(answer) in ([400], [408])


def test_what_follows_the_last_request_is_not_served(dev):
    """After "connection: close" a proxy may send what it takes for somebody else's."""
    last = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    more = b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    answer = raw(dev, last + more + BODY)
    assert codes(answer) == [200]
    assert b'"token"' not in answer


@pytest.mark.parametrize(
    "target", [b"http://evil.example/v1/tokens", b"*", b"evil.example:443", b"/v1/tokens#x", b"\\"]
)
def test_odd_targets(dev, target):
    head = b"POST %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    answer = raw(dev, head % (target, len(BODY)) + BODY)
    assert codes(answer)[0] in (200, 400, 404)
    assert len(codes(answer)) == 1
    assert "Traceback" not in dev.log


def test_a_log_has_no_line_of_a_clients(dev):
    mark = b"zq9mark"
    for sent in (
        b"GET /%s%%0d%%0aERROR:%%20x HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n"
        % (mark, mark),
        b"%s / HTTP/1.1\r\n\r\n" % mark,
        b"GET / HTTP/1.1\r\n%s\r\n\r\n" % mark,
    ):
        raw(dev, sent)
    assert dev.client.get("/healthz").status_code == 200
    assert mark.decode() not in dev.log


# Verdicts ----------------------------------------------------------------------------------------


def test_many_verdicts_hold_up_nobody(dev):
    """To say what is wrong with a token takes milliseconds, for a thousand of them seconds."""
    from fasttoken import Project

    bad = Project("a" * 32, "d" * 32).rtc_token("Some Room", 2**31 + 5)
    body = json.dumps({"tokens": [bad] * 1000, "channel_name": "some room", "uid": 7}).encode()
    host, port = dev.url.removeprefix("http://").split(":")
    head = b"POST /v1/verify HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(head % len(body) + body)
        client.setblocking(False)
        served = 0
        while True:  # until the verdicts come
            assert dev.client.get("/healthz").status_code == 200
            served += 1
            try:
                if client.recv(1):
                    break
            except BlockingIOError:
                continue
    assert served > 3
