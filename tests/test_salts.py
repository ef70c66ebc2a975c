"""Salts: uniform in 1..99999999, from the operating system, each handed out once."""

import io
import itertools
import os
import struct
import threading

import numpy as np
import pytest
from helpers import SAME_CORE, run_python

from fasttoken import _core, parse, salts
from fasttoken.salts import random_salt, random_salts

MAX = 99_999_999


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 1000, 100_003])
def test_as_many_as_asked_for(rows):
    drawn = random_salts(rows)
    assert drawn.dtype == np.uint32
    assert drawn.shape == (rows,)
    assert ((drawn >= 1) & (drawn <= MAX)).all()


def chi_square(counts):
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def assert_uniform(drawn):
    """Over equal bins of the range, and over the last digits.

    A chi-square value of n degrees of freedom lies above n + 9 * sqrt(2n) less than once in 10^9
    runs for the n used here.
    """
    for counts in (
        np.histogram(drawn, bins=512, range=(1, MAX + 1))[0],
        np.bincount(drawn % 500, minlength=500),
    ):
        freedom = len(counts) - 1
        assert chi_square(counts) < freedom + 9 * (2 * freedom) ** 0.5


def test_uniform():
    assert_uniform(random_salts(500_000))


def test_uniform_in_small_draws():
    """The batch of one token is cut from its draw like that of a million."""
    assert_uniform(np.concatenate([random_salts(7) for _ in range(15_000)]))
    assert_uniform(np.array([random_salt() for _ in range(100_000)]))


def test_both_ends_can_be_drawn(monkeypatch):
    """0 and 99999998 of the source are 1 and 99999999, and so are they above 99999999."""
    words = np.array([0, MAX - 1, MAX, 42 * MAX - 1, 2 * MAX + 5], "<u4")
    monkeypatch.setattr(salts.os, "urandom", lambda size: words.tobytes()[:size])
    assert random_salts(5).tolist() == [1, MAX, 1, MAX, 6]


def test_words_that_are_no_multiple_are_drawn_again(monkeypatch):
    """4,294,967,296 words hold 42 of each salt; with the rest some would be likelier."""
    words = np.array([2**32 - 1, 0, MAX - 1, 42 * MAX, 5], "<u4")
    source = io.BytesIO(words.tobytes())
    monkeypatch.setattr(salts.os, "urandom", source.read)
    assert random_salts(3).tolist() == [6, 1, MAX]


def test_both_ends_can_be_drawn_for_single_tokens(monkeypatch):
    """27 bits at a time; what lies above 99999998 is drawn again."""
    source = np.array([MAX, 0, 2**27 - 1, MAX - 1, MAX + 1, 5], "<u4").tobytes()
    monkeypatch.setattr(
        salts.os, "urandom", lambda size: (source * (size // len(source) + 1))[:size]
    )
    _core.forget_salts()
    assert {random_salt() for _ in range(100)} == {1, MAX, 6}
    _core.forget_salts()


def test_hardly_any_twice():
    """Of 100,000 salts about 50 are equal to an earlier one; 200 would be a broken source."""
    assert len(np.unique(random_salts(100_000))) > 99_800


def test_threads_share_no_salt(monkeypatch):
    """Each salt that was drawn is handed out once."""
    drawn = itertools.count()
    monkeypatch.setattr(
        os, "urandom", lambda size: struct.pack("256I", *(next(drawn) for _ in range(256)))
    )
    _core.forget_salts()
    taken = []

    def take():
        mine = [random_salt() for _ in range(2000)]
        taken.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _core.forget_salts()
    assert len(taken) == len(set(taken)) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_children_draw_their_own():
    code = """
import os
from fasttoken.salts import random_salt

random_salt()  # now some are ready
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"".join(random_salt().to_bytes(4, "big") for _ in range(50)))
    os._exit(0)
os.wait()
child = os.read(read, 1000)
parent = {random_salt().to_bytes(4, "big") for _ in range(50)}
assert len(child) == 200
print(len(parent & {child[i : i + 4] for i in range(0, 200, 4)}))
"""
    # 50 against 50 of 10^8: one pair is equal once in 40,000 runs, three never.
    assert int(run_python(code, **SAME_CORE).stdout) < 3


@pytest.mark.parametrize(
    "mint",
    [
        lambda project: project.rtc_token("room", 7),
        lambda project: project.rtc_token("room", 7, expire=86_400, privilege_expire=2**29),
        lambda project: project.rtc_token("*", 7, allow_wildcard=True),
        lambda project: project.rtm_token("ann"),
        lambda project: project.rtc_token_006("room", 7),
        lambda project: project.rtc_token_006("*", 7, allow_wildcard=True),
    ],
)
def test_single_tokens_draw_their_own(project, mint):
    seen = [parse(mint(project)).claims.salt for _ in range(2000)]
    assert all(1 <= salt <= MAX for salt in seen)
    assert len(set(seen)) > 1995


def test_batches_draw_their_own(project):
    seen = [parse(token).claims.salt for token in project.rtc_tokens("room", [7] * 2000)]
    assert all(1 <= salt <= MAX for salt in seen)
    assert len(set(seen)) > 1995
