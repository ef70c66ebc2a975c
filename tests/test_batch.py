"""Batches: every row is the token that one call would make, whatever the columns come from."""

import dataclasses
import time
import warnings

import numpy as np
import pytest
from helpers import APP_ID, CERTIFICATE, ISSUE_TS
from hypothesis import given
from hypothesis import strategies as st

from fasttoken import (
    BadRow,
    FieldError,
    Project,
    Role,
    RowsError,
    Tokens,
    TokenWarning,
    batch,
    parse,
    rules,
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
    Streaming,
    Stt,
)

PROJECT = Project(APP_ID, CERTIFICATE)
CHANNELS = ["lobby", "room-1", "x" * 64, "a b", "z"]
UIDS = [1, 42, 4_294_967_295, 7, 99]
ACCOUNTS = ["ann", "用户-é", "0", "x" * 255, "a*b"]
SALTS = [1, 99_999_999, 0, 4_294_967_295, 5]
STAMPS = [0, 1, 1_700_000_000, 4_294_967_295, 77]
ROWS = len(SALTS)
FIXED = {"issue_ts": ISSUE_TS, "salts": SALTS}


def one_by_one(mint, **columns):
    """The tokens that one call a row makes; what is no list is the same in every row."""
    return [
        mint(
            **{
                name: value[row] if isinstance(value, list) else value
                for name, value in columns.items()
            }
        )
        for row in range(ROWS)
    ]


def rtc(**columns):
    """`rtc_tokens` one by one, with the names of its columns."""
    names = {"channel_names": "channel_name", "uids": "uid", "roles": "role", "salts": "salt"}
    single = {names.get(name, name): value for name, value in columns.items()}
    return one_by_one(PROJECT.rtc_token, **single)


# Columns from everywhere ----------------------------------------------------------------------


def numpy_columns(values):
    """NumPy arrays of these values, of every dtype that holds them."""
    if isinstance(values[0], str):
        yield np.array(values)
        yield np.array(values, object)
        if hasattr(np.dtypes, "StringDType"):
            yield np.array(values, np.dtypes.StringDType())
        return
    for dtype in ("u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8", object):
        if dtype is object or all(np.iinfo(dtype).min <= v <= np.iinfo(dtype).max for v in values):
            array = np.array(values, dtype)
            yield array
            yield np.repeat(array, 2)[::2]
            yield array[::-1].copy()[::-1]


