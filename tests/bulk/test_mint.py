"""mint_batch: an Arrow batch in, the same batch with its tokens out."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import APP_ID, ISSUE_TS

from fasttoken import FieldError, Project, RowsError, TokenWarning, parse
from fasttoken.services import Chat, ConvoAI, FCdn, Fpa, Rtc, Rtm, Streaming, Stt

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from fasttoken.bulk import (  # noqa: E402
    Options,
    check_schema,
    mint_batch,
    mint_or_reject,
    minted_schema,
    seeded_salts,
)

ISSUED = Options(issue_at=ISSUE_TS)
NO_UID = "must be a number (texts are accounts: read them with --account-column)"
SEEDED = replace(ISSUED, salt_seed=7)


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(value) for name, value in columns.items()})


def services(minted: pa.RecordBatch) -> list[tuple[Any, ...]]:
    return [parse(token).claims.services for token in minted.column("token").to_pylist()]


def rtc(channel: str, uid: int | str, publisher: bool = True, ends: int = 0) -> Rtc:
    granted = tuple(Rtc.Privilege) if publisher else (Rtc.Privilege.JOIN_CHANNEL,)
    return Rtc(channel, uid, dict.fromkeys(granted, ends))


def reasons(project: Project, given: pa.RecordBatch, options: Options = ISSUED) -> list[Any]:
    minted, bad = mint_or_reject(given, project, options)
    assert minted.num_rows + len(bad) == given.num_rows
    return [(row.index, row.field, row.reason) for row in bad]


def test_every_column_is_kept_and_three_are_added(project: Project) -> None:
    given = pa.record_batch(
        {
            "channel": pa.array(["a", "b"]).dictionary_encode(),
            "uid": pa.array([1, 2**32 - 1], pa.uint32()),
            "nested": pa.array([{"x": [1]}, None]),
            "role": pa.array(["subscriber", "publisher"], pa.large_string()),
            "when": pa.array([1, None], pa.timestamp("us", "UTC")),
        }
    ).replace_schema_metadata({"made": "here"})
    minted = mint_batch(given, project, ISSUED)
    assert minted.select(given.schema.names).equals(given)
    assert minted.schema == minted_schema(given.schema)
    assert minted.schema.names == [*given.schema.names, "token", "issued_at", "expires_at"]
    assert minted.schema.metadata == {b"made": b"here"}
    assert minted.column("issued_at").to_pylist() == [ISSUE_TS] * 2
    assert minted.column("expires_at").to_pylist() == [ISSUE_TS + 3600] * 2
    assert services(minted) == [(rtc("a", 1, False),), (rtc("b", 2**32 - 1),)]
    for token in minted.column("token").to_pylist():
        assert project.verify_signature(token) == "primary"
        assert parse(token).claims.app_id == APP_ID


def test_slices_and_empty_batches(project: Project) -> None:
    given = batch(channel=list("abcdef"), uid=range(1, 7))
    whole = mint_batch(given, project, SEEDED)
    part = mint_batch(given.slice(2, 3), project, SEEDED, rows=2)
    assert part.equals(whole.slice(2, 3))
    none = mint_batch(given.slice(0, 0), project, ISSUED)
    assert (none.num_rows, none.schema) == (0, whole.schema)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (("rtc",), (Rtc,)),
        (("rtc", "rtm"), (Rtc, Rtm)),
        (("rtm",), (Rtm,)),
        (("chat",), (Chat,)),
        (("streaming",), (Streaming,)),
        (("fcdn",), (FCdn,)),
        (("fpa",), (Fpa,)),
        (("rtc", "rtm", "convoai"), (Rtc, Rtm, ConvoAI)),
        (("rtc", "rtm", "stt"), (Rtc, Rtm, Stt)),
    ],
)
def test_services(project: Project, names: tuple[str, ...], kinds: tuple[type, ...]) -> None:
    given = batch(channel=["a", "b"], uid=[1, 2], role=[1, 2])
    minted = mint_batch(given, project, replace(ISSUED, services=names, expire=60))
    found = services(minted)
    assert [tuple(map(type, row)) for row in found] == [kinds, kinds]
    if Rtc in kinds:
        assert [row[0] for row in found] == [rtc("a", 1), rtc("b", 2, False)]
    if Rtm in kinds:
        login = {Rtm.Privilege.LOGIN: 60}
        assert [row[kinds.index(Rtm)] for row in found] == [Rtm("1", login), Rtm("2", login)]
    single = {
        ("streaming",): lambda: project.streaming_token("a", 1, 60, **fixed),
        ("fcdn",): lambda: project.fcdn_token("a", 1, 60, **fixed),
        ("fpa",): lambda: project.fpa_token(60, **fixed),
        ("chat",): lambda: project.chat_user_token("1", 60, **fixed),
        ("rtm",): lambda: project.rtm_token("1", 60, **fixed),
    }
    token = minted.column("token")[0].as_py()
    fixed = {"issue_ts": ISSUE_TS, "salt": parse(token).claims.salt}
    if names in single:
        assert token == single[names]()


def test_006(project: Project) -> None:
    given = batch(channel=["a", "b", "c"], uid=[1, 2, 3], role=[101, 2, 3])
    minted, bad = mint_or_reject(given, project, replace(SEEDED, version="006"))
    salt = int(seeded_salts(7, 0, np.arange(3, dtype=np.uint64))[1])
    assert minted.column("token")[1].as_py() == project.rtc_token_006(
        "b", 2, "subscriber", issue_ts=ISSUE_TS, salt=salt
    )
    assert [(row.index, row.field) for row in bad] == [(2, "role")]


def test_constants_fill_in_what_columns_lack(project: Project) -> None:
    options = replace(ISSUED, channel_name="lobby", role="subscriber", expire=60)
    minted = mint_batch(batch(uid=[1, 2]), project, options)
    assert services(minted) == [(rtc("lobby", 1, False),), (rtc("lobby", 2, False),)]
    assert minted.column("expires_at").to_pylist() == [ISSUE_TS + 60] * 2
    both = batch(uid=[1], channel=["c"], role=["publisher"], expire=[70], privilege_expire=[9])
    minted = mint_batch(both, project, options)
    assert services(minted) == [(rtc("c", 1, ends=9),)]
    assert minted.column("expires_at").to_pylist() == [ISSUE_TS + 70]
    nobody = mint_batch(batch(channel=["c"]), project, replace(ISSUED, account="screen"))
    assert services(nobody) == [(rtc("c", "screen"),)]


def test_lifetimes_that_agora_cuts(project: Project) -> None:
    given = batch(channel=["a"] * 3, uid=[1, 2, 3], expire=[0, 86_400, 100_000])
    with pytest.warns(TokenWarning, match="expire of 2 rows"):
        minted = mint_batch(given, project, ISSUED)
    assert minted.column("expires_at").to_pylist() == [ISSUE_TS + 86_400] * 3
    bad = reasons(project, given, replace(ISSUED, strict_lifetime=True))
    assert [row[:2] for row in bad] == [(0, "expire"), (2, "expire")]


def test_columns_are_found_as_spreadsheets_spell_them(project: Project) -> None:
    given = pa.record_batch({"Channel Name": pa.array(["a"]), "User-ID": pa.array(["bob"])})
    assert services(mint_batch(given, project, ISSUED)) == [(rtc("a", "bob"),)]
    assert check_schema(given.schema, ISSUED) == {
        "channel_name": "Channel Name",
        "user_id": "User-ID",
    }


def test_mapped_columns(project: Project) -> None:
    given = batch(room=["a"], uid=["not a number"])
    options = replace(ISSUED, columns={"channel_name": "room", "account": "uid"})
    assert services(mint_batch(given, project, options)) == [(rtc("a", "not a number"),)]


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({"uid": [1]}, {}, "channel_name: must be a column; there are 'uid' (name it with "),
        ({"channel": ["a"]}, {}, "uid or account or user_id: must be a column"),
        ({"channel": ["a"], "channel_name": ["b"], "uid": [1]}, {}, "may be in "),
        ({"a": ["a"], "uid": [1]}, {"columns": {"channel_name": "b"}}, "not among 'a', 'uid'"),
        ({"channel": ["a"], "uid": [1.5]}, {}, "uid: must be a column of integers, not of double"),
        ({"channel": ["a"], "account": [1]}, {}, "account: must be a column of text"),
        ({"channel": [1], "uid": [1]}, {}, "channel_name: must be a column of text"),
        ({"channel": ["a"], "uid": [1], "role": [1.0]}, {}, "role: must be a column of text or"),
        ({"channel": ["a"], "uid": [1], "token": ["x"]}, {}, "token: is a column of the input"),
    ],
)
def test_columns_that_no_batch_can_pass(
    project: Project, columns: Any, options: Any, says: str
) -> None:
    given = batch(**columns)
    with pytest.raises(FieldError) as caught:
        mint_batch(given, project, replace(ISSUED, **options))
    assert says in str(caught.value)
    with pytest.raises(FieldError) as early:
        check_schema(given.schema, replace(ISSUED, **options))
    assert str(early.value) == str(caught.value)


def test_replace_gives_way(project: Project) -> None:
    given = batch(token=["old"], channel=["a"], uid=[1], expires_at=["never"])
    minted = mint_batch(given, project, replace(ISSUED, replace=True))
    assert minted.schema.names == ["channel", "uid", "token", "issued_at", "expires_at"]
    assert minted.column("token")[0].as_py().startswith("007")


def test_text_uids_are_numbers_to_the_letter(project: Project) -> None:
    texts = [
        "1",
        "4294967295",
        "4294967296",
        "042",
        "0x2A",
        "+1",
        "-1",
        "",
        None,
        "bob",
        "0",
        "1.0",
    ]
    given = batch(channel=["a"] * len(texts), uid=texts)
    assert reasons(project, given) == [
        (2, "uid", "must be in 0..4294967295"),
        (3, "uid", NO_UID),
        (4, "uid", NO_UID),
        (5, "uid", NO_UID),
        (6, "uid", "must be in 0..4294967295 (a signed 32-bit uid is written as uid + 2**32)"),
        (7, "uid", "is missing"),
        (8, "uid", "is missing"),
        (9, "uid", NO_UID),
        (10, "uid", "means any user here (say allow_wildcard=True if you want that)"),
        (11, "uid", NO_UID),
    ]
    minted, _ = mint_or_reject(given, project, replace(ISSUED, allow_wildcard=True))
    assert services(minted) == [(rtc("a", 1),), (rtc("a", 2**32 - 1),), (rtc("a", 0),)]


def test_accounts_are_text_to_the_letter(project: Project) -> None:
    given = batch(channel=["a"] * 4, account=["042", "4294967296", "", "b" * 256])
    minted, bad = mint_or_reject(given, project, ISSUED)
    assert services(minted) == [(rtc("a", "042"),), (rtc("a", "4294967296"),)]
    assert [(row.index, row.field) for row in bad] == [(2, "account"), (3, "account")]


def test_a_uid_or_an_account(project: Project) -> None:
    given = batch(
        channel=["a"] * 6,
        uid=["7", "", "8", None, "x", "4294967296"],
        account=["", "bob", "eve", None, "", ""],
    )
    minted, bad = mint_or_reject(given, project, ISSUED)
    assert services(minted) == [(rtc("a", 7),), (rtc("a", "bob"),)]
    assert [(row.index, row.reason) for row in bad] == [
        (2, "can't be given beside an account"),
        (3, "is missing"),
        (4, NO_UID),
        (5, "must be in 0..4294967295"),
    ]


def test_bad_rows_name_field_and_reason(project: Project) -> None:
    given = batch(
        channel=["a", "", None, "é", "*", "x" * 100_000, "a", "a"],
        uid=[1, 2, 3, 4, 5, 6, 7, 8],
        role=["1", "2", "publisher", "subscriber", "1", "1", "host", None],
        expire=["60", "60", "60", "60", "60", "60", "60", "soon"],
    )
    bad = reasons(project, given)
    assert [row[:2] for row in bad] == [
        (1, "channel_name"),
        (2, "channel_name"),
        (3, "channel_name"),
        (4, "channel_name"),
        (5, "channel_name"),
        (6, "role"),
        (7, "expire"),
    ]
    assert bad[1][2] == "is missing"
    assert "at most 64 bytes, not 100000" in bad[4][2]
    with pytest.raises(RowsError) as caught:
        mint_batch(given, project, ISSUED)
    assert [(row.index, row.field, row.reason) for row in caught.value.rows] == bad


def test_salts_follow_from_the_row_alone(project: Project) -> None:
    rows = np.arange(10_000, dtype=np.uint64)
    salts = seeded_salts(1, 0, rows)
    assert salts.min() >= 1
    assert salts.max() <= 99_999_999
    assert len(np.unique(salts)) > 9_990
    assert (seeded_salts(1, 0, rows[5_000:]) == salts[5_000:]).all()
    assert (seeded_salts(1, 1, rows) != salts).mean() > 0.99
    assert (seeded_salts(2, 0, rows) != salts).mean() > 0.99
    given = batch(channel=["a"] * 3, uid=[1, 2, 3])
    numbered = mint_batch(given, project, SEEDED, rows=np.array([4, 9, 11], np.uint64))
    found = [parse(token).claims.salt for token in numbered.column("token").to_pylist()]
    assert found == salts_of(7, [4, 9, 11])
    unseeded = [mint_batch(given, project, ISSUED).column("token") for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def salts_of(seed: int, rows: list[int]) -> list[int]:
    return seeded_salts(seed, 0, np.array(rows, np.uint64)).tolist()


def test_options_travel() -> None:
    options = Options(
        services=("rtc", "rtm"), columns={"channel_name": "room"}, issue_at=5, salt_seed=2**64 - 1
    )
    assert pickle.loads(pickle.dumps(options)) == options
    assert Options.from_json(options.to_json()) == options
    assert hash(options) == hash(Options.from_json(options.to_json()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "005"),
        ("services", ()),
        ("services", ("rtc", "rtc")),
        ("services", ("rtx",)),
        ("columns", {"who": "uid"}),
        ("channel_name", "é"),
        ("uid", 2**32),
        ("uid", 0),
        ("account", ""),
        ("user_id", "x" * 65),
        ("role", "host"),
        ("expire", ISSUE_TS),
        ("issue_at", -1),
        ("salt_seed", -1),
    ],
)
def test_options_are_checked(field: str, value: Any) -> None:
    with pytest.raises(FieldError) as caught:
        Options(**{field: value})
    assert field in str(caught.value)
