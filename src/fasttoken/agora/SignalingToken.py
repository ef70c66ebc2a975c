"""The Signaling token under AgoraIO's name (docs/formats.md, "Signaling token")."""

import warnings
from typing import Any

from .utils import get_md5 as _get_md5

warnings.warn("The SignalingToken module is deprecated", DeprecationWarning, stacklevel=1)


def generateSignalingToken(
    account: str, appID: str, appCertificate: str, expiredTsInSeconds: Any
) -> str:
    """The token of an account; ``expiredTsInSeconds`` is a Unix timestamp."""
    expired = str(expiredTsInSeconds)
    return f"1:{appID}:{expired}:{_get_md5(account + appID + appCertificate + expired)}"
