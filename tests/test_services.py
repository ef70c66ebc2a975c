"""The service table against the specification, and its frozen claims."""

import copy
import dataclasses
import pickle

import pytest

from fasttoken import FieldError, Role
from fasttoken.formats.access_token2 import pack_service
from fasttoken.services import (
    BY_TYPE,
    Apaas,
    Chat,
    ConvoAI,
    FCdn,
    Fpa,
    FrozenMap,
    Rtc,
    Rtm,
    Rtm2,
    Streaming,
    Stt,
    role,
)

# type: (class, its fields, its privileges), as docs/formats.md has them.
TABLE = {
    1: (
        Rtc,
        ["channel_name", "uid"],
        {"JOIN_CHANNEL": 1, "PUBLISH_AUDIO": 2, "PUBLISH_VIDEO": 3, "PUBLISH_DATA": 4},
    ),
    2: (Rtm, ["user_id"], {"LOGIN": 1}),
    3: (
        Streaming,
        ["channel_name", "account"],
        {"PUBLISH_MIX_STREAM": 1, "PUBLISH_RAW_STREAM": 2},
    ),
    4: (Fpa, [], {"LOGIN": 1}),
    5: (Chat, ["user_id"], {"USER": 1, "APP": 2}),
    6: (FCdn, ["channel_name", "account"], {"PUBLISH": 1, "PLAY": 2}),
    7: (Apaas, ["room_uuid", "user_uuid", "role"], {"ROOM_USER": 1, "USER": 2, "APP": 3}),
    8: (Rtm2, ["user_id", "permissions"], {"LOGIN": 1}),
    9: (ConvoAI, [], {}),
    10: (Stt, [], {}),
}
ALL = [service for service, _, _ in TABLE.values()]


def test_table():
    assert list(BY_TYPE) == list(TABLE)
    for number, (service, fields, privileges) in TABLE.items():
        assert BY_TYPE[number] is service
        assert number == service.TYPE
        assert [field.name for field in service.FIELDS] == fields
        names = [field.name for field in dataclasses.fields(service)]
        assert names == [*fields, "privileges"]
        known = getattr(service, "Privilege", ())
        assert {privilege.name: int(privilege) for privilege in known} == privileges


def test_rtm2_enums():
    assert [int(resource) for resource in Rtm2.Resource] == [0, 1, 2, 3, 4]
    assert [resource.name for resource in Rtm2.Resource] == [
        "MESSAGE_CHANNELS",
        "STREAM_CHANNELS",
        "GROUP_CHANNELS",
        "SERVER_GROUPS",
        "USERS",
    ]
    assert {p.name: int(p) for p in Rtm2.Permission} == {"READ": 0, "WRITE": 1}


PACKED = [
    (Rtc("ab", 7, {3: 5, 1: 2}), "0100 0200 0100 02000000 0300 05000000 0200 6162 0100 37"),
    (Rtc("ab", 0), "0100 0000 0200 6162 0000"),
    (Rtm("é", {1: 1}), "0200 0100 0100 01000000 0200 c3a9"),
    (Streaming("c", "0", {2: 9}), "0300 0100 0200 09000000 0100 63 0100 30"),
    (Fpa({1: 0}), "0400 0100 0100 00000000"),
    (Chat("", {2: 1}), "0500 0100 0200 01000000 0000"),
    (FCdn("c", 4294967295), "0600 0000 0100 63 0a00 34323934393637323935"),
    (Apaas("r", "u", -1, {1: 1}), "0700 0100 0100 01000000 0100 72 0100 75 ffff"),
    (Apaas(), "0700 0000 0000 0000 ffff"),
    (Apaas("", "", -2), "0700 0000 0000 0000 feff"),
    (
        Rtm2("m", {1: {1: ["b", ""]}, 0: {1: [], 0: ["a"]}}, {1: 3}),
        "0800 0100 0100 03000000 0100 6d 0200"
        "0000 0200 0000 0100 0100 61 0100 0000"
        "0100 0100 0100 0200 0100 62 0000",
    ),
    (ConvoAI(), "0900 0000"),
    (Stt(), "0a00 0000"),
]


@pytest.mark.parametrize(("service", "packed"), PACKED)
def test_wire_bytes(service, packed):
    assert pack_service(service).hex() == packed.replace(" ", "")


@pytest.mark.parametrize("service", [service for service, _ in PACKED])
def test_frozen_hashable_and_copied_whole(service):
    with pytest.raises(dataclasses.FrozenInstanceError):
        service.privileges = {}
    with pytest.raises(TypeError):
        service.privileges[1] = 2
    for twin in (copy.copy(service), copy.deepcopy(service), pickle.loads(pickle.dumps(service))):
        assert twin == service
        assert hash(twin) == hash(service)


def test_equality_is_by_type_and_value():
    assert Rtc("a", 1, {1: 2, 3: 4}) == Rtc("a", 1, {3: 4, 1: 2})
    assert hash(Rtc("a", 1, {1: 2, 3: 4})) == hash(Rtc("a", 1, {3: 4, 1: 2}))
    assert Rtc("a", 1) != Rtc("a", 2)
    assert Rtc("a", 0) != Rtc("a", "0")
    assert Streaming("a", 1) != FCdn("a", 1)
    assert ConvoAI() != Stt()


def test_what_was_given_is_not_held():
    privileges, names = {1: 60}, ["lobby"]
    granted = {0: names}
    permissions = {0: granted}
    service = Rtm2("m", permissions, privileges)
    privileges[2] = 5
    names.append("more")
    granted[1] = ["x"]
    permissions[4] = {}
    assert service == Rtm2("m", {0: {0: ["lobby"]}}, {1: 60})


def test_frozen_map():
    frozen = FrozenMap({2: "b", 1: "a"})
    assert frozen == {1: "a", 2: "b"}
    assert list(frozen) == [2, 1]
    assert len(frozen) == 2
    assert repr(frozen) == "{2: 'b', 1: 'a'}"
    assert FrozenMap() == {}
    assert frozen != FrozenMap({1: "a"})
    for change in (
        lambda: frozen.__setitem__(1, "z"),
        lambda: frozen.update({1: "z"}),
        lambda: frozen.pop(1),
    ):
        with pytest.raises(AttributeError):
            change()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Role.PUBLISHER, Role.PUBLISHER),
        (1, Role.PUBLISHER),
        ("publisher", Role.PUBLISHER),
        (Role.SUBSCRIBER, Role.SUBSCRIBER),
        (2, Role.SUBSCRIBER),
        ("subscriber", Role.SUBSCRIBER),
    ],
)
def test_role(value, expected):
    assert role(value) is expected


@pytest.mark.parametrize("value", ["Publisher", "host", "", 3, -1, None, [], {}, "1", b"publisher"])
def test_no_role(value):
    with pytest.raises(FieldError) as caught:
        role(value)
    assert caught.value.field == "role"
    assert caught.value.rule == 'must be "publisher" (1) or "subscriber" (2)'
    assert caught.value.mend == ""


@pytest.mark.parametrize("value", [0, 101])
def test_roles_of_006(value):
    with pytest.raises(FieldError) as caught:
        role(value)
    assert caught.value.mend == "0 and 101 were roles of 006; use publisher"
