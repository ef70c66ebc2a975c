"""The formats against known answers: build, parse, rebuild, verify, refuse."""

import dataclasses

import numpy as np
import pytest
from helpers import (
    APP_ID,
    CERTIFICATE,
    SECONDARY,
    by_number,
    claims_007,
    comparable,
    content_007,
    vectors,
)
from hypothesis import given
from hypothesis import strategies as st

from fasttoken import MalformedToken, Project, parse
from fasttoken._core import Certificate, crc32, deflate, encode, pack_str, pack_u16, pack_u32
from fasttoken.errors import FieldError
from fasttoken.formats import (
    BY_NAME,
    FORMATS,
    access_token,
    access_token2,
    detect,
    dynamic_key,
    signaling,
)
from fasttoken.services import BY_TYPE, Apaas, Chat, Fpa, Rtc, Rtm, Rtm2, Streaming

OTHER = "f" * 32
KEY_SERVICES = {service.name.lower(): service for service in dynamic_key.KeyService}
SUFFIXES = {1: "", 2: "2", 3: "3", 4: "4", 5: "5"}


def certificate(given):
    return Certificate(given["app_certificate"].encode())


def key_of(given):
    return Project(given["app_id"], given["app_certificate"])


def stranger(given):
    return Project(given["app_id"], OTHER)


# AccessToken2 ---------------------------------------------------------------------------------


def as_read(claims):
    """Claims as a reader sees them: services in token order, and a decimal account, which is
    written as the uid of the same number is, as that number."""
    read = []
    for service in sorted(claims.services, key=lambda service: service.TYPE):
        for name in ("uid", "account"):
            value = getattr(service, name, None)
            if value == "" or (isinstance(value, str) and value.isascii() and value.isdigit()):
                number = int(value or "0")
                if value == "" or (str(number) == value and 0 < number < 2**32):
                    service = dataclasses.replace(service, **{name: number})
        read.append(service)
    return dataclasses.replace(claims, services=tuple(read))


@pytest.mark.parametrize(("given", "token"), vectors("access_token2"))
def test_access_token2_vector(given, token):
    claims = claims_007(given)
    assert comparable(access_token2.build(claims, certificate(given))) == comparable(token)

    parsed = parse(token)
    assert parsed.format == "access_token2"
    assert parsed.claims == as_read(claims)
    assert parsed.claims.unknown is None
    assert pack_str(parsed.signature) + parsed.signed == content_007(token)
    rebuilt = access_token2.build(parsed.claims, certificate(given))
    assert comparable(rebuilt) == comparable(token)

    assert key_of(given).verify_signature(token) == "primary"
    assert stranger(given).verify_signature(token) is None


def sealed(body, key=CERTIFICATE, issue_ts=7, salt=9):
    """A 007 token around any body, rightly signed."""
    signature = Certificate(key.encode()).sign_access_token2(issue_ts, salt, body)
    return access_token2.seal(signature, body)


def head(count):
    return pack_str(APP_ID.encode()) + pack_u32(7) + pack_u32(3600) + pack_u32(9) + pack_u16(count)


def test_unknown_services_are_kept_losslessly(project):
    known = access_token2.pack_service(Rtm("alice", {1: 60}))
    rest = pack_u16(77) + pack_u16(1) + pack_u16(5) + pack_u32(6) + b"\xff\x00anything"
    body = head(3) + known + rest
    token = sealed(body)
    claims = parse(token).claims
    assert claims.services == (Rtm("alice", {1: 60}),)
    assert claims.unknown == access_token2.UnknownServices(2, rest)
    assert access_token2.pack(claims) == body
    assert comparable(access_token2.build(claims, Certificate(CERTIFICATE.encode()))) == comparable(
        token
    )
    assert project.verify_signature(token) == "primary"


def test_bytes_behind_the_services_are_kept(project):
    body = head(1) + access_token2.pack_service(Fpa({1: 0})) + b"tail"
    token = sealed(body)
    claims = parse(token).claims
    assert claims.services == (Fpa({1: 0}),)
    assert claims.unknown == access_token2.UnknownServices(0, b"tail")
    assert access_token2.pack(claims) == body
    assert project.verify_signature(token) == "primary"


