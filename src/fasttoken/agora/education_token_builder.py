"""Education tokens under AgoraIO's names: APaaS tokens of another name."""
# ruff: noqa: F403

from .AccessToken2 import *
from .apaas_token_builder import ApaasTokenBuilder as _ApaasTokenBuilder
from .utils import *


class EducationTokenBuilder(_ApaasTokenBuilder):
    pass
