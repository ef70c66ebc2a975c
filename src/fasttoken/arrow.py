"""Arrow columns in and out, through the Arrow PyCapsule interface; no Arrow library is needed.

The C structures are those of the Arrow C data interface. The callbacks that a consumer calls may
run while an exception is being raised, so they hold to subscripts, attributes and ``del``: a call
of a C function would lose that exception.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ._core import token_list
from ._numpy import np
from .errors import FieldError

if TYPE_CHECKING:
    import numpy.typing as npt

Bytes: TypeAlias = "npt.NDArray[np.uint8]"
Offsets: TypeAlias = "npt.NDArray[np.int64] | npt.NDArray[np.int32]"


class ArrowArray(Protocol):
    """What hands out one Arrow array: pyarrow.Array, nanoarrow.Array, ..."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...


class ArrowStream(Protocol):
    """What hands out a stream of Arrow arrays: pyarrow.ChunkedArray, polars.Series, ..."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_release_schema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_release_array = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", _release_schema),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", _release_array),
    ("private_data", ctypes.c_void_p),
]
_a_stream = ctypes.POINTER(_Stream)
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, _a_stream, ctypes.POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, _a_stream, ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, _a_stream)),
    ("release", ctypes.CFUNCTYPE(None, _a_stream)),
    ("private_data", ctypes.c_void_p),
]

_NULLABLE = 2
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]

# What consumers hold: by private_data, the memory behind a structure; by the address of a
# capsule, the structure in it.
_held: dict[int, object] = {}
_capsules: dict[int, Any] = {}


@_release_schema  # type: ignore[untyped-decorator]
def _drop_schema(pointer: Any) -> None:
    schema = pointer[0]
    del _held[schema.private_data]
    schema.release = _NO_SCHEMA_RELEASE


@_release_array  # type: ignore[untyped-decorator]
def _drop_array(pointer: Any) -> None:
    array = pointer[0]
    del _held[array.private_data]
    array.release = _NO_ARRAY_RELEASE


@_destructor  # type: ignore[untyped-decorator]
def _drop_capsule(address: int) -> None:
    structure = _capsules[address]
    del _capsules[address]
    if structure.release:
        del _held[structure.private_data]


_NO_SCHEMA_RELEASE = _release_schema()
_NO_ARRAY_RELEASE = _release_array()


def _capsule(name: bytes, structure: Any, memory: object) -> object:
    """A capsule with ``structure``; ``memory`` lives until its consumer releases it."""
    key = ctypes.addressof(structure)
    structure.private_data = key
    # The structure itself is held too, so that its address stays its own for as long.
    _held[key] = (structure, memory)
    capsule = _new_capsule(key, name, ctypes.cast(_drop_capsule, ctypes.c_void_p))
    _capsules[id(capsule)] = structure
    return capsule


class Tokens:
    """A column of tokens, as one buffer: ``data`` (uint8), ``offsets`` (int64, one more than rows)
    and ``valid`` (bool a row, or None if every row holds a token).

    An Arrow array of type large_utf8 for whatever speaks the Arrow PyCapsule interface, such as
    ``pyarrow.array(tokens)``, ``polars.Series(tokens)`` or DuckDB; no Arrow library is needed to
    make it, and nothing is copied. A sequence of str (None where a row was bad) for the rest.
    """

    def __init__(
        self, data: Bytes, offsets: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None
    ) -> None:
        self.data = data
        self.offsets = offsets
        self.valid = valid

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str | None:
        row = range(len(self))[row]
        if self.valid is not None and not self.valid[row]:
            return None
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode("ascii")

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.to_list())

    def __repr__(self) -> str:
        return f"<Tokens: {len(self)} rows, {len(self.data)} bytes>"

    def to_list(self) -> list[str | None]:
        """The tokens as a list of str; None where a row was bad."""
        tokens: list[str | None] = [*token_list(self.data, self.offsets)]
        if self.valid is not None:
            for row in np.flatnonzero(~self.valid):
                tokens[row] = None
        return tokens

    def to_numpy(self) -> npt.NDArray[np.bytes_]:
        """The tokens as fixed-width bytes (dtype ``S``, as wide as the longest, NUL-padded);
        b"" where a row was bad."""
        sizes = np.diff(self.offsets)
        width = max(1, int(sizes.max(initial=0)))
        padded = np.zeros((len(self), width), np.uint8)
        padded[np.arange(width) < sizes[:, None]] = self.data
        return padded.view(f"S{width}").reshape(len(self))

    def __arrow_c_schema__(self) -> object:
        schema = _Schema(format=b"U", name=b"", flags=_NULLABLE, release=_drop_schema)
        return _capsule(b"arrow_schema", schema, None)

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        bitmap, nulls = None, 0
        if self.valid is not None:
            bitmap = np.packbits(self.valid, bitorder="little")
            nulls = int(len(self) - np.count_nonzero(self.valid))
        buffers = (ctypes.c_void_p * 3)(
            None if bitmap is None else bitmap.ctypes.data,
            self.offsets.ctypes.data,
            self.data.ctypes.data,
        )
        array = _Array(
            length=len(self),
            null_count=nulls,
            n_buffers=3,
            buffers=ctypes.cast(buffers, ctypes.POINTER(ctypes.c_void_p)),
            release=_drop_array,
        )
        memory = (buffers, bitmap, self.offsets, self.data)
        return self.__arrow_c_schema__(), _capsule(b"arrow_array", array, memory)


@dataclass(frozen=True, eq=False)
class Text:
    """A column of UTF-8: row i is ``data[offsets[i]:offsets[i + 1]]``; ``nulls`` marks missing
    rows. ``owner`` keeps borrowed memory alive."""

    data: Bytes
    offsets: Offsets
    nulls: npt.NDArray[np.bool_] | None = None
    owner: object = None

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of integers; ``nulls`` marks missing rows. ``owner`` keeps borrowed memory alive."""

    values: npt.NDArray[Any]
    nulls: npt.NDArray[np.bool_] | None = None
    owner: object = None

    def __len__(self) -> int:
        return len(self.values)