def arrow_columns(values):
    """PyArrow arrays of these values, of every type that holds them."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    if isinstance(values[0], str):
        kinds = [
            pa.string(),
            pa.large_string(),
            pa.string_view(),
            pa.dictionary(pa.int8(), pa.string()),
        ]
        extra = "extra"
    else:
        most = max(values)
        kinds = [kind for kind, high in ((pa.int8(), 127), (pa.int32(), 2**31 - 1)) if most <= high]
        kinds += [pa.uint32(), pa.int64(), pa.uint64()]
        extra = 1
    for kind in kinds:
        yield pa.array(values, kind)
        yield pa.array([extra, extra, *values, None], kind).slice(2, len(values))
        yield pa.chunked_array([pa.array(values[:2], kind), pa.array(values[2:], kind)])


def polars_columns(values):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    yield polars.Series(values)
    yield polars.Series([values[0], *values]).slice(1)
    yield polars.Series(values[:3]).append(polars.Series(values[3:]))
    if isinstance(values[0], str):
        yield polars.Series(values, dtype=polars.Categorical)
        yield polars.Series(values, dtype=polars.Enum(sorted(set(values))))


def pandas_columns(values):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    yield pandas.Series(values)
    yield pandas.Series(values).to_numpy()
    yield pandas.Series(values, index=[5, 4, 3, 2, 1])
    if isinstance(values[0], str):
        yield pandas.Series(values, dtype="string")
        yield pandas.Series(values, dtype="category")
        yield pandas.Series(values, dtype=object)
        yield pandas.Series(values, dtype="string[pyarrow]")
    else:
        yield pandas.Series(values, dtype="Int64")
        yield pandas.Series(values, dtype="uint32[pyarrow]")


def duckdb_columns(values):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    kind = "varchar" if isinstance(values[0], str) else "bigint"
    result = duckdb.sql(f"select unnest(?::{kind}[]) as item", params=[values])
    yield result.fetchnumpy()["item"]
    yield result.to_arrow_table()["item"]


def plain_columns(values):
    yield values
    yield tuple(values)


SOURCES = {
    "list and tuple": plain_columns,
    "numpy": numpy_columns,
    "pyarrow": arrow_columns,
    "polars": polars_columns,
    "pandas": pandas_columns,
    "duckdb": duckdb_columns,
}
from_everywhere = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@from_everywhere
def test_channel_names(source):
    expected = rtc(channel_names=CHANNELS, uids=7, **FIXED)
    for column in source(CHANNELS):
        assert PROJECT.rtc_tokens(column, 7, **FIXED) == expected


@from_everywhere
@pytest.mark.parametrize(
    "uids", [UIDS, ACCOUNTS, [1, 2, 3, 4, 5]], ids=["uids", "accounts", "small"]
)
def test_uids(source, uids):
    expected = rtc(channel_names="room", uids=uids, **FIXED)
    for column in source(uids):
        assert PROJECT.rtc_tokens("room", column, **FIXED) == expected


@from_everywhere
@pytest.mark.parametrize(
    "roles", [[1, 2, 2, 1, 2], ["publisher", "subscriber"] * 2 + ["publisher"]]
)
def test_roles(source, roles):
    expected = rtc(channel_names="room", uids=UIDS, roles=roles, **FIXED)
    for column in source(roles):
        assert PROJECT.rtc_tokens("room", UIDS, column, **FIXED) == expected


@from_everywhere
@pytest.mark.parametrize("name", ["expire", "privilege_expire"])
def test_durations(source, name):
    seconds = [1, 60, 3600, 86_400, 86_399]
    expected = rtc(channel_names="room", uids=UIDS, **{name: seconds}, **FIXED)
    for column in source(seconds):
        assert PROJECT.rtc_tokens("room", UIDS, **{name: column}, **FIXED) == expected


@from_everywhere
def test_times_and_salts(source):
    expected = rtc(channel_names="room", uids=7, issue_ts=STAMPS, salts=SALTS)
    for stamps, salts in zip(source(STAMPS), source(SALTS), strict=True):
        assert PROJECT.rtc_tokens("room", 7, issue_ts=stamps, salts=salts) == expected


@from_everywhere
def test_apaas_role(source):
    numbers = [-1, 0, 5, 32_767, 3] if source in (plain_columns,) else [1, 0, 5, 100, 3]
    expected = one_by_one(
        lambda role, salt: PROJECT.token(
            [Apaas("r", "u", role, {1: 5})], issue_ts=ISSUE_TS, salt=salt
        ),
        role=numbers,
        salt=SALTS,
    )
    for column in source(numbers):
        service = Apaas("r", "u", column, {1: 5})
        assert PROJECT.tokens([service], **FIXED) == expected


def test_signed_integers():
    for dtype in ("i1", "i2", "i4", "i8"):
        numbers = np.array([-1, -128, 0, 127, 5], dtype)
        tokens = PROJECT.tokens([Apaas("r", "u", numbers, {1: 5})], **FIXED)
        assert [parse(token).claims.services[0].role for token in tokens] == numbers.tolist()


# Mixes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "roles",
    [
        "publisher",
        "subscriber",
        1,
        2,
        Role.SUBSCRIBER,
        [Role.PUBLISHER] * ROWS,
        [1, "subscriber", Role.PUBLISHER, 2, "publisher"],
    ],
)
@pytest.mark.parametrize("channels", ["room", CHANNELS])
@pytest.mark.parametrize("uids", [7, "ann", UIDS, ACCOUNTS, [1, "ann", 7, "0", 4_294_967_295]])
def test_scalars_and_columns_mixed(channels, uids, roles):
    columns = {"channel_names": channels, "uids": uids, "roles": roles, **FIXED}
    assert PROJECT.rtc_tokens(**columns) == rtc(**columns)


def test_ranges_are_columns():
    expected = rtc(channel_names="room", uids=[3, 4, 5, 6, 7], **FIXED)
    assert PROJECT.rtc_tokens("room", range(3, 8), **FIXED) == expected


def test_uids_of_numpy_types_in_a_list():
    expected = rtc(channel_names="room", uids=[1, 2, 3, 4, 5], **FIXED)
    uids = [np.int64(1), 2, np.uint32(3), np.int8(4), 5]
    assert PROJECT.rtc_tokens("room", uids, **FIXED) == expected


PERMISSIONS = [
    {0: {0: ["a", "b"]}},
    {},
    {4: {1: ["ü"], 0: []}, 1: {}},
    {65535: {65535: [""]}},
    {0: {1: ("x",) * 40}},
]
PRIVILEGES = [{1: 5}, {}, {3: 1, 1: 2}, {65535: 999_999_999}, {1: 0, 2: 0, 3: 0, 4: 0}]
SERVICES = [
    Rtc(CHANNELS, UIDS, {1: [1, 2, 3, 4, 5], 2: 7, 4: [5, 4, 3, 2, 1]}),
    Rtc("room", ACCOUNTS, PRIVILEGES),
    Rtc(CHANNELS, "ann", PRIVILEGES),
    Rtm(["a", "b", "c", "d" * 64, "é"], {1: [1, 2, 3, 4, 5]}),
    Rtm("ann", PRIVILEGES),
    Streaming(CHANNELS, UIDS, {1: 5, 2: [1, 2, 3, 4, 5]}),
    Streaming("room", ACCOUNTS, PRIVILEGES),
    Fpa({1: [0, 1, 2, 3, 4]}),
    Fpa(PRIVILEGES),
    Chat(["", "b", "c", "d" * 255, "*"], {1: [1, 2, 3, 4, 5]}),
    FCdn(CHANNELS, ACCOUNTS, {2: 5}),
    FCdn("room", UIDS, PRIVILEGES),
    Apaas(["", "r", "s", "t", "u"], ["a", "", "c", "d", "e"], [-1, 0, 1, 32_767, -32_768], {1: 5}),
    Apaas("room", "ann", 3, PRIVILEGES),
    Rtm2(["a", "b", "c", "d", "e"], PERMISSIONS, {1: [1, 2, 3, 4, 5]}),
    Rtm2("ann", PERMISSIONS, PRIVILEGES),
    Rtm2("ann", {0: {0: ["x"]}}, {1: [1, 2, 3, 4, 5]}),
    ConvoAI(PRIVILEGES),
    ConvoAI({5: [1, 2, 3, 4, 5]}),
    Stt(PRIVILEGES),
]


def row_of(service, row):
    """The service of one row of a service of columns."""

    def pick(value):
        return value[row] if isinstance(value, list) else value

    values = {
        field.name: pick(getattr(service, field.name)) for field in dataclasses.fields(service)
    }
    if not isinstance(service.privileges, list):
        values["privileges"] = {key: pick(value) for key, value in service.privileges.items()}
    return type(service)(**values)


def general(services, **options):
    """`tokens` one by one."""
    return [
        PROJECT.token(
            [row_of(service, row) for service in services],
            **{
                {"salts": "salt"}.get(name, name): value[row] if isinstance(value, list) else value
                for name, value in options.items()
            },
        )
        for row in range(ROWS)
    ]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: type(service).__name__)
def test_every_field_and_privilege_may_be_a_column(service):
    assert PROJECT.tokens([service], **FIXED) == general([service], **FIXED)


def test_all_services_in_one_token():
    tokens = PROJECT.tokens(SERVICES, [1, 2, 3, 4, 5], issue_ts=STAMPS, salts=SALTS)
    assert tokens == general(SERVICES, expire=[1, 2, 3, 4, 5], issue_ts=STAMPS, salts=SALTS)


@given(st.lists(st.sampled_from(SERVICES), min_size=1, max_size=3), st.booleans())
def test_any_services(services, times):
    options = {"issue_ts": STAMPS if times else ISSUE_TS, "salts": SALTS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TokenWarning)
        assert PROJECT.tokens(services, 60, **options) == general(services, expire=60, **options)


def test_columns_of_dicts_as_numpy_objects():
    array = np.empty(ROWS, object)
    array[:] = PERMISSIONS
    expected = general([Rtm2("ann", PERMISSIONS)], **FIXED)
    assert PROJECT.tokens([Rtm2("ann", array)], **FIXED) == expected


def test_one_column_in_several_places():
    names = np.array(["a", "b", "c", "d", "e"])
    numbers = [1, 2, 3, 4, 5]
    services = [
        Rtc(names, names, {1: numbers, 2: numbers}),
        Rtm(names, {1: numbers}),
        Streaming(names, numbers),
        Chat(names),
    ]
    listed = [
        Rtc(names.tolist(), names.tolist(), {1: numbers, 2: numbers}),
        Rtm(names.tolist(), {1: numbers}),
        Streaming(names.tolist(), numbers),
        Chat(names.tolist()),
    ]
    options = {"issue_ts": numbers, "salts": numbers}
    tokens = PROJECT.tokens(services, numbers, **options)
    assert tokens == general(listed, expire=numbers, **options)


def test_nothing_is_changed():
    uids, channels, roles = list(UIDS), np.array(CHANNELS), np.array([1, 2, 1, 2, 1], np.uint8)
    expire, salts = np.array([1, 2, 3, 4, 5], np.uint32), np.array(SALTS, np.uint32)
    for array in (channels, roles, expire, salts):
        array.flags.writeable = False
    PROJECT.rtc_tokens(channels, uids, roles, expire, privilege_expire=expire, salts=salts)
    assert uids == UIDS


def test_columns_need_not_live_longer():
    """The tokens own their memory."""
    uids = np.arange(1, 1001, dtype=np.uint32)
    tokens = PROJECT.rtc_tokens("room", uids, issue_ts=5, salts=uids, output="arrow")
    before = tokens.to_list()
    uids[:] = 0
    del uids
    assert tokens.to_list() == before


# 006 ------------------------------------------------------------------------------------------

STAMPS_006 = [0, 1, 1_700_000_000, 4_294_880_895, 77]


def rtc_006(**columns):
    names = {"channel_names": "channel_name", "uids": "uid", "roles": "role", "salts": "salt"}
    single = {names.get(name, name): value for name, value in columns.items()}
    return one_by_one(PROJECT.rtc_token_006, **single)


@pytest.mark.parametrize("roles", [1, "subscriber", 0, 101, [1, 2, "publisher", 0, 101]])
@pytest.mark.parametrize("expire", [60, [1, 60, 3600, 86_400, 5]])
@pytest.mark.parametrize("issue_ts", [ISSUE_TS, STAMPS_006])
@pytest.mark.parametrize("uids", [UIDS, ACCOUNTS, [1, "ann", 3, "0", 5], 7])
def test_006(roles, expire, issue_ts, uids):
    columns = {"channel_names": CHANNELS, "uids": uids, "roles": roles, "expire": expire}
    columns |= {"issue_ts": issue_ts, "salts": SALTS}
    assert PROJECT.rtc_tokens_006(**columns) == rtc_006(**columns)


@from_everywhere
def test_006_from_everywhere(source):
    expected = rtc_006(channel_names=CHANNELS, uids=ACCOUNTS, **FIXED)
    for channels, accounts in zip(source(CHANNELS), source(ACCOUNTS), strict=True):
        assert PROJECT.rtc_tokens_006(channels, accounts, **FIXED) == expected


def test_006_of_odd_lifetimes():
    expire = [0, 86_401, 60, 999_999_999, 0]
    columns = {"channel_names": "room", "uids": UIDS, "expire": expire, **FIXED}
    with pytest.warns(TokenWarning, match="expire of 4 rows"):
        tokens = PROJECT.rtc_tokens_006(**columns)
    with pytest.warns(TokenWarning):
        assert tokens == rtc_006(**columns)
    with pytest.warns(TokenWarning):
        tokens = PROJECT.rtc_tokens_006("room", UIDS, expire=0, **FIXED)
    assert parse(tokens[0]).claims.privileges == {1: 0, 2: 0, 3: 0, 4: 0}


def test_006_times_that_do_not_fit():
    late = [5, 4_294_880_896, 4_294_967_295, 6, 7]
    with pytest.raises(RowsError) as caught:
        PROJECT.rtc_tokens_006("room", UIDS, issue_ts=late)
    assert [(row.index, row.field) for row in caught.value.rows] == [
        (1, "issue_ts"),
        (2, "issue_ts"),
    ]
    for options in ({}, {"expire": [1, 2, 3, 4, 5]}):
        with pytest.raises((FieldError, RowsError), match="issue_ts"):
            PROJECT.rtc_tokens_006("room", UIDS, issue_ts=4_294_967_295, **options)
    with pytest.warns(TokenWarning), pytest.raises((FieldError, RowsError), match="issue_ts"):
        PROJECT.rtc_tokens_006("room", UIDS, expire=999_999_999, issue_ts=4_294_880_000)


def test_006_verifies():
    tokens = PROJECT.rtc_tokens_006(CHANNELS, UIDS)
    for token, channel, uid in zip(tokens, CHANNELS, UIDS, strict=True):
        assert PROJECT.verify_signature(token, channel_name=channel, uid=uid) == "primary"


# Sizes and threads ----------------------------------------------------------------------------


@pytest.mark.parametrize("mint", [PROJECT.rtc_tokens, PROJECT.rtc_tokens_006])
def test_no_rows(mint):
    assert mint("room", []) == []
    assert mint([], []) == []
    assert mint([], 7, roles=[], expire=[], issue_ts=[], salts=[]) == []
    assert mint("room", np.array([], np.uint32)) == []
    assert mint(np.array([], "U5"), 7) == []
    assert mint("room", [], errors="null") == ([], ())
    assert mint("room", [], output="numpy").shape == (0,)
    assert len(mint("room", [], output="arrow")) == 0


def test_one_row():
    assert PROJECT.rtc_tokens(["room"], [7], issue_ts=[5], salts=[6]) == [
        PROJECT.rtc_token("room", 7, issue_ts=5, salt=6)
    ]


def test_only_salts_or_times_may_be_columns():
    expected = [PROJECT.rtc_token("room", 7, issue_ts=5, salt=salt) for salt in SALTS]
    assert PROJECT.rtc_tokens("room", 7, issue_ts=5, salts=SALTS) == expected
    expected = [PROJECT.rtc_token("room", 7, issue_ts=stamp, salt=6) for stamp in STAMPS]
    assert PROJECT.rtc_tokens("room", 7, issue_ts=STAMPS, salts=[6] * ROWS) == expected


@pytest.mark.parametrize("threads", [2, 3, 4, 7])
def test_threads_make_the_same_tokens(monkeypatch, threads):
    """With the rows that a thread has to have at least lowered, so that all of them run."""
    monkeypatch.setattr(batch, "_ROWS_A_THREAD", 10)
    rows = 1003
    rng = np.random.default_rng(7)
    columns = {
        "channel_names": np.array([f"room-{n}" for n in rng.integers(0, 99, rows)]),
        "uids": rng.integers(1, 2**32, rows),
        "roles": rng.integers(1, 3, rows),
        "issue_ts": rng.integers(0, 2**32, rows),
        "salts": rng.integers(0, 2**32, rows),
    }
    for output in ("list", "arrow", "numpy"):
        alone = PROJECT.rtc_tokens(**columns, output=output)
        together = PROJECT.rtc_tokens(**columns, output=output, threads=threads)
        assert list(together) == list(alone)
    columns["channel_names"] = columns["channel_names"].astype(object)
    columns["channel_names"][[0, 500, 501, 1002]] = ""
    alone = PROJECT.rtc_tokens(**columns, errors="null")
    assert PROJECT.rtc_tokens(**columns, errors="null", threads=threads) == alone
    assert len(alone[1]) == 4


def test_threads_of_a_batch_large_enough():
    rows = 2 * batch._ROWS_A_THREAD + 1
    uids = np.arange(1, rows + 1, dtype=np.uint32)
    alone = PROJECT.rtc_tokens("room", uids, issue_ts=5, salts=uids, output="arrow")
    together = PROJECT.rtc_tokens("room", uids, issue_ts=5, salts=uids, output="arrow", threads=2)
    assert np.array_equal(together.data, alone.data)
    assert np.array_equal(together.offsets, alone.offsets)


@pytest.mark.parametrize("threads", [0, -1, 1025, 1.5, None, True, "2"])
def test_threads_are_a_number(threads):
    with pytest.raises(FieldError, match="threads: must be"):
        PROJECT.rtc_tokens("room", UIDS, threads=threads)


# Bad rows -------------------------------------------------------------------------------------

USER = "means any user here (say allow_wildcard=True if you want that)"
ROOM = "means any channel here (say allow_wildcard=True if you want that)"
U32 = "must be in 0..4294967295"

# The columns of a batch of five with bad rows, and what is said of them.
BAD = [
    (
        {"channel_names": ["ok", "", "*", "x" * 65, "ok"]},
        {
            1: ("channel_name", ROOM),
            2: ("channel_name", ROOM),
            3: ("channel_name", "must be at most 64 bytes, not 65"),
        },
    ),
    (
        {"channel_names": ["é", None, 5, "\ud800", b"room"]},
        {
            0: ("channel_name", "has 'é', but only"),
            1: ("channel_name", "must be a str, not NoneType"),
            2: ("channel_name", "must be a str, not int"),
            3: ("channel_name", "must be valid Unicode (it has a lone surrogate)"),
            4: ("channel_name", "must be a str, not bytes"),
        },
    ),
    (
        {"uids": [0, -1, 2**32, 2**70, 5]},
        {
            0: ("uid", USER),
            1: ("uid", f"{U32} (a signed 32-bit uid is written as uid + 2**32)"),
            2: ("uid", U32),
            3: ("uid", U32),
        },
    ),
    (
        {"uids": np.array([0, -1, 2**32, -(2**40), 5])},
        {
            0: ("uid", USER),
            1: ("uid", f"{U32} (a signed 32-bit uid is written as uid + 2**32)"),
            2: ("uid", U32),
            3: ("uid", U32),
        },
    ),
    (
        {"uids": ["", "*", "x" * 256, "ok", "\ud800"]},
        {
            0: ("uid", USER),
            1: ("uid", USER),
            2: ("uid", "must be at most 255 bytes, not 256"),
            4: ("uid", "must be valid Unicode (it has a lone surrogate)"),
        },
    ),
    (
        {"uids": [None, True, 1.5, "ok", 7]},
        {
            0: ("uid", "must be an integer, not NoneType"),
            1: ("uid", "must be an integer, not a bool"),
            2: ("uid", "must be an integer, not float"),
        },
    ),
    (
        {"uids": [0, "", "*", "ok", -5]},
        {
            0: ("uid", USER),
            1: ("uid", USER),
            2: ("uid", USER),
            4: ("uid", f"{U32} (a signed 32-bit uid is written as uid + 2**32)"),
        },
    ),
    (
        {"roles": [1, 2, 3, "host", None]},
        {
            2: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
            3: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
            4: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
        },
    ),
    (
        {"roles": [0, 101, True, [], 1]},
        {
            0: (
                "role",
                'must be "publisher" (1) or "subscriber" (2) '
                "(0 and 101 were roles of 006; use publisher)",
            ),
            1: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
            2: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
            3: ("role", 'must be "publisher" (1) or "subscriber" (2)'),
        },
    ),
    (
        {"expire": [60, -1, 2**32, 1_700_003_600, 60]},
        {
            1: ("expire", U32),
            2: ("expire", U32),
            3: (
                "expire",
                "must be seconds from the issue timestamp "
                "(this is a Unix timestamp: pass a duration such as 3600)",
            ),
        },
    ),
    (
        {"expire": [60, 0, 86_401, 86_400, 1], "strict_lifetime": True},
        {1: ("expire", rules.LIFETIME), 2: ("expire", rules.LIFETIME)},
    ),
    (
        {"issue_ts": [0, -1, 2**32, 5, None]},
        {
            1: ("issue_ts", U32),
            2: ("issue_ts", U32),
            4: ("issue_ts", "must be an integer, not NoneType"),
        },
    ),
    ({"salts": [0, -1, 2**32, 5, 6]}, {1: ("salt", U32), 2: ("salt", U32)}),
    (
        {
            "channel_names": ["", "b", "c", "d", "e"],
            "uids": [0, 0, 1, 2, -1],
            "salts": [1, 1, 1, -1, -1],
        },
        {
            0: ("channel_name", ROOM),
            1: ("uid", USER),
            3: ("salt", U32),
            4: ("uid", f"{U32} (a signed 32-bit uid is written as uid + 2**32)"),
        },
    ),
]
GOOD = {"channel_names": "room", "uids": UIDS, "roles": 1, "issue_ts": ISSUE_TS, "salts": SALTS}


@pytest.mark.parametrize(("columns", "bad"), BAD)
def test_bad_rows_are_all_listed(columns, bad):
    with pytest.raises(RowsError) as caught:
        PROJECT.rtc_tokens(**{**GOOD, **columns})
    rows = caught.value.rows
    assert [row.index for row in rows] == list(bad)
    for row in rows:
        field, reason = bad[row.index]
        assert row.field == field
        assert row.reason.startswith(reason)


@pytest.mark.parametrize(("columns", "bad"), BAD)
def test_bad_rows_are_null_and_good_rows_are_kept(columns, bad):
    given = {**GOOD, **columns}
    tokens, report = PROJECT.rtc_tokens(**given, errors="null")
    with pytest.raises(RowsError) as caught:
        PROJECT.rtc_tokens(**given)
    assert report == caught.value.rows
    assert all(isinstance(row, BadRow) for row in report)
    good = [row for row in range(ROWS) if row not in bad]
    assert [row for row, token in enumerate(tokens) if token is not None] == good
    # The good rows alone are a batch that makes the same tokens.
    only = {
        name: [list(value)[row] for row in good] if isinstance(value, list | np.ndarray) else value
        for name, value in given.items()
    }
    assert PROJECT.rtc_tokens(**only) == [tokens[row] for row in good]


def test_null_in_each_output():
    given = {**GOOD, "uids": [1, 0, 3, 0, 5], "errors": "null"}
    listed, report = PROJECT.rtc_tokens(**given)
    assert [row.index for row in report] == [1, 3]
    column, same = PROJECT.rtc_tokens(**given, output="arrow")
    assert (column.to_list(), same) == (listed, report)
    assert column.valid.tolist() == [True, False, True, False, True]
    assert column[1] is None
    array, same = PROJECT.rtc_tokens(**given, output="numpy")
    assert same == report
    assert array.tolist() == [b"" if token is None else token.encode() for token in listed]


def test_all_rows_bad():
    tokens, report = PROJECT.rtc_tokens("room", [0] * 5, errors="null")
    assert tokens == [None] * 5
    assert len(report) == 5
    assert (
        PROJECT.rtc_tokens("room", [0] * 5, errors="null", output="numpy")[0].tolist() == [b""] * 5
    )


def test_no_row_bad():
    tokens, report = PROJECT.rtc_tokens(**GOOD, errors="null")
    assert report == ()
    assert tokens == PROJECT.rtc_tokens(**GOOD)
    column, _ = PROJECT.rtc_tokens(**GOOD, errors="null", output="arrow")
    assert column.valid is None


def test_bad_rows_of_006():
    given = {"channel_names": ["", "b", "c"], "uids": [1, 0, 3], "issue_ts": 5, "salts": [1, 2, 3]}
    tokens, report = PROJECT.rtc_tokens_006(**given, errors="null")
    assert tokens == [None, None, PROJECT.rtc_token_006("c", 3, issue_ts=5, salt=3)]
    assert [(row.index, row.field) for row in report] == [(0, "channel_name"), (1, "uid")]


@pytest.mark.parametrize(
    ("service", "bad"),
    [
        (Rtc("r", 1, {1: [1, -1, 10**9]}), {1: "privilege 1", 2: "privilege 1"}),
        (Rtc("r", 1, [{1: 1}, {1: -1}, 5]), {1: "privilege 1", 2: "privileges"}),
        (Rtc("r", 1, [{-1: 1}, {}, {1: 10**9}]), {0: "privilege", 2: "privilege 1"}),
        (Rtm(["a", "", "x" * 65]), {1: "user_id", 2: "user_id"}),
        (Chat(["", None, "x" * 256]), {1: "user_id", 2: "user_id"}),
        (Streaming("r", [0, 1, -1]), {0: "account", 2: "account"}),
        (Apaas("r", "u", [-32_769, 0, 32_768]), {0: "role", 2: "role"}),
        (Apaas("r", "u", [None, True, 1]), {0: "role", 1: "role"}),
        (Rtm2("a", [{}, {0: 5}, 5]), {1: "permissions", 2: "permissions"}),
        (
            Rtm2("a", [{0: {0: [5]}}, {-1: {}}, {0: {0: "abc"}}]),
            {0: "permissions name", 1: "permissions resource", 2: "permissions"},
        ),
    ],
)
def test_bad_rows_of_services(service, bad):
    with pytest.raises(RowsError) as caught:
        PROJECT.tokens([service])
    assert {row.index: row.field for row in caught.value.rows} == bad
    tokens, report = PROJECT.tokens([service], errors="null")
    assert report == caught.value.rows
    assert [token is None for token in tokens] == [row in bad for row in range(3)]


def test_missing_rows():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    columns = {
        "channel_names": pa.array(["a", None, "c", "d"]),
        "uids": pa.array([1, 2, None, 4]),
        "roles": pa.array(["publisher", "subscriber", "publisher", None]),
        "salts": pa.array([1, None, 3, 4]),
    }
    for allow in (False, True):
        tokens, report = PROJECT.rtc_tokens(**columns, allow_wildcard=allow, errors="null")
        assert [(row.index, row.field, row.reason) for row in report] == [
            (1, "channel_name", "is missing"),
            (2, "uid", "is missing"),
            (3, "role", "is missing"),
        ]
        assert [token is None for token in tokens] == [False, True, True, True]


def test_missing_rows_are_never_wildcards():
    """In no kind of column, even when wildcards are allowed."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    texts, numbers = ["a", None], [1, None]
    columns = [
        texts,
        pa.array(texts),
        pa.array(texts, pa.large_string()),
        pa.array(texts, pa.string_view()),
        pa.array(texts).dictionary_encode(),
        pa.array(texts).dictionary_encode(null_encoding="encode"),
        polars.Series(texts),
        polars.Series(texts, dtype=polars.Categorical),
        pandas.Series(texts),
        pandas.Series(texts, dtype="category"),
        pandas.Series(texts, dtype=object),
        np.array(texts, object),
        np.ma.array(["a", ""], mask=[False, True]),
        numbers,
        pa.array(numbers),
        pa.array(numbers).dictionary_encode(null_encoding="encode"),
        polars.Series(numbers),
        pandas.Series(numbers, dtype="Int64"),
        np.ma.array([1, 0], mask=[False, True]),
    ]
    if hasattr(np.dtypes, "StringDType"):
        columns.append(np.array(texts, np.dtypes.StringDType(na_object=None)))
        columns.append(np.array(["a", np.nan], np.dtypes.StringDType(na_object=np.nan)))
    for column in columns:
        tokens, report = PROJECT.rtc_tokens("room", column, allow_wildcard=True, errors="null")
        assert [row.index for row in report] == [1], repr(column)
        assert tokens[0] is not None
        assert tokens[1] is None


