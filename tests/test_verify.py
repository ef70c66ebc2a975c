"""Verdicts: the codes of broken tokens, one by one and in columns, on the core in use."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from typing import Any

import numpy as np
import pytest
from broken_tokens import (
    APP_ID,
    BROKEN,
    CERTIFICATE,
    GOOD,
    ISSUED,
    LATER,
    LOBBY,
    NOW,
    PROJECT,
    Broken,
    key,
    rtc,
    signal,
    t006,
    t007,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttoken import FieldError, Project, RejectedToken, RowsError, TokenWarning, Verdict
from fasttoken import verdicts as verdicts_module
from fasttoken.formats import access_token
from fasttoken.reasons import CODES, listed, shown, span
from fasttoken.services import Chat, Rtc, Rtm
from fasttoken.verify import Asked, Keys, unverified, verify

OTHER = "00112233445566778899aabbccddeeff"


def judged(case: Broken) -> Verdict:
    if case.unverified:
        return unverified(case.token, now=case.now, **case.asked)
    return PROJECT.verify(case.token, now=case.now, **case.asked)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.made)
def test_broken_token_gives_exactly_its_codes(case: Broken) -> None:
    verdict = judged(case)
    assert verdict.codes == case.codes
    errors = [code for code in case.codes if CODES[code].severity == "error"]
    assert verdict.ok == (not errors)
    for reason in verdict.reasons:
        assert reason.sentence.endswith(".")
        assert not re.search(r"\{\w+\}", reason.sentence)
        assert reason.mend
        assert reason.client_error == CODES[reason.code].client_error
    assert CERTIFICATE.lower() not in repr(verdict).lower()
    assert CERTIFICATE.lower() not in json.dumps(verdict.to_data()).lower()


def test_every_code_has_a_broken_token() -> None:
    assert {code for case in BROKEN for code in case.codes} == set(CODES)
    assert len(BROKEN) >= 40


@pytest.mark.parametrize(
    ("token", "asked"),
    [
        (GOOD, {}),
        (GOOD, LOBBY),
        (GOOD, {"channel_name": "lobby", "uid": "42"}),
        (GOOD, LOBBY | {"privilege": "rtc.publish_video"}),
        (GOOD, LOBBY | {"privilege": Rtc.Privilege.PUBLISH_DATA}),
        (rtc(uid="alice"), {"uid": "alice"}),
        (t007(Rtm("alice", {1: 3600})), {"uid": "alice", "privilege": "rtm.login"}),
        (t007(Rtm("42", {1: 3600})), {"uid": 42}),
        (t007(Chat("", {Chat.Privilege.APP: 3600})), {"privilege": Chat.Privilege.APP}),
        (
            t007(Rtc("a", 1, {1: 0, 2: 0}), Rtc("b", 2, {1: 0, 2: 0})),
            {"channel_name": "b", "uid": 2},
        ),
        (t006(), LOBBY),
        (t006(), LOBBY | {"privilege": "rtc.publish_audio"}),
        (t006(), LOBBY | {"privilege": access_token.Privilege.PUBLISH_AUDIO}),
        (t006("alice", "", {1000: LATER}), {"uid": "alice"}),
        (t006("alice", "", {1000: LATER}), {"channel_name": "alice", "uid": ""}),
        (t006("alice", "", {1000: LATER}), {"channel_name": "alice", "privilege": "rtm.login"}),
    ],
)
def test_good_tokens_have_no_reasons(token: str, asked: dict[str, Any]) -> None:
    verdict = PROJECT.verify(token, now=NOW, **asked)
    assert verdict.codes == ()
    assert verdict.ok
    assert verdict.verified
    assert verdict.certificate == "primary"
    assert verdict.issued_at == ISSUED
    assert verdict.expires_at == LATER
    assert verdict.raise_if_rejected() is verdict


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_dynamic_keys_are_accepted_and_deprecated(version: int) -> None:
    verdict = PROJECT.verify(key(version), now=NOW, **LOBBY)
    assert verdict.codes == ("deprecated_format",)
    assert verdict.ok
    assert verdict.expires_at == (None if version == 1 else LATER)


def test_one_privilege_of_an_audience_token_is_expired_before_the_token() -> None:
    token = t007(Rtc("lobby", 42, {1: 0, 2: 30}))
    assert PROJECT.verify(token, now=NOW).ok
    verdict = PROJECT.verify(token, now=NOW, privilege="rtc.publish_audio")
    assert verdict.codes == ("privilege_expired",)
    assert verdict.expires_at == ISSUED + 30


def test_a_second_is_what_separates_valid_from_expired() -> None:
    assert PROJECT.verify(GOOD, now=LATER - 1).ok
    assert PROJECT.verify(GOOD, now=LATER).codes == ("expired",)
    assert PROJECT.verify(GOOD, now=LATER + 29, leeway=30).ok
    assert PROJECT.verify(GOOD, now=LATER + 30, leeway=30).codes == ("expired",)
    ahead = rtc(issue_ts=NOW + 30)
    assert PROJECT.verify(ahead, now=NOW).codes == ("issued_in_future",)
    assert PROJECT.verify(ahead, now=NOW, leeway=30).ok


def test_the_clock_is_what_now_defaults_to() -> None:
    assert PROJECT.verify(rtc(issue_ts=int(time.time()) - 60)).ok
    assert PROJECT.verify(GOOD).codes == ("expired",)


def test_zero_and_long_lifetimes_end_after_24_hours() -> None:
    for expire in (0, 86_400, 86_401, 2_000_000_000):
        verdict = PROJECT.verify(rtc(expire=expire), now=NOW)
        assert verdict.ok
        assert verdict.expires_at == ISSUED + 86_400


def test_both_certificates_verify_and_the_verdict_says_which() -> None:
    old, new = rtc(), rtc(certificate=OTHER.encode())
    both = Project(APP_ID, CERTIFICATE, OTHER)
    assert both.verify(old, now=NOW).certificate == "primary"
    assert both.verify(new, now=NOW).certificate == "secondary"
    swapped = Project(APP_ID, OTHER, CERTIFICATE)
    assert swapped.verify(old, now=NOW).certificate == "secondary"
    cased = swapped.verify(rtc(certificate=CERTIFICATE.upper().encode()), now=NOW)
    assert cased.codes == ("certificate_letter_case",)
    assert "secondary certificate" in cased.reasons[0].sentence


def test_claims_of_an_unverified_token_are_marked_as_such() -> None:
    forged = PROJECT.verify(rtc(certificate=OTHER.encode()), now=NOW, uid=43)
    assert not forged.verified
    assert forged.codes == ("bad_signature", "uid_mismatch")
    assert forged.claims.services[0].uid == 42
    assert not forged.to_data()["verified"]


def test_a_certificate_in_the_place_of_the_app_id_is_hidden() -> None:
    token = rtc(app_id=CERTIFICATE, certificate=APP_ID.encode())
    verdict = PROJECT.verify(token, now=NOW)
    assert verdict.claims.app_id == "***"
    assert CERTIFICATE.encode() not in verdict.parsed.signed  # type: ignore[union-attr]


def test_a_rejected_token_raises_its_verdict() -> None:
    verdict = PROJECT.verify(GOOD, now=LATER)
    with pytest.raises(
        RejectedToken, match=r"^expired: The token expired 0 seconds ago\.$"
    ) as caught:
        verdict.raise_if_rejected()
    assert caught.value.verdict is verdict
    assert GOOD not in str(caught.value)


def test_public_case_only_privilege_2() -> None:
    """Seen often: the builder's user adds publishing, and forgets that it needs joining."""
    verdict = PROJECT.verify(t007(Rtc("lobby", 42, {2: 3600})), now=NOW, **LOBBY)
    assert verdict.codes == ("privilege_missing",)
    [reason] = verdict.reasons
    assert reason.sentence == "The token does not grant rtc.join_channel; it grants publish_audio."
    assert reason.client_error == 110


