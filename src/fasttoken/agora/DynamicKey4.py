"""Dynamic key 4 under AgoraIO's names (docs/formats.md, "Dynamic keys")."""

import warnings
from collections.abc import Callable
from typing import Any

from ._dynamic_keys import decimal as _decimal
from ._dynamic_keys import sign as _sign
from ._dynamic_keys import stamp as _stamp
from ._dynamic_keys import u32 as _u32

warnings.warn("The DynamicKey4 module is deprecated", DeprecationWarning, stacklevel=1)


def _generator(service: str) -> Callable[..., str]:
    def generate(
        appID: str,
        appCertificate: str,
        channelName: Any,
        unixTs: Any,
        randomInt: int,
        uid: int,
        expiredTs: Any,
    ) -> str:
        return generateDynamicKey(
            appID, appCertificate, channelName, unixTs, randomInt, uid, expiredTs, service
        )

    return generate


generatePublicSharingKey = _generator("APSS")
generateRecordingKey = _generator("ARS")
generateMediaChannelKey = _generator("ACS")


def generateDynamicKey(
    appID: str,
    appCertificate: str,
    channelName: Any,
    unixTs: Any,
    randomInt: int,
    uid: int,
    expiredTs: Any,
    servicetype: str,
) -> str:
    uid, randomInt = _u32(uid), _u32(randomInt)
    signature = generateSignature(
        appID, appCertificate, channelName, unixTs, randomInt, uid, expiredTs, servicetype
    )
    return "004" + signature + appID + _stamp(unixTs, randomInt) + _decimal(expiredTs)


def generateSignature(
    appID: str,
    appCertificate: str,
    channelName: Any,
    unixTs: Any,
    randomInt: int,
    uid: int,
    expiredTs: Any,
    servicetype: str,
) -> str:
    return _sign(servicetype, appID, appCertificate, unixTs, randomInt, channelName, uid, expiredTs)
