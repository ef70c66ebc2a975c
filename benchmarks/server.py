"""``python -m benchmarks.server``: the token server beside servers that answer a constant.

``POST /fetch_rtc_token`` with an API key mints a 007 token: caller, limits, policy, audit log and
metrics are on. It is compared with constants of the same size and with the same headers:

    bare         an ASGI function of ten lines on uvicorn, uvloop and httptools as they come
    starlette    a Starlette route that encodes its answer with msgspec, on the same
    application  fasttoken's own server, whose route answers without caller and token

wrk loads each in turn, round after round, so that what disturbs the machine disturbs all alike. The
server has one core and wrk another. For what a second worker brings, each worker shares its core
with a thread of wrk, one by itself and two on two cores: the load generator grows with them.

Writes docs/benchmarks/server.json and the section "Capacity" of docs/server.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fasttoken import Project

from .harness import BUILD, ROOT, inputs, load, median, rounded, say

SUBJECTS = ("token", "application", "starlette", "bare")
CONNECTIONS = 32  # for each worker
PLACE = BUILD / "server"
AUDIT = PLACE / "audit.jsonl"
PATH = "/fetch_rtc_token"
SECTION = re.compile(r"(?<=<!-- capacity -->\n).*?(?=<!-- end of capacity -->)", re.S)

# What is measured: each subject as a server ------------------------------------------------------


def _token_size() -> int:
    """The characters of a token that the load asks for; salts make them a few more or fewer."""
    made = inputs()
    project = Project(made["app_id"], made["certificate"])
    channel_name, uid = made["rows"][0]
    now, salt = 1_700_000_000, 1_000_000_007
    token = project.rtc_token(channel_name, uid, privilege_expire=3600, issue_ts=now, salt=salt)
    return len(token)


ANSWER = {"code": "200", "token": "x" * _token_size()}
BODY = json.dumps(ANSWER, separators=(",", ":")).encode()
HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-allow-origin", b"*"),
)


def application(source: Any) -> Any:
    """fasttoken's application; its token route answers a constant."""
    from fasttoken.server.routing import Answer, Request, Route
    from fasttoken.server.run import worker

    app = worker(source)
    answer = Answer(200, BODY, HEADERS)

    async def route(request: Request, desk: Any) -> Answer:
        return answer

    app._routes[PATH] = {"POST": Route("POST", PATH, route, public=True, cors=False)}
    return app


def starlette() -> Any:
    """A constant by Starlette and msgspec."""
    import msgspec
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    headers = {name.decode(): value.decode() for name, value in HEADERS}

    async def route(request: Request) -> Response:
        await request.body()
        return Response(msgspec.json.encode(ANSWER), headers=headers)

    return Starlette(routes=[Route(PATH, route, methods=["POST"])])


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """A constant as an ASGI application."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    await receive()
    headers = (*HEADERS, (b"content-length", b"%d" % len(BODY)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def serve(subject: str, workers: int, config: str) -> None:
    """Runs a subject until it is ended."""
    if subject in ("token", "application"):
        from fasttoken.server.run import run, worker
        from fasttoken.server.settings import Source

        source = Source(config, None, {"workers": workers})
        run(source, source.load(), worker if subject == "token" else application)
        return
    import uvicorn

    uvicorn.run(
        f"benchmarks.server:{subject}",
        factory=subject == "starlette",
        port=0,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
    )


# How it is measured -------------------------------------------------------------------------------


def prepare() -> tuple[Path, Path]:
    """The settings of the server, and what wrk sends."""
    from fasttoken.server.auth import new_key

    PLACE.mkdir(parents=True, exist_ok=True)
    key, digest = new_key()
    made = inputs()
    config, script = PLACE / "server.toml", PLACE / "requests.lua"
    AUDIT.unlink(missing_ok=True)
    config.write_text(
        f"""port = 0
compat = ["fetch-token"]
[project]
app_id = "{made["app_id"]}"
app_certificate = "{made["certificate"]}"
[auth]
keys = [{{ name = "bench", sha256 = "{digest}" }}]
[policy]
rules = [{{ name = "all", channels = ["*"], uid = "*" }}]
[limits]
address = "10000000/second"
caller = "10000000/second"
[audit]
file = "{AUDIT}"
"""
    )
    bodies = [
        json.dumps({"uid": uid, "ChannelName": channel, "role": 1})
        for channel, uid in made["rows"][:256]
    ]
    script.write_text(
        f"""local headers = {{ ["Content-Type"] = "application/json",
                 ["Authorization"] = "Bearer {key}" }}
local bodies = {{ {", ".join(f"[[{body}]]" for body in bodies)} }}
local requests, turn = {{}}, 0
function init()
  for i, body in ipairs(bodies) do
    requests[i] = wrk.format("POST", "{PATH}", headers, body)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""
    )
    return config, script


