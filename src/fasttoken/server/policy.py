"""What a caller may mint: rules in the settings, from a caller's claims to what it may order.

What no rule grants is refused. One rule must grant all of an order; rules don't add up. A rule's
patterns are compiled once, and filled with a caller's claims once for each credential.

In a pattern ``*`` stands for any characters, and ``{claim}`` for the value of a claim, of which
nothing is a wildcard. A claim that is a list stands for each of its values; one that is missing,
empty or neither text nor an integer stands for nothing at all, so that its pattern matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from ..claims import BY_SERVICE_NAME, service_name
from ..errors import FieldError
from ..rules import DAY, WILDCARD
from ..services import Apaas, Chat, FCdn, Kind, Role, Rtc, Rtm2, Service, Streaming
from .auth import Claims
from .faults import Forbidden

if TYPE_CHECKING:
    from .auth import Caller
    from .desk import AnyOrder

MOST_VALUES = 100  # of one pattern, when claims in it are lists
MOST_STARS = 3  # in one pattern: what matching may cost grows with each
LONGEST_NAME = 255  # no channel, user or caller has a longer one
PUBLISHER, SUBSCRIBER = Role.PUBLISHER, Role.SUBSCRIBER
# The privileges that a subscriber may have; whatever else is in these services publishes.
_LISTENS: Mapping[type[Service], frozenset[int]] = {
    Rtc: frozenset({Rtc.Privilege.JOIN_CHANNEL}),
    FCdn: frozenset({FCdn.Privilege.PLAY}),
    Streaming: frozenset(),
}
# The privileges over a whole app: those of a wildcard.
_APP: Mapping[type[Service], int] = {Chat: Chat.Privilege.APP, Apaas: Apaas.Privilege.APP}
_CHANNELS = frozenset({"channel_name", "room_uuid"})

# Patterns ----------------------------------------------------------------------------------------


class Pattern:
    """A pattern for names: literal text, ``*`` and ``{claims}``, compiled once."""

    def __init__(self, field: str, text: str) -> None:
        """`FieldError` for a pattern that can't be read."""
        try:
            parts = list(Formatter().parse(text))
        except ValueError:
            raise FieldError(field, "has a brace too many; a brace itself is {{ or }}") from None
        self._pieces: list[str] = []  # of a regular expression, between the claims
        self._claims: list[list[str]] = []
        if text.count(WILDCARD) > MOST_STARS:
            raise FieldError(field, f"must have at most {MOST_STARS} stars")
        piece = ""
        for literal, claim, form, conversion in parts:
            piece += ".*".join(map(re.escape, literal.split(WILDCARD)))
            if claim is None:
                continue
            if form or conversion or not re.fullmatch(r"[^\W\d][\w-]*(\.[\w-]+)*", claim):
                raise FieldError(field, "must have the name of a claim in braces, as in {sub}")
            self._pieces.append(piece)
            self._claims.append(claim.split("."))
            piece = ""
        self._pieces.append(piece)

    def filled(self, claims: Mapping[str, Any]) -> Iterator[str]:
        """The regular expressions that the pattern stands for, given a caller's claims."""
        values = [[re.escape(text) for text in _texts(claims, path)] for path in self._claims]
        if not values:
            yield self._pieces[0]
            return
        for number, chosen in enumerate(product(*values)):
            if number == MOST_VALUES:
                return
            yield "".join(map("".join, zip(self._pieces, (*chosen, ""), strict=True)))


def _texts(claims: Mapping[str, Any], path: list[str]) -> list[str]:
    """The values of a claim as text."""
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list | tuple) else [value]
    return [
        str(each)
        for each in values
        if isinstance(each, str | int) and not isinstance(each, bool) and each != ""
    ]


class _Names:
    """Names that match one of some patterns."""

    def __init__(self, patterns: list[Pattern], claims: Mapping[str, Any]) -> None:
        expressions = [text for pattern in patterns for text in pattern.filled(claims)]
        self._matches = re.compile("|".join(expressions) or "(?!)", re.DOTALL).fullmatch
        self.all = ".*" in expressions

    def match(self, name: str) -> bool:
        """Whether the whole name matches."""
        return len(name) <= LONGEST_NAME and self._matches(name) is not None


