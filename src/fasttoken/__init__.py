"""fasttoken mints, parses and verifies Agora.io tokens.

from fasttoken import Project

project = Project.from_env()
token = project.rtc_token("lobby", 42, "publisher", expire=3600)
tokens = project.rtc_tokens("lobby", range(1, 1001), expire=3600)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import formats, services
from ._core import Backend, backend
from ._version import __version__
from .arrow import Tokens
from .errors import (
    BadRow,
    CoreError,
    FastTokenError,
    FieldError,
    MalformedToken,
    RejectedToken,
    RowsError,
    TokenWarning,
)
from .formats import Parsed, parse
from .project import Project
from .services import Role

if TYPE_CHECKING:
    from . import claims
    from .reasons import Reason
    from .verdicts import Verdicts
    from .verify import Verdict

__all__ = [
    "Backend",
    "BadRow",
    "CoreError",
    "FastTokenError",
    "FieldError",
    "MalformedToken",
    "Parsed",
    "Project",
    "Reason",
    "RejectedToken",
    "Role",
    "RowsError",
    "TokenWarning",
    "Tokens",
    "Verdict",
    "Verdicts",
    "__version__",
    "backend",
    "claims",
    "formats",
    "parse",
    "services",
]

# Imported when they are asked for: a program that only mints starts without them.
_LATER = {"Reason": "reasons", "Verdict": "verify", "Verdicts": "verdicts"}


def __getattr__(name: str) -> Any:
    if name == "claims":
        return import_module(".claims", __name__)
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
