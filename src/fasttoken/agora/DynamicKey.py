"""Dynamic key 1 under AgoraIO's names (docs/formats.md, "Dynamic keys")."""

import warnings
from typing import Any

from ._dynamic_keys import sign as _sign
from ._dynamic_keys import stamp as _stamp
from ._dynamic_keys import u32 as _u32

warnings.warn("The DynamicKey module is deprecated", DeprecationWarning, stacklevel=1)


def generateSignaure(
    appID: str, appCertificate: str, channelName: Any, unixTs: Any, randomInt: Any
) -> str:
    return _sign("", appID, appCertificate, unixTs, randomInt, channelName)


def generate(appID: str, appCertificate: str, channelName: Any, unixTs: Any, randomInt: int) -> str:
    randomInt = _u32(randomInt)
    signature = generateSignaure(appID, appCertificate, channelName, unixTs, randomInt)
    return signature + appID + _stamp(unixTs, randomInt)
