"""Project: what each builder puts into a token, its strict edges, and certificates that stay in."""

import copy
import enum
import hashlib
import os
import pickle
import time
import traceback
import warnings

import numpy as np
import pytest
from helpers import APP_ID, CERTIFICATE, FIXED, ISSUE_TS, PACKAGE, SALT, SECONDARY

import fasttoken.project
from fasttoken import FieldError, Project, Role, TokenWarning, _core, parse, rules
from fasttoken.formats.access_token import AccessToken
from fasttoken.formats.dynamic_key import KeyService
from fasttoken.services import (
    Apaas,
    Chat,
    ConvoAI,
    FCdn,
    Fpa,
    Rtc,
    Rtm,
    Rtm2,
    Streaming,
    Stt,
)

PERMISSIONS = {
    Rtm2.Resource.MESSAGE_CHANNELS: {Rtm2.Permission.READ: ["a", "b"], Rtm2.Permission.WRITE: []},
    Rtm2.Resource.USERS: {Rtm2.Permission.WRITE: ["carol"]},
}
PUBLISH = {1: 60, 2: 60, 3: 60, 4: 60}
FULL = {1: 0, 2: 0, 3: 0, 4: 0}
MD5 = hashlib.md5(b"ann").hexdigest()
FOUR = {
    "join_channel_expire": 1,
    "publish_audio_expire": 2,
    "publish_video_expire": 3,
    "publish_data_expire": 4,
}

# Builder, its arguments, its options, the services and the lifetime that must be in the token.
BUILDERS = [
    ("rtc_token", ("room", 7), {}, [Rtc("room", 7, FULL)], 3600),
    ("rtc_token", ("room", 7, "publisher", 60), {}, [Rtc("room", 7, FULL)], 60),
    ("rtc_token", ("room", "ann"), {"privilege_expire": 60}, [Rtc("room", "ann", PUBLISH)], 3600),
    ("rtc_token", ("room", 7, Role.SUBSCRIBER), {}, [Rtc("room", 7, {1: 0})], 3600),
    ("rtc_token", ("room", 7, 2), {"privilege_expire": 9}, [Rtc("room", 7, {1: 9})], 3600),
    ("rtc_token_with_privileges", ("room", 7), {}, [Rtc("room", 7, FULL)], 3600),
    (
        "rtc_token_with_privileges",
        ("room", "ann", 60),
        FOUR,
        [Rtc("room", "ann", {1: 1, 2: 2, 3: 3, 4: 4})],
        60,
    ),
    ("rtm_token", ("ann",), {}, [Rtm("ann", {1: 3600})], 3600),
    ("rtm_token", ("ann", 60), {}, [Rtm("ann", {1: 60})], 60),
    (
        "rtm_token",
        ("ann", 60),
        {"permissions": PERMISSIONS},
        [Rtm2("ann", {0: {0: ("a", "b"), 1: ()}, 4: {1: ("carol",)}}, {1: 60})],
        60,
    ),
    ("rtm_token", ("ann",), {"permissions": {}}, [Rtm2("ann", {}, {1: 3600})], 3600),
    ("rtc_rtm_token", ("room", 7), {}, [Rtc("room", 7, FULL), Rtm("7", {1: 3600})], 3600),
    (
        "rtc_rtm_token",
        ("room", "ann", "subscriber", 60),
        {"privilege_expire": 9},
        [Rtc("room", "ann", {1: 9}), Rtm("ann", {1: 60})],
        60,
    ),
    (
        "rtc_rtm_token",
        ("room", 7),
        {**FOUR, "rtm_user_id": "bob", "rtm_expire": 5},
        [Rtc("room", 7, {1: 1, 2: 2, 3: 3, 4: 4}), Rtm("bob", {1: 5})],
        3600,
    ),
    (
        "rtc_rtm_token",
        ("room", 7, 2),
        {**FOUR, "rtm_expire": 0},
        [Rtc("room", 7, {1: 1}), Rtm("7", {1: 0})],
        3600,
    ),
    (
        "rtc_rtm_token",
        ("room", 7),
        {"privilege_expire": 60, "publish_audio_expire": 0},
        [Rtc("room", 7, {1: 60, 2: 0, 3: 60, 4: 60}), Rtm("7", {1: 3600})],
        3600,
    ),
    (
        "convoai_token",
        ("room", 7),
        {},
        [Rtc("room", 7, FULL), Rtm("7", {1: 3600}), ConvoAI()],
        3600,
    ),
    (
        "stt_token",
        ("room", 7, "subscriber", 60),
        {"rtm_user_id": "bob"},
        [Rtc("room", 7, {1: 0}), Rtm("bob", {1: 60}), Stt()],
        60,
    ),
    ("chat_user_token", ("ann",), {}, [Chat("ann", {1: 3600})], 3600),
    ("chat_user_token", ("ann", 60), {}, [Chat("ann", {1: 60})], 60),
    ("chat_app_token", (), {}, [Chat("", {2: 3600})], 3600),
    ("chat_app_token", (60,), {}, [Chat("", {2: 60})], 60),
    *(
        (f"{family}_{name}", *rest)
        for family in ("education", "apaas")
        for name, *rest in (
            (
                "room_user_token",
                ("room", "ann", 3, 60),
                {},
                [Rtm("ann", {1: 60}), Chat(MD5, {1: 60}), Apaas("room", "ann", 3, {1: 60})],
                60,
            ),
            (
                "room_user_token",
                ("room", "ann", -5),
                {},
                [Rtm("ann", {1: 3600}), Chat(MD5, {1: 3600}), Apaas("room", "ann", -5, {1: 3600})],
                3600,
            ),
            ("user_token", ("ann", 60), {}, [Apaas("", "ann", -1, {2: 60})], 60),
            ("app_token", (60,), {}, [Apaas("", "", -1, {3: 60})], 60),
            ("app_token", (), {}, [Apaas("", "", -1, {3: 3600})], 3600),
        )
    ),
    ("fpa_token", (), {}, [Fpa({1: 0})], 86_400),
    ("fpa_token", (60,), {}, [Fpa({1: 0})], 60),
    ("streaming_token", ("room", 7), {}, [Streaming("room", 7, {1: 0, 2: 0})], 3600),
    (
        "streaming_token",
        ("room", "ann", 60),
        {"privilege_expire": 9},
        [Streaming("room", "ann", {1: 9, 2: 9})],
        60,
    ),
    ("fcdn_token", ("room", "ann"), {}, [FCdn("room", "ann", {1: 0, 2: 0})], 3600),
    (
        "fcdn_token",
        ("room", 7, 60),
        {"privilege_expire": 9},
        [FCdn("room", 7, {1: 9, 2: 9})],
        60,
    ),
    ("temporary_token", ("room",), {}, [Rtc("room", 0, FULL)], 86_400),
]
NAMES_007 = {name for name, *_ in BUILDERS}


