"""AgoraIO's Python 3 modules on fasttoken's core: change one import line, keep the program.

AgoraIO's repository keeps them in a folder ``src``; PyPI's ``agoraiotools`` and
``agora_token_builder`` package them. Module, class, function, parameter and attribute names are
AgoraIO's, and so is the behaviour: inputs are taken unchecked, a builder answers ``""`` for an
invalid App ID or certificate, and programs may reach into private attributes. New programs want
`fasttoken.Project` instead, which checks.

What differs, on purpose: nothing is printed when a token can't be read; ``from_string`` refuses a
token that inflates beyond 64 KiB; `SimpleTokenBuilder` doesn't share its tables between users.
"""
# ruff: noqa: F401, F403

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

from fasttoken import __version__

from . import AccessToken as _module_006
from . import AccessToken2 as _module_007
from .AccessToken2 import *
from .apaas_token_builder import ApaasTokenBuilder
from .ChatTokenBuilder2 import ChatTokenBuilder, ChatTokenBuilder2
from .convoai_token_builder import ConvoAITokenBuilder
from .education_token_builder import EducationTokenBuilder
from .fpa_token_builder import FpaTokenBuilder
from .RtcTokenBuilder import RtcTokenBuilder
from .RtcTokenBuilder2 import RtcTokenBuilder2
from .RtmTokenBuilder import RtmTokenBuilder
from .RtmTokenBuilder2 import RtmTokenBuilder2
from .SimpleTokenBuilder import SimpleTokenBuilder
from .stt_token_builder import SttTokenBuilder
from .utils import *