def test_wildcards_in_columns():
    channels, uids = ["", "*", "a", "*", "b"], [0, 5, 0, 7, 8]
    expected = rtc(channel_names=channels, uids=uids, allow_wildcard=True, **FIXED)
    assert PROJECT.rtc_tokens(channels, uids, allow_wildcard=True, **FIXED) == expected
    accounts = ["", "*", 0, "a", 5]
    expected = rtc(channel_names="room", uids=accounts, allow_wildcard=True, **FIXED)
    assert PROJECT.rtc_tokens("room", accounts, allow_wildcard=True, **FIXED) == expected
    expected = rtc(
        channel_names="room", uids=["", "*", "a", "b", "0"], allow_wildcard=True, **FIXED
    )
    assert (
        PROJECT.rtc_tokens("room", ["", "*", "a", "b", "0"], allow_wildcard=True, **FIXED)
        == expected
    )


# What is wrong with the whole batch -----------------------------------------------------------


@pytest.mark.parametrize("errors", ["raise", "null"])
@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"channel_names": ["a"] * 4}, "uid"),
        ({"roles": [1] * 4}, "role"),
        ({"expire": [60] * 6}, "uid"),
        ({"issue_ts": [5] * 4}, "issue_ts"),
        ({"salts": [5]}, "salt"),
        ({"salts": []}, "salt"),
    ],
)
def test_unequal_lengths(columns, field, errors):
    with pytest.raises(FieldError, match="rows where other columns have"):
        PROJECT.rtc_tokens(**{**GOOD, **columns}, errors=errors)
    with pytest.raises(FieldError, match="rows where other columns have"):
        PROJECT.rtc_tokens_006(**{**GOOD, **columns}, errors=errors)


