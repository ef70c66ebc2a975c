"""Salts, uniform in 1..99999999, from the operating system's secure source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._numpy import np
from .rules import SALT_MAX

if TYPE_CHECKING:
    import numpy.typing as npt

_READY = 256  # salts drawn at a time for single tokens
_ready: list[int] = []
# A forked child must not hand out the salts that its parent holds.
os.register_at_fork(after_in_child=_ready.clear)


def random_salts(rows: int) -> npt.NDArray[np.uint32]:
    """One salt for each of ``rows`` tokens, as uint32, drawn in bulk."""
    salts = np.empty(rows, np.uint32)
    filled = 0
    while filled < rows:
        # 27 bits hold 99999999 and reject one draw in four: no remainder, no bias.
        drawn = np.frombuffer(os.urandom(4 * ((rows - filled) * 4 // 3 + 16)), "<u4") & 0x7FF_FFFF
        drawn = drawn[drawn < SALT_MAX][: rows - filled]
        salts[filled : filled + len(drawn)] = drawn
        filled += len(drawn)
    return salts + np.uint32(1)


def random_salt() -> int:
    """One salt. Each is handed out once: ``list.pop`` is atomic."""
    while True:
        try:
            return _ready.pop()
        except IndexError:
            _ready.extend(random_salts(_READY).tolist())
