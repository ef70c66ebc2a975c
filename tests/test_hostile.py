"""Hostile tokens: always a fasttoken error; never a crash, a hang or memory that grows."""

import base64
import json
import os
import random
import subprocess
import sys
import zlib

import pytest
from helpers import APP_ID, CERTIFICATE, PACKAGE, SAME_CORE, TESTS, run_python, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttoken import FieldError, MalformedToken, Project, parse
from fasttoken._core import Certificate, deflate, encode, pack_str, pack_u16, pack_u32
from fasttoken.errors import FastTokenError
from fasttoken.formats import LONGEST, access_token2

PROJECT = Project(APP_ID, CERTIFICATE)
FILES = (
    ["access_token2", "access_token"]
    + [f"dynamic_key{n}" for n in ("", "2", "3", "4", "5")]
    + ["signaling_token"]
)
SAMPLES = [vectors(name)[row][1] for name in FILES for row in (0, 7, 11)]
WHOSE = [{}, {"channel_name": "room", "uid": 7}, {"channel_name": "room", "uid": "ann"}]


def read(token):
    """The parsed token, or the error; anything but `MalformedToken` fails the test."""
    try:
        return parse(token)
    except MalformedToken as error:
        return error


def survives(token):
    """Reading and verifying give an answer or a fasttoken error; claims have a repr and a hash."""
    parsed = read(token)
    if isinstance(parsed, MalformedToken):
        assert parsed.stage in ("prefix", "base64", "zlib", "field")
        assert parsed.rule
        assert len(token) < 12 or token not in str(parsed)
    else:
        assert repr(parsed)
        hash(parsed.claims)
    for whose in WHOSE:
        try:
            result = PROJECT.verify_signature(token, **whose)
        except FastTokenError:
            continue
        assert result in ("primary", None)


# Cut, flipped, replaced -----------------------------------------------------------------------


@pytest.mark.parametrize("token", SAMPLES)
def test_truncated_at_every_character(token):
    for size in range(len(token)):
        survives(token[:size])
        survives(token[size:])
    for size in range(len(token)):
        try:
            parsed = parse(token[:size])
        except MalformedToken:
            continue
        # What is left of a dynamic key can look like one of version 1.
        assert (parsed.format, parsed.claims.version, size) == ("dynamic_key", 1, 90)


@pytest.mark.parametrize("token", SAMPLES)
def test_every_bit_flipped(token):
    raw = token.encode()
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        survives(flipped.decode("latin-1"))


SHORT = sorted((token for _, token in vectors("access_token2")), key=len)[:200:50]
SHORT += [token for _, token in vectors("access_token")[:2]]
SHORT.append(PROJECT.rtm_token("ann", permissions={0: {0: ["a"], 1: []}, 4: {1: ["b", "c"]}}))
SHORT.append(PROJECT.education_room_user_token("room", "ann", 1))


@pytest.mark.parametrize("token", SHORT)
def test_every_bit_of_the_content_flipped(token):
    """Behind the checks of base64 and zlib, where the fields are."""
    if token.startswith("007"):
        content = zlib.decompress(base64.b64decode(token[3:]))
        wrap = lambda data: "007" + encode(deflate(data))  # noqa: E731
    else:
        content = base64.b64decode(token[35:])
        wrap = lambda data: token[:35] + encode(data)  # noqa: E731
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        survives(wrap(bytes(flipped)))
    for size in range(len(content)):
        survives(wrap(content[:size]))


@settings(max_examples=200)
@given(st.sampled_from(SAMPLES), st.data())
def test_characters_replaced(token, data):
    characters = list(token)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(characters) - 1))
        characters[at] = data.draw(st.one_of(st.characters(), st.sampled_from("=+/\x00\n \ud800é")))
    survives("".join(characters))


@given(st.sampled_from(["007", "006", "006" + APP_ID, "005", "004", "003", "1:", ""]), st.text())
def test_noise_behind_a_prefix(prefix, text):
    survives(prefix + text)


@settings(max_examples=200)
@given(st.sampled_from(["007", "006" + APP_ID, "005"]), st.binary(max_size=200), st.booleans())
def test_bytes_behind_a_prefix(prefix, data, deflated):
    survives(prefix + encode(deflate(data) if deflated else data))


# Each stage names itself ----------------------------------------------------------------------


def stage(token):
    with pytest.raises(MalformedToken) as caught:
        parse(token)
    return caught.value.stage


GOOD = vectors("access_token2")[0][1]


