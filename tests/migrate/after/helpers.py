"""Tokens for a Django project's lessons: teachers publish, pupils listen."""

from django.conf import settings

from fasttoken import Project


def lesson_token(lesson_id, account, teaches):
    """A token that lasts as long as the lesson."""
    role = "publisher" if teaches else "subscriber"
    return Project(settings.AGORA_APP_ID, settings.AGORA_CERTIFICATE).rtc_token(
        f"lesson-{lesson_id}",
        account,
        role,
        expire=settings.LESSON_SECONDS,
    )


def guest_token(lesson_id):
    """A token for a parent, who only looks in: until tomorrow."""
    channel = f"lesson-{lesson_id}"
    return Project(settings.AGORA_APP_ID, settings.AGORA_CERTIFICATE).rtc_token(
        channel,
        0,
        "subscriber",
        expire=86400,
        allow_wildcard=True,
    )
