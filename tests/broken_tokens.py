"""Tokens that are broken in the ways that happen, with the codes that each has to give.

Everything is made with the App ID and certificate of Agora's own public samples, at one fixed
time, with one fixed salt. docs/errors.md shows the first example of every code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fasttoken import Project
from fasttoken._core import Certificate, crc32, pack_str, pack_u16, pack_u32
from fasttoken.formats import access_token, access_token2, dynamic_key, signaling
from fasttoken.formats.access_token import AccessToken
from fasttoken.formats.access_token2 import AccessToken2
from fasttoken.formats.dynamic_key import DynamicKey, KeyService
from fasttoken.services import Apaas, Chat, FCdn, Fpa, Rtc, Rtm, Rtm2, Service, Streaming

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
OTHER_APP_ID = "1234567890abcdef1234567890abcdef"
OTHER_CERTIFICATE = "fedcba0987654321fedcba0987654321"
PROJECT = Project(APP_ID, CERTIFICATE)
ISSUED = 1_700_000_000
NOW = ISSUED + 60
DAY = 86_400
UUID = "145824d8-80c1-708f-144f-1b312c6c6742"

JOIN = {1: 0}
PUBLISH = {1: 0, 2: 0, 3: 0, 4: 0}
LOGIN = {1: 3600}
LATER = ISSUED + 3600


@dataclass(frozen=True)
class Broken:
    """A token, what the client asks of it, and its codes; ``made`` says how it came to be."""

    made: str
    codes: tuple[str, ...]
    token: Any
    asked: Mapping[str, Any] = field(default_factory=dict)
    now: int = NOW
    unverified: bool = False


def t007(
    *services: Service,
    expire: int = 3600,
    app_id: str = APP_ID,
    certificate: bytes = CERTIFICATE.encode(),
    issue_ts: int = ISSUED,
) -> str:
    """A 007 token with anything in it."""
    claims = AccessToken2(app_id, issue_ts, expire, 1, services)
    return access_token2.build(claims, Certificate(certificate))


def rtc(channel_name: str = "lobby", uid: int | str = 42, **options: Any) -> str:
    """A 007 publisher token."""
    return t007(Rtc(channel_name, uid, PUBLISH), **options)


def t006(
    channel_name: str = "lobby",
    uid: str = "42",
    privileges: Mapping[int, int] | None = None,
    *,
    ts: int = ISSUED + DAY,
    app_id: str = APP_ID,
    certificate: bytes = CERTIFICATE.encode(),
    crcs: tuple[int, int] | None = None,
) -> str:
    """A 006 token with anything in it."""
    granted = dict.fromkeys(PUBLISH, LATER) if privileges is None else privileges
    channel_crc, uid_crc = crcs or (crc32(channel_name.encode()), crc32(uid.encode()))
    claims = AccessToken(app_id, 1, ts, granted, channel_crc, uid_crc)
    key = Certificate(certificate)
    return access_token.build(claims, key, channel_name.encode(), uid.encode())


def key(version: int, uid: int = 42, expired_ts: int = LATER, **options: Any) -> str:
    """A dynamic key for the channel "lobby"."""
    certificate = options.pop("certificate", CERTIFICATE)
    app_id = options.pop("app_id", APP_ID)
    service = KeyService.MEDIA_CHANNEL if version in (4, 5) else None
    unix_ts = options.pop("unix_ts", ISSUED)
    ends = None if version == 1 else expired_ts
    claims = DynamicKey(version, app_id, unix_ts, 7, None, ends, service)
    return dynamic_key.build(claims, Certificate(certificate.encode()), b"lobby", uid)


def signal(account: str = "alice", expired_ts: int = LATER, certificate: str = CERTIFICATE) -> str:
    """A Signaling token."""
    claims = signaling.SignalingToken(APP_ID, expired_ts)
    return signaling.build(claims, Certificate(certificate.encode()), account)


def with_unknown_service() -> str:
    """A 007 token with a service that nobody knows behind its RTC service."""
    known = access_token2.pack_service(Rtc("lobby", 42, PUBLISH))
    unknown = pack_u16(99) + pack_u16(0) + pack_str(b"whatever")
    head = pack_str(APP_ID.encode()) + pack_u32(ISSUED) + pack_u32(3600) + pack_u32(1)
    body = head + pack_u16(2) + known + unknown
    signature = Certificate(CERTIFICATE.encode()).sign_access_token2(ISSUED, 1, body)
    return access_token2.seal(signature, body)


def cut_field() -> str:
    """A 007 token whose content ends in the middle of a field."""
    body = pack_str(APP_ID.encode()) + pack_u32(ISSUED)
    return access_token2.seal(bytes(32), body)


def with_plus(make: Callable[[int], str]) -> str:
    """The first token of a series that has a '+' and a '/' in it."""
    return next(token for token in map(make, range(1000)) if "+" in token and "/" in token)


GOOD = rtc()
PLUS = with_plus(lambda n: rtc(issue_ts=ISSUED + n % 60, expire=3600 + n))
PADDED = next(t for t in (rtc("lobby" + "x" * n) for n in range(9)) if t.endswith("="))
LOBBY = {"channel_name": "lobby", "uid": 42}
KEY = ("deprecated_format",)

BROKEN: tuple[Broken, ...] = (
    # Reading
    Broken("a builder was given a bad App ID", ("empty_token",), ""),
    Broken("JavaScript put a missing token into a text", ("empty_token",), "undefined"),
    Broken("a missing token", ("empty_token",), None),
    Broken("something else was pasted", ("malformed_prefix",), "Bearer token"),
    Broken("no text at all", ("malformed_prefix",), 7),
    Broken("cut off by a column that is too short", ("malformed_base64",), GOOD[:101]),
    Broken("a letter that base64 doesn't have", ("malformed_base64",), GOOD[:50] + "*" + GOOD[51:]),
    Broken("006, cut off in its base64", ("malformed_base64",), t006()[:100]),
    Broken("005, cut off", ("malformed_field",), key(5)[:75]),
    Broken("cut off at a whole number of bytes", ("malformed_zlib",), GOOD[: 3 + 80]),
    Broken("one character was changed", ("malformed_zlib",), GOOD[:9] + "A" + GOOD[10:]),
    Broken("a builder that forgets fields", ("malformed_field",), cut_field()),
    Broken("006, cut off at a field", ("malformed_field",), t006()[: 35 + 40]),
    Broken("003, cut off", ("malformed_field",), key(3)[:-1]),
    Broken("a Signaling token, cut off", ("malformed_field",), signal()[:-1]),
    Broken("a version of tomorrow", ("unknown_version",), "008" + GOOD[3:]),
    Broken("a database that folds letter case", ("letter_case_lost",), GOOD.lower()),
    Broken("capitals only", ("letter_case_lost",), GOOD.upper()),
    Broken("read from a file with its line break", ("token_whitespace",), GOOD + "\n"),
    Broken("wrapped by an e-mail client", ("token_whitespace",), GOOD[:60] + "\r\n  " + GOOD[60:]),
    Broken("a byte order mark in front", ("token_whitespace",), "\ufeff" + t006(), LOBBY),
    Broken("cut out of JSON with its quotes", ("token_quoted",), f'"{GOOD}"'),
    Broken("taken from a URL as it stood", ("token_percent_encoded",), quote(PLUS, safe="")),
    Broken("sent in a form without encoding", ("plus_lost",), PLUS.replace("+", " ")),
    Broken("made URL-safe", ("token_url_safe",), PLUS.translate(str.maketrans("+/", "-_"))),
    Broken("padding taken off", ("padding_lost",), PADDED.rstrip("=")),
    Broken(
        "two mishaps, and expired besides",
        ("token_whitespace", "plus_lost", "expired"),
        PLUS.replace("+", " ") + "\n",
        now=ISSUED + DAY,
    ),
    # Signature
    Broken("verified without a project", ("signature_unchecked",), GOOD, unverified=True),
    Broken(
        "006, its channel name left out",
        ("channel_name_needed",),
        t006(),
        {"uid": 42},
    ),
    Broken("006, nothing said", ("channel_name_needed", "uid_needed"), t006()),
    Broken("version 1, nothing said", ("channel_name_needed", *KEY), key(1)),
    Broken("006 for RTM, its user left out", ("uid_needed",), t006("alice", "", {1000: LATER})),
    Broken("version 4, its user left out", ("uid_needed", *KEY), key(4), {"channel_name": "lobby"}),
    Broken("Signaling, its account left out", ("uid_needed", *KEY), signal()),
    Broken(
        "the certificate of another project",
        ("bad_signature",),
        rtc(certificate=OTHER_CERTIFICATE.encode()),
    ),
    Broken(
        "006, the certificate of another project",
        ("bad_signature",),
        t006(certificate=OTHER_CERTIFICATE.encode()),
        LOBBY,
    ),
    Broken(
        "version 5, another channel", ("bad_signature", *KEY), key(5), LOBBY | {"channel_name": "x"}
    ),
    Broken("Signaling, another account", ("bad_signature", *KEY), signal(), {"uid": "bob"}),
    Broken(
        "the certificate in small letters",
        ("certificate_letter_case",),
        rtc(certificate=CERTIFICATE.lower().encode()),
    ),
    Broken(
        "006, the certificate in capitals",
        ("certificate_letter_case",),
        t006(certificate=CERTIFICATE.upper().encode()),
        LOBBY,
    ),
    Broken(
        "Signaling, the certificate in small letters",
        ("certificate_letter_case", *KEY),
        signal(certificate=CERTIFICATE.lower()),
        {"uid": "alice"},
    ),
    Broken(
        "a secret file that ends in a line break",
        ("certificate_whitespace",),
        rtc(certificate=CERTIFICATE.encode() + b"\n"),
    ),
    Broken(
        "a home-made builder that decodes the certificate",
        ("certificate_as_bytes",),
        rtc(certificate=bytes.fromhex(CERTIFICATE)),
    ),
    # App ID
    Broken(
        "test and production mixed up",
        ("app_id_mismatch",),
        rtc(app_id=OTHER_APP_ID, certificate=OTHER_CERTIFICATE.encode()),
    ),
    Broken(
        "006 of another project",
        ("app_id_mismatch",),
        t006(app_id=OTHER_APP_ID, certificate=OTHER_CERTIFICATE.encode()),
        LOBBY,
    ),
    Broken(
        "version 5 of another project",
        ("app_id_mismatch", *KEY),
        key(5, app_id=OTHER_APP_ID),
        LOBBY,
    ),
    Broken("the App ID in small letters", ("app_id_letter_case",), rtc(app_id=APP_ID.lower())),
    Broken("a placeholder", ("app_id_malformed",), rtc(app_id="<your App ID>")),
    Broken(
        "App ID and certificate swapped",
        ("app_id_is_certificate",),
        rtc(app_id=CERTIFICATE, certificate=APP_ID.encode()),
    ),
    # Time
    Broken("an hour is over", ("expired",), GOOD, now=ISSUED + 3600),
    Broken("006, a day is over", ("expired",), t006(), LOBBY, now=ISSUED + DAY),
    Broken("version 3, an hour is over", ("expired", *KEY), key(3), LOBBY, now=LATER),
    Broken("Signaling, an hour is over", ("expired", *KEY), signal(), {"uid": "alice"}, now=LATER),
    Broken("a server whose clock is ahead", ("issued_in_future",), rtc(issue_ts=NOW + 7200)),
    Broken(
        "006 from a server whose clock is ahead",
        ("issued_in_future",),
        t006(ts=NOW + DAY + 7200),
        LOBBY,
    ),
    Broken(
        "006 with a duration for a timestamp",
        ("relative_timestamp",),
        t006(privileges=dict.fromkeys(PUBLISH, 3600)),
        LOBBY,
    ),
    Broken(
        "version 4 with a duration", ("relative_timestamp", *KEY), key(4, expired_ts=3600), LOBBY
    ),
    Broken(
        "Signaling with a duration",
        ("relative_timestamp", *KEY),
        signal(expired_ts=3600),
        {"uid": "alice"},
    ),
    # Channel
    Broken("another channel", ("channel_mismatch",), GOOD, {"channel_name": "stage", "uid": 42}),
    Broken("006, another channel", ("channel_mismatch",), t006(), {"channel_name": "x", "uid": 42}),
    Broken(
        "006, the border between channel and uid moved",
        ("channel_mismatch", "uid_mismatch"),
        t006(),
        {"channel_name": "lobby4", "uid": 2},
    ),
    Broken("a capital", ("channel_letter_case",), GOOD, {"channel_name": "Lobby", "uid": 42}),
    Broken(
        "006, a capital",
        ("channel_letter_case",),
        t006("Lobby"),
        {"channel_name": "lobby", "uid": 42},
    ),
    Broken(
        "version 2, capitals",
        ("channel_letter_case", *KEY),
        key(2),
        {"channel_name": "LOBBY", "uid": 42},
    ),
    Broken("a space behind", ("channel_whitespace",), rtc("lobby "), {"channel_name": "lobby"}),
    Broken(
        "006, a space behind",
        ("channel_whitespace",),
        t006("lobby "),
        {"channel_name": "lobby", "uid": 42},
    ),
    Broken(
        "the name from a URL",
        ("channel_percent_encoded",),
        rtc("my%20room"),
        {"channel_name": "my room"},
    ),
    Broken("no ASCII letters", ("channel_not_allowed",), rtc("Größe"), {"channel_name": "Größe"}),
    Broken("a name of 65 bytes", ("channel_not_allowed",), rtc("x" * 65)),
    Broken(
        "006, no ASCII letters",
        ("channel_not_allowed",),
        t006("Größe"),
        {"channel_name": "Größe", "uid": 42},
    ),
    Broken("a home-made 006 builder", ("channel_crc_wrong",), t006(crcs=(1, crc32(b"42"))), LOBBY),
    # User
    Broken("another uid", ("uid_mismatch",), GOOD, {"uid": 43}),
    Broken("006, another uid", ("uid_mismatch",), t006(), {"channel_name": "lobby", "uid": 43}),
    Broken(
        "version 3, another uid",
        ("uid_mismatch", *KEY),
        key(3),
        {"channel_name": "lobby", "uid": 43},
    ),
    Broken("another RTM user", ("uid_mismatch",), t007(Rtm("alice", LOGIN)), {"uid": "bob"}),
    Broken("another Chat user", ("uid_mismatch",), t007(Chat("alice", LOGIN)), {"uid": "bob"}),
    Broken(
        "another user in a room", ("uid_mismatch",), t007(Apaas("r", "a", 1, LOGIN)), {"uid": "b"}
    ),
    Broken("uid 0 as a text", ("uid_zero_as_text",), rtc(uid="0"), {"uid": 0}),
    Broken("006, uid 0 as a text", ("uid_zero_as_text",), t006(uid="0"), LOBBY | {"uid": 0}),
    Broken("the client lets Agora choose a uid", ("uid_zero_joined",), GOOD, {"uid": 0}),
    Broken(
        "a UUID for an account, a number to join",
        ("uid_number_and_account",),
        rtc(uid=UUID),
        {"uid": 7},
    ),
    Broken("a number, an account to join", ("uid_number_and_account",), GOOD, {"uid": UUID}),
    Broken("leading zeros", ("uid_number_and_account",), rtc(uid="0042"), {"uid": 42}),
    Broken(
        "version 4, an account",
        ("uid_number_and_account", *KEY),
        key(4),
        {"channel_name": "lobby", "uid": "alice"},
    ),
    Broken(
        "uid 2**32 becomes any user", ("uid_truncated", "wildcard_user"), rtc(uid=0), {"uid": 2**32}
    ),
    Broken("a uid of 33 bits, cut by the builder", ("uid_truncated",), GOOD, {"uid": 2**32 + 42}),
    Broken(
        "a uid of 33 bits, cut by the client",
        ("uid_truncated",),
        rtc(uid="4294967338"),
        {"uid": 42},
    ),
    Broken("006, a uid of 33 bits", ("uid_truncated",), t006(), LOBBY | {"uid": 2**32 + 42}),
    Broken("a signed uid at the client", ("uid_signed",), rtc(uid=4294967286), {"uid": -10}),
    Broken("a signed uid at the builder", ("uid_signed",), rtc(uid="-10"), {"uid": 4294967286}),
    Broken("006, a signed uid", ("uid_signed",), t006(uid="-10"), LOBBY | {"uid": 4294967286}),
    Broken("an account with a capital", ("uid_letter_case",), rtc(uid="Alice"), {"uid": "alice"}),
    Broken(
        "Signaling, an account with a capital",
        ("uid_letter_case", *KEY),
        signal("alice"),
        {"uid": "Alice"},
    ),
    Broken("an account with a space", ("uid_whitespace",), rtc(uid="alice "), {"uid": "alice"}),
    Broken(
        "a uid of 33 bits", ("uid_out_of_range", "wildcard_user"), rtc(uid=0), {"uid": 2**32 + 5}
    ),
    Broken(
        "006, a uid of 33 bits on both sides",
        ("uid_out_of_range",),
        t006(uid="4294967301"),
        LOBBY | {"uid": 4294967301},
    ),
    Broken("a home-made 006 builder", ("uid_crc_wrong",), t006(crcs=(crc32(b"lobby"), 1)), LOBBY),
    Broken("an account of 256 bytes", ("user_not_allowed",), rtc(uid="x" * 256)),
    Broken("an RTM user id of 65 bytes", ("user_not_allowed",), t007(Rtm("x" * 65, LOGIN))),
    # Services and privileges
    Broken(
        "only privilege 2 was added", ("privilege_missing",), t007(Rtc("lobby", 42, {2: 0})), LOBBY
    ),
    Broken(
        "006, only privilege 2 was added",
        ("privilege_missing",),
        t006(privileges={2: LATER}),
        LOBBY,
    ),
    Broken(
        "an audience member wants to speak",
        ("privilege_missing", "subscriber_needs_cohost"),
        t007(Rtc("lobby", 42, JOIN)),
        LOBBY | {"privilege": "rtc.publish_audio"},
    ),
    Broken("RTM without login", ("privilege_missing",), t007(Rtm("alice"))),
    Broken("Chat without anything", ("privilege_missing",), t007(Chat("alice"))),
    Broken("FPA without login", ("privilege_missing",), t007(Fpa())),
    Broken(
        "FCDN asked to play",
        ("privilege_missing",),
        t007(FCdn("c", 1, JOIN)),
        {"privilege": "fcdn.play"},
    ),
    Broken(
        "a privilege of 30 seconds",
        ("privilege_expired",),
        t007(Rtc("lobby", 42, {1: 30, 2: 0})),
        LOBBY,
    ),
    Broken("006, an hour is over", ("privilege_expired",), t006(), LOBBY, now=LATER),
    Broken(
        "one of two services is over",
        ("privilege_expired",),
        t007(Rtc("lobby", 42, PUBLISH), Rtm("42", {1: 10})),
    ),
    Broken(
        "a Streaming token used for Chat",
        ("service_missing",),
        t007(Streaming("lobby", 42, JOIN)),
        {"privilege": "chat.user"},
    ),
    Broken("a 007 token without services", ("service_missing",), t007()),
    Broken(
        "RTC used to log in", ("rtc_token_for_rtm",), GOOD, {"uid": 42, "privilege": "rtm.login"}
    ),
    Broken(
        "006, RTC used to log in",
        ("rtc_token_for_rtm",),
        t006(),
        LOBBY | {"privilege": "rtm.login"},
    ),
    Broken("RTM used to join", ("rtm_token_for_rtc",), t007(Rtm("42", LOGIN)), LOBBY),
    Broken(
        "RTM with permissions used to publish",
        ("rtm_token_for_rtc",),
        t007(Rtm2("42", {}, LOGIN)),
        {"privilege": "rtc.publish_audio"},
    ),
    Broken("006, RTM used to join", ("rtm_token_for_rtc",), t006("42", "", {1000: LATER}), LOBBY),
    Broken(
        "006, the RTM user as uid",
        ("rtm_user_in_uid_slot",),
        t006("", "alice", {1000: LATER}),
        {"uid": "alice"},
    ),
    # Warnings
    Broken("any channel", ("wildcard_channel",), rtc("*"), LOBBY),
    Broken("any user, as the Console's tokens", ("wildcard_user",), rtc(uid=0), LOBBY),
    Broken("006, any user", ("wildcard_user",), t006(uid=""), LOBBY),
    Broken("version 5, any user", ("wildcard_user", *KEY), key(5, uid=0), LOBBY),
    Broken("any user logs in", ("wildcard_user",), t007(Rtm("*", LOGIN)), {"uid": "alice"}),
    Broken("milliseconds", ("lifetime_over_24h",), rtc(expire=3_600_000)),
    Broken("no lifetime", ("lifetime_zero",), rtc(expire=0)),
    Broken(
        "the sum that 006 wanted",
        ("absolute_timestamp",),
        t007(Rtc("lobby", 42, dict.fromkeys(PUBLISH, LATER)), expire=LATER),
    ),
    Broken(
        "a privilege longer than the token",
        ("privilege_outlives_token",),
        t007(Rtc("lobby", 42, {1: 7200, 2: 0}), expire=3600),
    ),
    Broken(
        "a token for too much",
        ("long_token",),
        t007(Rtm2("alice", {0: {0: [f"room-{n * n * 7919:x}" for n in range(400)]}}, LOGIN)),
    ),
    Broken("an audience member", ("subscriber_needs_cohost",), t007(Rtc("lobby", 42, JOIN)), LOBBY),
    Broken("a service of tomorrow", ("unknown_services",), with_unknown_service(), LOBBY),
    Broken("a dynamic key", ("deprecated_format",), key(3), LOBBY),
)
