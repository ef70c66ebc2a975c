"""One Project for many threads: every token is right."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import APP_ID, CERTIFICATE

from fasttoken import FieldError, Project, RowsError, parse

THREADS, ROUNDS = 8, 60


@pytest.fixture(autouse=True)
def eager_switches():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def on_threads(work):
    """Runs ``work(number)`` on many threads, started together."""
    barrier = threading.Barrier(THREADS)

    def run(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_single_tokens_of_many_threads():
    """Threads use other timestamps, so that each changes what the certificate remembers."""
    shared = Project(APP_ID, CERTIFICATE)
    alone = Project(APP_ID, CERTIFICATE)
    minters = {
        "rtc_token": lambda project, n: project.rtc_token(
            f"room-{n}", n + 1, issue_ts=n % 13, salt=n
        ),
        "rtm_token": lambda project, n: project.rtm_token(f"user-{n}", issue_ts=n % 7, salt=n),
        "rtc_token_006": lambda project, n: project.rtc_token_006(
            f"room-{n}", n + 1, issue_ts=n % 5, salt=n
        ),
        "education": lambda project, n: project.education_room_user_token(
            "room", f"user-{n}", n % 9, issue_ts=n, salt=n
        ),
    }
    expected = {
        (name, n): mint(alone, n) for name, mint in minters.items() for n in range(THREADS * ROUNDS)
    }

    def work(number):
        return {
            (name, n): mint(shared, n)
            for n in range(number, THREADS * ROUNDS, THREADS)
            for name, mint in minters.items()
        }

    made = {}
    for part in on_threads(work):
        made |= part
    assert made == expected


def test_batches_of_many_threads():
    shared = Project(APP_ID, CERTIFICATE)
    alone = Project(APP_ID, CERTIFICATE)

    def columns(number):
        rng = np.random.default_rng(number)
        rows = 300 + 7 * number
        return {
            "channel_names": [f"room-{n}" for n in rng.integers(0, 50, rows)],
            "uids": rng.integers(1, 2**32, rows),
            "roles": rng.integers(1, 3, rows),
            "issue_ts": rng.integers(0, 5, rows),
            "salts": rng.integers(0, 2**32, rows),
        }

    expected = [alone.rtc_tokens(**columns(number)) for number in range(THREADS)]
    for _ in range(3):
        assert on_threads(lambda number: shared.rtc_tokens(**columns(number))) == expected
    expected = [alone.rtc_tokens_006(**columns(number)) for number in range(THREADS)]
    assert on_threads(lambda number: shared.rtc_tokens_006(**columns(number))) == expected


def test_all_kinds_of_work_at_once():
    """Minting, reading, verifying and failing share the core's memory."""
    shared = Project(APP_ID, CERTIFICATE)
    token = shared.rtc_token("room", 7, issue_ts=1, salt=2)
    claims = parse(token).claims
    batch = shared.rtc_tokens("room", range(1, 200), issue_ts=1, salts=range(199))

    def work(number):
        for _ in range(ROUNDS):
            assert shared.rtc_token("room", 7, issue_ts=1, salt=2) == token
            assert parse(token).claims == claims
            assert shared.verify_signature(token) == "primary"
            with pytest.raises(FieldError):
                shared.rtc_token("", 7)
            if number % 2:
                assert (
                    shared.rtc_tokens("room", range(1, 200), issue_ts=1, salts=range(199)) == batch
                )
                with pytest.raises(RowsError):
                    shared.rtc_tokens("room", [1, 0])
        return True

    assert all(on_threads(work))


def test_projects_of_many_threads():
    def work(number):
        return [
            Project(APP_ID, f"{number * 1000 + n:032x}").rtc_token("room", 1, issue_ts=5, salt=6)
            for n in range(ROUNDS)
        ]

    made = on_threads(work)
    assert len({token for part in made for token in part}) == THREADS * ROUNDS
    for number, part in enumerate(made):
        for n, token in enumerate(part):
            assert Project(APP_ID, f"{number * 1000 + n:032x}").verify_signature(token) == "primary"
