"""The public API as a user's type checker sees it; checked by test_typing.py, and never run."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import fasttoken
from fasttoken import (
    Backend,
    BadRow,
    FastTokenError,
    FieldError,
    MalformedToken,
    Parsed,
    Project,
    Role,
    RowsError,
    Tokens,
    backend,
    parse,
)
from fasttoken.services import (
    Apaas,
    Chat,
    ConvoAI,
    FCdn,
    Fpa,
    Rtc,
    Rtm,
    Rtm2,
    Service,
    Streaming,
    Stt,
)

project = Project("a" * 32, "b" * 32, secondary_certificate=None)
assert_type(Project.from_env(), Project)
assert_type(project.app_id, str)

# One token.
assert_type(project.rtc_token("room", 7), str)
assert_type(
    project.rtc_token(
        "room",
        "ann",
        Role.SUBSCRIBER,
        60,
        privilege_expire=5,
        issue_ts=1,
        salt=2,
        allow_wildcard=True,
        strict_lifetime=True,
    ),
    str,
)
assert_type(project.rtc_token("room", 7, "publisher"), str)
assert_type(project.rtc_token("room", 7, 2), str)
assert_type(project.rtc_token_with_privileges("room", 7, join_channel_expire=5), str)
assert_type(project.rtm_token("ann", permissions={Rtm2.Resource.USERS: {0: ["a"]}}, salt=1), str)
assert_type(project.rtc_rtm_token("room", 7, rtm_user_id="ann", rtm_expire=5, salt=1), str)
assert_type(project.convoai_token("room", 7, publish_audio_expire=5), str)
assert_type(project.stt_token("room", 7, strict_lifetime=True), str)
assert_type(project.chat_user_token("ann", 60, issue_ts=1), str)
assert_type(project.chat_app_token(), str)
assert_type(project.education_room_user_token("room", "ann", 1), str)
assert_type(project.apaas_user_token("ann"), str)
assert_type(project.apaas_app_token(), str)
assert_type(project.fpa_token(), str)
assert_type(project.streaming_token("room", 7, privilege_expire=5), str)
assert_type(project.fcdn_token("room", "ann"), str)
assert_type(project.temporary_token("room"), str)
assert_type(project.access_token("room", 7, {1: 0}, ts=5), str)
assert_type(project.rtc_token_006("room", 7, 101), str)
assert_type(project.rtm_token_006("ann"), str)
assert_type(project.dynamic_key(5, "room", 7, expired_ts=0), str)
assert_type(project.signaling_token("ann", 5), str)

# Services: values, columns, enums of privileges.
services: list[Service] = [
    Rtc("room", 7, {Rtc.Privilege.JOIN_CHANNEL: 60, 2: 60}),
    Rtm("ann", {Rtm.Privilege.LOGIN: 60}),
    Streaming("room", "ann"),
    Fpa({Fpa.Privilege.LOGIN: 0}),
    Chat("", {Chat.Privilege.APP: 60}),
    FCdn(channel_name="room", account=7),
    Apaas("room", "ann", -1),
    Rtm2("ann", {Rtm2.Resource.USERS: {Rtm2.Permission.READ: ["a"]}}),
    ConvoAI(),
    Stt(),
]
assert_type(project.token(services, 60), str)
assert_type(project.token((Fpa(),)), str)
assert_type(Rtc().channel_name, str)
assert_type(Rtc.TYPE, int)

# Many tokens: the type of the answer follows output and errors.
uids = np.arange(1, 9, dtype=np.uint32)
columns = [Rtc(["a", "b"], uids, {1: [1, 2]})]
Reported = tuple[BadRow, ...]
assert_type(project.tokens(columns), list[str])
assert_type(project.tokens(columns, [1, 2], output="list", salts=uids, threads=2), list[str])
assert_type(project.tokens(columns, output="arrow"), Tokens)
assert_type(project.tokens(columns, output="numpy"), npt.NDArray[np.bytes_])
assert_type(project.tokens(columns, errors="null"), tuple[list[str | None], Reported])
assert_type(project.tokens(columns, output="arrow", errors="null"), tuple[Tokens, Reported])
assert_type(
    project.tokens(columns, output="numpy", errors="null"),
    tuple[npt.NDArray[np.bytes_], Reported],
)
assert_type(project.rtc_tokens("room", uids), list[str])
assert_type(project.rtc_tokens("room", [1, 2], ["publisher", "subscriber"]), list[str])
assert_type(project.rtc_tokens(("a", "b"), "ann", privilege_expire=[1, 2]), list[str])
assert_type(project.rtc_tokens("room", uids, output="arrow"), Tokens)
assert_type(project.rtc_tokens("room", uids, output="numpy"), npt.NDArray[np.bytes_])
assert_type(project.rtc_tokens("room", uids, errors="null"), tuple[list[str | None], Reported])
assert_type(
    project.rtc_tokens("room", uids, output="arrow", errors="null"), tuple[Tokens, Reported]
)
assert_type(project.rtc_tokens_006("room", uids), list[str])
assert_type(project.rtc_tokens_006("room", uids, output="arrow"), Tokens)
assert_type(
    project.rtc_tokens_006("room", uids, output="numpy", errors="null"),
    tuple[npt.NDArray[np.bytes_], Reported],
)


class ArrowColumn:
    """Whatever speaks the Arrow PyCapsule interface is a column."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        raise NotImplementedError


class ArrowChunks:
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise NotImplementedError


assert_type(project.rtc_tokens(ArrowColumn(), ArrowChunks(), ArrowColumn()), list[str])
assert_type(project.tokens([Rtm(ArrowColumn(), {1: ArrowChunks()})]), list[str])

# A column of tokens.
tokens = project.rtc_tokens("room", uids, output="arrow")
assert_type(tokens[0], str | None)
assert_type(tokens.to_list(), list[str | None])
assert_type(tokens.to_numpy(), npt.NDArray[np.bytes_])
assert_type(len(tokens), int)
for token in tokens:
    assert_type(token, str | None)

# Reading and verifying.
parsed = parse("007...")
assert_type(parsed, Parsed)
assert_type(parsed.format, str)
assert_type(parsed.claims, Any)
assert_type(project.verify_signature("007..."), Literal["primary", "secondary"] | None)
assert_type(
    project.verify_signature("006...", channel_name="room", uid="ann"),
    Literal["primary", "secondary"] | None,
)

# Errors.
try:
    project.rtc_token("room", 7)
except FieldError as error:
    assert_type(error.field, str)
    assert_type(error.rule, str)
    assert_type(error.mend, str)
except RowsError as error:
    assert_type(error.rows, tuple[BadRow, ...])
    assert_type(error.rows[0].index, int)
except MalformedToken as error:
    assert_type(error.stage, str)
except FastTokenError:
    pass

assert_type(backend(), Backend)
assert_type(backend().cpus, tuple[str, ...])
assert_type(fasttoken.__version__, str)
