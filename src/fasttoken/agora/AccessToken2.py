"""AccessToken2, "007", under AgoraIO's names (docs/formats.md, "AccessToken2").

Existing programs reach into the objects here: ``token._AccessToken__salt = 1``,
``service._ServiceRtc__channel_name``. So attributes keep AgoraIO's private names.
"""
# ruff: noqa: F401, F403, F405  (programs also get zlib, sha256 and the like by star import)

import base64
import hmac
import secrets
import struct
import time
import zlib
from collections import OrderedDict
from hashlib import sha256
from typing import Any, ClassVar

from fasttoken import services as _services
from fasttoken._core import Certificate as _Certificate
from fasttoken._core import inflate as _inflate
from fasttoken.formats import access_token2 as _format
from fasttoken.services import Kind as _Kind

from .Packer import *

VERSION_LENGTH = 3
_NUMBERS = struct.Struct("<IIIH")  # issue timestamp, expire, salt, how many services


def get_version() -> str:
    return _format.PREFIX


def _pack_permissions(permissions: Any) -> bytes:
    return _format.pack_permissions(permissions.details)


def _unpack_permissions(buffer: Any) -> tuple[Any, Any]:
    permissions = ServiceRtm2.Permissions()
    resources, buffer = unpack_uint16(buffer)
    for _ in range(resources):
        resource_type, buffer = unpack_uint16(buffer)
        granted, buffer = unpack_uint16(buffer)
        for _ in range(granted):
            permission_type, buffer = unpack_uint16(buffer)
            count, buffer = unpack_uint16(buffer)
            names = []
            for _ in range(count):
                name, buffer = unpack_string(buffer)
                names.append(name.decode())
            permissions.add(resource_type, permission_type, names)
    return permissions, buffer


_CODECS: dict[_Kind, tuple[Any, Any]] = {
    _Kind.TEXT: (pack_string, unpack_string),
    _Kind.UID: (pack_string, unpack_string),
    _Kind.I16: (pack_int16, unpack_int16),
    _Kind.PERMISSIONS: (_pack_permissions, _unpack_permissions),
}


class Service:
    """One service of a token: its type, its privileges, and the fields of its row in the table."""

    kServiceType: ClassVar[int]
    _fields: ClassVar[tuple[tuple[str, Any, Any], ...]] = ()  # attribute, packing, unpacking

    def __init_subclass__(cls, row: type[_services.Service] | None = None) -> None:
        if row is not None:
            cls.kServiceType = row.TYPE
            cls._fields = tuple(
                (f"_{cls.__name__}__{field.name}", *_CODECS[field.kind]) for field in row.FIELDS
            )

    def __init__(self, service_type: int) -> None:
        self.__type = service_type
        self.__privileges: dict[Any, Any] = {}

    def add_privilege(self, privilege: int, expire: int) -> None:
        """Grants a privilege until ``expire`` seconds after the issue; 0 lasts as the token."""
        self.__privileges[privilege] = expire

    def service_type(self) -> int:
        return self.__type

    def pack(self) -> bytes:
        privileges = dict(sorted(self.__privileges.items(), key=lambda item: int(item[0])))
        packed = pack_uint16(self.__type) + pack_map_uint32(privileges)
        for name, pack, _ in self._fields:
            packed += pack(getattr(self, name))
        return packed

    def unpack(self, buffer: Any) -> Any:
        """Reads what stands behind the type; returns the rest of the buffer."""
        self.__privileges, buffer = unpack_map_uint32(buffer)
        for name, _, unpack in self._fields:
            value, buffer = unpack(buffer)
            setattr(self, name, value)
        return buffer


class ServiceRtc(Service, row=_services.Rtc):
    kPrivilegeJoinChannel = _services.Rtc.Privilege.JOIN_CHANNEL.value
    kPrivilegePublishAudioStream = _services.Rtc.Privilege.PUBLISH_AUDIO.value
    kPrivilegePublishVideoStream = _services.Rtc.Privilege.PUBLISH_VIDEO.value
    kPrivilegePublishDataStream = _services.Rtc.Privilege.PUBLISH_DATA.value

    def __init__(self, channel_name: str = "", uid: int | str = 0) -> None:
        super().__init__(ServiceRtc.kServiceType)
        self.__channel_name = channel_name.encode()
        self.__uid = _format.uid_text(uid)


