"""docs/server-compat.md: every curl line works, and no family is left out."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest
from compat_requests import TOKEN
from conftest import PATIENCE, Server
from helpers import TESTS

from fasttoken.server.compat import FAMILIES, port

pytestmark = pytest.mark.once
PAGE = (TESTS.parent / "docs" / "server-compat.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_each_family_has_a_section():
    assert list(SECTIONS) == list(FAMILIES)
    assert re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\)", PAGE, re.MULTILINE) == [
        (name, name) for name in FAMILIES
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_its_curl_lines_work(family, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    section = SECTIONS[family]
    [options] = re.findall(r"^    fasttoken serve (.*)$", section, re.MULTILINE)
    lines = re.findall(r"^```sh\n(curl .*)\n```$", section, re.MULTILINE)
    assert lines
    server = Server(*shlex.split(options), cwd=tmp_path)
    try:
        for line in lines:
            usual = f"http://localhost:{port([family]) or 8080}/"
            assert usual in line
            command = shlex.split(line.replace(usual, f"{server.url}/"))
            done = subprocess.run(
                [*command, "--silent", "--fail-with-body"], capture_output=True, timeout=PATIENCE
            )
            assert done.returncode == 0, (line, done.stdout)
            assert TOKEN.search(done.stdout) or done.stdout == b'{"message":"pong"}'
    finally:
        server.stop()
