"""Tokens for a Django project's lessons: teachers publish, pupils listen."""

import calendar
import datetime

from django.conf import settings

from .src.AccessToken import AccessToken, kJoinChannel
from .src.RtcTokenBuilder import Role_Admin as TEACHER, Role_Subscriber as PUPIL
from .src.RtcTokenBuilder import RtcTokenBuilder


def lesson_token(lesson_id, account, teaches):
    """A token that lasts as long as the lesson."""
    now = calendar.timegm(datetime.datetime.utcnow().utctimetuple())
    expires = now + settings.LESSON_SECONDS
    role = TEACHER if teaches else PUPIL
    return RtcTokenBuilder.buildTokenWithAccount(
        settings.AGORA_APP_ID,
        settings.AGORA_CERTIFICATE,
        f"lesson-{lesson_id}",
        account,
        role,
        expires,
    )


def guest_token(lesson_id):
    """A token for a parent, who only looks in: until tomorrow."""
    channel = f"lesson-{lesson_id}"
    token = AccessToken(settings.AGORA_APP_ID, settings.AGORA_CERTIFICATE, channel, 0)
    token.addPrivilege(kJoinChannel, 0)
    return token.build()