class ServiceRtm(Service, row=_services.Rtm):
    kPrivilegeLogin = _services.Rtm.Privilege.LOGIN.value

    def __init__(self, user_id: str = "") -> None:
        super().__init__(ServiceRtm.kServiceType)
        self.__user_id = user_id.encode()


class ServiceStreaming(Service, row=_services.Streaming):
    kPrivilegePublishMixStream = _services.Streaming.Privilege.PUBLISH_MIX_STREAM.value
    kPrivilegePublishRawStream = _services.Streaming.Privilege.PUBLISH_RAW_STREAM.value

    def __init__(self, channel_name: str = "", account: int | str = "") -> None:
        super().__init__(ServiceStreaming.kServiceType)
        self.__channel_name = channel_name.encode()
        self.__account = _format.uid_text(account)


class ServiceFpa(Service, row=_services.Fpa):
    kPrivilegeLogin = _services.Fpa.Privilege.LOGIN.value

    def __init__(self) -> None:
        super().__init__(ServiceFpa.kServiceType)


class ServiceChat(Service, row=_services.Chat):
    kPrivilegeUser = _services.Chat.Privilege.USER.value
    kPrivilegeApp = _services.Chat.Privilege.APP.value

    def __init__(self, user_id: str = "") -> None:
        super().__init__(ServiceChat.kServiceType)
        self.__user_id = user_id.encode()


class ServiceFCdn(Service, row=_services.FCdn):
    kPrivilegePublish = _services.FCdn.Privilege.PUBLISH.value
    kPrivilegePlay = _services.FCdn.Privilege.PLAY.value

    def __init__(self, channel_name: str = "", account: int | str = "") -> None:
        super().__init__(ServiceFCdn.kServiceType)
        self.__channel_name = channel_name.encode()
        self.__account = _format.uid_text(account)


class ServiceApaas(Service, row=_services.Apaas):
    kPrivilegeRoomUser = _services.Apaas.Privilege.ROOM_USER.value
    kPrivilegeUser = _services.Apaas.Privilege.USER.value
    kPrivilegeApp = _services.Apaas.Privilege.APP.value

    def __init__(self, room_uuid: str = "", user_uuid: str = "", role: int = -1) -> None:
        super().__init__(ServiceApaas.kServiceType)
        self.__room_uuid = room_uuid.encode()
        self.__user_uuid = user_uuid.encode()
        self.__role = role


ServiceEducation = ServiceApaas  # its name in older releases


class ServiceRtm2(Service, row=_services.Rtm2):
    kPrivilegeLogin = _services.Rtm2.Privilege.LOGIN.value

    class Permissions:
        """What a user may read and write: ``details[resource_type][permission_type]`` -> names."""

        kMessageChannels = _services.Rtm2.Resource.MESSAGE_CHANNELS.value
        kStreamChannels = _services.Rtm2.Resource.STREAM_CHANNELS.value
        kGroupChannels = _services.Rtm2.Resource.GROUP_CHANNELS.value
        kServerGroups = _services.Rtm2.Resource.SERVER_GROUPS.value
        kUsers = _services.Rtm2.Resource.USERS.value

        kRead = _services.Rtm2.Permission.READ.value
        kWrite = _services.Rtm2.Permission.WRITE.value

        def __init__(self) -> None:
            self.details: dict[int, dict[int, list[str]]] = {}

        def add(self, resource_type: int, permission_type: int, resources: Any) -> None:
            """Sets the names for one resource type and permission."""
            self.details.setdefault(resource_type, {})[permission_type] = list(resources)

    def __init__(self, user_id: str = "", permissions: Permissions | None = None) -> None:
        super().__init__(ServiceRtm2.kServiceType)
        self.__user_id = user_id.encode()
        self.__permissions = ServiceRtm2.Permissions() if permissions is None else permissions

    def get_user_id(self) -> str:
        return self.__user_id.decode()

    def get_permissions(self) -> Permissions:
        return self.__permissions


class ServiceConvoAI(Service, row=_services.ConvoAI):
    def __init__(self) -> None:
        super().__init__(ServiceConvoAI.kServiceType)


class ServiceStt(Service, row=_services.Stt):
    def __init__(self) -> None:
        super().__init__(ServiceStt.kServiceType)