def test_a_batch_has_a_column():
    with pytest.raises(FieldError, match="columns: at least one field must be a column"):
        PROJECT.rtc_tokens("room", 7)
    with pytest.raises(FieldError, match="columns: at least one field must be a column"):
        PROJECT.tokens([Rtc("room", 7)])
    with pytest.raises(FieldError, match="services: must hold at least one service"):
        PROJECT.tokens([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "csv"}, 'output: must be "list", "arrow" or "numpy"'),
        ({"output": None}, 'output: must be "list", "arrow" or "numpy"'),
        ({"errors": "ignore"}, 'errors: must be "raise" or "null"'),
        ({"salts": 5}, "salts: must be a column"),
        ({"roles": "host"}, "role: must be"),
        ({"channel_names": ""}, "channel_name: means any channel"),
        ({"channel_names": 5}, "channel_name: must be a str"),
        ({"uids": None, "salts": SALTS}, "uid: must be an integer"),
        ({"expire": 10**9}, "expire: must be seconds"),
        ({"expire": "60"}, "expire: must be an integer"),
        ({"expire": 0, "strict_lifetime": True}, "expire: is 0 or more"),
        ({"issue_ts": -1}, "issue_ts: must be in"),
        (
            {"uids": np.array([1.0, 2.0])},
            "uid: must be a column of integers, not float64 .pandas makes",
        ),
        ({"uids": np.array([True, False])}, "uid: must be a column of integers, not bool"),
        ({"uids": np.array([[1, 2]])}, "uid: must be a one-dimensional"),
        ({"uids": np.array(5)}, "uid: must be a one-dimensional"),
        ({"uids": np.array(None, object)}, "uid: must be a one-dimensional"),
        ({"uids": np.array([b"a"])}, "uid: must be"),
        ({"uids": np.array(["2020-01-01"], "M8[D]")}, "uid: must be"),
        ({"channel_names": np.array([1, 2])}, "channel_name: must be a column of text, not int64"),
        ({"channel_names": np.array([b"a", b"b"])}, "channel_name: must be a column of text"),
        ({"channel_names": range(5)}, "channel_name: must be"),
        ({"expire": np.array(["60"] * 5)}, "expire: must be a column of integers"),
        ({"expire": np.array([60.0] * 5)}, "expire: must be a column of integers"),
        (
            {"privilege_expire": 10**9},
            "privilege [1-4]: must be seconds|privilege_expire: must be seconds",
        ),
    ],
)
def test_what_is_wrong_with_the_whole_batch(options, message):
    given = {"channel_names": "room", "uids": UIDS, **options}
    with pytest.raises((FieldError, RowsError), match=message):
        PROJECT.rtc_tokens(**given)