def test_privileges_out_of_order_verify_as_they_stand(project):
    privileges = pack_u16(2) + pack_u16(3) + pack_u32(1) + pack_u16(1) + pack_u32(2)
    token = sealed(head(1) + pack_u16(4) + privileges)
    assert parse(token).claims.services == (Fpa({1: 2, 3: 1}),)
    assert project.verify_signature(token) == "primary"


def test_services_are_sorted_by_type_and_stay_in_order_within_one(project):
    services = [Chat("c"), Rtc("b", 2), Rtm("m"), Rtc("a", 1)]
    claims = parse(project.token(services)).claims
    assert claims.services == (Rtc("b", 2), Rtc("a", 1), Rtm("m"), Chat("c"))


@pytest.mark.parametrize(
    ("uid", "text"),
    [
        (0, b""),
        (1, b"1"),
        (4294967295, b"4294967295"),
        ("0", b"0"),
        ("01", b"01"),
        ("é", "é".encode()),
    ],
)
def test_uid_text(uid, text):
    assert access_token2.uid_text(uid) == text
    assert access_token2.uid_value(text.decode()) == uid


@pytest.mark.parametrize("text", ["4294967296", "-1", "+1", " 1", "1_0", "١٢", "²", "00"])
def test_text_that_is_no_uid_stays_text(text):
    assert access_token2.uid_value(text) == text


@given(st.text(max_size=20))
def test_uid_value_gives_the_same_text_back(text):
    assert access_token2.uid_text(access_token2.uid_value(text)).decode() == text


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
privileges = st.dictionaries(u16, u32, max_size=4)
uids = st.one_of(st.integers(0, 2**32 - 1), names).map(
    lambda uid: access_token2.uid_value(access_token2.uid_text(uid).decode())
)
some_service = st.one_of(
    st.builds(Rtc, names, uids, privileges),
    st.builds(Streaming, names, uids, privileges),
    st.builds(Fpa, privileges),
    st.builds(Apaas, names, names, st.integers(-(2**15), 2**15 - 1), privileges),
    st.builds(
        Rtm2,
        names,
        st.dictionaries(
            u16, st.dictionaries(u16, st.lists(names, max_size=3), max_size=3), max_size=3
        ),
        privileges,
    ),
)


@given(st.lists(some_service, max_size=4), u32, u32, u32)
def test_access_token2_round_trip(services, issue_ts, expire, salt):
    ordered = tuple(sorted(services, key=lambda service: service.TYPE))
    claims = access_token2.AccessToken2(APP_ID, issue_ts, expire, salt, ordered)
    key = Certificate(CERTIFICATE.encode())
    token = access_token2.build(claims, key)
    parsed = parse(token)
    assert parsed.claims == claims
    assert access_token2.pack(parsed.claims) == parsed.signed
    assert access_token2.verify_signature(parsed, key, None, None)


# AccessToken ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "token"), vectors("access_token"))
def test_access_token_vector(given, token):
    channel = given["channel_name"].encode()
    uid = access_token2.uid_text(given["uid"])
    claims = access_token.claims_for(
        given["app_id"], channel, uid, given["salt"], given["ts"], by_number(given["privileges"])
    )
    assert access_token.build(claims, certificate(given), channel, uid) == token

    parsed = parse(token)
    assert parsed.format == "access_token"
    assert parsed.claims == claims
    assert (parsed.claims.channel_crc, parsed.claims.uid_crc) == (crc32(channel), crc32(uid))
    assert access_token.build(parsed.claims, certificate(given), channel, uid) == token

    whose = {"channel_name": given["channel_name"], "uid": given["uid"]}
    assert key_of(given).verify_signature(token, **whose) == "primary"
    assert stranger(given).verify_signature(token, **whose) is None
    for wrong in ({"channel_name": given["channel_name"] + "x"}, {"uid": "another"}):
        assert key_of(given).verify_signature(token, **{**whose, **wrong}) is None
    for missing in whose:
        with pytest.raises(FieldError) as caught:
            key_of(given).verify_signature(token, **{**whose, missing: None})
        assert caught.value.field == missing


