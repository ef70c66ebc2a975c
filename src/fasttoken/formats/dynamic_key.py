"""Dynamic keys 1 to 5, for SDKs before 2.1 (docs/formats.md, "Dynamic keys").

Agora deprecates them all. They sign with HMAC-SHA1 and carry no channel name; versions 1, 4 and 5
carry no uid either.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from .._core import Certificate, decode, encode, pack_str, pack_u16, pack_u32
from ..errors import FieldError, MalformedToken
from ..rules import U32_MAX, integer
from ..services import FrozenMap
from .parsed import Parsed, supplied
from .reader import Reader

NAME = "dynamic_key"
PREFIXES = {1: "", 2: "", 3: "003", 4: "004", 5: "005"}


class KeyService(IntEnum):
    """What a dynamic key of version 4 or 5 opens."""

    MEDIA_CHANNEL = 1
    RECORDING = 2
    PUBLIC_SHARING = 3
    IN_CHANNEL_PERMISSION = 4


SERVICE_CODES = {
    KeyService.MEDIA_CHANNEL: "ACS",
    KeyService.RECORDING: "ARS",
    KeyService.PUBLIC_SHARING: "APSS",
}
UPLOAD_PERMISSION = 1  # the key of extra: b"0" no upload, b"3" audio and video

_SHA1 = "[0-9a-f]{40}"
_APP_ID = "[0-9a-fA-F]{32}"
_HEAD = (
    f"(?P<signature>{_SHA1})(?P<app_id>{_APP_ID})"
    "(?P<unix_ts>[0-9]{10})(?P<random_int>[0-9a-f]{8})"
)
_LENGTHS = (90, 110)  # of versions 1 and 2, which have no prefix
_LAYOUTS = {
    1: _HEAD,
    2: _HEAD + "(?P<uid>[0-9]{10})(?P<expired_ts>[0-9]{10})",
    3: "003" + _HEAD + "(?P<uid>[0-9]{10})(?P<expired_ts>[0-9]{10})",
    4: "004" + _HEAD + "(?P<expired_ts>[0-9]{10})",
}


@dataclass(frozen=True)
class DynamicKey:
    """The claims of a dynamic key.

    ``unix_ts`` and ``expired_ts`` are absolute, in Unix seconds (``expired_ts`` 0: no end);
    ``random_int`` is a u32. What a version does not carry is None: ``uid`` in 1, 4 and 5,
    ``expired_ts`` in 1, ``service`` in all but 5.
    """

    version: int
    app_id: str
    unix_ts: int
    random_int: int
    uid: int | None = None
    expired_ts: int | None = None
    service: int | None = None
    extra: Mapping[int, bytes] = FrozenMap()

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", FrozenMap(self.extra))


def claims_for(
    version: int,
    app_id: str,
    unix_ts: int,
    random_int: int,
    expired_ts: int,
    service: int,
    allow_upload: bool,
) -> DynamicKey:
    """The claims of a key to build; what its version doesn't sign is left out."""
    known = version in (4, 5)
    if known and service not in (SERVICE_CODES if version == 4 else tuple(KeyService)):
        raise FieldError("service", f"is unknown to dynamic key {version}")
    extra = {}
    if version == 5 and service == KeyService.IN_CHANNEL_PERMISSION:
        extra[UPLOAD_PERMISSION] = b"3" if allow_upload else b"0"
    return DynamicKey(
        version,
        app_id,
        unix_ts,
        random_int,
        None,
        None if version == 1 else expired_ts,
        service if known else None,
        extra,
    )


def _hex_content(claims: DynamicKey, channel_name: bytes, uid: int) -> bytes:
    """What versions 1 to 4 sign."""
    code = SERVICE_CODES[KeyService(claims.service or 0)].encode() if claims.version == 4 else b""
    head = code + claims.app_id.encode().rjust(32, b"\0")
    content = head + b"%010d%08x" % (claims.unix_ts, claims.random_int) + channel_name
    return (
        content if claims.version == 1 else content + b"%010d%010d" % (uid, claims.expired_ts or 0)
    )


def _pack_extra(extra: Mapping[int, bytes]) -> bytes:
    return pack_u16(len(extra)) + b"".join(pack_u16(k) + pack_str(v) for k, v in extra.items())