def test_arrow_columns_of_the_other_kind():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for columns, message in (
        (
            {"channel_names": pa.array([1])},
            "channel_name: must be a column of text, not of integers",
        ),
        (
            {"uids": [1], "expire": pa.array(["60"])},
            "expire: must be a column of integers, not of text",
        ),
        (
            {"uids": [1], "salts": pa.array(["60"])},
            "salt: must be a column of integers, not of text",
        ),
    ):
        with pytest.raises(FieldError, match=message):
            PROJECT.rtc_tokens(**{"channel_names": "room", "uids": 7, **columns})
    for service in (Rtc("r", 1, pa.array([1])), Rtm2("r", pa.array(["x"]))):
        with pytest.raises(FieldError, match="must be a list of mappings"):
            PROJECT.tokens([service])


def test_privilege_keys_are_never_columns():
    for privileges in ({-1: [5]}, {65536: [5]}, {"x": [5]}, {"x": [5], 1: [5]}, {True: [5]}):
        with pytest.raises(FieldError, match=r"^privilege: must be"):
            PROJECT.tokens([Rtc("room", 7, privileges)])


def test_wrong_batches_of_services():
    for services in ([None], [Rtc("a", [1]), "b"], "ab"):
        with pytest.raises(FieldError, match=r"^services: must hold services"):
            PROJECT.tokens(services)


