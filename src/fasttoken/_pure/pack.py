"""Little-endian packing and CRC-32 (docs/formats.md, "Notation")."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from operator import index

_u16 = struct.Struct("<H").pack
_u32 = struct.Struct("<I").pack
_i16 = struct.Struct("<h").pack


def crc32(data: bytes) -> int:
    """The CRC-32 of ``data``, zlib's polynomial, as u32."""
    return zlib.crc32(data)


def pack_u16(value: int) -> bytes:
    """``value`` as 2 little-endian bytes. Raises `OverflowError` outside 0..65535."""
    if not 0 <= value <= 0xFFFF:
        raise OverflowError(f"{value} does not fit u16")
    return _u16(index(value))


def pack_u32(value: int) -> bytes:
    """``value`` as 4 little-endian bytes. Raises `OverflowError` outside 0..4294967295."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise OverflowError(f"{value} does not fit u32")
    return _u32(index(value))


def pack_i16(value: int) -> bytes:
    """``value`` as 2 little-endian bytes. Raises `OverflowError` outside -32768..32767."""
    if not -0x8000 <= value <= 0x7FFF:
        raise OverflowError(f"{value} does not fit i16")
    return _i16(index(value))


def pack_str(data: bytes) -> bytes:
    """``data`` after its length as u16. Raises `OverflowError` above 65535 bytes."""
    return pack_u16(len(data)) + data


def pack_map32(values: Mapping[int, int]) -> bytes:
    """A u16 count, then u16 key and u32 value of every entry, keys ascending."""
    return pack_u16(len(values)) + b"".join(
        pack_u16(key) + pack_u32(values[key]) for key in sorted(values)
    )
