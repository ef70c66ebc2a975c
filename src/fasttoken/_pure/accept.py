"""Which 007 tokens of a column are plainly acceptable; everything else needs a second look."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .._numpy import np
from ..errors import MalformedToken
from .batch import Check, Column, _text, _value
from .deflate import inflate
from .encode import decode
from .sign import Certificate

if TYPE_CHECKING:
    import numpy.typing as npt

PREFIX = "007"
SIGNATURE_BYTES = 32
LONGEST_STREAM = 2048  # characters and bytes beyond which a token gets a second look
LONGEST_BODY = 2048

Asked: TypeAlias = "Column | None"  # nothing, one value for all rows, or one a row


class PatternField(NamedTuple):
    """A text of a service: what it may be, and whether one was asked for: 0 none, 1 the channel,
    2 the user."""

    check: Check
    asked: int


class Pattern(NamedTuple):
    """A service: its type, the privilege without which it is of no use, those of which it needs
    another (none if empty), and its texts."""

    type: int
    entry: int
    one_of: tuple[int, ...]
    fields: tuple[PatternField, ...]


class Question(NamedTuple):
    """What makes a token acceptable.

    The first of ``patterns`` must stand in it, the others may follow. ``now`` is in Unix seconds,
    ``leeway`` and ``longest_lifetime`` in seconds, ``longest_token`` in characters.
    """

    patterns: tuple[Pattern, ...]
    app_id: bytes
    now: int
    leeway: int
    longest_lifetime: int
    longest_token: int


class _SecondLook(Exception):
    """Raised where a token is not plainly good."""


class _Cursor:
    """A position in bytes that stays inside them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise _SecondLook
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def text(self) -> bytes:
        return self.take(self.number("<H"))


def _demand(good: bool) -> None:
    if not good:
        raise _SecondLook


def _service_ends(
    question: Question,
    pattern: Pattern,
    cursor: _Cursor,
    issue_ts: int,
    expire: int,
    first: bool,
    asked: tuple[bytes | None, bytes | None],
) -> int:
    """When the entry privilege of a service that fits its pattern ends."""
    _demand(cursor.number("<H") == pattern.type)
    granted: dict[int, int] = {}
    last = -1
    for _ in range(cursor.number("<H")):
        key, seconds = cursor.number("<H"), cursor.number("<I")
        _demand(seconds <= expire and key > last)
        granted[key] = seconds
        last = key
    _demand(pattern.entry in granted)
    _demand(not pattern.one_of or any(key in granted for key in pattern.one_of))
    seconds = granted[pattern.entry]
    end = issue_ts + (seconds or expire)
    _demand(question.now < end + question.leeway)
    _demand(first or not seconds)
    for check, which in pattern.fields:
        text = cursor.text()
        _demand(0 < len(text) <= check.longest and all(check.allowed[byte] for byte in text))
        if which and asked[which - 1] is not None:
            _demand(asked[which - 1] == text)
    return end


def _accept(
    question: Question,
    certificates: Sequence[Certificate],
    token: bytes,
    asked: tuple[bytes | None, bytes | None],
) -> tuple[int, int]:
    """1 + the certificate that signed the token, and when it ends."""
    _demand(len(token) <= question.longest_token and token.startswith(PREFIX.encode()))
    _demand(len(token) - len(PREFIX) <= LONGEST_STREAM)
    try:
        encoded = token[len(PREFIX) :].decode("ascii")
        content = inflate(decode(encoded), 2 + SIGNATURE_BYTES + LONGEST_BODY)
    except (MalformedToken, UnicodeDecodeError):
        raise _SecondLook from None
    cursor = _Cursor(content)
    signature = cursor.text()
    _demand(len(signature) == SIGNATURE_BYTES)
    body = content[cursor.at :]
    _demand(cursor.text() == question.app_id)
    issue_ts, expire, salt = (cursor.number("<I") for _ in range(3))
    services = cursor.number("<H")
    _demand(0 < services <= len(question.patterns))
    _demand(0 < expire <= question.longest_lifetime)
    ends = issue_ts + expire
    _demand(issue_ts <= question.now + question.leeway and question.now < ends + question.leeway)
    for number in range(services):
        pattern = question.patterns[number]
        end = _service_ends(question, pattern, cursor, issue_ts, expire, number == 0, asked)
        ends = min(ends, end)
    _demand(cursor.at == len(content))
    for number, certificate in enumerate(certificates):
        expected = certificate.sign_access_token2(issue_ts, salt, body)
        if hmac.compare_digest(signature, expected):
            return number + 1, ends
    raise _SecondLook


def accept(
    question: Question,
    certificates: Sequence[Certificate],
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[Any],
    channel_names: Asked,
    uids: Asked,
    start: int,
    stop: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """For rows ``start`` to ``stop`` of a column of tokens: 0 if the row needs a second look, else
    1 + the certificate that signed it; and when it ends, in Unix seconds (0 if unknown).

    ``certificates`` are at most two. What is asked is a column of texts or uint32 numbers, with
    one row for all tokens or one a token.
    """
    which = np.zeros(max(stop - start, 0), np.uint8)
    ends = np.zeros(max(stop - start, 0), np.int64)

    def asked(column: Asked, row: int) -> bytes | None:
        if column is None:
            return None
        rows = len(column[1]) - 1 if isinstance(column, tuple) else len(column)
        return _text(_value(column, row if rows > 1 else 0))

    for row in range(start, stop):
        token = data[offsets[row] : offsets[row + 1]].tobytes()
        question_of_row = asked(channel_names, row), asked(uids, row)
        try:
            which[row - start], ends[row - start] = _accept(
                question, certificates, token, question_of_row
            )
        except _SecondLook:
            continue
    return which, ends
