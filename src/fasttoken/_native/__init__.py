"""The core in C, through Cython: the names of ``fasttoken._pure``, with the same behaviour."""

from .._pure import __all__ as __all__
from .core import *  # noqa: F403