def test_public_case_an_account_joined_as_a_number() -> None:
    """The token of AgoraIO/Tools issue 417, whose author got error 110 and no reason."""
    token = (
        "007eJxTYIhd/eXuYeOGfJHEJQVflb/4Osf7VdTwaf3smiWh7NM/9ZACg0miWVqSYZJBcmKypUmaibmlpaWJZWKi"
        "kaG5eVpaqpnpqVsMGQt6GBjiAiNYGRkYGVgYGBlAfCYwyQwmWcAkF0NJanFJcElRamKuCoOhiamFkUmKha6FQbKh"
        "rrmBRZquoYlJmq5hkrGhUbJZspm5iREAf9IuZw=="
    )
    project = Project("4a6fb1b0cac94f4799949aa2177ffe65", CERTIFICATE)
    asked = {"channel_name": "testStream", "uid": 1}
    verdict = project.verify(token, now=1_744_886_500, **asked)
    assert verdict.codes == ("bad_signature", "uid_number_and_account")
    assert unverified(token, now=1_744_886_500, **asked).codes == (
        "signature_unchecked",
        "uid_number_and_account",
    )
    sentence = verdict.reasons[1].sentence
    assert "account '145824d8-80c1-708f-144f-1b312c6c6742', the client joins as uid 1" in sentence


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"uid": True}, "uid"),
        ({"uid": 1.5}, "uid"),
        ({"uid": 10**30}, "uid"),
        ({"uid": "\ud800"}, "uid"),
        ({"channel_name": 7}, "channel_name"),
        ({"channel_name": "\ud800"}, "channel_name"),
        ({"privilege": 1}, "privilege"),
        ({"privilege": "rtc.fly"}, "privilege"),
        ({"privilege": "login"}, "privilege"),
        ({"leeway": -1}, "leeway"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        PROJECT.verify(GOOD, **arguments)
    assert caught.value.field == field


def test_numpy_numbers_are_uids() -> None:
    assert PROJECT.verify(GOOD, now=NOW, uid=np.uint32(42)).ok
    assert PROJECT.verify(GOOD, now=NOW, uid=np.int64(43)).codes == ("uid_mismatch",)


def test_hostile_text_is_quoted_safely_and_shortly() -> None:
    verdict = PROJECT.verify(rtc("\x1b[31m" + "x" * 5000), now=NOW, channel_name="lobby")
    for reason in verdict.reasons:
        assert reason.sentence.isprintable()
        assert len(reason.sentence) < 400


# Mutations: never an exception, never accepted ----------------------------------------------------

TOKENS = [rtc(), t006(), *(key(version) for version in range(1, 6)), signal()]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_mutated_token_is_judged_and_never_accepted(data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(TOKENS))
    place = data.draw(st.integers(0, len(token) - 1))
    change = data.draw(st.text(max_size=3))
    mutated = token[:place] + change + token[place + data.draw(st.integers(0, 3)) :]
    uid = "alice" if token.startswith("1:") else 42
    verdict = PROJECT.verify(
        mutated, channel_name=None if uid == "alice" else "lobby", uid=uid, now=NOW
    )
    if mutated != token and verdict.ok:
        # 006 signs its message; what follows that, and check sums of nothing, it does not.
        assert mutated.startswith("006")
        same = dataclasses.replace(verdict.claims)
        assert same == PROJECT.verify(token, now=NOW, **LOBBY).claims


@settings(deadline=None, max_examples=200)
@given(st.text(), st.text() | st.none(), st.text() | st.integers(-(2**33), 2**33) | st.none())
def test_any_text_is_judged(token: str, channel_name: str | None, uid: str | int | None) -> None:
    for prefix in ("", "005", "006", "007", "1:"):
        assert not unverified(prefix + token, now=NOW).ok
        assert not PROJECT.verify(prefix + token, channel_name=channel_name, uid=uid, now=NOW).ok


# Columns ------------------------------------------------------------------------------------------

CASES = [case for case in BROKEN if not case.unverified]
asked_channels = st.sampled_from([None, "lobby", "Lobby", "x"])
asked_uids = st.sampled_from([None, 0, 42, 43, "alice", "42", 2**32 + 42])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([case.token for case in CASES]), asked_channels, asked_uids),
        max_size=8,
    ),
    st.sampled_from([None, "rtc.publish_audio", "rtm.login"]),
    st.sampled_from([NOW, LATER]),
)
def test_many_are_judged_as_one(rows: Any, privilege: str | None, now: int) -> None:
    tokens, channels, uids = [list(c) for c in zip(*rows, strict=True)] or [[], [], []]
    verdicts = PROJECT.verify_many(tokens, channels, uids, privilege=privilege, now=now)
    assert len(verdicts) == len(rows)
    for row, (token, channel_name, uid) in enumerate(rows):
        one = PROJECT.verify(
            token, channel_name=channel_name, uid=uid, privilege=privilege, now=now
        )
        assert verdicts[row] == one
        assert verdicts.ok[row] == one.ok
        assert verdicts.codes[row] == one.codes
        assert verdicts.claims[row] == one.claims
        assert verdicts.expires_at[row] == (-1 if one.expires_at is None else one.expires_at)
        assert verdicts.certificates[row] == (0, 1)[one.certificate == "primary"]


