"""Verifying: whether Agora would accept a token, and if not, why, and what to do about it.

    token  ->  read  ->  signature  ->  App ID, times, services  ->  verdict

The signature is looked at first. What an unsigned token says is judged all the same, since that
often explains it; `Verdict.verified` tells the two apart. All reasons and their sentences stand in
`fasttoken.reasons`; docs/errors.md shows a token for each.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from operator import index
from typing import Any, Literal, NamedTuple, TypeAlias

from . import claims as claims_data
from . import rules
from ._core import Certificate, crc32
from .errors import FieldError, MalformedToken, RejectedToken
from .facts import (
    ENTRY,
    NUMBER_FIELDS,
    SERVICE_PRIVILEGES,
    Facts,
    Grant,
    Granted,
    facts,
    is_rtm_006,
)
from .formats import BY_NAME, LONGEST, access_token, parse
from .formats.access_token import AccessToken
from .formats.access_token2 import AccessToken2
from .formats.dynamic_key import DynamicKey
from .formats.parsed import Parsed
from .formats.signaling import SignalingToken
from .mistakes import (
    CERTIFICATE_MISTAKES,
    channel_difference,
    is_uid,
    mended_readings,
    near_channels,
    near_users,
    nearby,
    stripped,
    uid_as_text,
    user_difference,
)
from .reasons import Reason, listed, reason, shown, span
from .services import BY_TYPE, Kind

CertificateName: TypeAlias = Literal["primary", "secondary"]
CERTIFICATES: tuple[CertificateName, ...] = ("primary", "secondary")


@dataclass(frozen=True)
class Verdict:
    """What `Project.verify` finds out about a token.

    ``ok``: whether Agora would accept it. ``certificate``: which certificate of the project made
    it, None for neither; where a reason says that this took a mend, of the token as mended.
    ``issued_at`` and ``expires_at`` are in Unix seconds, None where the token doesn't tell or has
    no end; ``expires_at`` is when the token, or the first privilege that was asked for, ends.
    ``reasons``: every `Reason`, errors first.
    """

    ok: bool
    parsed: Parsed | None = field(repr=False)
    certificate: CertificateName | None
    issued_at: int | None
    expires_at: int | None
    reasons: tuple[Reason, ...]

    @property
    def format(self) -> str | None:
        """The name of the token's format; None if it can't be read."""
        return None if self.parsed is None else self.parsed.format

    @property
    def claims(self) -> Any:
        """The claims of the token; None if it can't be read. Trust them only if `verified`."""
        return self.parsed and self.parsed.claims

    @property
    def verified(self) -> bool:
        """Whether the claims are signed by a certificate of the project. If not, anybody may have
        written them."""
        return self.certificate is not None

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of every reason, errors first."""
        return tuple(reason.code for reason in self.reasons)

    @property
    def errors(self) -> tuple[Reason, ...]:
        """The reasons that reject the token."""
        return tuple(reason for reason in self.reasons if reason.severity == "error")

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """The reasons that don't reject the token."""
        return tuple(reason for reason in self.reasons if reason.severity == "warning")

    def raise_if_rejected(self) -> Verdict:
        """This verdict if it is ``ok``; else raises `RejectedToken`, which holds it."""
        if not self.ok:
            raise RejectedToken(self)
        return self

    def to_data(self) -> dict[str, Any]:
        """The verdict as plain data that JSON can hold (docs/cli.md, "The JSON of a verdict")."""
        return {
            "ok": self.ok,
            "format": self.format,
            "verified": self.verified,
            "certificate": self.certificate,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "reasons": [
                {
                    "code": reason.code,
                    "severity": reason.severity,
                    "sentence": reason.sentence,
                    "mend": reason.mend,
                    "client_error": reason.client_error,
                }
                for reason in self.reasons
            ],
            "claims": self.parsed and claims_data.to_data(self.parsed),
        }


