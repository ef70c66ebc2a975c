"""AccessToken, "006", under AgoraIO's names (docs/formats.md, "AccessToken")."""
# ruff: noqa: F401, F403, F405  (programs also get struct, sha256 and the like by star import)

import base64
import hmac
import secrets
import struct
import time
from collections import OrderedDict
from hashlib import sha256
from typing import Any
from zlib import crc32

from fasttoken._core import Certificate as _Certificate
from fasttoken._core import crc32 as _crc32
from fasttoken._core import encode as _encode
from fasttoken.formats import access_token as _format

from .Packer import *

kJoinChannel = _format.Privilege.JOIN_CHANNEL.value
kPublishAudioStream = _format.Privilege.PUBLISH_AUDIO.value
kPublishVideoStream = _format.Privilege.PUBLISH_VIDEO.value
kPublishDataStream = _format.Privilege.PUBLISH_DATA.value
kPublishAudioCdn = kPublishAudiocdn = 5  # 5 to 12: only SimpleTokenBuilder ever granted them
kPublishVideoCdn = 6
kRequestPublishAudioStream = 7
kRequestPublishVideoStream = 8
kRequestPublishDataStream = 9
kInvitePublishAudioStream = 10
kInvitePublishVideoStream = 11
kInvitePublishDataStream = 12
kAdministrateChannel = _format.Privilege.ADMINISTRATE_CHANNEL.value
kRtmLogin = _format.Privilege.RTM_LOGIN.value

VERSION_LENGTH = 3
APP_ID_LENGTH = _format.APP_ID_CHARACTERS

packUint16 = pack_uint16
packUint32 = pack_uint32
packString = pack_string
packMap = pack_map_string
packMapUint32 = pack_map_uint32


def getVersion() -> str:
    return _format.PREFIX


def packInt32(x: Any) -> bytes:
    return struct.pack("<i", int(x))


class ReadByteBuffer:
    """A position in bytes, from which every method reads on."""

    def __init__(self, bytes: bytes) -> None:  # noqa: A002
        self.buffer = bytes
        self.position = 0

    def _read(self, unpack: Any) -> Any:
        value, rest = unpack(self.buffer[self.position :])
        self.position = len(self.buffer) - len(rest)
        return value

    def unPackUint16(self) -> int:
        return int(self._read(unpack_uint16))

    def unPackUint32(self) -> int:
        return int(self._read(unpack_uint32))

    def unPackString(self) -> bytes:
        return bytes(self._read(unpack_string))

    def unPackMapUint32(self) -> dict[int, int]:
        return dict(self._read(unpack_map_uint32))


def unPackContent(buff: bytes) -> tuple[bytes, int, int, bytes]:
    """Signature, CRC of the channel name, CRC of the uid, message."""
    signature, buff = unpack_string(buff)
    crc_channel_name, buff = unpack_uint32(buff)
    crc_uid, buff = unpack_uint32(buff)
    return signature, crc_channel_name, crc_uid, unpack_string(buff)[0]


def unPackMessages(buff: bytes) -> tuple[int, int, dict[int, int]]:
    """Salt, ts, privileges."""
    salt, buff = unpack_uint32(buff)
    ts, buff = unpack_uint32(buff)
    return salt, ts, unpack_map_uint32(buff)[0]


class AccessToken:
    """A 006 token to build, or to read.

    ``messages`` are its privileges; their values and ``ts`` are Unix timestamps in seconds.
    """

    def __init__(
        self,
        appID: str = "",
        appCertificate: str = "",
        channelName: str = "",
        uid: int | str = "",
    ) -> None:
        self.appID = appID
        self.appCertificate = appCertificate
        self.channelName = channelName
        self.ts = int(time.time()) + 24 * 3600
        self.salt = secrets.SystemRandom().randint(1, 99999999)
        self.messages: dict[int, int] = {}
        self.uidStr = "" if uid == 0 else str(uid)

    def addPrivilege(self, privilege: int, expireTimestamp: int) -> None:
        self.messages[privilege] = expireTimestamp

    def fromString(self, originToken: str) -> bool:
        """Reads salt, ts and messages of a token; False if it is of another version or broken."""
        try:
            if originToken[:VERSION_LENGTH] != getVersion():
                return False
            content = base64.b64decode(originToken[VERSION_LENGTH + APP_ID_LENGTH :])
            self.salt, self.ts, self.messages = unPackMessages(unPackContent(content)[3])
        except Exception:
            return False
        return True

    def build(self) -> str:
        """The token. App ID and certificate are taken as they are, unchecked."""
        self.messages = OrderedDict(sorted(self.messages.items(), key=lambda item: int(item[0])))
        message = packUint32(self.salt) + packUint32(self.ts) + packMapUint32(self.messages)
        app_id = self.appID.encode()
        channel_name, uid = self.channelName.encode(), self.uidStr.encode()
        certificate = _Certificate(self.appCertificate.encode())
        signature = certificate.sign_access_token(app_id + channel_name + uid + message)
        crcs = packUint32(_crc32(channel_name)) + packUint32(_crc32(uid))
        content = packString(signature) + crcs + packString(message)
        return getVersion() + self.appID + _encode(content)