@pytest.mark.parametrize(
    "token",
    [
        "007",
        "007" + "A",
        "007AA",
        "007AAA",
        "007AB==",
        "007====",
        GOOD + "=",
        GOOD + "\n",
        GOOD + "AAAA" + "=",
        GOOD[:-1] + "é",
        GOOD.replace("eJ", "eJ\n", 1),
        GOOD.rstrip("=") if GOOD.endswith("=") else GOOD[:-1],
        GOOD[:20] + "-" + GOOD[21:],
        GOOD[:20] + "_" + GOOD[21:],
        GOOD[:20] + "\u212a" + GOOD[21:],
        "006" + APP_ID + "AAA",
        "005A",
    ],
)
def test_base64_is_the_stage(token):
    expected = "zlib" if token == "007" else "base64"
    assert stage(token) == expected


def test_zlib_is_the_stage():
    raw = base64.b64decode(GOOD[3:])
    for stream in (b"", b"x", raw[:-1], raw + b"x", raw[:-4] + bytes(4), b"\x00" * 20, raw[2:]):
        assert stage("007" + encode(stream)) == "zlib"


def test_field_is_the_stage():
    for content in (b"", b"\x20", b"\x20\x00", b"\x1f\x00" + bytes(31), b"\xff\xff"):
        assert stage("007" + encode(deflate(content))) == "field"
    assert stage("006" + APP_ID) == "field"
    assert stage("006" + APP_ID[:-1]) == "field"
    assert stage("006" + "é" * 32 + "AAAA") == "field"
    assert stage("005") == "field"
    assert stage("003" + "0" * 20) == "field"
    assert stage("1:x:5:y") == "field"
    assert stage(f"1:{APP_ID}:007:{'0' * 32}") == "field"


@pytest.mark.parametrize("token", [None, 5, b"007", bytearray(b"007"), [GOOD], object()])
def test_wrong_types(token):
    for read in (parse, PROJECT.verify_signature):
        with pytest.raises(MalformedToken) as caught:
            read(token)
        assert caught.value.stage == "prefix"
        assert caught.value.rule == f"a token is a str, not {type(token).__name__}"


def test_longest():
    assert LONGEST == 262_144
    assert stage("007" + "A" * LONGEST) == "prefix"
    assert stage("007" + "A" * (LONGEST - 3)) in ("base64", "zlib")


# Counts and sizes that promise more than there is --------------------------------------------


def token_of(body):
    signature = Certificate(CERTIFICATE.encode()).sign_access_token2(1, 1, body)
    return access_token2.seal(signature, body)


HEAD = pack_str(APP_ID.encode()) + pack_u32(1) * 3
MANY = pack_u16(0xFFFF)


@pytest.mark.parametrize(
    "body",
    [
        HEAD + MANY,
        HEAD + MANY + pack_u16(1),
        HEAD + MANY + pack_u16(1) + MANY,
        HEAD + pack_u16(1) + pack_u16(1) + pack_u16(0) + MANY,
        HEAD + pack_u16(1) + pack_u16(1) + pack_u16(0) + pack_u16(0) + MANY + b"x" * 100,
        HEAD + pack_u16(1) + pack_u16(7) + pack_u16(0) * 3 + b"x",
        HEAD + pack_u16(1) + pack_u16(8) + pack_u16(0) * 2 + MANY,
        HEAD + pack_u16(1) + pack_u16(8) + pack_u16(0) * 2 + MANY + pack_u16(0) + MANY,
        HEAD + pack_u16(1) + pack_u16(8) + pack_u16(0) * 2 + (pack_u16(1) + pack_u16(0)) * 2 + MANY,
        HEAD + MANY + (pack_u16(9) + pack_u16(0)) * 1000,
        MANY + b"x" * 100,
        b"",
    ],
)
def test_counts_beyond_the_end(body):
    assert stage(token_of(body)) == "field"


def test_text_that_is_no_utf8():
    for field in (pack_str(b"\xff") + pack_str(b""), pack_str(b"") + pack_str(b"\xc3")):
        body = HEAD + pack_u16(1) + pack_u16(1) + pack_u16(0) + field
        with pytest.raises(MalformedToken, match="is not UTF-8"):
            parse(token_of(body))
    with pytest.raises(MalformedToken, match="app_id is not UTF-8"):
        parse(token_of(pack_str(b"\xff" * 32) + pack_u32(1) * 3 + pack_u16(0)))


def test_as_many_services_as_fit():
    """A token may hold nothing but services: that is odd, and read all the same."""
    count = 16_000
    body = HEAD + pack_u16(count) + (pack_u16(9) + pack_u16(0)) * count
    parsed = parse(token_of(body))
    assert len(parsed.claims.services) == count
    assert PROJECT.verify_signature(token_of(body)) == "primary"
    assert access_token2.pack(parsed.claims) == body