def call(project, name, arguments, options):
    return getattr(project, name)(*arguments, **options)


@pytest.mark.parametrize(("name", "arguments", "options", "services", "expire"), BUILDERS)
def test_what_a_builder_puts_in(project, name, arguments, options, services, expire):
    before = copy.deepcopy((arguments, options))
    token = call(project, name, arguments, {**options, **FIXED})
    assert (arguments, options) == before
    claims = parse(token).claims
    assert claims.services == tuple(services)
    assert (claims.app_id, claims.issue_ts, claims.salt, claims.expire) == (
        APP_ID,
        ISSUE_TS,
        SALT,
        expire,
    )
    assert claims.unknown is None
    assert project.verify_signature(token) == "primary"
    # The general builder makes the same token of the same services.
    assert project.token(services, expire, allow_wildcard=True, **FIXED) == token


def test_every_builder_is_covered():
    public = {name for name in vars(Project) if "token" in name and name[0] != "_"}
    batches = {"tokens", "rtc_tokens", "rtc_tokens_006"}
    older = {"access_token", "rtc_token_006", "rtm_token_006", "signaling_token"}
    assert public == NAMES_007 | {"token"} | batches | older


@pytest.mark.parametrize(("name", "arguments", "options", "services", "expire"), BUILDERS)
def test_defaults_of_time_and_salt(project, name, arguments, options, services, expire):
    before = int(time.time())
    claims = [parse(call(project, name, arguments, options)).claims for _ in range(20)]
    after = int(time.time())
    assert all(before <= claim.issue_ts <= after for claim in claims)
    assert all(1 <= claim.salt <= 99_999_999 for claim in claims)
    # 20 salts of 10^8: two are equal once in half a million runs, three never.
    assert len({claim.salt for claim in claims}) >= 19


@pytest.mark.parametrize(("name", "arguments", "options", "services", "expire"), BUILDERS)
def test_the_clock_is_read_at_each_call(
    project, monkeypatch, name, arguments, options, services, expire
):
    for now in (1234.9, 99, 0.0, 2.0**32 - 0.5):
        monkeypatch.setattr(fasttoken.project, "time", lambda now=now: now)
        assert parse(call(project, name, arguments, options)).claims.issue_ts == int(now)
    for now in (-1.0, 2.0**32, 1e300):
        monkeypatch.setattr(fasttoken.project, "time", lambda now=now: now)
        with pytest.raises(FieldError, match=r"issue_ts: must be in 0\.\.4294967295"):
            call(project, name, arguments, options)


@pytest.mark.parametrize("name", sorted({name for name, *_ in BUILDERS}))
def test_a_misspelt_option_is_an_error(project, name):
    arguments = next(arguments for builder, arguments, *_ in BUILDERS if builder == name)
    with pytest.raises(TypeError, match="issued_ts"):
        call(project, name, arguments, {"issued_ts": 5})


def test_any_services_in_any_order(project):
    services = [Stt(), Rtc("b", 0), Fpa({1: 0}), Rtc("a", "ann", {1: 5}), Chat("", {2: 1})]
    claims = parse(project.token(services, 60, allow_wildcard=True, **FIXED)).claims
    assert claims.services == (services[1], services[3], services[2], services[4], services[0])
    assert claims.expire == 60
    assert parse(project.token((services[0],), **FIXED)).claims.expire == 3600


def test_services_may_come_from_a_generator(project):
    claims = parse(project.token(service for service in [Rtc("room", 1), Fpa()])).claims
    assert claims.services == (Rtc("room", 1), Fpa())


@pytest.mark.parametrize("services", [[], (), iter(())])
def test_a_token_has_a_service(project, services):
    with pytest.raises(FieldError, match="services: must hold at least one service"):
        project.token(services)


class Room(str, enum.Enum):
    LOBBY = "lobby"


class Seat(int, enum.Enum):
    FIRST = 7


