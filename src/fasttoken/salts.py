"""Salts, uniform in 1..99999999, from the operating system's secure source.

Those of single tokens come from the core (`random_salt`), those of batches from NumPy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._core import random_salt
from ._numpy import np
from .rules import SALT_MAX

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["random_salt", "random_salts"]


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