def _packed_content(claims: DynamicKey, channel_name: bytes, uid: int) -> bytes:
    """What version 5 signs."""
    return (
        pack_u16(claims.service or 0)
        + pack_str(bytes.fromhex(claims.app_id))
        + pack_u32(claims.unix_ts)
        + pack_u32(claims.random_int)
        + pack_str(channel_name)
        + pack_u32(uid)
        + pack_u32(claims.expired_ts or 0)
        + _pack_extra(claims.extra)
    )


def _sign(claims: DynamicKey, certificate: Certificate, channel_name: bytes, uid: int) -> str:
    if claims.version == 5:
        content = _packed_content(claims, channel_name, uid)
        mac = hmac.digest(bytes.fromhex(certificate.reveal().decode()), content, "sha1")
        return mac.hex().upper()
    content = _hex_content(claims, channel_name, uid)
    return hmac.digest(certificate.reveal(), content, "sha1").hex()


def build(claims: DynamicKey, certificate: Certificate, channel_name: bytes, uid: int) -> str:
    """The dynamic key of ``claims``, for a channel name (UTF-8) and a uid."""
    signature = _sign(claims, certificate, channel_name, uid)
    if claims.version == 5:
        return PREFIXES[5] + encode(
            pack_u16(claims.service or 0)
            + pack_str(signature.encode())
            + pack_str(bytes.fromhex(claims.app_id))
            + pack_u32(claims.unix_ts)
            + pack_u32(claims.random_int)
            + pack_u32(claims.expired_ts or 0)
            + _pack_extra(claims.extra)
        )
    key = f"{PREFIXES[claims.version]}{signature}{claims.app_id}"
    key += f"{claims.unix_ts:010d}{claims.random_int:08x}"
    if claims.version in (2, 3):
        key += f"{uid:010d}"
    return key if claims.version == 1 else f"{key}{claims.expired_ts or 0:010d}"


def _version(token: str) -> int:
    """The version of a dynamic key, by its prefix and, for 1 and 2, its length; 0 if none."""
    for version, layout in _LAYOUTS.items():
        if re.fullmatch(layout, token):
            return version
    return 5 if token.startswith(PREFIXES[5]) else 0


def detect(token: str) -> bool:
    return token.startswith(("003", "004", "005")) or (
        len(token) in _LENGTHS and _version(token) != 0
    )


def parse(token: str) -> Parsed:
    """Reads a dynamic key. Raises `MalformedToken`.

    Version 4 does not carry its service: `verify_signature` tries all three.
    """
    version = _version(token)
    if version == 5:
        return _parse5(token)
    found = re.fullmatch(_LAYOUTS[version], token) if version else None
    if found is None:
        raise MalformedToken("field", f"not a dynamic key of version {token[2:3]}")
    text = found.groupdict()
    uid, expired = text.get("uid"), text.get("expired_ts")
    claims = DynamicKey(
        version,
        text["app_id"],
        int(text["unix_ts"]),
        int(text["random_int"], 16),
        None if uid is None else int(uid),
        None if expired is None else int(expired),
    )
    return Parsed(NAME, claims, text["signature"].encode(), b"")


def _parse5(token: str) -> Parsed:
    reader = Reader(decode(token[len(PREFIXES[5]) :]))
    service = reader.u16("service")
    signature = reader.bytes_("signature")
    app_id = reader.bytes_("app_id").hex()
    unix_ts, random_int = reader.u32("unix_ts"), reader.u32("random_int")
    expired_ts = reader.u32("expired_ts")
    extra = {reader.u16("extra"): reader.bytes_("extra") for _ in range(reader.u16("extra"))}
    reader.end()
    claims = DynamicKey(5, app_id, unix_ts, random_int, None, expired_ts, service, extra)
    return Parsed(NAME, claims, signature, b"")


def verify_signature(
    parsed: Parsed, certificate: Certificate, channel_name: str | None, uid: int | str | None
) -> bool:
    """Whether ``certificate`` signed the key for this channel name, and this uid where the key
    doesn't carry one."""
    claims: DynamicKey = parsed.claims
    if claims.version == 1:
        uid = 0
    elif claims.uid is not None:
        uid = claims.uid
    channel_text, _ = supplied(f"{NAME} {claims.version}", channel_name, uid)
    uid = integer("uid", uid, 0, U32_MAX)
    candidates = [claims]
    if claims.version == 4:
        candidates = [replace(claims, service=service) for service in SERVICE_CODES]
    # All are compared, whichever matches: the time must not tell.
    matches = [
        hmac.compare_digest(
            parsed.signature, _sign(candidate, certificate, channel_text, uid).encode()
        )
        for candidate in candidates
    ]
    return any(matches)