SOUND = [
    PROJECT.rtc_token("lobby", 42, issue_ts=ISSUED, salt=1),
    PROJECT.rtc_token("lobby", "alice", issue_ts=ISSUED, salt=1),
    PROJECT.rtc_token("stage", 42, issue_ts=ISSUED, salt=1, privilege_expire=30),
    PROJECT.rtc_token("lobby", 42, "subscriber", issue_ts=ISSUED, salt=1),
    PROJECT.rtc_rtm_token("lobby", 42, issue_ts=ISSUED, salt=1),
    PROJECT.rtc_rtm_token("lobby", 42, issue_ts=ISSUED, salt=1, rtm_expire=0),
    PROJECT.rtm_token("42", issue_ts=ISSUED, salt=1),
    PROJECT.fpa_token(issue_ts=ISSUED, salt=1),
    PROJECT.rtc_token("lobby", "0", issue_ts=ISSUED, salt=1),
    PROJECT.rtc_token("lobby", "é", issue_ts=ISSUED, salt=1),
    PROJECT.rtc_token("lobby", "4294967338", issue_ts=ISSUED, salt=1),
    rtc(certificate=OTHER.encode()),
    rtc(app_id="<your App ID>"),
]
some_channel = st.sampled_from([None, "", "lobby", "stage"])
some_uid = st.sampled_from([None, 0, 42, "42", "alice", "é", "0", "", -5, 2**32 + 42])


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_sound_tokens_are_judged_as_one(data: st.DataObject) -> None:
    project = data.draw(st.sampled_from([PROJECT, Project(APP_ID, OTHER, CERTIFICATE)]))
    tokens = data.draw(st.lists(st.sampled_from(SOUND), min_size=1, max_size=6))
    columns = []
    for some in (some_channel, some_uid):
        many = st.lists(some, min_size=len(tokens), max_size=len(tokens))
        columns.append(data.draw(some | many))
    now, leeway = data.draw(st.sampled_from([NOW, ISSUED - 5, LATER, 0, -1, 2**40])), 3
    verdicts = project.verify_many(tokens, *columns, now=now, leeway=leeway)
    for row, token in enumerate(tokens):
        channel, uid = (c[row] if isinstance(c, list) else c for c in columns)
        one = project.verify(token, channel_name=channel, uid=uid, now=now, leeway=leeway)
        assert verdicts.codes[row] == one.codes
        assert verdicts.ok[row] == one.ok
        assert verdicts.expires_at[row] == one.expires_at
        assert verdicts.certificates[row] == [None, "primary", "secondary"].index(one.certificate)
        assert verdicts[row] == one


