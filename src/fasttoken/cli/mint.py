"""``fasttoken mint``: one token, of any kind."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import FieldError
from ..formats.dynamic_key import KeyService
from ..rules import DAY
from ..services import role as parse_role
from . import console
from .minted import answer

mint = typer.Typer(
    name="mint",
    help="Mint one token, and print it alone on standard output.",
    add_completion=False,
    **console.SETTINGS,
)

ChannelName = Annotated[str, typer.Argument(help="The channel name.", show_default=False)]
UserId = Annotated[str, typer.Argument(help="The user id.", show_default=False)]
Uid = Annotated[str | None, typer.Option("--uid", help="The uid, a number.", show_default=False)]
Account = Annotated[
    str | None, typer.Option("--account", help="The account, a text.", show_default=False)
]
Role = Annotated[str, typer.Option("--role", help="publisher or subscriber.")]
Expire = Annotated[
    int, typer.Option("--expire", help="Seconds until the token ends, at most 86400.")
]
PrivilegeExpire = Annotated[
    int,
    typer.Option("--privilege-expire", help="Seconds until the privileges end; 0: with the token."),
]
PublishExpire = Annotated[
    int, typer.Option(help="Seconds until this privilege ends; 0: with the token.")
]
IssueAt = Annotated[
    str | None,
    typer.Option(
        "--issue-at",
        help="When the token starts: Unix seconds, or 2026-01-31T12:00:00Z. [default: now]",
        show_default=False,
    ),
]
Salt = Annotated[
    int | None,
    typer.Option("--salt", help="A fixed salt, for tests. [default: random]", show_default=False),
]
Wildcard = Annotated[
    bool,
    typer.Option("--allow-wildcard", help="Mean it when no user, or any channel, is given."),
]
Strict = Annotated[
    bool, typer.Option("--strict-lifetime", help="Refuse a lifetime above 24 hours.")
]


def _user(uid: str | None, account: str | None) -> int | str:
    found = console.user(uid, account)
    return 0 if found is None else found


def _role(text: str) -> Any:
    return parse_role(int(text) if text in ("0", "1", "2", "101") else text)


def _common(issue_at: str | None, salt: int | None) -> dict[str, Any]:
    return {"issue_ts": console.moment("--issue-at", issue_at), "salt": salt}


@mint.command("rtc")
def rtc(
    channel: ChannelName,
    uid: Uid = None,
    account: Account = None,
    role: Role = "publisher",
    expire: Expire = 3600,
    privilege_expire: PrivilegeExpire = 0,
    issue_at: IssueAt = None,
    salt: Salt = None,
    allow_wildcard: Wildcard = False,
    strict_lifetime: Strict = False,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A 007 token to join an RTC channel in a role."""
    options = _common(issue_at, salt)
    user, granted = _user(uid, account), _role(role)
    project = console.project(env_file)
    answer(
        lambda: project.rtc_token(
            channel,
            user,
            granted,
            expire,
            privilege_expire=privilege_expire,
            allow_wildcard=allow_wildcard,
            strict_lifetime=strict_lifetime,
            **options,
        ),
        json,
    )


