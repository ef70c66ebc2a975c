"""zlib streams: the bytes of stock zlib at level 6, and their bounded inverse (RFC 1950)."""

from __future__ import annotations

import zlib

from ..errors import MalformedToken


def deflate(data: bytes) -> bytes:
    """``data`` as a zlib stream, byte for byte what stock zlib writes at level 6."""
    return zlib.compress(data, 6)


def inflate(data: bytes, limit: int) -> bytes:
    """The content of a zlib stream of at most ``limit`` bytes; stops early beyond them.

    Raises `MalformedToken` for a broken, truncated or too long stream, or one with a tail.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error:
        raise MalformedToken("zlib", "not a whole, valid zlib stream") from None
    if len(content) > limit:
        raise MalformedToken("zlib", f"inflates beyond {limit} bytes")
    if not stream.eof:
        raise MalformedToken("zlib", "not a whole, valid zlib stream")
    if stream.unused_data:
        raise MalformedToken("zlib", "there are bytes behind the zlib stream")
    return content
