"""The server under load: nobody gets another's token, memory stays flat, a kill loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE, UP, Server, free_port, settings_file
from helpers import APP_ID, CERTIFICATE

from fasttoken import Project, parse

pytestmark = pytest.mark.once

PROJECT = Project(APP_ID, CERTIFICATE)
# Nor does a client that shares the machine with many others come too late.
NO_LIMITS = f"""caller = "1000000/second"
address = "1000000/second"
head_seconds = {PATIENCE}
body_seconds = {PATIENCE}"""


# 1,000 mixed callers ------------------------------------------------------------------------------


async def native(client: httpx.AsyncClient, who: int) -> None:
    body = {"services": [{"service": "rtc", "channel_name": f"room {who}", "uid": who}]}
    answer = await client.post("/v1/tokens", json=body)
    token = answer.json()["token"]
    assert PROJECT.verify(token, channel_name=f"room {who}", uid=who).ok


async def several_services(client: httpx.AsyncClient, who: int) -> None:
    services = [
        {"service": "rtc", "channel_name": f"room {who}", "uid": f"user {who}"},
        {"service": "rtm", "user_id": f"user {who}"},
    ]
    answer = await client.post("/v1/tokens", json={"services": services, "expire": 60 + who})
    claims = parse(answer.json()["token"]).claims
    rtc, rtm = claims.services
    assert (rtc.channel_name, rtc.uid, rtm.user_id) == (f"room {who}",) + (f"user {who}",) * 2
    assert claims.expire == 60 + who


async def compatible(client: httpx.AsyncClient, who: int) -> None:
    body = {"uid": who, "ChannelName": f"room {who}", "role": 1 + who % 2}
    answer = await client.post("/fetch_rtc_token", json=body)
    token = answer.json()["token"]
    assert PROJECT.verify(token, channel_name=f"room {who}", uid=who).ok
    assert len(parse(token).claims.services[0].privileges) == (1 if who % 2 else 4)


async def batch(client: httpx.AsyncClient, who: int) -> None:
    rows = [
        {"services": [{"service": "rtc", "channel_name": f"room {who}", "uid": who * 1000 + n}]}
        for n in range(20)
    ]
    answer = await client.post("/v1/tokens:batch", json={"tokens": rows})
    for n, line in enumerate(answer.text.splitlines()):
        token = json.loads(line)["token"]
        assert PROJECT.verify(token, channel_name=f"room {who}", uid=who * 1000 + n).ok


async def refused(client: httpx.AsyncClient, who: int) -> None:
    body = {"services": [{"service": "rtc", "channel_name": f"room {who}", "uid": 2**32 + who}]}
    answer = await client.post("/v1/tokens", json=body)
    assert answer.status_code == 422
    assert "token" not in answer.json()


async def stranger(client: httpx.AsyncClient, who: int) -> None:
    body = {"uid": who, "ChannelName": f"room {who}", "role": 1}
    wrong = {"authorization": f"Bearer ft_{who}"}
    answer = await client.post("/fetch_rtc_token", json=body, headers=wrong)
    assert answer.status_code == 401
    assert "007" not in answer.text


KINDS = (native, several_services, compatible, batch, refused, stranger)


def test_a_thousand_mixed_callers_get_their_own(tmp_path):
    config, key = settings_file(tmp_path, limits=NO_LIMITS)
    server = Server(
        *("--config", config, "--compat", "fetch-token", "--workers", "2"), cwd=tmp_path
    )
    server.secrets.append(key)

    async def caller(client: httpx.AsyncClient, who: int, started: asyncio.Event) -> None:
        await started.wait()
        await KINDS[who % len(KINDS)](client, who)

    async def everybody() -> None:
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
        headers = {"authorization": f"Bearer {key}"}
        started = asyncio.Event()
        async with httpx.AsyncClient(
            base_url=server.url, timeout=PATIENCE, limits=limits, headers=headers
        ) as client:
            callers = [asyncio.create_task(caller(client, who, started)) for who in range(1, 1001)]
            started.set()
            await asyncio.gather(*callers)

    try:
        asyncio.run(everybody())
    finally:
        server.stop()


# Soak ---------------------------------------------------------------------------------------------

WARM, REQUESTS, CLIENTS = 10_000, 40_000, 16


def resident(pid: int) -> int:
    """The bytes of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


