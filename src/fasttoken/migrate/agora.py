"""AgoraIO's 006 builders for Python: what they are called, and what they take.

Two packages hold them, agora_token_builder and agoraiotools, and many projects a hand copy of
AgoraIO's own folder ``src``. In all of them each module is named after its one class.
"""

from __future__ import annotations

PACKAGES = ("agora_token_builder", "agoraiotools")
BUILDERS = ("RtcTokenBuilder", "RtmTokenBuilder", "SimpleTokenBuilder")
CLASSES = (*BUILDERS, "AccessToken")

ROLES = {0: "publisher", 1: "publisher", 101: "publisher", 2: "subscriber"}
ROLE_CONSTANTS = {
    "Role_Attendee": 0,
    "Role_Publisher": 1,
    "Role_Subscriber": 2,
    "Role_Admin": 101,
}
RTM_ROLE = "Role_Rtm_User"
PRIVILEGES = {
    "kJoinChannel": 1,
    "kPublishAudioStream": 2,
    "kPublishVideoStream": 3,
    "kPublishDataStream": 4,
    "kRtmLogin": 1000,
}
CONSTANTS = (*ROLE_CONSTANTS, RTM_ROLE, *PRIVILEGES)

_APP = {"appId": "app_id", "appCertificate": "app_certificate"}
_LAST = {"role": "role", "privilegeExpiredTs": "expire"}
PARAMETERS = {  # the parameters of each builder, in order, by their names in fasttoken
    "buildTokenWithUid": {**_APP, "channelName": "channel_name", "uid": "uid", **_LAST},
    "buildTokenWithAccount": {**_APP, "channelName": "channel_name", "account": "uid", **_LAST},
    "buildToken": {**_APP, "userAccount": "user_id", **_LAST},
    "AccessToken": {
        "appID": "app_id",
        "appCertificate": "app_certificate",
        "channelName": "channel_name",
        "uid": "uid",
    },
}


def agora_name(dotted: str | None) -> str | None:
    """The last component of a dotted name, if it is one in AgoraIO's packages or modules."""
    parts = [part for part in (dotted or "").split(".") if part]
    if len(parts) >= 2 and parts[-2] in (*PACKAGES, *CLASSES):
        return parts[-1]
    return None


def is_agora_import(dotted: str) -> bool:
    """Whether an import of this name may be one of a 006 builder."""
    last = dotted.split(".")[-1]
    if last in CLASSES or last in CONSTANTS:
        return last in BUILDERS or agora_name(dotted) is not None
    return last in PACKAGES