@pytest.mark.parametrize("uid", [7, np.int64(7), np.uint32(7), Seat.FIRST])
def test_numbers_of_other_types_are_written_as_numbers(project, uid):
    for token in (
        project.rtc_token("room", uid, **FIXED),
        project.token([Rtc("room", uid, FULL)], **FIXED),
    ):
        assert token == project.rtc_token("room", 7, **FIXED)
    assert project.rtc_token_006("room", uid, **FIXED) == project.rtc_token_006("room", 7, **FIXED)
    token = project.rtc_rtm_token("room", uid, **FIXED)
    assert token == project.rtc_rtm_token("room", 7, **FIXED)


def test_text_of_other_types_is_written_as_text(project):
    token = project.rtc_token(Room.LOBBY, Room.LOBBY, **FIXED)
    assert token == project.rtc_token("lobby", "lobby", **FIXED)
    assert project.rtc_token_006(Room.LOBBY, Room.LOBBY, **FIXED) == project.rtc_token_006(
        "lobby", "lobby", **FIXED
    )
    token = project.rtc_rtm_token("room", Room.LOBBY, **FIXED)
    assert token == project.rtc_rtm_token("room", "lobby", **FIXED)
    assert project.signaling_token(Room.LOBBY, 5) == project.signaling_token("lobby", 5)


@pytest.mark.parametrize(
    "option",
    [
        {"expire": np.int64(60)},
        {"privilege_expire": np.uint16(60)},
        {"issue_ts": np.uint32(5)},
        {"salt": np.int32(5)},
    ],
)
def test_numpy_numbers_as_options(project, option):
    plain = {name: int(value) for name, value in option.items()}
    numpy = {**FIXED, **option}
    assert project.rtc_token("room", 7, **numpy) == project.rtc_token(
        "room", 7, **{**FIXED, **plain}
    )
    assert project.streaming_token("room", 7, **numpy) == project.streaming_token(
        "room", 7, **{**FIXED, **plain}
    )


# 006 and older --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        (Role.PUBLISHER, [1, 2, 3, 4]),
        ("publisher", [1, 2, 3, 4]),
        (0, [1, 2, 3, 4]),
        (101, [1, 2, 3, 4]),
        (2, [1]),
        ("subscriber", [1]),
    ],
)
def test_rtc_token_006(project, role, granted):
    claims = parse(project.rtc_token_006("room", "ann", role, 60, **FIXED)).claims
    assert claims.privileges == dict.fromkeys(granted, ISSUE_TS + 60)
    assert (claims.app_id, claims.salt, claims.ts) == (APP_ID, SALT, ISSUE_TS + 86_400)


@pytest.mark.parametrize("uid", [7, "ann"])
def test_rtc_token_006_is_signed_for_its_channel_and_uid(project, uid):
    token = project.rtc_token_006("room", uid)
    assert project.verify_signature(token, channel_name="room", uid=uid) == "primary"
    assert project.verify_signature(token, channel_name="other", uid=uid) is None
    assert project.verify_signature(token, channel_name="room", uid=8) is None


def test_rtc_token_006_of_odd_lifetimes(project):
    with pytest.warns(TokenWarning):
        claims = parse(project.rtc_token_006("room", 1, expire=0, **FIXED)).claims
    assert claims.privileges == {1: 0, 2: 0, 3: 0, 4: 0}
    with pytest.warns(TokenWarning):
        claims = parse(project.rtc_token_006("room", 1, expire=86_401, **FIXED)).claims
    assert claims.privileges[1] == ISSUE_TS + 86_401


def test_rtm_token_006(project):
    token = project.rtm_token_006("ann", 60, **FIXED)
    claims = parse(token).claims
    assert claims.privileges == {1000: ISSUE_TS + 60}
    assert (claims.salt, claims.ts) == (SALT, ISSUE_TS + 86_400)
    assert project.verify_signature(token, channel_name="ann", uid="") == "primary"
    assert parse(project.rtm_token_006("ann", **FIXED)).claims.privileges == {1000: ISSUE_TS + 3600}


def test_006_makes_what_the_general_builder_makes(project):
    """Also of the last issue timestamp from which 24 hours can be counted."""
    for issued in (ISSUE_TS, 0, 2**32 - 1 - 86_400):
        at = {"issue_ts": issued, "salt": SALT}
        general = {"ts": issued + 86_400, "salt": SALT}
        rtc = project.access_token("room", 7, dict.fromkeys(range(1, 5), issued + 60), **general)
        assert project.rtc_token_006("room", 7, "publisher", 60, **at) == rtc
    for mint in (project.rtc_token_006, lambda *names, **at: project.rtm_token_006("ann", **at)):
        with pytest.raises(FieldError, match=r"issue_ts: must be in 0\.\.4294880895"):
            mint("room", 7, issue_ts=2**32 - 86_400)


@pytest.mark.parametrize("mint", ["rtc_token_006", "rtm_token_006"])
def test_006_reads_the_clock_at_each_call(project, monkeypatch, mint):
    names = ("ann",) if mint == "rtm_token_006" else ("room", 7)
    for now in (1234.9, 99):
        monkeypatch.setattr(fasttoken.project, "time", lambda now=now: now)
        assert parse(getattr(project, mint)(*names)).claims.ts == int(now) + 86_400
    for now in (-1.0, 2.0**32):
        monkeypatch.setattr(fasttoken.project, "time", lambda now=now: now)
        with pytest.raises(FieldError, match="issue_ts"):
            getattr(project, mint)(*names)


def test_access_token(project):
    token = project.access_token("room", 7, {101: 5, 1: 0}, ts=9, salt=8)
    claims = parse(token).claims
    assert isinstance(claims, AccessToken)
    assert (claims.privileges, claims.ts, claims.salt) == ({1: 0, 101: 5}, 9, 8)
    assert list(claims.privileges) == [1, 101]
    assert project.verify_signature(token, channel_name="room", uid=7) == "primary"


