"""Little-endian packing under AgoraIO's names (docs/formats.md, "Notation").

Numbers go through ``int()``, so "600" and 600.5 are taken; what doesn't fit raises `struct.error`.
Every ``unpack_*`` takes a buffer and returns the value and the rest of the buffer.
"""

import struct
from collections.abc import Mapping
from typing import Any, TypeVar

_B = TypeVar("_B", bytes, memoryview)
_u16, _u32, _i16, _entry = map(struct.Struct, ("<H", "<I", "<h", "<HI"))


def pack_uint16(x: Any) -> bytes:
    return _u16.pack(int(x))


def unpack_uint16(buffer: _B) -> tuple[int, _B]:
    return _u16.unpack(buffer[:2])[0], buffer[2:]


def pack_uint32(x: Any) -> bytes:
    return _u32.pack(int(x))


def unpack_uint32(buffer: _B) -> tuple[int, _B]:
    return _u32.unpack(buffer[:4])[0], buffer[4:]


def pack_int16(x: Any) -> bytes:
    return _i16.pack(int(x))


def unpack_int16(buffer: _B) -> tuple[int, _B]:
    return _i16.unpack(buffer[:2])[0], buffer[2:]


def pack_string(string: str | bytes) -> bytes:
    if isinstance(string, str):
        string = string.encode()
    return pack_uint16(len(string)) + string


def unpack_string(buffer: _B) -> tuple[bytes, _B]:
    size, buffer = unpack_uint16(buffer)
    return struct.unpack(f"<{size}s", buffer[:size])[0], buffer[size:]


def pack_map_uint32(m: Mapping[Any, Any]) -> bytes:
    numbers = [int(number) for entry in m.items() for number in entry]
    return struct.pack("<H" + "HI" * len(m), len(m), *numbers)


def pack_map_string(m: Mapping[Any, str | bytes]) -> bytes:
    return pack_uint16(len(m)) + b"".join(pack_uint16(k) + pack_string(v) for k, v in m.items())


def unpack_map_uint32(buffer: _B) -> tuple[dict[int, int], _B]:
    count, buffer = unpack_uint16(buffer)
    size = count * _entry.size
    if len(buffer) < size:
        raise struct.error(f"a map of {count} entries requires a buffer of {size} bytes")
    return dict(_entry.iter_unpack(buffer[:size])), buffer[size:]


def unpack_map_string(buffer: _B) -> tuple[dict[int, bytes], _B]:
    count, buffer = unpack_uint16(buffer)
    data = {}
    for _ in range(count):
        key, buffer = unpack_uint16(buffer)
        data[key], buffer = unpack_string(buffer)
    return data, buffer
