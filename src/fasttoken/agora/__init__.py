"""AgoraIO's Python 3 modules on fasttoken's core: change one import line, keep the program.

AgoraIO's repository keeps them in a folder ``src``; PyPI's ``agoraiotools`` and
``agora_token_builder`` package them. Module, class, function, parameter and attribute names are
AgoraIO's, and so is the behaviour: inputs are taken unchecked, a builder answers ``""`` for an
invalid App ID or certificate, and programs may reach into private attributes. New programs want
`fasttoken.Project` instead, which checks.

What differs, on purpose: nothing is printed when a token can't be read; ``from_string`` refuses a
token that inflates beyond 64 KiB or has bytes behind its zlib stream; `SimpleTokenBuilder` doesn't
share its tables between users.
"""
# ruff: noqa: F403, F405

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

from fasttoken import __version__

from . import AccessToken as _access_token_module
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

__all__ = [
    "AccessToken",
    "AccessToken2",
    "ApaasTokenBuilder",
    "ChatTokenBuilder",
    "ChatTokenBuilder2",
    "ConvoAITokenBuilder",
    "EducationTokenBuilder",
    "FpaTokenBuilder",
    "RtcTokenBuilder",
    "RtcTokenBuilder2",
    "RtmTokenBuilder",
    "RtmTokenBuilder2",
    "SimpleTokenBuilder",
    "SttTokenBuilder",
    "__version__",
]


class _AccessTokenModule(_ModuleType):
    """``fasttoken.agora.AccessToken`` is two things, since AgoraIO's own name is.

    In ``src`` it is the module of 006; in agoraiotools, where a star import overwrites it, the
    class of 007. So it is that module, and called, subclassed or asked for instances that class.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(AccessToken2, name)

    def __call__(self, *args: Any, **kwargs: Any) -> AccessToken2:
        return AccessToken2(*args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, AccessToken2)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type[AccessToken2]]:
        return (AccessToken2,)


if not TYPE_CHECKING:
    _access_token_module.__class__ = _AccessTokenModule
    AccessToken = _access_token_module

# These warn on import, so they are imported when asked for.
_DEPRECATED = {
    "DynamicKey": (),
    "DynamicKey2": (),
    "DynamicKey3": ("generate", "generateSignaure"),
    "DynamicKey4": (),
    "DynamicKey5": (
        "ALLOW_UPLOAD_IN_CHANNEL",
        "AudioVideoUpload",
        "IN_CHANNEL_PERMISSION",
        "MEDIA_CHANNEL_SERVICE",
        "NoUpload",
        "PUBLIC_SHARING_SERVICE",
        "RECORDING_SERVICE",
        "generateDynamicKey",
        "generateInChannelPermissionKey",
        "generateMediaChannelKey",
        "generatePublicSharingKey",
        "generateRecordingKey",
        "generateSignature",
    ),
    "SignalingToken": ("generateSignalingToken",),
}


def __getattr__(name: str) -> Any:
    for module, names in _DEPRECATED.items():
        if name == module:
            return _import_module(f".{module}", __name__)
        if name in names:
            return getattr(_import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
