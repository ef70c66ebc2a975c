"""What was handed out and what was not, to whom: one JSON line each, never with a token.

Lines are made and queued by the request, and written by a thread, a tenth of a second later at
most, so that a slow disk does not hold up answers. A token leaves only after its line was queued;
when the queue is full because nothing can be written, no token leaves.

A file is opened for appending and each write is whole lines, so that many workers share one. When
it was moved away, as logrotate does, a new one is begun.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from .._core import sha256
from ..claims import service_name
from ..errors import FieldError
from ..services import Kind, Role
from . import faults

if TYPE_CHECKING:
    from .auth import Caller
    from .desk import AnyOrder, Minted

log = logging.getLogger("fasttoken.server")

STDOUT = "-"
OFF = "off"
EVERY = 0.1  # seconds between writes
PATIENCE = 5.0  # seconds that closing waits for a disk
LINES = 256  # in one write
PIPE_BYTES = 4096  # what a pipe keeps together (PIPE_BUF)
LONGEST_TEXT = 300  # characters of what a client chose
MOST_VALUES = 20  # of a list that a client chose
NAMELESS = 20  # lines a second about requests whose caller or order is not known

# Lines -------------------------------------------------------------------------------------------


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``audit`` of the settings.

    ``file``: a path, ``"-"`` for standard output, or ``"off"``. ``queue``: how many lines may wait
    to be written before requests are refused.
    """

    file: str = OFF
    queue: int = 50_000

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""
        if not self.file:
            raise FieldError("audit.file", 'must be a path, "-" or "off"')
        if self.queue < 1:
            raise FieldError("audit.queue", "must be at least 1")


class _RtcService(msgspec.Struct, frozen=True, gc=False, tag_field="service", tag="rtc"):
    channel_name: str
    uid: int | str


class _RtcLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The line of nearly all tokens: to join one RTC channel."""

    time: datetime
    event: str
    caller: str
    address: str
    services: tuple[_RtcService]
    role: str
    version: str
    expire: int
    expires_at: int
    token: str
    request: str = ""


def fingerprint(token: str) -> str:
    """What stands for a token in logs: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(token.encode())[:8].hex()


def _ordered(order: Any) -> dict[str, Any]:
    """What was ordered, whatever it is."""
    found: dict[str, Any] = {
        "services": [_service(service) for service in order.services],
        "version": order.version,
        "expire": order.expire,
    }
    role = getattr(order, "role", None)
    if role is not None:
        found["role"] = role.name.lower() if type(role) is Role else role
    return found


def _service(service: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"service": service_name(type(service))}
    for field in service.FIELDS:
        if field.kind is not Kind.PERMISSIONS:
            found[field.name] = getattr(service, field.name)
    found["privileges"] = sorted(map(int, service.privileges))
    return found