# Rules -------------------------------------------------------------------------------------------


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of the policy: for whom it is, and what it grants.

    For whom: ``callers``, patterns for their names (all, if there are none); ``when``, the values
    that claims must have (one of them, where the claim or the value is a list).

    What: ``services`` by name, or ``"*"``; ``channels`` and ``uid``, patterns for channels and
    for users; ``roles``; ``versions``; ``longest``, the longest lifetime in seconds. ``wildcard``
    also grants tokens for any channel, any user or a whole app, ``batch`` many tokens in one
    request, ``verify`` verdicts about tokens, ``metrics`` the server's metrics.
    """

    name: str
    callers: tuple[str, ...] = ()
    when: dict[str, Any] = {}
    services: tuple[str, ...] = ("rtc",)
    channels: tuple[str, ...] = ()
    uid: tuple[str, ...] | str = ()
    roles: tuple[Literal["publisher", "subscriber"], ...] = ("publisher", "subscriber")
    versions: tuple[Literal["007", "006"], ...] = ("007",)
    longest: int = 3600
    wildcard: bool = False
    batch: bool = False
    verify: bool = False
    metrics: bool = False

    def check(self) -> None:
        """`FieldError` for what can't be meant."""
        at = f"policy.rules.{self.name}"
        for service in self.services:
            if service != WILDCARD and service not in BY_SERVICE_NAME:
                known = ", ".join(BY_SERVICE_NAME)
                raise FieldError(f"{at}.services", f"has an unknown one; known: {known}, *")
        if not 1 <= self.longest <= DAY:
            raise FieldError(f"{at}.longest", f"must be in 1..{DAY} seconds")
        for field in ("callers", "channels", "uid"):
            self.patterns(field)

    def patterns(self, field: Literal["callers", "channels", "uid"] | str) -> list[Pattern]:
        """The patterns of a field."""
        given = getattr(self, field)
        texts = [given] if isinstance(given, str) else given
        return [Pattern(f"policy.rules.{self.name}.{field}", text) for text in texts]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``policy`` of the settings."""

    rules: tuple[Rule, ...] = ()

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise FieldError("policy.rules", "must each have a name of its own")
        for rule in self.rules:
            rule.check()

    def files(self) -> Iterator[Path]:
        """The files that the policy is read from."""
        yield from ()


class _Compiled:
    """A rule whose patterns are compiled, to be filled with claims."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.names = _Names(rule.patterns("callers"), {}) if rule.callers else None
        self.channels = rule.patterns("channels")
        self.uid = rule.patterns("uid")

    def is_for(self, name: str, claims: Mapping[str, Any]) -> bool:
        """Whether the rule is for a caller."""
        if self.names is not None and not self.names.match(name):
            return False
        return all(_agrees(claims, claim, value) for claim, value in self.rule.when.items())


def _agrees(claims: Mapping[str, Any], claim: str, wanted: Any) -> bool:
    """Whether a claim has the value that is wanted, or one of several; 1 is not True."""
    has: Any = claims
    for name in claim.split("."):
        has = has.get(name) if isinstance(has, Mapping) else None
    if has is None:
        return False
    values = has if isinstance(has, list | tuple) else [has]
    options = wanted if isinstance(wanted, list | tuple) else [wanted]
    return any(a == b and type(a) is type(b) for a in values for b in options)


class _Breach(NamedTuple):
    """What a rule does not grant: how far the check came, the field, and the reason."""

    step: int
    field: str
    why: str


