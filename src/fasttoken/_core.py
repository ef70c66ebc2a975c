"""The core in use: native where it was built, else the pure Python that specifies it.

``FASTTOKEN_IMPL`` says which: ``auto`` (the default), ``native`` or ``pure``.
``FASTTOKEN_CPU`` forces one path of its kernels: ``auto``, or a name in `backend`'s ``cpus``
(``python`` for the pure core). Anything else is a `CoreError`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from .errors import CoreError

CHOICES = ("auto", "native", "pure")


class Backend(NamedTuple):
    """The core in use.

    ``implementation``: ``"native"`` or ``"pure"``; ``cpu``: the path of the kernels (``"python"``
    for the pure core); ``cpus``: the paths that this machine can run and that proved themselves
    on known answers at import; ``failed``: those that gave wrong answers and are never used;
    ``reason``: why the core is the pure one, ``""`` for the native.
    """

    implementation: str
    cpu: str
    cpus: tuple[str, ...]
    failed: tuple[str, ...]
    reason: str


def _choose() -> tuple[str, str]:
    """The name of the core to use, and why it is the pure one."""
    choice = os.environ.get("FASTTOKEN_IMPL", "auto")
    if choice not in CHOICES:
        raise CoreError(f"FASTTOKEN_IMPL must be one of {', '.join(CHOICES)}")
    if choice == "pure":
        return "pure", "FASTTOKEN_IMPL=pure"
    try:
        from . import _native  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}._native.core":
            raise
        if choice == "native":
            raise CoreError("FASTTOKEN_IMPL=native, but the native core was not built") from error
        return "pure", "the native core was not built"
    return "native", ""


_implementation, _reason = _choose()

if _implementation == "pure" and os.environ.get("FASTTOKEN_CPU", "auto") not in ("auto", "python"):
    raise CoreError("FASTTOKEN_CPU must be auto or python for the pure core")

if TYPE_CHECKING or _implementation == "pure":
    from ._pure import *  # noqa: F403
    from ._pure import cpu_paths
else:
    from ._native import *  # noqa: F403
    from ._native import cpu_paths


def backend() -> Backend:
    """Which core runs, on which CPU path, and why."""
    return Backend(_implementation, *cpu_paths(), _reason)
