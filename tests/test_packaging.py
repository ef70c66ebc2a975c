"""Installing from source, with a compiler and without one."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy
import pytest
from helpers import APP_ID, CERTIFICATE, TESTS, run_python

from fasttoken import Project

pytestmark = pytest.mark.once
ROOT = TESTS.parent


@pytest.fixture
def tree(tmp_path):
    """A copy of the source without anything that was built; pip builds in it."""
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    built = shutil.ignore_patterns("*.so", "*.pyd", "core.c", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", copy / "src", ignore=built)
    return copy


def install(tree, tmp_path, **environment):
    """Installs the tree into a virtual environment of its own: pip's result, and where to."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTTOKEN_", "PYTHON"))}
    # With the build's requirements at hand nothing has to be fetched.
    at_hand = find_spec("Cython") and find_spec("setuptools.build_meta")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    if at_hand:
        # pip builds with its own interpreter, then installs the wheel into the environment.
        wheels = tmp_path / "wheels"
        made = subprocess.run(
            [*command, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, tree],
            capture_output=True,
            text=True,
            env={**inherited, **environment},
        )
        if made.returncode:
            return made, None
        wanted = str(next(wheels.glob("fasttoken-*.whl")))
    else:
        wanted = str(tree)
    made = subprocess.run(
        [*command, "--python", python, "install", "--no-deps", wanted],
        capture_output=True,
        text=True,
        env={**inherited, **environment},
    )
    return made, next(place.glob("**/site-packages"))


SHOW = """
import os, sys
sys.path.append(sys.argv[3])  # NumPy
import fasttoken
print(os.path.dirname(fasttoken.__file__))
print(*fasttoken.backend()[::4], sep="|")
print(fasttoken.Project(sys.argv[1], sys.argv[2]).rtc_token("room", 7, issue_ts=5, salt=6))
"""


def installed(site):
    """What the installed package says of its core, after it minted the right token."""
    numpys = os.path.dirname(os.path.dirname(numpy.__file__))
    shown = run_python(SHOW, APP_ID, CERTIFICATE, numpys, path=site).stdout.splitlines()
    assert shown[0].startswith(str(site))
    assert shown[2] == Project(APP_ID, CERTIFICATE).rtc_token("room", 7, issue_ts=5, salt=6)
    return shown[1]


@pytest.fixture(scope="module")
def compiler():
    """Skips where extensions can't be compiled at all."""
    if not any(
        shutil.which(name) for name in (os.environ.get("CC", "cc").split()[0], "gcc", "clang")
    ):
        pytest.skip("there is no C compiler")


@pytest.mark.slow
def test_auto_builds_the_native_core(compiler, tree, tmp_path):
    made, site = install(tree, tmp_path)
    assert made.returncode == 0, made.stderr
    assert installed(site) == "native|"
    package = site / "fasttoken"
    assert (package / "py.typed").exists()
    assert (package / "_native" / "core.pyi").exists()
    assert not (package / "_native" / "core.c").exists()
    assert not list(site.glob("tests*"))


def test_pure_never_compiles(tree, tmp_path):
    made, site = install(tree, tmp_path, FASTTOKEN_BUILD="pure", CC="/bin/false")
    assert made.returncode == 0, made.stderr
    assert installed(site) == "pure|the native core was not built"
    assert not list(site.glob("**/*.so"))


def test_auto_without_a_compiler_is_pure_and_says_so(tree, tmp_path):
    made, site = install(tree, tmp_path, FASTTOKEN_BUILD="auto", CC="/bin/false", CXX="/bin/false")
    assert made.returncode == 0, made.stderr
    assert installed(site) == "pure|the native core was not built"


def test_required_without_a_compiler_fails(tree, tmp_path):
    made, _ = install(tree, tmp_path, FASTTOKEN_BUILD="required", CC="/bin/false")
    assert made.returncode != 0
    assert "/bin/false" in made.stdout + made.stderr


@pytest.mark.parametrize("value", ["", "yes", "Required"])
def test_unknown_builds_fail(tree, tmp_path, value):
    made, _ = install(tree, tmp_path, FASTTOKEN_BUILD=value)
    assert made.returncode != 0
    assert "FASTTOKEN_BUILD must be one of auto, required, pure" in made.stdout + made.stderr