def test_plainly_acceptable_tokens_are_judged_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishers' tokens, of one service or two, are never judged one by one."""
    rows = range(1, 9)
    columns = {"lobby": PROJECT.rtc_tokens("lobby", list(rows), issue_ts=ISSUED)}
    columns["both"] = [
        PROJECT.rtc_rtm_token("lobby", row, rtm_expire=0, issue_ts=ISSUED) for row in rows
    ]
    columns["rtm"] = [PROJECT.rtm_token(str(row), issue_ts=ISSUED) for row in rows]
    one_by_one = []
    monkeypatch.setattr(verdicts_module, "verify", lambda *args: one_by_one.append(args))
    for name, tokens in columns.items():
        channel = None if name == "rtm" else "lobby"
        verdicts = PROJECT.verify_many(tokens, channel, list(rows), now=NOW)
        assert verdicts.ok.all()
        assert verdicts.expires_at.tolist() == [LATER] * 8
        assert verdicts.certificates.tolist() == [1] * 8
    assert one_by_one == []


def test_columns_come_as_lists_numpy_and_arrow() -> None:
    pa = pytest.importorskip("pyarrow")
    tokens = PROJECT.rtc_tokens(["a", "b", "c"], [1, 2, 3], issue_ts=ISSUED)
    wanted = [(), ("uid_mismatch",), ()]
    for column in (
        tokens,
        tuple(tokens),
        np.array(tokens),
        np.array(tokens, "S"),
        pa.array(tokens),
    ):
        for channels in (["a", "b", "c"], pa.array(["a", "b", "c"])):
            for uids in ([1, 7, 3], np.array([1, 7, 3]), pa.array([1, 7, 3], pa.uint32())):
                assert PROJECT.verify_many(column, channels, uids, now=NOW).codes == wanted
    assert PROJECT.verify_many(pa.array([tokens[0], None]), now=NOW).codes == [(), ("empty_token",)]
    both = Project(APP_ID, OTHER, CERTIFICATE).verify_many(tokens, now=NOW)
    assert both.certificates.tolist() == [2, 2, 2]
    assert both.expires_at.tolist() == [LATER] * 3


