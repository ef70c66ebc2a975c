"""RTM tokens of format 006 under AgoraIO's names (docs/formats.md, "AccessToken")."""
# ruff: noqa: F401, F403, F405  (programs also get os and sys by star import)

import os
import sys

from .AccessToken import *

Role_Rtm_User = 1


class RtmTokenBuilder:
    @staticmethod
    def buildToken(
        appId: str, appCertificate: str, userAccount: str, role: int, privilegeExpiredTs: int
    ) -> str:
        """The token of a user account; ``role`` changes nothing."""
        token = AccessToken(appId, appCertificate, userAccount, "")
        token.addPrivilege(kRtmLogin, privilegeExpiredTs)
        return token.build()
