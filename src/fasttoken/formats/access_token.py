"""AccessToken, "006" (docs/formats.md, "AccessToken")."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .._core import Certificate, crc32, decode, encode, pack_map32, pack_str, pack_u32
from ..errors import MalformedToken
from ..services import FrozenMap
from .parsed import Parsed, supplied
from .reader import Reader

NAME = "access_token"
PREFIX = "006"
APP_ID_CHARACTERS = 32
MOST_PRIVILEGES = 10_920  # fit the message, whose length is a u16


class Privilege(IntEnum):
    """What a 006 token grants."""

    JOIN_CHANNEL = 1
    PUBLISH_AUDIO = 2
    PUBLISH_VIDEO = 3
    PUBLISH_DATA = 4
    ADMINISTRATE_CHANNEL = 101
    RTM_LOGIN = 1000


@dataclass(frozen=True)
class AccessToken:
    """The claims of a 006 token; it carries only check sums of its channel name and uid.

    ``ts`` and the privilege values are absolute, in Unix seconds; a privilege of 0 lasts as long
    as the token, and ``ts`` is 24 hours after the issue.
    """

    app_id: str
    salt: int
    ts: int
    privileges: Mapping[int, int]
    channel_crc: int
    uid_crc: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "privileges", FrozenMap(self.privileges))


def pack(claims: AccessToken) -> bytes:
    """The message of the token: what is signed behind App ID, channel name and uid."""
    return pack_u32(claims.salt) + pack_u32(claims.ts) + pack_map32(claims.privileges)


def seal(claims: AccessToken, signature: bytes, message: bytes) -> str:
    """The token of a signed message."""
    crcs = pack_u32(claims.channel_crc) + pack_u32(claims.uid_crc)
    return PREFIX + claims.app_id + encode(pack_str(signature) + crcs + pack_str(message))


def claims_for(
    app_id: str, channel_name: bytes, uid: bytes, salt: int, ts: int, privileges: Mapping[Any, int]
) -> AccessToken:
    """The claims of a token for a channel name and a uid (both as UTF-8)."""
    return AccessToken(app_id, salt, ts, privileges, crc32(channel_name), crc32(uid))


def build(claims: AccessToken, certificate: Certificate, channel_name: bytes, uid: bytes) -> str:
    """The token of ``claims``; the channel name and uid it was made for are signed with it."""
    message = pack(claims)
    content = claims.app_id.encode() + channel_name + uid + message
    return seal(claims, certificate.sign_access_token(content), message)


def detect(token: str) -> bool:
    return token.startswith(PREFIX)


def parse(token: str) -> Parsed:
    """Reads a 006 token. Raises `MalformedToken`."""
    start = len(PREFIX) + APP_ID_CHARACTERS
    app_id = token[len(PREFIX) : start]
    if len(app_id) != APP_ID_CHARACTERS or not app_id.isascii():
        raise MalformedToken("field", f"app_id is not {APP_ID_CHARACTERS} ASCII characters")
    content = Reader(decode(token[start:]))
    signature = content.bytes_("signature")
    channel_crc, uid_crc = content.u32("channel_crc"), content.u32("uid_crc")
    signed = content.bytes_("message")
    content.end()
    message = Reader(signed)
    salt, ts = message.u32("salt"), message.u32("ts")
    privileges = message.map32("privileges")
    claims = AccessToken(app_id, salt, ts, privileges, channel_crc, uid_crc)
    return Parsed(NAME, claims, signature, signed)


def verify_signature(
    parsed: Parsed, certificate: Certificate, channel_name: str | None, uid: int | str | None
) -> bool:
    """Whether ``certificate`` signed the token for this channel name and uid.

    The message is taken as it stands in the token: some builders don't sort the privileges.
    """
    channel_text, uid_text = supplied(NAME, channel_name, uid)
    content = parsed.claims.app_id.encode() + channel_text + uid_text + parsed.signed
    return hmac.compare_digest(parsed.signature, certificate.sign_access_token(content))
