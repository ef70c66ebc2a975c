"""RTC tokens of format 007 under AgoraIO's names (docs/formats.md, "Builders").

Every ``..._expire`` is in seconds from now; the privileges' default of 0 lasts as the token.
"""
# ruff: noqa: F403, F405

from typing import Any

from ._builders import grant_rtc, grant_rtm
from .AccessToken2 import *

Role_Publisher = 1  # joins and publishes
Role_Subscriber = 2  # joins only


class RtcTokenBuilder:
    @staticmethod
    def build_token_with_uid(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        uid: Any,
        role: int,
        token_expire: int,
        privilege_expire: int = 0,
    ) -> str:
        """The token of a uid; 0 means any user."""
        return RtcTokenBuilder.build_token_with_user_account(
            app_id, app_certificate, channel_name, uid, role, token_expire, privilege_expire
        )

    @staticmethod
    def build_token_with_user_account(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        account: Any,
        role: int,
        token_expire: int,
        privilege_expire: int = 0,
    ) -> str:
        """The token of a user account."""
        token = AccessToken(app_id, app_certificate, expire=token_expire)
        expiries = [privilege_expire] * 4
        grant_rtc(token, channel_name, account, role == Role_Publisher, *expiries)
        return token.build()

    @staticmethod
    def build_token_with_uid_and_privilege(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        uid: Any,
        token_expire: int,
        join_channel_privilege_expire: int,
        pub_audio_privilege_expire: int,
        pub_video_privilege_expire: int,
        pub_data_stream_privilege_expire: int,
    ) -> str:
        """The token of a uid, with an expiry for each privilege."""
        return RtcTokenBuilder.build_token_with_user_account_and_privilege(
            app_id,
            app_certificate,
            channel_name,
            uid,
            token_expire,
            join_channel_privilege_expire,
            pub_audio_privilege_expire,
            pub_video_privilege_expire,
            pub_data_stream_privilege_expire,
        )

    @staticmethod
    def build_token_with_user_account_and_privilege(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        account: Any,
        token_expire: int,
        join_channel_privilege_expire: int,
        pub_audio_privilege_expire: int,
        pub_video_privilege_expire: int,
        pub_data_stream_privilege_expire: int,
    ) -> str:
        """The token of a user account, with an expiry for each privilege."""
        token = AccessToken(app_id, app_certificate, expire=token_expire)
        grant_rtc(
            token,
            channel_name,
            account,
            True,
            join_channel_privilege_expire,
            pub_audio_privilege_expire,
            pub_video_privilege_expire,
            pub_data_stream_privilege_expire,
        )
        return token.build()

    @staticmethod
    def build_token_with_rtm(
        app_id: str,
        app_certificate: str,
        channel_name: str,
        account: str,
        role: int,
        token_expire: int,
        privilege_expire: int = 0,
    ) -> str:
        """The token of a user account for RTC and, until the token ends, RTM."""
        token = AccessToken(app_id, app_certificate, expire=token_expire)
        expiries = [privilege_expire] * 4
        grant_rtc(token, channel_name, account, role == Role_Publisher, *expiries)
        grant_rtm(token, account, token_expire)
        return token.build()

    @staticmethod
    def build_token_with_rtm2(
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
        """The token for RTC and RTM, each with its own user and expiries."""
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
        return token.build()


RtcTokenBuilder2 = RtcTokenBuilder
