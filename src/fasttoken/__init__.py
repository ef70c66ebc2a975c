"""fasttoken mints, parses and verifies Agora.io tokens.

from fasttoken import Project

project = Project.from_env()
token = project.rtc_token("lobby", 42, "publisher", expire=3600)
tokens = project.rtc_tokens("lobby", range_of_uids, expire=3600)
"""

from . import claims, formats, services
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
from .reasons import Reason
from .services import Role
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
