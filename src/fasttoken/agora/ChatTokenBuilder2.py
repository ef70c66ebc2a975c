"""Chat tokens under AgoraIO's names (docs/formats.md, "Builders")."""
# ruff: noqa: F403, F405

from ._builders import grant
from .AccessToken2 import *


class ChatTokenBuilder:
    @staticmethod
    def build_user_token(app_id: str, app_certificate: str, user_id: str, expire: int) -> str:
        """The token of one user, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        grant(token, ServiceChat(user_id), {ServiceChat.kPrivilegeUser: expire})
        return token.build()

    @staticmethod
    def build_app_token(app_id: str, app_certificate: str, expire: int) -> str:
        """The token of the app itself, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        grant(token, ServiceChat(), {ServiceChat.kPrivilegeApp: expire})
        return token.build()


ChatTokenBuilder2 = ChatTokenBuilder
