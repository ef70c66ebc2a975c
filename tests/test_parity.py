"""The two cores, side by side: same values, same exception type and text (same type only where a
value is of the wrong type, which the package itself never passes on)."""

import base64
import inspect
import itertools
import os
import pickle
import random
import struct
import zlib

import numpy as np
import pytest
from helpers import CERTIFICATE, vectors, zlib_is_stock
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fasttoken import MalformedToken, Project
from fasttoken._pure import (
    Check,
    Envelope,
    Pattern,
    PatternField,
    Question,
    Slot,
    SlotKind,
)

pytestmark = pytest.mark.once
stock_zlib = pytest.mark.skipif(
    not zlib_is_stock(), reason="this platform's zlib is not stock: the pure core's bytes differ"
)

ISSUE_TS, SALT = Slot(SlotKind.ISSUE_TS), Slot(SlotKind.SALT)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
any_int = st.one_of(
    st.integers(),
    st.sampled_from(
        [-1, 0, 1, 0x7FFF, 0x8000, -0x8000, -0x8001, 0xFFFF, 0x10000, 2**32 - 1, 2**32]
    ),
)


def plain(value):
    """Arrays, and tuples of them, as something that == compares."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return type(value), value


def outcome(function, *arguments):
    try:
        return plain(function(*arguments))
    except Exception as error:
        return type(error), str(error)


@pytest.fixture(scope="module")
def same(pure, native):
    """Checks that a function of both cores does the same with the same arguments."""

    def check(name, *arguments):
        specified = outcome(getattr(pure, name), *arguments)
        assert outcome(getattr(native, name), *arguments) == specified
        return specified

    return check


# Names ----------------------------------------------------------------------------------------


def test_same_names(pure, native):
    assert native.__all__ == pure.__all__
    assert all(hasattr(native, name) for name in pure.__all__)


def test_same_documentation_and_parameters(pure, native):
    for name in pure.__all__:
        ours, twin = getattr(native, name), getattr(pure, name)
        # getdoc: since Python 3.13 the compiler strips the indentation, Cython does not.
        assert inspect.getdoc(ours) == inspect.getdoc(twin), name
        if inspect.isfunction(twin):
            assert list(inspect.signature(ours).parameters) == list(
                inspect.signature(twin).parameters
            ), name


def test_same_certificate_methods(pure, native):
    public = {name for name in vars(pure.Certificate) if not name.startswith("_")}
    assert public == {name for name in vars(native.Certificate) if not name.startswith("_")}
    for name in public:
        assert (
            getattr(native.Certificate, name).__doc__ == getattr(pure.Certificate, name).__doc__
        ), name


WRONG = [
    ("crc32", "text"),
    ("crc32", None),
    ("pack_u16", "1"),
    ("pack_u16", None),
    ("pack_u16", 1.5),
    ("pack_u32", "1"),
    ("pack_i16", b"1"),
    ("pack_str", "text"),
    ("pack_str", None),
    ("pack_map32", None),
    ("pack_map32", {"1": 2}),
    ("pack_map32", {1: "2"}),
    ("sha256", None),
    ("sha256", "text"),
    ("hmac_sha256", None, b""),
    ("hmac_sha256", b"", "text"),
    ("deflate", None),
    ("deflate", "text"),
    ("inflate", "text", 10),
    ("inflate", None, 10),
    ("encode", "text"),
    ("encode", None),
    ("Certificate", None),
]


@pytest.mark.parametrize("call", WRONG, ids=lambda call: f"{call[0]}{call[1:]}")
def test_wrong_types_are_the_same_exception(pure, native, call):
    name, *arguments = call
    with pytest.raises(Exception) as specified:  # noqa: PT011
        getattr(pure, name)(*arguments)
    with pytest.raises(specified.type):
        getattr(native, name)(*arguments)


# Packing, signing, encoding -------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_crc32(same, data):
    same("crc32", data)


@given(any_int)
@example(-1)
@example(0xFFFF)
@example(0x1_0000)
def test_integers(same, value):
    for name in ("pack_u16", "pack_u32", "pack_i16"):
        same(name, value)


@given(st.integers(-5, 5).map(np.int64))
def test_numpy_integers(same, value):
    for name in ("pack_u16", "pack_u32", "pack_i16"):
        same(name, value)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 100_000])
def test_pack_str(same, size):
    same("pack_str", b"x" * size)


@given(st.dictionaries(any_int, any_int, max_size=5))
def test_pack_map32(same, values):
    same("pack_map32", values)


def test_pack_map32_of_too_many(same):
    assert same("pack_map32", dict.fromkeys(range(65536), 0))[0] is OverflowError


@given(st.binary(max_size=300))
def test_sha256(same, message):
    same("sha256", message)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_hmac(same, key, message):
    same("hmac_sha256", key, message)


@given(st.binary(max_size=100), any_int, any_int, st.binary(max_size=300))
def test_certificate(pure, native, text, issue_ts, salt, body):
    ours, twin = native.Certificate(text), pure.Certificate(text)
    assert ours.reveal() == twin.reveal() == text
    assert ours.sign_access_token(body) == twin.sign_access_token(body)
    for _ in range(2):  # the native core remembers the last issue timestamp
        for when in (issue_ts, 0, 1):
            assert outcome(ours.sign_access_token2, when, salt, body) == outcome(
                twin.sign_access_token2, when, salt, body
            )


def test_certificate_shows_nothing(pure, native):
    for core in (pure, native):
        certificate = core.Certificate(CERTIFICATE.encode())
        assert repr(certificate) == str(certificate) == "Certificate(***)"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="a Certificate can't be pickled") as caught:
                pickle.dumps(certificate, protocol)
            assert CERTIFICATE not in str(caught.value)


@given(st.binary(max_size=400))
def test_encode_and_back(same, data):
    kind, text = same("encode", data)
    assert kind is str
    assert same("decode", text) == (bytes, data)


BASE64ISH = st.text(st.sampled_from("ABCDwxyz0189+/=-_ \n\té\ud800\u2028"), max_size=24)


@given(st.one_of(BASE64ISH, st.text(max_size=12)))
@example("AA=A")
@example("AB==")
@example("AAB=")
@example("=AAA")
@example("AAAA====")
@example("\x80AAA")
def test_decode(same, text):
    same("decode", text)


@given(st.binary(max_size=60), st.integers(0, 200), st.characters())
def test_decode_of_a_changed_character(pure, same, data, position, character):
    text = pure.encode(data)
    position = min(position, len(text))
    same("decode", text[:position] + character + text[position + 1 :])


# Deflating ------------------------------------------------------------------------------------


def repetitive(seed, size, letters, longest):
    """Data of few letters that repeats earlier pieces of itself, exactly or nearly: what makes a
    DEFLATE encoder choose between matches."""
    source = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        if data and source.random() < 0.6:
            start = source.randrange(len(data))
            piece = data[start : start + source.randint(1, longest)]
            if source.random() < 0.3:
                piece[source.randrange(len(piece))] = source.randrange(256)
            data += piece
        else:
            data += bytes(source.randrange(letters) for _ in range(source.randint(1, 20)))
    return bytes(data[:size])


ADVERSARIAL = st.builds(
    repetitive,
    st.integers(0, 2**32),
    st.integers(0, 9000),
    st.sampled_from([1, 2, 3, 16, 64, 256]),
    st.sampled_from([3, 4, 8, 32, 258, 600]),
)


@stock_zlib
@given(st.one_of(st.binary(max_size=500), ADVERSARIAL))
def test_deflate(same, data):
    kind, stream = same("deflate", data)
    assert kind is bytes
    assert zlib.decompress(stream) == data


@stock_zlib
@pytest.mark.parametrize("size", [*range(70), *range(4080, 4112), 65535, 65536, 300_000])
@pytest.mark.parametrize("letters", [1, 256])
def test_deflate_sizes(same, size, letters):
    same("deflate", repetitive(size, size, letters, 40))


@pytest.fixture(scope="module")
def same_inflate(pure, native, same):
    """Checks inflate with room for everything, then with a limit."""

    def check(stream, *limits):
        unlimited = same("inflate", stream, 1_000_000)
        for limit in limits:
            specified = outcome(pure.inflate, stream, limit)
            twin = outcome(native.inflate, stream, limit)
            if unlimited[0] is MalformedToken and specified != twin:
                # A stream that breaks right behind its limit: zlib may have seen that already.
                assert specified == unlimited
                assert str(limit) in twin[1]
            else:
                assert twin == specified

    return check


def test_inflate_of_vectors(pure, same):
    for _, token in vectors("access_token2"):
        stream = pure.decode(token[3:])
        size = len(zlib.decompress(stream))
        for limit in (65536, size, size - 1, 1, 0):
            same("inflate", stream, limit)


@given(
    st.one_of(st.binary(max_size=300), ADVERSARIAL),
    st.integers(0, 9),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE]),
    st.integers(9, 15),
    st.integers(-2, 2),
)
def test_inflate_streams_of_any_encoder(same, data, level, strategy, window, nearly):
    encoder = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
    stream = encoder.compress(data) + encoder.flush()
    same("inflate", stream, 1_000_000)
    same("inflate", stream, max(0, len(data) + nearly))
    same("inflate", stream + b"x", 1_000_000)


def mutated(draw, data):
    """``data`` with bits flipped, bytes cut out, put in or cut off."""
    for _ in range(draw(st.integers(1, 3))):
        if not data:
            return b"?"
        at = draw(st.integers(0, len(data) - 1))
        change = draw(st.sampled_from(["flip", "cut", "insert", "truncate", "swap"]))
        if change == "flip":
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        elif change == "cut":
            data = data[:at] + data[at + 1 :]
        elif change == "insert":
            data = data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]
        elif change == "truncate":
            data = data[:at]
        else:
            data = data[at:] + data[:at]
    return data


VECTOR_STREAMS = [token[3:] for _, token in vectors("access_token2")]


@settings(max_examples=300)
@given(st.data(), st.sampled_from(VECTOR_STREAMS), st.integers(0, 400))
def test_inflate_of_mutated_tokens(pure, same_inflate, data, text, limit):
    same_inflate(mutated(data.draw, pure.decode(text)), limit)


@given(st.data(), st.binary(max_size=80))
def test_inflate_of_mutated_stored_and_fixed_blocks(same_inflate, data, content):
    for level in (0, 1):
        same_inflate(mutated(data.draw, zlib.compress(content, level)), 40)


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_inflate_of_noise(same, noise):
    same("inflate", noise, 1000)
    same("inflate", b"\x78\x9c" + noise, 1000)
    same("inflate", b"\x78\x9c\x05" + noise, 1000)


@pytest.mark.parametrize("stream", [zlib.compress(b"the same bytes, " * 20, 6), zlib.compress(b"")])
def test_inflate_of_every_truncation_and_bit_flip(same, stream):
    for size in range(len(stream)):
        same("inflate", stream[:size], 65536)
    for bit in range(8 * len(stream)):
        flipped = bytearray(stream)
        flipped[bit // 8] ^= 1 << bit % 8
        same("inflate", bytes(flipped), 65536)


def test_inflate_of_headers(same):
    tail = zlib.compress(b"content")[2:]
    for header in range(0x10000):
        same("inflate", header.to_bytes(2, "big") + tail, 100)


# Columns of text ------------------------------------------------------------------------------

TEXTS = st.text(max_size=20)  # lone surrogates included
ANYTHING = st.one_of(TEXTS, st.none(), st.integers(), st.binary(max_size=3), st.booleans())


@given(st.lists(ANYTHING, max_size=12), st.booleans())
def test_text_column(same, values, as_tuple):
    same("text_column", tuple(values) if as_tuple else values)


def test_text_column_that_grows(same):
    same("text_column", ["x" * size for size in range(0, 3000, 7)])
    same("text_column", ["é" * 100_000, 5, "y" * 300_000, "\ud800", "z"])


def test_text_column_of_str_subclasses(same):
    class Name(str):
        __slots__ = ()

    same("text_column", [Name("lobby"), "room"])


def column(draw, rows):
    """A column of texts as an Arrow array gives it: its data may begin and end elsewhere."""
    sizes = draw(st.lists(st.integers(0, 70), min_size=rows, max_size=rows))
    start = draw(st.integers(0, 9))
    offsets = np.concatenate([[start], start + np.cumsum(sizes, dtype=np.int64)])
    data = np.frombuffer(draw(st.randoms(use_true_random=False)).randbytes(offsets[-1] + 3), "u1")
    return data, offsets.astype(draw(st.sampled_from(["<i4", "<i8"])))


@given(st.data(), st.integers(0, 12), st.integers(0, 80), st.sets(st.integers(0, 255), max_size=60))
def test_suspects(same, data, rows, longest, forbidden):
    text, offsets = column(data.draw, rows)
    allowed = bytes(byte not in forbidden for byte in range(256))
    same("suspects", text, offsets, allowed, longest)


@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=30), max_size=12))
def test_token_list(same, texts):
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    assert same("token_list", data, offsets) == (list, texts)


# Minting --------------------------------------------------------------------------------------

ROWS = 9


@st.composite
def constants(draw):
    """Constant bytes: mostly short, sometimes so long that the whole payload passes 4096."""
    if draw(st.integers(0, 5)):
        return draw(st.binary(max_size=40))
    return repetitive(draw(st.integers(0, 999)), draw(st.integers(1, 7000)), 30, 60)


@st.composite
def jobs(draw, envelope):
    """A layout and its rows."""
    columns, texts, numbers, small = [], [], [], []
    for _ in range(draw(st.integers(0, 4))):
        which = draw(st.sampled_from([texts, numbers, small]))
        which.append(len(columns))
        if which is texts:
            columns.append(column(draw, ROWS))
        elif which is numbers:
            some = st.one_of(u32, st.sampled_from([0, 9, 10, 99, 100, 999_999_999, 10**9]))
            columns.append(np.array(draw(st.lists(some, min_size=ROWS, max_size=ROWS)), "<u4"))
        else:
            some = st.integers(-(2**15), 2**15 - 1)
            columns.append(np.array(draw(st.lists(some, min_size=ROWS, max_size=ROWS)), "<i2"))
    raws = [Slot(SlotKind.RAW, c) for c in texts + numbers]
    slots = [ISSUE_TS, SALT, *raws, *(Slot(SlotKind.STR, c) for c in texts + numbers)]
    slots += [Slot(SlotKind.U32, c) for c in numbers] + [Slot(SlotKind.I16, c) for c in small]
    segment = st.one_of(constants(), st.sampled_from(slots))
    variants = []
    for _ in range(draw(st.integers(1, 3))):
        segments = draw(st.lists(segment, max_size=8))
        if envelope is Envelope.ACCESS_TOKEN:
            signed_only = st.one_of(
                st.binary(max_size=40), *([st.sampled_from(raws)] if raws else [])
            )
            segments = draw(st.lists(signed_only, min_size=3, max_size=3)) + segments
        variants.append(segments)
    choices = skip = None
    if draw(st.booleans()) or len(variants) > 1:
        picks = st.integers(0, len(variants) - 1)
        choices = np.array(draw(st.lists(picks, min_size=ROWS, max_size=ROWS)), np.uint8)
    if draw(st.booleans()):
        skip = np.array(draw(st.lists(st.booleans(), min_size=ROWS, max_size=ROWS)), np.bool_)
    times = draw(st.sampled_from([1, ROWS]))
    issue_ts = np.array(draw(st.lists(u32, min_size=times, max_size=times)), np.uint32)
    salts = np.array(draw(st.lists(u32, min_size=ROWS, max_size=ROWS)), np.uint32)
    start = draw(st.integers(0, ROWS))
    stop = draw(st.integers(start, ROWS))
    prefix = draw(st.sampled_from(["", "007", "006" + "a" * 32]))
    return (envelope, prefix, variants), (issue_ts, salts, columns, choices, skip, start, stop)


def mint(core, layout, rows, spare=0):
    """What comes of minting into as much room as the bound says, and some bytes."""
    layout = core.Layout(*layout)
    *_, columns, _choices, _skip, start, stop = rows
    room = np.zeros(core.mint_bound(layout, columns, start, stop) + spare, np.uint8)
    begins = np.zeros(stop - start + 1, np.int64)

    def whole():
        size = core.mint(layout, core.Certificate(CERTIFICATE.encode()), *rows, room, begins)
        return len(room), size, room[:size].tobytes(), begins.tolist()

    return outcome(whole)


def check_mint(pure, native, layout, rows):
    specified = mint(pure, layout, rows)
    assert mint(native, layout, rows) == specified
    assert specified[0] is not ValueError, "the bound is too small"
    return specified


@stock_zlib
def test_mint_room_counts_every_column(pure, native):
    """Also one of a number above that of all slots, and one that only one variant holds."""
    numbers = np.arange(4, dtype=np.uint32)
    texts = pure.text_column(["x" * 900] * 4)[:2]
    variants = [[], [SALT, Slot(SlotKind.RAW, 3), Slot(SlotKind.STR, 3), Slot(SlotKind.STR, 1)]]
    layout = Envelope.ACCESS_TOKEN2, "007", variants
    choices = np.array([1, 0, 1, 1], np.uint8)
    check_mint(pure, native, layout, rows_of([numbers, numbers, numbers, texts], 4, None, choices))


@stock_zlib
@pytest.mark.parametrize("which", ["pure", "native"])
def test_mint_needs_room(which, request):
    core = request.getfixturevalue(which)
    layout = Envelope.ACCESS_TOKEN2, "007", [[ISSUE_TS, SALT]]
    (_, bound), (_, size), _, _ = mint(core, layout, rows_of([], 3))
    assert mint(core, layout, rows_of([], 3), size - bound)[1] == (int, size)
    assert mint(core, layout, rows_of([], 3), size - bound - 1) == (
        ValueError,
        "the tokens do not fit the room",
    )


@stock_zlib
@given(jobs(Envelope.ACCESS_TOKEN2))
def test_mint_access_token2(pure, native, job):
    check_mint(pure, native, *job)


@given(jobs(Envelope.ACCESS_TOKEN))
def test_mint_access_token(pure, native, job):
    check_mint(pure, native, *job)


def rows_of(columns, count, skip=None, choices=None, start=0):
    salts = np.arange(count, dtype=np.uint32)
    return np.array([7], np.uint32), salts, columns, choices, skip, start, count


@stock_zlib
@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 600])
def test_mint_across_blocks(pure, native, count):
    """The native core works in blocks of rows; skipped rows don't count in them."""
    texts = pure.text_column([f"room-{row % 17}" * (row % 5) for row in range(count)])[:2]
    numbers = np.arange(count, dtype=np.uint32)
    segments = [b"head", ISSUE_TS, SALT, Slot(SlotKind.STR, 0), Slot(SlotKind.STR, 1)]
    layout = Envelope.ACCESS_TOKEN2, "007", [segments, [b"other", SALT]]
    choices = (np.arange(count) % 3 == 0).astype(np.uint8)
    for skip in (None, np.arange(count) % 2 == 0, np.arange(count) >= 1, np.ones(count, np.bool_)):
        check_mint(pure, native, layout, rows_of([texts, numbers], count, skip, choices))


