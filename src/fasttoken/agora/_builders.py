"""What the 007 builders share: adding a service to a token together with its privileges."""

from collections.abc import Mapping
from typing import Any

from .AccessToken2 import AccessToken, Service, ServiceRtc, ServiceRtm

_RTC_PRIVILEGES = (
    ServiceRtc.kPrivilegeJoinChannel,
    ServiceRtc.kPrivilegePublishAudioStream,
    ServiceRtc.kPrivilegePublishVideoStream,
    ServiceRtc.kPrivilegePublishDataStream,
)


def grant(token: AccessToken, service: Service, privileges: Mapping[int, int]) -> None:
    for privilege, expire in privileges.items():
        service.add_privilege(privilege, expire)
    token.add_service(service)


def grant_rtc(
    token: AccessToken, channel_name: str, account: Any, publishes: bool, *expiries: int
) -> None:
    """``expiries`` are those of joining and of publishing audio, video and data."""
    privileges = dict(zip(_RTC_PRIVILEGES, expiries, strict=True))
    if not publishes:
        privileges = {ServiceRtc.kPrivilegeJoinChannel: expiries[0]}
    grant(token, ServiceRtc(channel_name, account), privileges)


def grant_rtm(token: AccessToken, user_id: str, expire: int) -> None:
    grant(token, ServiceRtm(user_id), {ServiceRtm.kPrivilegeLogin: expire})