@pytest.mark.parametrize(
    "mint",
    [
        lambda project: project.rtc_token_006("room", 1),
        lambda project: project.rtm_token_006("ann"),
        lambda project: project.access_token("room", 1, {1: 0}),
    ],
)
def test_defaults_of_006(project, mint):
    before = int(time.time())
    claims = [parse(mint(project)).claims for _ in range(20)]
    after = int(time.time())
    assert all(before <= claim.ts - 86_400 <= after for claim in claims)
    assert all(1 <= claim.salt <= 99_999_999 for claim in claims)
    assert len({claim.salt for claim in claims}) >= 19


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_dynamic_key(project, version):
    key = project.dynamic_key(version, "room", 7, expired_ts=9, unix_ts=5, random_int=6)
    claims = parse(key).claims
    assert (claims.version, claims.unix_ts, claims.random_int) == (version, 5, 6)
    assert claims.expired_ts == (None if version == 1 else 9)
    assert project.verify_signature(key, channel_name="room", uid=7) == "primary"
    assert project.verify_signature(key, channel_name="moor", uid=7) is None


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_defaults_of_dynamic_key(project, version):
    before = int(time.time())
    claims = [parse(project.dynamic_key(version, "room")).claims for _ in range(20)]
    after = int(time.time())
    assert all(before <= claim.unix_ts <= after for claim in claims)
    assert len({claim.random_int for claim in claims}) >= 19
    assert {claim.expired_ts for claim in claims} == ({None} if version == 1 else {0})


@pytest.mark.parametrize(("upload", "value"), [(True, b"3"), (False, b"0")])
def test_in_channel_permission(project, upload, value):
    service = KeyService.IN_CHANNEL_PERMISSION
    key = project.dynamic_key(5, "room", service=service, allow_upload=upload)
    assert parse(key).claims.extra == {1: value}
    assert parse(key).claims.service == service
    with pytest.raises(FieldError, match="service: is unknown to dynamic key 4"):
        project.dynamic_key(4, "room", service=service)
    assert parse(project.dynamic_key(5, "room", service=KeyService.RECORDING)).claims.extra == {}


def test_signaling_token(project):
    token = project.signaling_token("ann", 12345)
    assert parse(token).claims.expired_ts == 12345
    assert project.verify_signature(token, uid="ann") == "primary"
    assert project.verify_signature(token, uid="bob") is None


# Strict edges ---------------------------------------------------------------------------------

LONG, ROOM, USER = "x" * 65, "must be at most 64 bytes, not 65", "means any user here"
ABSOLUTE = "must be seconds from the issue timestamp"
U32, ONE_USER = "must be in 0..4294967295", "must name one user"