@stock_zlib
def test_mint_issue_timestamps_that_alternate(pure, native):
    count = 300
    stamps = (np.arange(count, dtype=np.uint32) // 3) % 4
    layout = Envelope.ACCESS_TOKEN2, "007", [[ISSUE_TS, SALT]]
    rows = (stamps, *rows_of([], count)[1:])
    check_mint(pure, native, layout, rows)


@stock_zlib
@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 65536, 70_000])
def test_mint_texts_up_to_their_limit(pure, native, size):
    texts = pure.text_column(["a", "x" * size, "b"])[:2]
    for kind in (SlotKind.STR, SlotKind.RAW):
        layout = Envelope.ACCESS_TOKEN2, "007", [[b"h", Slot(kind, 0), SALT]]
        result = check_mint(pure, native, layout, rows_of([texts], 3))
        assert (result[0] is OverflowError) == (kind is SlotKind.STR and size > 65535)


@pytest.mark.parametrize("size", [65500, 65531, 65532, 70_000])
def test_mint_access_token_messages_up_to_their_limit(pure, native, size):
    texts = pure.text_column(["a", "x" * size])[:2]
    layout = Envelope.ACCESS_TOKEN, "006", [[b"", b"", b"", SALT, Slot(SlotKind.RAW, 0)]]
    result = check_mint(pure, native, layout, rows_of([texts], 2))
    assert (result[0] is OverflowError) == (size + 4 > 65535)


