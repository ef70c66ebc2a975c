"""Dynamic key 5 under AgoraIO's names (docs/formats.md, "Dynamic keys")."""
# ruff: noqa: F403, F405

import hmac
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from fasttoken._core import encode as _encode
from fasttoken.formats.dynamic_key import UPLOAD_PERMISSION
from fasttoken.formats.dynamic_key import KeyService as _KeyService

from ._dynamic_keys import u32 as _u32
from .Packer import *

warnings.warn("The DynamicKey5 module is deprecated", DeprecationWarning, stacklevel=1)

MEDIA_CHANNEL_SERVICE = _KeyService.MEDIA_CHANNEL.value
RECORDING_SERVICE = _KeyService.RECORDING.value
PUBLIC_SHARING_SERVICE = _KeyService.PUBLIC_SHARING.value
IN_CHANNEL_PERMISSION = _KeyService.IN_CHANNEL_PERMISSION.value

ALLOW_UPLOAD_IN_CHANNEL = UPLOAD_PERMISSION

NoUpload = b"0"
AudioVideoUpload = b"3"


def _generator(service: int) -> Callable[..., str]:
    def generate(
        appID: str,
        appCertificate: str,
        channelName: str,
        unixTs: Any,
        randomInt: int,
        uid: int,
        expiredTs: Any,
    ) -> str:
        return generateDynamicKey(
            service, appID, appCertificate, channelName, unixTs, randomInt, uid, expiredTs, {}
        )

    return generate


generatePublicSharingKey = _generator(PUBLIC_SHARING_SERVICE)
generateRecordingKey = _generator(RECORDING_SERVICE)
generateMediaChannelKey = _generator(MEDIA_CHANNEL_SERVICE)


def generateInChannelPermissionKey(
    appID: str,
    appCertificate: str,
    channelName: str,
    unixTs: Any,
    randomInt: int,
    uid: int,
    expiredTs: Any,
    permission: bytes | str,
) -> str:
    return generateDynamicKey(
        IN_CHANNEL_PERMISSION,
        appID,
        appCertificate,
        channelName,
        unixTs,
        randomInt,
        uid,
        expiredTs,
        {ALLOW_UPLOAD_IN_CHANNEL: permission},
    )


def generateDynamicKey(
    servicetype: int,
    appID: str,
    appCertificate: str,
    channelName: str,
    unixTs: Any,
    randomInt: int,
    uid: int,
    expiredTs: Any,
    extra: Mapping[int, bytes | str],
) -> str:
    uid, randomInt = _u32(uid), _u32(randomInt)
    signature = generateSignature(
        servicetype,
        appID,
        appCertificate,
        channelName,
        unixTs,
        randomInt,
        uid,
        expiredTs,
        extra,
    )
    return "005" + _encode(
        pack_uint16(servicetype)
        + pack_string(signature)
        + pack_string(bytes.fromhex(appID))
        + pack_uint32(unixTs)
        + pack_uint32(randomInt)
        + pack_uint32(expiredTs)
        + pack_map_string(extra)
    )


def generateSignature(
    servicetype: int,
    appID: str,
    appCertificate: str,
    channelName: str,
    unixTs: Any,
    randomInt: int,
    uid: int,
    expiredTs: Any,
    extra: Mapping[int, bytes | str],
) -> str:
    content = (
        pack_uint16(servicetype)
        + pack_string(bytes.fromhex(appID))
        + pack_uint32(unixTs)
        + pack_uint32(randomInt)
        + pack_string(channelName)
        + pack_uint32(uid)
        + pack_uint32(expiredTs)
        + pack_map_string(extra)
    )
    return hmac.new(bytes.fromhex(appCertificate), content, "sha1").hexdigest().upper()
