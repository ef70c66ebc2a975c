"""The small costs one by one: ``pytest benchmarks/test_micro.py`` (needs pytest-benchmark)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fasttoken import Project, parse, services

from .harness import EXPIRE, inputs

GIVEN = inputs()
CHANNEL, UID = GIVEN["rows"][0]
UIDS = np.array([uid for _, uid in GIVEN["rows"]], np.uint32)
USERS = [str(uid) for _, uid in GIVEN["rows"]]
LOGIN = {services.Rtm.Privilege.LOGIN: EXPIRE}


@pytest.fixture(scope="module")
def project() -> Project:
    return Project(GIVEN["app_id"], GIVEN["certificate"])


SINGLE: dict[str, Callable[[Any], str]] = {
    "rtc": lambda project: project.rtc_token(CHANNEL, UID),
    "rtc_subscriber": lambda project: project.rtc_token(CHANNEL, UID, "subscriber"),
    "rtc_account": lambda project: project.rtc_token(CHANNEL, "someone@example.com"),
    "rtc_with_privileges": lambda project: project.rtc_token_with_privileges(CHANNEL, UID),
    "rtm": lambda project: project.rtm_token(USERS[0]),
    "rtm2": lambda project: project.rtm_token(USERS[0], permissions=GIVEN["permissions"]),
    "rtc_rtm": lambda project: project.rtc_rtm_token(CHANNEL, UID),
    "chat": lambda project: project.chat_user_token(USERS[0]),
    "education": lambda project: project.education_room_user_token("room", USERS[0], 1),
    "rtc_006": lambda project: project.rtc_token_006(CHANNEL, UID),
    "rtm_006": lambda project: project.rtm_token_006(USERS[0]),
    "dynamic_key_5": lambda project: project.dynamic_key(5, CHANNEL, UID),
}


@pytest.mark.parametrize("mint", SINGLE.values(), ids=SINGLE)
def test_single(benchmark: Any, project: Project, mint: Callable[[Any], str]) -> None:
    assert benchmark(mint, project)


BATCH: dict[str, Callable[[Any, int, str], Any]] = {
    "rtc": lambda project, rows, output: project.rtc_tokens(CHANNEL, UIDS[:rows], output=output),
    "rtc_accounts": lambda project, rows, output: project.rtc_tokens(
        CHANNEL, USERS[:rows], output=output
    ),
    "rtm": lambda project, rows, output: project.tokens(
        [services.Rtm(USERS[:rows], LOGIN)], output=output
    ),
    "rtc_006": lambda project, rows, output: project.rtc_tokens_006(
        CHANNEL, UIDS[:rows], output=output
    ),
}


@pytest.mark.parametrize("output", ["arrow", "list", "numpy"])
@pytest.mark.parametrize("rows", [1, 100, 4096])
@pytest.mark.parametrize("mint", BATCH.values(), ids=BATCH)
def test_batch(
    benchmark: Any,
    project: Project,
    mint: Callable[[Any, int, str], Any],
    rows: int,
    output: str,
) -> None:
    assert len(benchmark(mint, project, rows, output)) == rows


READ: dict[str, Callable[[Any, str], Any]] = {
    "parse": lambda project, token: parse(token),
    "verify_signature": lambda project, token: project.verify_signature(token),
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_read(benchmark: Any, project: Project, read: Callable[[Any, str], Any]) -> None:
    assert benchmark(read, project, project.rtc_token(CHANNEL, UID))
