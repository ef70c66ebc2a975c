"""The choice of the core, and what importing fasttoken brings along."""

import json
import shutil
import sys

import pytest
from helpers import APP_ID, CERTIFICATE, PACKAGE, run_python

import fasttoken
from fasttoken import _core

pytestmark = pytest.mark.once
SHOW = """
import json, sys
import fasttoken
token = fasttoken.Project(sys.argv[1], sys.argv[2]).rtc_token("room", 7, issue_ts=5, salt=6)
print(json.dumps([*fasttoken.backend(), token]))
"""


def core(path=None, **environment):
    """What a fresh interpreter with this environment reports, and a token that it mints."""
    shown = run_python(SHOW, APP_ID, CERTIFICATE, path=path, **environment)
    assert shown.stderr == ""
    return json.loads(shown.stdout)


def fails(path=None, **environment):
    """The last line of the error that importing fasttoken raises."""
    shown = run_python("import fasttoken", path=path, check=False, **environment)
    assert shown.returncode == 1
    last = shown.stderr.strip().splitlines()[-1]
    assert last.startswith("fasttoken.errors.CoreError: ")
    return last.removeprefix("fasttoken.errors.CoreError: ")


@pytest.fixture
def token(project):
    return project.rtc_token("room", 7, issue_ts=5, salt=6)


@pytest.fixture
def without_extension(tmp_path):
    """A copy of the package whose native core was not built."""
    shutil.copytree(
        PACKAGE,
        tmp_path / "fasttoken",
        ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"),
    )
    return tmp_path


# FASTTOKEN_IMPL -------------------------------------------------------------------------------


def test_native_is_the_default(native, token):
    for environment in ({}, {"FASTTOKEN_IMPL": "auto"}, {"FASTTOKEN_IMPL": "native"}):
        implementation, cpu, cpus, failed, reason, minted = core(**environment)
        assert implementation == "native"
        assert cpu == cpus[-1]
        assert cpus[0] == "portable"
        assert (failed, reason) == ([], "")
        assert minted == token


def test_pure_when_asked_for(token):
    assert core(FASTTOKEN_IMPL="pure") == [
        "pure",
        "python",
        ["python"],
        [],
        "FASTTOKEN_IMPL=pure",
        token,
    ]


def test_pure_when_the_native_core_was_not_built(without_extension, token):
    for environment in ({}, {"FASTTOKEN_IMPL": "auto"}):
        shown = core(without_extension, **environment)
        assert shown == ["pure", "python", ["python"], [], "the native core was not built", token]
    assert core(without_extension, FASTTOKEN_IMPL="pure")[4] == "FASTTOKEN_IMPL=pure"


def test_native_that_was_not_built_is_an_error(without_extension):
    assert (
        fails(without_extension, FASTTOKEN_IMPL="native")
        == "FASTTOKEN_IMPL=native, but the native core was not built"
    )


def test_native_that_is_broken_is_not_silently_pure(without_extension):
    """Only a core that is not there counts as not built."""
    broken = without_extension / "fasttoken" / "_native" / "core.py"
    broken.write_text("import no_such_module_anywhere\n")
    shown = run_python("import fasttoken", path=without_extension, check=False)
    assert shown.returncode == 1
    assert "no_such_module_anywhere" in shown.stderr.splitlines()[-1]


@pytest.mark.parametrize("value", ["", "Native", "c", "AUTO", " pure", "python", "1"])
def test_unknown_implementations_are_errors(value):
    assert fails(FASTTOKEN_IMPL=value) == "FASTTOKEN_IMPL must be one of auto, native, pure"


# FASTTOKEN_CPU --------------------------------------------------------------------------------


def test_every_cpu_path_of_this_machine(native, token):
    paths = native.cpu_paths()[1]
    for path in ("auto", *paths):
        implementation, cpu, cpus, failed, _, minted = core(
            FASTTOKEN_IMPL="native", FASTTOKEN_CPU=path
        )
        assert implementation == "native"
        assert cpu == (paths[-1] if path == "auto" else path)
        assert tuple(cpus) == paths
        assert failed == []
        assert minted == token