class Keys(NamedTuple):
    """What tokens are verified against; without certificates, signatures stay unchecked."""

    app_id: str | None = None
    primary: Certificate | None = None
    secondary: Certificate | None = None

    def certificates(self) -> list[tuple[CertificateName, Certificate]]:
        """The certificates there are, by name."""
        pairs = zip(CERTIFICATES, (self.primary, self.secondary), strict=True)
        return [(name, certificate) for name, certificate in pairs if certificate is not None]


class Asked(NamedTuple):
    """What the client wants the token for; None where it was not said."""

    channel_name: str | None = None
    uid: int | str | None = None
    privilege: tuple[str, str] | None = None


def asked(channel_name: Any, uid: Any, privilege: Any) -> Asked:
    """What a caller asks, checked. `FieldError` for a value of the wrong type."""
    if channel_name is not None:
        rules.text("channel_name", channel_name, LONGEST)
    if isinstance(uid, str):
        rules.text("uid", uid, LONGEST)
    elif isinstance(uid, bool):
        raise FieldError("uid", "must be an integer or a str, not a bool")
    elif uid is not None:
        try:
            uid = index(uid)
        except TypeError:
            kind = type(uid).__name__
            raise FieldError("uid", f"must be an integer or a str, not {kind}") from None
        if abs(uid) >= 2**64:
            raise FieldError("uid", "must be an integer of at most 64 bits")
    return Asked(channel_name, uid, None if privilege is None else asked_privilege(privilege))


_PRIVILEGE_ENUMS = {
    service.Privilege: claims_data.service_name(service)
    for service in BY_TYPE.values()
    if hasattr(service, "Privilege")
}


def asked_privilege(value: Any) -> tuple[str, str]:
    """A privilege as its service and name, from ``"rtc.join_channel"`` or a ``Privilege``."""
    if isinstance(value, access_token.Privilege):
        login = value is access_token.Privilege.RTM_LOGIN
        return ("rtm", "login") if login else ("rtc", value.name.lower())
    if isinstance(value, IntEnum) and type(value) in _PRIVILEGE_ENUMS:
        value = f"{_PRIVILEGE_ENUMS[type(value)]}.{value.name.lower()}"
    if isinstance(value, str):
        service, _, name = value.partition(".")
        if name in SERVICE_PRIVILEGES.get(service, ()) or value == "rtc.administrate_channel":
            return ("rtm" if service == "rtm2" else service), name
    raise FieldError(
        "privilege", 'must be a service\'s Privilege, or a text such as "rtc.publish_audio"'
    )


# Reading ------------------------------------------------------------------------------------------

_NOTHING = ("", "null", "undefined", "None", "nil", "[object Object]")
_RUN_OF_LETTERS = 80  # base64 text this long without one letter of a case has lost that case


def _unreadable(token: Any, error: MalformedToken) -> Reason:
    """Why a token can't be read, mended or not."""
    if token is None or (isinstance(token, str) and stripped(token) in _NOTHING):
        return reason("empty_token", found=shown(token))
    if error.stage == "prefix":
        version = re.match(r"0\d\d(?=[0-9a-zA-Z+/]{40})", token) if isinstance(token, str) else None
        if version:
            return reason("unknown_version", version=version[0])
    elif len(token) >= _RUN_OF_LETTERS and token in (token.lower(), token.upper()):
        case = "small" if token == token.lower() else "capital"
        return reason("letter_case_lost", case=case)
    return reason(f"malformed_{error.stage}", rule=error.rule)


def _who(user: int | str) -> str:
    """A user in a sentence."""
    if user in (0, ""):
        return "uid 0"
    number = isinstance(user, int) or is_uid(user)
    return f"uid {user}" if number else f"account {shown(user)}"


# The signature ------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """What a token may have been signed for, and the codes of the mistakes if it was."""

    channel_name: str | None = None
    uid: int | str | None = None
    codes: tuple[str, ...] = ()


