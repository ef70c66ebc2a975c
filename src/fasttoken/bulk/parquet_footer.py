"""Parquet files joined without reading a row: their row groups stay where they are, and one footer
at the end names them all.

A Parquet file is row groups and then a footer, in Thrift's compact protocol, that says at which
offsets they lie. If several files stand one behind the other, adding to each offset where its file
began makes footers of one file out of them; the old ones stay behind as bytes nobody reads.
https://parquet.apache.org/docs/file-format/ and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

MAGIC = b"PAR1"
_TAIL = 8  # bytes: the length of the footer, and the magic

# Types of the compact protocol; booleans are their own types in a struct.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_NUMBERS = (_I16, _I32, _I64)

# Fields by number, as parquet.thrift has them.
_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_OFFSET = 1, 5
_CHUNK_OFFSET, _META, _OFFSET_INDEX, _COLUMN_INDEX = 2, 3, 4, 6
_PAGE_OFFSETS = (9, 10, 11, 14)  # data pages, index pages, the dictionary, the bloom filter

Struct = dict[int, list[Any]]  # by field number: the type and the value


def footer(file: BinaryIO, end: int) -> Struct:
    """The footer of the Parquet file that ends at an offset."""
    file.seek(end - _TAIL)
    length, magic = struct.unpack("<I4s", file.read(_TAIL))
    if magic != MAGIC:
        raise ValueError("no Parquet file ends here")
    file.seek(end - _TAIL - length)
    return _read_struct(io.BytesIO(file.read(length)))


def joined(file: BinaryIO, pieces: Sequence[tuple[int, int]]) -> bytes:
    """The footer, with its length and the magic, of one file made of the Parquet files that lie
    between each start and end."""
    whole: Struct = {}
    for start, end in pieces:
        piece = footer(file, end)
        _move(piece, start)
        if not whole:
            whole = piece
            continue
        whole[_ROWS][1] += piece[_ROWS][1]
        groups, more = whole[_ROW_GROUPS][1], piece[_ROW_GROUPS][1]
        # An empty list may name any type.
        whole[_ROW_GROUPS][1] = (_STRUCT, groups[1] + more[1])
    out = io.BytesIO()
    _write_struct(out, whole)
    data = out.getvalue()
    return data + struct.pack("<I4s", len(data), MAGIC)


def _move(file: Struct, by: int) -> None:
    """Adds to every offset of a footer."""

    def move(fields: Struct, number: int) -> None:
        if number in fields:
            fields[number][1] += by

    for group in file[_ROW_GROUPS][1][1]:
        move(group, _GROUP_OFFSET)
        for chunk in group[_COLUMNS][1][1]:
            if chunk.get(_CHUNK_OFFSET, [0, 0])[1]:  # 0 where it is not used
                move(chunk, _CHUNK_OFFSET)
            move(chunk, _OFFSET_INDEX)
            move(chunk, _COLUMN_INDEX)
            for number in _PAGE_OFFSETS:
                move(chunk[_META][1], number)


# The compact protocol -------------------------------------------------------------------------


def _read_varint(data: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = data.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def _read_number(data: io.BytesIO) -> int:
    value = _read_varint(data)
    return (value >> 1) ^ -(value & 1)


def _read_struct(data: io.BytesIO) -> Struct:
    fields: Struct = {}
    number = 0
    while (head := data.read(1)[0]) != 0:
        kind = head & 0x0F
        number = number + (head >> 4) if head >> 4 else _read_number(data)
        fields[number] = [kind, kind == _TRUE if kind in (_TRUE, _FALSE) else _read(data, kind)]
    return fields


def _read(data: io.BytesIO, kind: int) -> Any:
    if kind in _NUMBERS:
        return _read_number(data)
    if kind == _STRUCT:
        return _read_struct(data)
    if kind == _BINARY:
        return data.read(_read_varint(data))
    if kind in (_LIST, _SET):
        head = data.read(1)[0]
        size = head >> 4 if head >> 4 != 0x0F else _read_varint(data)
        return (head & 0x0F, [_read(data, head & 0x0F) for _ in range(size)])
    if kind == _DOUBLE:
        return data.read(8)
    if kind in (_TRUE, _FALSE, _BYTE):  # a byte each in a list
        return data.read(1)
    raise ValueError(f"a footer with type {kind}")


def _write_varint(out: io.BytesIO, value: int) -> None:
    while value >= 0x80:
        out.write(bytes([value & 0x7F | 0x80]))
        value >>= 7
    out.write(bytes([value]))


def _write_number(out: io.BytesIO, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_struct(out: io.BytesIO, fields: Struct) -> None:
    last = 0
    for number, (kind, value) in fields.items():
        if 0 < number - last < 16:
            out.write(bytes([(number - last) << 4 | kind]))
        else:
            out.write(bytes([kind]))
            _write_number(out, number)
        if kind not in (_TRUE, _FALSE):
            _write(out, kind, value)
        last = number
    out.write(b"\0")


def _write(out: io.BytesIO, kind: int, value: Any) -> None:
    if kind in _NUMBERS:
        _write_number(out, value)
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind == _BINARY:
        _write_varint(out, len(value))
        out.write(value)
    elif kind in (_LIST, _SET):
        inner, items = value
        if len(items) < 15:
            out.write(bytes([len(items) << 4 | inner]))
        else:
            out.write(bytes([0xF0 | inner]))
            _write_varint(out, len(items))
        for item in items:
            _write(out, inner, item)
    else:
        out.write(value)