# Warnings and defaults ------------------------------------------------------------------------


def test_long_lifetimes_are_one_warning():
    with pytest.warns(TokenWarning, match="expire of 2 rows is 0 or more than 86400") as caught:
        PROJECT.rtc_tokens("room", [1, 2, 3], expire=[0, 60, 86_401])
    assert len(caught) == 1


def test_bad_rows_are_no_warning():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for expire in ([60, -1], [60, 10**9], pa.array([60, None]), np.array([60, -5])):
            with pytest.raises(RowsError) as caught:
                PROJECT.rtc_tokens("room", [1, 2], expire=expire)
            assert [row.index for row in caught.value.rows] == [1]


def test_default_time_is_now():
    before = int(time.time())
    tokens = PROJECT.rtc_tokens("room", UIDS)
    old = PROJECT.rtc_tokens_006("room", UIDS)
    after = int(time.time())
    stamps = {parse(token).claims.issue_ts for token in tokens}
    assert len(stamps) == 1
    assert before <= stamps.pop() <= after
    ends = {parse(token).claims.ts - 86_400 for token in old}
    assert len(ends) == 1
    assert before <= ends.pop() <= after


def test_outputs():
    listed = PROJECT.rtc_tokens(**GOOD)
    assert type(listed) is list
    assert all(type(token) is str for token in listed)
    column = PROJECT.rtc_tokens(**GOOD, output="arrow")
    assert isinstance(column, Tokens)
    assert column.to_list() == listed
    assert column.valid is None
    array = PROJECT.rtc_tokens(**GOOD, output="numpy")
    assert array.dtype.kind == "S"
    assert array.astype("U").tolist() == listed
    for output in ("list", "arrow", "numpy"):
        general = PROJECT.tokens(
            [Rtc("room", UIDS, dict.fromkeys([1, 2, 3, 4], 0))], output=output, **FIXED
        )
        assert list(general) == list(PROJECT.rtc_tokens(**GOOD, output=output))


