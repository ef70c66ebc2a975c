"""The native core has the names and the types of the pure one."""

from .._pure import *
from .._pure import __all__ as __all__
