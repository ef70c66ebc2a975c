"""The swap of docs/rotation.md: its Python runs, and its steps disconnect nobody."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from fasttoken import Project

PAGE = (Path(__file__).parent.parent / "docs" / "rotation.md").read_text(encoding="utf-8")
APP_ID = "970CA35de60c44645bbae8a215061b33"
OLD = "5CFd2fd1755d40ecb72977518be15d3b"
NEW = "1b33de60c44645bbae8a21506970ca35"
START = 1_700_000_000
HOUR, DAY = 3600, 86_400
STEP = 1800  # seconds: how far the clock jumps
USERS = 50


def test_the_python_of_the_page_runs() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    assert code.count("assert ") >= 8
    exec(compile(code, "docs/rotation.md", "exec"), {})


class Stage:
    """Agora, four servers that mint, and fifty users who hold tokens."""

    def __init__(self) -> None:
        self.chance = random.Random(11)
        self.now = START
        self.agora = Project(APP_ID, OLD)
        self.servers = [Project(APP_ID, OLD)] * 4
        self.tokens: dict[int, str] = {}
        self.made_with_old = 0
        for uid in range(1, USERS + 1):
            self.fetch(uid)

    def fetch(self, uid: int) -> None:
        """A user fetches a token from some server, which verifies what it mints."""
        server = self.chance.choice(self.servers)
        lifetime = self.chance.choice([HOUR, 6 * HOUR, DAY])
        self.tokens[uid] = server.rtc_token("lobby", uid, expire=lifetime, issue_ts=self.now)

    def connected(self) -> None:
        """Every user's token is good at Agora, and at every server."""
        uids, tokens = list(self.tokens), list(self.tokens.values())
        verdicts = self.agora.verify_many(tokens, "lobby", uids, now=self.now)
        assert verdicts.ok.all(), {codes for codes in verdicts.codes if codes}
        both = Project(APP_ID, NEW, OLD).verify_many(tokens, now=self.now)
        self.made_with_old = int((both.certificates == 2).sum())
        for server in set(self.servers):
            assert server.verify_many(tokens, "lobby", uids, now=self.now).ok.all()

    def live(self, seconds: int) -> None:
        """Time goes by: who will have no token at the next step renews, and some others do."""
        for _ in range(seconds // STEP):
            for uid, token in self.tokens.items():
                ends = self.agora.verify(token, now=self.now).expires_at
                assert ends is not None
                if ends <= self.now + STEP or self.chance.random() < 0.01:
                    self.fetch(uid)
            self.now += STEP
            self.connected()


def swap(stage: Stage, wait: int) -> None:
    """The steps of the page, with ``wait`` seconds before the old certificate is deleted."""
    stage.live(HOUR)
    stage.agora = Project(APP_ID, OLD, NEW)  # 1
    stage.live(STEP)
    for number in range(4):  # 2
        stage.servers[number] = Project(APP_ID, OLD, NEW)
        stage.live(STEP)
    assert stage.made_with_old == USERS
    for number in range(4):  # 3
        stage.servers[number] = Project(APP_ID, NEW, OLD)
        stage.live(STEP)
    stage.agora = Project(APP_ID, NEW, OLD)  # 4
    stage.live(wait)  # 5
    stage.agora = Project(APP_ID, NEW)  # 6
    stage.live(STEP)
    for number in range(4):
        stage.servers[number] = Project(APP_ID, NEW)
        stage.live(STEP)


def test_the_swap_disconnects_nobody() -> None:
    stage = Stage()
    swap(stage, DAY)
    assert stage.made_with_old == 0


def test_the_wait_is_what_keeps_them_connected() -> None:
    with pytest.raises(AssertionError, match="bad_signature"):
        swap(Stage(), STEP)


def test_a_server_that_mints_with_the_new_certificate_too_early_disconnects() -> None:
    stage = Stage()
    stage.servers[0] = Project(APP_ID, NEW, OLD)
    with pytest.raises(AssertionError):
        stage.live(HOUR)
