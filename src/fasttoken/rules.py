"""The rules of every field, checked once, at the edge (docs/formats.md, "Limits and meanings").

Each function takes a value as a caller gives it, and returns the bytes or the number that goes
into the token, or raises `FieldError` with the field, the rule and, for a classic mistake, the
mend. Batches use the same functions to explain a row that a bulk check found suspect.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from operator import index
from typing import Any

from .errors import FieldError, TokenWarning

U16_MAX = 0xFFFF
U32_MAX = 0xFFFF_FFFF
DAY = 86_400  # seconds: what Agora takes 0, and anything longer, for
ABSOLUTE = 1_000_000_000  # seconds: no duration is this long; a Unix timestamp is
SALT_MAX = 99_999_999
CHANNEL_BYTES = 64
ACCOUNT_BYTES = 255
RTM_USER_BYTES = 64
TOKEN_CHARACTERS = 2047  # the Web SDK refuses a longer token

CHANNEL_CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&()+-:;<=.>?@[]^_{}|~,"
)
WILDCARD = "*"

_PACKAGE = os.path.dirname(__file__) + os.sep
_channel_name = re.compile(f"[{re.escape(CHANNEL_CHARACTERS)}]{{1,{CHANNEL_BYTES}}}").fullmatch
_hex32 = re.compile("[0-9a-fA-F]{32}").fullmatch

LIFETIME = f"is 0 or more than {DAY} seconds, and Agora ends every token after 24 hours"
LONG_TOKEN = f"is longer than {TOKEN_CHARACTERS} characters, and the Web SDK refuses it"


def warn(message: str) -> None:
    """A `TokenWarning` at the line that called into fasttoken."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, TokenWarning, stacklevel=depth)


def integer(field: str, value: Any, low: int, high: int, mend: str = "") -> int:
    """``value`` as an int in ``low..high``; a bool is not a number here."""
    if isinstance(value, bool):
        raise FieldError(field, "must be an integer, not a bool")
    try:
        number = index(value)
    except TypeError:
        raise FieldError(field, f"must be an integer, not {type(value).__name__}") from None
    if not low <= number <= high:
        raise FieldError(field, f"must be in {low}..{high}", mend)
    return number


def text(field: str, value: Any, longest: int) -> bytes:
    """``value`` as UTF-8 of at most ``longest`` bytes."""
    if not isinstance(value, str):
        raise FieldError(field, f"must be a str, not {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise FieldError(field, "must be valid Unicode (it has a lone surrogate)") from None
    if len(encoded) > longest:
        raise FieldError(field, f"must be at most {longest} bytes, not {len(encoded)}")
    return encoded


def _not_wildcard(field: str, means: str, allow_wildcard: bool) -> None:
    if not allow_wildcard:
        raise FieldError(
            field, f"means any {means} here", "say allow_wildcard=True if you want that"
        )


def hex32_problem(value: Any) -> str:
    """The rule that an App ID or certificate breaks, or ``""``; never quotes the value."""
    if not isinstance(value, str):
        return f"must be a str, not {type(value).__name__}"
    if _hex32(value):
        return ""
    if any(character.isspace() for character in value):
        return "must be 32 hexadecimal digits, without whitespace"
    return f"must be 32 hexadecimal digits (these are {len(value)} characters)"


def app_id(value: Any) -> str:
    """An App ID: 32 hexadecimal digits; the letter case is kept, since it is signed."""
    problem = hex32_problem(value)
    if problem:
        raise FieldError("app_id", problem, "copy it from the Agora Console")
    return str(value)


def channel_name(field: str, value: Any, allow_wildcard: bool) -> bytes:
    """A channel name: 1 to 64 bytes of the allowed characters. ``""`` and ``"*"`` mean any."""
    if isinstance(value, str):
        if _channel_name(value):
            return value.encode()
        if value in ("", WILDCARD):
            _not_wildcard(field, "channel", allow_wildcard)
            return value.encode()
    encoded = text(field, value, CHANNEL_BYTES)
    bad = next(c for c in encoded.decode() if c not in CHANNEL_CHARACTERS)
    allowed = "ASCII letters, digits, space and !#$%&()+-:;<=.>?@[]^_{}|~,"
    raise FieldError(field, f"has {bad!r}, but only {allowed} are allowed")


def uid(field: str, value: Any, allow_wildcard: bool) -> bytes:
    """A uid as its text on the wire: an int in 1..4294967295, or a str account.

    0 becomes the empty text and, as ``""`` and ``"*"`` do, means any user.
    """
    if isinstance(value, str):
        return account(field, value, allow_wildcard)
    number = integer(
        field,
        value,
        0,
        U32_MAX,
        "a signed 32-bit uid is written as uid + 2**32"
        if isinstance(value, int) and -(2**31) <= value < 0
        else "",
    )
    if number == 0:
        _not_wildcard(field, "user", allow_wildcard)
        return b""
    return b"%d" % number


def account(field: str, value: Any, allow_wildcard: bool) -> bytes:
    """A user account: 1 to 255 bytes of UTF-8. ``""`` and ``"*"`` mean any user."""
    encoded = text(field, value, ACCOUNT_BYTES)
    if value in ("", WILDCARD):
        _not_wildcard(field, "user", allow_wildcard)
    return encoded


def rtm_user_id(field: str, value: Any, allow_wildcard: bool) -> bytes:
    """An RTM user id: 1 to 64 bytes of UTF-8. ``""`` and ``"*"`` mean any user."""
    encoded = text(field, value, RTM_USER_BYTES)
    if value in ("", WILDCARD):
        _not_wildcard(field, "user", allow_wildcard)
    return encoded


def identifier(field: str, value: Any, longest: int = ACCOUNT_BYTES) -> bytes:
    """An account that has to be one: neither ``""`` nor ``"*"``."""
    encoded = text(field, value, longest)
    if value in ("", WILDCARD):
        raise FieldError(field, "must name one user")
    return encoded


def optional_account(field: str, value: Any, allow_wildcard: bool) -> bytes:
    """An identifier of which ``""`` means "none", as in Chat and APaaS app tokens."""
    return text(field, value, ACCOUNT_BYTES)


def i16(field: str, value: Any, allow_wildcard: bool) -> int:
    """A signed 16-bit number: the APaaS role, -1 for none."""
    return integer(field, value, -(2**15), 2**15 - 1)


def unix_ts(field: str, value: Any) -> int:
    """An absolute time in Unix seconds, as u32."""
    return integer(field, value, 0, U32_MAX)


def absolute(issue_ts: int, seconds: int) -> int:
    """The absolute time some seconds from the issue timestamp, in Unix seconds, as u32."""
    integer("issue_ts", issue_ts, 0, U32_MAX - seconds)
    return issue_ts + seconds


def salt(value: Any) -> int:
    """A salt: any u32."""
    return integer("salt", value, 0, U32_MAX)


def duration(field: str, value: Any) -> int:
    """Seconds relative to the issue timestamp, as u32; an absolute timestamp is refused."""
    seconds = integer(field, value, 0, U32_MAX)
    if seconds >= ABSOLUTE:
        raise FieldError(
            field,
            "must be seconds from the issue timestamp",
            "this is a Unix timestamp: pass a duration such as 3600",
        )
    return seconds


def lifetime(field: str, value: Any, strict: bool) -> int:
    """A token's `duration`: outside 1..86400 it is a `TokenWarning`, an error if ``strict``."""
    seconds = duration(field, value)
    if not 0 < seconds <= DAY:
        if strict:
            raise FieldError(field, LIFETIME)
        warn(f"{field} {LIFETIME}")
    return seconds
