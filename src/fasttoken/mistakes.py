"""The mistakes that tokens suffer from, on their way and at both ends: how to undo or spot them.

Each goes by the code that `fasttoken.reasons` explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, unquote_plus

from . import rules
from .errors import MalformedToken
from .formats import LONGEST, parse
from .formats.access_token2 import uid_text
from .formats.parsed import Parsed

# The text of a token ------------------------------------------------------------------------------

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
_QUOTES = "\"'`"


def stripped(token: str) -> str:
    """A token without whitespace around it, line breaks in it, and what can't be seen."""
    return re.sub(rf"[\t\r\n\f\v\u00a0{_INVISIBLE}]", "", token).strip()


def _unquoted(token: str) -> str:
    quoted = len(token) > 1 and token[0] in _QUOTES and token[-1] == token[0]
    return token[1:-1] if quoted else token


def _padded(token: str) -> str:
    """A token in base64 with its padding; the prefix of 3 and, in 006, the App ID are no base64,
    but the App ID's 32 characters don't count modulo 4."""
    based = token.startswith(("005", "006", "007"))
    return token + "=" * (-(len(token) - 3) % 4) if based else token


_Mend: TypeAlias = tuple[str, Callable[[str], str]]
# What happens to tokens on their way, in the order in which it is undone; spaces come between.
_OUTSIDE: tuple[_Mend, ...] = (
    ("token_whitespace", stripped),
    ("token_quoted", _unquoted),
    ("token_percent_encoded", unquote),
)
_SPACES: tuple[_Mend, ...] = (
    ("plus_lost", lambda token: token.replace(" ", "+")),
    ("token_whitespace", lambda token: token.replace(" ", "")),
)
_INSIDE: tuple[_Mend, ...] = (
    ("token_url_safe", lambda token: token.translate(str.maketrans("-_", "+/"))),
    ("padding_lost", _padded),
)


def mended_readings(token: str) -> Iterator[tuple[Parsed, tuple[str, ...]]]:
    """Readings of a token that can't be read as it stands, with the codes of what was mended.

    A space inside is either a lost '+' or none of the token: both are tried.
    """
    if len(token) > LONGEST:
        return
    for spaces in _SPACES:
        text, codes = token, list[str]()
        for code, mend in (*_OUTSIDE, spaces, *_INSIDE):
            mended = mend(text)
            if mended != text:
                text, codes = mended, [*codes, code]
        try:
            yield parse(text), tuple(dict.fromkeys(codes))
        except MalformedToken:
            continue


# Users and channels -------------------------------------------------------------------------------

_NUMBER = re.compile(r"-?[0-9]{1,20}")
_2_32 = 2**32


def is_uid(text: str) -> bool:
    """Whether a text is what a numeric uid is written as."""
    decimal = 0 < len(text) <= 10 and text.isascii() and text.isdigit()
    return decimal and text[0] != "0" and int(text) <= rules.U32_MAX


def uid_as_text(uid: int | str) -> str:
    """A uid or account as it is written in a token."""
    return uid_text(uid).decode()


def near_users(uid: int | str) -> Iterator[tuple[str, str]]:
    """What a user is likely to be mistaken for, as it is written, and the code of the mistake."""
    text = uid_as_text(uid)
    if text == "":
        yield "0", "uid_zero_as_text"
    elif _NUMBER.fullmatch(text):
        number = int(text)
        if number < 0:
            yield uid_as_text(number % _2_32), "uid_signed"
        elif number > rules.U32_MAX:
            yield uid_as_text(number % _2_32), "uid_truncated"
        elif number >= 2**31:
            yield uid_as_text(number - _2_32), "uid_signed"
    else:
        for near in (text.lower(), text.upper()):
            yield near, "uid_letter_case"
    for near in (text.strip(), f"{text} ", f"{text}\n"):
        yield near, "uid_whitespace"


def user_difference(token: str, uid: int | str) -> str | None:
    """The code for a client that joins as ``uid`` with a token for ``token``; None if it may."""
    text = uid_as_text(uid)
    near = next((code for user, code in near_users(uid) if user == token != text), None)
    if isinstance(uid, int) and not 0 <= uid <= rules.U32_MAX:
        return near or "uid_out_of_range"
    if token in (text, "", rules.WILDCARD):
        return None
    if near:
        return near
    if text == "":
        return "uid_zero_joined"
    if token.strip() == text.strip():
        return "uid_whitespace"
    number = int(token) if _NUMBER.fullmatch(token) else 0
    if number > rules.U32_MAX and uid_as_text(number % _2_32) == text:
        return "uid_truncated"
    if is_uid(token) != is_uid(text):
        return "uid_number_and_account"
    return "uid_letter_case" if token.casefold() == text.casefold() else "uid_mismatch"


def near_channels(name: str) -> Iterator[tuple[str, str]]:
    """What a channel name is likely to be mistaken for, and the code of the mistake."""
    for near in (name.strip(), f"{name} ", f" {name}", f"{name}\n"):
        yield near, "channel_whitespace"
    for near in (name.lower(), name.upper(), name.capitalize(), name.title()):
        yield near, "channel_letter_case"
    for near in (unquote(name), unquote_plus(name), quote(name), quote(name, safe="")):
        yield near, "channel_percent_encoded"


def channel_difference(token: str, name: str) -> str | None:
    """The code for a client that joins ``name`` with a token for ``token``; None if it may."""
    if token in (name, "", rules.WILDCARD):
        return None
    if token.strip() == name.strip():
        return "channel_whitespace"
    if token.casefold() == name.casefold():
        return "channel_letter_case"
    if any(decode(token) == decode(name) for decode in (unquote, unquote_plus)):
        return "channel_percent_encoded"
    return "channel_mismatch"


def nearby(
    exact: Any, near: Iterable[tuple[str, str]], also: Iterable[str] = ()
) -> list[tuple[Any, tuple[str, ...]]]:
    """An exact value, what it is likely to be mistaken for, each once, with its code."""
    found: dict[Any, tuple[str, ...]] = {exact: ()}
    for value in also:
        found.setdefault(value, ())
    for value, code in near:
        found.setdefault(value, (code,))
    return list(found.items())


# Certificates -------------------------------------------------------------------------------------

# What a certificate is likely to be mistaken for.
CERTIFICATE_MISTAKES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("certificate_letter_case", bytes.lower),
    ("certificate_letter_case", bytes.upper),
    ("certificate_whitespace", lambda text: text + b"\n"),
    ("certificate_whitespace", lambda text: text + b"\r\n"),
    ("certificate_whitespace", lambda text: text + b" "),
    ("certificate_as_bytes", lambda text: bytes.fromhex(text.decode())),
)