def test_mint_reports_the_first_row_that_does_not_fit(pure, native):
    """Row 0's message is too long, and so is a text of row 1."""
    raw = pure.text_column(["x" * 70_000, ""])[:2]
    text = pure.text_column(["", "y" * 80_000])[:2]
    segments = [b"", b"", b"", Slot(SlotKind.RAW, 0), Slot(SlotKind.STR, 1)]
    layout = Envelope.ACCESS_TOKEN, "006", [segments]
    check_mint(pure, native, layout, rows_of([raw, text], 2))


@stock_zlib
def test_mint_large_rows(pure, native):
    """Bodies of 60 KB: more than a block of the native core takes together."""
    texts = pure.text_column(
        [repetitive(row, 60_000, 40, 80).decode("latin-1") for row in range(30)]
    )
    data, offsets, _ = texts
    layout = Envelope.ACCESS_TOKEN2, "007", [[SALT, Slot(SlotKind.RAW, 0)]]
    check_mint(pure, native, layout, rows_of([(data, offsets)], 30))


def test_layout_attributes(pure, native):
    variants = [[b"a", SALT], (Slot(SlotKind.STR, 0),)]
    for core in (pure, native):
        layout = core.Layout(Envelope.ACCESS_TOKEN2, "007", variants, [Check(0, 5)], {"a": 1})
        assert (layout.envelope, layout.prefix) == (Envelope.ACCESS_TOKEN2, "007")
        assert layout.variants == ((b"a", SALT), (Slot(SlotKind.STR, 0),))
        assert layout.checks == (Check(0, 5),)
        assert layout.choices == {"a": 1}
        assert core.Layout(Envelope.ACCESS_TOKEN, "006", []).checks == ()
        assert core.Layout(Envelope.ACCESS_TOKEN, "006", [variants[0]] * 2).choices == {0: 0, 1: 1}