class Grant:
    """What one rule grants to the caller of one credential."""

    def __init__(self, compiled: _Compiled, claims: Mapping[str, Any]) -> None:
        rule = compiled.rule
        self.rule = rule
        names = BY_SERVICE_NAME if WILDCARD in rule.services else rule.services
        self._services = frozenset(BY_SERVICE_NAME[name] for name in names)
        channels, users = _Names(compiled.channels, claims), _Names(compiled.uid, claims)
        self._channel, self._user = channels.match, users.match
        self._any_channel, self._any_user = channels.all, users.all
        self._publisher = "publisher" in rule.roles
        self._subscriber = "subscriber" in rule.roles
        self._versions = frozenset(rule.versions)
        self._longest = rule.longest
        self._rtc = Rtc in self._services

    def plain_rtc(self, channel: Any, uid: Any, role: Any, expire: Any, version: Any) -> bool:
        """Whether an order as nearly all are is granted; what this refuses is looked at closely."""
        return (
            self._rtc
            and version in self._versions
            and (self._subscriber if role is SUBSCRIBER else self._publisher)
            and type(expire) is int
            and 0 < expire <= self._longest
            and type(channel) is str
            and channel != ""
            and channel != WILDCARD
            and (uid != 0 if type(uid) is int else type(uid) is str and uid not in ("", WILDCARD))
            and (self._any_channel or self._channel(channel))
            and (self._any_user or self._user(str(uid)))
        )

    def breach(self, services: Any, expire: Any, version: Any) -> _Breach | None:
        """What of an order is not granted; None if all is."""
        if version not in self._versions:
            return _Breach(1, "version", f"must be {', '.join(self.rule.versions)}")
        for service in services:
            if type(service) not in self._services:
                return _Breach(2, "services", f"must not hold {service_name(type(service))}")
        for service in services:
            found = self._service_breach(service)
            if found is not None:
                return found
        if type(expire) is not int or not 0 < expire <= self._longest:
            return _Breach(6, "expire", f"must be in 1..{self._longest} seconds")
        return None

    def _service_breach(self, service: Any) -> _Breach | None:
        kind = type(service)
        for field in kind.FIELDS:
            value = getattr(service, field.name)
            found = None
            if field.kind is Kind.PERMISSIONS:
                found = self._permissions_breach(value)
            elif field.kind is not Kind.I16:
                found = self._name_breach(field.name, value)
            if found is not None:
                return found
        listens = _LISTENS.get(kind)
        if listens is not None:
            only_listens = listens.issuperset(service.privileges)
            if not (self._subscriber if only_listens else self._publisher):
                return _Breach(5, "role", f"must be {', '.join(self.rule.roles)}")
        if _APP.get(kind) in service.privileges and not self.rule.wildcard:
            return _Breach(5, "privileges", "must not be those of an app")
        return None

    def _name_breach(self, field: str, value: Any) -> _Breach | None:
        """A channel or a user that is not granted."""
        step, matches = (4, self._channel) if field in _CHANNELS else (3, self._user)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return _Breach(step, field, "must be one name")
        if value in ("", 0, WILDCARD):
            # It means any, or a whole app.
            return None if self.rule.wildcard else _Breach(step, field, "must name a single one")
        if not matches(str(value)):
            return _Breach(step, field, "must match the rule's pattern")
        return None

    def _permissions_breach(self, permissions: Any) -> _Breach | None:
        """What of the permissions in a service 8 is not granted."""
        for resource, granted in permissions.items():
            matches = self._user if resource == Rtm2.Resource.USERS else self._channel
            for names in granted.values():
                for name in names:
                    wild = not isinstance(name, str) or name == "" or WILDCARD in name
                    if wild and not self.rule.wildcard:
                        return _Breach(4, "permissions", "must each name a single one")
                    if not wild and not matches(name):
                        return _Breach(4, "permissions", "must match the rule's pattern")
        return None


def _forbidden(field: str, rule: str) -> Forbidden:
    return Forbidden(f"{field}: {rule}", field, rule)


# The policy --------------------------------------------------------------------------------------


class Rules:
    """The policy at work. With ``dev`` it grants everything."""

    def __init__(self, settings: Policy, dev: bool) -> None:
        self._dev = dev
        self._rules = [_Compiled(rule) for rule in settings.rules]

    def grants(self, caller: Caller) -> list[Grant]:
        """What is granted to a caller, rule by rule."""
        claims = caller.claims
        if type(claims) is Claims and claims.granted is not None and claims.granted[0] is self:
            found: list[Grant] = claims.granted[1]
            return found
        found = [Grant(each, claims) for each in self._rules if each.is_for(caller.name, claims)]
        if type(claims) is Claims:
            claims.granted = (self, found)
        return found

    def check(self, caller: Caller, order: AnyOrder) -> None:
        """`Forbidden` unless the caller may have what was ordered."""
        if self._dev:
            return
        grants = self.grants(caller)
        plain: Any = order
        if hasattr(order, "channel_name"):
            for grant in grants:
                if grant.plain_rtc(
                    plain.channel_name, plain.uid, plain.role, plain.expire, plain.version
                ):
                    return
        breaches = []
        services = order.services
        for grant in grants:
            breach = grant.breach(services, order.expire, order.version)
            if breach is None:
                return
            breaches.append((breach.step, grant, breach))
        if not breaches:
            raise _forbidden("caller", "no rule of the policy is for this caller")
        # The rule that came closest says why.
        _, grant, breach = max(breaches, key=lambda found: found[0])
        raise _forbidden(breach.field, f"{breach.why} (rule {grant.rule.name!r})")

    def check_verify(self, caller: Caller) -> None:
        """`Forbidden` unless the caller may ask for verdicts."""
        self._right(caller, "verify", "may have tokens verified")

    def check_batch(self, caller: Caller) -> None:
        """`Forbidden` unless the caller may ask for many tokens at once."""
        self._right(caller, "batch", "may have many tokens at once")

    def check_metrics(self, caller: Caller) -> None:
        """`Forbidden` unless the caller may read the metrics."""
        self._right(caller, "metrics", "may read the metrics")

    def _right(self, caller: Caller, right: str, may: str) -> None:
        if not self._dev and not any(getattr(grant.rule, right) for grant in self.grants(caller)):
            raise _forbidden("caller", f"no rule says that this caller {may}")