class Soak:
    """Clients that send raw requests one after the other, each unlike the one before."""

    def __init__(self, server: Server, key: str) -> None:
        self.host, port = server.url.removeprefix("http://").split(":")
        self.port = int(port)
        self.key = key
        self.number = 0
        self.statuses: Counter[int] = Counter()

    def request(self, number: int) -> bytes:
        """A request; each eighth is refused for another reason."""
        path, key = "/fetch_rtc_token", self.key
        body = f'{{"uid": {number}, "ChannelName": "room {number}", "role": 1}}'
        kind = number % 32
        if kind == 0:
            key = f"ft_{number}"
        elif kind == 8:
            body = body[:-2]
        elif kind == 16:
            path = f"/{number}"
        elif kind == 24:
            body = body.replace("room", "räum")
        elif kind % 4 == 1:
            path = "/v1/tokens"
            body = (
                f'{{"services": [{{"service": "rtc", "channel_name": "c{number}", "uid": {number}}}'
                f', {{"service": "rtm", "user_id": "u{number}"}}], "expire": {60 + number % 1000}}}'
            )
        content = body.encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"X-Request-Id: {number}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    async def client(self, until: int) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while self.number < until:
            self.number += 1
            writer.write(self.request(self.number))
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses[int(head[9:12])] += 1
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    async def run(self, until: int) -> None:
        await asyncio.gather(*(self.client(until) for _ in range(CLIENTS)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat(tmp_path):
    config, key = settings_file(tmp_path, limits=NO_LIMITS)
    server = Server("--config", config, "--compat", "fetch-token", cwd=tmp_path)
    server.secrets.append(key)
    soak = Soak(server, key)
    try:
        asyncio.run(soak.run(WARM))
        before = resident(server.process.pid)
        asyncio.run(soak.run(WARM + REQUESTS))
        after = resident(server.process.pid)
    finally:
        server.stop()
    assert after - before < 3_000_000, f"{before:,} bytes, then {after:,}"
    assert set(soak.statuses) == {200, 400, 401, 404}
    assert soak.statuses[200] > 0.8 * REQUESTS
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    minted = sum('"event":"minted"' in line for line in lines)
    assert minted == soak.statuses[200]


# Kill and restart ---------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """The worker processes of a server's first process."""
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_tries_again_loses_nothing(tmp_path, workers):
    port, wanted = free_port(), 600
    options = ("--dev", "--compat", "fetch-token", "--workers", str(workers))
    server = Server(*options, cwd=tmp_path, port=port)
    url = f"{server.url}/fetch_rtc_token"
    lock, todo, got, failed = threading.Lock(), list(range(1, wanted + 1)), {}, []
    halfway = threading.Event()

    def work() -> None:
        draw = random.Random(1)
        client = httpx.Client(timeout=PATIENCE)
        while True:
            with lock:
                if not todo:
                    break
                uid = todo.pop()
                if len(todo) < wanted * 0.7:
                    halfway.set()
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    answer = client.post(url, json={"uid": uid, "ChannelName": "c", "role": 1})
                    if answer.status_code == 200:
                        got[uid] = answer.json()["token"]
                        break
                except httpx.HTTPError as error:
                    failed.append(type(error).__name__)
                assert time.monotonic() < deadline
                time.sleep(draw.random() * 0.05)  # what a client that tries again does
        client.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert halfway.wait(PATIENCE)
    # The supervisor first: it would replace a worker.
    for pid in (server.process.pid, *children(server.process.pid)):
        os.kill(pid, signal.SIGKILL)
    server.kill()
    second = Server(*options, cwd=tmp_path, port=port)
    for thread in threads:
        thread.join(PATIENCE)
    second.stop()
    assert failed, "the kill was not felt"
    assert sorted(got) == list(range(1, wanted + 1))
    assert all(PROJECT.verify(token, channel_name="c", uid=uid).ok for uid, token in got.items())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_dies_is_replaced(serve):
    server = serve("--dev", "--workers", "2")
    workers = children(server.process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    server.wait_for(UP, 3)
    for _ in range(20):
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            assert client.get("/healthz").status_code == 200
