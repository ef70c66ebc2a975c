"""FPA tokens under AgoraIO's names (docs/formats.md, "Builders")."""
# ruff: noqa: F403, F405

from ._builders import grant
from .AccessToken2 import *


class FpaTokenBuilder:
    @staticmethod
    def build_token(app_id: str, app_certificate: str) -> str:
        """The token of an app, for 24 hours from now."""
        token = AccessToken(app_id, app_certificate, expire=24 * 3600)
        grant(token, ServiceFpa(), {ServiceFpa.kPrivilegeLogin: 0})
        return token.build()
