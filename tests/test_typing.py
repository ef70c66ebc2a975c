"""The public API under mypy --strict and pyright."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
from helpers import PACKAGE, TESTS

EXAMPLE, MISTAKES = TESTS / "typing_example.py", TESTS / "typing_mistakes.py"
INSTALLED = "site-packages" in PACKAGE.parts

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Checks a file: mypy's exit code and its output."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    place = tmp_path_factory.mktemp("mypy")
    config = place / "mypy.ini"
    config.write_text(f"[mypy]\nmypy_path = {'' if INSTALLED else PACKAGE.parent}\n")

    def check(path):
        options = ["--strict", "--config-file", config, "--cache-dir", place / "cache"]
        made = subprocess.run(
            [sys.executable, "-m", "mypy", *options, "--no-error-summary", path],
            capture_output=True,
            text=True,
            cwd=place,
        )
        return made.returncode, made.stdout + made.stderr

    return check


@pytest.fixture(scope="module")
def pyright(tmp_path_factory):
    """Checks a file: pyright's errors as (line, message)."""
    if not find_spec("pyright"):
        pytest.skip("pyright is not installed")
    place = tmp_path_factory.mktemp("pyright")
    config = {
        "typeCheckingMode": "strict",
        "extraPaths": [] if INSTALLED else [str(PACKAGE.parent)],
    }

    def check(path):
        (place / path.name).write_text(path.read_text())
        (place / "pyrightconfig.json").write_text(json.dumps({**config, "include": [path.name]}))
        options = ["--pythonpath", sys.executable, "--project", place, "--outputjson"]
        made = subprocess.run(
            [sys.executable, "-m", "pyright", *options],
            capture_output=True,
            text=True,
            cwd=place,
        )
        try:
            found = json.loads(made.stdout[made.stdout.index("{") :])
        except ValueError:
            pytest.skip(
                f"pyright can't start here (it fetches itself by npm): {made.stderr[-200:]}"
            )
        assert found["summary"]["filesAnalyzed"] == 1
        return [
            (problem["range"]["start"]["line"] + 1, problem["message"])
            for problem in found["generalDiagnostics"]
            if problem["severity"] == "error"
        ]

    return check


def wrong_lines():
    lines = MISTAKES.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# wrong: " in line}


def test_mypy_accepts_the_example(mypy):
    assert mypy(EXAMPLE) == (0, "")


def test_mypy_finds_the_mistakes(mypy):
    _, output = mypy(MISTAKES)
    found = {int(line) for line in re.findall(r"typing_mistakes\.py:(\d+): error", output)}
    assert found == wrong_lines(), output


def test_pyright_accepts_the_example(pyright):
    assert pyright(EXAMPLE) == []


def test_pyright_finds_the_mistakes(pyright):
    problems = pyright(MISTAKES)
    assert {line for line, _ in problems} == wrong_lines(), problems


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()
