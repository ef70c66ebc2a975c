"""APaaS tokens under AgoraIO's names (docs/formats.md, "Builders")."""
# ruff: noqa: F403, F405

from ._builders import grant, grant_rtm
from .AccessToken2 import *
from .utils import *


class ApaasTokenBuilder:
    @staticmethod
    def build_room_user_token(
        app_id: str, app_certificate: str, room_uuid: str, user_uuid: str, role: int, expire: int
    ) -> str:
        """The token of a user in a room, also for RTM and Chat, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        chat_user_id = get_md5(user_uuid)
        room_user = ServiceApaas(room_uuid, user_uuid, role)
        grant(token, room_user, {ServiceApaas.kPrivilegeRoomUser: expire})
        grant_rtm(token, user_uuid, expire)
        grant(token, ServiceChat(chat_user_id), {ServiceChat.kPrivilegeUser: expire})
        return token.build()

    @staticmethod
    def build_user_token(app_id: str, app_certificate: str, user_uuid: str, expire: int) -> str:
        """The token of a user, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        user = ServiceApaas(user_uuid=user_uuid)
        grant(token, user, {ServiceApaas.kPrivilegeUser: expire})
        return token.build()

    @staticmethod
    def build_app_token(app_id: str, app_certificate: str, expire: int) -> str:
        """The token of the app itself, for ``expire`` seconds from now."""
        token = AccessToken(app_id, app_certificate, expire=expire)
        grant(token, ServiceApaas(), {ServiceApaas.kPrivilegeApp: expire})
        return token.build()
