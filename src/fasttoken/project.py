"""Project: an App ID and its certificates, from which every token is minted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from time import time
from typing import TYPE_CHECKING, Any, Literal, overload

from . import batch, rules
from ._core import Certificate, mint_checked, mint_one
from .arrow import Tokens
from .columns import Columns, is_column
from .errors import BadRow, FieldError
from .formats import BY_NAME, access_token, dynamic_key, parse, signaling
from .salts import random_salt
from .services import (
    ROLES,
    ROLES_006,
    Apaas,
    Chat,
    ConvoAI,
    FCdn,
    Fpa,
    Role,
    Rtc,
    Rtm,
    Rtm2,
    Service,
    Streaming,
    Stt,
)
from .services import role as parse_role

if TYPE_CHECKING:
    from enum import IntEnum

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import TypedDict, Unpack

    from .services import Column, Permissions
    from .verdicts import Verdicts
    from .verify import Keys, Verdict

    class Options(TypedDict, total=False):
        """What every builder of a 007 token takes."""

        issue_ts: int | None
        salt: int | None
        allow_wildcard: bool
        strict_lifetime: bool

    class RtcRtmOptions(Options, total=False):
        """What the builders of tokens for RTC and RTM take besides."""

        privilege_expire: int
        join_channel_expire: int | None
        publish_audio_expire: int | None
        publish_video_expire: int | None
        publish_data_expire: int | None
        rtm_user_id: str | None
        rtm_expire: int | None

    class BatchOptions(TypedDict, total=False):
        """What every batch takes."""

        issue_ts: int | Column | None
        salts: Column | None
        threads: int
        allow_wildcard: bool
        strict_lifetime: bool

    class RtcBatchOptions(BatchOptions, total=False):
        """What a batch of 007 RTC tokens takes besides."""

        privilege_expire: int | Column

    AnyRole = Role | Literal["publisher", "subscriber", 1, 2]

HOUR = 3600  # seconds
ENV = ("AGORA_APP_ID", "AGORA_APP_CERTIFICATE", "AGORA_APP_CERTIFICATE_SECONDARY")
PUBLISHER_PRIVILEGES = tuple(Rtc.Privilege)
# What the builders' tokens are made of; each is a part of a `batch.Shape`.
_PUBLISHER = (Rtc, PUBLISHER_PRIVILEGES)
_SUBSCRIBER = (Rtc, (Rtc.Privilege.JOIN_CHANNEL,))
_RTM = (Rtm, tuple(Rtm.Privilege))
_CHAT_USER = (Chat, (Chat.Privilege.USER,))
_CHAT_APP = (Chat, (Chat.Privilege.APP,))
_APAAS_ROOM_USER = (Apaas, (Apaas.Privilege.ROOM_USER,))
_APAAS_USER = (Apaas, (Apaas.Privilege.USER,))
_APAAS_APP = (Apaas, (Apaas.Privilege.APP,))
_FPA = (Fpa, tuple(Fpa.Privilege))
_STREAMING = (Streaming, tuple(Streaming.Privilege))
_FCDN = (FCdn, tuple(FCdn.Privilege))
_CONVOAI = (ConvoAI, ())
_STT = (Stt, ())


def _certificate(field: str, value: object) -> Certificate:
    """The certificate as a signing key. An error shows nothing of it, its frames included."""
    problem = rules.hex32_problem(value)
    if problem or not isinstance(value, str):
        del value
        raise FieldError(field, problem, "copy it from the Agora Console")
    return Certificate(value.encode())


def _rtc(channel_name: Any, uid: Any, publishes: bool, privilege_expire: Any) -> Rtc:
    """The RTC service of a role."""
    _, privileges = _PUBLISHER if publishes else _SUBSCRIBER
    return Rtc(channel_name, uid, dict.fromkeys(privileges, privilege_expire))


class Project:
    """An Agora project: its App ID and its primary and, optionally, secondary certificate.

    Every method is safe to call from many threads. What all builders of 007 tokens take:

    ``expire``: seconds from the issue timestamp until the token ends (1..86400; 0 or more is a
    `TokenWarning`, since Agora ends every token after 24 hours, and an error with
    ``strict_lifetime=True``). ``privilege_expire``: seconds from the issue timestamp until a
    privilege ends, 0 for as long as the token. ``issue_ts``: Unix seconds, default now.
    ``salt``: a u32, default a secure random one. ``allow_wildcard=True``: a channel name of ``""``
    or ``"*"`` (any channel) and a uid of 0, ``""`` or ``"*"`` (any user) are meant.

    All raise `FieldError` for a value that breaks a rule of docs/formats.md, "Limits and
    meanings". Tokens are minted with the primary certificate; both verify.
    """

    _app_id = ""

    def __init__(
        self, app_id: str, app_certificate: str, secondary_certificate: str | None = None
    ) -> None:
        """Takes the texts of the Agora Console, 32 hexadecimal digits each. `FieldError`
        otherwise; neither the object nor the error shows a certificate."""
        given = (app_certificate, secondary_certificate)
        del app_certificate, secondary_certificate
        try:
            self._app_id = rules.app_id(app_id)
            self._primary = _certificate("app_certificate", given[0])
            self._secondary = (
                None if given[1] is None else _certificate("secondary_certificate", given[1])
            )
        finally:
            del given
        self._rtc_layout = batch.rtc_token_layout(self._app_id)
        self._rtc_layout_006 = batch.rtc_token_006_layout(self._app_id)
        self._rtm_layout_006 = batch.rtm_token_006_layout(self._app_id)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Project:
        """The project of ``AGORA_APP_ID``, ``AGORA_APP_CERTIFICATE`` and, optionally,
        ``AGORA_APP_CERTIFICATE_SECONDARY``. `FieldError` if one of the first two is missing."""
        missing = [name for name in ENV[:2] if not environ.get(name)]
        given = [environ.get(name) or None for name in ENV]
        del environ
        if missing:
            del given
            raise FieldError(missing[0], "must be set in the environment")
        # Popped, so that this frame holds no certificate when the constructor fails.
        return cls(given.pop(0), given.pop(0), given.pop(0))  # type: ignore[arg-type]

    @property
    def app_id(self) -> str:
        """The App ID, in the letter case it was given."""
        return self._app_id

    def __repr__(self) -> str:
        return f"Project({self._app_id!r}, ***)"

    # One token, 007 ---------------------------------------------------------------------------

    def token(
        self,
        services: Sequence[Service],
        expire: int = HOUR,
        *,
        issue_ts: int | None = None,
        salt: int | None = None,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> str:
        """A 007 token for any services, in any order, a type as often as you like."""
        services = _checked_services(services)
        # First as if nothing were unusual, then by the rules.
        plain = batch.unchecked_token(services)
        token = plain and self._plain_token(*plain, expire, issue_ts, salt)
        if token is None:
            shape, values = batch.checked_token(services, allow_wildcard)
            token = mint_one(
                batch.one_token_layout(self._app_id, shape),
                self._primary,
                rules.unix_ts("issue_ts", int(time()) if issue_ts is None else issue_ts),
                random_salt() if salt is None else rules.salt(salt),
                [rules.lifetime("expire", expire, strict_lifetime), *values],
            )
        if len(token) > rules.TOKEN_CHARACTERS:
            rules.warn(f"a token {rules.LONG_TOKEN}")
        return token

    def _plain_token(
        self, shape: batch.Shape, values: list[Any], expire: int, issue_ts: Any, salt: Any
    ) -> str | None:
        """The token of services as a shape and its values; None if any needs a second look."""
        layout = batch.one_token_layout(self._app_id, shape)
        return mint_checked(layout, self._primary, time, issue_ts, salt, (expire, *values))

    def _shaped_token(
        self,
        shape: batch.Shape,
        values: list[Any],
        expire: int,
        *,
        issue_ts: int | None = None,
        salt: int | None = None,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> str:
        """The same, by the rules where need be: what builders mint without making services."""
        token = self._plain_token(shape, values, expire, issue_ts, salt)
        if token is not None:
            return token
        return self.token(
            batch.token_services(shape, values),
            expire,
            issue_ts=issue_ts,
            salt=salt,
            allow_wildcard=allow_wildcard,
            strict_lifetime=strict_lifetime,
        )

    def rtc_token(
        self,
        channel_name: str,
        uid: int | str,
        role: AnyRole = Role.PUBLISHER,
        expire: int = HOUR,
        *,
        privilege_expire: int = 0,
        issue_ts: int | None = None,
        salt: int | None = None,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> str:
        """A token to join an RTC channel as a uid (int) or account (str), in a role."""
        # What servers call on every request: first as if nothing were unusual, then by the rules.
        token = mint_checked(
            self._rtc_layout,
            self._primary,
            time,
            issue_ts,
            salt,
            (expire, privilege_expire, channel_name, uid),
            role,
        )
        if token is not None:
            return token
        publishes = parse_role(role) is Role.PUBLISHER
        rules.duration("privilege_expire", privilege_expire)
        return self.token(
            [_rtc(channel_name, uid, publishes, privilege_expire)],
            expire,
            issue_ts=issue_ts,
            salt=salt,
            allow_wildcard=allow_wildcard,
            strict_lifetime=strict_lifetime,
        )

    def rtc_token_with_privileges(
        self,
        channel_name: str,
        uid: int | str,
        expire: int = HOUR,
        *,
        join_channel_expire: int = 0,
        publish_audio_expire: int = 0,
        publish_video_expire: int = 0,
        publish_data_expire: int = 0,
        **options: Unpack[Options],
    ) -> str:
        """A token to join an RTC channel and publish, each privilege with its own expiry."""
        values = [
            join_channel_expire,
            publish_audio_expire,
            publish_video_expire,
            publish_data_expire,
            channel_name,
            uid,
        ]
        return self._shaped_token((_PUBLISHER,), values, expire, **options)

    def rtm_token(
        self,
        user_id: str,
        expire: int = HOUR,
        *,
        permissions: Permissions | None = None,
        **options: Unpack[Options],
    ) -> str:
        """A token to log in to Signaling; with permissions (resource -> permission -> names) it
        carries service 8, else service 2."""
        if permissions is None:
            return self._shaped_token((_RTM,), [expire, user_id], expire, **options)
        service = Rtm2(user_id, permissions, {Rtm2.Privilege.LOGIN: expire})
        return self.token([service], expire, **options)

    def rtc_rtm_token(
        self,
        channel_name: str,
        uid: int | str,
        role: AnyRole = Role.PUBLISHER,
        expire: int = HOUR,
        **options: Unpack[RtcRtmOptions],
    ) -> str:
        """One token for an RTC channel and for Signaling.

        ``join_channel_expire``, ``publish_audio_expire``, ``publish_video_expire`` and
        ``publish_data_expire`` default to ``privilege_expire`` (0), ``rtm_user_id`` to the text of
        the uid, ``rtm_expire`` to ``expire``.
        """
        return self._rtc_rtm_token((), channel_name, uid, role, expire, **options)

    def convoai_token(
        self,
        channel_name: str,
        uid: int | str,
        role: AnyRole = Role.PUBLISHER,
        expire: int = HOUR,
        **options: Unpack[RtcRtmOptions],
    ) -> str:
        """A token for Conversational AI: RTC and RTM as in `rtc_rtm_token`, and service 9."""
        return self._rtc_rtm_token((_CONVOAI,), channel_name, uid, role, expire, **options)

    def stt_token(
        self,
        channel_name: str,
        uid: int | str,
        role: AnyRole = Role.PUBLISHER,
        expire: int = HOUR,
        **options: Unpack[RtcRtmOptions],
    ) -> str:
        """A token for speech to text: RTC and RTM as in `rtc_rtm_token`, and service 10."""
        return self._rtc_rtm_token((_STT,), channel_name, uid, role, expire, **options)

    def _rtc_rtm_token(
        self,
        more: batch.Shape,
        channel_name: str,
        uid: int | str,
        role: AnyRole,
        expire: int,
        *,
        privilege_expire: int = 0,
        join_channel_expire: int | None = None,
        publish_audio_expire: int | None = None,
        publish_video_expire: int | None = None,
        publish_data_expire: int | None = None,
        rtm_user_id: str | None = None,
        rtm_expire: int | None = None,
        **options: Unpack[Options],
    ) -> str:
        values: list[Any] = [join_channel_expire]
        publishes = parse_role(role) is Role.PUBLISHER
        if publishes:
            values += (publish_audio_expire, publish_video_expire, publish_data_expire)
        values = [privilege_expire if value is None else value for value in values]
        if rtm_user_id is None:
            rtm_user_id = rules.uid("uid", uid, True).decode()
        values += (channel_name, uid, expire if rtm_expire is None else rtm_expire, rtm_user_id)
        shape = (_PUBLISHER if publishes else _SUBSCRIBER, _RTM, *more)
        return self._shaped_token(shape, values, expire, **options)

    def chat_user_token(self, user_id: str, expire: int = HOUR, **options: Unpack[Options]) -> str:
        """A Chat token for one user."""
        rules.identifier("user_id", user_id)
        return self._shaped_token((_CHAT_USER,), [expire, user_id], expire, **options)

    def chat_app_token(self, expire: int = HOUR, **options: Unpack[Options]) -> str:
        """A Chat token for the app, to call Chat's REST API."""
        return self._shaped_token((_CHAT_APP,), [expire, ""], expire, **options)

    def education_room_user_token(
        self,
        room_uuid: str,
        user_uuid: str,
        role: int,
        expire: int = HOUR,
        **options: Unpack[Options],
    ) -> str:
        """A token for a user in a room: APaaS, Signaling as that user, and Chat as the MD5 of it.

        ``role`` is the room's own number for a role, a signed 16-bit integer.
        """
        if room_uuid == "":
            raise FieldError("room_uuid", "must name one room")
        user = rules.identifier("user_uuid", user_uuid)
        chat_user_id = hashlib.md5(user, usedforsecurity=False).hexdigest()
        shape = (_RTM, _CHAT_USER, _APAAS_ROOM_USER)
        values = [expire, user_uuid, expire, chat_user_id, expire, room_uuid, user_uuid, role]
        return self._shaped_token(shape, values, expire, **options)

    def education_user_token(
        self, user_uuid: str, expire: int = HOUR, **options: Unpack[Options]
    ) -> str:
        """A token for a user outside any room."""
        rules.identifier("user_uuid", user_uuid)
        return self._shaped_token((_APAAS_USER,), [expire, "", user_uuid, -1], expire, **options)

    def education_app_token(self, expire: int = HOUR, **options: Unpack[Options]) -> str:
        """A token for the app, to call the REST API of Education."""
        return self._shaped_token((_APAAS_APP,), [expire, "", "", -1], expire, **options)

    # Agora's Education and APaaS builders make the same tokens.
    apaas_room_user_token = education_room_user_token
    apaas_user_token = education_user_token
    apaas_app_token = education_app_token

    def fpa_token(self, expire: int = rules.DAY, **options: Unpack[Options]) -> str:
        """An FPA token; its privilege lasts as long as the token."""
        return self._shaped_token((_FPA,), [0], expire, **options)

    def streaming_token(
        self,
        channel_name: str,
        account: int | str,
        expire: int = HOUR,
        *,
        privilege_expire: int = 0,
        **options: Unpack[Options],
    ) -> str:
        """A Streaming token with both its privileges: publish mixed and raw streams."""
        values = [privilege_expire, privilege_expire, channel_name, account]
        return self._shaped_token((_STREAMING,), values, expire, **options)

    def fcdn_token(
        self,
        channel_name: str,
        account: int | str,
        expire: int = HOUR,
        *,
        privilege_expire: int = 0,
        **options: Unpack[Options],
    ) -> str:
        """An FCDN token with both its privileges: publish and play."""
        values = [privilege_expire, privilege_expire, channel_name, account]
        return self._shaped_token((_FCDN,), values, expire, **options)

    def temporary_token(
        self, channel_name: str, *, issue_ts: int | None = None, salt: int | None = None
    ) -> str:
        """A token for testing, as the Agora Console makes it: 24 hours, any user, publisher."""
        if channel_name in ("", rules.WILDCARD):
            raise FieldError("channel_name", "must name one channel")
        return self.rtc_token(
            channel_name, 0, expire=rules.DAY, issue_ts=issue_ts, salt=salt, allow_wildcard=True
        )

    # One token, 006 and older -----------------------------------------------------------------

    def access_token(
        self,
        channel_name: str,
        uid: int | str,
        privileges: Mapping[Any, int],
        *,
        ts: int | None = None,
        salt: int | None = None,
        allow_wildcard: bool = False,
    ) -> str:
        """A 006 token with any privileges.

        Privilege values and ``ts`` are absolute, in Unix seconds: a privilege of 0 lasts as long
        as the token, ``ts`` is by default 24 hours from now. An RTM token has its user id as
        ``channel_name`` and ``uid=""``; see `rtm_token_006`.
        """
        channel = rules.channel_name("channel_name", channel_name, allow_wildcard)
        user = rules.uid("uid", uid, allow_wildcard)
        return self._access_token(channel, user, privileges, ts, salt)

    def _access_token(
        self,
        channel_name: bytes,
        uid: bytes,
        privileges: Mapping[Any, int],
        ts: int | None,
        salt: int | None,
    ) -> str:
        privileges = batch.checked_privileges(
            privileges, rules.unix_ts, access_token.MOST_PRIVILEGES
        )
        claims = access_token.claims_for(
            self._app_id,
            channel_name,
            uid,
            random_salt() if salt is None else rules.salt(salt),
            int(time()) + rules.DAY if ts is None else rules.unix_ts("ts", ts),
            privileges,
        )
        return access_token.build(claims, self._primary, channel_name, uid)

    def rtc_token_006(
        self,
        channel_name: str,
        uid: int | str,
        role: AnyRole | Literal[0, 101] = Role.PUBLISHER,
        expire: int = HOUR,
        *,
        issue_ts: int | None = None,
        salt: int | None = None,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> str:
        """A 006 token to join an RTC channel in a role; 0 and 101 publish, as in 006.

        ``expire`` is in seconds from the issue timestamp, as everywhere here; the token itself
        holds the absolute time. 0 lasts as long as the token.
        """
        # As in rtc_token.
        token = mint_checked(
            self._rtc_layout_006,
            self._primary,
            time,
            issue_ts,
            salt,
            (rules.DAY, expire, channel_name, uid),
            role,
        )
        if token is not None:
            return token
        granted = batch.privileges_006(role)
        channel = rules.channel_name("channel_name", channel_name, allow_wildcard)
        user = rules.uid("uid", uid, allow_wildcard)
        issued = rules.unix_ts("issue_ts", int(time()) if issue_ts is None else issue_ts)
        seconds = rules.lifetime("expire", expire, strict_lifetime)
        ends = rules.absolute(issued, rules.DAY)
        expires = rules.absolute(issued, seconds) if seconds else 0
        privileges = dict.fromkeys(granted, expires)
        return self._access_token(channel, user, privileges, ends, salt)

    def rtm_token_006(
        self,
        user_id: str,
        expire: int = HOUR,
        *,
        issue_ts: int | None = None,
        salt: int | None = None,
        strict_lifetime: bool = False,
    ) -> str:
        """A 006 token to log in to Signaling; ``expire`` as in `rtc_token_006`."""
        token = mint_checked(
            self._rtm_layout_006,
            self._primary,
            time,
            issue_ts,
            salt,
            (rules.DAY, expire, user_id),
        )
        if token is not None:
            return token
        user = rules.identifier("user_id", user_id, rules.RTM_USER_BYTES)
        issued = rules.unix_ts("issue_ts", int(time()) if issue_ts is None else issue_ts)
        seconds = rules.lifetime("expire", expire, strict_lifetime)
        ends = rules.absolute(issued, rules.DAY)
        expires = rules.absolute(issued, seconds) if seconds else 0
        privileges = {access_token.Privilege.RTM_LOGIN: expires}
        return self._access_token(user, b"", privileges, ends, salt)

    def dynamic_key(
        self,
        version: Literal[1, 2, 3, 4, 5],
        channel_name: str,
        uid: int = 0,
        *,
        expired_ts: int = 0,
        service: dynamic_key.KeyService = dynamic_key.KeyService.MEDIA_CHANNEL,
        allow_upload: bool = True,
        unix_ts: int | None = None,
        random_int: int | None = None,
    ) -> str:
        """A dynamic key, for SDKs before 2.1; Agora deprecates them all.

        ``expired_ts`` (0: no end) and ``unix_ts`` (default now) are absolute, in Unix seconds.
        ``service`` counts in versions 4 and 5, ``allow_upload`` for an in-channel permission of 5.
        A uid of 0 means any user, as it always did.
        """
        rules.integer("version", version, 1, 5)
        claims = dynamic_key.claims_for(
            version,
            self._app_id,
            int(time()) if unix_ts is None else rules.unix_ts("unix_ts", unix_ts),
            int.from_bytes(os.urandom(4), "little")
            if random_int is None
            else rules.unix_ts("random_int", random_int),
            rules.unix_ts("expired_ts", expired_ts),
            service,
            allow_upload,
        )
        channel = rules.channel_name("channel_name", channel_name, True)
        user = rules.integer("uid", uid, 0, rules.U32_MAX)
        return dynamic_key.build(claims, self._primary, channel, user)

    def signaling_token(self, account: str, expired_ts: int) -> str:
        """A token of the old Signaling SDK; ``expired_ts`` is absolute, in Unix seconds."""
        rules.identifier("account", account)
        claims = signaling.SignalingToken(self._app_id, rules.unix_ts("expired_ts", expired_ts))
        return signaling.build(claims, self._primary, account)

    # Many tokens ------------------------------------------------------------------------------

    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> list[str]: ...
    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> Tokens: ...
    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> npt.NDArray[np.bytes_]: ...
    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[list[str | None], tuple[BadRow, ...]]: ...
    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[Tokens, tuple[BadRow, ...]]: ...
    @overload
    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[npt.NDArray[np.bytes_], tuple[BadRow, ...]]: ...

    def tokens(
        self,
        services: Sequence[Service],
        expire: int | Column = HOUR,
        *,
        output: batch.Output = "list",
        errors: batch.Errors = "raise",
        **options: Unpack[BatchOptions],
    ) -> Any:
        """One 007 token a row, for any services.

        Any field or privilege value of any service, ``expire`` and ``issue_ts`` may be a column
        (list, tuple, NumPy array, Arrow array) or one value for all rows; ``salts`` is a column of
        u32 or None for secure random ones. All columns have one length. ``threads`` share a large
        batch; the rows are minted without the GIL.

        ``output``: ``"list"`` of str; ``"arrow"``, a `Tokens` column (large_utf8) without a copy;
        ``"numpy"``, an array of fixed-width bytes (dtype ``S``, as wide as the longest token).

        With ``errors="raise"`` bad rows raise one `RowsError` that lists them all; with ``"null"``
        the answer is a pair: the tokens, None (``b""`` in NumPy) where a row is bad, and the
        `BadRow` of each.
        """
        return self._batch([_checked_services(services)], None, expire, output, errors, **options)

    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["raise"] = ...,
        **options: Unpack[RtcBatchOptions],
    ) -> list[str]: ...
    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["raise"] = ...,
        **options: Unpack[RtcBatchOptions],
    ) -> Tokens: ...
    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["raise"] = ...,
        **options: Unpack[RtcBatchOptions],
    ) -> npt.NDArray[np.bytes_]: ...
    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["null"],
        **options: Unpack[RtcBatchOptions],
    ) -> tuple[list[str | None], tuple[BadRow, ...]]: ...
    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["null"],
        **options: Unpack[RtcBatchOptions],
    ) -> tuple[Tokens, tuple[BadRow, ...]]: ...
    @overload
    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["null"],
        **options: Unpack[RtcBatchOptions],
    ) -> tuple[npt.NDArray[np.bytes_], tuple[BadRow, ...]]: ...

    def rtc_tokens(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Column = Role.PUBLISHER,
        expire: int | Column = HOUR,
        *,
        privilege_expire: int | Column = 0,
        output: batch.Output = "list",
        errors: batch.Errors = "raise",
        **options: Unpack[BatchOptions],
    ) -> Any:
        """One 007 token a row to join an RTC channel; see `rtc_token` and `tokens`."""
        variants = [
            [_rtc(channel_names, uids, publishes, privilege_expire)]
            for publishes in _publishes(roles, ROLES)
        ]
        return self._batch(variants, roles, expire, output, errors, **options)

    def _batch(
        self,
        variants: Sequence[Sequence[Service]],
        roles: Any,
        expire: Any,
        output: batch.Output,
        errors: batch.Errors,
        *,
        issue_ts: int | Column | None = None,
        salts: Column | None = None,
        threads: int = 1,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> Any:
        columns = Columns(allow_wildcard, strict_lifetime)
        layout = batch.access_token2_layout(columns, self._app_id, variants, expire)
        choices = columns.roles(roles, ROLES)
        if issue_ts is None:
            issue_ts = int(time())
        return batch.run(
            layout, columns, self._primary, issue_ts, salts, choices, threads, output, errors
        )

    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> list[str]: ...
    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> Tokens: ...
    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["raise"] = ...,
        **options: Unpack[BatchOptions],
    ) -> npt.NDArray[np.bytes_]: ...
    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["list"] = ...,
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[list[str | None], tuple[BadRow, ...]]: ...
    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["arrow"],
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[Tokens, tuple[BadRow, ...]]: ...
    @overload
    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = ...,
        expire: int | Column = ...,
        *,
        output: Literal["numpy"],
        errors: Literal["null"],
        **options: Unpack[BatchOptions],
    ) -> tuple[npt.NDArray[np.bytes_], tuple[BadRow, ...]]: ...

    def rtc_tokens_006(
        self,
        channel_names: str | Column,
        uids: int | str | Column,
        roles: AnyRole | Literal[0, 101] | Column = Role.PUBLISHER,
        expire: int | Column = HOUR,
        *,
        issue_ts: int | Column | None = None,
        salts: Column | None = None,
        output: batch.Output = "list",
        errors: batch.Errors = "raise",
        threads: int = 1,
        allow_wildcard: bool = False,
        strict_lifetime: bool = False,
    ) -> Any:
        """One 006 token a row to join an RTC channel; see `rtc_token_006` and `tokens`."""
        columns = Columns(allow_wildcard, strict_lifetime)
        if issue_ts is None:
            issue_ts = int(time())
        layout = batch.access_token_layout(
            columns,
            self._app_id,
            channel_names,
            uids,
            _publishes(roles, ROLES_006),
            expire,
            issue_ts,
        )
        choices = columns.roles(roles, ROLES_006)
        return batch.run(
            layout, columns, self._primary, issue_ts, salts, choices, threads, output, errors
        )

    # Verifying --------------------------------------------------------------------------------

    def verify_signature(
        self, token: str, *, channel_name: str | None = None, uid: int | str | None = None
    ) -> Literal["primary", "secondary"] | None:
        """Which certificate signed the token: "primary", "secondary", or None for neither.

        Nothing but the signature is looked at, in constant time. 006 tokens need their channel
        name and uid, dynamic keys and Signaling tokens what they don't carry: `FieldError` if it
        is missing. `MalformedToken` if the token can't be read.
        """
        parsed = parse(token)
        check = BY_NAME[parsed.format].verify_signature
        if check(parsed, self._primary, channel_name, uid):
            return "primary"
        if self._secondary and check(parsed, self._secondary, channel_name, uid):
            return "secondary"
        return None

    def verify(
        self,
        token: str,
        *,
        channel_name: str | None = None,
        uid: int | str | None = None,
        privilege: IntEnum | str | None = None,
        now: int | float | None = None,
        leeway: int = 0,
    ) -> Verdict:
        """Whether Agora would accept a token of any format, and if not, why: a `Verdict`.

        ``channel_name`` and ``uid`` (an int, or a str for an account) are what the client joins
        with; None leaves them out of question. 006 tokens and dynamic keys need those that they
        don't carry. For an RTM, Chat or Signaling token, ``uid`` is the user id. ``privilege`` is
        what the client wants to do, as a member of a service's ``Privilege`` or as text, such as
        ``"rtc.publish_audio"`` or ``"rtm.login"``; by default every service of the token must
        grant its way in. ``now`` is in Unix seconds, by default the clock's; ``leeway`` is in
        seconds, and forgives clocks that differ.

        Never raises for a bad token. `FieldError` for an argument of the wrong type.
        """
        from . import verify  # what only mints does without it

        question = verify.asked(channel_name, uid, privilege)
        return verify.verify(token, self._keys(), question, _now(now), _leeway(leeway))

    def verify_many(
        self,
        tokens: Column,
        channel_names: str | Column | None = None,
        uids: int | str | Column | None = None,
        *,
        privilege: IntEnum | str | None = None,
        now: int | float | None = None,
        leeway: int = 0,
    ) -> Verdicts:
        """The verdicts about a column of tokens, as columns: `Verdicts`.

        Each is what `verify` says. ``channel_names`` and ``uids`` are columns of the same length,
        or one value for all rows; None in a row leaves it out of question.
        """
        from . import verdicts

        return verdicts.verify_many(
            tokens, self._keys(), channel_names, uids, privilege, _now(now), _leeway(leeway)
        )

    def _keys(self) -> Keys:
        from .verify import Keys

        return Keys(self._app_id, self._primary, self._secondary)


def _now(now: int | float | None) -> int:
    return int(time() if now is None else now)


def _leeway(leeway: int) -> int:
    return rules.integer("leeway", leeway, 0, rules.U32_MAX)


def _checked_services(services: Iterable[Service]) -> tuple[Service, ...]:
    try:
        checked = tuple(services)
    except TypeError:
        raise FieldError(
            "services", f"must be a list of services, not {type(services).__name__}"
        ) from None
    if not checked:
        raise FieldError("services", "must hold at least one service")
    if len(checked) > rules.U16_MAX:
        raise FieldError("services", f"must be at most {rules.U16_MAX}")
    for service in checked:
        if not isinstance(service, Service):
            raise FieldError("services", f"must hold services, not {type(service).__name__}")
    return checked


def _publishes(roles: Any, known: Mapping[object, Role]) -> list[bool]:
    """Whether each variant of a batch publishes: two variants for a column of roles."""
    if is_column(roles):
        return [True, False]
    return [parse_role(roles, known) is Role.PUBLISHER]
