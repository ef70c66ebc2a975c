"""uvicorn's HTTP protocol with the limits that it lacks, and with answers in one piece.

uvicorn 0.54 with httptools waits for ever for a request's head and body and for a client that does
not read its answer, takes heads of any size, and counts a connection only when a request on it is
complete. Here each connection has a deadline for what it waits for.

It also writes head and body of an answer apart, and each answer by itself; a client on the same
machine, or a proxy, is woken by every write, at the server's cost.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)


class Seldom(logging.Filter):
    """Lets each warning through once a second: anybody can cause those about bad requests."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged; errors always are."""
        if record.levelno > logging.WARNING:
            return True
        if record.created - self._last.get(record.msg, 0.0) < 1:
            return False
        self._last[record.msg] = record.created  # texts of uvicorn's: there are a few
        return True


log = logging.getLogger("fasttoken.server.http")
log.setLevel(logging.INFO)
log.addFilter(Seldom())


MOST_HEADS = 1000  # that are kept
TOGETHER = 16  # answers: the first must not wait long for the last

# Limits -------------------------------------------------------------------------------------------


class Guards(NamedTuple):
    """The limits of a connection: numbers only, since it goes to the worker processes."""

    connections: int
    head_bytes: int
    head_fields: int
    head_seconds: float
    body_bytes: int
    body_seconds: float
    send_seconds: float


class HeadTooLarge(Exception):
    """A request's head is over the limits. httptools makes a parser error of it."""


def _answer(status: bytes, detail: bytes) -> bytes:
    """A whole answer, as problem details, for what the application never sees."""
    code = status.partition(b" ")[0]
    body = b'{"title":"%s","status":%s,"detail":"%s"}' % (status[4:], code, detail)
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(body), body)
    )


_BUSY = _answer(b"503 Service Unavailable", b"there are too many connections")
_SLOW = _answer(b"408 Request Timeout", b"the request did not arrive in time")
_LARGE = _answer(b"431 Request Header Fields Too Large", b"the request's head is too large")
_LONG = _answer(b"413 Request Entity Too Large", b"the body is too large")
_BAD = _answer(b"400 Bad Request", b"this is no valid HTTP request")


# Answers ------------------------------------------------------------------------------------------

_heads: dict[tuple[int, Any, int], bytes] = {}


def _head(status: int, headers: Any, size: int) -> bytes:
    """The head of an answer up to the date. `ValueError` if a header would break it."""
    found = _heads.get((status, headers, size))
    if found is None:
        lines = [b"%b: %b\r\n" % header for header in (*headers, (b"content-length", b"%d" % size))]
        found = STATUS_LINE[status] + b"".join(lines)
        ends = len(lines) + 1
        if found.count(b"\n") != ends or found.count(b"\r") != ends or b"\0" in found:
            raise ValueError("a header must not hold the end of a line")
        if len(_heads) >= MOST_HEADS:
            _heads.clear()
        _heads[status, headers, size] = found
    return found


class Outbox:
    """Whole answers that wait to leave: those of requests that came together leave together."""

    def __init__(self) -> None:
        self._waiting: dict[Any, bytes] = {}

    def put(self, transport: Any, answer: bytes) -> None:
        """Sends an answer with the others of this turn of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting[transport] = answer
        if len(self._waiting) == TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Sends what waits."""
        waiting, self._waiting = self._waiting, {}
        for transport, answer in waiting.items():
            if not transport.is_closing():
                transport.write(answer)

    def settle(self, transport: Any) -> None:
        """Sends what waits for one connection, before something else happens to it."""
        answer = self._waiting.pop(transport, b"")
        if answer and not transport.is_closing():
            transport.write(answer)


_outbox = Outbox()  # of the one loop that a process has


class Cycle(RequestResponseCycle):
    """A request and its answer, without the detours of uvicorn's for what is usual."""

    tasks: set[asyncio.Task[None]]  # requests under way, on all connections
    _body_given = False

    async def receive(self) -> Any:
        """Gives the body, without a wait if it is there already."""
        if self._body_given or self.more_body or self.disconnected:
            return await super().receive()
        self._body_given = True
        self.message_event.clear()
        self.flow.resume_reading()
        return {"type": "http.request", "body": bytes(self.body), "more_body": False}

    def answer(self, status: int, headers: Any, body: bytes) -> bool:
        """Sends a whole answer in one piece, with the length of its body, and says so; if there is
        something special about the request, leaves it to `send`, which writes head and body apart.

        `ValueError` for a header that can't be sent.
        """
        if (
            not self.keep_alive
            or self.disconnected
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
        ):
            return False
        [(_, date)] = self.default_headers
        head = _head(status, headers, len(body))
        text = b"%bdate: %b\r\n\r\n%b" % (head, date, body)
        if len(self.tasks) == 1:
            self.transport.write(text)
        else:
            _outbox.put(self.transport, text)
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True


