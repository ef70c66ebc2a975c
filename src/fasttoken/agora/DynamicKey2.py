"""Dynamic key 2 under AgoraIO's names (docs/formats.md, "Dynamic keys")."""

import warnings
from typing import Any

from ._dynamic_keys import decimal as _decimal
from ._dynamic_keys import sign as _sign
from ._dynamic_keys import stamp as _stamp
from ._dynamic_keys import u32 as _u32

warnings.warn("The DynamicKey2 module is deprecated", DeprecationWarning, stacklevel=1)


def generateSignaure(
    appID: str,
    appCertificate: str,
    channelName: Any,
    unixTs: Any,
    randomInt: Any,
    uid: Any,
    expiredTs: Any,
) -> str:
    return _sign("", appID, appCertificate, unixTs, randomInt, channelName, uid, expiredTs)


def generate(
    appID: str,
    appCertificate: str,
    channelName: Any,
    unixTs: Any,
    randomInt: Any,
    uid: int,
    expiredTs: Any,
) -> str:
    uid = _u32(uid)
    signature = generateSignaure(
        appID, appCertificate, channelName, unixTs, randomInt, uid, expiredTs
    )
    key = signature + appID + _stamp(unixTs, randomInt)
    return key + _decimal(uid) + _decimal(expiredTs)