# Minting one ----------------------------------------------------------------------------------


def mint_one(core, layout, *rest):
    """The outcome of `mint_one` or `mint_checked` with a layout and a certificate of the core."""
    name, *arguments = rest
    certificate = core.Certificate(CERTIFICATE.encode())
    return outcome(getattr(core, name), core.Layout(*layout), certificate, *arguments)


@st.composite
def single(draw, envelope):
    """A layout and the values of one row."""
    fits = {
        SlotKind.U32: u32,
        SlotKind.I16: st.integers(-(2**15), 2**15 - 1),
        SlotKind.STR: st.one_of(u32, st.binary(max_size=90)),
        SlotKind.RAW: st.one_of(u32, st.binary(max_size=90)),
    }
    slots = [Slot(kind, at) for at, kind in enumerate(draw(st.lists(st.sampled_from(list(fits)))))]
    values = [draw(fits[slot.kind]) for slot in slots]
    segment = st.one_of(constants(), st.sampled_from([ISSUE_TS, SALT, *slots]))
    variants = draw(st.lists(st.lists(segment, min_size=3, max_size=8), min_size=1, max_size=3))
    if envelope is Envelope.ACCESS_TOKEN:
        raws = [slot for slot in slots if slot.kind is SlotKind.RAW]
        signed_only = st.one_of(st.binary(max_size=40), *([st.sampled_from(raws)] if raws else []))
        variants = [[draw(signed_only) for _ in range(3)] + segments for segments in variants]
    choice = draw(st.integers(0, len(variants) - 1))
    return (envelope, "00x", variants), (draw(u32), draw(u32), values, choice)