def _is_hex32(data: Any) -> bool:
    """AgoraIO's check of an App ID or certificate; whitespace between the digits passes it."""
    if len(data) != 32 or not isinstance(data, str):
        return False
    try:
        bytes.fromhex(data)
    except ValueError:
        return False
    return True


class AccessToken:
    """A 007 token to build, or to read and verify.

    ``issue_ts`` is in Unix seconds (0: now), ``expire`` in seconds from then.
    """

    kServices: ClassVar[dict[int, type[Any]]] = {
        service.kServiceType: service for service in Service.__subclasses__()
    }

    def __init__(
        self, app_id: str = "", app_certificate: str = "", issue_ts: int = 0, expire: int = 900
    ) -> None:
        self.__app_id: Any = app_id
        self.__app_cert: Any = app_certificate
        self.__issue_ts = issue_ts if issue_ts != 0 else int(time.time())
        self.__expire = expire
        self.__salt = secrets.SystemRandom().randint(1, 99999999)
        self.services: list[Any] = []
        self.__signature = b""
        self.__signing_info = b""
        self.__parsed = False

    @property
    def __service(self) -> dict[int, Any]:
        """Type -> service: what older releases kept, for programs that still read it."""
        return {service.service_type(): service for service in self.services}

    def __sign(self, app_certificate: bytes, signing_info: bytes) -> bytes:
        certificate = _Certificate(app_certificate)
        return certificate.sign_access_token2(int(self.__issue_ts), int(self.__salt), signing_info)

    def add_service(self, service: Any) -> None:
        """Adds a service; one of the same type stays."""
        self.services.append(service)

    def get_services(self, service_type: int) -> list[Any]:
        """The services of a type, in the order they were added or read."""
        return [service for service in self.services if service.service_type() == service_type]

    def build(self) -> str:
        """The token; ``""`` without services or when App ID or certificate isn't 32 hex digits.

        As with AgoraIO's, an object builds once: a second call returns ``""``.
        """
        if not (_is_hex32(self.__app_id) and _is_hex32(self.__app_cert) and self.services):
            return ""
        self.__app_id = self.__app_id.encode()
        self.__app_cert = self.__app_cert.encode()
        services = sorted(self.services, key=lambda service: service.service_type())
        numbers = map(int, (self.__issue_ts, self.__expire, self.__salt, len(services)))
        signing_info = pack_string(self.__app_id) + _NUMBERS.pack(*numbers)
        signing_info += b"".join([service.pack() for service in services])
        return _format.seal(self.__sign(self.__app_cert, signing_info), signing_info)

    def from_string(self, origin_token: str) -> bool:
        """Reads a token: False if it is of another version, `ValueError` if it is broken.

        Services are read up to the first of an unknown type; the signature covers all of them.
        """
        self.__app_id = ""
        self.__issue_ts = self.__expire = self.__salt = 0
        self.services = []
        self.__signature = self.__signing_info = b""
        self.__parsed = False
        try:
            if origin_token[:VERSION_LENGTH] != get_version():
                return False
            content = base64.b64decode(origin_token[VERSION_LENGTH:])
            buffer = memoryview(_inflate(content, _format.INFLATE_LIMIT))
            self.__signature, buffer = unpack_string(buffer)
            self.__signing_info = bytes(buffer)
            self.__app_id, buffer = unpack_string(buffer)
            numbers = _NUMBERS.unpack(buffer[: _NUMBERS.size])
            self.__issue_ts, self.__expire, self.__salt, count = numbers
            buffer = buffer[_NUMBERS.size :]
            for _ in range(count):
                service_type, buffer = unpack_uint16(buffer)
                service_class = AccessToken.kServices.get(service_type)
                if service_class is None:
                    break
                service = service_class()
                buffer = service.unpack(buffer)
                self.services.append(service)
        except Exception as error:
            raise ValueError("Error: parse origin token failed") from error
        self.__parsed = True
        return True

    def verify_signature(self, app_certificate: str) -> bool:
        """Whether this certificate signed the token that was read."""
        if not (self.__parsed and self.__signature and self.__signing_info):
            return False
        if not _is_hex32(app_certificate):
            return False
        expected = self.__sign(app_certificate.encode(), self.__signing_info)
        return hmac.compare_digest(self.__signature, expected)


AccessToken2 = AccessToken
