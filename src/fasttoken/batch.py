"""Columns in, many tokens out: a template of services becomes a layout, and the core mints it.

A column is a list or tuple, a NumPy array, or whatever speaks the Arrow PyCapsule interface; text
and integer arrays are read where they lie. Everything that is no column is packed once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from . import arrow, rules
from ._core import (
    Certificate,
    Envelope,
    Layout,
    Slot,
    SlotKind,
    mint,
    pack_map32,
    pack_str,
    pack_u16,
    pack_u32,
    suspects,
    text_column,
)
from .arrow import Numbers, Text, Tokens
from .errors import BadRow, FieldError, RowsError
from .formats import access_token, access_token2
from .formats.access_token2 import by_type, pack_field, pack_permissions
from .services import ROLES, Kind, Role, Service, role

Output: TypeAlias = Literal["list", "arrow", "numpy"]
Errors: TypeAlias = Literal["raise", "null"]
Segments: TypeAlias = list[bytes | Slot]

_ANY_BUT_STAR = bytes(byte != ord(rules.WILDCARD) for byte in range(256))
_CHANNEL = bytes(chr(byte) in rules.CHANNEL_CHARACTERS for byte in range(256))
_LONGEST = {
    rules.channel_name: rules.CHANNEL_BYTES,
    rules.rtm_user_id: rules.RTM_USER_BYTES,
}
# Roles of 006 that publish: attendee and admin, both deprecated.
ROLES_006 = (0, 101)
JOIN_AND_PUBLISH = (
    access_token.Privilege.JOIN_CHANNEL,
    access_token.Privilege.PUBLISH_AUDIO,
    access_token.Privilege.PUBLISH_VIDEO,
    access_token.Privilege.PUBLISH_DATA,
)
_POOL = 16_384  # rows below which a second thread costs more than it saves


def random_salts(rows: int) -> npt.NDArray[np.uint32]:
    """Salts for ``rows`` tokens, uniform in 1..99999999, from the operating system's secure
    source in bulk."""
    salts = np.empty(rows, np.uint32)
    filled = 0
    while filled < rows:
        # 27 bits hold 99999999 and reject one draw in four: no remainder, no bias.
        drawn = np.frombuffer(os.urandom(4 * ((rows - filled) * 4 // 3 + 16)), "<u4") & 0x7FF_FFFF
        drawn = drawn[drawn < rules.SALT_MAX][: rows - filled]
        salts[filled : filled + len(drawn)] = drawn
        filled += len(drawn)
    return salts + np.uint32(1)


def is_column(value: object) -> bool:
    """Whether a value is a column rather than one value for all rows."""
    return isinstance(value, list | tuple | np.ndarray) or arrow.is_column(value)


class Columns:
    """The columns of a batch: read and checked once each, with the rows that break a rule."""

    def __init__(self, allow_wildcard: bool, strict_lifetime: bool) -> None:
        self.allow_wildcard = allow_wildcard
        self.strict_lifetime = strict_lifetime
        self.rows: int | None = None
        self.buffers: list[Any] = []
        self.bad: dict[int, BadRow] = {}
        self._seen: dict[tuple[int, object], Slot] = {}
        self._kept: list[object] = []  # what _seen knows by id, and what buffers borrow from

    def _length(self, field: str, rows: int) -> None:
        if self.rows is None:
            self.rows = rows
        elif rows != self.rows:
            raise FieldError(field, f"has {rows} rows where other columns have {self.rows}")

    def _explain(
        self, field: str, rows: npt.NDArray[Any], rule: Callable[[Any], Any], value: Callable[[int], Any]
    ) -> None:
        """Puts every suspect row before the rule that a single value has to pass."""
        for row in rows.tolist():
            try:
                rule(value(row))
            except FieldError as error:
                self.reject(row, field, error.reason)

    def reject(self, row: int, field: str, reason: str) -> None:
        """Marks a row as bad; the first reason stands."""
        self.bad.setdefault(row, BadRow(row, field, reason))

    def _nulls(self, field: str, nulls: npt.NDArray[np.bool_] | None) -> None:
        if nulls is not None:
            for row in np.flatnonzero(nulls).tolist():
                self.reject(row, field, "is missing")

    def _slot(
        self, kind: SlotKind, value: object, rule: object, read: Callable[[], Any]
    ) -> Slot:
        """The slot of a column; one that several slots share by the same rule is read once."""
        key = (id(value), rule)
        if key not in self._seen:
            self.buffers.append(read())
            self._seen[key] = Slot(kind, len(self.buffers) - 1)
            self._kept.append(value)
        return Slot(kind, self._seen[key].column)

    # Integers ---------------------------------------------------------------------------------

    def numbers(
        self, field: str, value: Any, dtype: str, low: int, high: int, rule: Callable[[Any], Any]
    ) -> npt.NDArray[Any]:
        """A column of integers as ``dtype``; values outside ``low..high`` go before the rule."""
        column = arrow.read(field, value) if arrow.is_column(value) else None
        if isinstance(column, Text):
            raise FieldError(field, "must be a column of integers, not of text")
        if column is not None:
            self._kept.append(column.owner)
            self._length(field, len(column.values))
            self._nulls(field, column.nulls)
            values, valid = column.values, column.nulls
        else:
            values, valid = self._integers(field, value), None
            self._length(field, len(values))
        if values.dtype == object:
            outside = np.ones(len(values), np.bool_)
        else:
            outside = (values < low) | (values > high)
        if valid is not None:
            outside &= ~valid
        if outside.any():
            self._explain(field, np.flatnonzero(outside), rule, lambda row: _plain(values[row]))
        if values.dtype == object:
            return np.array([v if _fits(v, low, high) else low for v in values], dtype)
        return np.ascontiguousarray(values.astype(dtype, copy=False))

    def _integers(self, field: str, value: Any) -> npt.NDArray[Any]:
        if isinstance(value, np.ndarray):
            if value.ndim != 1 or value.dtype.kind not in "iuO":
                raise FieldError(
                    field,
                    f"must be a one-dimensional column of integers, not {value.dtype}",
                    "pandas makes floats of integers where values are missing: use Int64"
                    if value.dtype.kind == "f"
                    else "",
                )
            return value
        if set(map(type, value)) <= {int}:
            try:
                return np.array(value, np.int64)
            except OverflowError:
                pass
        values = np.empty(len(value), object)
        values[:] = value
        return values

    # Text -------------------------------------------------------------------------------------

    def texts(self, field: str, value: Any, rule: Callable[..., Any]) -> tuple[Any, Any]:
        """A column of text as its data and offsets; suspect rows go before the rule."""
        check = lambda text: rule(field, text, self.allow_wildcard)  # noqa: E731
        nulls = None
        if arrow.is_column(value):
            column = arrow.read(field, value)
            if isinstance(column, Numbers):
                raise FieldError(field, "must be a column of text, not of integers")
            self._kept.append(column.owner)
            data, offsets, nulls = column.data, column.offsets, column.nulls
            self._length(field, len(offsets) - 1)
            self._nulls(field, nulls)
        else:
            if isinstance(value, np.ndarray):
                if value.ndim != 1 or value.dtype.kind not in "UTO":
                    raise FieldError(field, f"must be a column of text, not {value.dtype}")
                value = value.tolist()
            self._length(field, len(value))
            data, offsets, wrong = text_column(value)
            self._explain(field, np.array(wrong, np.int64), check, value.__getitem__)
        allowed = _CHANNEL if rule is rules.channel_name else _ANY_BUT_STAR
        marked = suspects(data, offsets, allowed, _LONGEST.get(rule, rules.ACCOUNT_BYTES))
        if nulls is not None:
            marked &= ~nulls
        if marked.any():
            text = lambda row: data[offsets[row] : offsets[row + 1]].tobytes().decode(errors="replace")  # noqa: E731
            self._explain(field, np.flatnonzero(marked), check, text)
        return data, offsets

    def uids(self, field: str, value: Any, rule: Callable[..., Any]) -> Any:
        """A column of uids: uint32 if all are integers, else text."""
        check = lambda uid: rule(field, uid, self.allow_wildcard)  # noqa: E731
        if arrow.is_column(value):
            column = arrow.read(field, value)
            if isinstance(column, Text):
                return self.texts(field, value, rules.account)
        elif not isinstance(value, np.ndarray) or value.dtype.kind == "O":
            types = set(map(type, value))
            if types == {str}:
                return self.texts(field, list(value), rules.account)
            if not types <= {int}:
                return self._mixed_uids(field, list(value), check)
        elif value.dtype.kind in "UT":
            return self.texts(field, value, rules.account)
        return self.numbers(field, value, "<u4", 1, rules.U32_MAX, check)

    def _mixed_uids(self, field: str, value: list[Any], check: Callable[[Any], Any]) -> Any:
        self._length(field, len(value))
        texts = []
        for row, uid in enumerate(value):
            try:
                texts.append(check(uid).decode())
            except FieldError as error:
                self.reject(row, field, error.reason)
                texts.append("")
        return text_column(texts)[:2]

    def packed(self, field: str, value: Any, pack: Callable[[Any], bytes]) -> tuple[Any, Any]:
        """A column of nested values, each packed on its own."""
        values = value.tolist() if isinstance(value, np.ndarray) else list(value)
        self._length(field, len(values))
        parts = []
        for row, item in enumerate(values):
            try:
                parts.append(pack(item))
            except FieldError as error:
                self.reject(row, field, error.reason)
                parts.append(b"")
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return np.frombuffer(b"".join(parts), np.uint8), offsets

    # Segments ---------------------------------------------------------------------------------

    def duration(self, field: str, value: Any) -> bytes | Slot:
        """Seconds from the issue timestamp, as u32."""
        check = lambda seconds: rules.duration(field, seconds)  # noqa: E731
        if not is_column(value):
            return pack_u32(check(value))
        return self._slot(
            SlotKind.U32,
            value,
            rules.duration,
            lambda: self.numbers(field, value, "<u4", 0, rules.ABSOLUTE - 1, check),
        )

    def lifetime(self, field: str, value: Any) -> bytes | Slot:
        """A token's `duration`: outside 1..86400 s it is a warning, or an error if strict."""
        if not is_column(value):
            return pack_u32(rules.lifetime(field, value, self.strict_lifetime))
        slot = self.duration(field, value)
        assert isinstance(slot, Slot)
        seconds = self.buffers[slot.column]
        long = np.flatnonzero((seconds == 0) | (seconds > rules.DAY))
        if self.strict_lifetime:
            for row in long.tolist():
                self.reject(row, field, rules.LIFETIME)
        elif len(long):
            rules.warn(f"{field} of {len(long)} rows {rules.LIFETIME}")
        return slot

    def absolute(self, expire: Any, issue_ts: Any) -> tuple[bytes | Slot, bytes | Slot]:
        """When a 006 token ends, and its privileges: the issue timestamp and 24 hours, and the
        issue timestamp and ``expire`` (0 stays 0)."""
        seconds = self.lifetime("expire", expire)
        check = lambda value: rules.unix_ts("issue_ts", value)  # noqa: E731
        if not is_column(issue_ts):
            issued = check(issue_ts)
            ends: bytes | Slot = pack_u32(issued + rules.DAY)
            if isinstance(seconds, bytes):
                return ends, pack_u32(issued + expire if expire else 0)
        else:
            last = rules.U32_MAX - rules.ABSOLUTE - rules.DAY
            issued = self.numbers("issue_ts", issue_ts, "<u4", 0, last, check)
            ends = self._added(issued + np.uint32(rules.DAY))
        duration = self.buffers[seconds.column] if isinstance(seconds, Slot) else np.uint32(expire)
        expires = np.where(duration == 0, 0, issued + duration).astype("<u4")
        return ends, self._added(expires)

    def _added(self, values: npt.NDArray[Any]) -> Slot:
        self.buffers.append(values)
        return Slot(SlotKind.U32, len(self.buffers) - 1)

    def privileges(self, value: Any) -> Segments:
        """The privilege map: each expiry a scalar or a column, or the whole map a column."""
        if not isinstance(value, Mapping):
            return [
                self._slot(
                    SlotKind.RAW,
                    value,
                    _privileges,
                    lambda: self.packed("privileges", value, _privileges),
                )
            ]
        segments: Segments = [pack_u16(len(value))]
        for key in sorted(value):
            rules.integer("privilege", key, 0, rules.U16_MAX)
            segments += [pack_u16(key), self.duration(privilege_field(key), value[key])]
        return segments

    def service(self, service: Service) -> Segments:
        """A service with all its fields."""
        segments: Segments = [pack_u16(service.TYPE), *self.privileges(service.privileges)]
        for field in service.FIELDS:
            value = getattr(service, field.name)
            if not is_column(value):
                field.rule(field.name, value, self.allow_wildcard)
                segments.append(pack_field(field.kind, value))
            else:
                segments.append(self.field(field.name, field.kind, value, field.rule, SlotKind.STR))
        return segments

    def field(
        self, name: str, kind: Kind, value: Any, rule: Callable[..., Any], text: SlotKind
    ) -> Slot:
        """The slot of one field."""
        if kind is Kind.TEXT:
            return self._slot(text, value, rule, lambda: self.texts(name, value, rule))
        if kind is Kind.UID:
            return self._slot(text, value, rule, lambda: self.uids(name, value, rule))
        if kind is Kind.I16:
            check = lambda number: rule(name, number, False)  # noqa: E731
            return self._slot(
                SlotKind.I16,
                value,
                rule,
                lambda: self.numbers(name, value, "<i2", -(2**15), 2**15 - 1, check),
            )
        pack = lambda item: pack_permissions(rule(name, item, False))  # noqa: E731
        return self._slot(SlotKind.RAW, value, rule, lambda: self.packed(name, value, pack))

    def roles(self, value: Any) -> npt.NDArray[np.uint8] | None:
        """Which variant each row takes: 0 for publishers, 1 for subscribers; None for a scalar."""
        if not is_column(value):
            return None
        if arrow.is_column(value):
            column = arrow.read("role", value)
            if isinstance(column, Text):
                return self._role_texts(column)
            self._kept.append(column.owner)
            self._nulls("role", column.nulls)
            value = np.where(column.nulls, 1, column.values) if column.nulls is not None else column.values
        values = value.tolist() if isinstance(value, np.ndarray) else value
        self._length("role", len(values))
        try:
            found = [ROLES[item] for item in values]
        except (KeyError, TypeError):
            found = []
            for row, item in enumerate(values):
                try:
                    found.append(role(item))
                except FieldError as error:
                    self.reject(row, "role", error.reason)
                    found.append(Role.SUBSCRIBER)
        return np.array(found, np.uint8) - np.uint8(1)

    def _role_texts(self, column: Text) -> npt.NDArray[np.uint8]:
        self._length("role", len(column.offsets) - 1)
        self._nulls("role", column.nulls)
        starts, sizes = column.offsets[:-1], np.diff(column.offsets)
        choices = np.full(len(starts), 255, np.uint8)
        for name, number in ROLES.items():
            if isinstance(name, str):
                same = np.flatnonzero(sizes == len(name))
                spelled = column.data[starts[same][:, None] + np.arange(len(name))]
                hit = (spelled == np.frombuffer(name.encode(), np.uint8)).all(axis=1)
                choices[same[hit]] = number - 1
        wrong = choices == 255
        if column.nulls is not None:
            wrong &= ~column.nulls
        self._explain("role", np.flatnonzero(wrong), role, lambda row: "")
        choices[choices == 255] = 1
        return choices