@stock_zlib
@given(single(Envelope.ACCESS_TOKEN2))
def test_mint_one_access_token2(pure, native, job):
    layout, row = job
    specified = mint_one(pure, layout, "mint_one", *row)
    assert specified[0] is str
    assert mint_one(native, layout, "mint_one", *row) == specified


@given(single(Envelope.ACCESS_TOKEN))
def test_mint_one_access_token(pure, native, job):
    layout, row = job
    specified = mint_one(pure, layout, "mint_one", *row)
    assert specified[0] is str
    assert mint_one(native, layout, "mint_one", *row) == specified


@pytest.mark.parametrize(
    ("issue_ts", "salt", "kind", "value"),
    [
        (-1, 0, SlotKind.U32, 0),
        (0, 2**32, SlotKind.U32, 0),
        (0, 0, SlotKind.U32, -1),
        (0, 0, SlotKind.U32, 2**32),
        (0, 0, SlotKind.U32, 2**70),
        (0, 0, SlotKind.I16, 2**15),
        (0, 0, SlotKind.I16, -(2**15) - 1),
        (0, 0, SlotKind.STR, b"x" * 65536),
    ],
)
def test_mint_one_of_what_does_not_fit(pure, native, issue_ts, salt, kind, value):
    layout = Envelope.ACCESS_TOKEN2, "007", [[ISSUE_TS, SALT, Slot(kind, 0)]]
    row = "mint_one", issue_ts, salt, [value]
    specified = mint_one(pure, layout, *row)
    assert specified[0] is OverflowError
    assert mint_one(native, layout, *row) == specified


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_mint_one_of_many_values(pure, native, count):
    segments = [ISSUE_TS, *(Slot(SlotKind.STR, c) for c in range(count))]
    values = [c * 7 if c % 3 else b"text" * (c % 5) for c in range(count)]
    layout = Envelope.ACCESS_TOKEN2, "007", [segments]
    result = mint_one(pure, layout, "mint_one", 1, 2, values)
    assert result[0] is str
    assert mint_one(native, layout, "mint_one", 1, 2, values) == result


@pytest.mark.parametrize("choice", [-1, 2, 255, 256, 300])
def test_mint_one_of_no_variant(native, choice):
    """The package never asks for one; C must refuse it all the same."""
    layout = Envelope.ACCESS_TOKEN2, "007", [[b"a"], [b"b"]]
    result = mint_one(native, layout, "mint_one", 1, 2, [], choice)
    assert issubclass(result[0], Exception)


TABLES = st.sets(st.integers(0, 255), max_size=40).map(
    lambda forbidden: bytes(byte not in forbidden for byte in range(256))
)
CHECKS = st.builds(
    Check,
    st.one_of(any_int.filter(lambda n: -(2**60) < n < 2**60), st.just(0)),
    st.integers(-5, 2**32 - 1),
    TABLES,
    st.integers(0, 40),
    st.integers(0, 2),
    st.booleans(),
)


class Name(str):
    __slots__ = ()


UNUSUAL = st.one_of(
    any_int,
    st.text(max_size=50),
    st.booleans(),
    st.none(),
    st.floats(),
    st.builds(Name),
    st.just(""),
)


