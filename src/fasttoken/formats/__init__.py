"""The registry of token formats: the only list of them."""

from __future__ import annotations

from types import ModuleType

from ..errors import MalformedToken
from . import access_token, access_token2, dynamic_key, signaling
from .parsed import Parsed

# Dynamic keys come first: one of version 1 or 2 begins with a signature, which may look like
# the prefix of another format.
FORMATS: tuple[ModuleType, ...] = (dynamic_key, access_token2, access_token, signaling)
BY_NAME = {module.NAME: module for module in FORMATS}

LONGEST = 262_144  # characters: no format needs more, and reading stops before work begins


def detect(token: str) -> ModuleType:
    """The format of ``token``, by how it begins. Raises `MalformedToken` if none fits."""
    if not isinstance(token, str):
        raise MalformedToken("prefix", f"a token is a str, not {type(token).__name__}")
    if len(token) > LONGEST:
        raise MalformedToken("prefix", f"longer than {LONGEST} characters")
    for module in FORMATS:
        if module.detect(token):
            return module
    raise MalformedToken("prefix", "no known token format begins like this")


def parse(token: str) -> Parsed:
    """Reads a token of any format; verifies nothing. Raises `MalformedToken`."""
    parsed: Parsed = detect(token).parse(token)
    return parsed


__all__ = ["BY_NAME", "FORMATS", "Parsed", "detect", "parse"]
