"""The claims of a token as plain data: to a dict that JSON can hold, and back to the same token.

    data = claims.to_data(fasttoken.parse(token))
    claims.to_token(data, project) == token

Services, privileges, resources and permissions stand by their names, those without a name by their
number as text. A uid is a number or, for an account, text; 0 is "any user". Bytes that no field
explains stand as hexadecimal text.

The token is the same in signature and content. It is the same text, too, where its maker used
stock zlib (docs/formats.md, "AccessToken2").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ._core import crc32
from .errors import FieldError, MalformedToken
from .formats import BY_NAME, access_token, access_token2, dynamic_key, parse, signaling
from .formats.access_token import AccessToken
from .formats.access_token2 import AccessToken2, UnknownServices
from .formats.dynamic_key import DynamicKey, KeyService
from .formats.parsed import Parsed, supplied
from .formats.signaling import SignalingToken
from .services import BY_TYPE, Kind, Service

if TYPE_CHECKING:
    from .project import Project


def service_name(service: type[Service]) -> str:
    """The name of a service in data: ``"rtc"``, ``"rtm2"``, ..."""
    return service.__name__.lower()


BY_SERVICE_NAME: Mapping[str, type[Service]] = {service_name(s): s for s in BY_TYPE.values()}


class _NoPrivilege(IntEnum):
    """The privileges of a service that has none."""


def privileges_of(service: type[Service]) -> type[IntEnum]:
    """The privileges that a service knows."""
    found: type[IntEnum] = getattr(service, "Privilege", _NoPrivilege)
    return found


@cache
def _names(numbers: type[IntEnum]) -> dict[int, str]:
    return {int(number): number.name.lower() for number in numbers}


def name_of(numbers: type[IntEnum], number: int) -> str:
    """A number by its name, in lower case; its decimal text where it has none."""
    return _names(numbers).get(number) or str(int(number))


def _number_of(numbers: type[IntEnum], text: str) -> int:
    found = next((number for number, name in _names(numbers).items() if name == text), None)
    return int(text) if found is None else found


# To data ------------------------------------------------------------------------------------------


def _service_to_data(service: Service) -> dict[str, Any]:
    kind = type(service)
    data: dict[str, Any] = {"service": service_name(kind)}
    for field in service.FIELDS:
        value = getattr(service, field.name)
        if field.kind is Kind.PERMISSIONS:
            value = {
                name_of(kind.Resource, resource): {  # type: ignore[attr-defined]
                    name_of(kind.Permission, permission): list(names)  # type: ignore[attr-defined]
                    for permission, names in granted.items()
                }
                for resource, granted in value.items()
            }
        data[field.name] = value
    data["privileges"] = {
        name_of(privileges_of(kind), key): value for key, value in service.privileges.items()
    }
    return data


def _claims_to_data(claims: Any) -> dict[str, Any]:
    if isinstance(claims, AccessToken2):
        data: dict[str, Any] = {
            "app_id": claims.app_id,
            "issue_ts": claims.issue_ts,
            "expire": claims.expire,
            "salt": claims.salt,
            "services": [_service_to_data(service) for service in claims.services],
        }
        if claims.unknown is not None:
            rest = {"count": claims.unknown.count, "data": claims.unknown.data.hex()}
            data["unknown_services"] = rest
        return data
    if isinstance(claims, AccessToken):
        names = access_token.Privilege
        return {
            "app_id": claims.app_id,
            "salt": claims.salt,
            "ts": claims.ts,
            "privileges": {name_of(names, key): value for key, value in claims.privileges.items()},
            "channel_crc": claims.channel_crc,
            "uid_crc": claims.uid_crc,
        }
    if isinstance(claims, DynamicKey):
        service = None if claims.service is None else name_of(KeyService, claims.service)
        extra = {str(key): value.decode("latin-1") for key, value in claims.extra.items()}
        plain = {name: getattr(claims, name) for name in DynamicKey.__dataclass_fields__}
        return plain | {"service": service, "extra": extra}
    return asdict(claims)


def to_data(parsed: Parsed) -> dict[str, Any]:
    """The claims of a parsed token as plain data; its signature is left out.

    ``signed`` (hexadecimal) is there only where the token's maker wrote the same claims in another
    way, such as privileges in another order.
    """
    data = {"format": parsed.format} | _claims_to_data(parsed.claims)
    if isinstance(parsed.claims, AccessToken2 | AccessToken):
        pack = BY_NAME[parsed.format].pack
        if pack(parsed.claims) != parsed.signed:
            data["signed"] = parsed.signed.hex()
    return data


# From data ----------------------------------------------------------------------------------------


def _service_from_data(data: Mapping[str, Any]) -> Service:
    kind = BY_SERVICE_NAME[data["service"]]
    values = {}
    for field in kind.FIELDS:
        value = data[field.name]
        if field.kind is Kind.PERMISSIONS:
            value = {
                _number_of(kind.Resource, resource): {  # type: ignore[attr-defined]
                    _number_of(kind.Permission, permission): names  # type: ignore[attr-defined]
                    for permission, names in granted.items()
                }
                for resource, granted in value.items()
            }
        values[field.name] = value
    names = privileges_of(kind)
    privileges = {_number_of(names, key): value for key, value in data["privileges"].items()}
    return kind(**values, privileges=privileges)  # type: ignore[call-arg]


def _claims_from_data(data: Mapping[str, Any]) -> Any:
    given = {key: value for key, value in data.items() if key not in ("format", "signed")}
    if data["format"] == access_token2.NAME:
        given["services"] = tuple(map(_service_from_data, given["services"]))
        unknown = given.pop("unknown_services", None)
        if unknown is not None:
            unknown = UnknownServices(unknown["count"], bytes.fromhex(unknown["data"]))
        return AccessToken2(**given, unknown=unknown)
    if data["format"] == access_token.NAME:
        names = access_token.Privilege
        given["privileges"] = {_number_of(names, k): v for k, v in given["privileges"].items()}
        return AccessToken(**given)
    if data["format"] == dynamic_key.NAME:
        if given["service"] is not None:
            given["service"] = _number_of(KeyService, given["service"])
        given["extra"] = {int(key): text.encode("latin-1") for key, text in given["extra"].items()}
        return DynamicKey(**given)
    if data["format"] == signaling.NAME:
        return SignalingToken(**given)
    raise FieldError("format", f"must be one of {', '.join(BY_NAME)}")


def from_data(data: Mapping[str, Any]) -> Any:
    """The claims that `to_data` gave: the same class, the same values. `FieldError` for others."""
    try:
        return _claims_from_data(data)
    except FieldError:
        raise
    except KeyError as error:
        raise FieldError("data", f"has no or an unknown {error.args[0]!r}") from None
    except (AttributeError, TypeError, ValueError):
        raise FieldError("data", "is not what claims.to_data gives") from None


def to_token(
    data: Mapping[str, Any],
    project: Project,
    *,
    channel_name: str | None = None,
    uid: int | str | None = None,
    certificate: Literal["primary", "secondary"] = "primary",
) -> str:
    """The token of some data, signed with a certificate of the project.

    ``channel_name`` and ``uid`` are for the formats that sign them and don't carry them (for a
    Signaling token, ``uid`` is the account); a dynamic key of version 4 needs its ``service`` in
    the data besides. Nothing but the layout of the format is checked: `FieldError` if the data does
    not fit it, or if it was changed while ``signed`` was left in it.
    """
    claims = from_data(data)
    key = project._primary if certificate == "primary" else project._secondary
    if key is None:
        raise FieldError("certificate", "the project has no secondary one")
    try:
        if isinstance(claims, AccessToken2):
            body = _signed(data, access_token2.pack(claims))
            signature = key.sign_access_token2(claims.issue_ts, claims.salt, body)
            token = access_token2.seal(signature, body)
        elif isinstance(claims, AccessToken):
            channel, user = supplied(access_token.NAME, channel_name, uid)
            if (crc32(channel), crc32(user)) != (claims.channel_crc, claims.uid_crc):
                raise FieldError("channel_name and uid", "have other check sums than the data")
            message = _signed(data, access_token.pack(claims))
            content = claims.app_id.encode() + channel + user + message
            token = access_token.seal(claims, key.sign_access_token(content), message)
        elif isinstance(claims, DynamicKey):
            user_id = 0 if claims.version == 1 else claims.uid if claims.uid is not None else uid
            channel, _ = supplied(dynamic_key.NAME, channel_name, user_id)
            if not isinstance(user_id, int):
                raise FieldError("uid", "must be an integer: dynamic keys know no accounts")
            token = dynamic_key.build(claims, key, channel, user_id)
        else:
            supplied(signaling.NAME, "", uid)
            token = signaling.build(claims, key, str(uid))
        if "signed" in data and parse(token).claims != claims:
            raise FieldError("signed", "says something else than the other fields", "remove it")
    except FieldError:
        raise
    except (AttributeError, MalformedToken, OverflowError, TypeError, ValueError):
        raise FieldError("data", "does not fit the format") from None
    return token


def _signed(data: Mapping[str, Any], packed: bytes) -> bytes:
    return bytes.fromhex(data["signed"]) if "signed" in data else packed