# Builder, arguments, options, the field and the rule of the error.
EDGES = [
    ("rtc_token", (LONG, 1), {}, "channel_name", ROOM),
    ("rtc_token", ("", 1), {}, "channel_name", "means any channel here"),
    ("rtc_token", ("*", 1), {}, "channel_name", "means any channel here"),
    ("rtc_token", ("r", 0), {}, "uid", USER),
    ("rtc_token", ("r", ""), {}, "uid", USER),
    ("rtc_token", ("r", "*"), {}, "uid", USER),
    ("rtc_token", ("r", -1), {}, "uid", U32),
    ("rtc_token", ("r", 2**32), {}, "uid", U32),
    ("rtc_token", ("r", "x" * 256), {}, "uid", "must be at most 255 bytes, not 256"),
    ("rtc_token", ("r", True), {}, "uid", "must be an integer, not a bool"),
    ("rtc_token", ("r", None), {}, "uid", "must be an integer, not NoneType"),
    ("rtc_token", ("r", 1, "host"), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token", ("r", 1, 0), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token", ("r", 1, 1, 1_700_003_600), {}, "expire", ABSOLUTE),
    ("rtc_token", ("r", 1, 1, -1), {}, "expire", U32),
    ("rtc_token", ("r", 1, 1, 0), {"strict_lifetime": True}, "expire", rules.LIFETIME),
    ("rtc_token", ("r", 1, 1, 86_401), {"strict_lifetime": True}, "expire", rules.LIFETIME),
    ("rtc_token", ("r", 1), {"privilege_expire": 1_700_003_600}, "privilege_expire", ABSOLUTE),
    ("rtc_token", ("r", 1), {"privilege_expire": -1}, "privilege_expire", U32),
    ("rtc_token", ("r", 1), {"issue_ts": -1}, "issue_ts", U32),
    ("rtc_token", ("r", 1), {"issue_ts": 2**32}, "issue_ts", U32),
    ("rtc_token", ("r", 1), {"issue_ts": 1.5}, "issue_ts", "must be an integer, not float"),
    ("rtc_token", ("r", 1), {"salt": -1}, "salt", U32),
    ("rtc_token", ("r", 1), {"salt": 2**32}, "salt", U32),
    ("rtc_token", ("r", 1), {"salt": True}, "salt", "must be an integer, not a bool"),
    (
        "rtc_token_with_privileges",
        ("r", 1),
        {"publish_video_expire": 1_700_003_600},
        "privilege 3",
        ABSOLUTE,
    ),
    ("rtm_token", (LONG,), {}, "user_id", ROOM),
    ("rtm_token", ("",), {}, "user_id", USER),
    ("rtm_token", ("*",), {}, "user_id", USER),
    ("rtm_token", (7,), {}, "user_id", "must be a str, not int"),
    ("rtm_token", ("a", 10**9), {}, "privilege 1", ABSOLUTE),
    ("rtm_token", ("a",), {"permissions": [1]}, "permissions", "must be a mapping, not list"),
    ("rtm_token", ("a",), {"permissions": {0: 5}}, "permissions", "must hold mappings, not int"),
    ("rtm_token", ("a",), {"permissions": {-1: {}}}, "permissions resource", "must be in 0..65535"),
    (
        "rtm_token",
        ("a",),
        {"permissions": {0: {65536: []}}},
        "permissions permission",
        "must be in 0..65535",
    ),
    (
        "rtm_token",
        ("a",),
        {"permissions": {0: {0: "abc"}}},
        "permissions",
        "must hold lists of at most 65535 names",
    ),
    (
        "rtm_token",
        ("a",),
        {"permissions": {0: {0: [5]}}},
        "permissions name",
        "must be a str, not int",
    ),
    ("rtc_rtm_token", ("r", LONG), {}, "user_id", ROOM),
    ("rtc_rtm_token", ("r", 1), {"rtm_user_id": ""}, "user_id", USER),
    ("rtc_rtm_token", ("r", 1), {"rtm_expire": 10**9}, "privilege 1", ABSOLUTE),
    ("chat_user_token", ("",), {}, "user_id", ONE_USER),
    ("chat_user_token", ("*",), {}, "user_id", ONE_USER),
    ("chat_user_token", ("x" * 256,), {}, "user_id", "must be at most 255 bytes, not 256"),
    ("education_room_user_token", ("", "ann", 1), {}, "room_uuid", "must name one room"),
    ("education_room_user_token", ("r", "", 1), {}, "user_uuid", ONE_USER),
    ("education_room_user_token", ("r", LONG, 1), {}, "user_id", ROOM),
    ("education_room_user_token", ("r", "ann", 2**15), {}, "role", "must be in -32768..32767"),
    (
        "education_room_user_token",
        ("r", "ann", None),
        {},
        "role",
        "must be an integer, not NoneType",
    ),
    ("education_user_token", ("",), {}, "user_uuid", ONE_USER),
    ("streaming_token", ("", 1), {}, "channel_name", "means any channel here"),
    ("streaming_token", ("r", 0), {}, "account", USER),
    ("fcdn_token", ("r", -1), {}, "account", U32),
    ("temporary_token", ("",), {}, "channel_name", "must name one channel"),
    ("temporary_token", ("*",), {}, "channel_name", "must name one channel"),
    ("token", ([Rtc("r", 1, {65536: 1})],), {}, "privilege", "must be in 0..65535"),
    ("token", ([Rtc("r", 1, {"x": 1})],), {}, "privilege", "must be an integer, not str"),
    ("token", ([Rtc("r", 1, {1: 1, "x": 1})],), {}, "privilege", "must be an integer, not str"),
    ("token", ([Rtc("r", 1, {7: -1})],), {}, "privilege 7", U32),
    ("token", ([Rtc(["r"], 1)],), {}, "channel_name", "must be a str, not list"),
    ("token", ([Rtc("r", 1, [{1: 1}])],), {}, "privileges", "must be a mapping, not list"),
    ("rtc_token_006", ("", 1), {}, "channel_name", "means any channel here"),
    ("rtc_token_006", ("r", 0), {}, "uid", USER),
    ("rtc_token", ("r", 1, True), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token_006", ("r", 1, True), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token_006", ("r", 1, False), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token_006", ("r", 1, 3), {}, "role", 'must be "publisher" (1) or "subscriber" (2)'),
    ("rtc_token_006", ("r", 1, 1, 1_700_003_600), {}, "expire", ABSOLUTE),
    ("rtc_token_006", ("r", 1, 1, 0), {"strict_lifetime": True}, "expire", rules.LIFETIME),
    ("rtc_token_006", ("r", 1), {"salt": 2**32}, "salt", U32),
    ("rtm_token_006", ("",), {}, "user_id", ONE_USER),
    ("rtm_token_006", (LONG,), {}, "user_id", ROOM),
    ("rtm_token_006", ("a", 86_401), {"strict_lifetime": True}, "expire", rules.LIFETIME),
    ("access_token", ("r", 0, {1: 0}), {}, "uid", USER),
    ("access_token", ("r", 1, {-1: 0}), {}, "privilege", "must be in 0..65535"),
    ("access_token", ("r", 1, {1: 2**32}), {}, "privilege 1", U32),
    ("access_token", ("r", 1, {1: 0}), {"ts": -1}, "ts", U32),
    ("dynamic_key", (0, "r"), {}, "version", "must be in 1..5"),
    ("dynamic_key", (6, "r"), {}, "version", "must be in 1..5"),
    ("dynamic_key", ("1", "r"), {}, "version", "must be an integer, not str"),
    ("dynamic_key", (1, LONG), {}, "channel_name", ROOM),
    ("dynamic_key", (3, "r", -1), {}, "uid", U32),
    ("dynamic_key", (3, "r", "ann"), {}, "uid", "must be an integer, not str"),
    ("dynamic_key", (3, "r"), {"expired_ts": 2**32}, "expired_ts", U32),
    ("dynamic_key", (3, "r"), {"unix_ts": 2**32}, "unix_ts", U32),
    ("dynamic_key", (3, "r"), {"random_int": 2**32}, "random_int", U32),
    ("dynamic_key", (5, "r"), {"service": 9}, "service", "is unknown to dynamic key 5"),
    ("signaling_token", ("", 5), {}, "account", ONE_USER),
    ("signaling_token", ("x" * 256, 5), {}, "account", "must be at most 255 bytes, not 256"),
    ("signaling_token", ("ann", -1), {}, "expired_ts", U32),
]


@pytest.mark.parametrize(("name", "arguments", "options", "field", "rule"), EDGES)
def test_strict_edges(project, name, arguments, options, field, rule):
    with pytest.raises(FieldError) as caught:
        call(project, name, arguments, options)
    assert (caught.value.field, caught.value.rule) == (field, rule)


@pytest.mark.parametrize("arguments", [("r", 1, 1, 10**9), ("r", 1, 1, 1_700_003_600)])
def test_absolute_timestamps_get_the_mend(project, arguments):
    for mint in (project.rtc_token, project.rtc_token_006, project.rtc_rtm_token):
        with pytest.raises(FieldError) as caught:
            mint(*arguments)
        assert caught.value.mend == "this is a Unix timestamp: pass a duration such as 3600"


@pytest.mark.parametrize(
    ("name", "arguments", "services"),
    [
        ("rtc_token", ("", 0), [Rtc("", 0, FULL)]),
        ("rtc_token", ("*", "*"), [Rtc("*", "*", FULL)]),
        ("rtc_token", ("r", ""), [Rtc("r", 0, FULL)]),
        ("rtm_token", ("*",), [Rtm("*", {1: 3600})]),
        ("rtc_rtm_token", ("r", 0), [Rtc("r", 0, FULL), Rtm("", {1: 3600})]),
        ("streaming_token", ("*", 0), [Streaming("*", 0, {1: 0, 2: 0})]),
        ("fcdn_token", ("", "*"), [FCdn("", "*", {1: 0, 2: 0})]),
    ],
)
def test_wildcards_when_asked_for_by_name(project, name, arguments, services):
    with pytest.raises(FieldError, match="say allow_wildcard=True"):
        call(project, name, arguments, {})
    token = call(project, name, arguments, {"allow_wildcard": True})
    assert parse(token).claims.services == tuple(services)


def test_wildcards_of_006(project):
    token = project.rtc_token_006("", 0, allow_wildcard=True)
    assert project.verify_signature(token, channel_name="", uid=0) == "primary"
    token = project.access_token("*", "*", {1: 0}, allow_wildcard=True)
    assert project.verify_signature(token, channel_name="*", uid="*") == "primary"


# Builders that can't mean a wildcard, with or without the option.
NEVER = [
    ("chat_user_token", ("*",)),
    ("education_room_user_token", ("room", "*", 1)),
    ("education_user_token", ("*",)),
    ("temporary_token", ("*",)),
    ("rtm_token_006", ("*",)),
    ("signaling_token", ("*", 5)),
]


@pytest.mark.parametrize(("name", "arguments"), NEVER)
def test_wildcards_are_never_meant_there(project, name, arguments):
    for options in ({}, {"allow_wildcard": True}):
        with pytest.raises((FieldError, TypeError)) as caught:
            call(project, name, arguments, options)
        assert "say allow_wildcard" not in str(caught.value)


@pytest.mark.parametrize(
    "parameter", ["channel_name", "uid", "role", "expire", "privilege_expire", "issue_ts", "salt"]
)
@pytest.mark.parametrize(
    "value", [b"room", b"", b"*", b"x" * 5000, 1.5, [], {}, object(), float("nan"), 1j, "\ud800"]
)
def test_wrong_types_of_rtc_token(project, parameter, value):
    good = {"channel_name": "room", "uid": 7, "role": 1, "expire": 60}
    with pytest.raises(FieldError) as caught:
        project.rtc_token(**{**good, parameter: value})
    assert caught.value.field == parameter
    if parameter == "privilege_expire":
        return
    with pytest.raises(FieldError) as caught:
        project.rtc_token_006(**{**good, parameter: value})
    assert caught.value.field == parameter


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("token", ([None],), {}),
        ("token", ("abc",), {}),
        ("token", (None,), {}),
        ("token", (Rtc("room", 1),), {}),
        ("access_token", ("room", 1, [1]), {}),
        ("access_token", ("room", 1, None), {}),
        ("rtm_token", ("ann",), {"permissions": {0: {0: None}}}),
        ("rtm_token", ("ann",), {"permissions": {0: [1]}}),
        ("dynamic_key", ([], "room"), {}),
        ("dynamic_key", (5, "room"), {"service": []}),
        ("access_token", ("room", 1, dict.fromkeys(range(20_000), 0)), {}),
        ("token", ([Rtc("room", 1, dict.fromkeys(range(65_536), 0))],), {}),
        ("token", ([Fpa()] * 65_536,), {}),
    ],
)
def test_whatever_is_wrong_is_a_field_error(project, name, arguments, options):
    with pytest.raises(FieldError):
        call(project, name, arguments, options)


