"""RTM (Signaling) tokens of format 007 under AgoraIO's names (docs/formats.md, "Builders")."""
# ruff: noqa: F403, F405

from ._builders import grant, grant_rtm
from .AccessToken2 import *


class RtmTokenBuilder:
    @staticmethod
    def build_token(app_id: str, app_certificate: str, user_id: str, expire: int) -> str:
        """The token of a user, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        grant_rtm(token, user_id, expire)
        return token.build()

    @staticmethod
    def build_token_with_permissions(
        app_id: str,
        app_certificate: str,
        user_id: str,
        permissions: ServiceRtm2.Permissions | None,
        expire: int = 0,
    ) -> str:
        """The token of a user who may read and write only what ``permissions`` names."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        service = ServiceRtm2(user_id, permissions)
        grant(token, service, {ServiceRtm2.kPrivilegeLogin: expire})
        return token.build()


RtmTokenBuilder2 = RtmTokenBuilder