_NUMBERS = dict(
    zip(
        [b"c", b"C", b"s", b"S", b"i", b"I", b"l", b"L"],
        ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"],
        strict=True,
    )
)
_TEXTS = {b"u": "i4", b"U": "i8"}
_VIEW = b"vu"
_NULL = b"n"


def is_column(value: object) -> bool:
    """Whether ``value`` speaks the Arrow PyCapsule interface."""
    return hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__")


def read(field: str, value: Any) -> Text | Numbers:
    """The buffers of an Arrow array or stream, borrowed; several chunks are joined by a copy.

    Raises `FieldError` for an Arrow type that is neither text nor integers.
    """
    if hasattr(value, "__arrow_c_array__"):
        schema_capsule, array_capsule = value.__arrow_c_array__()
        schema = _Schema.from_address(_pointer(schema_capsule, b"arrow_schema"))
        array = _Array.from_address(_pointer(array_capsule, b"arrow_array"))
        return _view(field, schema, array, (schema_capsule, array_capsule))
    capsule = value.__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = _Schema()
    _check(field, stream, stream.get_schema(stream, schema))
    try:
        chunks = []
        while True:
            owned = _Owned(_Array())
            _check(field, stream, stream.get_next(stream, owned.array))
            if not owned.array.release:
                break
            chunks.append(_view(field, schema, owned.array, owned))
        if not chunks:
            return _no_rows(field, schema)
    finally:
        if schema.release:
            schema.release(schema)
    return chunks[0] if len(chunks) == 1 else _joined(chunks)


def _no_rows(field: str, schema: Any) -> Text | Numbers:
    """A column of no rows, of the type that the schema names."""
    if schema.dictionary:
        return _no_rows(field, schema.dictionary[0])
    return _view(field, schema, _Array(buffers=(ctypes.c_void_p * 3)()), None)


class _Owned:
    """An Arrow array that is ours to release."""

    def __init__(self, array: _Array) -> None:
        self.array = array

    def __del__(self) -> None:
        if self.array.release:
            self.array.release(self.array)


def _check(field: str, stream: Any, code: int) -> None:
    if code:
        message = stream.get_last_error(stream) or b""
        raise FieldError(field, f"the Arrow stream failed: {message.decode(errors='replace')}")


def _buffer(array: Any, index: int, dtype: str, count: int) -> npt.NDArray[Any]:
    address = array.buffers[index]
    if not count or not address:
        return np.zeros(count, dtype)
    memory: Any = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(address)
    values: npt.NDArray[Any] = np.frombuffer(memory, dtype, count)
    return values