@pytest.mark.parametrize("issue_ts", [2**32 - 1, 2**32 - 86_400])
def test_006_times_that_do_not_fit(project, issue_ts):
    """The token's own end, 24 hours after the issue timestamp, is a u32 too."""
    for mint in (
        lambda: project.rtc_token_006("room", 1, issue_ts=issue_ts),
        lambda: project.rtm_token_006("ann", issue_ts=issue_ts),
    ):
        with pytest.raises(FieldError) as caught:
            mint()
        assert caught.value.field == "issue_ts"


def test_latest_006_token(project):
    token = project.rtc_token_006("room", 1, issue_ts=2**32 - 86_401, expire=86_400)
    assert parse(token).claims.ts == 2**32 - 1
    assert parse(token).claims.privileges[1] == 2**32 - 1


# Warnings -------------------------------------------------------------------------------------


def lifetime_warnings(project):
    """Calls that warn of the lifetime, each on one line."""
    return [
        lambda: project.token([Fpa({1: 0})], 0),
        lambda: project.rtc_token("room", 1, expire=86_401),
        lambda: project.rtc_token_with_privileges("room", 1, 0),
        lambda: project.rtc_rtm_token("room", 1, expire=0),
        lambda: project.education_room_user_token("room", "ann", 1, 0),
        lambda: project.fpa_token(0),
        lambda: project.rtc_token_006("room", 1, expire=0),
        lambda: project.rtm_token_006("ann", 0),
        lambda: project.rtc_tokens("room", [1, 2], expire=0),
        lambda: project.rtc_tokens("room", [1, 2], expire=[0, 5]),
        lambda: project.rtc_tokens_006("room", [1, 2], expire=0),
        lambda: project.rtc_tokens_006("room", [1, 2], expire=[5, 86_401]),
        lambda: project.tokens([Fpa({1: [0, 0]})], 0),
    ]


