"""What a token says, whatever its format: when it lives, what it opens, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import rules
from .claims import name_of, privileges_of, service_name
from .formats import access_token
from .formats.access_token import AccessToken
from .formats.access_token2 import AccessToken2
from .formats.dynamic_key import DynamicKey, KeyService
from .services import BY_TYPE, Service

# The fields of services that say where to, and who.
CHANNEL_FIELDS = ("channel_name", "room_uuid")
USER_FIELDS = ("uid", "account", "user_id", "user_uuid")
# Those of them where numbers and accounts are two things.
NUMBER_FIELDS = ("uid", "account")
# The privileges without which nothing else of a service is of use.
ENTRY = ("join_channel", "login")
# The privileges that each service knows, by the service's name.
SERVICE_PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    service_name(service): tuple(name.name.lower() for name in privileges_of(service))
    for service in BY_TYPE.values()
}


class Granted(NamedTuple):
    """One privilege of a token: its value as it stands there, and when it ends in Unix seconds
    (None: it has no end)."""

    name: str
    value: int
    ends_at: int | None


class Grant(NamedTuple):
    """One service that a token opens.

    ``channel_field`` and ``user_field`` name the fields that say where to and who, None where the
    service has none; ``channel_name`` and ``user`` are None, too, where the token doesn't say.
    ``knows`` lists the privileges that the service has at all.
    """

    service: str
    privileges: tuple[Granted, ...]
    knows: tuple[str, ...]
    channel_field: str | None = None
    channel_name: str | None = None
    user_field: str | None = None
    user: int | str | None = None

    @property
    def family(self) -> str:
        """The service that a client uses it for: both kinds of RTM are "rtm"."""
        return "rtm" if self.service == "rtm2" else self.service

    def privilege(self, name: str) -> Granted | None:
        """The privilege of that name, if it is granted."""
        return next((granted for granted in self.privileges if granted.name == name), None)


class Facts(NamedTuple):
    """What a token says. Times are in Unix seconds, None where the format doesn't tell."""

    app_id: str
    issued_at: int | None
    ends_at: int | None
    grants: tuple[Grant, ...]


def _field(service: Service, names: tuple[str, ...]) -> tuple[str | None, Any]:
    """The first field of a service that has one of these names, and what it says."""
    for field in service.FIELDS:
        if field.name in names:
            value = getattr(service, field.name)
            # Where a field is optional, an empty one means none; elsewhere it means any.
            unsaid = field.rule is rules.optional_account and value == ""
            return field.name, None if unsaid else value
    return None, None


def _service_grant(claims: AccessToken2, service: Service, token_ends: int) -> Grant:
    names = privileges_of(type(service))
    privileges = [
        Granted(
            name_of(names, key),
            seconds,
            min(claims.issue_ts + seconds, token_ends) if seconds else token_ends,
        )
        for key, seconds in service.privileges.items()
    ]
    channel_field, channel_name = _field(service, CHANNEL_FIELDS)
    user_field, user = _field(service, USER_FIELDS)
    name = service_name(type(service))
    known = SERVICE_PRIVILEGES[name]
    return Grant(name, tuple(privileges), known, channel_field, channel_name, user_field, user)


def lifetime(expire: int) -> int:
    """The seconds that a 007 token lasts: Agora takes 0, and more than 24 hours, for 24 hours."""
    return expire if 0 < expire <= rules.DAY else rules.DAY


def is_rtm_006(claims: Any) -> bool:
    """Whether a token is a 006 token for RTM alone, whose user id stands for a channel name."""
    privileges = access_token.Privilege
    return (
        isinstance(claims, AccessToken)
        and privileges.RTM_LOGIN in claims.privileges
        and privileges.JOIN_CHANNEL not in claims.privileges
    )


def _facts_006(claims: AccessToken) -> Facts:
    login = access_token.Privilege.RTM_LOGIN
    granted = {
        key: Granted(
            "login" if key == login else name_of(access_token.Privilege, key),
            when,
            min(when, claims.ts) if when else claims.ts,
        )
        for key, when in claims.privileges.items()
    }
    grants = []
    if login in granted:
        grants.append(
            Grant("rtm", (granted.pop(login),), SERVICE_PRIVILEGES["rtm"], None, None, "user_id")
        )
    if granted or not grants:
        privileges = tuple(granted.values())
        rtc = Grant("rtc", privileges, SERVICE_PRIVILEGES["rtc"], "channel_name", None, "uid")
        grants.insert(0, rtc)
    issued_at = claims.ts - rules.DAY if claims.ts >= rules.DAY else None
    return Facts(claims.app_id, issued_at, claims.ts, tuple(grants))


def facts(claims: Any) -> Facts:
    """What the claims of any format say."""
    if isinstance(claims, AccessToken2):
        ends = claims.issue_ts + lifetime(claims.expire)
        grants = tuple(_service_grant(claims, service, ends) for service in claims.services)
        return Facts(claims.app_id, claims.issue_ts, ends, grants)
    if isinstance(claims, AccessToken):
        return _facts_006(claims)
    if isinstance(claims, DynamicKey):
        # Version 4 signs its service without telling it; those before had no other.
        number = claims.service or KeyService.MEDIA_CHANNEL
        service = "dynamic_key" if claims.version == 4 else name_of(KeyService, number)
        grant = Grant(service, (), (), "channel_name", None, "uid", claims.uid)
        return Facts(claims.app_id, claims.unix_ts, claims.expired_ts or None, (grant,))
    grant = Grant("signaling", (), (), None, None, "account")
    return Facts(claims.app_id, None, claims.expired_ts, (grant,))