def _brief(value: Any) -> Any:
    """A value that a client may have chosen, as a log can bear it."""
    if isinstance(value, dict):
        return {str(_brief(key)): _brief(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_brief(each) for each in value[:MOST_VALUES]]
    if isinstance(value, str):
        cut = value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "..."
        return cut.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else "(an integer of more than 64 bits)"
    return f"({type(value).__name__})"


_encode = msgspec.json.Encoder().encode
_UTC, _SUBSCRIBER = timezone.utc, Role.SUBSCRIBER  # found sooner than in their classes

# Where they go -----------------------------------------------------------------------------------


class _File:
    """A file that is appended to, or standard output."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_stdout = path == STDOUT
        self._number = 1 if self._is_stdout else self._open()
        self._torn = False  # whether the last write ended within a line

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        return os.open(self._path, flags, 0o640)

    def look(self) -> None:
        """Begins a new file if the old one was moved away."""
        if self._is_stdout:
            return
        here = os.fstat(self._number)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            pass
        else:
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
        number = self._open()
        os.close(self._number)
        self._number, self._torn = number, False

    def write(self, text: bytes) -> int:
        """Writes whole lines, and gives how many of them are written. `OSError`."""
        if self._is_stdout and len(text) > PIPE_BYTES:
            # At least one line, and as many as a pipe keeps together.
            end = text.rfind(b"\n", 0, PIPE_BYTES) + 1 or text.index(b"\n") + 1
            text = text[:end]
        if self._torn:
            text = b"\n" + text
        done = os.write(self._number, text)
        lines = text.count(b"\n", 0, done) - self._torn
        # A full disk takes a part. What there is of a line is ended then, and the line comes again.
        self._torn = not text.endswith(b"\n", 0, done) if done else self._torn
        return max(lines, 0)

    def close(self) -> None:
        """Closes the file."""
        if not self._is_stdout:
            os.close(self._number)


class AuditLog:
    """The audit log at work."""

    def __init__(self, settings: Audit, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the file. `FieldError` if it can't be opened."""
        self.on = settings.file != OFF
        self.failing = False  # whether lines can't be written
        self._failures = 0  # writes that failed
        self._most = settings.queue
        self._clock = clock
        self._queue: deque[bytes] = deque()
        self._second = self._nameless = self._skipped = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if self.on:
            try:
                self._file = _File(settings.file)
            except OSError as error:
                reason = errno.errorcode.get(error.errno or 0, "?")
                raise FieldError("audit.file", f"can't be opened ({reason})") from None

    # What happens -----------------------------------------------------------------------------

    def minted(self, caller: Caller, order: Any, minted: Minted) -> None:
        """A token was minted. `NotReady` if that can't be logged: then the token must not leave."""
        if not self.on:
            return
        if len(self._queue) >= self._most:
            self._refuse()
        when, token = datetime.fromtimestamp(self._clock(), _UTC), fingerprint(minted.token)
        if hasattr(order, "channel_name"):
            # Made here rather than by the thread, which would hold up requests for all at once.
            try:
                line = _encode(
                    _RtcLine(
                        when,
                        "minted",
                        caller.name,
                        caller.address,
                        (_RtcService(order.channel_name, order.uid),),
                        "subscriber" if order.role is _SUBSCRIBER else "publisher",
                        order.version,
                        order.expire,
                        minted.expires_at,
                        token,
                        caller.request_id,
                    )
                )
            except (TypeError, ValueError, AttributeError):
                pass  # it can't be shown as it is
            else:
                self._put(line)
                return
        details = {**_ordered(order), "expires_at": minted.expires_at, "token": token}
        self._put(self._line(when, "minted", caller, details))

    def refused(
        self,
        caller: Caller | None,
        order: AnyOrder | None,
        error: Exception,
        address: str = "",
    ) -> None:
        """A request was refused: the caller, the order, or neither was good."""
        if not self.on:
            return
        details: dict[str, Any] = {"reason": faults.reason_of(error), "detail": str(error)}
        if order is None:
            # Anybody can cause these, at any rate; the log must not drown in them.
            second = int(self._clock())
            if second != self._second:
                self._second, self._nameless = second, 0
            self._nameless += 1
            if self._nameless > NAMELESS:
                self._skipped += 1
                return
            if self._skipped:
                details["skipped"], self._skipped = self._skipped, 0
        else:
            details |= _ordered(order)
        if caller is None or not caller.name:
            details["address"] = address
            caller = None
        self._add("refused", caller, details)

    def event(self, name: str, **details: object) -> None:
        """Something happened to the server: settings were read again, for one."""
        if self.on:
            self._add(name, None, details)

    def take_failures(self) -> int:
        """How many writes failed since this was asked last."""
        found, self._failures = self._failures, 0
        return found

    def _refuse(self) -> None:
        header = ((b"retry-after", b"1"),)
        raise faults.NotReady("the audit log can't be written", header, "audit_full")

    def _add(self, event: str, caller: Caller | None, details: dict[str, Any]) -> None:
        if len(self._queue) < self._most:
            when = datetime.fromtimestamp(self._clock(), _UTC)
            self._put(self._line(when, event, caller, details))

    def _put(self, line: bytes) -> None:
        self._queue.append(line)
        if self._thread is None:
            # With the first line, and so in the process that has it.
            self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
            self._thread.start()

    @staticmethod
    def _line(when: datetime, event: str, caller: Caller | None, details: dict[str, Any]) -> bytes:
        """A line, encoded at once: what a client chose is cut to length before it is kept. JSON
        escapes whatever would break the line."""
        data: dict[str, Any] = {"time": when, "event": event}
        if caller is not None:
            data |= {"caller": _brief(caller.name), "address": _brief(caller.address)}
            if caller.request_id:
                data["request"] = _brief(caller.request_id)
        return _encode(data | _brief(details))

    # Writing ----------------------------------------------------------------------------------

    def _run(self) -> None:
        last = False
        while not last:
            last = self._closing.wait(EVERY)
            try:
                self._file.look()
                while self._queue:
                    self._write()
            except OSError as error:
                first, self.failing = not self.failing, True
                self._failures += 1
                if first:
                    reason = errno.errorcode.get(error.errno or 0, "?")
                    log.error("the audit log can't be written (%s)", reason)
            else:
                self.failing = False

    def _write(self) -> None:
        lines = [self._queue.popleft() for _ in range(min(LINES, len(self._queue)))]
        done = 0
        try:
            done = self._file.write(b"".join([line + b"\n" for line in lines]))
        finally:
            self._queue.extendleft(reversed(lines[done:]))

    def close(self) -> None:
        """Writes what is left. From here on nothing can be logged, and so nothing minted."""
        self._most = 0
        self._closing.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            if self._thread.is_alive() or self._queue:
                log.error("%d lines of the audit log were not written", len(self._queue))
                return
        if self.on:
            self._file.close()
