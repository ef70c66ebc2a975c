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


# Words below this are as many for each salt: a remainder of them has no bias.
_FAIR = 2**32 // SALT_MAX * SALT_MAX


def random_salts(rows: int) -> npt.NDArray[np.uint32]:
    """One salt for each of ``rows`` tokens, as uint32, drawn in bulk."""
    words = np.frombuffer(bytearray(os.urandom(4 * rows)), "<u4")
    again = np.flatnonzero(words >= _FAIR)
    while len(again):
        words[again] = np.frombuffer(os.urandom(4 * len(again)), "<u4")
        again = again[words[again] >= _FAIR]
    return words % np.uint32(SALT_MAX) + np.uint32(1)