@stock_zlib
@given(st.data(), st.lists(CHECKS, max_size=5))
def test_mint_checked(pure, native, data, checks):
    checks = [
        check._replace(low=max(check.low, 0)) for check in checks
    ]  # all slots are u32 or text
    values = tuple(data.draw(UNUSUAL, label="value") for _ in checks)
    issue_ts, clock = data.draw(UNUSUAL), data.draw(st.floats(-2, 2**33))
    salt = data.draw(UNUSUAL.filter(lambda salt: salt is not None))  # None is another each time
    segments = [ISSUE_TS, SALT, *(Slot(SlotKind.STR, column) for column in range(len(checks)))]
    choices = data.draw(st.sampled_from([None, {"first": 0, 1: 1}, {}]))
    layout = Envelope.ACCESS_TOKEN2, "007", [segments, [b"other", *segments]], checks, choices
    choice = data.draw(st.sampled_from([0, 1, 2, -1, True, 1.0, None, "first", [], 2**70]))
    row = (lambda: clock), issue_ts, salt, values, choice
    specified = mint_one(pure, layout, "mint_checked", *row)
    assert mint_one(native, layout, "mint_checked", *row) == specified
    assert specified[0] in (str, type(None))


@pytest.mark.parametrize("core", ["pure", "native"])
@pytest.mark.parametrize(
    "value",
    [0, 6, -1, 2**32, 2**70, True, "", "abcdef", "a*", "\ud800", Name("abc"), None, 1.0, [], b"a"],
)
def test_mint_checked_leaves_the_unusual_to_the_rules(core, value, request):
    core = request.getfixturevalue(core)
    allowed = bytes(byte != ord("*") for byte in range(256))
    checks = [Check(1, 5, allowed, 5)]
    layout = core.Layout(Envelope.ACCESS_TOKEN2, "007", [[SALT, Slot(SlotKind.STR, 0)]], checks)
    certificate = core.Certificate(CERTIFICATE.encode())

    def mint(value=1, issue_ts=1, salt=2, choice=0, now=3.0):
        return core.mint_checked(layout, certificate, lambda: now, issue_ts, salt, (value,), choice)

    for usual in (1, 5, "a", "abcde"):
        assert mint(usual).startswith("007")
    assert mint(issue_ts=None) == mint(issue_ts=3)
    assert mint(value) is None
    for unusual in (-1, 2**32, True, 1.0, "1"):
        assert mint(issue_ts=unusual) is None
        assert mint(salt=unusual) is None
    for now in (-1.0, 2.0**32):
        assert mint(issue_ts=None, now=now) is None
    for choice in (1, False, "0", None, []):
        assert mint(choice=choice) is None


def test_mint_checked_writes_absolute_times(pure, native):
    """Seconds from the issue timestamp, as long as their sum fits."""
    slot = [[SALT, Slot(SlotKind.U32, 0)]]
    for core in (pure, native):
        relative = core.Layout(Envelope.ACCESS_TOKEN2, "007", slot, [Check(0, 99, absolute=True)])
        plain = core.Layout(Envelope.ACCESS_TOKEN2, "007", slot, [Check(0, 2**32 - 1)])
        certificate = core.Certificate(b"c")
        for issue_ts, seconds in [(0, 0), (5, 99), (2**32 - 100, 99)]:
            row = certificate, None, issue_ts, 7
            assert core.mint_checked(relative, *row, (seconds,)) == core.mint_checked(
                plain, *row, (issue_ts + seconds,)
            )
        assert core.mint_checked(relative, certificate, None, 2**32 - 99, 7, (99,)) is None
        assert core.mint_checked(relative, certificate, None, 5, 7, (100,)) is None


def test_mint_checked_draws_a_salt(pure, native):
    for core in (pure, native):
        layout = core.Layout(Envelope.ACCESS_TOKEN2, "007", [[SALT]])
        certificate = core.Certificate(b"c")
        seen = {core.mint_checked(layout, certificate, None, 1, None, ()) for _ in range(1000)}
        assert len(seen) > 990


def test_random_salts_of_the_same_bytes(pure, native, monkeypatch):
    """Also of those that must be rejected, and those at both ends."""
    ends = np.array([0, 99_999_998, 99_999_999, 2**27 - 1, 2**27, 2**32 - 1], "<u4").tobytes()
    drawn = []
    for core in (pure, native):
        source = iter([ends * 50, b"\xff" * 1200, random.Random(5).randbytes(1200)] * 3)
        monkeypatch.setattr(os, "urandom", lambda size, source=source: next(source)[:size])
        core.forget_salts()
        drawn.append([core.random_salt() for _ in range(700)])
        core.forget_salts()
    assert drawn[0] == drawn[1]
    assert {1, 99_999_999} <= set(drawn[0])
    assert all(1 <= salt <= 99_999_999 for salt in drawn[0])


def test_mint_checked_wants_a_value_for_each_check(pure, native):
    for core in (pure, native):
        layout = core.Layout(Envelope.ACCESS_TOKEN2, "007", [[SALT]], [Check(0, 5)])
        for values in ((), (1, 2)):
            with pytest.raises(ValueError):  # noqa: PT011 (the texts are not one)
                core.mint_checked(layout, core.Certificate(b"c"), None, 1, 2, values)


# Accepting ------------------------------------------------------------------------------------

NOW, LEEWAY = 1_700_000_000, 30
ASCII = bytes(33 <= byte < 127 and byte != ord("*") for byte in range(256))
RTC = Pattern(
    1, 1, (2, 3), (PatternField(Check(1, 9, ASCII, 20), 1), PatternField(Check(1, 9, ASCII, 30), 2))
)
RTM = Pattern(2, 1, (), (PatternField(Check(1, 9, ASCII, 20), 0),))
FPA = Pattern(4, 1, (), ())
APP = CERTIFICATE.encode()[::-1]
KEYS = [CERTIFICATE.encode(), b"another certificate"]