def test_access_token_verifies_over_the_message_as_it_stands(project):
    """Some official builders write the privileges in another order."""
    privileges = pack_u16(2) + pack_u16(2) + pack_u32(5) + pack_u16(1) + pack_u32(5)
    message = pack_u32(1) + pack_u32(2) + privileges
    signature = Certificate(CERTIFICATE.encode()).sign_access_token(
        f"{APP_ID}roomme".encode() + message
    )
    claims = access_token.claims_for(APP_ID, b"room", b"me", 1, 2, {2: 5, 1: 5})
    token = access_token.seal(claims, signature, message)
    assert parse(token).claims == claims
    assert access_token.pack(claims) != message
    assert project.verify_signature(token, channel_name="room", uid="me") == "primary"


# Dynamic keys ---------------------------------------------------------------------------------

KEYS = [
    (version, given, token)
    for version, suffix in SUFFIXES.items()
    for given, token in vectors(f"dynamic_key{suffix}")
]


@pytest.mark.parametrize(("version", "given", "token"), KEYS)
def test_dynamic_key_vector(version, given, token):
    service = KEY_SERVICES[given.get("service", "media_channel")]
    claims = dynamic_key.claims_for(
        version,
        given["app_id"],
        given["unix_ts"],
        given["random_int"],
        given.get("expired_ts", 0),
        service,
        given.get("permission") == "3",
    )
    channel, uid = given["channel_name"].encode(), given.get("uid", 0)
    assert dynamic_key.build(claims, certificate(given), channel, uid) == token

    parsed = parse(token)
    assert parsed.format == "dynamic_key"
    read = parsed.claims
    assert (read.version, read.unix_ts, read.random_int) == (
        version,
        given["unix_ts"],
        given["random_int"],
    )
    assert read.app_id == given["app_id"]
    assert read.uid == (uid if version in (2, 3) else None)
    assert read.expired_ts == (None if version == 1 else given["expired_ts"])
    assert read.service == (service if version == 5 else None)
    assert read.extra == ({1: given["permission"].encode()} if "permission" in given else {})
    rebuilt = dataclasses.replace(read, service=service) if version == 4 else read
    assert dynamic_key.build(rebuilt, certificate(given), channel, uid) == token

    whose = {"channel_name": given["channel_name"], "uid": uid}
    assert key_of(given).verify_signature(token, **whose) == "primary"
    assert stranger(given).verify_signature(token, **whose) is None
    other_channel = {**whose, "channel_name": given["channel_name"] + "x"}
    assert key_of(given).verify_signature(token, **other_channel) is None
    if version in (4, 5):
        assert key_of(given).verify_signature(token, **{**whose, "uid": uid + 1}) is None


@pytest.mark.parametrize(
    ("version", "field"),
    [(1, "channel_name"), (2, "channel_name"), (3, "channel_name"), (4, "uid"), (5, "uid")],
)
def test_dynamic_key_needs_what_it_does_not_carry(project, version, field):
    key = project.dynamic_key(version, "room", 5, unix_ts=1, random_int=2)
    whose = {"channel_name": "room", "uid": 5, field: None}
    with pytest.raises(FieldError) as caught:
        project.verify_signature(key, **whose)
    assert caught.value.field == field
    assert f"dynamic_key {version}" in caught.value.rule


def test_dynamic_key_knows_no_accounts(project):
    key = project.dynamic_key(5, "room", 5, unix_ts=1, random_int=2)
    with pytest.raises(FieldError, match="uid: must be an integer"):
        project.verify_signature(key, channel_name="room", uid="alice")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("beginning", ["003", "004", "005", "006", "007"])
