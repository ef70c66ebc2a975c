"""Many tokens from one layout: constant bytes with slots that columns fill, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .._numpy import np
from .deflate import deflate
from .encode import encode
from .pack import crc32, pack_i16, pack_str, pack_u32
from .salt import random_salt
from .sign import Certificate

if TYPE_CHECKING:
    import numpy.typing as npt


class SlotKind(IntEnum):
    """What a slot writes of its column."""

    U32 = 0  # a number as u32
    I16 = 1  # a number as i16
    STR = 2  # a text after its length as u16; a number as decimal text, 0 as ""
    RAW = 3  # the same without the length
    ISSUE_TS = 4  # the issue timestamp as u32 (it has no column)
    SALT = 5  # the salt as u32 (it has no column)


class Slot(NamedTuple):
    """A place in a layout that a column fills."""

    kind: SlotKind
    column: int = -1


class Envelope(IntEnum):
    """How a signed body becomes a token."""

    ACCESS_TOKEN = 6
    ACCESS_TOKEN2 = 7


class Check(NamedTuple):
    """What a column may hold without a second look: integers in ``low..high``, and texts of
    ``shortest`` to ``longest`` bytes whose entries in the table ``allowed`` (256 bytes) are not 0.

    ``absolute``: an integer is given in seconds from the issue timestamp, and the token holds the
    absolute time.
    """

    low: int = 1
    high: int = 0
    allowed: bytes = bytes(256)
    longest: int = 0
    shortest: int = 1
    absolute: bool = False

    def passes(self, value: object) -> bool:
        """Whether a value is a plain int or str that needs no second look."""
        if type(value) is int:
            return self.low <= value <= self.high
        if type(value) is not str:
            return False
        try:
            text = value.encode()
        except UnicodeEncodeError:
            return False
        fits = self.shortest <= len(text) <= self.longest
        return fits and all(self.allowed[byte] for byte in text)


_U32 = Check(0, 0xFFFF_FFFF)

Segment: TypeAlias = bytes | Slot
Column: TypeAlias = "npt.NDArray[Any] | tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]"


class Layout:
    """Bodies with slots, one for each choice that a row can make.

    ``prefix`` is what a token begins with. A body of the 006 envelope starts with three segments
    that only its signature covers (App ID, channel name, uid); the message follows. For
    `mint_checked`, ``checks`` has one entry a column, and ``choices`` what callers may name each
    variant by: by default its number.
    """

    def __init__(
        self,
        envelope: Envelope,
        prefix: str,
        variants: Sequence[Sequence[Segment]],
        checks: Sequence[Check] = (),
        choices: Mapping[object, int] | None = None,
    ) -> None:
        self.envelope = envelope
        self.prefix = prefix
        self.variants = tuple(tuple(segments) for segments in variants)
        self.checks = tuple(checks)
        self.choices: dict[object, int] = {at: at for at in range(len(self.variants))}
        if choices is not None:
            self.choices = dict(choices)


Value: TypeAlias = int | bytes  # what one row has in a column


def _value(column: Column, row: int) -> Value:
    if isinstance(column, tuple):
        data, offsets = column
        return data[offsets[row] : offsets[row + 1]].tobytes()
    return int(column[row])


def _text(value: Value) -> bytes:
    """A text, or a number in decimal with 0 as the empty text."""
    return value if isinstance(value, bytes) else b"%d" % value if value else b""


def _fill(segment: Segment, issue_ts: int, salt: int, values: Sequence[Value]) -> bytes:
    """The bytes of a segment."""
    if isinstance(segment, bytes):
        return segment
    if segment.kind is SlotKind.ISSUE_TS:
        return pack_u32(issue_ts)
    if segment.kind is SlotKind.SALT:
        return pack_u32(salt)
    value = values[segment.column]
    if segment.kind is SlotKind.STR:
        return pack_str(_text(value))
    if segment.kind is SlotKind.RAW:
        return _text(value)
    pack = pack_u32 if segment.kind is SlotKind.U32 else pack_i16
    return pack(value)  # type: ignore[arg-type]


def mint_one(
    layout: Layout,
    certificate: Certificate,
    issue_ts: int,
    salt: int,
    values: Sequence[Value],
    choice: int = 0,
) -> str:
    """One token. ``values`` has an int or bytes for each column, ``choice`` is its variant."""
    parts = [_fill(segment, issue_ts, salt, values) for segment in layout.variants[choice]]
    if layout.envelope is Envelope.ACCESS_TOKEN2:
        body = b"".join(parts)
        signature = certificate.sign_access_token2(issue_ts, salt, body)
        return layout.prefix + encode(deflate(pack_str(signature) + body))
    signature = certificate.sign_access_token(b"".join(parts))
    crcs = pack_u32(crc32(parts[1])) + pack_u32(crc32(parts[2]))
    return layout.prefix + encode(pack_str(signature) + crcs + pack_str(b"".join(parts[3:])))


def mint_checked(
    layout: Layout,
    certificate: Certificate,
    clock: Callable[[], float],
    issue_ts: int | None,
    salt: int | None,
    values: tuple[object, ...],
    choice: object = 0,
) -> str | None:
    """One token, as `mint_one` makes it, or None if anything needs a second look.

    ``values`` has what the caller gave for each column, ``choice`` how it named the variant.
    ``issue_ts`` and ``salt`` are plain if they are ints that fit u32; None is what ``clock``
    says, in Unix seconds, and a random salt.
    """
    issued = int(clock()) if issue_ts is None else issue_ts
    salted = random_salt() if salt is None else salt
    if not (_U32.passes(issued) and _U32.passes(salted)):
        return None
    ready: list[Value] = []
    for value, check in zip(values, layout.checks, strict=True):
        if not check.passes(value):
            return None
        if isinstance(value, str):
            value = value.encode()
        elif check.absolute and isinstance(value, int):
            value += issued
            if not _U32.passes(value):
                return None
        ready.append(value)  # type: ignore[arg-type]
    try:
        variant = None if type(choice) is bool else layout.choices.get(choice)
    except TypeError:  # it can't be a key
        return None
    if variant is None:
        return None
    return mint_one(layout, certificate, issued, salted, ready, variant)


def mint_bound(layout: Layout, columns: Sequence[Column], start: int, stop: int) -> int:
    """As many bytes as the tokens of rows ``start`` to ``stop`` take at most."""
    rows = stop - start
    most: dict[int, int] = {}  # how often a token holds each column as text
    # 006 tokens do without the first three segments of what is signed.
    held = 3 if layout.envelope is Envelope.ACCESS_TOKEN else 0
    for segments in layout.variants:
        slots = [segment for segment in segments[held:] if isinstance(segment, Slot)]
        texts = [slot.column for slot in slots if slot.kind in _TEXTS]
        for column in texts:
            most[column] = max(most.get(column, 0), texts.count(column))
    size = sum(times * _text_bytes(columns[at], start, stop) for at, times in most.items())
    # 44 bytes at most stand before a body; the stream of a 007 token is at most 16 bytes and a
    # thousandth longer than what it holds (a stored block); base64 makes four bytes of three.
    fixed = max(sum(map(_fixed_bytes, segments[held:])) for segments in layout.variants)
    size += rows * (fixed + 44)
    if layout.envelope is Envelope.ACCESS_TOKEN2:
        size += size // 1000 + 16 * rows
    return size // 3 * 4 + rows * (len(layout.prefix) + 4) + 4


_TEXTS = (SlotKind.STR, SlotKind.RAW)
_BYTES = {SlotKind.I16: 2, SlotKind.STR: 2, SlotKind.RAW: 0}  # 4 for the others


def _fixed_bytes(segment: Segment) -> int:
    return len(segment) if isinstance(segment, bytes) else _BYTES.get(segment.kind, 4)


def _text_bytes(column: Column, start: int, stop: int) -> int:
    if not isinstance(column, tuple):
        return 10 * (stop - start)  # digits
    data, offsets = column
    inside = 0 <= offsets[start] <= offsets[stop] <= len(data)
    return int(offsets[stop] - offsets[start]) if inside else 0


def mint(
    layout: Layout,
    certificate: Certificate,
    issue_ts: npt.NDArray[np.uint32],
    salts: npt.NDArray[np.uint32],
    columns: Sequence[Column],
    choices: npt.NDArray[np.uint8] | None,
    skip: npt.NDArray[np.bool_] | None,
    start: int,
    stop: int,
    room: npt.NDArray[np.uint8],
    begins: npt.NDArray[np.int64],
) -> int:
    """Writes the tokens of rows ``start`` to ``stop`` to ``room``, one after the other, and where
    each begins to ``begins``, and behind them where the last one ends; returns that.

    ``issue_ts`` has one value for all rows, or one a row; ``choices`` says which variant a row
    takes (None: the first); a row that ``skip`` marks gets no bytes. A column is an array of
    uint32 (int16 for an I16 slot), or the data (uint8) and offsets of texts. `mint_bound` tells
    how large the room has to be.
    """
    size = 0
    for row in range(start, stop):
        begins[row - start] = size
        if skip is not None and skip[row]:
            continue
        token = mint_one(
            layout,
            certificate,
            int(issue_ts[row if len(issue_ts) > 1 else 0]),
            int(salts[row]),
            [_value(column, row) for column in columns],
            0 if choices is None else int(choices[row]),
        ).encode()
        if len(token) > len(room) - size:
            raise ValueError("the tokens do not fit the room")
        room[size : size + len(token)] = np.frombuffer(token, np.uint8)
        size += len(token)
    begins[stop - start] = size
    return size


def text_column(
    values: Sequence[object],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[int]]:
    """Texts as one buffer and its offsets, and the rows that are no str or no valid Unicode
    (these are empty in the buffer)."""
    texts, bad = [], []
    for row, value in enumerate(values):
        try:
            texts.append(value.encode() if isinstance(value, str) else b"")
        except UnicodeEncodeError:
            texts.append(b"")
            bad.append(row)
            continue
        if not isinstance(value, str):
            bad.append(row)
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), np.uint8), offsets, bad


def suspects(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[Any], allowed: bytes, longest: int
) -> npt.NDArray[np.bool_]:
    """Which texts a rule has to look at: those that are empty, longer than ``longest`` bytes, or
    have a byte whose entry in the table ``allowed`` (256 bytes) is 0."""
    bad = np.concatenate([[0], np.cumsum(np.frombuffer(allowed, np.uint8)[data] == 0)])
    sizes = np.diff(offsets)
    marked: npt.NDArray[np.bool_] = (sizes == 0) | (sizes > longest)
    marked |= bad[offsets[1:]] != bad[offsets[:-1]]
    return marked


def token_list(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[str]:
    """Each token as a str."""
    text, bounds = data.tobytes().decode("ascii"), offsets.tolist()
    return [text[bounds[row] : bounds[row + 1]] for row in range(len(bounds) - 1)]
