"""Random salts for single tokens."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..rules import SALT_MAX

DRAWN = 256  # words drawn at a time
_ready: list[int] = []  # what came of them and was not yet handed out


def random_salt() -> int:
    """A salt, uniform in 1..99999999, from the operating system's secure source. Each that was
    drawn is handed out once, whatever threads and forked children ask."""
    while True:
        try:
            return _ready.pop()
        except IndexError:
            # 27 bits hold 99999999 and reject one draw in four: no remainder, no bias.
            words = memoryview(os.urandom(4 * DRAWN)).cast("I")
            salts = [(word & 0x7FF_FFFF) + 1 for word in words]
            _ready.extend([salt for salt in salts if salt <= SALT_MAX])


def forget_salts() -> None:
    """Drops what was drawn and not yet handed out."""
    _ready.clear()


def at_fork(forget: Callable[[], None]) -> None:
    """A forked child must not hand out the salts that its parent holds."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


at_fork(forget_salts)
