"""How much, how fast, how often: rates, connections, heads, bodies, CORS, and Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import socket
import subprocess
from hashlib import sha256

import pytest

pytest.importorskip("limits", reason="the extra [server] is not installed")
pytest.importorskip("jwt", reason="the extra [server] is not installed")
from fasttoken.errors import FieldError
from fasttoken.server import limits
from fasttoken.server.auth import Caller
from fasttoken.server.connections import Seldom
from fasttoken.server.cors import Cors
from fasttoken.server.faults import NotReady, TooMany
from fasttoken.server.limits import Limiter, Limits, Window
from fasttoken.server.secret import Secret

pytestmark = pytest.mark.once

PATIENCE = 60


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Request:
    def __init__(self, address):
        self.address = address


# Rates -------------------------------------------------------------------------------------------


def test_a_window_counts_each_key_apart():
    clock = Clock()
    window = Window(3, 10, clock)
    assert [window.hit("a") for _ in range(3)] == [0, 0, 0]
    assert window.hit("a") > 0
    assert window.hit("b") == 0


def test_a_window_slides():
    clock = Clock()
    window = Window(10, 10, clock)
    clock.now += 9
    assert [window.hit("a") for _ in range(10)] == [0] * 10
    clock.now += 1  # the next window begins; all of the last one still counts
    assert window.hit("a") > 0
    clock.now += 5  # half of it does
    assert [window.hit("a") for _ in range(5)] == [0] * 5
    assert window.hit("a") > 0
    clock.now += 25
    assert [window.hit("a") for _ in range(10)] == [0] * 10


@pytest.mark.parametrize("amount", [1, 2, 7, 100])
def test_after_the_wait_there_is_room_and_not_much_earlier(amount):
    clock = Clock()
    window = Window(amount, 60, clock)
    for step in range(4 * amount):
        clock.now += step % 7
        wait = window.hit("a")
        if wait:
            clock.now += wait + 1e-6
            assert window.hit("a") == 0


def test_a_steady_client_never_gets_more_than_its_rate():
    clock = Clock()
    window = Window(50, 10, clock)
    granted = 0
    for _ in range(10_000):
        clock.now += 0.01  # a hundred seconds, a hundred requests in each
        granted += window.hit("a") == 0
    assert 450 <= granted <= 520


def test_a_window_keeps_a_bounded_number_of_keys(monkeypatch):
    monkeypatch.setattr(limits, "MOST_KEYS", 10)
    clock = Clock()
    window = Window(5, 10, clock)
    for number in range(1000):
        window.hit(f"key-{number}")
    assert len(window._now) <= 11
    # Those who come too late share one count, the others keep theirs.
    assert window.hit("key-5000") > 0
    assert window.hit("key-0") == 0
    clock.now += 10
    assert window.hit("key-5000") == 0
    clock.now += 20
    window.hit("a")
    assert list(window._now) == ["a"]
    assert not window._before


@pytest.mark.parametrize("text", ["", "5", "many", "5/fortnight", "0/second", "-1/minute", "1/0 s"])
def test_rates_that_cannot_be_read(text):
    with pytest.raises(FieldError):
        limits.rates("limits.caller", text)


def test_rates_as_limits_reads_them():
    found = limits.rates("limits.caller", "10/second; 1000 per 2 hours")
    assert [(rate.amount, rate.get_expiry()) for rate in found] == [(10, 1), (1000, 7200)]
    assert limits.rates("limits.caller", "off") == []


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("", "?"),
        ("unix", "?"),
        ("192.0.2.7, 10.0.0.1", "?"),
        ("1" * 5000, "?"),
    ],
)
def test_what_an_address_counts_as(address, counted):
    assert limits.network(address) == counted


def test_callers_and_addresses_are_counted_apart():
    clock = Clock()
    limiter = Limiter(Limits(caller="2/minute", address="3/minute"), clock=clock)

    async def scenario():
        for _ in range(3):
            await limiter.address(Request("192.0.2.1"))
        with pytest.raises(TooMany) as caught:
            await limiter.address(Request("192.0.2.1"))
        assert caught.value.reason == "rate_address"
        await limiter.address(Request("192.0.2.2"))
        for _ in range(2):
            await limiter.caller(Caller("key:a", {}, ""))
        with pytest.raises(TooMany) as caught:
            await limiter.caller(Caller("key:a", {}, ""))
        headers = dict(caught.value.headers)
        assert headers[b"ratelimit-policy"] == b'"caller";q=2;w=60'
        after = int(headers[b"retry-after"])
        assert headers[b"ratelimit"] == b'"caller";r=0;t=%d' % after
        assert 60 <= after <= 90
        await limiter.caller(Caller("key:b", {}, ""))

    asyncio.run(scenario())


def test_rates_are_on_by_default_and_off_with_dev():
    async def hits(limiter):
        for number in range(150):
            try:
                await limiter.caller(Caller("key:a", {}, ""))
            except TooMany:
                return number
        return None

    assert asyncio.run(hits(Limiter(Limits(), clock=Clock()))) == 100
    assert asyncio.run(hits(Limiter(Limits(), dev=True, clock=Clock()))) is None
    assert asyncio.run(hits(Limiter(Limits(caller="off"), clock=Clock()))) is None
    assert asyncio.run(hits(Limiter(Limits(caller="5/hour"), dev=True, clock=Clock()))) == 5


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"caller": "often"}, "caller"),
        ({"body_bytes": 0}, "body_bytes"),
        ({"head_seconds": float("inf")}, "head_seconds"),
        ({"head_seconds": float("nan")}, "head_seconds"),
        ({"connections": -1}, "connections"),
        ({"redis": Secret("http://h")}, "redis"),
    ],
)
def test_limits_that_cannot_be_meant(more, field):
    with pytest.raises(FieldError) as caught:
        Limits(**more).check(False)
    assert caught.value.field == f"limits.{field}"


# Redis -------------------------------------------------------------------------------------------


class Redis:
    """A redis-server of its own, on a port that the system picked."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--save", "", "--dir", str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                return
        pytest.fail("redis-server did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def redis(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    pytest.importorskip("redis", reason="the extra [server] is not installed")
    server = Redis(tmp_path)
    yield server
    server.stop()


def counted(limiter, name, times):
    """How many of some requests of a caller are let through."""

    async def scenario():
        granted = 0
        for _ in range(times):
            try:
                await limiter.caller(Caller(name, {}, ""))
                granted += 1
            except TooMany as error:
                headers = dict(error.headers)
                assert 1 <= int(headers[b"retry-after"]) <= 7200
        await limiter.close()
        return granted

    return asyncio.run(scenario())


def test_workers_count_together_in_redis(redis):
    settings = Limits(caller="5/hour", redis=Secret(redis.url), redis_seconds=30)
    assert counted(Limiter(settings), "key:a", 3) == 3
    assert counted(Limiter(settings), "key:a", 10) == 2
    assert counted(Limiter(settings), "key:b", 10) == 5


def test_redis_sees_no_names(redis):
    settings = Limits(caller="5/hour", redis=Secret(redis.url), redis_seconds=30)
    assert counted(Limiter(settings), "key:very-private", 1) == 1
    with socket.create_connection(("127.0.0.1", redis.port), PATIENCE) as client:
        client.sendall(b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n")
        found = client.recv(65536)
    assert b"fasttoken" in found
    assert b"private" not in found


def test_without_redis_each_worker_counts_for_itself(redis, caplog):
    settings = Limits(caller="5/hour", redis=Secret(redis.url), redis_seconds=30)
    redis.stop()
    assert counted(Limiter(settings), "key:a", 10) == 5
    assert counted(Limiter(settings), "key:a", 10) == 5
    assert caplog.text.count("Redis does not count requests") == 2
    assert str(redis.port) not in caplog.text


def test_without_redis_requests_are_refused_if_that_is_set(redis):
    settings = Limits(
        caller="5/hour", redis=Secret(redis.url), redis_seconds=30, without_redis="refuse"
    )
    redis.stop()

    async def scenario():
        limiter = Limiter(settings)
        for _ in range(3):
            with pytest.raises(NotReady) as caught:
                await limiter.caller(Caller("key:a", {}, ""))
            assert caught.value.reason == "redis_down"
        await limiter.close()

    asyncio.run(scenario())


def test_redis_is_asked_again_when_it_is_back(redis, monkeypatch):
    monkeypatch.setattr(limits, "DOWN_SECONDS", 0.0)
    settings = Limits(
        caller="5/hour", redis=Secret(redis.url), redis_seconds=30, without_redis="refuse"
    )

    async def scenario():
        limiter = Limiter(settings)
        who = Caller("key:a", {}, "")
        await limiter.caller(who)
        redis.stop()
        with pytest.raises(NotReady):
            await limiter.caller(who)
        redis.start()
        for _ in range(5):  # what it had counted is gone with it
            await limiter.caller(who)
        with pytest.raises(TooMany):
            await limiter.caller(who)
        await limiter.close()

    asyncio.run(scenario())


def test_a_redis_that_does_not_answer_is_not_waited_for():
    """A socket that takes connections and says nothing: the first request waits a moment, those
    after it not at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings = Limits(caller="5/hour", redis=Secret(url), redis_seconds=0.05)

        async def scenario():
            limiter = Limiter(settings)
            for _ in range(5):
                await limiter.caller(Caller("key:a", {}, ""))
            with pytest.raises(TooMany):
                await limiter.caller(Caller("key:a", {}, ""))
            await limiter.close()

        asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


# Over HTTP ---------------------------------------------------------------------------------------

LIMITS = "FASTTOKEN_SERVER_LIMITS__"
QUICK = {f"{LIMITS}HEAD_SECONDS": "0.4", f"{LIMITS}BODY_SECONDS": "0.4"}


def connect(server):
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), PATIENCE)


def everything(client):
    """All that comes until the server ends the connection; fails if it does not."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def refused_while_sending(client, more):
    """Whether the server ends a connection whose client sends on and on, and reads nothing."""
    try:
        for _ in range(10_000):
            client.sendall(more)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def statuses(answer):
    """The status of each answer in some bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


ASK = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 7}]}
BODY = json.dumps(ASK).encode()
POST = b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(BODY)
LAST = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def quick(serve_all):
    """A server that does not wait for long."""
    return serve_all("--dev", **QUICK)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\r\n",
        b"P",
        b"POST /v1/tokens HTTP/1.1\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\nx: ",
        POST,
        POST + BODY[:5],
        POST.replace(b"content-length: %d" % len(BODY), b"transfer-encoding: chunked") + b"5\r\n",
        POST + BODY + POST,
    ],
)
def test_a_client_that_stops_is_not_waited_for(quick, start):
    with connect(quick) as client:
        client.sendall(start)
        answer = everything(client)
    whole = start.count(BODY)
    assert statuses(answer) == [200] * whole + [408], answer
    assert b'"status":408' in answer


@pytest.mark.parametrize("start", [b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\n", POST])
def test_a_client_that_trickles_is_not_waited_for(quick, start):
    """It sends a byte again and again, so it never pauses; all together it takes too long."""
    with connect(quick) as client:
        client.sendall(start)
        client.settimeout(0.05)
        answer = b""
        for _ in range(PATIENCE * 20):
            try:
                client.sendall(b"x" if start is not POST else b" ")
                part = client.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            answer += part
        else:
            pytest.fail("the server was patient")
    assert statuses(answer) == [408]


def test_heads_are_limited(dev):
    def answered(head):
        with connect(dev) as client:
            client.sendall(head)
            try:
                return statuses(everything(client))
            except ConnectionResetError:
                return [431]  # it was refused before all of it was read

    get = b"GET /healthz HTTP/1.1\r\nconnection: close\r\n"
    assert answered(get + b"a: b\r\n" * 60 + b"\r\n") == [200]
    assert answered(get + b"a: b\r\n" * 64 + b"\r\n") == [431]
    assert answered(get + b"a: " + b"b" * 16_000 + b"\r\n\r\n") == [200]
    assert answered(get + b"a: " + b"b" * 16_400 + b"\r\n\r\n") == [431]
    assert answered(get + b"a: " + b"b" * 1_000_000) == [431]
    assert answered(b"GET /" + b"b" * 20_000 + b" HTTP/1.1\r\n\r\n") == [431]
    assert answered(b"GET /" + b"b" * 1_000_000) == [431]
    # A large body behind a small head is no large head.
    long = (
        POST.replace(b"length: %d" % len(BODY), b"length: 60000")
        + b'{"x":"'
        + b"x" * 59_992
        + b'"}'
    )
    assert answered(long.replace(b"host: a", b"connection: close")) == [422]


def test_bodies_are_limited(dev):
    large = b'{"channel_name":"' + b"x" * 65_536 + b'"}'
    assert dev.client.post("/v1/tokens", content=large).status_code == 413
    assert dev.client.post("/v1/tokens", content=iter([large] * 100)).status_code == 413
    # One that is announced only is refused as well: nothing waits for it.
    with connect(dev) as client:
        client.sendall(POST.replace(b"length: %d" % len(BODY), b"length: 99999999999"))
        assert statuses(everything(client)) == [413]


def test_trailers_are_limited_and_are_no_headers(serve):
    server = serve(**authenticated("caller-key"))
    chunked = b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n"
    with connect(server) as client:
        client.sendall(
            chunked + body + b"authorization: Bearer " + KEY.encode() + b"\r\n\r\n" + LAST
        )
        assert statuses(everything(client)) == [401, 200]
    with connect(server) as client:
        client.sendall(chunked + body)
        assert refused_while_sending(client, b"a: b\r\n" * 10_000)


def test_connections_are_limited(serve):
    server = serve("--dev", **{f"{LIMITS}CONNECTIONS": "5"})
    held = [connect(server) for _ in range(5)]
    for client in held:  # each is known to be there
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    with connect(server) as client:
        assert statuses(everything(client)) == [503]
    held.pop().close()
    answer = b""
    for _ in range(1000):  # the server notices the end of one in its own time
        with connect(server) as client:
            client.sendall(LAST)
            try:
                answer = everything(client)
            except ConnectionResetError:
                continue
        if statuses(answer) == [200]:
            break
    assert statuses(answer) == [200]
    for client in held:
        client.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/limits"), reason="there is no /proc")
@pytest.mark.parametrize("wanted", ["40", "1000"])
def test_files_may_be_open_for_all_connections(serve, wanted):
    resource = pytest.importorskip("resource", reason="only on POSIX")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] not in (-1,) and before[1] < 2000:
        pytest.skip("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
    try:
        server = serve("--dev", **{f"{LIMITS}CONNECTIONS": wanted})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with open(f"/proc/{server.process.pid}/limits") as file:
        [soft] = re.findall(r"^Max open files +(\d+)", file.read(), re.MULTILINE)
    assert int(soft) == max(300, int(wanted) + limits.OTHER_FILES)


def test_a_client_that_does_not_read_is_not_waited_for(serve):
    server = serve("--dev", **{f"{LIMITS}SEND_SECONDS": "0.4"})
    rows = b",".join([BODY] * 10_000)
    body = b'{"tokens":[' + rows + b"]}"
    head = b"POST /v1/tokens:batch HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    with connect(server) as client:
        client.sendall(head + body)
        client.sendall((head + body) * 3)
        assert refused_while_sending(client, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n" * 100)
    assert server.client.get("/healthz").status_code == 200


KEY = "ft_" + "k" * 43


def authenticated(name, **more):
    """Settings with one API key that may do everything."""
    digest = sha256(KEY.encode()).hexdigest()
    rule = {"name": "all", "services": ["*"], "channels": ["*"], "uid": "*", "batch": True}
    return {
        "FASTTOKEN_SERVER_AUTH__KEYS": json.dumps([{"name": name, "sha256": digest}]),
        "FASTTOKEN_SERVER_POLICY__RULES": json.dumps([rule]),
        **more,
    }


AUTH = {"authorization": f"Bearer {KEY}"}


def test_too_many_requests_over_http(serve):
    server = serve(**authenticated("mobile", **{f"{LIMITS}CALLER": "3/hour"}))
    answers = [server.client.post("/v1/tokens", json=ASK, headers=AUTH) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    last = answers[-1]
    assert last.headers["content-type"] == "application/problem+json"
    assert last.json()["status"] == 429
    assert last.headers["ratelimit-policy"] == '"caller";q=3;w=3600'
    assert int(last.headers["retry-after"]) > 0


def test_the_address_comes_from_the_socket_unless_a_proxy_is_trusted(serve):
    limit = {f"{LIMITS}ADDRESS": "2/hour"}
    unaware = serve("--dev", **limit)
    for number in range(2):
        forged = {"x-forwarded-for": f"192.0.2.{number}"}
        assert unaware.client.get("/healthz", headers=forged).status_code == 200
    assert unaware.client.get("/healthz", headers={"x-forwarded-for": "9.9.9.9"}).status_code == 429

    behind = serve("--dev", **limit, FASTTOKEN_SERVER_PROXIES='["127.0.0.1"]')
    for number in range(5):
        # The last one that is not a proxy of ours is the client; what it sent itself is not.
        seen = {"x-forwarded-for": f"9.9.9.9, 192.0.2.{number}"}
        assert behind.client.get("/healthz", headers=seen).status_code == 200
    for expected in (200, 429):
        seen = {"x-forwarded-for": f"8.8.8.{expected}, 192.0.2.0"}
        assert behind.client.get("/healthz", headers=seen).status_code == expected


def test_two_workers_share_redis(serve, redis):
    server = serve(
        "--workers",
        "2",
        **authenticated("mobile"),
        **{
            f"{LIMITS}CALLER": "20/hour",
            f"{LIMITS}REDIS": redis.url,
            f"{LIMITS}REDIS_SECONDS": "30",
        },
    )
    granted = 0
    for _ in range(60):  # each over a connection of its own, so that both workers get some
        with connect(server) as client:
            head = POST.replace(b"host: a", b"connection: close\r\nx-api-key: " + KEY.encode())
            client.sendall(head + BODY)
            granted += statuses(everything(client)) == [200]
    assert granted == 20


@pytest.mark.parametrize("bad", [b"BREW / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 20_000])
def test_a_bad_request_is_answered_on_a_connection_that_was_good(dev, bad):
    good = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    with connect(dev) as client:
        client.sendall(good)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(bad)
        assert statuses(everything(client)) in ([400], [431])


def test_no_answer_is_taken_for_that_to_another_request(dev):
    """What is wrong comes right behind a good request, whose answer is still to be sent."""
    with connect(dev) as client:
        client.sendall(POST + BODY + b"BREW / HTTP/1.1\r\n\r\n")
        assert statuses(everything(client)) in ([], [200], [200, 400])


def test_bad_requests_do_not_flood_the_log(quick):
    for _ in range(50):
        with connect(quick) as client:
            client.sendall(b"BREW\r\n\r\n")
            assert statuses(everything(client)) == [400]
    assert 1 <= quick.log.count("Invalid HTTP request") < 50


def test_each_warning_is_logged_once_a_second():
    quiet = Seldom()

    def passes(level, text, when):
        record = logging.LogRecord("x", level, "", 0, text, (), None)
        record.created = when
        return quiet.filter(record)

    assert [passes(logging.WARNING, "bad", when) for when in (10.0, 10.5, 10.9, 11.0)] == [
        True,
        False,
        False,
        True,
    ]
    assert passes(logging.WARNING, "another", 11.0)
    assert all(passes(logging.ERROR, "failed", 11.0) for _ in range(3))


# CORS --------------------------------------------------------------------------------------------

ORIGIN = "https://app.example.com"
ASKS = {"origin": ORIGIN, "access-control-request-method": "POST"}


def test_pages_of_listed_origins_may_read_answers(serve):
    server = serve(
        **authenticated("web"), FASTTOKEN_SERVER_CORS__ORIGINS=f'["{ORIGIN}","http://localhost:1"]'
    )
    answer = server.client.options("/v1/tokens", headers=ASKS)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for ask in (AUTH, {}):
        answer = server.client.post("/v1/tokens", json=ASK, headers={"origin": ORIGIN} | ask)
        assert answer.status_code == (200 if ask else 401)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["vary"] == "origin"
    for other in (
        "https://evil.example.com",
        "http://app.example.com",
        f"{ORIGIN}.evil.example",
        f"{ORIGIN}:8443",
        "https://APP.example.com",
        "null",
        "*",
        "",
    ):
        for answer in (
            server.client.options("/v1/tokens", headers=ASKS | {"origin": other}),
            server.client.post("/v1/tokens", json=ASK, headers={"origin": other} | AUTH),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize(
    "settings",
    [
        Cors(origins=("*",), credentials=True),
        Cors(origins=("*", ORIGIN)),
        Cors(origins=("https://*.example.com",)),
        Cors(origins=(ORIGIN + "/",)),
        Cors(origins=("app.example.com",)),
        Cors(origins=("null",)),
        Cors(origins=("https://a\r\nx: y",)),
        Cors(max_age=-1),
    ],
)
def test_origins_that_cannot_be_meant(settings):
    with pytest.raises(FieldError, match=r"^cors\."):
        settings.check(False)


def test_credentials_are_for_exact_origins(serve):
    server = serve(
        "--dev",
        FASTTOKEN_SERVER_CORS__ORIGINS=f'["{ORIGIN}"]',
        FASTTOKEN_SERVER_CORS__CREDENTIALS="true",
    )
    answer = server.client.post("/v1/tokens", json=ASK, headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-credentials"] == "true"
    other = server.client.post("/v1/tokens", json=ASK, headers={"origin": "https://evil.example"})
    assert "access-control-allow-credentials" not in other.headers