def privilege_field(key: int) -> str:
    """The name of a privilege's expiry in errors."""
    return f"privilege {int(key)}"


def _privileges(value: Any) -> bytes:
    if not isinstance(value, Mapping):
        raise FieldError("privileges", f"must be a mapping, not {type(value).__name__}")
    for key, seconds in value.items():
        rules.integer("privilege", key, 0, rules.U16_MAX)
        rules.duration(privilege_field(key), seconds)
    return pack_map32(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _fits(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int | np.integer) and low <= value <= high


def merged(segments: Segments) -> Segments:
    """The same layout with neighbouring constants joined."""
    joined: Segments = []
    for segment in segments:
        if isinstance(segment, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += segment
        else:
            joined.append(segment)
    return joined


def access_token2_layout(
    columns: Columns, app_id: str, variants: Sequence[Sequence[Service]], expire: Any
) -> Layout:
    """The layout of 007 tokens with the services of each variant."""
    head = [
        pack_str(app_id.encode()),
        Slot(SlotKind.ISSUE_TS),
        columns.lifetime("expire", expire),
        Slot(SlotKind.SALT),
    ]
    bodies = []
    for services in variants:
        segments = [*head, pack_u16(len(services))]
        for service in by_type(tuple(services)):
            segments += columns.service(service)
        bodies.append(merged(segments))
    return Layout(Envelope.ACCESS_TOKEN2, access_token2.PREFIX, bodies)


def privileges_006(value: object) -> tuple[access_token.Privilege, ...]:
    """What a role of 006 grants: 1, and the deprecated 0 and 101, publish; 2 only joins."""
    publishes = value in ROLES_006 or role(value) is Role.PUBLISHER
    return JOIN_AND_PUBLISH if publishes else JOIN_AND_PUBLISH[:1]


def access_token_layout(
    columns: Columns,
    app_id: str,
    channel_name: Any,
    uid: Any,
    publishes: Sequence[bool],
    expire: Any,
    issue_ts: Any,
) -> Layout:
    """The layout of 006 tokens with the privileges of each variant.

    The token holds absolute times, so a column of lifetimes or of issue timestamps becomes a
    column of expiries, and one of the token's own end.
    """
    head: Segments = [app_id.encode()]
    for name, kind, value, rule in (
        ("channel_name", Kind.TEXT, channel_name, rules.channel_name),
        ("uid", Kind.UID, uid, rules.uid),
    ):
        if is_column(value):
            head.append(columns.field(name, kind, value, rule, SlotKind.RAW))
        else:
            head.append(rule(name, value, columns.allow_wildcard))
    ends, expires = columns.absolute(expire, issue_ts)
    bodies = []
    for joins_and_publishes in publishes:
        granted = JOIN_AND_PUBLISH if joins_and_publishes else JOIN_AND_PUBLISH[:1]
        message: Segments = [Slot(SlotKind.SALT), ends, pack_u16(len(granted))]
        for privilege in granted:
            message += [pack_u16(privilege), expires]
        bodies.append(head + merged(message))
    return Layout(Envelope.ACCESS_TOKEN, access_token.PREFIX + app_id, bodies)


def run(
    layout: Layout,
    columns: Columns,
    certificate: Certificate,
    issue_ts: Any,
    salts: Any,
    choices: npt.NDArray[np.uint8] | None,
    threads: int,
    output: Output,
    errors: Errors,
) -> Any:
    """Mints every row of the columns. See `Project.tokens` for what comes back."""
    if output not in ("list", "arrow", "numpy"):
        raise FieldError("output", 'must be "list", "arrow" or "numpy"')
    if errors not in ("raise", "null"):
        raise FieldError("errors", 'must be "raise" or "null"')
    rules.integer("threads", threads, 1, 1024)
    check_time = lambda value: rules.unix_ts("issue_ts", value)  # noqa: E731
    if is_column(issue_ts):
        issued = columns.numbers("issue_ts", issue_ts, "<u4", 0, rules.U32_MAX, check_time)
    else:
        issued = np.array([check_time(issue_ts)], np.uint32)
    if salts is not None:
        salts = columns.numbers("salt", salts, "<u4", 0, rules.U32_MAX, rules.salt)
    if columns.rows is None:
        raise FieldError("columns", "at least one field must be a column", "use token() for one")
    rows = columns.rows
    if salts is None:
        salts = random_salts(rows)
    bad = [columns.bad[row] for row in sorted(columns.bad)]
    if bad and errors == "raise":
        raise RowsError(bad)
    skip = None
    if bad:
        skip = np.zeros(rows, np.bool_)
        skip[[row.index for row in bad]] = True
    data, offsets = _mint_on_threads(
        (layout, certificate, issued, salts, columns.buffers, choices, skip), rows, threads
    )
    longest = int(np.diff(offsets).max(initial=0))
    if longest > rules.TOKEN_CHARACTERS:
        rules.warn(f"a token {rules.LONG_TOKEN}")
    tokens = Tokens(data, offsets, None if skip is None else ~skip)
    result: Any = tokens
    if output == "list":
        result = tokens.to_list()
    elif output == "numpy":
        result = tokens.to_numpy()
    return (result, tuple(bad)) if errors == "null" else result


def _mint_on_threads(job: tuple[Any, ...], rows: int, threads: int) -> tuple[Any, Any]:
    """The whole batch, cut into one range of rows a thread."""
    threads = max(1, min(threads, rows // _POOL))
    if threads == 1:
        return mint(*job, 0, rows)
    bounds = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda a, b: mint(*job, a, b), bounds[:-1], bounds[1:]))
    starts = np.cumsum([0] + [len(data) for data, _ in parts])
    offsets = [part[1][:-1] + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([data for data, _ in parts]), np.concatenate([*offsets, starts[-1:]])
