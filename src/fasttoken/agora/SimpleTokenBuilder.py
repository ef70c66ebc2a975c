"""006 tokens privilege by privilege, under the names of AgoraIO's SimpleTokenBuilder.

It starts from the privileges of a role or of another token; then single ones are set and removed.
Its role numbers are its own.
"""
# ruff: noqa: F403, F405

from .AccessToken import *

Role_Attendee = 1
Role_Publisher = 2
Role_Subscriber = 3
Role_Admin = 4

AttendeePrivileges = dict.fromkeys(
    (kJoinChannel, kPublishAudioStream, kPublishVideoStream, kPublishDataStream), 0
)
PublisherPrivileges = AttendeePrivileges | dict.fromkeys(
    (
        kPublishAudiocdn,
        kPublishVideoCdn,
        kInvitePublishAudioStream,
        kInvitePublishVideoStream,
        kInvitePublishDataStream,
    ),
    0,
)
SubscriberPrivileges = dict.fromkeys(
    (
        kJoinChannel,
        kRequestPublishAudioStream,
        kRequestPublishVideoStream,
        kRequestPublishDataStream,
    ),
    0,
)
AdminPrivileges = AttendeePrivileges | {kAdministrateChannel: 0}

RolePrivileges = {
    Role_Attendee: AttendeePrivileges,
    Role_Publisher: PublisherPrivileges,
    Role_Subscriber: SubscriberPrivileges,
    Role_Admin: AdminPrivileges,
}


class SimpleTokenBuilder:
    def __init__(self, appID: str, appCertificate: str, channelName: str, uid: int | str) -> None:
        self.token = AccessToken(appID, appCertificate, channelName, uid)

    def initPrivileges(self, role: int) -> None:
        """Takes the privileges of a role, each lasting as the token."""
        # AgoraIO's hands out the table itself, so that one user's expiries leak to the next.
        self.token.messages = RolePrivileges[role].copy()

    def initTokenBuilder(self, originToken: str) -> bool:
        """Takes salt, ts and privileges of a token; False if it is of another version or broken."""
        return self.token.fromString(originToken)

    def setPrivilege(self, privilege: int, expireTimestamp: int) -> None:
        self.token.messages[privilege] = expireTimestamp

    def removePrivilege(self, privilege: int) -> None:
        """Takes a privilege away; `KeyError` if it isn't there."""
        self.token.messages.pop(privilege)

    def buildToken(self) -> str:
        return self.token.build()
