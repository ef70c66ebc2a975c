"""Claims as data: to plain dicts and back to the identical token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from broken_tokens import (
    APP_ID,
    BROKEN,
    CERTIFICATE,
    GOOD,
    ISSUED,
    LATER,
    PROJECT,
    key,
    signal,
    t006,
    t007,
    with_unknown_service,
)

from fasttoken import FieldError, MalformedToken, Project, claims, parse
from fasttoken._core import Certificate, crc32, pack_map32, pack_str, pack_u16, pack_u32
from fasttoken.formats import access_token, access_token2
from fasttoken.services import Rtc, Rtm2

VECTORS = [
    json.loads(line)
    for path in sorted((Path(__file__).parent / "vectors").glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
KEY_SERVICES = ("media_channel", "recording", "public_sharing")


def through_json(data: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(data))


def test_every_vector_becomes_data_and_the_identical_token() -> None:
    assert len(VECTORS) >= 800
    for vector in VECTORS:
        given, token = vector["input"], vector["token"]
        parsed = parse(token)
        data = claims.to_data(parsed)
        assert through_json(data) == data
        assert claims.from_data(data) == parsed.claims
        project = Project(given["app_id"], given["app_certificate"])
        channel_name, uid = given.get("channel_name"), given.get("uid", given.get("account"))
        if data["format"] == "dynamic_key" and data["version"] == 4:
            data["service"] = given["service"]
        rebuilt = claims.to_token(through_json(data), project, channel_name=channel_name, uid=uid)
        assert rebuilt == token


def test_data_reads_well() -> None:
    token = t007(
        Rtc("lobby", 42, {1: 600, 2: 0, 99: 5}),
        Rtm2("alice", {0: {0: ["a"], 1: []}, 7: {9: ["b"]}}, {1: 600}),
    )
    assert claims.to_data(parse(token)) == {
        "format": "access_token2",
        "app_id": APP_ID,
        "issue_ts": ISSUED,
        "expire": 3600,
        "salt": 1,
        "services": [
            {
                "service": "rtc",
                "channel_name": "lobby",
                "uid": 42,
                "privileges": {"join_channel": 600, "publish_audio": 0, "99": 5},
            },
            {
                "service": "rtm2",
                "user_id": "alice",
                "permissions": {
                    "message_channels": {"read": ["a"], "write": []},
                    "7": {"9": ["b"]},
                },
                "privileges": {"login": 600},
            },
        ],
    }
    assert claims.to_data(parse(signal())) == {
        "format": "signaling_token",
        "app_id": APP_ID,
        "expired_ts": LATER,
    }


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.made)
def test_what_can_be_read_comes_back(case: Any) -> None:
    try:
        parsed = parse(case.token)
    except MalformedToken:
        return
    assert claims.from_data(through_json(claims.to_data(parsed))) == parsed.claims


def test_unknown_services_come_back() -> None:
    token = with_unknown_service()
    data = claims.to_data(parse(token))
    assert data["unknown_services"]["count"] == 1
    assert claims.to_token(data, PROJECT) == token


def test_what_another_builder_wrote_in_another_order_comes_back() -> None:
    certificate = Certificate(CERTIFICATE.encode())
    backwards = pack_u16(2) + pack_u16(4) + pack_u32(7) + pack_u16(1) + pack_u32(9)
    message = pack_u32(1) + pack_u32(LATER) + backwards
    content = APP_ID.encode() + b"lobby" + b"42" + message
    made = access_token.AccessToken(APP_ID, 1, LATER, {4: 7, 1: 9}, crc32(b"lobby"), crc32(b"42"))
    token = access_token.seal(made, certificate.sign_access_token(content), message)
    data = claims.to_data(parse(token))
    assert data["signed"] == message.hex()
    assert claims.to_token(data, PROJECT, channel_name="lobby", uid=42) == token

    rtm = pack_u16(2) + pack_map32({1: 5}) + pack_str(b"alice")
    rtc = access_token2.pack_service(Rtc("lobby", 42, {1: 5}))
    head = pack_str(APP_ID.encode()) + pack_u32(ISSUED) + pack_u32(60) + pack_u32(1)
    body = head + pack_u16(2) + rtm + rtc
    token = access_token2.seal(certificate.sign_access_token2(ISSUED, 1, body), body)
    data = claims.to_data(parse(token))
    assert [service["service"] for service in data["services"]] == ["rtm", "rtc"]
    assert claims.to_token(data, PROJECT) == token
    data["expire"] = 61
    with pytest.raises(FieldError, match="something else than the other fields"):
        claims.to_token(data, PROJECT)


def test_the_secondary_certificate_signs_when_asked() -> None:
    project = Project(APP_ID, "00112233445566778899aabbccddeeff", CERTIFICATE)
    data = claims.to_data(parse(GOOD))
    assert claims.to_token(data, project, certificate="secondary") == GOOD
    assert claims.to_token(data, project) != GOOD
    with pytest.raises(FieldError, match="no secondary"):
        claims.to_token(data, PROJECT, certificate="secondary")


@pytest.mark.parametrize("service", KEY_SERVICES)
def test_version_4_needs_its_service(service: str) -> None:
    data = claims.to_data(parse(key(4)))
    assert data["service"] is None
    with pytest.raises(FieldError):
        claims.to_token(data, PROJECT, channel_name="lobby", uid=42)
    data["service"] = service
    token = claims.to_token(data, PROJECT, channel_name="lobby", uid=42)
    assert (token == key(4)) == (service == "media_channel")


def test_what_a_format_does_not_carry_must_be_given() -> None:
    for token, asked, field in (
        (t006(), {"uid": 42}, "channel_name"),
        (t006(), {"channel_name": "lobby"}, "uid"),
        (t006(), {"channel_name": "lobby", "uid": 43}, "channel_name and uid"),
        (key(5), {"channel_name": "lobby"}, "uid"),
        (key(5), {"channel_name": "lobby", "uid": "alice"}, "uid"),
        (signal(), {}, "uid"),
    ):
        with pytest.raises(FieldError) as caught:
            claims.to_token(claims.to_data(parse(token)), PROJECT, **asked)  # type: ignore[arg-type]
        assert caught.value.field == field


@pytest.mark.parametrize(
    "change",
    [
        {"format": "008"},
        {"app_id": None},
        {"salt": -1},
        {"salt": 2**32},
        {"services": [{"service": "nothing"}]},
        {"services": [{"service": "rtc"}]},
        {"services": 7},
        {"services": [{"service": "rtc", "channel_name": 7, "uid": 1, "privileges": {}}]},
        {"services": [{"service": "rtc", "channel_name": "", "uid": 1, "privileges": {"x": 1}}]},
        {"unheard": 1},
        {"signed": "zz"},
        {"signed": "00"},
    ],
)
def test_other_data_is_refused(change: dict[str, Any]) -> None:
    data = claims.to_data(parse(GOOD)) | change
    with pytest.raises(FieldError):
        claims.to_token(data, PROJECT)


def test_no_format_is_refused() -> None:
    with pytest.raises(FieldError, match="no or an unknown 'format'"):
        claims.from_data({})