def _nulls(array: Any, start: int, stop: int) -> npt.NDArray[np.bool_] | None:
    if not array.null_count or not array.buffers[0]:
        return None
    bits = np.unpackbits(_buffer(array, 0, "u1", (stop + 7) // 8), bitorder="little")
    nulls: npt.NDArray[np.bool_] = bits[start:stop] == 0
    return nulls


def _view(field: str, schema: Any, array: Any, owner: object) -> Text | Numbers:
    code, start, stop = schema.format, array.offset, array.offset + array.length
    if schema.dictionary:
        # Each value stands once in the dictionary; rows refer to it by number.
        values = _view(field, schema.dictionary[0], array.dictionary[0], owner)
        picks = _buffer(array, 1, _NUMBERS[code], stop)[start:]
        nulls = _nulls(array, start, stop)
        if nulls is None:
            nulls = np.zeros(len(picks), np.bool_)
        if len(values) == 0:  # then all rows are missing
            if isinstance(values, Numbers):
                return Numbers(np.zeros(len(picks), np.int64), nulls)
            return Text(np.empty(0, np.uint8), np.zeros(len(picks) + 1, np.int64), nulls)
        picks = np.where(nulls, 0, picks)
        if values.nulls is not None:
            nulls |= values.nulls[picks]
        if isinstance(values, Numbers):
            return Numbers(values.values[picks], nulls, owner)
        return _gathered(values.data, values.offsets[:-1][picks], values.offsets[1:][picks], nulls)
    if code == _NULL:
        missing = np.ones(array.length, np.bool_)
        return Text(np.empty(0, np.uint8), np.zeros(array.length + 1, np.int64), missing)
    if code in _NUMBERS:
        numbers = _buffer(array, 1, _NUMBERS[code], stop)[start:]
        return Numbers(numbers, _nulls(array, start, stop), owner)
    if code in _TEXTS:
        offsets = _buffer(array, 1, _TEXTS[code], stop + 1)[start:]
        data = _buffer(array, 2, "u1", int(offsets[-1]))
        return Text(data, offsets, _nulls(array, start, stop), owner)
    if code == _VIEW:
        return _from_views(array, start, stop)
    raise FieldError(field, f"must be an Arrow column of text or integers, not {code.decode()!r}")


def _from_views(array: Any, start: int, stop: int) -> Text:
    """A string-view column, copied: its texts lie in the views or in any of several buffers."""
    views = _buffer(array, 1, "u1", stop * 16).reshape(stop, 16)[start:]
    sizes = views[:, :4].copy().view("<i4")[:, 0]
    nulls = _nulls(array, start, stop)
    if nulls is not None:
        sizes[nulls] = 0
    heads = views[:, 8:16].copy().view("<i4")
    parts = []
    for view, size, (number, offset) in zip(views, sizes.tolist(), heads.tolist(), strict=True):
        if size <= 12:
            parts.append(view[4 : 4 + size].tobytes())
        else:
            parts.append(ctypes.string_at(array.buffers[2 + number] + offset, size))
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return Text(np.frombuffer(b"".join(parts), np.uint8), offsets, nulls)


def _gathered(data: Bytes, starts: Any, stops: Any, nulls: Any) -> Text:
    parts = [data[a:b].tobytes() for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
    offsets = np.concatenate([[0], np.cumsum(stops - starts, dtype=np.int64)])
    return Text(np.frombuffer(b"".join(parts), np.uint8), offsets, nulls)


def _joined(chunks: list[Any]) -> Text | Numbers:
    nulls = None
    if any(chunk.nulls is not None for chunk in chunks):
        nulls = np.concatenate(
            [
                np.zeros(len(chunk), np.bool_) if chunk.nulls is None else chunk.nulls
                for chunk in chunks
            ]
        )
    if isinstance(chunks[0], Numbers):
        return Numbers(np.concatenate([chunk.values for chunk in chunks]), nulls)
    data = np.concatenate([c.data[int(c.offsets[0]) : int(c.offsets[-1])] for c in chunks])
    sizes = np.concatenate([np.diff(chunk.offsets) for chunk in chunks])
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return Text(data, offsets, nulls)