@pytest.mark.parametrize("index", range(13))
def test_a_warning_points_to_the_line_of_the_caller(project, index):
    mint = lifetime_warnings(project)[index]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mint()
    assert [warning.category for warning in caught] == [TokenWarning]
    assert caught[0].filename == __file__
    assert caught[0].lineno == mint.__code__.co_firstlineno
    assert rules.LIFETIME in str(caught[0].message)


def test_a_long_token_is_a_warning(project):
    names = [hashlib.sha256(bytes([n])).hexdigest() for n in range(60)]
    with pytest.warns(TokenWarning, match="longer than 2047 characters") as caught:
        token = project.rtm_token("ann", permissions={0: {0: names}})
    assert caught[0].filename == __file__
    assert len(token) > 2047
    with pytest.warns(TokenWarning, match="longer than 2047 characters") as caught:
        project.tokens([Rtm2(["ann"], {0: {0: names}})])
    assert caught[0].filename == __file__


def test_no_warning_without_need(project):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        project.rtc_token("room", 1, expire=86_400, strict_lifetime=True)
        project.rtc_token("room", 1, expire=1)
        project.rtc_token_006("room", 1, expire=86_400)


# Keys and environment -------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["app_certificate", "secondary_certificate"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "must be 32 hexadecimal digits (these are 0 characters)"),
        (CERTIFICATE + "\n", "must be 32 hexadecimal digits, without whitespace"),
        (CERTIFICATE[:-1] + "g", "must be 32 hexadecimal digits (these are 32 characters)"),
        (CERTIFICATE.encode(), "must be a str, not bytes"),
        (5, "must be a str, not int"),
    ],
)
def test_certificates_are_32_hexadecimal_digits(field, value, rule):
    keys = {"app_certificate": CERTIFICATE, field: value}
    with pytest.raises(FieldError) as caught:
        Project(APP_ID, **keys)
    assert (caught.value.field, caught.value.rule) == (field, rule)
    assert caught.value.mend == "copy it from the Agora Console"


def test_app_certificate_is_needed():
    with pytest.raises(FieldError, match="app_certificate: must be a str, not NoneType"):
        Project(APP_ID, None)


