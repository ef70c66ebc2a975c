"""What parsing gives: the claims of a token, and what its signature says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import FieldError
from ..rules import U16_MAX, integer, text


@dataclass(frozen=True)
class Parsed:
    """A token that was read, not yet verified.

    ``format`` is the name of its format, ``claims`` that format's class of claims, ``signature``
    the signature as it stands in the token, and ``signed`` the signed bytes that the token carries.
    """

    format: str
    claims: Any
    signature: bytes = field(repr=False)
    signed: bytes = field(repr=False)


def supplied(
    format_name: str, channel_name: str | None, uid: int | str | None = ""
) -> tuple[bytes, bytes]:
    """The channel name and uid text that a token of this format doesn't carry, as UTF-8."""
    for name, value in (("channel_name", channel_name), ("uid", uid)):
        if value is None:
            raise FieldError(name, f"must be given: {format_name} tokens don't carry it")
    return text("channel_name", channel_name, U16_MAX), user_text(uid)


def user_text(uid: Any) -> bytes:
    """A uid or account as it is signed: a number in decimal, 0 as the empty text."""
    if not isinstance(uid, str):
        uid = str(integer("uid", uid, -(2**63), 2**63) or "")
    return text("uid", uid, U16_MAX)