@given(
    st.lists(
        st.tuples(
            st.text(st.sampled_from(rules.CHANNEL_CHARACTERS + "*é"), max_size=66),
            st.one_of(st.integers(-2, 2**32 + 1), st.text(max_size=40), st.just("x" * 256)),
            st.sampled_from([1, 2, "publisher", "subscriber", 3]),
            st.one_of(st.integers(1, 86_400), st.sampled_from([-1, 10**9])),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_batches_and_calls_agree(rows, allow_wildcard):
    """On every token, and on every refusal: field, rule and mend."""
    channels, uids, roles, expires = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    )
    tokens, report = PROJECT.rtc_tokens(
        channels,
        uids,
        roles,
        expires,
        issue_ts=5,
        salts=[6] * len(rows),
        errors="null",
        allow_wildcard=allow_wildcard,
    )
    reported = {row.index: row for row in report}
    for index, (channel, uid, role, expire) in enumerate(rows):
        try:
            token = PROJECT.rtc_token(
                channel, uid, role, expire, issue_ts=5, salt=6, allow_wildcard=allow_wildcard
            )
        except FieldError:
            assert tokens[index] is None
            with pytest.raises(FieldError) as caught:
                one_field(reported[index].field, channel, uid, role, expire, allow_wildcard)
            assert caught.value.reason == reported[index].reason
        else:
            assert tokens[index] == token
            assert index not in reported


def one_field(field, channel, uid, role, expire, allow_wildcard):
    """A call in which only this field may be bad."""
    good = {"channel_name": "room", "uid": 7, "role": 1, "expire": 60}
    given = {"channel_name": channel, "uid": uid, "role": role, "expire": expire}
    return PROJECT.rtc_token(**{**good, field: given[field]}, allow_wildcard=allow_wildcard)
