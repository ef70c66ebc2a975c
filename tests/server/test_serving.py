"""The server as its operator sees it: starting, ending, TLS, workers, settings read again."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE, environment, settings_file
from helpers import APP_ID, CERTIFICATE, SECONDARY

from fasttoken import Project, parse

RTC = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 42}]}
BODY = json.dumps(RTC).encode()
RELOADED = "settings were read again"
NEW, NEWER = "11111111111111111111111111111111", "22222222222222222222222222222222"


def test_a_token_is_served(dev, project):
    answer = dev.client.post("/v1/tokens", json=RTC)
    assert answer.status_code == 200
    token = answer.json()["token"]
    assert parse(token).claims.app_id == APP_ID
    assert project.verify(token, channel_name="lobby", uid=42, privilege="rtc.publish_audio").ok


# Starting -----------------------------------------------------------------------------------------


def check(tmp_path: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fasttoken", "serve", "--check", *options]
    return subprocess.run(
        command, cwd=tmp_path, env=environment(**env), capture_output=True, text=True
    )


def test_check_shows_the_settings_without_secrets(tmp_path):
    (tmp_path / "server.toml").write_text('host = "0.0.0.0"\nworkers = 3\n[tokens]\nexpire = 60\n')
    (tmp_path / ".env").write_text("FASTTOKEN_SERVER_WORKERS=4\nFASTTOKEN_SERVER_PORT=9\n")
    done = check(
        tmp_path,
        *("--config", "server.toml", "--dev", "--host", "127.0.0.1"),
        FASTTOKEN_SERVER_PORT="10",
    )
    shown = json.loads(done.stdout)
    assert done.returncode == 0
    assert (shown["host"], shown["port"], shown["workers"]) == ("127.0.0.1", 10, 4)
    assert shown["tokens"]["expire"] == 60
    assert shown["project"]["app_id"] == APP_ID
    assert shown["project"]["app_certificate"] == "***"
    assert CERTIFICATE not in done.stdout + done.stderr
    assert SECONDARY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("toml", "env", "names"),
    [
        ("prot = 1", {}, "prot: "),
        ("[tls]\nkay = 'x'", {}, "tls.kay: "),
        ("port = 'many'", {}, "port: must be int"),
        ("port = 70000", {}, "port: must be in 0..65535"),
        ("workers = 0", {}, "workers: must be in 1..256"),
        ("[tokens]\nexpire = 90000", {}, "tokens.expire: must be in 1..86400"),
        ("host = '0.0.0.0'", {}, "host: must be a loopback address with dev"),
        ("host = 'example.com'", {}, "host: must be a loopback address with dev"),
        ("[tls]\nkey = 'x'", {}, "tls: needs both"),
        ("compat = ['nope']", {}, "compat: "),
        ("port = = 1", {}, "--config: is not TOML"),
        ("", {"FASTTOKEN_SERVER_PROT": "1"}, "FASTTOKEN_SERVER_PROT: is not a setting"),
        ("", {"FASTTOKEN_SERVER_TLS__X": "1"}, "FASTTOKEN_SERVER_TLS__X: is not a setting"),
        ("", {"FASTTOKEN_SERVER_PORT": "x"}, "port: must be int"),
        ("", {"AGORA_APP_CERTIFICATE": ""}, "project.app_certificate: must be given"),
        ("", {"AGORA_APP_CERTIFICATE": f"{CERTIFICATE} "}, "app_certificate: must be 32"),
        ("", {"AGORA_APP_CERTIFICATE_FILE": "nowhere"}, "project.app_certificate: can't be given"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, toml, env, names):
    (tmp_path / "server.toml").write_text(toml)
    done = check(tmp_path, "--dev", "--config", "server.toml", **env)
    assert done.returncode == 2
    assert names in done.stderr
    assert CERTIFICATE not in done.stdout + done.stderr


def test_a_server_for_everyone_needs_callers(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 2
    assert "auth" in done.stderr


# Ending -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_way_are_answered_before_the_end(serve, workers):
    server = serve("--dev", "--workers", str(workers))
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        head = f"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
        client.sendall(head.encode() + BODY[:10])
        server.client.get("/healthz")  # whatever arrived before this is under way
        server.signal(signal.SIGTERM)
        server.wait_for("Waiting for connections to close")
        client.sendall(BODY[10:])
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"007eJx" in answer
    assert server.process.wait(PATIENCE) == 0


def test_a_port_in_use_is_an_error(serve, tmp_path):
    server = serve("--dev")
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "fasttoken", "serve", "--dev", "--port", port]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert "address already in use" in done.stderr.lower()


def test_workers_end_with_their_supervisor(serve):
    server = serve("--dev", "--workers", "2")
    server.process.kill()
    port = server.url.rpartition(":")[2]
    # The reader ends when the last process that holds the other end of the pipe has ended.
    server._reader.join(PATIENCE)
    assert not server._reader.is_alive()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", int(port)))


# TLS ----------------------------------------------------------------------------------------------


def own_certificate(directory: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fasttoken")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "tls.crt").write_bytes(made.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    (directory / "tls.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return str(directory / "tls.crt"), str(directory / "tls.key")


def test_tls(serve, tmp_path, project):
    certificate, key = own_certificate(tmp_path)
    server = serve("--dev", "--tls-certificate", certificate, "--tls-key", key)
    assert server.url.startswith("https://")
    with httpx.Client(verify=ssl.create_default_context(cafile=certificate)) as client:
        token = client.post(f"{server.url}/v1/tokens", json=RTC).json()["token"]
    assert project.verify(token).ok
    with httpx.Client() as stranger, pytest.raises(httpx.ConnectError):
        stranger.get(f"{server.url}/healthz")


# Rotation -----------------------------------------------------------------------------------------


def write(path: Path, text: str) -> None:
    """Replaces a file as tools that rotate secrets do: at once."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    os.replace(fresh, path)