def body_007(pure, usually, salt):
    """A 007 body of RTC, RTM and FPA; ``usually(good, *odd)`` picks each of its parts."""

    def privileges(*keys):
        given = [(key, usually(0, 60, 86_400, 3601, 3600, 29, 30)) for key in keys]
        more = usually(None, (4, 0), (1, 5), (0, 0), (9, 9))
        given += [more] if more else []
        size = usually(len(given), 0, len(given) + 1)
        packed = b"".join(pure.pack_u16(key) + pure.pack_u32(when) for key, when in given)
        return pure.pack_u16(size) + packed

    def text(good):
        odd = b"", b"*", b"other", good + b"x", good[:-1] + b"\xff", b"x" * 31
        return pure.pack_str(usually(good, *odd))

    services = usually(3, 0, 1, 2, 4)
    body = pure.pack_str(usually(APP, b"", APP[:-1], b"f" * 32))
    body += pure.pack_u32(usually(NOW, NOW - 86_400, NOW + 30, NOW + 31, NOW - 3629, NOW - 3630, 0))
    body += pure.pack_u32(usually(3600, 0, 86_400, 86_401, 29, 30, 1))
    body += pure.pack_u32(salt) + pure.pack_u16(services)
    body += pure.pack_u16(usually(1, 2, 77)) + privileges(usually(1, 0), usually(2, 3, 4))
    body += text(b"room") + text(b"ann")
    if services != 1:
        body += pure.pack_u16(usually(2, 1)) + privileges(1) + text(b"ann")
    if services not in (1, 2):
        body += pure.pack_u16(4) + privileges(usually(1, 2))
    if services == 4:
        body += pure.pack_u16(4) + privileges(1)
    return body + usually(b"", b"tail", b"x" * 1900, b"x" * 2000)


def token_007(pure, body, key):
    """The token of a body, rightly signed if its App ID is of the usual length."""
    stamps = struct.unpack_from("<I4xI", body + bytes(50), 2 + len(APP))
    signature = pure.Certificate(key).sign_access_token2(*stamps, body)
    return "007" + pure.encode(pure.deflate(pure.pack_str(signature) + body))


@st.composite
def tokens_007(draw, pure):
    """A token of which a few parts are odd."""
    odd_parts = draw(st.sets(st.integers(0, 26), max_size=2))
    parts = itertools.count()

    def usually(good, *odd):
        return draw(st.sampled_from(odd)) if next(parts) in odd_parts else good

    key = draw(st.sampled_from([*KEYS * 5, b"a stranger's"]))
    token = token_007(pure, body_007(pure, usually, draw(u32)), key)
    change = draw(st.sampled_from([None] * 20 + ["cut", "flip", "prefix", "pad", "text"]))
    if change == "cut":
        token = token[: draw(st.integers(0, len(token)))]
    elif change == "flip":
        at = draw(st.integers(0, len(token) - 1))
        token = token[:at] + draw(st.sampled_from("A/z+=")) + token[at + 1 :]
    elif change == "prefix":
        token = "006" + token[3:]
    elif change == "pad":
        token += "===="
    elif change == "text":
        token = draw(st.text(max_size=9))
    return token


def same_accept(pure, native, question, tokens, keys, *rest):
    data, offsets, _ = pure.text_column(tokens)

    def run(core):
        certificates = [core.Certificate(key) for key in keys]
        return outcome(core.accept, Question(*question), certificates, data, offsets, *rest)

    specified = run(pure)
    assert run(native) == specified
    return specified


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_accept(pure, native, data):
    tokens = data.draw(st.lists(tokens_007(pure), min_size=1, max_size=4), label="tokens")
    rows = len(tokens)
    names = st.sampled_from(["room"] * 20 + ["other", "", "roo"])
    users = st.sampled_from(["ann"] * 20 + ["bob", ""])

    def asked(values):
        many = data.draw(st.lists(values, min_size=rows, max_size=rows))
        column = pure.text_column(many)[:2]
        one = pure.text_column(many[:1])[:2]
        wide, narrow = column, (column[0], column[1].astype(np.int32))
        return data.draw(st.sampled_from([None, wide, narrow, one]))

    numbers = np.array(data.draw(st.lists(st.integers(0, 20), min_size=rows, max_size=rows)), "<u4")
    uids = data.draw(st.sampled_from([asked(users)] * 5 + [numbers]))
    now = data.draw(st.sampled_from([NOW, NOW, NOW, NOW + 3599, NOW + 3600, NOW + 3630, NOW - 1]))
    question = (
        (RTC, RTM, FPA),
        APP,
        now,
        LEEWAY,
        86_400,
        data.draw(st.sampled_from([2047, 2047, 200])),
    )
    keys = KEYS[: data.draw(st.integers(1, 2))]
    start = data.draw(st.integers(0, rows - 1))
    same_accept(pure, native, question, tokens, keys, asked(names), uids, start, rows)


def test_accept_of_tokens_with_one_odd_part(pure, native):
    """Every odd value of every part, each in a token that is else good."""
    parts = []

    def first(*values):
        parts.append(values)
        return values[0]

    good = token_007(pure, body_007(pure, first, 5), KEYS[0])
    tokens = [good]
    for part, (_, *odd) in enumerate(parts):
        for value in odd:
            numbers = itertools.count()

            def pick(good, *_, part=part, value=value, numbers=numbers):
                return value if next(numbers) == part else good

            tokens.append(token_007(pure, body_007(pure, pick, 5), KEYS[1]))
    names, uids = (pure.text_column([text])[:2] for text in ("room", "ann"))
    for leeway, late in itertools.product((0, LEEWAY), (0, 28, 29, 30, 59, 60, 3599)):
        question = (RTC, RTM, FPA), APP, NOW + late, leeway, 86_400, 2047
        for asked in ((names, uids), (None, None)):
            (_, which), _ = same_accept(
                pure, native, question, tokens, KEYS, *asked, 0, len(tokens)
            )
            assert which[0] == 1
            assert len(tokens) / 5 < which.count(0) < len(tokens)


