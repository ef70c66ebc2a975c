"""What the native routes read and answer, as types: decoded by them, described by OpenAPI.

The forms of the services are made from the service table (`fasttoken.services`); each bears the
name and the fields of its class, in JSON as in `fasttoken.claims`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .. import rules
from ..claims import privileges_of, service_name
from ..errors import FieldError
from ..services import BY_TYPE, Apaas, Chat, Kind, Role, Rtc, Rtm, Rtm2, Service
from .desk import AnyOrder, Order, RtcOrder

MOST_ROWS = 10_000
MOST_VERDICTS = 1_000


def _described(description: str, **schema: Any) -> Meta:
    """What OpenAPI says of a value. The rules themselves are `fasttoken.rules`: what breaks one
    is answered with its name."""
    return Meta(description=description, extra_json_schema=schema)


_PLAIN = re.sub(r"[]\[\\^-]", r"\\\g<0>", rules.CHANNEL_CHARACTERS)
_NOT_ANY = {"not": {"const": rules.WILDCARD}}
ChannelName: TypeAlias = Annotated[
    str,
    _described(
        "Up to 64 ASCII letters, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,",
        minLength=1,
        maxLength=rules.CHANNEL_BYTES,
        pattern=f"^[{_PLAIN}]+$",
    ),
]
Uid: TypeAlias = (
    Annotated[int, _described("A uid", minimum=1, maximum=rules.U32_MAX)]
    | Annotated[
        str,
        _described(
            "An account of up to 255 bytes",
            minLength=1,
            maxLength=rules.ACCOUNT_BYTES,
            **_NOT_ANY,
        ),
    ]
)
UserId: TypeAlias = Annotated[
    str,
    _described(
        "A user id of up to 64 bytes",
        minLength=1,
        maxLength=rules.RTM_USER_BYTES,
        **_NOT_ANY,
    ),
]
OptionalId: TypeAlias = Annotated[
    str, _described("An id of up to 255 bytes; empty for none", maxLength=rules.ACCOUNT_BYTES)
]
Expire: TypeAlias = Annotated[
    int, _described("Seconds from now until the token ends", minimum=1, maximum=rules.DAY)
]
PrivilegeExpire: TypeAlias = Annotated[
    int,
    _described(
        "Seconds from now until the privilege ends; 0: with the token", minimum=0, maximum=rules.DAY
    ),
]
I16: TypeAlias = Annotated[int, _described("", minimum=-(2**15), maximum=2**15 - 1)]
_TYPES: Mapping[Callable[..., Any], Any] = {
    rules.channel_name: ChannelName,
    rules.uid: Uid,
    rules.rtm_user_id: UserId,
    rules.optional_account: OptionalId,
    rules.i16: I16,
}
RoleName: TypeAlias = Literal["publisher", "subscriber"]
_ROLES: Mapping[str, Role] = {role.name.lower(): role for role in Role}
_OPTIONAL = (rules.optional_account, rules.i16)


def _by_name(numbers: Any, kind: Any) -> Any:
    """An object whose keys are the names of an enum's members."""
    names = [number.name.lower() for number in numbers]
    keys = {"propertyNames": {"enum": names}}
    return Annotated[dict[Literal[tuple(names)], kind], Meta(extra_json_schema=keys)]  # type: ignore[misc]


def _permissions(service: Any) -> Any:
    return _by_name(service.Resource, _by_name(service.Permission, list[str]))


def _form(service: type[Service]) -> type[msgspec.Struct]:
    """The form of a service in a request."""
    defaults = {field.name: field.default for field in fields(service)}
    columns: list[Any] = []
    for field in service.FIELDS:
        if field.kind is Kind.PERMISSIONS:
            columns.append((field.name, _permissions(service)))
        elif field.rule in _OPTIONAL and defaults[field.name] is not MISSING:
            columns.append((field.name, _TYPES[field.rule], defaults[field.name]))
        else:
            columns.append((field.name, _TYPES[field.rule]))
    if service is Rtc:
        columns.append(("role", RoleName | UnsetType, UNSET))
    privileges = list(privileges_of(service))
    if privileges:
        granted = _by_name(privileges, PrivilegeExpire)
        columns.append(("privileges", granted | UnsetType, UNSET))
    return msgspec.defstruct(
        service.__name__,
        columns,
        tag_field="service",
        tag=service_name(service),
        forbid_unknown_fields=True,
        kw_only=True,
        namespace={"__doc__": (service.__doc__ or "").splitlines()[0]},
    )


FORMS: Mapping[type[Service], type[msgspec.Struct]] = {s: _form(s) for s in BY_TYPE.values()}
_SERVICES = {form: service for service, form in FORMS.items()}
_RTC: Any = FORMS[Rtc]
AnyForm: Any = reduce(or_, FORMS.values())


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One token: its services, and the seconds until it ends.

    Privileges default to those of an RTC role ("publisher" by default), elsewhere to what Agora's
    own builders grant. Version 006 has RTC with a role, or RTM, alone.
    """

    services: Annotated[list[AnyForm], Meta(min_length=1, max_length=16)]
    expire: Expire | UnsetType = UNSET
    version: Literal["007", "006"] = "007"


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Many tokens, one row each."""

    tokens: Annotated[list[TokenRequest], Meta(min_length=1, max_length=MOST_ROWS)]


