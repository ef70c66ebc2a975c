"""RTC tokens of format 006 under AgoraIO's names (docs/formats.md, "AccessToken").

Every ``...ExpiredTs`` is a Unix timestamp in seconds; 0 lasts as the token, which is 24 hours.
"""
# ruff: noqa: F401, F403, F405  (programs also get os and sys by star import)

import os
import sys

from .AccessToken import *

Role_Attendee = 0  # as publisher
Role_Publisher = 1  # joins and publishes
Role_Subscriber = 2  # joins only, as any other number
Role_Admin = 101  # as publisher


class RtcTokenBuilder:
    @staticmethod
    def buildTokenWithUid(
        appId: str,
        appCertificate: str,
        channelName: str,
        uid: int | str,
        role: int,
        privilegeExpiredTs: int,
    ) -> str:
        """The token of a uid; 0 means any user."""
        return RtcTokenBuilder.buildTokenWithAccount(
            appId, appCertificate, channelName, uid, role, privilegeExpiredTs
        )

    @staticmethod
    def buildTokenWithAccount(
        appId: str,
        appCertificate: str,
        channelName: str,
        account: int | str,
        role: int,
        privilegeExpiredTs: int,
    ) -> str:
        """The token of a user account."""
        token = AccessToken(appId, appCertificate, channelName, account)
        token.addPrivilege(kJoinChannel, privilegeExpiredTs)
        if role in (Role_Attendee, Role_Publisher, Role_Admin):
            token.addPrivilege(kPublishAudioStream, privilegeExpiredTs)
            token.addPrivilege(kPublishVideoStream, privilegeExpiredTs)
            token.addPrivilege(kPublishDataStream, privilegeExpiredTs)
        return token.build()

    @staticmethod
    def buildTokenWithUidAndPrivilege(
        appId: str,
        appCertificate: str,
        channelName: str,
        uid: int | str,
        joinChannelPrivilegeExpiredTs: int,
        pubAudioPrivilegeExpiredTs: int,
        pubVideoPrivilegeExpiredTs: int,
        pubDataStreamPrivilegeExpiredTs: int,
    ) -> str:
        """The token of a uid, with an expiry for each privilege."""
        return RtcTokenBuilder.buildTokenWithUserAccountAndPrivilege(
            appId,
            appCertificate,
            channelName,
            uid,
            joinChannelPrivilegeExpiredTs,
            pubAudioPrivilegeExpiredTs,
            pubVideoPrivilegeExpiredTs,
            pubDataStreamPrivilegeExpiredTs,
        )

    @staticmethod
    def buildTokenWithUserAccountAndPrivilege(
        appId: str,
        appCertificate: str,
        channelName: str,
        account: int | str,
        joinChannelPrivilegeExpiredTs: int,
        pubAudioPrivilegeExpiredTs: int,
        pubVideoPrivilegeExpiredTs: int,
        pubDataStreamPrivilegeExpiredTs: int,
    ) -> str:
        """The token of a user account, with an expiry for each privilege."""
        token = AccessToken(appId, appCertificate, channelName, account)
        token.addPrivilege(kJoinChannel, joinChannelPrivilegeExpiredTs)
        token.addPrivilege(kPublishAudioStream, pubAudioPrivilegeExpiredTs)
        token.addPrivilege(kPublishVideoStream, pubVideoPrivilegeExpiredTs)
        token.addPrivilege(kPublishDataStream, pubDataStreamPrivilegeExpiredTs)
        return token.build()
