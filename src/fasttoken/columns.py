"""The columns of a batch: lists, NumPy arrays and Arrow arrays, read where they lie and checked.

A check looks at a whole column at once and finds the rows that may break a rule; each of those
goes before the same rule that a single value has to pass, which then says why.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from . import arrow, rules
from ._core import Check, Slot, SlotKind, suspects, text_column
from ._numpy import np
from .arrow import Numbers, Text
from .errors import BadRow, FieldError
from .services import ROLES, Role, role

if TYPE_CHECKING:
    import numpy.typing as npt

Rule: TypeAlias = Callable[[str, Any, bool], Any]
BoundRule: TypeAlias = Callable[[Any], Any]
Texts: TypeAlias = "tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]"  # data, and offsets

_ANY_BUT_STAR = bytes(byte != ord(rules.WILDCARD) for byte in range(256))
_CHANNEL = bytes(chr(byte) in rules.CHANNEL_CHARACTERS for byte in range(256))

# What passes a rule without being put before it; the rest may break it, or just be unusual.
CHECKS: Mapping[object, Check] = {
    rules.channel_name: Check(allowed=_CHANNEL, longest=rules.CHANNEL_BYTES),
    rules.uid: Check(1, rules.U32_MAX, _ANY_BUT_STAR, rules.ACCOUNT_BYTES),
    rules.account: Check(allowed=_ANY_BUT_STAR, longest=rules.ACCOUNT_BYTES),
    rules.rtm_user_id: Check(allowed=_ANY_BUT_STAR, longest=rules.RTM_USER_BYTES),
    rules.optional_account: Check(allowed=_ANY_BUT_STAR, longest=rules.ACCOUNT_BYTES, shortest=0),
    rules.i16: Check(-(2**15), 2**15 - 1),
    rules.duration: Check(0, rules.ABSOLUTE - 1),
    rules.lifetime: Check(1, rules.DAY),
    rules.unix_ts: Check(0, rules.U32_MAX),
    rules.salt: Check(0, rules.U32_MAX),
}
_PANDAS = "pandas makes floats of integers where values are missing: use its Int64"


def is_column(value: object) -> bool:
    """Whether a value is a column rather than one value for all rows."""
    if isinstance(value, str | int):  # as nearly all that is no column: the rest is slow to tell
        return False
    return isinstance(value, list | tuple | range | np.ndarray) or arrow.is_column(value)


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

    def _try(self, row: int, check: BoundRule, value: Any) -> Any:
        """What the check makes of a value; None if the row is bad."""
        try:
            return check(value)
        except FieldError as error:
            self.reject(row, error.field, error.reason)
            return None

    def _length(self, field: str, rows: int) -> None:
        if self.rows is None:
            self.rows = rows
        elif rows != self.rows:
            raise FieldError(field, f"has {rows} rows where other columns have {self.rows}")

    def _open(self, field: str, value: Any) -> Any:
        """A column as Arrow's `Text` or `Numbers`, a NumPy array or a list; its missing rows are
        marked as bad."""
        nulls = None
        if isinstance(value, np.ndarray):
            if value.ndim != 1:
                raise FieldError(field, f"must be a one-dimensional column, not {value.ndim}")
            if isinstance(value, np.ma.MaskedArray):
                nulls, value = np.ma.getmaskarray(value), value.data
        elif arrow.is_column(value):
            value = arrow.read(field, value)
            self._kept.append(value)
            nulls = value.nulls
        self._length(field, len(value))
        if nulls is not None:
            for row in np.flatnonzero(nulls).tolist():
                self.reject(row, field, "is missing")
        return value

    def numbers(
        self, field: str, value: Any, dtype: str, limits: Check, rule: BoundRule
    ) -> npt.NDArray[Any]:
        """A column of integers as ``dtype``; what is outside the limits goes to the rule."""
        return self._numbers(field, self._open(field, value), dtype, limits, rule)

    def _numbers(
        self, field: str, column: Any, dtype: str, limits: Check, rule: BoundRule
    ) -> npt.NDArray[Any]:
        low, high, nulls = limits.low, limits.high, None
        if isinstance(column, Text):
            if column.nulls is None or not column.nulls.all():
                raise FieldError(field, "must be a column of integers, not of text")
            column = Numbers(np.zeros(len(column), np.int64), column.nulls)
        if isinstance(column, Numbers):
            values, nulls = column.values, column.nulls
        else:
            values = _integers(field, column)
        if values.dtype == object:
            checked = [self._try(row, rule, item) for row, item in enumerate(values)]
            return np.array([low if item is None else int(item) for item in checked], dtype)
        outside = (values < low) | (values > high)
        if nulls is not None:
            outside &= ~nulls
        for row in np.flatnonzero(outside).tolist():
            self._try(row, rule, int(values[row]))
        return np.ascontiguousarray(values.astype(dtype, copy=False))

    def texts(self, field: str, value: Any, rule: Rule) -> Texts:
        """A column of text."""
        return self._texts(field, self._open(field, value), rule)

    def _texts(self, field: str, column: Any, rule: Rule) -> Texts:
        check, bulk = self.check(field, rule), CHECKS[rule]
        allowed, nulls = bulk.allowed, None
        if isinstance(column, Numbers):
            raise FieldError(field, "must be a column of text, not of integers")
        if isinstance(column, Text):
            data, offsets, nulls = column.data, column.offsets, column.nulls
            # What claims to be UTF-8 is decoded to see whether it is, unless it is ASCII.
            allowed = allowed[:128] + bytes(128)
        else:
            if isinstance(column, np.ndarray):
                if column.dtype.kind not in "UTO":
                    raise FieldError(field, f"must be a column of text, not {column.dtype}")
                column = column.tolist()
            data, offsets, wrong = text_column(column)
            for row in wrong:
                self._try(row, check, column[row])
        marked = suspects(data, offsets, allowed, bulk.longest)
        if nulls is not None:
            marked &= ~nulls
        for row in np.flatnonzero(marked).tolist():
            try:
                text = data[offsets[row] : offsets[row + 1]].tobytes().decode()
            except UnicodeDecodeError:
                self.reject(row, field, "must be valid UTF-8")
            else:
                self._try(row, check, text)
        return data, offsets

    def uids(self, field: str, value: Any, rule: Rule) -> npt.NDArray[Any] | Texts:
        """A column of uids: uint32 if all are integers, else text."""
        column = self._open(field, value)
        check = self.check(field, rule)
        if isinstance(column, np.ndarray) and column.dtype.kind == "O":
            column = column.tolist()
        if isinstance(column, Text) or (
            isinstance(column, np.ndarray) and column.dtype.kind in "UT"
        ):
            return self._texts(field, column, rules.account)
        if isinstance(column, list | tuple):
            types = set(map(type, column))
            if types == {str}:
                return self._texts(field, column, rules.account)
            if not types <= {int}:
                return self._mixed_uids(field, column, check)
        return self._numbers(field, column, "<u4", CHECKS[rule], check)

    def _mixed_uids(self, field: str, value: Sequence[Any], check: BoundRule) -> Texts:
        texts = [self._try(row, check, uid) or b"" for row, uid in enumerate(value)]
        return _joined(texts)

    def packed(self, field: str, value: Any, pack: BoundRule) -> Texts:
        """A column of nested values, each packed on its own."""
        column = self._open(field, value)
        if isinstance(column, Text | Numbers):
            raise FieldError(field, "must be a list of mappings, or one mapping for all rows")
        return _joined([self._try(row, pack, item) or b"" for row, item in enumerate(column)])

    def roles(self, value: Any, roles: Mapping[object, Role]) -> npt.NDArray[np.uint8] | None:
        """The variant of each row: 0 for publishers, 1 for subscribers; None for a scalar."""
        if not is_column(value):
            return None
        items = self._open("role", value)
        if isinstance(items, Text):
            return self._role_texts(items)
        if isinstance(items, Numbers):
            items = items.values
        if isinstance(items, np.ndarray) and items.dtype.kind in "iu":
            return self._role_numbers(items, roles)
        if isinstance(items, np.ndarray):
            items = items.tolist()
        try:
            if bool in set(map(type, items)):
                raise TypeError
            found = [roles[item] for item in items]
        except (KeyError, TypeError):
            found = [
                self._try(row, lambda item: role(item, roles), item) or Role.SUBSCRIBER
                for row, item in enumerate(items)
            ]
        return np.array(found, np.uint8) - np.uint8(Role.PUBLISHER)

    def _role_numbers(
        self, column: npt.NDArray[Any], roles: Mapping[object, Role]
    ) -> npt.NDArray[np.uint8]:
        found = np.zeros(len(column), np.uint8)
        for number, meant in roles.items():
            if isinstance(number, int):
                found[column == number] = meant
        for row in np.flatnonzero(found == 0).tolist():
            self._try(row, lambda item: role(item, roles), int(column[row]))
        found[found == 0] = Role.SUBSCRIBER
        return found - np.uint8(Role.PUBLISHER)

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
            self._try(row, role, text.decode(errors="replace"))
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
