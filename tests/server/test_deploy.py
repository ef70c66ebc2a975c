"""What lies in deploy/: the settings are taken, the health check works, nothing is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment, free_port

pytestmark = pytest.mark.once

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "fasttoken.service").read_text(encoding="utf-8")


def test_the_example_settings_are_taken(tmp_path):
    command = [sys.executable, "-m", "fasttoken", "serve", "--check"]
    done = subprocess.run(
        [*command, "--config", str(DEPLOY / "server.toml")],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"] == 2


def health(port: int) -> int:
    """The exit code of the Dockerfile's health check."""
    [found] = re.findall(r"^HEALTHCHECK .*\\\n\s+(\[.*\])$", DOCKERFILE, re.M)
    program, *arguments = json.loads(found)
    assert program == "python"
    env = {"FASTTOKEN_SERVER_PORT": str(port)}
    return subprocess.run(
        [sys.executable, *arguments], env=env, stderr=subprocess.DEVNULL
    ).returncode


def test_the_health_check_tells_the_living_from_the_dead(dev):
    assert health(int(dev.url.rpartition(":")[2])) == 0
    assert health(free_port()) != 0


def test_the_image_does_not_run_as_root():
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)
    assert "curl" not in DOCKERFILE


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or not shutil.which("unshare"),
    reason="needs root, for a namespace of its own",
)
def test_it_runs_without_rights_on_a_file_system_that_cannot_be_written(serve):
    """As in the container: no capability, everything read-only but /dev/shm."""
    within = (
        "cd / && mount -o remount,bind,ro / && "
        "mount -t tmpfs shm /dev/shm && chmod 1777 /dev/shm && (! touch /tmp/x 2>/dev/null) && "
        'exec setpriv --bounding-set -all --inh-caps -all --no-new-privs "$@"'
    )
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", within, "sh"]
    server = serve("--dev", "--workers", "2", within=prefix)
    body = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 42}]}
    assert server.client.post("/v1/tokens", json=body).status_code == 200
    assert server.client.get("/metrics").status_code == 200


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = tmp_path / "fasttoken.service"
    unit.write_text(UNIT.replace("/opt/fasttoken/bin/fasttoken", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
