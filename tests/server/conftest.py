"""A real ``fasttoken serve`` in a process of its own, on a port that the system picks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from helpers import APP_ID, CERTIFICATE, PACKAGE, SECONDARY

pytest.importorskip("uvicorn", reason="the extra [server] is not installed")
httpx = pytest.importorskip("httpx", reason="the extra [test] is not installed")

PATIENCE = 60  # seconds: how long anything may take before a test fails rather than hangs
UP = "Application startup complete"


def environment(**more: str) -> dict[str, str]:
    """This process' environment, with the sample project and without other settings."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FASTTOKEN_SERVER_", "AGORA_"))
    }
    project = {
        "AGORA_APP_ID": APP_ID,
        "AGORA_APP_CERTIFICATE": CERTIFICATE,
        "AGORA_APP_CERTIFICATE_SECONDARY": SECONDARY,
    }
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    given = own | project | {"PYTHONPATH": path, "NO_COLOR": "1"} | more
    return {name: value for name, value in given.items() if value}


# What may stand in no log, no audit log and no metric, whichever test ran: certificates in any
# case, and whole tokens of 007 and 006.
TOKEN = re.compile(r"007eJx[A-Za-z0-9+/=]{40,}|006[0-9A-Fa-f]{32}[A-Za-z0-9+/=]{40,}")
SECRETS = [CERTIFICATE, SECONDARY]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """The secrets and tokens that stand in a text."""
    found = [secret for secret in (*SECRETS, *secrets) if secret.lower() in text.lower()]
    return found + TOKEN.findall(text)


class Server:
    """A running server: ``url``, ``client`` (httpx), ``log`` (all it wrote so far).

    What it wrote, its audit logs (``*.jsonl`` and ``*.log`` in its directory) and its metrics are
    searched for secrets when it is stopped; ``secrets`` takes more of them.
    """

    def __init__(
        self, *options: str, cwd: Path, port: int = 0, within: Iterable[str] = (), **env: str
    ) -> None:
        command = [sys.executable, "-m", "fasttoken", "serve", "--port", str(port), *options]
        command = [*within, *command]
        workers = int(options[options.index("--workers") + 1]) if "--workers" in options else 1
        self.lines: list[str] = []
        self.secrets: list[str] = []
        self.cwd = cwd
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,  # a .env file of the checkout is not this server's
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(UP, workers)
        found = re.search(r"running on (https?://\S+)", self.log)
        assert found is not None, self.log
        self.url = found[1]
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, verify=False)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def log(self) -> str:
        """Everything that the server wrote to standard output and standard error."""
        return "".join(self.lines)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Waits until a text has been logged so many times; fails when the server ends first."""

        def done() -> bool:
            return self.log.count(text) >= times or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(done, PATIENCE)
        if self.log.count(text) < times:
            self.kill()
            pytest.fail(f"the server did not log {text!r} {times} times:\n{self.log}")

    def signal(self, number: int) -> None:
        """Sends the server's first process a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ends the server as an operator does, and gives its exit code."""
        metrics = ""
        if self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                metrics = self.client.get("/metrics").text
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.kill()
        written = [path for end in ("*.jsonl", "*.log") for path in self.cwd.rglob(end)]
        for text in (self.log, metrics, *(path.read_text() for path in written)):
            assert leaks(text, self.secrets) == []
        return code

    def kill(self) -> None:
        """Ends the server without asking it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        if hasattr(self, "client"):
            self.client.close()


@pytest.fixture
def serve(tmp_path: Path):
    """Starts servers that end with the test: ``serve("--dev", "--workers", "2", NAME="value")``."""
    with contextlib.ExitStack() as servers:

        def start(*options: str, **more: Any) -> Server:
            server = Server(*options, cwd=tmp_path, **more)
            servers.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory):
    """As `serve`, for servers that the tests of a module share."""
    with contextlib.ExitStack() as servers:

        def start(*options: str, **env: str) -> Server:
            server = Server(*options, cwd=tmp_path_factory.mktemp("server"), **env)
            servers.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="module")
def dev(serve_all):
    """A server with ``--dev`` that the tests of a module share."""
    return serve_all("--dev")


def settings_file(directory: Path, **more: str) -> tuple[str, str]:
    """A TOML file for a server that knows one caller, who may have anything; its API key.

    ``more`` are further sections, as TOML.
    """
    from fasttoken.server.auth import new_key

    key, digest = new_key()
    sections = {
        "auth": f'keys = [{{ name = "test", sha256 = "{digest}" }}]',
        "policy": 'rules = [{ name = "all", channels = ["*"], uid = "*", services = ["*"], '
        'versions = ["006", "007"], longest = 86400, '
        "batch = true, verify = true, metrics = true }]",
        "limits": 'caller = "off"\naddress = "off"',
        "audit": f'file = "{directory / "audit.jsonl"}"',
    } | more
    path = directory / "server.toml"
    path.write_text("".join(f"[{name}]\n{text}\n" for name, text in sections.items()))
    return str(path), key


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory):
    """A server with callers, policy and audit log, as in earnest; its client has the API key."""
    directory = tmp_path_factory.mktemp("secured")
    config, key = settings_file(directory)
    server = Server("--config", config, "--compat", "fetch-token", cwd=directory)
    server.secrets.append(key)
    server.client.headers["authorization"] = f"Bearer {key}"
    yield server
    server.stop()
