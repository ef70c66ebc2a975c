"""The native API over HTTP: every service, every answer, every refusal."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from helpers import APP_ID, CERTIFICATE
from jsonschema import Draft202012Validator

from fasttoken import Project, parse, services
from fasttoken.formats.access_token2 import AccessToken2

pytestmark = pytest.mark.once

NDJSON, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"
RTC = {"service": "rtc", "channel_name": "lobby", "uid": 42}
OFTEN = {"issue_ts": 1_700_000_000, "salt": 1}


def rtc(channel: str, uid: int | str, **more) -> dict:
    return {"services": [{"service": "rtc", "channel_name": channel, "uid": uid}], **more}


def post(dev, path: str, body, **headers: str):
    return dev.client.post(path, json=body, headers=headers)


# POST /v1/tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "build"),
    [
        ({"services": [RTC]}, lambda p: p.rtc_token("lobby", 42, **OFTEN)),
        (
            {"services": [RTC | {"uid": "ann", "role": "subscriber"}], "expire": 60},
            lambda p: p.rtc_token("lobby", "ann", "subscriber", 60, **OFTEN),
        ),
        (
            {"services": [RTC | {"privileges": {"join_channel": 60, "publish_audio": 0}}]},
            lambda p: p.token([services.Rtc("lobby", 42, {1: 60, 2: 0})], 3600, **OFTEN),
        ),
        (
            {"services": [{"service": "rtm", "user_id": "ann"}]},
            lambda p: p.rtm_token("ann", **OFTEN),
        ),
        (
            {
                "services": [
                    {
                        "service": "rtm2",
                        "user_id": "ann",
                        "permissions": {"message_channels": {"read": ["a", "b"]}},
                    }
                ]
            },
            lambda p: p.rtm_token("ann", permissions={0: {0: ["a", "b"]}}, **OFTEN),
        ),
        (
            {"services": [RTC, {"service": "rtm", "user_id": "42"}], "expire": 60},
            lambda p: p.rtc_rtm_token("lobby", 42, expire=60, **OFTEN),
        ),
        (
            {"services": [RTC, {"service": "rtm", "user_id": "42"}, {"service": "convoai"}]},
            lambda p: p.convoai_token("lobby", 42, **OFTEN),
        ),
        (
            {"services": [RTC, {"service": "rtm", "user_id": "42"}, {"service": "stt"}]},
            lambda p: p.stt_token("lobby", 42, **OFTEN),
        ),
        (
            {"services": [{"service": "chat", "user_id": "ann"}]},
            lambda p: p.chat_user_token("ann", **OFTEN),
        ),
        ({"services": [{"service": "chat"}]}, lambda p: p.chat_app_token(**OFTEN)),
        (
            {"services": [{"service": "apaas", "user_uuid": "ann"}]},
            lambda p: p.education_user_token("ann", **OFTEN),
        ),
        ({"services": [{"service": "apaas"}]}, lambda p: p.education_app_token(**OFTEN)),
        (
            {"services": [{"service": "fpa"}], "expire": 86400},
            lambda p: p.fpa_token(**OFTEN),
        ),
        (
            {"services": [{"service": "streaming", "channel_name": "lobby", "account": 7}]},
            lambda p: p.streaming_token("lobby", 7, **OFTEN),
        ),
        (
            {"services": [{"service": "fcdn", "channel_name": "lobby", "account": "ann"}]},
            lambda p: p.fcdn_token("lobby", "ann", **OFTEN),
        ),
    ],
)
def test_a_token_is_what_agoras_builder_makes(dev, project, body, build):
    answer = post(dev, "/v1/tokens", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    claims, wanted = parse(found["token"]).claims, parse(build(project)).claims
    assert isinstance(claims, AccessToken2)
    assert (claims.services, claims.expire) == (wanted.services, wanted.expire)
    assert claims.app_id == APP_ID
    assert claims.issue_ts == found["issued_at"]
    assert project.verify_signature(found["token"]) == "primary"


@pytest.mark.parametrize(
    ("body", "seconds", "renew"),
    [
        (rtc("lobby", 42), 3600, 3570),
        (rtc("lobby", 42, expire=86400), 86400, 86370),
        (rtc("lobby", 42, expire=50), 50, 25),
        (rtc("lobby", 42, expire=1), 1, 0),
        (
            {"services": [RTC | {"privileges": {"join_channel": 100, "publish_audio": 200}}]},
            100,
            70,
        ),
        ({"services": [{"service": "rtm", "user_id": "ann", "privileges": {}}]}, 3600, 3570),
    ],
)
def test_an_answer_says_when_to_come_back(dev, body, seconds, renew):
    found = post(dev, "/v1/tokens", body).json()
    assert found["expires_at"] == found["issued_at"] + seconds
    assert found["renew_at"] == found["issued_at"] + renew


def test_006(dev, project):
    for body, asked in (
        (rtc("lobby", 42, version="006"), {"channel_name": "lobby", "uid": 42}),
        ({"services": [{"service": "rtm", "user_id": "ann"}], "version": "006"}, {"uid": "ann"}),
    ):
        token = post(dev, "/v1/tokens", body).json()["token"]
        assert token.startswith("006")
        assert project.verify(token, **asked).ok


@pytest.mark.parametrize(
    ("body", "status", "field", "rule"),
    [
        (rtc("", 42), 422, "channel_name", "means any channel here"),
        (rtc("*", 42), 422, "channel_name", "means any channel here"),
        (rtc("ä", 42), 422, "channel_name", "has 'ä', but only"),
        (rtc("x" * 65, 42), 422, "channel_name", "must be at most 64 bytes"),
        (rtc("lobby", 0), 422, "uid", "means any user here"),
        (rtc("lobby", ""), 422, "uid", "means any user here"),
        (rtc("lobby", "*"), 422, "uid", "means any user here"),
        (rtc("lobby", 2**32), 422, "uid", "must be in 0..4294967295"),
        (rtc("lobby", 10**30), 422, "uid", "must be in 0..4294967295"),
        (rtc("lobby", -1), 422, "uid", "must be in 0..4294967295"),
        (rtc("lobby", True), 422, "services[0].uid", "must be int | str, not bool"),
        (rtc("lobby", 1.5), 422, "services[0].uid", "must be int | str, not float"),
        (rtc("lobby", None), 422, "services[0].uid", "must be int | str, not null"),
        (rtc("lobby", "x" * 256), 422, "uid", "must be at most 255 bytes"),
        (rtc("lobby", 42, expire=0), 422, "expire", "must be in 1..86400 seconds"),
        (rtc("lobby", 42, expire=86401), 422, "expire", "must be in 1..86400 seconds"),
        (rtc("lobby", 42, expire=1_700_000_000), 422, "expire", "must be in 1..86400 seconds"),
        (rtc("lobby", 42, expire=None), 422, "expire", "must be int, not null"),
        (rtc("lobby", 42, salt=1), 422, "salt", "is not known here"),
        (rtc("lobby", 42, version="005"), 422, "version", "Invalid enum value '005'"),
        ({"services": [RTC | {"role": "host"}]}, 422, "services[0].role", "Invalid enum"),
        (
            {"services": [RTC | {"privileges": {"join_channel": 90000}}]},
            422,
            "privileges",
            "must be in 1..86400 seconds",
        ),
        (
            {"services": [RTC | {"privileges": {"dance": 1}}]},
            422,
            "services[0].privileges",
            "Invalid enum value 'dance'",
        ),
        (
            {"services": [RTC | {"role": "publisher", "privileges": {}}]},
            422,
            "role",
            "can't be given together with privileges",
        ),
        ({"services": [{"service": "phone"}]}, 422, "services[0].service", "Invalid value"),
        ({"services": [RTC | {"channel": "x"}]}, 422, "services[0].channel", "is not known"),
        ({"services": [{"service": "rtc", "uid": 1}]}, 422, "services[0].channel_name", "must be"),
        ({"services": []}, 422, "services", "must be array of length >= 1"),
        ({"services": [RTC] * 17}, 422, "services", "must be array of length <= 16"),
        ({}, 422, "services", "must be given"),
        ([], 422, "body", "must be object, not array"),
        ("text", 422, "body", "must be object, not str"),
        (
            {"services": [RTC, {"service": "stt"}], "version": "006"},
            422,
            "services",
            "must be RTC with a role, alone",
        ),
        ({"services": [{"service": "stt"}], "version": "006"}, 422, "services", "must be RTM"),
    ],
)
def test_a_refusal_names_the_field_and_the_rule(dev, body, status, field, rule):
    answer = post(dev, "/v1/tokens", body)
    found = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, found["status"], found["field"]) == (status, status, field)
    assert rule in found["rule"]
    assert "allow_wildcard" not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b'{"services": }', b"\xff\xfe", b'{"services": ['])
def test_what_is_no_json_is_a_bad_request(dev, body):
    answer = dev.client.post("/v1/tokens", content=body)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400


# POST /v1/tokens:batch ----------------------------------------------------------------------------


def test_ten_thousand_tokens_each_for_its_own_row(dev, project):
    rows = [rtc(f"room {row % 7}", row + 1, expire=60 + row % 5) for row in range(10_000)]
    answer = post(dev, "/v1/tokens:batch", {"tokens": rows})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == NDJSON
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["row"] for line in found] == list(range(10_000))
    tokens = [line["token"] for line in found]
    assert len(set(tokens)) == 10_000
    channels = [row["services"][0]["channel_name"] for row in rows]
    assert project.verify_many(tokens, channels, list(range(1, 10_001))).ok.all()
    ends = [line["expires_at"] - line["issued_at"] for line in found]
    assert ends == [row["expire"] for row in rows]


def test_a_batch_of_every_kind(dev, project):
    rows = [
        rtc("lobby", 1),
        rtc("*", 1),
        {"services": [RTC | {"role": "subscriber"}], "version": "006"},
        {"services": [{"service": "rtm", "user_id": "ann"}], "version": "006"},
        {"services": [RTC, {"service": "rtm", "user_id": "ann"}], "expire": 60},
        {"services": [{"service": "stt"}], "version": "006"},
        {"services": [RTC | {"uid": "bob"}, {"service": "rtm", "user_id": "bob"}], "expire": 90},
        rtc("lobby", 2, expire=86401),
        {"services": [{"service": "apaas", "room_uuid": "r", "user_uuid": "u", "role": 3}]},
        {"services": [{"service": "rtm", "user_id": ""}]},
    ]
    lines = post(dev, "/v1/tokens:batch", {"tokens": rows}).text.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(one["row"], one.get("status"), one.get("field")) for one in found] == [
        (0, None, None),
        (1, 422, "channel_name"),
        (2, None, None),
        (3, None, None),
        (4, None, None),
        (5, 422, "services"),
        (6, None, None),
        (7, 422, "expire"),
        (8, None, None),
        (9, 422, "user_id"),
    ]
    for one in found:
        if "token" in one:
            alone = post(dev, "/v1/tokens", rows[one["row"]]).json()["token"]
            got, wanted = parse(one["token"]).claims, parse(alone).claims
            assert type(got) is type(wanted)
            if isinstance(got, AccessToken2):
                assert got.services == wanted.services
                assert got.expire == wanted.expire
            else:
                assert (got.channel_crc, got.uid_crc) == (wanted.channel_crc, wanted.uid_crc)
                assert list(got.privileges) == list(wanted.privileges)
    assert "allow_wildcard" not in "".join(lines)


def test_a_batch_as_arrow(dev, project):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    rows = [rtc("lobby", row) for row in range(1200)]
    answer = post(dev, "/v1/tokens:batch", {"tokens": rows}, accept=ARROW)
    assert answer.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    assert table["row"].to_pylist() == list(range(1200))
    assert table["field"].to_pylist() == ["uid"] + [None] * 1199
    assert table["status"].to_pylist() == [422] + [None] * 1199
    tokens = table["token"].to_pylist()
    assert tokens[0] is None
    assert project.verify_many(tokens[1:], "lobby", list(range(1, 1200))).ok.all()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", NDJSON),
        ("application/*", NDJSON),
        (f"text/html, {NDJSON}; q=0.5", NDJSON),
        (f"{ARROW}, {NDJSON}", ARROW),
        ("text/html", None),
        ("application/json", None),
    ],
)
def test_the_form_of_a_batch_is_negotiated(dev, accept, kind):
    answer = post(dev, "/v1/tokens:batch", {"tokens": [rtc("lobby", 1)]}, accept=accept)
    if kind is None:
        assert answer.status_code == 406
        assert answer.json()["detail"] == f"the answer can be {NDJSON} or {ARROW}"
    else:
        assert answer.headers["content-type"] == kind


@pytest.mark.parametrize(
    ("rows", "rule"), [(0, "array of length >= 1"), (10_001, "array of length <= 10000")]
)
def test_a_batch_has_a_size(dev, rows, rule):
    answer = post(dev, "/v1/tokens:batch", {"tokens": [rtc("lobby", 1)] * rows})
    assert answer.status_code == 422
    assert answer.json()["rule"] == f"must be {rule}"


# POST /v1/verify ----------------------------------------------------------------------------------


def test_verdicts_are_those_of_the_project(dev, two_keys):
    tokens = [
        two_keys.rtc_token("lobby", 42),
        two_keys.rtc_token("lobby", 42, issue_ts=1_600_000_000),
        Project(APP_ID, "1" * 32).rtc_token("lobby", 42),
        "007junk",
    ]
    asked = {"channel_name": "lobby", "uid": 42, "privilege": "rtc.publish_audio", "now": 2**31}
    found = post(dev, "/v1/verify", {"tokens": tokens, **asked}).json()["verdicts"]
    assert found == [two_keys.verify(token, **asked).to_data() for token in tokens]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tokens"),
        ({"tokens": []}, "tokens"),
        ({"tokens": ["x"] * 1001}, "tokens"),
        ({"tokens": [1]}, "tokens[0]"),
        ({"tokens": ["x"], "privilege": "rtc.fly"}, "privilege"),
        ({"tokens": ["x"], "leeway": -1}, "leeway"),
        ({"tokens": ["x"], "certificate": CERTIFICATE}, "certificate"),
    ],
)
def test_a_wrong_question_is_refused(dev, body, field):
    answer = post(dev, "/v1/verify", body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert CERTIFICATE not in answer.text


# The rest -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(dev, path):
    answer = dev.client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    head = dev.client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_unknown_paths_and_methods(dev):
    assert dev.client.get("/nowhere").status_code == 404
    answer = dev.client.get("/v1/tokens")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_metrics_count(dev):
    def tokens() -> float:
        text = dev.client.get("/metrics").text
        found = re.search(r'^fasttoken_tokens_total\{.*service="rtc".*\} (\S+)', text, re.M)
        return float(found[1]) if found else 0

    before = tokens()
    assert post(dev, "/v1/tokens", rtc("lobby", 1)).status_code == 200
    assert tokens() == before + 1


def test_the_docs_page_needs_no_other_host(dev):
    answer = dev.client.get("/docs")
    assert answer.status_code == 200
    assert "//" not in re.sub(r"^\s*//.*$", "", answer.text, flags=re.M)
    assert "default-src 'none'; connect-src 'self'" in answer.headers["content-security-policy"]
    assert "openapi.json" in answer.text


def test_openapi_describes_every_native_route(dev):
    document = dev.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert {
        (path, method) for path, methods in document["paths"].items() for method in methods
    } == {
        ("/v1/tokens", "post"),
        ("/v1/tokens:batch", "post"),
        ("/v1/verify", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_answers_and_requests_fit_the_document(dev):
    document = dev.client.get("/openapi.json").json()

    def fits(name: str, data) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        return Draft202012Validator(schema).is_valid(data)

    good = rtc("lobby", 42)
    assert fits("TokenRequest", good)
    assert fits("Minted", post(dev, "/v1/tokens", good).json())
    for bad in (rtc("*", 42), rtc("lobby", 0), rtc("lobby", "*"), rtc("lobby", 1, expire=0), {}):
        assert not fits("TokenRequest", bad)
        assert fits("Problem", post(dev, "/v1/tokens", bad).json())
    lines = post(dev, "/v1/tokens:batch", {"tokens": [good, rtc("*", 1)]}).text.splitlines()
    assert all(fits("BatchRow", json.loads(line)) for line in lines)
    assert fits("Verdicts", post(dev, "/v1/verify", {"tokens": ["007junk"]}).json())


def test_schemathesis_finds_nothing(secured, tmp_path):
    """Made-up requests, right and wrong, against the document: no 5xx, nothing undocumented."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{secured.url}/openapi.json"]
    options = [
        *("--header", f"Authorization: {secured.client.headers['authorization']}"),
        *("--max-examples", "8", "--generation-deterministic", "--no-color"),
        *("--exclude-checks", "positive_data_acceptance"),  # bytes of UTF-8 are no JSON Schema
    ]
    # What is wrong with a row of a batch stands in the row, and the answer is 200.
    (tmp_path / "schemathesis.toml").write_text(
        """[[operations]]
include-path = "/v1/tokens:batch"
[operations.checks]
negative_data_rejection.enabled = false
"""
    )
    done = subprocess.run(command + options, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
