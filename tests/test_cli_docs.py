"""The pages that are made from the program are what the program says, and their examples run."""

from __future__ import annotations

import re

import pytest
from broken_tokens import PROJECT
from make_docs import DOCS, PAGES

from fasttoken.reasons import CODES
from fasttoken.verify import unverified

ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", ERRORS, re.M | re.S))


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_program_says(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "run: python tests/make_docs.py"


def test_every_code_has_a_section() -> None:
    assert list(SECTIONS) == sorted(CODES, key=lambda code: CODES[code].severity != "error")


@pytest.mark.parametrize("code", CODES)
def test_the_example_of_a_code_triggers_it(code: str) -> None:
    [(example, codes)] = re.findall(r"```python\n(.*)  # (.*)\n```", SECTIONS[code])
    verdict = eval(example, {"project": PROJECT, "unverified": unverified})
    assert verdict.codes == tuple(codes.split(", "))
    assert code in verdict.codes
    reason = next(reason for reason in verdict.reasons if reason.code == code)
    assert reason.sentence in SECTIONS[code]
    assert reason.mend in SECTIONS[code]
