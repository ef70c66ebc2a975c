"""Every rule of a field: what passes, and the field, rule and mend of what doesn't."""

import pickle
import string
import traceback
import warnings

import numpy as np
import pytest
from helpers import APP_ID, CERTIFICATE

from fasttoken import rules
from fasttoken.errors import (
    BadRow,
    CoreError,
    FastTokenError,
    FieldError,
    MalformedToken,
    RowsError,
    TokenWarning,
)

WILDCARD_MEND = "say allow_wildcard=True if you want that"


def broken(rule, *arguments):
    """The rule and the mend that a value breaks."""
    with pytest.raises(FieldError) as caught:
        rule(*arguments)
    assert str(caught.value) == f"{caught.value.field}: {caught.value.reason}"
    return caught.value


# App ID and certificates ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [APP_ID, APP_ID.upper(), APP_ID.lower(), "0" * 32])
def test_app_id(value):
    assert rules.app_id(value) == value


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "must be 32 hexadecimal digits (these are 0 characters)"),
        (APP_ID[:-1], "must be 32 hexadecimal digits (these are 31 characters)"),
        (APP_ID + "0", "must be 32 hexadecimal digits (these are 33 characters)"),
        ("g" * 32, "must be 32 hexadecimal digits (these are 32 characters)"),
        ("\uff10" * 32, "must be 32 hexadecimal digits (these are 32 characters)"),
        (APP_ID + "\n", "must be 32 hexadecimal digits, without whitespace"),
        (" " + APP_ID, "must be 32 hexadecimal digits, without whitespace"),
        (APP_ID[:16] + " " + APP_ID[17:], "must be 32 hexadecimal digits, without whitespace"),
        (APP_ID[:31] + "\u00a0", "must be 32 hexadecimal digits, without whitespace"),
        (None, "must be a str, not NoneType"),
        (APP_ID.encode(), "must be a str, not bytes"),
        (int(APP_ID, 16), "must be a str, not int"),
    ],
)
def test_app_id_is_32_hexadecimal_digits(value, rule):
    error = broken(rules.app_id, value)
    assert (error.field, error.rule) == ("app_id", rule)
    assert error.mend == "copy it from the Agora Console"
    if isinstance(value, str) and value:
        assert value not in str(error)


# Channel names --------------------------------------------------------------------------------

ALLOWED = string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,"


def test_channel_name_takes_every_allowed_character():
    assert len(set(ALLOWED)) == 89
    for character in ALLOWED:
        assert rules.channel_name("channel_name", character, False) == character.encode()


def test_channel_name_takes_no_other_character():
    for code in [*range(0x180), 0x4E00, 0x1F600, 0xFF21]:
        character = chr(code)
        if character in ALLOWED:
            continue
        for text in ("a" + character, character + "a"):
            error = broken(rules.channel_name, "channel_name", text, True)
            assert error.field == "channel_name"
            assert error.rule.startswith(f"has {character!r}")


@pytest.mark.parametrize("size", [1, 2, 63, 64])
def test_channel_name_length(size):
    assert rules.channel_name("c", "x" * size, False) == b"x" * size


def test_channel_name_is_at_most_64_bytes():
    assert (
        broken(rules.channel_name, "c", "x" * 65, True).rule == "must be at most 64 bytes, not 65"
    )
    assert (
        broken(rules.channel_name, "c", "é" * 33, True).rule == "must be at most 64 bytes, not 66"
    )


@pytest.mark.parametrize("value", ["", "*"])
def test_channel_name_wildcard(value):
    error = broken(rules.channel_name, "channel_name", value, False)
    assert (error.rule, error.mend) == ("means any channel here", WILDCARD_MEND)
    assert rules.channel_name("channel_name", value, True) == value.encode()


def test_star_within_a_channel_name_is_no_wildcard():
    for text in ("**", "a*", "*a"):
        assert broken(rules.channel_name, "c", text, True).rule.startswith("has '*'")


@pytest.mark.parametrize("value", [None, 5, b"room", ["room"], 1.5])
def test_text_is_str(value):
    for rule in (rules.channel_name, rules.account, rules.rtm_user_id, rules.optional_account):
        assert broken(rule, "f", value, True).rule == f"must be a str, not {type(value).__name__}"


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_text_is_valid_unicode(value):
    for rule in (rules.channel_name, rules.account, rules.rtm_user_id, rules.uid):
        assert "lone surrogate" in broken(rule, "f", value, True).rule


# Uids and accounts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, b"1"),
        (4294967295, b"4294967295"),
        (np.uint32(7), b"7"),
        (np.int64(7), b"7"),
        ("0", b"0"),
        ("alice", b"alice"),
        ("é" * 127, "é".encode() * 127),
        ("x" * 255, b"x" * 255),
        ("a*b", b"a*b"),
    ],
)
def test_uid(value, text):
    assert rules.uid("uid", value, False) == text


@pytest.mark.parametrize("value", [0, np.uint32(0), "", "*"])
def test_uid_wildcard(value):
    error = broken(rules.uid, "uid", value, False)
    assert (error.rule, error.mend) == ("means any user here", WILDCARD_MEND)
    expected = b"*" if value == "*" else b""
    assert rules.uid("uid", value, True) == expected