def test_dynamic_key_whose_signature_looks_like_a_prefix(project, version, beginning):
    """Versions 1 and 2 begin with hexadecimal digits: some begin as another format does."""
    keys = (project.dynamic_key(version, "room", unix_ts=1, random_int=i) for i in range(100_000))
    key = next(key for key in keys if key.startswith(beginning))
    assert parse(key).format == "dynamic_key"
    assert parse(key).claims.version == version
    assert project.verify_signature(key, channel_name="room", uid=0) == "primary"


# Signaling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "token"), vectors("signaling_token"))
def test_signaling_vector(given, token):
    claims = signaling.SignalingToken(given["app_id"], given["expired_ts"])
    assert signaling.build(claims, certificate(given), given["account"]) == token

    parsed = parse(token)
    assert parsed.format == "signaling_token"
    assert parsed.claims == claims
    assert signaling.build(parsed.claims, certificate(given), given["account"]) == token

    assert key_of(given).verify_signature(token, uid=given["account"]) == "primary"
    assert stranger(given).verify_signature(token, uid=given["account"]) is None
    assert key_of(given).verify_signature(token, uid=given["account"] + "x") is None
    with pytest.raises(FieldError, match="uid: must be given"):
        key_of(given).verify_signature(token)


# The registry ---------------------------------------------------------------------------------


def test_registry_names():
    assert set(BY_NAME) == {"access_token2", "access_token", "dynamic_key", "signaling_token"}
    assert [BY_NAME[name] for name in BY_NAME] == list(FORMATS)
    assert list(BY_TYPE) == list(range(1, 11))


@pytest.mark.parametrize("name", ["access_token2", "access_token", "signaling_token"])
def test_detect(name):
    for _, token in vectors(name):
        assert detect(token) is BY_NAME[name]


@pytest.mark.parametrize("token", ["", "0", "00", "008abc", "hello", "1", "007"[:2], " 007", "2:"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(MalformedToken) as caught:
        parse(token)
    assert caught.value.stage == "prefix"


def test_parsed_hides_signature_and_body(project):
    parsed = parse(project.rtc_token("room", 1))
    assert "signature" not in repr(parsed)
    assert "signed" not in repr(parsed)


def test_either_certificate_verifies(two_keys, project):
    swapped = Project(APP_ID, SECONDARY)
    assert two_keys.verify_signature(project.rtc_token("room", 1)) == "primary"
    assert two_keys.verify_signature(swapped.rtc_token("room", 1)) == "secondary"
    assert project.verify_signature(swapped.rtc_token("room", 1)) is None
    token = swapped.rtc_token_006("room", 1)
    assert two_keys.verify_signature(token, channel_name="room", uid=1) == "secondary"


@pytest.mark.parametrize("uid", [7, np.int64(7), np.uint32(7), "7"])
def test_verifies_with_numbers_of_other_types(project, uid):
    token = project.rtc_token_006("room", 7)
    assert project.verify_signature(token, channel_name="room", uid=uid) == "primary"
    key = project.dynamic_key(5, "room", 7)
    if not isinstance(uid, str):
        assert project.verify_signature(key, channel_name="room", uid=uid) == "primary"


def test_letter_case_is_signed():
    upper = Project(APP_ID.upper(), CERTIFICATE)
    token = upper.rtc_token("room", 1)
    assert parse(token).claims.app_id == APP_ID.upper()
    assert Project(APP_ID, CERTIFICATE.lower()).verify_signature(token) is None
    assert upper.verify_signature(token) == "primary"


@pytest.mark.parametrize("position", range(34))
def test_any_changed_signature_byte_is_refused(project, position):
    """Positions 2..33 are the signature; 0 and 1 its length."""
    content = bytearray(content_007(project.rtc_token("room", 1, issue_ts=1, salt=2)))
    content[position] ^= 0x40
    token = access_token2.PREFIX + encode(deflate(bytes(content)))
    if position < 2:
        with pytest.raises(MalformedToken, match="signature"):
            parse(token)
    else:
        assert project.verify_signature(token) is None