def test_from_env():
    environ = {"AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    project = Project.from_env(environ)
    assert project.app_id == APP_ID
    assert project.rtc_token("r", 1, **FIXED) == Project(APP_ID, CERTIFICATE).rtc_token(
        "r", 1, **FIXED
    )
    swapped = Project(APP_ID, SECONDARY).rtc_token("r", 1)
    assert project.verify_signature(swapped) is None
    both = Project.from_env({**environ, "AGORA_APP_CERTIFICATE_SECONDARY": SECONDARY})
    assert both.verify_signature(swapped) == "secondary"
    empty = Project.from_env({**environ, "AGORA_APP_CERTIFICATE_SECONDARY": ""})
    assert empty.verify_signature(swapped) is None


def test_from_env_reads_the_environment(monkeypatch):
    monkeypatch.setenv("AGORA_APP_ID", APP_ID)
    monkeypatch.setenv("AGORA_APP_CERTIFICATE", CERTIFICATE)
    monkeypatch.delenv("AGORA_APP_CERTIFICATE_SECONDARY", raising=False)
    assert Project.from_env().app_id == APP_ID


@pytest.mark.parametrize("missing", ["AGORA_APP_ID", "AGORA_APP_CERTIFICATE"])
@pytest.mark.parametrize("empty", [True, False])
def test_from_env_names_what_is_missing(missing, empty):
    environ = {"AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    if empty:
        environ[missing] = ""
    else:
        del environ[missing]
    with pytest.raises(FieldError) as caught:
        Project.from_env(environ)
    assert (caught.value.field, caught.value.rule) == (missing, "must be set in the environment")


# Certificates stay in -------------------------------------------------------------------------

SECRETS = [CERTIFICATE, SECONDARY, CERTIFICATE.lower(), CERTIFICATE[:12], SECONDARY[:12]]


def shows_a_certificate(text):
    return [secret for secret in SECRETS if secret.casefold() in str(text).casefold()]


def test_certificates_are_in_no_text_of_a_project(two_keys):
    for text in (repr(two_keys), str(two_keys), f"{two_keys}", vars(two_keys), dir(two_keys)):
        assert not shows_a_certificate(text)
    assert repr(two_keys) == f"Project({APP_ID!r}, ***)"


def test_a_project_is_not_pickled(two_keys):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="can't be pickled") as caught:
            pickle.dumps(two_keys, protocol)
        assert not shows_a_certificate(caught.value)
    with pytest.raises(TypeError):
        copy.deepcopy(two_keys)


def package_frames(error):
    """The traceback of an error with the locals of every frame inside the package, as a tool that
    reports errors would send it."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = []
    while captured is not None:
        inside = [
            f for f in captured.stack if f.filename.startswith(str(PACKAGE)) or ".pyx" in f.filename
        ]
        shown += [(frame.name, frame.locals) for frame in inside]
        captured = captured.__cause__ or captured.__context__
    assert shown
    return shown


BAD_KEYS = [
    lambda: Project(APP_ID, CERTIFICATE + " "),
    lambda: Project(APP_ID, CERTIFICATE[:-1]),
    lambda: Project(APP_ID, CERTIFICATE.encode()),
    lambda: Project(APP_ID, CERTIFICATE, SECONDARY + "0"),
    lambda: Project(APP_ID, CERTIFICATE + "0", SECONDARY),
    lambda: Project(APP_ID + "0", CERTIFICATE, SECONDARY),
]


@pytest.mark.parametrize("index", range(len(BAD_KEYS)))
def test_certificates_are_in_no_frame_of_a_failing_project(index):
    with pytest.raises(FieldError) as caught:
        BAD_KEYS[index]()
    assert not shows_a_certificate(caught.value)
    assert not shows_a_certificate(repr(caught.value))
    assert not shows_a_certificate(package_frames(caught.value))


@pytest.mark.parametrize(
    "broken",
    [
        {"AGORA_APP_ID": "x"},
        {"AGORA_APP_ID": ""},
        {"AGORA_APP_CERTIFICATE": CERTIFICATE + " "},
        {"AGORA_APP_CERTIFICATE_SECONDARY": SECONDARY + " "},
    ],
)
def test_certificates_are_in_no_frame_of_a_failing_from_env(monkeypatch, broken):
    environ = {
        "AGORA_APP_ID": APP_ID,
        "AGORA_APP_CERTIFICATE": CERTIFICATE,
        "AGORA_APP_CERTIFICATE_SECONDARY": SECONDARY,
        **broken,
    }
    with pytest.raises(FieldError) as caught:
        Project.from_env(environ)
    assert not shows_a_certificate(package_frames(caught.value))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FieldError) as caught:
        Project.from_env()
    assert not shows_a_certificate(package_frames(caught.value))


def test_a_half_made_project_has_a_repr():
    """Tools that report errors call it."""
    assert not shows_a_certificate(repr(Project.__new__(Project)))


@pytest.mark.parametrize(("name", "arguments", "options", "field", "rule"), EDGES)
def test_certificates_are_in_no_frame_of_a_failing_mint(
    two_keys, name, arguments, options, field, rule
):
    with pytest.raises(FieldError) as caught:
        call(two_keys, name, arguments, options)
    assert not shows_a_certificate(package_frames(caught.value))


def explode(*arguments, **options):
    raise RuntimeError("out of order")


@pytest.mark.parametrize("where", [(fasttoken.project, "time"), (os, "urandom")])
def test_certificates_are_in_no_frame_when_the_machine_fails(two_keys, monkeypatch, where):
    monkeypatch.setattr(*where, explode)
    _core.forget_salts()
    for mint in (
        lambda: two_keys.rtc_token("room", 1),
        lambda: two_keys.rtm_token("ann"),
        lambda: two_keys.rtc_token_006("room", 1),
        lambda: two_keys.access_token("room", 1, {1: 0}),
    ):
        with pytest.raises(RuntimeError) as caught:
            mint()
        assert not shows_a_certificate(package_frames(caught.value))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_certificates_are_in_no_frame_of_a_failing_verification(two_keys, version):
    key = two_keys.dynamic_key(version, "room", 1)
    for whose in ({}, {"channel_name": "\ud800", "uid": 1}, {"channel_name": "room", "uid": "x"}):
        if version < 4 and whose.get("channel_name") == "room":
            continue  # these carry the uid, or sign none
        with pytest.raises(FieldError) as caught:
            two_keys.verify_signature(key, **whose)
        assert not shows_a_certificate(package_frames(caught.value))
    with pytest.raises(FieldError) as caught:
        two_keys.verify_signature(two_keys.signaling_token("ann", 5), uid="\ud800")
    assert not shows_a_certificate(package_frames(caught.value))


def test_methods_do_not_hold_on_to_their_arguments(project):
    """Neither the builders nor the layouts they keep remember a token."""
    first = project.rtc_token("room", 1, **FIXED)
    project.rtc_token("other", 2, "subscriber", 60, issue_ts=5, salt=6)
    project.rtm_token("ann")
    assert project.rtc_token("room", 1, **FIXED) == first


@pytest.mark.parametrize("key", [1.0, True])
def test_what_only_equals_a_privilege_is_none(project, key):
    """Also when a layout with the privilege that it equals is kept."""
    for privilege in (key, 1, key):
        if privilege is key:
            with pytest.raises(FieldError, match="privilege: must be an integer"):
                project.token([Rtc("room", 1, {privilege: 0})])
        else:
            assert project.token([Rtc("room", 1, {privilege: 0})]).startswith("007")
