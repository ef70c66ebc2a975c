"""The one place where a token is minted for a caller.

What keeps callers safe stands here or deeper (`fasttoken.rules`), never in a route: a uid out of
range, an empty channel name, a wildcard and a lifetime above the longest are refused whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import time
from typing import Any, Literal, TypeAlias

import msgspec

from ..errors import BadRow, FieldError
from ..project import PUBLISHER_PRIVILEGES, Project
from ..rules import DAY
from ..services import Role, Rtc, Rtm, Service
from .audit import AuditLog
from .auth import Caller
from .faults import Fault
from .metrics import Meter
from .policy import Rules
from .settings import TokenDefaults

Version: TypeAlias = Literal["007", "006"]
RENEW_BEFORE = 30  # seconds: when Agora's SDKs say that the privilege will expire


class RtcOrder(msgspec.Struct, frozen=True):
    """What nearly all ask for: to join one RTC channel in a role. See `Project.rtc_token`.

    ``expire`` and ``privilege_expire`` are in seconds from now; 0 for a privilege lasts as long as
    the token.
    """

    channel_name: str
    uid: int | str
    role: Role = Role.PUBLISHER
    expire: int = 3600
    privilege_expire: int = 0
    version: Version = "007"

    @property
    def services(self) -> tuple[Service, ...]:
        """The same as services, as an `Order` has them."""
        wanted = PUBLISHER_PRIVILEGES[:1] if self.role is Role.SUBSCRIBER else PUBLISHER_PRIVILEGES
        privileges = dict.fromkeys(wanted, self.privilege_expire)
        return (Rtc(self.channel_name, self.uid, privileges),)


class Order(msgspec.Struct, frozen=True):
    """A token for any services; privileges and ``expire`` are in seconds from now.

    Version 006 has RTM alone here: its RTC tokens are an `RtcOrder`.
    """

    services: tuple[Service, ...]
    expire: int = 3600
    version: Version = "007"


AnyOrder: TypeAlias = RtcOrder | Order


class Minted(msgspec.Struct, frozen=True):
    """A token; when it was issued, when the first thing in it ends, when to fetch the next one.

    All times are Unix seconds.
    """

    token: str
    issued_at: int
    expires_at: int
    renew_at: int


def _renew_at(issued_at: int, expires_at: int) -> int:
    """Half a minute before the end; half the time where that is less than a minute."""
    return max(expires_at - RENEW_BEFORE, (issued_at + expires_at) // 2)


def _shape(order: Any) -> Any:
    """What orders that are minted together have in common."""
    if isinstance(order, RtcOrder):
        return order.version, order.role
    return order.version, tuple((type(s), tuple(s.privileges)) for s in order.services)


class Desk:
    """Mints for callers: policy, rules, project, audit log, metrics, in this order."""

    def __init__(
        self,
        project: Project,
        defaults: TokenDefaults,
        rules: Rules,
        audit: AuditLog,
        meter: Meter,
    ) -> None:
        self.project = project
        self.defaults = defaults
        self._longest = defaults.longest
        self.rules = rules
        self.audit = audit
        self.meter = meter

    def mint(self, caller: Caller, order: AnyOrder) -> Minted:
        """A token for a caller. `Forbidden` if the policy does not grant it, `FieldError` for a
        value that breaks a rule."""
        now = int(time())
        try:
            self.rules.check(caller, order)
            token, ends = (
                self._rtc(order, now) if type(order) is RtcOrder else self._any(order, now)
            )
        except (Fault, FieldError) as error:
            self.audit.refused(caller, order, error)
            raise
        ends += now
        minted = Minted(token, now, ends, _renew_at(now, ends))
        self.audit.minted(caller, order, minted)
        self.meter.minted(order)
        return minted

    def _rtc(self, order: Any, now: int) -> tuple[str, int]:
        ends = expire = order.expire
        privilege_expire = order.privilege_expire
        if type(expire) is not int or not 0 < expire <= self._longest:
            self._refuse_lifetime("expire", expire)
        if order.version == "006":
            token = self.project.rtc_token_006(
                order.channel_name, order.uid, order.role, expire, issue_ts=now
            )
            return token, expire
        if privilege_expire:
            if type(privilege_expire) is not int or not 0 < privilege_expire <= self._longest:
                self._refuse_lifetime("privilege_expire", privilege_expire)
            if privilege_expire < ends:
                ends = privilege_expire
        token = self.project.rtc_token(
            order.channel_name,
            order.uid,
            order.role,
            expire,
            privilege_expire=privilege_expire,
            issue_ts=now,
            strict_lifetime=True,
        )
        return token, ends

    def _any(self, order: Any, now: int) -> tuple[str, int]:
        ends = self._check_lifetimes(order)
        if order.version == "006":
            if len(order.services) != 1 or type(order.services[0]) is not Rtm:
                raise FieldError("services", "must be RTM alone in version 006")
            [service] = order.services
            return self.project.rtm_token_006(service.user_id, order.expire, issue_ts=now), ends
        token = self.project.token(order.services, order.expire, issue_ts=now, strict_lifetime=True)
        return token, ends

    def mint_many(
        self, caller: Caller, orders: Sequence[AnyOrder | FieldError]
    ) -> list[Minted | Fault | FieldError]:
        """A token, or why there is none, for each order; an order may be an error already.

        Rows that differ in values only are minted together.
        """
        now = int(time())
        found: list[Any] = list(orders)
        alike: dict[Any, list[int]] = {}
        ends = [0] * len(found)
        for row, order in enumerate(orders):
            if isinstance(order, FieldError):
                continue
            try:
                self.rules.check(caller, order)
                ends[row] = self._check_lifetimes(order)
            except (Fault, FieldError) as error:
                found[row] = error
            else:
                alike.setdefault(_shape(order), []).append(row)
        for rows in alike.values():
            tokens, bad = self._together([found[row] for row in rows], now)
            for row, token in zip(rows, tokens, strict=True):
                if token is not None:
                    until = now + ends[row]
                    found[row] = Minted(token, now, until, _renew_at(now, until))
            for one in bad:
                # The mend is advice to a caller in Python.
                rule = one.reason.partition(" (say allow_wildcard")[0]
                found[rows[one.index]] = FieldError(one.field, rule)
        for row, order in enumerate(orders):
            minted, asked = found[row], None if isinstance(order, FieldError) else order
            if isinstance(minted, Minted) and asked is not None:
                try:
                    self.audit.minted(caller, asked, minted)
                except Fault as error:
                    found[row] = error
                else:
                    self.meter.minted(asked)
            else:
                self.audit.refused(caller, asked, minted)
        return found

    def _together(self, orders: Any, now: int) -> Any:
        """The tokens of orders of one shape, None where there is none, and the bad rows."""
        first = orders[0]
        options: Any = {"issue_ts": now, "errors": "null", "strict_lifetime": True}
        expire = [order.expire for order in orders]
        if isinstance(first, RtcOrder):
            columns: Any = (
                [order.channel_name for order in orders],
                [order.uid for order in orders],
                first.role,
                expire,
            )
            if first.version == "006":
                return self.project.rtc_tokens_006(*columns, **options)
            privilege_expire = [order.privilege_expire for order in orders]
            return self.project.rtc_tokens(*columns, privilege_expire=privilege_expire, **options)
        if first.version == "006":
            return self._one_by_one(orders, now)
        services = [
            type(service)(
                **{
                    field.name: [getattr(order.services[place], field.name) for order in orders]
                    for field in service.FIELDS
                },
                privileges={
                    key: [order.services[place].privileges[key] for order in orders]
                    for key in service.privileges
                },
            )
            for place, service in enumerate(first.services)
        ]
        return self.project.tokens(services, expire, **options)

    def _one_by_one(self, orders: Any, now: int) -> Any:
        tokens: list[str | None] = []
        bad = []
        for row, order in enumerate(orders):
            try:
                tokens.append(self._any(order, now)[0])
            except FieldError as error:
                tokens.append(None)
                bad.append(BadRow(row, error.field, error.reason))
        return tokens, tuple(bad)

    def _check_lifetimes(self, order: Any) -> int:
        """The seconds until the first thing in an order's token ends. `FieldError` if anything in
        it lasts too long."""
        ends: int = order.expire
        self._lifetime("expire", ends)
        if isinstance(order, RtcOrder):
            if order.privilege_expire and order.version == "007":
                self._lifetime("privilege_expire", order.privilege_expire)
                ends = min(ends, order.privilege_expire)
            return ends
        for service in order.services:
            for value in service.privileges.values():
                if value:
                    self._lifetime("privileges", value)
                    ends = min(ends, value)
        return ends

    def _lifetime(self, field: str, seconds: Any) -> None:
        if type(seconds) is not int or not 0 < seconds <= self._longest:
            self._refuse_lifetime(field, seconds)

    def _refuse_lifetime(self, field: str, seconds: Any) -> None:
        if type(seconds) is not int:
            raise FieldError(field, f"must be an integer, not {type(seconds).__name__}")
        mend = "Agora ends every token after 24 hours" if self._longest == DAY else ""
        raise FieldError(field, f"must be in 1..{self._longest} seconds", mend)

    async def verify(
        self, caller: Caller, tokens: Sequence[str], **asked: Any
    ) -> list[dict[str, Any]]:
        """The verdicts about tokens, as `Verdict.to_data` has them, for a caller who may ask."""
        try:
            self.rules.check_verify(caller)
        except Fault as error:
            self.audit.refused(caller, None, error)
            raise
        verdicts = []
        for token in tokens:
            verdicts.append(self.project.verify(token, **asked).to_data())
            # To find out what is wrong with a token may take milliseconds; others have their turn.
            await asyncio.sleep(0)
        return verdicts