def _readings(parsed: Parsed, asked: Asked) -> tuple[list[Reading], tuple[str, ...]]:
    """What a token may have been signed for, the likeliest first; and the codes of what has to be
    supplied before that can be said."""
    claims = parsed.claims
    if isinstance(claims, AccessToken2):
        return [Reading()], ()
    if isinstance(claims, SignalingToken):
        if asked.uid is None:
            return [], ("uid_needed",)
        users = nearby(str(asked.uid), near_users(asked.uid))
        return [Reading(None, user, codes) for user, codes in users], ()
    if is_rtm_006(claims):
        if asked.uid is None:
            return [], ("uid_needed",)
        users = nearby(uid_as_text(asked.uid), near_users(asked.uid))
        return [Reading(user, "", codes) for user, codes in users], ()
    channel_name, uid = asked.channel_name, asked.uid
    if isinstance(claims, AccessToken):
        # An empty text is the only likely one whose check sum is 0.
        if channel_name is None and claims.channel_crc == 0:
            channel_name = ""
        any_user = [""] if claims.uid_crc == 0 else []
        if uid is None and any_user:
            uid = ""
    else:
        any_user = [""]
        if claims.version == 1 or claims.uid is not None:
            uid = claims.uid or 0
    if channel_name is None or uid is None:
        given = (("channel_name", channel_name), ("uid", uid))
        return [], tuple(f"{name}_needed" for name, value in given if value is None)
    users = nearby(uid_as_text(uid), near_users(uid), any_user)
    if isinstance(claims, DynamicKey):
        # They sign numbers, and 0 means any user.
        users = [(int(user or 0), codes) for user, codes in users if user == "" or is_uid(user)]
        if claims.version == 1 or claims.uid is not None:
            users = users[:1]
    channels = nearby(channel_name, near_channels(channel_name))
    return [
        Reading(channel, user, channel_codes + user_codes)
        for channel, channel_codes in channels
        for user, user_codes in users
    ], ()


class Match(NamedTuple):
    """Whose signature a token has, for what, and the code of the mistake if it took one."""

    certificate: CertificateName
    reading: Reading
    mistake: str | None = None


def _match(parsed: Parsed, readings: Sequence[Reading], keys: Keys) -> Match | None:
    """The certificate and the reading that give the token's signature, in constant time."""
    check = BY_NAME[parsed.format].verify_signature
    for reading in readings:
        for name, certificate in keys.certificates():
            if check(parsed, certificate, reading.channel_name, reading.uid):
                return Match(name, reading)
    if isinstance(parsed.claims, DynamicKey) and parsed.claims.version == 5:
        return None  # signs with the certificate's bytes: no letter case, no whitespace
    for reading in readings:
        if reading.codes:
            continue
        for name, certificate in keys.certificates():
            for code, mistake in CERTIFICATE_MISTAKES:
                mistaken = Certificate(mistake(certificate.reveal()))
                if check(parsed, mistaken, reading.channel_name, reading.uid):
                    return Match(name, reading, code)
    return None


# Judging ------------------------------------------------------------------------------------------


