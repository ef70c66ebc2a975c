"""The Signaling token of the old Signaling SDK (docs/formats.md, "Signaling token")."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from .._core import Certificate
from ..errors import FieldError, MalformedToken
from .parsed import Parsed, user_text

NAME = "signaling_token"
PREFIX = "1:"

_LAYOUT = re.compile("1:([0-9a-zA-Z]{32}):([0-9]{1,10}):([0-9a-f]{32})")


@dataclass(frozen=True)
class SignalingToken:
    """The claims of a Signaling token: ``expired_ts`` is absolute, in Unix seconds."""

    app_id: str
    expired_ts: int


def _sign(claims: SignalingToken, certificate: Certificate, account: str) -> str:
    content = account.encode() + claims.app_id.encode() + certificate.reveal()
    return hashlib.md5(content + b"%d" % claims.expired_ts, usedforsecurity=False).hexdigest()


def build(claims: SignalingToken, certificate: Certificate, account: str) -> str:
    """The Signaling token of an account."""
    signature = _sign(claims, certificate, account)
    return f"{PREFIX}{claims.app_id}:{claims.expired_ts}:{signature}"


def detect(token: str) -> bool:
    return token.startswith(PREFIX)


def parse(token: str) -> Parsed:
    """Reads a Signaling token. Raises `MalformedToken`."""
    found = _LAYOUT.fullmatch(token)
    if found is None or str(int(found[2])) != found[2]:
        raise MalformedToken("field", "not 1:<App ID>:<expired_ts>:<signature>")
    return Parsed(NAME, SignalingToken(found[1], int(found[2])), found[3].encode(), b"")


def verify_signature(
    parsed: Parsed, certificate: Certificate, channel_name: str | None, uid: int | str | None
) -> bool:
    """Whether ``certificate`` signed the token for this account, which is given as ``uid``."""
    if uid is None:
        raise FieldError("uid", f"must be given: {NAME} tokens don't carry the account")
    account = user_text(uid).decode()
    expected = _sign(parsed.claims, certificate, account).encode()
    return hmac.compare_digest(parsed.signature, expected)