def test_signatures_of_other_sizes():
    for size in (0, 1, 31, 33, 64):
        content = pack_str(b"x" * size) + HEAD + pack_u16(0)
        with pytest.raises(MalformedToken, match="signature is not 32 bytes"):
            parse("007" + encode(deflate(content)))
    # 006 and 005 carry whatever they carry; it just doesn't verify.
    for size in (0, 31, 33, 1000):
        content = pack_str(b"x" * size) + pack_u32(0) * 2 + pack_str(pack_u32(0) * 2 + pack_u16(0))
        token = "006" + APP_ID + encode(content)
        assert PROJECT.verify_signature(token, channel_name="room", uid=1) is None
        token = "005" + encode(
            pack_u16(1) + pack_str(b"x" * size) + pack_str(b"y") + pack_u32(1) * 3 + pack_u16(0)
        )
        assert PROJECT.verify_signature(token, channel_name="room", uid=1) is None


# What verifying takes besides -----------------------------------------------------------------

MINTED = [
    PROJECT.rtc_token_006("room", 7),
    *(PROJECT.dynamic_key(version, "room", 7) for version in (1, 2, 3, 4, 5)),
    PROJECT.signaling_token("ann", 5),
    PROJECT.rtc_token("room", 7),
]


@pytest.mark.parametrize("token", MINTED, ids=lambda token: token[:5])
@pytest.mark.parametrize(
    "value", ["\ud800", "x" * 70_000, "", "é\x00", 5, -1, 2**40, 1.5, None, b"room", [], True]
)
def test_odd_channel_names_and_uids(token, value):
    for whose in (
        {"channel_name": value, "uid": 7},
        {"channel_name": "room", "uid": value},
        {"channel_name": value, "uid": value},
    ):
        try:
            result = PROJECT.verify_signature(token, **whose)
        except FieldError as error:
            result = error.field
        assert result in ("primary", None, "channel_name", "uid")


# Bombs ----------------------------------------------------------------------------------------


def bomb(size):
    """A stream that inflates to ``size`` bytes."""
    encoder = zlib.compressobj(9)
    parts = [encoder.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join([*parts, encoder.compress(bytes(size % 2**20)), encoder.flush()])


@pytest.mark.parametrize("size", [65_537, 70_000, 2**20, 2**26])
def test_what_inflates_beyond_64_kib_is_refused(size):
    token = "007" + encode(bomb(size))
    with pytest.raises(MalformedToken, match="inflates beyond 65536 bytes") as caught:
        parse(token)
    assert caught.value.stage == "zlib"


def test_64_kib_are_read():
    body = HEAD + pack_u16(1) + pack_u16(77)
    body += bytes(65_536 - 34 - len(body))
    claims = parse(token_of(body)).claims
    assert access_token2.pack(claims) == body
    with pytest.raises(MalformedToken, match="inflates beyond"):
        parse(token_of(body + b"x"))


LIMITED = """
import json, resource, sys
from fasttoken import MalformedToken, Project, backend, parse

token = json.load(sys.stdin)
project = Project("a" * 32, "b" * 32)
parse(project.rtc_token("room", 1))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 16 * 2**20,) * 2)
for _ in range(50):
    try:
        parse(token)
    except MalformedToken as error:
        assert error.stage in ("zlib", "base64"), error
    else:
        raise AssertionError("it was read")
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - used
print(grown)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and RLIMIT_AS")
@pytest.mark.parametrize("kind", ["zeros", "repeats", "stored"])
def test_a_bomb_takes_no_memory(kind):
    """With room for 16 MiB more, tokens that would inflate to up to 180 MiB are refused."""
    if kind == "zeros":
        stream = bomb(180 * 2**20)
    elif kind == "repeats":
        stream = zlib.compress(b"0123456789abcdef" * 2**20, 9)
    else:
        stream = zlib.compress(random.Random(1).randbytes(190_000), 0)
    token = "007" + base64.b64encode(stream).decode()
    assert len(token) <= LONGEST
    result = run_with_input(LIMITED, json.dumps(token))
    assert int(result) < 8 * 2**20


def run_with_input(code, text):
    """`run_python` with something on standard input."""
    path = os.pathsep.join([str(PACKAGE.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    ).stdout


def test_reading_grows_with_the_token_only():
    """The longest token that is read is read in a moment: twice as long, not four times the work.

    Counted in calls of Python functions, which a slow machine doesn't change.
    """
    code = """
import sys
from fasttoken import parse
from fasttoken._core import Certificate, pack_str, pack_u16, pack_u32
from fasttoken.formats import access_token2

def calls(count):
    head = pack_str(b"a" * 32) + pack_u32(1) * 3
    service = pack_u16(2) + pack_u16(1) + pack_u16(1) + pack_u32(5) + pack_str(b"")
    body = head + pack_u16(count) + service * count
    token = access_token2.seal(bytes(32), body)
    made = 0
    def count_call(frame, event, argument):
        nonlocal made
        made += 1
    sys.setprofile(count_call)
    parse(token)
    sys.setprofile(None)
    return made

print(calls(2000) / calls(1000))
"""
    assert float(run_python(code, **SAME_CORE).stdout) < 2.1