def test_accept_of_long_tokens(pure, native):
    """Around the longest stream and the longest body."""
    noise = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    user = PatternField(Check(1, 9, ASCII, 5000), 0)
    pattern = Pattern(1, 1, (), (PatternField(Check(1, 9, ASCII, 20), 0), user))
    question = (pattern,), APP, NOW, LEEWAY, 86_400, 100_000
    tokens = []
    for text in [noise[:size] for size in range(1200, 2400)] + [
        "x" * size for size in range(1900, 2100)
    ]:
        body = pure.pack_str(APP) + pure.pack_u32(NOW) + pure.pack_u32(60) + pure.pack_u32(5)
        body += pure.pack_u16(1) * 3 + pure.pack_u16(1) + pure.pack_u32(0)
        body += pure.pack_str(b"room") + pure.pack_str(text.encode())
        tokens.append(token_007(pure, body, KEYS[0]))
    (_, which), _ = same_accept(pure, native, question, tokens, KEYS, None, None, 0, len(tokens))
    assert which.count(1) > 300
    assert which.count(0) > 300


def test_accept_of_good_tokens(pure, native):
    """Which certificate signed, and the earliest end; in more than one block of rows."""
    project = [Project(APP.decode(), key) for key in (CERTIFICATE, "f" * 32)]
    tokens, expected = [], []
    for row in range(300):
        mint = project[row % 2].rtc_token
        tokens.append(
            mint(
                "room", row + 1, expire=60 + row, privilege_expire=row % 50, issue_ts=NOW, salt=row
            )
        )
        expected.append((1 + row % 2, NOW + (row % 50 or 60 + row)))
    tokens[7] = tokens[7][:-4]
    tokens[250] = project[0].rtc_token("other", 251, issue_ts=NOW)
    expected[7] = expected[250] = 0, 0
    keys = [CERTIFICATE.encode(), b"f" * 32]
    names = pure.text_column(["room"])[:2]
    uids = np.arange(1, 301, dtype=np.uint32)
    question = (RTC,), APP, NOW, 0, 86_400, 2047
    (_, which), (_, ends) = same_accept(pure, native, question, tokens, keys, names, uids, 0, 300)
    assert list(zip(which, ends, strict=True)) == expected


def test_accept_wants_one_certificate_or_two(pure, native):
    column = pure.text_column(["007"])[:2]
    for count in (0, 3):
        certificates = [native.Certificate(b"c")] * count
        with pytest.raises(ValueError, match="certificates must be one or two"):
            native.accept(
                Question((RTC,), APP, 1, 1, 1, 1), certificates, *column, None, None, 0, 1
            )


# What only C has to refuse --------------------------------------------------------------------


def test_native_refuses_columns_it_can_not_read(native):
    """The pure core reads any array; C must be sure of what it is given."""
    certificate = native.Certificate(CERTIFICATE.encode())
    layout = native.Layout(Envelope.ACCESS_TOKEN2, "007", [[Slot(SlotKind.U32, 0)]])
    text = native.Layout(Envelope.ACCESS_TOKEN2, "007", [[Slot(SlotKind.STR, 0)]])
    numbers = [np.arange(3, dtype=np.uint32)]
    good = (*rows_of(numbers, 3), np.zeros(2000, np.uint8), np.zeros(4, np.int64))
    native.mint(layout, certificate, *good)

    def fails(error, layout, **changes):
        names = ["issue_ts", "salts", "columns", "choices", "skip", "start", "stop"]
        arguments = {**dict(zip([*names, "room", "begins"], good, strict=True)), **changes}
        with pytest.raises(error):
            native.mint(layout, certificate, *arguments.values())

    fails(TypeError, layout, columns=[np.arange(3, dtype=np.uint64)])
    fails(TypeError, layout, columns=[np.arange(2, dtype=np.uint32)])
    fails(TypeError, layout, columns=[np.arange(6, dtype=np.uint32)[::2]])
    fails(TypeError, layout, salts=np.arange(2, dtype=np.uint32))
    fails(TypeError, layout, issue_ts=np.arange(2, dtype=np.uint32))
    fails(TypeError, layout, skip=np.zeros(2, np.bool_))
    fails(TypeError, layout, choices=np.zeros(2, np.uint8))
    fails(ValueError, layout, choices=np.array([0, 0, 1], np.uint8))
    fails(ValueError, layout, start=2, stop=1)
    fails(ValueError, layout, start=-1)
    data = np.zeros(4, np.uint8)
    for offsets in ([0, 1, 2, 5], [0, 2, 1, 3], [-1, 0, 1, 2]):
        fails(ValueError, text, columns=[(data, np.array(offsets, np.int64))])
        fails(ValueError, text, columns=[(data, np.array(offsets, np.int32))])
    fails(TypeError, text, columns=[(data, np.array([0, 1, 2], np.int64))])
    fails(TypeError, text, columns=[(data.astype(np.int16), np.array([0, 1, 2, 3], np.int64))])
    fails(IndexError, layout, columns=[])
    fails(TypeError, layout, room=np.zeros(2000, np.int8))
    fails(TypeError, layout, begins=np.zeros(3, np.int64))
