"""Reading the little-endian fields of a token (docs/formats.md, "Notation")."""

from __future__ import annotations

import struct

from ..errors import MalformedToken

_u16 = struct.Struct("<H").unpack_from
_u32 = struct.Struct("<I").unpack_from
_i16 = struct.Struct("<h").unpack_from
_entry = struct.Struct("<HI")


class Reader:
    """A position in bytes; every read names its field, for the error when bytes are missing."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def _take(self, field: str, size: int) -> int:
        start = self.position
        if start + size > len(self.data):
            raise MalformedToken("field", f"{field} is cut off")
        self.position = start + size
        return start

    def u16(self, field: str) -> int:
        return int(_u16(self.data, self._take(field, 2))[0])

    def u32(self, field: str) -> int:
        return int(_u32(self.data, self._take(field, 4))[0])

    def i16(self, field: str) -> int:
        return int(_i16(self.data, self._take(field, 2))[0])

    def bytes_(self, field: str) -> bytes:
        size = self.u16(field)
        start = self._take(field, size)
        return self.data[start : start + size]

    def text(self, field: str) -> str:
        try:
            return self.bytes_(field).decode()
        except UnicodeDecodeError:
            raise MalformedToken("field", f"{field} is not UTF-8") from None

    def map32(self, field: str) -> dict[int, int]:
        size = _entry.size * self.u16(field)
        start = self._take(field, size)
        return dict(_entry.iter_unpack(self.data[start : start + size]))

    def end(self) -> None:
        """Refuses bytes behind the last field."""
        if self.position != len(self.data):
            raise MalformedToken("field", "there are bytes behind the last field")

    def rest(self) -> bytes:
        """Everything from here to the end."""
        start, self.position = self.position, len(self.data)
        return self.data[start:]
