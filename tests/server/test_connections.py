"""How answers leave: whole, together, in order, and none into a connection that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from conftest import PATIENCE

from fasttoken.server.connections import TOGETHER, Outbox, _head

pytestmark = pytest.mark.once


# Heads --------------------------------------------------------------------------------------------


def test_a_head():
    headers = ((b"content-type", b"text/plain"), (b"allow", b"GET"))
    assert _head(404, headers, 12).split(b"\r\n") == [
        b"HTTP/1.1 404 Not Found",
        b"content-type: text/plain",
        b"allow: GET",
        b"content-length: 12",
        b"",
    ]
    assert b"content-length: 13\r\n" in _head(404, headers, 13)


@pytest.mark.parametrize(
    "header",
    [
        (b"a", b"b\r\nset-cookie: c"),
        (b"a", b"b\nc"),
        (b"a", b"b\rc"),
        (b"a\r\nb", b"c"),
        (b"a", b"b\0"),
    ],
)
def test_a_header_cannot_bring_another(header):
    with pytest.raises(ValueError, match="a header must not hold the end of a line"):
        _head(200, (header,), 0)


# Answers that wait --------------------------------------------------------------------------------


class Watched(asyncio.Protocol):
    """Tells when its connection is gone."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def connected(number: int) -> AsyncIterator[list[tuple[asyncio.Transport, socket.socket]]]:
    """Transports of the running loop, each with the socket that reads what it writes."""
    loop = asyncio.get_running_loop()
    made = []
    try:
        for _ in range(number):
            here, there = socket.socketpair()
            here.setblocking(False)
            there.settimeout(PATIENCE)
            transport, _protocol = await loop.create_connection(Watched, sock=here)
            made.append((transport, there))
        yield made
    finally:
        for transport, there in made:
            transport.abort()
            there.close()


def sent(there: socket.socket) -> bytes:
    """What has been sent by now."""
    there.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return there.recv(65536)
    return b""


def run(test) -> None:
    """Runs a test on the loop that the server has."""
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(test())
    finally:
        loop.close()


def test_answers_of_one_turn_leave_at_its_end():
    async def test():
        outbox = Outbox()
        async with connected(2) as [(one, reads_one), (two, reads_two)]:
            outbox.put(one, b"first")
            outbox.put(two, b"second")
            assert (sent(reads_one), sent(reads_two)) == (b"", b"")
            await asyncio.sleep(0)
            assert (sent(reads_one), sent(reads_two)) == (b"first", b"second")

    run(test)


def test_the_first_answer_does_not_wait_for_many():
    async def test():
        outbox = Outbox()
        async with connected(TOGETHER) as made:
            for transport, _ in made[:-1]:
                outbox.put(transport, b"answer")
            assert sent(made[0][1]) == b""
            outbox.put(made[-1][0], b"answer")
            assert [sent(there) for _, there in made] == [b"answer"] * TOGETHER

    run(test)


def test_what_waits_goes_before_what_is_written_next():
    async def test():
        outbox = Outbox()
        async with connected(1) as [(transport, there)]:
            outbox.put(transport, b"waits, ")
            outbox.settle(transport)
            transport.write(b"comes next")
            await asyncio.sleep(0)
            assert sent(there) == b"waits, comes next"

    run(test)


def test_a_connection_that_is_gone_holds_up_nobody():
    async def test():
        outbox = Outbox()
        async with connected(3) as [(gone, _), (going, _), (other, there)]:
            gone.abort()
            await gone.get_protocol().lost.wait()
            await asyncio.sleep(0)  # its handle is closed for good
            for transport in (gone, going, other):
                outbox.put(transport, b"answer")
            going.close()
            outbox.settle(going)
            await asyncio.sleep(0)
            assert sent(there) == b"answer"

    run(test)


# Connections --------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_without_a_word(dev):
    host, port = dev.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_head_is_asked_for_alone_on_a_connection_that_goes_on(dev):
    host, port = dev.url.removeprefix("http://").split(":")
    one = b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(
            one + one.replace(b"HEAD", b"GET") + one.replace(b"x\r", b"x\r\nConnection: close\r")
        )
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    heads = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [head.partition(b"\r\n\r\n")[2] != b"" for head in heads] == [False, True, False]