class _Judge:
    """Collects the reasons about one parsed token."""

    def __init__(self, parsed: Parsed, keys: Keys, asked: Asked, now: int, leeway: int) -> None:
        self.parsed = parsed
        self.claims = parsed.claims
        self.facts: Facts = facts(parsed.claims)
        self.keys = keys
        # The user id of a 006 RTM token stands in the channel's place; it may be given so, too.
        if is_rtm_006(parsed.claims) and asked.channel_name is not None and asked.uid in (None, ""):
            asked = asked._replace(channel_name=None, uid=asked.channel_name)
        self.asked = asked
        self.now = now
        self.leeway = leeway
        self.reasons: dict[str, Reason] = {}
        self.expires_at = self.facts.ends_at

    def add(self, code: str, **details: object) -> None:
        """Adds a reason; the first of a code stands."""
        if code not in self.reasons:
            self.reasons[code] = reason(code, **details)

    # Signature and App ID

    def signature(self) -> Match | None:
        """Who made the token: the first thing to know."""
        readings, needed = _readings(self.parsed, self.asked)
        for code in needed:
            self.add(code)
        if not self.keys.certificates():
            if not needed:
                self.add("signature_unchecked")
            self.check_sums(None)
            return None
        match = _match(self.parsed, readings, self.keys)
        if match is None:
            blamed = self.check_sums(None) or bool(needed) or self.app_id_differs()
            if not blamed and self.dynamic_key_account():
                return None
            if not blamed:
                other = ""
                if not isinstance(self.claims, AccessToken2 | AccessToken):
                    other = ", or it is for another channel or user: this format doesn't tell"
                self.add("bad_signature", or_other=other)
            return None
        if match.mistake:
            self.add(match.mistake, certificate=match.certificate)
        for code in match.reading.codes:
            self.difference(code, None)
        self.check_sums(match.reading)
        return match

    def dynamic_key_account(self) -> bool:
        """Whether a dynamic key was asked about with an account, which it can't be for."""
        uid = self.asked.uid
        if not isinstance(self.claims, DynamicKey) or uid is None or self.claims.uid is not None:
            return False
        if self.claims.version == 1 or uid_as_text(uid) == "" or is_uid(uid_as_text(uid)):
            return False
        code = "uid_number_and_account" if isinstance(uid, str) else "uid_out_of_range"
        self.difference(code, "a uid")
        return True

    def check_sums(self, reading: Reading | None) -> bool:
        """Compares the check sums of a 006 token: with what it was signed for, else with what was
        asked. Returns whether they explain why its signature doesn't match."""
        claims = self.claims
        if not isinstance(claims, AccessToken):
            return False
        if reading is not None:
            self.check_sums_of(claims, str(reading.channel_name), uid_as_text(reading.uid or ""))
            return False
        channel_name, uid = self.asked.channel_name, self.asked.uid
        channels, users = [], []
        if channel_name is not None:
            channels = nearby(channel_name, near_channels(channel_name))
        if uid is not None:
            users = nearby(uid_as_text(uid), near_users(uid))
        if is_rtm_006(claims):
            return self._blame(users, claims.channel_crc, "uid_mismatch")
        blamed = self._blame(channels, claims.channel_crc, "channel_mismatch")
        if claims.uid_crc:
            blamed |= self._blame(users, claims.uid_crc, "uid_mismatch")
        return blamed

    def check_sums_of(self, claims: AccessToken, channel_name: str, user: str) -> None:
        """Compares check sums with what the signature matches.

        The signature covers channel name and user without a border between them, so only the check
        sums tell ``lobby`` and 42 from ``lobby4`` and 2.
        """
        wrong = (
            claims.channel_crc != crc32(channel_name.encode()),
            claims.uid_crc != crc32(user.encode()),
        )
        if all(wrong):
            if is_rtm_006(claims):
                self.add("rtm_user_in_uid_slot")
            else:
                self.difference("channel_mismatch", None)
                self.difference("uid_mismatch", None)
        elif any(wrong):
            self.add("channel_crc_wrong" if wrong[0] else "uid_crc_wrong")

    def _blame(self, nearby: list[tuple[Any, tuple[str, ...]]], crc: int, otherwise: str) -> bool:
        """Says which of these values a check sum belongs to, if it is not the first."""
        if not nearby:
            return False
        for value, codes in nearby:
            if crc32(value.encode()) == crc:
                for code in codes:
                    self.difference(code, None)
                return bool(codes)
        self.difference(otherwise, None)
        return True

    def app_id_differs(self) -> bool:
        return self.keys.app_id is not None and self.facts.app_id != self.own_app_id()

    def own_app_id(self) -> str | None:
        """The project's App ID, as the token's format writes it."""
        own = self.keys.app_id
        in_bytes = isinstance(self.claims, DynamicKey) and self.claims.version == 5
        return own.lower() if own and in_bytes else own

    def app_id(self) -> bool:
        """Compares the App IDs. Returns whether the token shows a certificate in its place."""
        token, own = self.facts.app_id, self.own_app_id()
        told = token.lower().encode()
        for _, certificate in self.keys.certificates():
            if hmac.compare_digest(certificate.reveal().lower(), told):
                self.add("app_id_is_certificate")
                return True
        if rules.hex32_problem(token):
            self.add("app_id_malformed", token=shown(token))
        elif own is not None and token != own:
            same = token.lower() == own.lower()
            code = "app_id_letter_case" if same else "app_id_mismatch"
            self.add(code, token=token, project=own)
        return False

    # Times

    def times(self) -> None:
        """Compares the clock with the life of the token as a whole."""
        ends, issued = self.facts.ends_at, self.facts.issued_at
        absolute = isinstance(self.claims, DynamicKey | SignalingToken)
        if absolute and ends is not None and 0 < ends < rules.ABSOLUTE:
            self.relative("the token", ends)
        elif self.past(ends):
            self.add("expired", ago=self.ago(ends))
        if issued is not None and issued > self.now + self.leeway:
            self.add("issued_in_future", ahead=span(issued - self.now))

    def past(self, when: int | None) -> bool:
        return when is not None and self.now >= when + self.leeway

    def ago(self, when: int | None) -> str:
        return span(self.now - (when or 0))

    def relative(self, what: str, value: int) -> None:
        year = 1970 + value // (365 * rules.DAY + rules.DAY // 4)
        self.add("relative_timestamp", what=what, value=value, year=year)

    # Services

    def services(self) -> None:
        """Compares what the token opens with what was asked, service by service."""
        grants, wanted = self.facts.grants, self.asked.privilege
        if wanted is not None:
            judged = [grant for grant in grants if grant.family == wanted[0]]
        elif self.asked.channel_name is not None:
            judged = [grant for grant in grants if grant.channel_field]
        else:
            judged = list(grants)
        if not judged:
            self.no_service()
            return
        with_channels = any(grant.channel_field for grant in judged)
        for service in dict.fromkeys(grant.service for grant in judged):
            group = [grant for grant in judged if grant.service == service]
            group = self.for_channel(group)
            if bool(group[0].channel_field) == with_channels:
                group = self.for_user(group)
            self.privileges(group)

    def no_service(self) -> None:
        opened = {grant.family for grant in self.facts.grants}
        wanted = self.asked.privilege
        service = wanted[0] if wanted else "rtc" if self.asked.channel_name is not None else ""
        if service == "rtm" and "rtc" in opened:
            self.add("rtc_token_for_rtm")
        elif service == "rtc" and "rtm" in opened:
            self.add("rtm_token_for_rtc")
        elif not (isinstance(self.claims, AccessToken2) and self.claims.unknown):
            what = wanted[0] if wanted else "a channel" if service else "any service"
            self.add("service_missing", opened=listed(sorted(opened)), wanted=what)

    def for_channel(self, group: list[Grant]) -> list[Grant]:
        """Those of a service's grants that are for the channel that was asked, else all."""
        name = self.asked.channel_name
        told = [grant for grant in group if grant.channel_name is not None]
        if name is None or not told:
            return group
        differences = [channel_difference(str(grant.channel_name), name) for grant in told]
        say = lambda grant: f"channel {shown(grant.channel_name)}"  # noqa: E731
        return self._fitting(told, differences, say)

    def for_user(self, group: list[Grant]) -> list[Grant]:
        """Those of a service's grants that are for the user that was asked, else all."""
        uid = self.asked.uid
        told = [grant for grant in group if grant.user is not None]
        if uid is None or not told:
            return group
        differences = [user_difference(uid_as_text(grant.user or 0), uid) for grant in told]
        if group[0].user_field not in NUMBER_FIELDS:
            differences = [code and "uid_mismatch" for code in differences]
        return self._fitting(told, differences, lambda grant: _who(grant.user or 0))

    def _fitting(
        self, told: list[Grant], differences: list[str | None], says: Callable[[Grant], str]
    ) -> list[Grant]:
        pairs = zip(told, differences, strict=True)
        fitting = [grant for grant, difference in pairs if difference is None]
        if not fitting:
            self.difference(str(differences[0]), says(told[0]))
        return fitting or told

    def difference(self, code: str, token: str | None) -> None:
        """Adds a reason about the channel or the user that was asked."""
        if code.startswith("channel"):
            told = token or "another channel"
            self.add(code, token=told, asked=shown(self.asked.channel_name))
        else:
            uid = self.asked.uid
            self.add(code, token=token or "another user", asked="" if uid is None else _who(uid))

    def privileges(self, group: list[Grant]) -> None:
        """Looks for the privileges that a service is of no use without, and the one asked for."""
        first = group[0]
        required = [name for name in ENTRY if name in first.knows]
        wanted = self.asked.privilege
        if wanted is not None and wanted[1] not in required:
            required.append(wanted[1])
        for name in required:
            granted = [found for grant in group if (found := grant.privilege(name)) is not None]
            if granted:
                self.privilege(first, max(granted, key=lambda found: found.ends_at or 0))
            else:
                self.missing(group, f"{first.family}.{name}")
        if first.knows and not required and not any(grant.privileges for grant in group):
            self.missing(group, f"any privilege of {first.service}")

    def missing(self, group: list[Grant], privilege: str) -> None:
        names = dict.fromkeys(granted.name for grant in group for granted in grant.privileges)
        self.add("privilege_missing", privilege=privilege, granted=listed(names))

    def privilege(self, grant: Grant, granted: Granted) -> None:
        name = f"{grant.family}.{granted.name}"
        if isinstance(self.claims, AccessToken) and 0 < granted.value < rules.ABSOLUTE:
            self.relative(name, granted.value)
        elif self.past(granted.ends_at) and not self.past(self.facts.ends_at):
            self.add("privilege_expired", privilege=name, ago=self.ago(granted.ends_at))
        if granted.ends_at is not None and self.expires_at is not None:
            self.expires_at = min(self.expires_at, granted.ends_at)

    # Names that no client can use, and warnings

    def fields(self, match: Match | None) -> None:
        """Holds names against the rules of docs/formats.md, "Limits and meanings"."""
        values: list[tuple[str, Callable[[str, Any, bool], Any], Any]] = []
        reading = match and match.reading
        if isinstance(self.claims, AccessToken2):
            for service in self.claims.services:
                for f in service.FIELDS:
                    if f.kind in (Kind.TEXT, Kind.UID):
                        values.append((f.name, f.rule, getattr(service, f.name)))
        elif reading is not None and reading.channel_name is not None:
            if is_rtm_006(self.claims):
                values.append(("user_id", rules.rtm_user_id, reading.channel_name))
            else:
                values.append(("channel_name", rules.channel_name, reading.channel_name))
        uid = self.asked.uid
        said = any(code.startswith("uid_") for code in self.reasons)
        if isinstance(uid, int) and not 0 <= uid <= rules.U32_MAX and not said:
            self.add("uid_out_of_range", asked=_who(uid))
        for name, rule, value in values:
            try:
                rule(name, value, True)
            except FieldError as error:
                code = "channel_not_allowed" if name == "channel_name" else "user_not_allowed"
                self.add(code, field=name.replace("_", " "), rule=error.rule)

    def warn(self, length: int, match: Match | None) -> None:
        """Adds what is no error and probably not meant."""
        for grant in self.facts.grants:
            if grant.channel_name in ("", rules.WILDCARD):
                self.add("wildcard_channel")
            if grant.user in (0, "", rules.WILDCARD):
                self.add("wildcard_user")
            publishes = any(granted.name.startswith("publish") for granted in grant.privileges)
            if grant.service == "rtc" and grant.privilege("join_channel") and not publishes:
                self.add("subscriber_needs_cohost")
        if isinstance(self.claims, AccessToken) and not is_rtm_006(self.claims):
            any_user = match.reading.uid == "" if match else self.claims.uid_crc == 0
        else:
            signed_uid = isinstance(self.claims, DynamicKey) and self.claims.version > 3
            any_user = signed_uid and match is not None and match.reading.uid == 0
        if any_user:
            self.add("wildcard_user")
        if isinstance(self.claims, AccessToken2):
            self.durations(self.claims)
            if self.claims.unknown is not None:
                self.add("unknown_services", count=self.claims.unknown.count)
        elif isinstance(self.claims, AccessToken):
            self.outlives(self.claims.ts)
        else:
            self.add("deprecated_format")
        if length > rules.TOKEN_CHARACTERS:
            self.add("long_token", length=length)

    def durations(self, claims: AccessToken2) -> None:
        if claims.expire >= rules.ABSOLUTE:
            self.add("absolute_timestamp", what="the token", value=claims.expire)
        elif claims.expire > rules.DAY:
            self.add("lifetime_over_24h", lifetime=span(claims.expire))
        elif claims.expire == 0:
            self.add("lifetime_zero")
        for name, value in self.beyond(rules.ABSOLUTE - 1):
            self.add("absolute_timestamp", what=name, value=value)
        self.outlives(claims.expire or rules.DAY)

    def beyond(self, end: int) -> list[tuple[str, int]]:
        """The privileges whose values are greater."""
        return [
            (f"{grant.family}.{granted.name}", granted.value)
            for grant in self.facts.grants
            for granted in grant.privileges
            if granted.value > end
        ]

    def outlives(self, end: int) -> None:
        in_durations = isinstance(self.claims, AccessToken2)
        longer = [
            name
            for name, value in self.beyond(end)
            if not (in_durations and value >= rules.ABSOLUTE)
        ]
        if longer:
            self.add("privilege_outlives_token", what=listed(longer))