def test_bad_columns_are_refused() -> None:
    with pytest.raises(FieldError, match="must be a column"):
        PROJECT.verify_many(GOOD)  # type: ignore[arg-type]
    with pytest.raises(FieldError, match="has 1 rows where other columns have 2"):
        PROJECT.verify_many([GOOD, GOOD], ["lobby"])
    with pytest.raises(RowsError) as caught:
        PROJECT.verify_many([GOOD, GOOD, GOOD], None, [42, 1.5, True])
    assert [row.index for row in caught.value.rows] == [1, 2]


# Words --------------------------------------------------------------------------------------------


def test_words() -> None:
    assert span(0) == "0 seconds"
    assert span(61) == "1 minute 1 second"
    assert span(90_061) == "1 day 1 hour"
    assert span(7200) == "2 hours"
    assert listed([]) == "nothing"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert len(shown("x" * 500)) == 80
    assert shown("\x1b") == r"'\x1b'"


def test_keys_without_certificates_check_no_signature() -> None:
    verdict = verify(GOOD, Keys(APP_ID), Asked(), NOW)
    assert verdict.codes == ("signature_unchecked",)
    assert not verdict.verified


def test_minting_what_verify_warns_of_warns_too() -> None:
    with pytest.warns(TokenWarning, match="more than 86400"):
        token = PROJECT.rtc_token("lobby", 42, expire=90_000, issue_ts=ISSUED)
    assert PROJECT.verify(token, now=NOW).codes == ("lifetime_over_24h",)