class Running:
    """A subject that serves."""

    def __init__(self, subject: str, workers: int, config: Path, cores: set[int]) -> None:
        command = [sys.executable, "-m", "benchmarks.server", "--serve", subject]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers), "--config", str(config)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        assert self.process.stderr is not None
        log, up, found = "", 0, None
        while up < workers or found is None:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"{subject} did not start:\n{log}")
            log += line
            up += "startup complete" in line
            found = found or re.search(r"running on (http://\S+)", line)
        self.url = found[1] + PATH

    def seconds(self) -> float:
        """The processor time that its processes have taken."""
        ticks = 0
        for pid in (self.process.pid, *self._children()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _children(self) -> Iterator[int]:
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        yield from map(int, tasks.read_text().split())

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


@contextmanager
def running(wanted: Mapping[str, tuple[str, int, set[int]]], config: Path) -> Iterator[Any]:
    """Servers by name, each a subject with so many workers on some cores; only the one that is
    loaded works."""
    started: dict[str, Running] = {}
    try:
        for name, (subject, workers, cores) in wanted.items():
            started[name] = Running(subject, workers, config, cores)
        yield started
    finally:
        for server in started.values():
            server.close()
        AUDIT.unlink(missing_ok=True)


_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def shot(
    server: Running, script: Path, seconds: int, cores: set[int], threads: int = 1
) -> dict[str, float]:
    """Loads a server for some seconds."""
    before = server.seconds()
    command = [
        "wrk",
        f"-t{threads}",
        f"-c{CONNECTIONS * threads}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
    ]
    done = subprocess.run(
        [*command, server.url],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(f"not every request was answered:\n{done}")
    requests = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])  # type: ignore[index]
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done)
    assert p99 is not None, done
    return {
        "rate": rate,
        "p99_us": float(p99[1]) * _UNITS[p99[2]],
        "cpu_us": (server.seconds() - before) / requests * 1e6,
    }


def measure(rounds: int, seconds: int) -> dict[str, Any]:
    """Every subject with one worker, and a token with one and with two, round by round."""
    config, script = prepare()
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise SystemExit("needs two cores")
    pair = {first, others[0]}
    alone = {subject: (subject, 1, {first}) for subject in SUBJECTS}
    shared = {"one worker": ("token", 1, {first}), "two workers": ("token", 2, pair)}
    found: dict[str, Any] = {}
    for wanted in (alone, shared):
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in wanted}
        with running(wanted, config) as servers:
            for number in range(-1, rounds):
                for name, (_, workers, cores) in wanted.items():
                    generator = set(others) if wanted is alone else cores
                    span = seconds if number >= 0 else 1
                    one = shot(servers[name], script, span, generator, workers)
                    if number >= 0:
                        taken[name].append(one)
        for name, shots in taken.items():
            found[name] = {key: rounded([one[key] for one in shots]) for key in shots[0]}
            say(
                f"{name}: {median(found[name]['rate']):,.0f}/s, "
                f"p99 {median(found[name]['p99_us']) / 1e3:.2f} ms, "
                f"{median(found[name]['cpu_us']):.1f} us of processor time"
            )
    return found


def ratios(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> list[float]:
    """How many times one is the other, round by round."""
    return [a / b for a, b in zip(one[key], other[key], strict=True)]


# What is written ----------------------------------------------------------------------------------

TOLD = {
    "token": "a token",
    "application": "a constant by the same application",
    "starlette": "a constant by Starlette and msgspec",
    "bare": "a constant by bare ASGI",
    "one worker": "a token; worker and wrk on one core",
    "two workers": "a token; two workers and wrk on two cores",
}


def page(results: Mapping[str, Any]) -> str:
    """The section of docs/server.md."""
    token = results["token"]
    lines = [
        f"Measured on {results['cpu']}, {results['cores']} cores, Python {results['python']}, "
        f"with wrk and {CONNECTIONS} connections for each worker; medians of "
        f"{len(token['rate'])} rounds.",
        "",
        "| | requests/s | p99, ms | CPU µs a request |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {told} | {median(results[name]['rate']):,.0f} | "
        f"{median(results[name]['p99_us']) / 1e3:.2f} | {median(results[name]['cpu_us']):.1f} |"
        for name, told in TOLD.items()
    ]
    lines += ["", "| a token beside | requests/s | p99 |", "|---|---|---|"]
    for name in SUBJECTS[1:]:
        rate, p99 = (ratios(token, results[name], key) for key in ("rate", "p99_us"))
        lines.append(
            f"| {TOLD[name]} | {median(rate):.0%} ({min(rate):.0%} to {max(rate):.0%}) | "
            f"{median(p99):.2f} times |"
        )
    scaling = ratios(results["two workers"], results["one worker"], "rate")
    lines += [
        "",
        f"Two workers answer {median(scaling):.2f} times ({min(scaling):.2f} to "
        f"{max(scaling):.2f}) as many requests as one.",
        "",
    ]
    return "\n".join(lines)


def write(results: Mapping[str, Any]) -> None:
    """Writes the results and the section."""
    (ROOT / "docs" / "benchmarks" / "server.json").write_text(json.dumps(results, indent=1) + "\n")
    place = ROOT / "docs" / "server.md"
    text = place.read_text(encoding="utf-8")
    place.write_text(SECTION.sub(lambda _: page(results), text), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=5, help="of one measurement")
    parser.add_argument("--dry", action="store_true", help="write nothing under docs/")
    parser.add_argument("--serve", choices=SUBJECTS, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.workers, chosen.config)
        return
    import platform

    from .harness import _cpu, _output

    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "revision": _output("git", "rev-parse", "HEAD"),
        "cpu": _cpu().get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load before": load(),
    }
    results |= measure(chosen.rounds, chosen.seconds)
    results["load after"] = load()
    if chosen.dry:
        print(page(results))
    else:
        write(results)


if __name__ == "__main__":
    main()
