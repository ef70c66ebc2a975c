"""The columns of a batch: lists, NumPy arrays and Arrow arrays, read where they lie and checked.

A check looks at a whole column at once and finds the rows that may break a rule; each of those
goes before the same rule that a single value has to pass, which then says why.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import arrow, rules
from ._core import Check, Slot, SlotKind, suspects, text_column
from .arrow import Numbers, Text
from .errors import BadRow, FieldError
from .services import ROLES, Role, role

Rule: TypeAlias = Callable[[str, Any, bool], Any]
BoundRule: TypeAlias = Callable[[Any], Any]
Texts: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]  # data, and offsets

_ANY_BUT_STAR = bytes(byte != ord(rules.WILDCARD) for byte in range(256))
_CHANNEL = bytes(chr(byte) in rules.CHANNEL_CHARACTERS for byte in range(256))

# What passes a rule without being put before it; the rest may break it, or just be unusual.
CHECKS: Mapping[object, Check] = {
    rules.channel_name: Check(allowed=_CHANNEL, longest=rules.CHANNEL_BYTES),
    rules.uid: Check(1, rules.U32_MAX, _ANY_BUT_STAR, rules.ACCOUNT_BYTES),
    rules.account: Check(allowed=_ANY_BUT_STAR, longest=rules.ACCOUNT_BYTES),
    rules.rtm_user_id: Check(allowed=_ANY_BUT_STAR, longest=rules.RTM_USER_BYTES),
    rules.optional_account: Check(allowed=_ANY_BUT_STAR, longest=rules.ACCOUNT_BYTES),
    rules.i16: Check(-(2**15), 2**15 - 1),
    rules.duration: Check(0, rules.ABSOLUTE - 1),
    rules.lifetime: Check(1, rules.DAY),
    rules.salt: Check(0, rules.U32_MAX),
}
_PANDAS = "pandas makes floats of integers where values are missing: use its Int64"


def is_column(value: object) -> bool:
    """Whether a value is a column rather than one value for all rows."""
    return isinstance(value, list | tuple | np.ndarray) or arrow.is_column(value)


class Columns:
    """The columns of one batch: ``buffers`` for the core, the number of ``rows`` that they all
    have, and the ``bad`` rows by index."""

    def __init__(self, allow_wildcard: bool, strict_lifetime: bool) -> None:
        self.allow_wildcard = allow_wildcard
        self.strict_lifetime = strict_lifetime
        self.rows: int | None = None
        self.buffers: list[npt.NDArray[Any] | Texts] = []
        self.bad: dict[int, BadRow] = {}
        self._slots: dict[tuple[int, Hashable], int] = {}
        self._kept: list[object] = []  # what _slots knows by id, and what buffers borrow from

    def slot(self, kind: SlotKind, value: object, rule: Hashable, read: Callable[[], Any]) -> Slot:
        """The slot of a column; one that stands in several places is read once for each rule."""
        key = (id(value), rule)
        if key not in self._slots:
            self._slots[key] = self.add(read())
            self._kept.append(value)
        return Slot(kind, self._slots[key])

    def add(self, buffer: npt.NDArray[Any] | Texts) -> int:
        """Adds what the core reads, and returns its number."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def reject(self, row: int, field: str, reason: str) -> None:
        """Marks a row as bad; the first reason stands."""
        self.bad.setdefault(row, BadRow(row, field, reason))

    def check(self, field: str, rule: Rule) -> BoundRule:
        """The rule of a field, for one value."""

        def check(value: Any) -> Any:
            return rule(field, value, self.allow_wildcard)

        return check

    def _try(self, row: int, field: str, check: BoundRule, value: Any) -> Any:
        """What the check makes of a value; None if the row is bad."""
        try:
            return check(value)
        except FieldError as error:
            self.reject(row, field, error.reason)
            return None

    def _length(self, field: str, rows: int) -> None:
        if self.rows is None:
            self.rows = rows
        elif rows != self.rows:
            raise FieldError(field, f"has {rows} rows where other columns have {self.rows}")

    def _arrow(self, field: str, value: Any) -> Text | Numbers:
        """An Arrow column, its missing rows marked as bad."""
        column = arrow.read(field, value)
        self._kept.append(column)
        self._length(field, len(column))
        if column.nulls is not None:
            for row in np.flatnonzero(column.nulls).tolist():
                self.reject(row, field, "is missing")
        return column

    def numbers(
        self, field: str, value: Any, dtype: str, limits: Check, rule: BoundRule
    ) -> npt.NDArray[Any]:
        """A column of integers as ``dtype``; what is outside the limits goes to the rule."""
        low, high = limits.low, limits.high
        nulls = None
        if arrow.is_column(value):
            column = self._arrow(field, value)
            if isinstance(column, Text):
                raise FieldError(field, "must be a column of integers, not of text")
            values, nulls = column.values, column.nulls
        else:
            values = _integers(field, value)
            self._length(field, len(values))
        if values.dtype == object:
            checked = [self._try(row, field, rule, item) for row, item in enumerate(values)]
            return np.array([low if item is None else int(item) for item in checked], dtype)
        outside = (values < low) | (values > high)
        if nulls is not None:
            outside &= ~nulls
        for row in np.flatnonzero(outside).tolist():
            self._try(row, field, rule, int(values[row]))
        return np.ascontiguousarray(values.astype(dtype, copy=False))

    def texts(self, field: str, value: Any, rule: Rule) -> Texts:
        """A column of text."""
        check = self.check(field, rule)
        nulls = None
        if arrow.is_column(value):
            column = self._arrow(field, value)
            if isinstance(column, Numbers):
                raise FieldError(field, "must be a column of text, not of integers")
            data, offsets, nulls = column.data, column.offsets, column.nulls
        else:
            if isinstance(value, np.ndarray):
                if value.ndim != 1 or value.dtype.kind not in "UTO":
                    raise FieldError(field, f"must be a column of text, not {value.dtype}")
                value = value.tolist()
            self._length(field, len(value))
            data, offsets, wrong = text_column(value)
            for row in wrong:
                self._try(row, field, check, value[row])
        bulk = CHECKS[rule]
        marked = suspects(data, offsets, bulk.allowed, bulk.longest)
        if nulls is not None:
            marked &= ~nulls
        for row in np.flatnonzero(marked).tolist():
            text = data[offsets[row] : offsets[row + 1]].tobytes()
            self._try(row, field, check, text.decode(errors="replace"))
        return data, offsets

    def uids(self, field: str, value: Any, rule: Rule) -> npt.NDArray[Any] | Texts:
        """A column of uids: uint32 if all are integers, else text."""
        check = self.check(field, rule)
        if arrow.is_column(value):
            if isinstance(self._arrow(field, value), Text):
                return self.texts(field, value, rules.account)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "UT":
            return self.texts(field, value, rules.account)
        elif not isinstance(value, np.ndarray) or value.dtype.kind == "O":
            types = set(map(type, value))
            if types == {str}:
                return self.texts(field, value, rules.account)
            if not types <= {int}:
                return self._mixed_uids(field, value, check)
        return self.numbers(field, value, "<u4", CHECKS[rule], check)

    def _mixed_uids(self, field: str, value: Sequence[Any], check: BoundRule) -> Texts:
        self._length(field, len(value))
        texts = [self._try(row, field, check, uid) or b"" for row, uid in enumerate(value)]
        return _joined(texts)

    def packed(self, field: str, value: Any, pack: BoundRule) -> Texts:
        """A column of nested values, each packed on its own."""
        if arrow.is_column(value):
            raise FieldError(field, "must be a list of mappings, or one mapping for all rows")
        self._length(field, len(value))
        return _joined([self._try(row, field, pack, item) or b"" for row, item in enumerate(value)])

    def roles(self, value: Any) -> npt.NDArray[np.uint8] | None:
        """The variant of each row: 0 for publishers, 1 for subscribers; None for a scalar."""
        if not is_column(value):
            return None
        if arrow.is_column(value):
            column = self._arrow("role", value)
            if isinstance(column, Text):
                return self._role_texts(column)
            value = column.values
            if column.nulls is not None:
                value = np.where(column.nulls, Role.SUBSCRIBER, value)
        items = value.tolist() if isinstance(value, np.ndarray) else value
        self._length("role", len(items))
        try:
            found = [ROLES[item] for item in items]
        except (KeyError, TypeError):
            found = [
                self._try(row, "role", role, item) or Role.SUBSCRIBER
                for row, item in enumerate(items)
            ]
        return np.array(found, np.uint8) - np.uint8(Role.PUBLISHER)

    def _role_texts(self, column: Text) -> npt.NDArray[np.uint8]:
        starts, sizes = column.offsets[:-1], np.diff(column.offsets)
        found = np.zeros(len(starts), np.uint8)
        for name, number in ROLES.items():
            if isinstance(name, str):
                rows = np.flatnonzero(sizes == len(name))
                spelled = column.data[starts[rows][:, None] + np.arange(len(name))]
                same = (spelled == np.frombuffer(name.encode(), np.uint8)).all(axis=1)
                found[rows[same]] = number
        wrong = found == 0
        if column.nulls is not None:
            wrong &= ~column.nulls
        for row in np.flatnonzero(wrong).tolist():
            text = column.data[column.offsets[row] : column.offsets[row + 1]].tobytes()
            self._try(row, "role", role, text.decode(errors="replace"))
        found[found == 0] = Role.SUBSCRIBER
        return found - np.uint8(Role.PUBLISHER)


def _integers(field: str, value: Any) -> npt.NDArray[Any]:
    """A list or NumPy array of integers as an array; of objects where they are no plain ints."""
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "iuO":
            mend = _PANDAS if value.dtype.kind == "f" else ""
            raise FieldError(field, f"must be a column of integers, not {value.dtype}", mend)
        return value
    if set(map(type, value)) <= {int}:
        try:
            return np.array(value, np.int64)
        except OverflowError:
            pass
    values = np.empty(len(value), object)
    values[:] = value
    return values


def _joined(texts: Sequence[bytes]) -> Texts:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), np.uint8), offsets
