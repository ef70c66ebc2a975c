"""AccessToken2, the current format, "007" (docs/formats.md, "AccessToken2")."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from .._core import (
    Certificate,
    decode,
    deflate,
    encode,
    inflate,
    pack_i16,
    pack_map32,
    pack_str,
    pack_u16,
    pack_u32,
)
from ..errors import MalformedToken
from ..rules import U32_MAX
from ..services import BY_TYPE, Kind, Service
from .parsed import Parsed
from .reader import Reader

NAME = "access_token2"
PREFIX = "007"
INFLATE_LIMIT = 65_536  # bytes: a stream that holds more is a bomb, not a token
SIGNATURE_BYTES = 32
_TYPE = attrgetter("TYPE")


@dataclass(frozen=True)
class UnknownServices:
    """What stands behind the last service that could be read: how many services, and their bytes.

    An unknown service can't be skipped, since its fields have no length.
    """

    count: int
    data: bytes


@dataclass(frozen=True)
class AccessToken2:
    """The claims of a 007 token.

    ``issue_ts`` is in Unix seconds, ``expire`` in seconds from then; ``salt`` is a u32.
    """

    app_id: str
    issue_ts: int
    expire: int
    salt: int
    services: tuple[Service, ...]
    unknown: UnknownServices | None = None


def uid_text(uid: int | str) -> bytes:
    """A uid or account as it is written: 0 is empty, the text "0" stays."""
    return b"" if uid == 0 else str(uid).encode()


def uid_value(text: str) -> int | str:
    """The uid that `uid_text` writes as ``text``: an int where that gives the same text back."""
    if text == "":
        return 0
    digits = text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 10
    if digits and int(text) <= U32_MAX:
        return int(text)
    return text


def pack_permissions(permissions: Mapping[int, Mapping[int, Any]]) -> bytes:
    """RTM2's nested maps: resource -> permission -> names, keys ascending."""
    packed = pack_u16(len(permissions))
    for resource, granted in sorted(permissions.items()):
        packed += pack_u16(resource) + pack_u16(len(granted))
        for permission, names in sorted(granted.items()):
            packed += pack_u16(permission) + pack_u16(len(names))
            packed += b"".join([pack_str(name.encode()) for name in names])
    return packed


def _read_permissions(reader: Reader) -> dict[int, dict[int, tuple[str, ...]]]:
    field = "permissions"
    return {
        reader.u16(field): {
            reader.u16(field): tuple(reader.text(field) for _ in range(reader.u16(field)))
            for _ in range(reader.u16(field))
        }
        for _ in range(reader.u16(field))
    }


def _pack_field(kind: Kind, value: Any) -> bytes:
    if kind is Kind.TEXT:
        return pack_str(value.encode())
    if kind is Kind.UID:
        return pack_str(uid_text(value))
    if kind is Kind.I16:
        return pack_i16(value)
    return pack_permissions(value)


def _read_field(kind: Kind, name: str, reader: Reader) -> Any:
    if kind is Kind.TEXT:
        return reader.text(name)
    if kind is Kind.UID:
        return uid_value(reader.text(name))
    if kind is Kind.I16:
        return reader.i16(name)
    return _read_permissions(reader)


def pack_service(service: Service) -> bytes:
    """A service: its type, its privileges, its fields."""
    packed = pack_u16(service.TYPE) + pack_map32(service.privileges)
    for field in service.FIELDS:
        packed += _pack_field(field.kind, getattr(service, field.name))
    return packed


def by_type(services: Sequence[Service]) -> list[Service]:
    """Services in the order of a token: by ascending type, then as they were added."""
    return sorted(services, key=_TYPE)


def pack(claims: AccessToken2) -> bytes:
    """The body of the token: all that is signed."""
    unknown = claims.unknown or UnknownServices(0, b"")
    return (
        pack_str(claims.app_id.encode())
        + pack_u32(claims.issue_ts)
        + pack_u32(claims.expire)
        + pack_u32(claims.salt)
        + pack_u16(len(claims.services) + unknown.count)
        + b"".join(map(pack_service, by_type(claims.services)))
        + unknown.data
    )


def seal(signature: bytes, body: bytes) -> str:
    """The token of a signed body."""
    return PREFIX + encode(deflate(pack_str(signature) + body))


def build(claims: AccessToken2, certificate: Certificate) -> str:
    """The token of ``claims``, signed with ``certificate``."""
    body = pack(claims)
    return seal(certificate.sign_access_token2(claims.issue_ts, claims.salt, body), body)


def detect(token: str) -> bool:
    return token.startswith(PREFIX)


def parse(token: str) -> Parsed:
    """Reads a 007 token. Raises `MalformedToken`; a token up to 64 KiB inflated can be read."""
    content = inflate(decode(token[len(PREFIX) :]), INFLATE_LIMIT)
    reader = Reader(content)
    signature = reader.bytes_("signature")
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedToken("field", f"signature is not {SIGNATURE_BYTES} bytes")
    body = content[reader.position :]
    app_id = reader.text("app_id")
    issue_ts, expire, salt = reader.u32("issue_ts"), reader.u32("expire"), reader.u32("salt")
    services, left = [], reader.u16("service count")
    while left:
        start = reader.position
        service = BY_TYPE.get(reader.u16("service type"))
        if service is None:
            reader.position = start
            break
        privileges = reader.map32("privileges")
        values = {f.name: _read_field(f.kind, f.name, reader) for f in service.FIELDS}
        services.append(service(**values, privileges=privileges))  # type: ignore[call-arg]
        left -= 1
    rest = reader.rest()
    unknown = UnknownServices(left, rest) if left or rest else None
    claims = AccessToken2(app_id, issue_ts, expire, salt, tuple(services), unknown)
    return Parsed(NAME, claims, signature, body)


def verify_signature(
    parsed: Parsed, certificate: Certificate, channel_name: str | None, uid: int | str | None
) -> bool:
    """Whether ``certificate`` signed the token; everything it needs is in the token."""
    claims = parsed.claims
    expected = certificate.sign_access_token2(claims.issue_ts, claims.salt, parsed.signed)
    return hmac.compare_digest(parsed.signature, expected)
