"""HMAC-SHA256 with an App Certificate (docs/formats.md, the signatures of 006 and 007)."""

from __future__ import annotations

import hashlib
import hmac

from .pack import pack_u32


def sha256(message: bytes) -> bytes:
    """The SHA-256 of a message: 32 bytes."""
    return hashlib.sha256(message).digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The HMAC-SHA256 of ``message`` under ``key``: 32 bytes."""
    return hmac.digest(key, message, "sha256")


class Certificate:
    """An App Certificate as a signing key; its text shows up in no repr and no pickle."""

    __slots__ = ("__text",)

    def __init__(self, text: bytes) -> None:
        self.__text = bytes(text)

    def __repr__(self) -> str:
        return "Certificate(***)"

    def __reduce__(self) -> str:
        raise TypeError("a Certificate can't be pickled: it would leave the process")

    def reveal(self) -> bytes:
        """The text itself, for the formats that sign with something else than SHA-256."""
        return self.__text

    def sign_access_token(self, content: bytes) -> bytes:
        """The signature of a 006 token over its signed content: 32 bytes."""
        return hmac_sha256(self.__text, content)

    def sign_access_token2(self, issue_ts: int, salt: int, body: bytes) -> bytes:
        """The signature of a 007 token: three HMACs, from the timestamp to the body: 32 bytes."""
        key = hmac_sha256(pack_u32(issue_ts), self.__text)
        key = hmac_sha256(pack_u32(salt), key)
        return hmac_sha256(key, body)
