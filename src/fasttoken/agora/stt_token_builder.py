"""Speech-to-text tokens under AgoraIO's names (docs/formats.md, "Builders").

Every ``..._expire`` is in seconds from now.
"""
# ruff: noqa: F403, F405

from typing import Any

from ._builders import grant_rtc, grant_rtm
from .AccessToken2 import *
from .RtcTokenBuilder2 import Role_Publisher


class SttTokenBuilder:
    @staticmethod
    def build_token(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        rtc_account: Any,
        rtc_role: int,
        rtc_token_expire: int,
        join_channel_privilege_expire: int,
        pub_audio_privilege_expire: int,
        pub_video_privilege_expire: int,
        pub_data_stream_privilege_expire: int,
        rtm_user_id: str,
        rtm_token_expire: int,
    ) -> str:
        """The token for RTC, RTM and speech-to-text; it ends after ``rtc_token_expire``."""
        token = AccessToken(app_id, app_certificate, expire=rtc_token_expire)
        grant_rtc(
            token,
            channel_name,
            rtc_account,
            rtc_role == Role_Publisher,
            join_channel_privilege_expire,
            pub_audio_privilege_expire,
            pub_video_privilege_expire,
            pub_data_stream_privilege_expire,
        )
        grant_rtm(token, rtm_user_id, rtm_token_expire)
        token.add_service(ServiceStt())
        return token.build()
