"""Why a token is rejected, or is probably not what its maker wants: the one table of codes.

A code is stable: programs may branch on it. Its sentence, its mend and the error that a client of
Agora sees stand here and nowhere else; docs/errors.md shows a token for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .services import FrozenMap

Severity: TypeAlias = Literal["error", "warning"]

SHOWN = 80  # characters of a value that a sentence quotes

APP_ID_INVALID = 101
CHANNEL_INVALID = 102
TOKEN_EXPIRED = 109
TOKEN_INVALID = 110


@dataclass(frozen=True)
class Reason:
    """One thing about a token.

    ``code`` is the stable name, ``sentence`` says what is the matter with this token, ``mend`` what
    to do. ``client_error`` is the number that Agora's RTC SDKs report for it, None where they have
    none. An ``"error"`` rejects the token, a ``"warning"`` does not.
    """

    code: str
    sentence: str
    mend: str
    client_error: int | None
    severity: Severity


class Code(NamedTuple):
    """A row of the table; ``sentence`` and ``mend`` are templates."""

    code: str
    client_error: int | None
    sentence: str
    mend: str
    severity: Severity = "error"


_MALFORMED = "paste it again, whole: tokens are lost to length limits, line breaks and encodings"
_RENEW = "mint a new token; the client passes it to renewToken, or joins again with it"
_SAME_CHANNEL = "mint and join with the same channel name, byte for byte"
_SAME_USER = "mint and join with the same user"
_ONE_KIND = "use a number on both sides, or an account on both (joinChannelWithUserAccount)"

_READING = (
    Code(
        "empty_token",
        TOKEN_INVALID,
        "There is no token: {found}.",
        "look at the server: Agora's own builders return an empty text for an App ID or "
        "certificate that is not 32 hexadecimal digits",
    ),
    Code("malformed_prefix", TOKEN_INVALID, "This is no token of Agora: {rule}.", _MALFORMED),
    Code(
        "malformed_base64",
        TOKEN_INVALID,
        "The token breaks off at its base64 text: {rule}.",
        _MALFORMED,
    ),
    Code(
        "malformed_zlib",
        TOKEN_INVALID,
        "The token breaks off at its compressed content: {rule}.",
        "paste it again, whole: a column of 255 characters, for one, cuts a token off",
    ),
    Code("malformed_field", TOKEN_INVALID, "The token breaks off at a field: {rule}.", _MALFORMED),
    Code(
        "unknown_version",
        TOKEN_INVALID,
        "The token claims to be of version {version}, which nobody knows.",
        "mint a token of version 007, or 006 for old SDKs",
    ),
    Code(
        "letter_case_lost",
        TOKEN_INVALID,
        "All letters of the token are {case}: its letter case was lost on the way.",
        "leave the letter case of a token alone; this one can't be recovered",
    ),
    Code(
        "token_whitespace",
        TOKEN_INVALID,
        "There is whitespace around or inside the token; it reads well without.",
        "strip the token where it is read; look for line breaks that were put into it",
    ),
    Code(
        "token_quoted",
        TOKEN_INVALID,
        "The token stands in quotes; it reads well without.",
        "decode the JSON that it came in, instead of cutting the token out",
    ),
    Code(
        "token_percent_encoded",
        TOKEN_INVALID,
        "The token is percent-encoded, as it stands in a URL; it reads well once decoded.",
        "decode the query parameter once before use",
    ),
    Code(
        "plus_lost",
        TOKEN_INVALID,
        "Each '+' of the token became a space in transit; it reads well with them put back.",
        "percent-encode the token in URLs and forms ('+' is %2B), or send it as JSON",
    ),
    Code(
        "token_url_safe",
        TOKEN_INVALID,
        "The token is in URL-safe base64 ('-' and '_'); it reads well with '+' and '/'.",
        "use the standard base64 alphabet",
    ),
    Code(
        "padding_lost",
        TOKEN_INVALID,
        "The padding ('=') at the end of the token is missing; it reads well with it.",
        "keep the '=' signs: they belong to the token",
    ),
)

_SIGNATURE = (
    Code(
        "signature_unchecked",
        None,
        "No certificate was given, so nobody knows who made this token.",
        "give the App ID and the App Certificate to have it verified",
    ),
    Code(
        "channel_name_needed",
        None,
        "A token of this format does not carry its channel name, so it can't be verified alone.",
        "give the channel name that the client joins",
    ),
    Code(
        "uid_needed",
        None,
        "A token of this format does not carry its user, so it can't be verified alone.",
        "give the uid or account that the client joins with",
    ),
    Code(
        "bad_signature",
        TOKEN_INVALID,
        "No certificate of this project made the token{or_other}.",
        "compare App ID and certificate of the server that mints with the Agora Console; a "
        "certificate that was deleted there no longer counts",
    ),
    Code(
        "certificate_letter_case",
        TOKEN_INVALID,
        "The token was made with this project's {certificate} certificate in other letter case.",
        "copy the certificate from the Agora Console as it is, on the server that mints and here",
    ),
    Code(
        "certificate_whitespace",
        TOKEN_INVALID,
        "The token was made with this project's {certificate} certificate and whitespace behind "
        "it.",
        "strip the certificate where the server reads it: a secret file often ends in a line break",
    ),
    Code(
        "certificate_as_bytes",
        TOKEN_INVALID,
        "The token was made with the 16 bytes that this project's {certificate} certificate "
        "spells.",
        "sign with the certificate as text: its 32 characters are the key",
    ),
)

_APP_ID = (
    Code(
        "app_id_mismatch",
        TOKEN_INVALID,
        "The token is for App ID {token}, the project is {project}.",
        "mint with the App ID that the client was initialised with; check test and production",
    ),
    Code(
        "app_id_letter_case",
        TOKEN_INVALID,
        "The token's App ID, {token}, is that of the project in other letter case.",
        "copy the App ID from the Agora Console as it is: its letter case is signed",
    ),
    Code(
        "app_id_malformed",
        APP_ID_INVALID,
        "The token's App ID, {token}, is not 32 hexadecimal digits.",
        "copy the App ID from the Agora Console; perhaps a placeholder is still in its place",
    ),
    Code(
        "app_id_is_certificate",
        APP_ID_INVALID,
        "The token holds the App Certificate where its App ID belongs: whoever has the token can "
        "mint others.",
        "swap the two settings on the server that mints, and replace the certificate in the "
        "Agora Console",
    ),
)

_TIME = (
    Code(
        "expired",
        TOKEN_EXPIRED,
        "The token expired {ago} ago.",
        _RENEW,
    ),
    Code(
        "issued_in_future",
        TOKEN_INVALID,
        "The token is issued {ahead} from now.",
        "check the clock of the server that mints (in UTC), and that it counts seconds",
    ),
    Code(
        "relative_timestamp",
        TOKEN_EXPIRED,
        "The expiry of {what} is {value}, which is a time in {year}: this format wants a Unix "
        "timestamp, not a duration.",
        "add the current Unix time, or mint 007 tokens, which take durations",
    ),
)

_CHANNEL = (
    Code(
        "channel_mismatch",
        TOKEN_INVALID,
        "The token is for {token}, the client joins channel {asked}.",
        _SAME_CHANNEL,
    ),
    Code(
        "channel_letter_case",
        TOKEN_INVALID,
        "The token's channel name differs from {asked} in letter case.",
        _SAME_CHANNEL,
    ),
    Code(
        "channel_whitespace",
        TOKEN_INVALID,
        "The token's channel name differs from {asked} in whitespace around it.",
        _SAME_CHANNEL,
    ),
    Code(
        "channel_percent_encoded",
        TOKEN_INVALID,
        "Either the token's channel name or {asked} is percent-encoded, the other is not.",
        "decode the channel name once where it is taken from a URL",
    ),
    Code(
        "channel_not_allowed",
        CHANNEL_INVALID,
        "No client can join this channel: its name {rule}.",
        "use a channel name of 1 to 64 bytes of the allowed characters",
    ),
    Code(
        "channel_crc_wrong",
        TOKEN_INVALID,
        "The token was signed for this channel name, but its check sum is that of another.",
        "mint with Agora's or this library's builder: the one in use writes wrong check sums",
    ),
)

_USER = (
    Code(
        "uid_mismatch",
        TOKEN_INVALID,
        "The token is for {token}, the client joins as {asked}.",
        _SAME_USER,
    ),
    Code(
        "uid_zero_as_text",
        TOKEN_INVALID,
        'The token is for the account "0"; uid 0 (any user) is written as an empty text.',
        "pass the number 0 to the builder, not the text; best, mint for one user",
    ),
    Code(
        "uid_zero_joined",
        TOKEN_INVALID,
        "The token is for {token}, the client joins with uid 0 and is given a random one.",
        "have the client join with the uid that the token was minted for",
    ),
    Code(
        "uid_number_and_account",
        TOKEN_INVALID,
        "The token is for {token}, the client joins as {asked}: one is a number, the other an "
        "account.",
        _ONE_KIND,
    ),
    Code(
        "uid_truncated",
        TOKEN_INVALID,
        "{asked} and the token's uid differ by a multiple of 2**32: one of them was cut to 32 "
        "bits.",
        "keep uids in 1..4294967295; larger numbers have to be accounts, on both sides",
    ),
    Code(
        "uid_signed",
        TOKEN_INVALID,
        "{asked} and the token's uid are one number, signed on one side and unsigned on the other.",
        "pass uids as unsigned 32-bit numbers (in Java: Integer.toUnsignedString)",
    ),
    Code(
        "uid_letter_case",
        TOKEN_INVALID,
        "The token's user differs from {asked} in letter case.",
        _SAME_USER,
    ),
    Code(
        "uid_whitespace",
        TOKEN_INVALID,
        "The token's user differs from {asked} in whitespace around it.",
        _SAME_USER,
    ),
    Code(
        "uid_out_of_range",
        TOKEN_INVALID,
        "{asked} is no uid: a number must be in 0..4294967295.",
        "use another number, or an account",
    ),
    Code(
        "uid_crc_wrong",
        TOKEN_INVALID,
        "The token was signed for this user, but its check sum is that of another.",
        "mint with Agora's or this library's builder: the one in use writes wrong check sums",
    ),
    Code(
        "user_not_allowed",
        TOKEN_INVALID,
        "No client can use this {field}: it {rule}.",
        "keep accounts to 255 bytes, and user ids of Signaling to 64",
    ),
)

_SERVICES = (
    Code(
        "privilege_missing",
        TOKEN_INVALID,
        "The token does not grant {privilege}; it grants {granted}.",
        "mint with a role, or list this privilege besides the others",
    ),
    Code(
        "privilege_expired",
        TOKEN_EXPIRED,
        "The token's privilege {privilege} expired {ago} ago.",
        _RENEW,
    ),
    Code(
        "service_missing",
        TOKEN_INVALID,
        "The token opens {opened}, not {wanted}.",
        "mint a token for that service; one token may hold several",
    ),
    Code(
        "rtc_token_for_rtm",
        TOKEN_INVALID,
        "This is a token for RTC channels, and is used to log in to Signaling (RTM).",
        "mint an RTM token, or one token for both (rtc_rtm_token)",
    ),
    Code(
        "rtm_token_for_rtc",
        TOKEN_INVALID,
        "This is a token for Signaling (RTM), and is used to join an RTC channel.",
        "mint an RTC token, or one token for both (rtc_rtm_token)",
    ),
    Code(
        "rtm_user_in_uid_slot",
        TOKEN_INVALID,
        "The user id of this 006 RTM token stands in the place of a uid; Signaling looks for it "
        "in the place of the channel name.",
        "mint with the RTM builder (rtm_token_006), or pass the user id as the channel name",
    ),
)

_WARNINGS = tuple(
    Code(code, None, sentence, mend, "warning")
    for code, sentence, mend in (
        (
            "wildcard_channel",
            "The token opens every channel of the project.",
            "mint for one channel",
        ),
        (
            "wildcard_user",
            "The token is good for any user: whoever gets hold of it can join.",
            "mint for one uid or account, and have the client join with it",
        ),
        (
            "lifetime_over_24h",
            "The token's lifetime is {lifetime}; Agora ends it after 24 hours.",
            "mint for at most 86400 seconds, and renew",
        ),
        (
            "lifetime_zero",
            "The token's lifetime is 0, which Agora takes for 24 hours.",
            "say how long the token should last, in seconds",
        ),
        (
            "absolute_timestamp",
            "The expiry of {what} is {value}, a Unix timestamp: 007 wants seconds from the issue.",
            "pass a duration such as 3600: take the current time out of the sum",
        ),
        (
            "privilege_outlives_token",
            "{what} would last longer than the token, and ends with it.",
            "give the token the longest of the lifetimes",
        ),
        (
            "long_token",
            "The token has {length} characters; the Web SDK refuses more than 2047.",
            "put fewer services, channels or permissions into one token",
        ),
        (
            "subscriber_needs_cohost",
            "The token grants joining only; that keeps nobody from publishing unless co-host "
            "authentication is on.",
            "turn on co-host authentication in the Agora Console if subscribers must not publish",
        ),
        (
            "unknown_services",
            "The token holds {count} services of a type that this version does not know.",
            "update fasttoken to have them judged",
        ),
        (
            "deprecated_format",
            "Agora deprecates this format; only old SDKs take it.",
            "upgrade the client SDK and mint 007 tokens",
        ),
    )
)

CODES: Mapping[str, Code] = FrozenMap(
    {
        row.code: row
        for part in (_READING, _SIGNATURE, _APP_ID, _TIME, _CHANNEL, _USER, _SERVICES, _WARNINGS)
        for row in part
    }
)


def shown(value: object) -> str:
    """A value as a sentence quotes it: on one line, harmless to a terminal, and not too long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them."""
    found = list(names)
    if not found:
        return "nothing"
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def span(seconds: int) -> str:
    """A time span in words: its two largest units."""
    parts = []
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def reason(code: str, **details: object) -> Reason:
    """The reason of a code for one token."""
    row = CODES[code]
    return Reason(code, row.sentence.format(**details), row.mend, row.client_error, row.severity)