# Connections --------------------------------------------------------------------------------------


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, guards: Guards, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = log
        self._guards = guards
        self._since: float | None = None  # when it began to wait for what it waits for
        self._seconds = guards.head_seconds  # and how long it may
        self._unread: float | None = None  # since when the client has not read what was sent
        self._came = 0  # bytes of this request, with whatever came along with them
        # Chunks may be tiny: each byte of a body then comes with five of its own.
        self._most = guards.head_bytes + 8 * guards.body_bytes
        self._too_large = False
        self._idle = False  # whether it waits for another request
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client connected: it is sent away at once if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._guards.connections:
            transport.write(_BUSY)
            transport.close()
        self._since = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came. What they leave the connection to wait for decides on the deadline."""
        self._came += len(data)
        if self._idle:
            self._idle, self._since = False, None
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            # Still in a head, or in front of one.
            if self._came > self._guards.head_bytes:
                self._end(_LARGE)
        elif cycle.more_body:
            if self._came > self._most or len(self.headers) > self._guards.head_fields:
                self._end(_LONG)
            if self._seconds != self._guards.body_seconds or self._since is None:
                self._since, self._seconds = self.loop.time(), self._guards.body_seconds
            return
        elif not cycle.response_complete:
            self._came = 0
            self._since = None
            return
        if self._since is None:
            self._since, self._seconds = self.loop.time(), self._guards.head_seconds

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.__class__, cycle.tasks = Cycle, self.tasks
        super()._start_asgi_task(cycle, app)

    def on_headers_complete(self) -> None:
        """A head is complete: it is refused here if it is too large, before anything sees it."""
        size = len(self.url)
        if self._came > self._guards.head_bytes:
            size += sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._guards.head_bytes or len(self.headers) > self._guards.head_fields:
            self._too_large = True
            raise HeadTooLarge
        super().on_headers_complete()
        # Trailers must not join the headers: they would pass for what a proxy in front had said.
        self.headers = []

    def on_response_complete(self) -> None:
        """An answer was sent. uvicorn would start a timer for each; `_look` sees to it here."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle = True
            self._since, self._seconds = self.loop.time(), self.timeout_keep_alive

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or its head is too large."""
        self._end(_LARGE if self._too_large else _BAD)

    def shutdown(self) -> None:
        """The server ends. An idle client is not waited for: under TLS it might never answer."""
        _outbox.settle(self.transport)
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent."""
        self._unread = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client read."""
        self._unread = None
        super().resume_writing()

    def _end(self, answer: bytes) -> None:
        """Ends the connection; with an answer, where that can't be taken for another request's."""
        _outbox.settle(self.transport)
        if self.transport.is_closing():
            return
        cycle = self.cycle
        idle = cycle is None or cycle.response_complete
        if (idle or (cycle.more_body and not cycle.response_started)) and not self.pipeline:
            self.transport.write(answer)
        self.transport.close()

    def _look_later(self) -> None:
        guards = self._guards
        soonest = min(
            guards.head_seconds,
            guards.body_seconds,
            guards.send_seconds,
            self.timeout_keep_alive,
        )
        self._timer = self.loop.call_later(max(soonest / 4, 0.05), self._look)

    def _look(self) -> None:
        """Ends the connection if it waited too long; else looks again later."""
        now = self.loop.time()
        if self._unread is not None and now - self._unread > self._guards.send_seconds:
            self.transport.abort()
        elif self._since is not None and now - self._since > self._seconds:
            if self.transport.is_closing():
                self.transport.abort()  # its last answer is still unread
            elif self._idle:
                self.transport.close()
            else:
                self._since = now
                self._end(_SLOW)
        elif self.transport.is_closing() and self._since is None:
            self._since, self._seconds = now, self._guards.send_seconds
        self._look_later()