@mint.command("rtc-privileges")
def rtc_privileges(
    channel: ChannelName,
    uid: Uid = None,
    account: Account = None,
    expire: Expire = 3600,
    join_channel_expire: PublishExpire = 0,
    publish_audio_expire: PublishExpire = 0,
    publish_video_expire: PublishExpire = 0,
    publish_data_expire: PublishExpire = 0,
    issue_at: IssueAt = None,
    salt: Salt = None,
    allow_wildcard: Wildcard = False,
    strict_lifetime: Strict = False,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A 007 token to join an RTC channel and publish, each privilege with its own expiry."""
    options = _common(issue_at, salt)
    user = _user(uid, account)
    project = console.project(env_file)
    answer(
        lambda: project.rtc_token_with_privileges(
            channel,
            user,
            expire,
            join_channel_expire=join_channel_expire,
            publish_audio_expire=publish_audio_expire,
            publish_video_expire=publish_video_expire,
            publish_data_expire=publish_data_expire,
            allow_wildcard=allow_wildcard,
            strict_lifetime=strict_lifetime,
            **options,
        ),
        json,
    )


def _for_rtc_and_rtm(name: str, method: str, description: str) -> None:
    """Adds a command for one of the builders of tokens for RTC and RTM."""

    @mint.command(name, help=description)
    def command(
        channel: ChannelName,
        uid: Uid = None,
        account: Account = None,
        role: Role = "publisher",
        expire: Expire = 3600,
        privilege_expire: PrivilegeExpire = 0,
        rtm_user_id: Annotated[
            str | None,
            typer.Option(help="The user id of Signaling. [default: the user]", show_default=False),
        ] = None,
        issue_at: IssueAt = None,
        salt: Salt = None,
        allow_wildcard: Wildcard = False,
        strict_lifetime: Strict = False,
        env_file: console.EnvFile = None,
        json: console.Json = False,
    ) -> None:
        options = _common(issue_at, salt)
        user, granted = _user(uid, account), _role(role)
        builder = getattr(console.project(env_file), method)
        answer(
            lambda: builder(
                channel,
                user,
                granted,
                expire,
                privilege_expire=privilege_expire,
                rtm_user_id=rtm_user_id,
                allow_wildcard=allow_wildcard,
                strict_lifetime=strict_lifetime,
                **options,
            ),
            json,
        )


_for_rtc_and_rtm("rtc-rtm", "rtc_rtm_token", "One 007 token for an RTC channel and Signaling.")
_for_rtc_and_rtm("convoai", "convoai_token", "A 007 token for Conversational AI.")
_for_rtc_and_rtm("stt", "stt_token", "A 007 token for speech to text.")


def _for_user(name: str, method: str, description: str) -> None:
    """Adds a command for a builder that takes a user id."""

    @mint.command(name, help=description)
    def command(
        user_id: UserId,
        expire: Expire = 3600,
        issue_at: IssueAt = None,
        salt: Salt = None,
        strict_lifetime: Strict = False,
        env_file: console.EnvFile = None,
        json: console.Json = False,
    ) -> None:
        options = _common(issue_at, salt)
        builder = getattr(console.project(env_file), method)
        answer(lambda: builder(user_id, expire, strict_lifetime=strict_lifetime, **options), json)


_for_user("rtm", "rtm_token", "A 007 token to log in to Signaling (RTM).")
_for_user("chat-user", "chat_user_token", "A 007 token for one user of Chat.")
_for_user("education-user", "education_user_token", "A 007 token for a user of Education or APaaS.")


def _for_app(name: str, method: str, description: str, lifetime: int) -> None:
    """Adds a command for a builder that takes nobody."""

    @mint.command(name, help=description)
    def command(
        expire: Expire = lifetime,
        issue_at: IssueAt = None,
        salt: Salt = None,
        strict_lifetime: Strict = False,
        env_file: console.EnvFile = None,
        json: console.Json = False,
    ) -> None:
        options = _common(issue_at, salt)
        builder = getattr(console.project(env_file), method)
        answer(lambda: builder(expire, strict_lifetime=strict_lifetime, **options), json)


_for_app("chat-app", "chat_app_token", "A 007 token for the REST API of Chat.", 3600)
_for_app("education-app", "education_app_token", "A 007 token for an Education or APaaS app.", 3600)
_for_app("fpa", "fpa_token", "A 007 token for FPA.", DAY)


@mint.command("education-room-user")
def education_room_user(
    room_uuid: Annotated[str, typer.Argument(help="The room.", show_default=False)],
    user_uuid: Annotated[str, typer.Argument(help="The user.", show_default=False)],
    role: Annotated[int, typer.Option("--role", help="The room's own number for a role.")],
    expire: Expire = 3600,
    issue_at: IssueAt = None,
    salt: Salt = None,
    strict_lifetime: Strict = False,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A 007 token for a user in a room of Education or APaaS."""
    options = _common(issue_at, salt)
    project = console.project(env_file)
    answer(
        lambda: project.education_room_user_token(
            room_uuid, user_uuid, role, expire, strict_lifetime=strict_lifetime, **options
        ),
        json,
    )


def _for_channel(name: str, method: str, description: str) -> None:
    """Adds a command for a builder that takes a channel and an account."""

    @mint.command(name, help=description)
    def command(
        channel: ChannelName,
        uid: Uid = None,
        account: Account = None,
        expire: Expire = 3600,
        privilege_expire: PrivilegeExpire = 0,
        issue_at: IssueAt = None,
        salt: Salt = None,
        allow_wildcard: Wildcard = False,
        strict_lifetime: Strict = False,
        env_file: console.EnvFile = None,
        json: console.Json = False,
    ) -> None:
        options = _common(issue_at, salt)
        user = _user(uid, account)
        builder = getattr(console.project(env_file), method)
        answer(
            lambda: builder(
                channel,
                user,
                expire,
                privilege_expire=privilege_expire,
                allow_wildcard=allow_wildcard,
                strict_lifetime=strict_lifetime,
                **options,
            ),
            json,
        )


_for_channel("streaming", "streaming_token", "A 007 token for Streaming.")
_for_channel("fcdn", "fcdn_token", "A 007 token for FCDN.")


@mint.command("rtc-006")
def rtc_006(
    channel: ChannelName,
    uid: Uid = None,
    account: Account = None,
    role: Annotated[
        str, typer.Option("--role", help="publisher or subscriber; 0 and 101 publish, too.")
    ] = "publisher",
    expire: Expire = 3600,
    issue_at: IssueAt = None,
    salt: Salt = None,
    allow_wildcard: Wildcard = False,
    strict_lifetime: Strict = False,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A 006 token to join an RTC channel, for SDKs that don't take 007."""
    options = _common(issue_at, salt)
    user = _user(uid, account)
    granted: Any = int(role) if role in ("0", "101") else _role(role)
    project = console.project(env_file)
    answer(
        lambda: project.rtc_token_006(
            channel,
            user,
            granted,
            expire,
            allow_wildcard=allow_wildcard,
            strict_lifetime=strict_lifetime,
            **options,
        ),
        json,
    )


_for_user("rtm-006", "rtm_token_006", "A 006 token to log in to Signaling (RTM).")


@mint.command("dynamic-key")
def dynamic_key(
    version: Annotated[int, typer.Argument(min=1, max=5, help="1 to 5.", show_default=False)],
    channel: ChannelName,
    uid: Annotated[int, typer.Option("--uid", help="The uid; 0: any user.")] = 0,
    expire_at: Annotated[
        str | None,
        typer.Option(
            help="When it ends: Unix seconds, or 2026-01-31T12:00:00Z. [default: never]",
            show_default=False,
        ),
    ] = None,
    service: Annotated[
        str, typer.Option(help="media_channel, recording, public_sharing, in_channel_permission.")
    ] = "media_channel",
    upload: Annotated[bool, typer.Option(help="For in_channel_permission: may publish.")] = True,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A dynamic key, for SDKs before 2.1. Agora deprecates them."""
    services = {each.name.lower(): each for each in KeyService}
    if service not in services:
        raise FieldError("--service", f"must be one of {', '.join(services)}")
    expired_ts = 0 if expire_at is None else console.moment("--expire-at", expire_at)
    project = console.project(env_file)
    answer(
        lambda: project.dynamic_key(
            version,  # type: ignore[arg-type]
            channel,
            uid,
            expired_ts=expired_ts,
            service=services[service],
            allow_upload=upload,
        ),
        json,
    )


@mint.command("signaling")
def signaling(
    account: Annotated[str, typer.Argument(help="The account.", show_default=False)],
    expire: Expire = 3600,
    issue_at: IssueAt = None,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """A token of the old Signaling SDK."""
    ends = console.moment("--issue-at", issue_at) + expire
    project = console.project(env_file)
    answer(lambda: project.signaling_token(account, ends), json)
