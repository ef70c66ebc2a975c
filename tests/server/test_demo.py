"""What is served under /demo, and `make serve-demo`; test_web.py has the page at work."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from helpers import APP_ID, CERTIFICATE, PACKAGE, TESTS

from fasttoken.errors import FieldError

pytest.importorskip("uvicorn", reason="the extra [server] is not installed")
from fasttoken.server import demo
from fasttoken.server.settings import Settings, Source

pytestmark = pytest.mark.once
ROOT = TESTS.parent
PAGE = ROOT / "examples" / "web"
PINNED = json.loads((PAGE / "package.json").read_text())["dependencies"]["agora-rtc-sdk-ng"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The page as a fresh clone has it."""
    fresh = tmp_path_factory.mktemp("page") / "web"
    shutil.copytree(PAGE, fresh, ignore=shutil.ignore_patterns("node_modules"))
    return fresh


@pytest.fixture(scope="module")
def server(serve_all, place):
    return serve_all("--dev", FASTTOKEN_SERVER_DEMO=str(place))


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [("", "index.html", "text/html"), ("client.js", "client.js", "text/javascript")],
)
def test_the_page_is_served(dev, path, name, kind):
    answer = dev.client.get(f"/demo/{path}")
    assert answer.status_code == 200
    assert answer.content == (PAGE / name).read_bytes()
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_its_address_may_lack_the_slash(dev):
    answer = dev.client.get("/demo")
    assert (answer.status_code, answer.headers["location"]) == (307, "/demo/")


def test_the_page_is_told_the_app_id_and_no_more(dev):
    answer = dev.client.get("/demo/config.json")
    assert answer.json() == {"app_id": APP_ID, "sample": True}
    assert CERTIFICATE not in answer.text


def test_the_sdk_is_elsewhere_until_npm_installs_it(server, place):
    answer = server.client.get("/demo/agora-rtc-sdk-ng.js")
    assert answer.status_code == 307
    assert answer.headers["location"] == demo.SDK_ELSEWHERE
    installed = place / demo.SDK
    installed.parent.mkdir(parents=True)
    installed.write_text("// the SDK")
    answer = server.client.get("/demo/agora-rtc-sdk-ng.js")
    assert (answer.status_code, answer.text) == (200, "// the SDK")


def test_here_and_elsewhere_the_sdk_is_of_one_version():
    assert re.search(r"@([^/]+)/", demo.SDK_ELSEWHERE)[1] == PINNED


@pytest.mark.parametrize("name", ["index.html", "client.js"])
def test_the_package_has_the_page(name):
    assert (PACKAGE / "server" / "web" / name).read_bytes() == (PAGE / name).read_bytes()


@pytest.mark.parametrize("path", ["package.json", "node_modules/x", "%2e%2e%2fapp.py", "x"])
def test_nothing_else_is_served(dev, path):
    assert dev.client.get(f"/demo/{path}").status_code == 404


def test_the_page_is_for_dev_only():
    assert demo.routes(Settings(dev=True)) != []
    assert demo.routes(Settings()) == []


def test_a_page_of_ones_own_has_to_be_there(tmp_path):
    project = {"AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    with pytest.raises(FieldError, match=r"demo: must be a directory with an index\.html"):
        Source(options={"demo": str(tmp_path)}).load(project)


def test_hints_fit_any_address():
    assert demo.hints("http://[::1]:8080").startswith("The page:  http://[::1]:8080/demo/\n")


@pytest.fixture
def tree(tmp_path):
    """The checkout, without what may lie about in it."""
    names = ("Makefile", "pyproject.toml", "setup.py", "README.md", "LICENSE", "src", "examples")
    for name in names:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("own", [False, True])
def test_the_curl_line_of_make_serve_demo_works(tree, project, own):
    for program in ("make", "curl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    app_id = "0" * 31 + "1" if own else APP_ID
    left_out = ("AGORA_", "FASTTOKEN_SERVER_", "MAKE", "MFLAGS")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    environment |= {"PYTHONPATH": str(PACKAGE.parent), "FASTTOKEN_SERVER_PORT": "0"}
    if own:
        environment |= {"AGORA_APP_ID": app_id, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    # Everything but installing the package, which is this test's already.
    command = ["make", "-o", ".venv/extra-server", "serve-demo", f"PY={sys.executable}"]
    made = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    printed = []
    try:
        for line in made.stdout:
            printed.append(line)
            if "Application startup complete" in line:
                break
        text = "".join(printed)
        page = re.search(r"^The page: +(http://127\.0\.0\.1:\d+/demo/)$", text, re.MULTILINE)[1]
        curl = re.search(r"^A token: +(curl .+)$", text, re.MULTILINE)[1]
        answer = subprocess.run(curl, shell=True, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 0, answer.stderr
        token = json.loads(answer.stdout)["token"]
        seen = subprocess.run(["curl", "-sSf", page], capture_output=True, text=True, timeout=60)
        assert seen.stdout == (PAGE / "index.html").read_text()
    finally:
        os.killpg(made.pid, signal.SIGTERM)
        made.communicate(timeout=60)
    verdict = project.verify(token, channel_name="lobby", uid=42)
    assert verdict.ok is not own
    assert ("public sample project" in text) is not own
    assert CERTIFICATE not in text