@pytest.fixture
def rotating(serve, tmp_path):
    """A server of two workers with its certificates in files."""
    primary, secondary = tmp_path / "primary", tmp_path / "secondary"
    write(primary, CERTIFICATE)
    write(secondary, NEW)
    server = serve(
        *("--dev", "--workers", "2"),
        AGORA_APP_CERTIFICATE="",
        AGORA_APP_CERTIFICATE_SECONDARY="",
        AGORA_APP_CERTIFICATE_FILE=str(primary),
        AGORA_APP_CERTIFICATE_SECONDARY_FILE=str(secondary),
    )
    server.secrets += [NEW, NEWER]
    return server, primary, secondary


def signer(server) -> str:
    """The certificate that a fresh connection's worker signs with."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        token = client.post("/v1/tokens", json=RTC).json()["token"]
    return next(c for c in (CERTIFICATE, NEW, NEWER) if Project(APP_ID, c).verify(token).ok)


def test_certificates_rotate_under_load_without_a_restart(rotating):
    server, primary, secondary = rotating
    stop, failures, tokens = threading.Event(), [], []

    def load() -> None:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            while not stop.is_set():
                answer = client.post("/v1/tokens", json=RTC)
                if answer.status_code == 200:
                    tokens.append(answer.json()["token"])
                else:
                    failures.append(answer.text)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    old = server.client.post("/v1/tokens", json=RTC).json()["token"]
    write(secondary, CERTIFICATE)  # the order of docs/rotation.md: the old one still verifies
    write(primary, NEW)
    server.signal(signal.SIGHUP)
    # One read on the signal or one on the change of the file, whichever is first, for each worker.
    server.wait_for(RELOADED, 2)
    deadline = time.monotonic() + PATIENCE
    while {signer(server) for _ in range(20)} != {NEW} and time.monotonic() < deadline:
        pass
    verdict = server.client.post("/v1/verify", json={"tokens": [old]}).json()["verdicts"][0]
    stop.set()
    for thread in threads:
        thread.join()
    assert {signer(server) for _ in range(20)} == {NEW}
    assert verdict["ok"]
    assert verdict["certificate"] == "secondary"
    assert failures == []
    ring = Project(APP_ID, NEW, CERTIFICATE)
    assert {ring.verify_signature(token) for token in tokens} == {"primary", "secondary"}


def test_a_changed_file_is_enough(rotating):
    server, primary, _ = rotating
    write(primary, NEWER)
    server.wait_for(RELOADED, 2)
    assert {signer(server) for _ in range(20)} == {NEWER}


def test_wrong_settings_are_not_taken(rotating):
    server, primary, _ = rotating
    write(primary, "not a certificate")
    server.wait_for("settings were not taken: app_certificate: must be 32", 2)
    assert {signer(server) for _ in range(20)} == {CERTIFICATE}
    assert "not a certificate" not in server.log
    write(primary, NEWER)
    server.wait_for(RELOADED, 2)
    assert {signer(server) for _ in range(20)} == {NEWER}


def test_a_server_that_cannot_log_is_not_ready(serve, tmp_path):
    config, key = settings_file(tmp_path, audit='file = "/dev/full"')
    server = serve("--config", config)
    server.client.headers["authorization"] = f"Bearer {key}"
    assert server.client.get("/readyz").status_code == 200
    assert server.client.post("/v1/tokens", json=RTC).status_code == 200
    server.wait_for("the audit log can't be written")
    answer = server.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the audit log can't be written"
    assert server.client.get("/healthz").status_code == 200
