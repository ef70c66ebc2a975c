"""How a minted token is answered: alone on standard output, warnings beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from ..errors import TokenWarning
from ..facts import facts
from ..formats import parse
from . import console


def answer(mint: Callable[[], str], json: bool) -> None:
    """Prints the token that ``mint`` makes, and on standard error what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TokenWarning)
        token = mint()
    notes = [str(each.message) for each in caught if issubclass(each.category, TokenWarning)]
    if json:
        parsed = parse(token)
        told = facts(parsed.claims)
        console.in_json(
            {
                "token": token,
                "format": parsed.format,
                "issued_at": told.issued_at,
                "expires_at": told.ends_at,
                "warnings": notes,
            }
        )
        return
    for note in notes:
        console.line(f"warning: {note}", "yellow", err=True)
    console.line(token)