class BatchRow(msgspec.Struct, omit_defaults=True):
    """A row of the answer to a batch: a token as in `Minted`, or why there is none."""

    row: int
    token: str | UnsetType = UNSET
    issued_at: int | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    renew_at: int | UnsetType = UNSET
    status: int | UnsetType = UNSET
    field: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET


class VerifyRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Tokens to be judged; what the client joins with, and wants to do, where that is asked.

    ``now`` is in Unix seconds, by default the server's clock; ``leeway`` in seconds.
    """

    tokens: Annotated[list[str], Meta(min_length=1, max_length=MOST_VERDICTS)]
    channel_name: str | None = None
    uid: int | str | None = None
    privilege: str | None = None
    now: Annotated[int, Meta(description="Unix seconds", ge=0, le=rules.U32_MAX)] | None = None
    leeway: Annotated[int, Meta(description="Seconds", ge=0, le=rules.U32_MAX)] = 0


class Reason(msgspec.Struct):
    """Why a token is rejected, or what is odd about it: docs/errors.md has the codes."""

    code: str
    severity: Literal["error", "warning"]
    sentence: str
    mend: str
    client_error: int | None


class Verdict(msgspec.Struct):
    """What Agora would say to a token."""

    ok: bool
    verified: bool
    format: str | None
    certificate: Literal["primary", "secondary"] | None
    issued_at: int | None
    expires_at: int | None
    reasons: list[Reason]
    claims: dict[str, Any] | None


class Verdicts(msgspec.Struct):
    """A verdict for each token, in their order."""

    verdicts: list[Verdict]


class Problem(msgspec.Struct):
    """RFC 9457 problem details; ``field`` and ``rule`` where a value broke a rule."""

    title: str
    status: int
    detail: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    mend: str | UnsetType = UNSET


class Status(msgspec.Struct):
    """Whether the server lives, or is ready."""

    status: Literal["ok"]


# From a request to an order -------------------------------------------------------------------


def order(asked: TokenRequest, expire: int) -> AnyOrder:
    """The order of a request; ``expire`` where the request does not say."""
    if asked.expire is not UNSET:
        expire = asked.expire
    forms: Any = asked.services
    form: Any = forms[0]
    if len(forms) == 1 and type(form) is _RTC and form.privileges is UNSET:
        role = Role.PUBLISHER if form.role is UNSET else _ROLES[form.role]
        return RtcOrder(form.channel_name, form.uid, role, expire, 0, asked.version)
    if asked.version == "006" and type(form) is _RTC:
        raise FieldError("services", "must be RTC with a role, alone, in version 006")
    return Order(tuple(_service(form, expire) for form in forms), expire, asked.version)


def _service(form: Any, expire: int) -> Service:
    kind = _SERVICES[type(form)]
    values: dict[str, Any] = {}
    for field in kind.FIELDS:
        value = getattr(form, field.name)
        values[field.name] = _numbered(kind, value) if field.kind is Kind.PERMISSIONS else value
    granted = getattr(form, "privileges", UNSET)
    role = getattr(form, "role", UNSET) if kind is Rtc else UNSET
    if role is not UNSET and granted is not UNSET:
        raise FieldError("role", "can't be given together with privileges")
    if granted is not UNSET:
        numbers = privileges_of(kind)
        privileges = {numbers[name.upper()]: seconds for name, seconds in granted.items()}
    else:
        privileges = _default(kind, values, role, expire)
    return kind(**values, privileges=privileges)  # type: ignore[call-arg]


def _numbered(kind: Any, permissions: Any) -> Any:
    return {
        kind.Resource[resource.upper()]: {
            kind.Permission[permission.upper()]: names for permission, names in granted.items()
        }
        for resource, granted in permissions.items()
    }


def _default(kind: Any, values: Mapping[str, Any], role: Any, expire: int) -> dict[Any, int]:
    """The privileges that Agora's builders would grant."""
    numbers = privileges_of(kind)
    if kind is Rtc and role == "subscriber":
        return {Rtc.Privilege.JOIN_CHANNEL: 0}
    if kind in (Rtm, Rtm2):
        return dict.fromkeys(numbers, expire)
    if kind is Chat:
        return {Chat.Privilege.USER if values["user_id"] else Chat.Privilege.APP: expire}
    if kind is Apaas:
        of = Apaas.Privilege
        which = of.USER if values["user_uuid"] else of.APP
        return {of.ROOM_USER if values["room_uuid"] else which: expire}
    return dict.fromkeys(numbers, 0)
