"""What a hostile client may send: huge, slow, malformed, ambiguous. The server lives on."""

from __future__ import annotations

import contextlib
import json
import socket

import httpx
import pytest
from conftest import PATIENCE

from fasttoken import parse

pytestmark = pytest.mark.once

BODY = json.dumps({"services": [{"service": "rtc", "channel_name": "lobby", "uid": 42}]}).encode()


@pytest.fixture(scope="module")
def server(serve_all):
    """A server with tight limits."""
    return serve_all(
        *("--dev", "--compat", "fetch-token"),
        FASTTOKEN_SERVER_LIMITS__HEAD_SECONDS="1",
        FASTTOKEN_SERVER_LIMITS__BODY_SECONDS="1",
        FASTTOKEN_SERVER_LIMITS__SEND_SECONDS="1",
    )


@pytest.fixture(autouse=True)
def lives_on(server):
    """After each test an honest client is served, and nothing was logged as a failure."""
    yield
    assert server.client.post("/v1/tokens", content=BODY).status_code == 200
    assert "Traceback" not in server.log


def raw(server, sent: bytes, close: bool = False) -> bytes:
    """What the server answers to some bytes, until it closes the connection."""
    host, port = server.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        try:
            client.sendall(sent)
            if close:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed while more was coming
    return answer


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = ["Host: x", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return f"POST {path} HTTP/1.1\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    return int(answer[9:12]) if answer else 0


# Huge ---------------------------------------------------------------------------------------------


def test_a_huge_body(server):
    answer = server.client.post("/v1/tokens", content=b" " * 65_537)
    assert answer.status_code == 413
    assert server.client.post("/v1/tokens", content=b" " * 60_000 + BODY).status_code == 200


def test_a_huge_body_in_chunks_is_cut_off(server):
    def chunks():
        for _ in range(1000):
            yield b" " * 65_536

    # The answer, or an end of the connection while the body was still being sent.
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert server.client.post("/v1/tokens", content=chunks()).status_code == 413


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"X" * 100_000,
    ],
)
def test_a_huge_head(server, head):
    assert status(raw(server, head)) in (0, 400, 414, 431)


# Slow ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/tokens HT",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_who_does_not_go_on_is_sent_away(server, sent):
    assert status(raw(server, sent)) in (0, 408)


def test_slow_clients_hold_up_nobody(server):
    host, port = server.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(200)]
    for client in slow:
        client.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    assert server.client.post("/v1/tokens", content=BODY).status_code == 200
    for client in slow:
        while client.recv(65536):
            pass
        client.close()


# Malformed and ambiguous --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100,  # TLS
        b"POST /v1/tokens HTTP/9.9\r\n\r\n",
        b"POST  /v1/tokens HTTP/1.1\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n....",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: cow\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(server, sent):
    answer = raw(server, sent, close=True)
    assert status(answer) in (0, 400, 408, 413, 422)
    assert b"007eJx" not in answer


def test_a_second_request_is_not_smuggled_in_a_body(server):
    inner = post("/v1/tokens", BODY)
    answer = raw(server, post("/v1/tokens", inner))
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1


def test_requests_sent_at_once_are_answered_in_order(server):
    bodies = [BODY.replace(b"42", b"%d" % uid) for uid in range(1, 21)]
    sent = b"".join(
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    )
    answer = raw(server, sent + post("/v1/tokens", BODY))
    tokens = [part.split(b'"')[0].decode() for part in answer.split(b'{"token":"')[1:]]
    assert [parse(token).claims.services[0].uid for token in tokens] == [
        str(uid) if isinstance(parse(tokens[0]).claims.services[0].uid, str) else uid
        for uid in [*range(1, 21), 42]
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tokens/",
        "//v1/tokens",
        "/v1//tokens",
        "/v1/../v1/tokens",
        "/./v1/tokens",
        "/v1/tokens%00",
        "/v1/tokens%0d%0aX:%20y",
        "/v1/tokens;x",
        "/V1/tokens",
        "/v1%2ftokens%2f",
        "/demo/../../etc/passwd",
        "/demo/%2e%2e/%2e%2e/pyproject.toml",
        "/demo//etc/passwd",
        "/demo/..%5c..%5csettings.py",
    ],
)
def test_a_path_that_is_none(server, path):
    answer = raw(server, post(path, BODY))
    assert status(answer) in (400, 404, 405)
    assert b"007eJx" not in answer
    assert status(
        raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    ) in (400, 404, 405)


# JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000,
        b'{"services":' * 2_000,
        b'{"services": [' + b"[" * 30_000 + b"]" * 30_000 + b"]}",
        BODY.replace(b"42", b"9" * 5_000),
        BODY.replace(b"42", b"1e999"),
        BODY.replace(b"42", b"NaN"),
        BODY.replace(b"42", b'"\\ud800"'),
        BODY.replace(b"42", b'"\\u0000"'),
        BODY.replace(b"lobby", b"\xff\xfe"),
        BODY.replace(b"lobby", b"a\\u0000b"),
        BODY + b"{}",
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
    ],
)
def test_odd_json(server, body):
    answer = server.client.post("/v1/tokens", content=body)
    if answer.status_code == 200:
        # An account may hold any character, U+0000 included; it is the caller's own.
        assert parse(answer.json()["token"]).claims.services[0].uid == "\0"
    else:
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"


def test_of_a_name_that_stands_twice_the_last_one_counts_everywhere(server):
    body = BODY.replace(b'"uid": 42', b'"uid": 41, "uid": 42')
    token = server.client.post("/v1/tokens", content=body).json()["token"]
    assert str(parse(token).claims.services[0].uid) == "42"


def test_the_content_type_is_not_believed(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
        answer = server.client.post("/v1/tokens", content=BODY, headers={"content-type": kind})
        assert answer.status_code == 200
    answer = server.client.post("/v1/tokens", data={"uid": "1", "channel_name": "x"})
    assert answer.status_code == 400


def test_what_was_sent_is_not_sent_back_as_a_header_or_html(server):
    evil = "<script>alert(1)</script>\r\nSet-Cookie: a=b"
    body = {"services": [{"service": "rtc", "channel_name": evil, "uid": 1}]}
    answer = server.client.post("/v1/tokens", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers
