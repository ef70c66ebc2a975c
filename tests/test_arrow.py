"""Arrow columns in and out, over the PyCapsule interface."""

import ctypes
import gc

import numpy as np
import pytest
from helpers import FIXED, ISSUE_TS

from fasttoken import FieldError, RowsError, Tokens, arrow, parse, rules
from fasttoken.arrow import Numbers, Text
from fasttoken.columns import CHECKS, Columns

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
WORDS = ["lobby", "r", "a name of more than twelve bytes", "x" * 64, "ü-ber"]


def texts(column):
    """A `Text` as a list."""
    rows = [
        column.data[column.offsets[row] : column.offsets[row + 1]].tobytes().decode()
        for row in range(len(column))
    ]
    if column.nulls is not None:
        return [None if null else row for row, null in zip(rows, column.nulls, strict=True)]
    return rows


def numbers(column):
    """A `Numbers` as a list."""
    if column.nulls is None:
        return column.values.tolist()
    pairs = zip(column.values.tolist(), column.nulls, strict=True)
    return [None if null else value for value, null in pairs]


@pytest.fixture(autouse=True)
def nothing_is_held():
    """Whatever a test exports is released when it is over."""
    yield
    gc.collect()
    assert arrow._held == {}
    assert arrow._capsules == {}


# Reading text ---------------------------------------------------------------------------------

TEXT_TYPES = [pa.string(), pa.large_string(), pa.string_view()]
TEXT_TYPES += [pa.dictionary(index, pa.string()) for index in (pa.int8(), pa.uint32(), pa.int64())]
TEXT_TYPES += [
    pa.dictionary(pa.int8(), pa.large_string()),
]
NULLABLE = [*WORDS, None, "", None, "z"]


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("values", [WORDS, NULLABLE, [], [None, None], [""], [None]])
def test_text(kind, values):
    assert texts(arrow.read("f", pa.array(values, kind))) == values


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("start", [0, 1, 5])
@pytest.mark.parametrize("size", [0, 1, 3, 9])
def test_sliced_text(kind, start, size):
    array = pa.array(NULLABLE * 3, kind).slice(start, size)
    assert texts(arrow.read("f", array)) == array.to_pylist()


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
def test_chunked_text(kind):
    parts = [pa.array(WORDS, kind), pa.array([], kind), pa.array(NULLABLE * 2, kind).slice(3, 7)]
    for count in range(4):
        column = pa.chunked_array(parts[:count], kind)
        assert texts(arrow.read("f", column)) == column.to_pylist()


def test_dictionary_with_a_null_of_its_own():
    """The rows that refer to it are missing, not empty."""
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array(["a", None]))
    assert texts(arrow.read("f", array)) == ["a", None, None, "a"]
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array([5, None]))
    assert numbers(arrow.read("f", array)) == [5, None, None, 5]


def test_dictionary_of_a_slice():
    words = pa.array(["no", *WORDS]).slice(1)
    array = pa.DictionaryArray.from_arrays(pa.array([3, 0, 4, 4]), words)
    assert texts(arrow.read("f", array)) == [WORDS[3], WORDS[0], WORDS[4], WORDS[4]]


def view(size, text=b"", buffer=0, offset=0):
    """One entry of a string-view column."""
    if size <= 12:
        return size.to_bytes(4, "little", signed=True) + text.ljust(12, b"\xee")
    head = size.to_bytes(4, "little") + text[:4]
    return head + buffer.to_bytes(4, "little") + offset.to_bytes(4, "little")


def test_string_views_of_several_buffers_and_undefined_nulls():
    """What stands in a missing row is undefined, and must not be looked at."""
    garbage = b"\xff\xff\xff\x7f" + b"\xee" * 12
    long = b"a text of some length"
    views = view(3, b"abc") + garbage + view(21, long, 1, 2) + view(12, b"twelve bytes")
    buffers = [
        pa.py_buffer(bytes([0b1101])),
        pa.py_buffer(views),
        pa.py_buffer(b"nothing"),
        pa.py_buffer(b"__" + long),
    ]
    array = pa.Array.from_buffers(pa.string_view(), 4, buffers)
    read = arrow.read("f", array)
    assert texts(read) == ["abc", None, long.decode(), "twelve bytes"]


# Reading integers -----------------------------------------------------------------------------

INTEGERS = [
    pa.int8(),
    pa.uint8(),
    pa.int16(),
    pa.uint16(),
    pa.int32(),
    pa.uint32(),
    pa.int64(),
    pa.uint64(),
]


@pytest.mark.parametrize("kind", [*INTEGERS, pa.dictionary(pa.int8(), pa.int32())], ids=str)
@pytest.mark.parametrize("values", [[1, 2, 127], [1, None, 3], [None], []])
def test_integers(kind, values):
    array = pa.array(values, kind)
    read = arrow.read("f", array)
    if isinstance(read, Text):  # a dictionary without entries has no numbers
        assert texts(read) == values
    else:
        assert numbers(read) == values
    read = arrow.read("f", pa.array([9, *values, None], kind).slice(1, len(values)))
    assert numbers(read) == values
    chunks = pa.chunked_array([pa.array([5], kind), pa.array(values, kind), pa.array([7], kind)])
    assert numbers(arrow.read("f", chunks)) == [5, *values, 7]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_ends_of_integers(kind):
    ends = np.iinfo(kind.to_pandas_dtype())
    array = pa.array([int(ends.min), int(ends.max)], kind)
    assert numbers(arrow.read("f", array)) == [ends.min, ends.max]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1.5]),
        pa.array([True]),
        pa.array([b"x"], pa.binary()),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([1], pa.date32()),
        pa.array([1], pa.timestamp("s")),
        pa.record_batch({"a": [1]}),
        pa.table({"a": [1]}),
        pa.chunked_array([], pa.float64()),
        pa.array([1.5]).dictionary_encode(),
    ],
    ids=lambda array: str(getattr(array, "type", type(array).__name__)),
)
def test_other_types_are_refused(project, array):
    with pytest.raises(FieldError, match="uid: must be an Arrow column of text or integers"):
        project.rtc_tokens("room", array)
    with pytest.raises(FieldError, match="expire: must be an Arrow column of text or integers"):
        project.rtc_tokens("room", [1], expire=array)


def test_columns_of_the_null_type_are_missing(project):
    for column in ("channel_names", "uids", "roles", "expire", "issue_ts", "salts"):
        given = {"channel_names": ["room"] * 2, "uids": [1, 2], column: pa.nulls(2)}
        with pytest.raises(RowsError) as caught:
            project.rtc_tokens(**given)
        assert [row.reason for row in caught.value.rows] == ["is missing"] * 2


@pytest.mark.parametrize("kind", [*INTEGERS, *TEXT_TYPES], ids=str)
def test_streams_without_chunks(project, kind):
    empty = pa.chunked_array([], kind)
    assert project.rtc_tokens("room", empty) == []
    if kind in INTEGERS:
        assert project.rtc_tokens("room", empty, expire=empty) == []
    else:
        assert project.rtc_tokens(empty, empty) == []


class OneShot:
    """A stream that can be taken once, as a query's result can."""

    def __init__(self, column):
        self.column = column
        self.taken = 0

    def __arrow_c_stream__(self, requested_schema=None):
        self.taken += 1
        assert self.taken == 1
        return self.column.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("values", [["ann", "bob"], [7, 8]])
def test_a_stream_is_taken_once(project, values):
    stream = OneShot(pa.chunked_array([values]))
    expected = project.rtc_tokens("room", values, issue_ts=ISSUE_TS, salts=[1, 2])
    assert project.rtc_tokens("room", stream, issue_ts=ISSUE_TS, salts=[1, 2]) == expected
    expire = OneShot(pa.chunked_array([[60, 61]]))
    expected = project.rtc_tokens("room", values, 1, [60, 61], issue_ts=ISSUE_TS, salts=[1, 2])
    assert (
        project.rtc_tokens("room", values, 1, expire, issue_ts=ISSUE_TS, salts=[1, 2]) == expected
    )


def test_a_stream_that_fails(project):
    def batches():
        yield pa.record_batch({"a": [1]})
        raise OSError("the wire broke")

    class Failing:
        def __arrow_c_stream__(self, requested_schema=None):
            schema = pa.schema({"a": pa.int64()})
            reader = pa.RecordBatchReader.from_batches(schema, batches())
            return reader.__arrow_c_stream__(requested_schema)

    # The reader's stream is of structs, which are refused before it breaks.
    with pytest.raises(FieldError, match="uid"):
        project.rtc_tokens("room", Failing())

    column = pa.chunked_array([[1]])

    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            capsule = column.__arrow_c_stream__(requested_schema)
            stream = arrow._Stream.from_address(arrow._pointer(capsule, b"arrow_array_stream"))
            self.message = ctypes.create_string_buffer(b"the wire broke")
            where = ctypes.addressof(self.message)
            self.next = type(stream.get_next)(lambda stream, array: 5)
            self.last = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda stream: where)
            stream.get_next = self.next
            stream.get_last_error = ctypes.cast(self.last, type(stream.get_last_error))
            return capsule

    with pytest.raises(FieldError, match="uid: the Arrow stream failed: the wire broke"):
        project.rtc_tokens("room", Broken())


def test_text_that_is_no_utf8_is_a_bad_row(project):
    broken = pa.array([b"good", b"\xff", "é".encode()]).view(pa.utf8())
    with pytest.raises(RowsError) as caught:
        project.rtc_tokens("room", broken)
    assert [(row.index, row.field) for row in caught.value.rows] == [(1, "uid")]


# No copies ------------------------------------------------------------------------------------


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("start", [0, 2])
def test_text_is_read_where_it_lies(kind, start):
    array = pa.array(WORDS * 4, kind).slice(start)
    column = Columns(True, False)
    data, offsets = column.texts("account", array, rules.account)
    width = 4 if kind == pa.string() else 8
    assert address(data) == array.buffers()[2].address
    assert address(offsets) == array.buffers()[1].address + start * width
    one_chunk = pa.chunked_array([array])
    data, offsets = Columns(True, False).texts("account", one_chunk, rules.account)
    assert address(data) == array.buffers()[2].address


@pytest.mark.parametrize("start", [0, 3])
def test_integers_are_read_where_they_lie(start):
    array = pa.array(range(1, 9), pa.uint32()).slice(start)
    values = Columns(False, False).uids("uid", array, rules.uid)
    assert address(values) == array.buffers()[1].address + 4 * start


def test_numpy_is_read_where_it_lies():
    array = np.arange(1, 9, dtype=np.uint32)
    assert address(Columns(False, False).uids("uid", array, rules.uid)) == address(array)
    roles = np.arange(5, dtype=np.int16)
    read = Columns(False, False).numbers("role", roles, "<i2", CHECKS[rules.i16], int)
    assert address(read) == address(roles)


def test_what_is_borrowed_is_released():
    """A column that was read is let go of when its owner is."""
    before = pa.total_allocated_bytes()
    array = pa.array(range(100_000), pa.int64())
    read = arrow.read("f", array)
    del array
    gc.collect()
    assert pa.total_allocated_bytes() >= before + 800_000
    assert read.values[-1] == 99_999
    del read
    gc.collect()
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("chunks", [1, 3])
def test_what_a_stream_lends_is_released(chunks):
    before = pa.total_allocated_bytes()
    column = pa.chunked_array([pa.array(["text"] * 50_000)] * chunks)
    read = arrow.read("f", column)
    del column
    gc.collect()
    assert texts(read)[-1] == "text"
    del read
    gc.collect()
    assert pa.total_allocated_bytes() == before


# Tokens out -----------------------------------------------------------------------------------


@pytest.fixture
def minted(project):
    """A column of tokens with a missing row, and the same as a list."""
    options = {"issue_ts": ISSUE_TS, "salts": [1, 2, 3, 4], "errors": "null"}
    tokens, bad = project.rtc_tokens("room", [1, 2, 0, 4], output="arrow", **options)
    expected, _ = project.rtc_tokens("room", [1, 2, 0, 4], **options)
    assert len(bad) == 1
    assert expected[2] is None
    return tokens, expected


@pytest.fixture
def whole(project):
    """A column of tokens without a missing row, and the same as a list."""
    options = {"issue_ts": ISSUE_TS, "salts": [1, 2, 3]}
    tokens = project.rtc_tokens("room", ["ann", "bob", "carol"], output="arrow", **options)
    return tokens, project.rtc_tokens("room", ["ann", "bob", "carol"], **options)


@pytest.fixture(params=["minted", "whole"])
def column(request):
    return request.getfixturevalue(request.param)


def test_tokens_are_a_sequence(column):
    tokens, expected = column
    assert isinstance(tokens, Tokens)
    assert len(tokens) == len(expected)
    assert list(tokens) == tokens.to_list() == expected
    assert [tokens[row] for row in range(len(tokens))] == expected
    assert tokens[-1] == expected[-1]
    for row in (len(tokens), -len(tokens) - 1):
        with pytest.raises(IndexError):
            tokens[row]
    assert repr(tokens) == f"<Tokens: {len(tokens)} rows, {len(tokens.data)} bytes>"
    assert expected[0] not in repr(tokens)


def test_tokens_as_numpy(column):
    tokens, expected = column
    array = tokens.to_numpy()
    assert array.dtype.kind == "S"
    assert array.dtype.itemsize == max(len(token) for token in expected if token)
    assert [item.decode() or None for item in array.tolist()] == expected


def test_pyarrow_reads_tokens(column):
    tokens, expected = column
    array = pa.array(tokens)
    assert array.type == pa.large_string()
    array.validate(full=True)
    assert array.to_pylist() == expected
    assert array.null_count == expected.count(None)
    assert array.buffers()[2].address == address(tokens.data)
    assert array.buffers()[1].address == address(tokens.offsets)


def test_tokens_outlive_their_producer(column):
    tokens, expected = column
    array = pa.array(tokens)
    held = array.slice(1)
    tokens.data = tokens.offsets = tokens.valid = None
    del tokens, array
    gc.collect()
    noise = [bytes(100_000) for _ in range(20)]
    assert held.to_pylist() == expected[1:]
    del held, noise


def test_polars_reads_tokens(column):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    tokens, expected = column
    series = polars.Series("token", tokens)
    assert series.dtype == polars.String
    assert series.to_list() == expected


def test_duckdb_reads_tokens(column):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    tokens, expected = column
    minted = pa.table({"token": pa.array(tokens)})
    found = duckdb.sql("select token from minted").fetchall()
    assert [row[0] for row in found] == expected
    del minted, found


def test_no_tokens(project):
    tokens = project.rtc_tokens("room", [], output="arrow")
    assert pa.array(tokens).to_pylist() == tokens.to_list() == []
    assert tokens.to_numpy().shape == (0,)


def test_a_requested_schema_may_be_ignored(whole):
    tokens, expected = whole
    schema, array = tokens.__arrow_c_array__(requested_schema=pa.string().__arrow_c_schema__())
    assert pa.Array._import_from_c_capsule(schema, array).to_pylist() == expected


def test_capsules_that_nobody_takes(whole):
    """Their memory goes with them; the fixture looks whether it did."""
    tokens, _ = whole
    for _ in range(3):
        tokens.__arrow_c_array__()
        tokens.__arrow_c_schema__()
    kept = tokens.__arrow_c_array__()
    assert len(arrow._held) == len(arrow._capsules) == 2
    del kept
    gc.collect()
    assert not arrow._held


def test_capsules_that_go_while_an_exception_is_raised(whole):
    """Their destructors run in the middle of it, and must not lose it."""
    tokens, _ = whole

    def fails():
        capsules = tokens.__arrow_c_array__()
        assert capsules
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        fails()
    del caught
    gc.collect()
    assert not arrow._held


def test_a_consumer_that_fails_releases(whole):
    tokens, _ = whole

    class Interrupted(Exception):
        pass

    def consume():
        array = pa.array(tokens)
        sliced = array.slice(1)
        raise Interrupted(len(sliced))

    for _ in range(3):
        with pytest.raises(Interrupted) as caught:
            consume()
        del caught
    gc.collect()
    assert not arrow._held
    with pytest.raises(pa.ArrowInvalid):
        pa.array(tokens).cast(pa.int64())


def test_release_during_an_exception_keeps_it(whole):
    """A consumer in C may call the release callbacks while an exception is set."""
    tokens, _ = whole
    schema_capsule, array_capsule = tokens.__arrow_c_array__()

    class Dropped:
        """Calls release from a destructor that runs while an exception unwinds."""

        def __del__(self):
            for capsule, name, kind in (
                (schema_capsule, b"arrow_schema", arrow._Schema),
                (array_capsule, b"arrow_array", arrow._Array),
            ):
                structure = kind.from_address(arrow._pointer(capsule, name))
                structure.release(ctypes.byref(structure))
                assert not structure.release

    def fails():
        dropped = Dropped()
        assert dropped
        raise ValueError("still here")

    with pytest.raises(ValueError, match="still here") as caught:
        fails()
    del caught
    gc.collect()
    assert not arrow._held


def test_moved_structures(whole):
    """A consumer may move a structure and release the copy; the original is then empty."""
    tokens, expected = whole
    schema, array = tokens.__arrow_c_array__()
    source = arrow._Array.from_address(arrow._pointer(array, b"arrow_array"))
    moved = arrow._Array()
    ctypes.memmove(ctypes.byref(moved), ctypes.byref(source), ctypes.sizeof(moved))
    source.release = arrow._release_array()
    del array, source
    gc.collect()
    offsets = np.frombuffer((ctypes.c_int64 * 4).from_address(moved.buffers[1]), np.int64)
    data = ctypes.string_at(moved.buffers[2], offsets[-1])
    assert data[offsets[0] : offsets[1]].decode() == expected[0]
    moved.release(ctypes.byref(moved))
    assert not moved.release
    del schema


def test_tokens_go_through_again(project, whole):
    """A column of tokens is an Arrow column like any other."""
    tokens, expected = whole
    read = arrow.read("f", tokens)
    assert texts(read) == expected
    assert address(read.data) == address(tokens.data)
    assert parse(tokens[0]).claims.issue_ts == FIXED["issue_ts"]
    assert isinstance(read, Text)
    assert not isinstance(read, Numbers)