@pytest.mark.parametrize(
    ("value", "rule", "mend"),
    [
        (2**32, "must be in 0..4294967295", ""),
        (-1, "must be in 0..4294967295", "a signed 32-bit uid is written as uid + 2**32"),
        (-(2**31), "must be in 0..4294967295", "a signed 32-bit uid is written as uid + 2**32"),
        (-(2**31) - 1, "must be in 0..4294967295", ""),
        (True, "must be an integer, not a bool", ""),
        (1.0, "must be an integer, not float", ""),
        (None, "must be an integer, not NoneType", ""),
        (b"1", "must be an integer, not bytes", ""),
        ("x" * 256, "must be at most 255 bytes, not 256", ""),
        ("é" * 128, "must be at most 255 bytes, not 256", ""),
    ],
)
def test_uid_breaks_a_rule(value, rule, mend):
    error = broken(rules.uid, "uid", value, True)
    assert (error.field, error.rule, error.mend) == ("uid", rule, mend)


def test_rtm_user_id_is_at_most_64_bytes():
    assert rules.rtm_user_id("user_id", "x" * 64, False) == b"x" * 64
    error = broken(rules.rtm_user_id, "user_id", "x" * 65, True)
    assert (error.field, error.rule) == ("user_id", "must be at most 64 bytes, not 65")


def test_wildcards_of_accounts():
    for rule in (rules.account, rules.rtm_user_id):
        for value in ("", "*"):
            assert broken(rule, "f", value, False).rule == "means any user here"
            assert rule("f", value, True) == value.encode()


def test_optional_account_may_be_empty():
    assert rules.optional_account("user_id", "", False) == b""


# Numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 2**32 - 1, np.uint32(5)])
def test_unix_ts_and_salt(value):
    assert rules.unix_ts("issue_ts", value) == value
    assert rules.salt(value) == value


@pytest.mark.parametrize("value", [-1, 2**32])
def test_unix_ts_and_salt_are_u32(value):
    assert str(broken(rules.unix_ts, "ts", value)) == "ts: must be in 0..4294967295"
    assert str(broken(rules.salt, value)) == "salt: must be in 0..4294967295"


def test_i16():
    for value in (-32768, -1, 0, 32767):
        assert rules.i16("role", value, False) == value
    for value in (-32769, 32768):
        assert str(broken(rules.i16, "role", value, False)) == "role: must be in -32768..32767"


def test_duration():
    for seconds in (0, 1, 999_999_999):
        assert rules.duration("expire", seconds) == seconds
    error = broken(rules.duration, "expire", 1_700_000_000)
    assert error.rule == "must be seconds from the issue timestamp"
    assert error.mend == "this is a Unix timestamp: pass a duration such as 3600"
    assert broken(rules.duration, "expire", 1_000_000_000).mend == error.mend
    assert broken(rules.duration, "expire", -1).rule == "must be in 0..4294967295"


def test_lifetime():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seconds in (1, 3600, 86_400):
            assert rules.lifetime("expire", seconds, True) == seconds
            assert rules.lifetime("expire", seconds, False) == seconds
    for seconds in (0, 86_401, 999_999_999):
        with pytest.warns(TokenWarning, match="^expire is 0 or more than 86400 seconds"):
            assert rules.lifetime("expire", seconds, False) == seconds
        assert broken(rules.lifetime, "expire", seconds, True).rule == rules.LIFETIME


# The exceptions -------------------------------------------------------------------------------


def test_tree():
    for error, builtin in (
        (FieldError, ValueError),
        (RowsError, ValueError),
        (MalformedToken, ValueError),
        (CoreError, ImportError),
    ):
        assert issubclass(error, FastTokenError)
        assert issubclass(error, builtin)
    assert issubclass(TokenWarning, UserWarning)


def test_texts():
    assert str(FieldError("uid", "must be here")) == "uid: must be here"
    assert str(FieldError("uid", "must be here", "put it")) == "uid: must be here (put it)"
    assert str(MalformedToken("zlib", "is broken")) == "malformed token (zlib): is broken"
    rows = [BadRow(row, "uid", "is missing") for row in (1, 5, 9, 10, 11, 12, 13)]
    assert str(RowsError(rows[:2])) == "2 bad rows: row 1: uid: is missing; row 5: uid: is missing"
    assert str(RowsError(rows)).startswith("7 bad rows: row 1")
    assert str(RowsError(rows)).endswith("row 11: uid: is missing; and 2 more")
    assert RowsError(rows).rows == tuple(rows)


@pytest.mark.parametrize(
    "error",
    [
        FieldError("uid", "must be here", "put it"),
        RowsError([BadRow(3, "uid", "is missing")]),
        MalformedToken("zlib", "is broken"),
    ],
)
def test_errors_cross_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_certificate_problem_never_quotes():
    for value in (CERTIFICATE + "x", CERTIFICATE.encode(), CERTIFICATE[:-1] + " "):
        assert CERTIFICATE[:8] not in rules.hex32_problem(value)
    assert rules.hex32_problem(CERTIFICATE) == ""


def test_errors_of_numbers_hide_their_cause():
    """What operator.index said first is of no use to a reader."""
    error = broken(rules.integer, "uid", "x", 0, 1)
    assert "During handling" not in "".join(traceback.format_exception(error))
