"""What parsing gives: the claims of a token, and what its signature says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import FieldError
from ..rules import U16_MAX, text


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
    user = "" if uid == 0 else str(uid) if isinstance(uid, int) else uid
    return text("channel_name", channel_name, U16_MAX), text("uid", user, U16_MAX)