def _parsed(token: Any, keys: Keys, asked: Asked) -> tuple[Parsed, tuple[str, ...]] | Reason:
    """The token read, and the codes of what it took; else why it can't be read."""
    try:
        return parse(token), ()
    except MalformedToken as error:
        readings = list(mended_readings(token)) if isinstance(token, str) else []
        for parsed, codes in readings:
            if _match(parsed, _readings(parsed, asked)[0], keys):
                return parsed, codes
        return readings[0] if readings else _unreadable(token, error)


def verify(token: Any, keys: Keys, asked: Asked, now: int, leeway: int = 0) -> Verdict:
    """The verdict about a token. `Project.verify` says what it means."""
    read = _parsed(token, keys, asked)
    if isinstance(read, Reason):
        return Verdict(False, None, None, None, None, (read,))
    parsed, mends = read
    judge = _Judge(parsed, keys, asked, now, leeway)
    for code in mends:
        judge.add(code)
    match = judge.signature()
    if judge.app_id():
        # Nobody is to see the certificate by way of a verdict.
        hidden = replace(parsed.claims, app_id="***")
        parsed = Parsed(parsed.format, hidden, b"", b"")
    judge.times()
    judge.services()
    judge.fields(match)
    judge.warn(len(token), match)
    reasons = sorted(judge.reasons.values(), key=lambda reason: reason.severity != "error")
    return Verdict(
        not any(reason.severity == "error" for reason in reasons),
        parsed,
        match and match.certificate,
        judge.facts.issued_at,
        judge.expires_at,
        tuple(reasons),
    )


def unverified(
    token: str,
    *,
    channel_name: str | None = None,
    uid: int | str | None = None,
    privilege: IntEnum | str | None = None,
    now: int,
    leeway: int = 0,
) -> Verdict:
    """What `Project.verify` can say without a project: nobody knows who made the token, so it is
    never ``ok``, but what it says is judged all the same."""
    return verify(token, Keys(), asked(channel_name, uid, privilege), now, leeway)
