"""Base64, the standard alphabet with padding (RFC 4648, section 4)."""

from __future__ import annotations

import base64
import binascii

from ..errors import MalformedToken


def encode(data: bytes) -> str:
    """``data`` in base64."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """The bytes that ``text`` encodes; raises `MalformedToken` unless it is canonical base64."""
    try:
        encoded = text.encode("ascii")
        data = base64.b64decode(encoded, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise MalformedToken("base64", "not base64 with padding") from None
    if base64.b64encode(data) != encoded:
        raise MalformedToken("base64", "not base64 with padding")
    return data