@pytest.mark.parametrize("value", ["", "avx9", "Portable", "python", "none"])
def test_unknown_cpu_paths_are_errors(native, value):
    message = fails(FASTTOKEN_IMPL="native", FASTTOKEN_CPU=value)
    assert message.startswith("FASTTOKEN_CPU must be one of auto, portable")
    assert message.endswith("on this machine")
    assert all(path in message for path in native.cpu_paths()[1])


def test_cpu_paths_of_the_pure_core(token):
    for path in ("auto", "python"):
        assert core(FASTTOKEN_IMPL="pure", FASTTOKEN_CPU=path)[1] == "python"
    for path in ("portable", "avx9", ""):
        message = fails(FASTTOKEN_IMPL="pure", FASTTOKEN_CPU=path)
        assert message == "FASTTOKEN_CPU must be auto or python for the pure core"


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 15, 16, 17, 33, 129])
def test_every_cpu_path_mints_the_same(native, rows):
    """Batches of sizes around the lanes that a path works in."""
    code = """
import sys
from fasttoken import Project
rows = int(sys.argv[3])
names = [("room-%d" % row) * (row % 6 + 1) for row in range(rows)]
project = Project(sys.argv[1], sys.argv[2])
salts = [row * 7919 for row in range(rows)]
for issue_ts in (5, [row // 3 for row in range(rows)]):
    print(*project.rtc_tokens(names, range(1, rows + 1), issue_ts=issue_ts, salts=salts))
    print(*project.rtc_tokens_006(names, range(1, rows + 1), issue_ts=issue_ts, salts=salts))
"""

    def minted(**environment):
        return run_python(code, APP_ID, CERTIFICATE, str(rows), **environment).stdout

    paths = native.cpu_paths()[1]
    expected = minted(FASTTOKEN_IMPL="native", FASTTOKEN_CPU=paths[0])
    assert expected.count("\n") == 4
    for path in paths[1:]:
        assert minted(FASTTOKEN_IMPL="native", FASTTOKEN_CPU=path) == expected


# backend() ------------------------------------------------------------------------------------


def test_backend():
    shown = fasttoken.backend()
    assert isinstance(shown, fasttoken.Backend)
    assert shown.implementation in ("native", "pure")
    assert shown.cpu in shown.cpus
    assert shown.failed == ()
    assert (shown.reason == "") == (shown.implementation == "native")
    assert _core.CHOICES == ("auto", "native", "pure")


def test_the_core_in_use_is_the_one_that_is_named():
    module = sys.modules[_core.mint.__module__]
    assert module.__name__.startswith(f"fasttoken._{fasttoken.backend().implementation}")


# Importing ------------------------------------------------------------------------------------

# What takes long to import, or is no dependency of the bare package.
HEAVY = [
    "aiohttp",
    "argparse",
    "asyncio",
    "concurrent.futures.process",
    "concurrent.futures.thread",
    "duckdb",
    "email",
    "http",
    "multiprocessing",
    "pandas",
    "polars",
    "pyarrow",
    "pytest",
    "ray",
    "rich",
    "socket",
    "ssl",
    "subprocess",
    "tkinter",
    "typer",
    "typing_extensions",
    "unittest",
    "urllib.request",
]
LOADED = """
import json, sys
import numpy
before = set(sys.modules)
import fasttoken
fasttoken.Project("a" * 32, "b" * 32).rtc_tokens("room", [1, 2])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("implementation", ["auto", "pure"])
def test_importing_brings_nothing_heavy_along(implementation):
    """Beyond NumPy, a bare install imports a few small modules: this keeps the import fast."""
    loaded = set(json.loads(run_python(LOADED, FASTTOKEN_IMPL=implementation).stdout))
    assert not loaded & set(HEAVY)
    ours = {name for name in loaded if name.split(".")[0] == "fasttoken"}
    assert "fasttoken.project" in ours
    for unused in ("agora", "bulk", "cli", "server"):
        assert not any(name.startswith(f"fasttoken.{unused}") for name in ours)
    others = {name.split(".")[0] for name in loaded - ours} - sys.stdlib_module_names
    assert {name for name in others if "cython" not in name} <= {"numpy"}


def test_public_names():
    assert sorted(fasttoken.__all__) == sorted(set(fasttoken.__all__))
    for name in fasttoken.__all__:
        assert getattr(fasttoken, name) is not None
    namespace = {}
    exec("from fasttoken import *", namespace)
    assert set(fasttoken.__all__) <= set(namespace)
