"""``python -m benchmarks.server``: the token server beside the same stack answering a constant.

``POST /fetch_rtc_token`` with an API key mints a 007 token: caller, limits, policy, audit log and
metrics are on. It is compared with two constants of the same size:

    constant  the same application in the same processes; its route answers without caller and token
    bare      an ASGI function of ten lines on the same uvicorn, uvloop and httptools

wrk loads each in turn, round after round, so that what disturbs the machine disturbs all alike. wrk
shares the machine: with one worker the server has the first core and wrk the others; with more
there is no core left to wrk, so processor time for each request is measured as well, which tells
what workers would do with a load generator elsewhere.

Writes docs/benchmarks/server.json and the section "Capacity" of docs/server.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .harness import BUILD, ROOT, inputs, load, median, rounded, say

ANSWER = b'{"code":"200","token":"%b"}' % (b"x" * 139)
SUBJECTS = ("token", "constant", "bare")
CONNECTIONS = 32
ONE, TWO = "one worker", "two workers"
PLACE = BUILD / "server"
PATH = "/fetch_rtc_token"
SECTION = re.compile(r"(?<=<!-- capacity -->\n).*?(?=<!-- end of capacity -->)", re.S)

# What is measured: each subject as a server ------------------------------------------------------


def constant(source: Any) -> Any:
    """The application of a worker whose token route answers a constant."""
    from fasttoken.server.routing import Answer, Request, Route
    from fasttoken.server.run import worker

    app = worker(source)
    answer = Answer(200, ANSWER)

    async def route(request: Request, desk: Any) -> Answer:
        return answer

    app._routes[PATH] = {"POST": Route("POST", PATH, route, public=True)}
    return app


class Bare:
    """A constant as an ASGI application."""

    HEADERS = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": self.HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


def bare(source: Any) -> Any:
    """The application of a worker that knows nothing but the constant."""
    return Bare()


def serve(subject: str, workers: int, config: str) -> None:
    """Runs a subject until it is ended."""
    from fasttoken.server.run import run, worker
    from fasttoken.server.settings import Source

    source = Source(config, None, {"workers": workers})
    run(source, source.load(), {"token": worker, "constant": constant, "bare": bare}[subject])


# How it is measured -------------------------------------------------------------------------------


def prepare() -> tuple[Path, Path]:
    """The settings of the server, and what wrk sends."""
    from fasttoken.server.auth import new_key

    PLACE.mkdir(parents=True, exist_ok=True)
    key, digest = new_key()
    made = inputs()
    config, script = PLACE / "server.toml", PLACE / "requests.lua"
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
file = "{PLACE / "audit.jsonl"}"
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
        log, up = "", 0
        while up < workers:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"{subject} did not start:\n{log}")
            log += line
            up += "startup complete" in line
        found = re.search(r"running on (http://\S+)", log)
        assert found is not None, log
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
def running(workers: int, config: Path, cores: set[int]) -> Iterator[dict[str, Running]]:
    """All subjects at once; only the one that is loaded works."""
    started: dict[str, Running] = {}
    try:
        for subject in SUBJECTS:
            started[subject] = Running(subject, workers, config, cores)
        yield started
    finally:
        for server in started.values():
            server.close()


_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def shot(server: Running, script: Path, seconds: int, cores: set[int]) -> dict[str, float]:
    """Loads a server for some seconds."""
    before = server.seconds()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script)]
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
    """Every subject with one worker and with two, round by round."""
    config, script = prepare()
    cores = os.sched_getaffinity(0)
    first = {min(cores)}
    rest = cores - first or cores
    found: dict[str, Any] = {}
    for name, workers, server_cores, wrk_cores in (
        (ONE, 1, first, rest),
        (TWO, 2, cores, cores),
    ):
        with running(workers, config, server_cores) as servers:
            taken: dict[str, list[dict[str, float]]] = {subject: [] for subject in SUBJECTS}
            for number in range(-1, rounds):
                for subject, server in servers.items():
                    one = shot(server, script, seconds if number >= 0 else 1, wrk_cores)
                    if number >= 0:
                        taken[subject].append(one)
            found[name] = {
                subject: {key: rounded([one[key] for one in shots]) for key in shots[0]}
                for subject, shots in taken.items()
            }
        say(f"{name}: {summary(found[name])}")
    return found


def ratios(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> list[float]:
    """How many times one is the other, round by round."""
    return [a / b for a, b in zip(one[key], other[key], strict=True)]


def summary(found: Mapping[str, Any]) -> str:
    """One line for the terminal."""
    token, same, other = (found[subject] for subject in SUBJECTS)
    return (
        f"token {median(token['rate']):,.0f}/s, {median(token['cpu_us']):.1f} us; "
        f"constant {median(same['rate']):,.0f}/s, {median(same['cpu_us']):.1f} us; "
        f"bare {median(other['rate']):,.0f}/s, {median(other['cpu_us']):.1f} us; "
        f"rate {median(ratios(token, same, 'rate')):.0%} of constant, "
        f"{median(ratios(token, other, 'rate')):.0%} of bare; "
        f"p99 {median(ratios(token, same, 'p99_us')):.2f} times"
    )


# What is written ----------------------------------------------------------------------------------


def page(results: Mapping[str, Any]) -> str:
    """The section of docs/server.md."""
    one, two = results[ONE], results[TWO]
    token, same, other = (one[subject] for subject in SUBJECTS)
    lines = [
        f"Measured on {results['cpu']}, {results['cores']} cores, Python {results['python']}, "
        f"with wrk and {CONNECTIONS} connections; medians of {len(token['rate'])} rounds.",
        "",
        "| | requests/s | p99, ms | CPU µs a request |",
        "|---|---:|---:|---:|",
    ]
    for workers, rows in ((ONE, one), (TWO, two)):
        for subject, told in (
            ("token", "a token"),
            ("constant", "a constant, same application"),
            ("bare", "a constant, bare ASGI"),
        ):
            shots = rows[subject]
            lines.append(
                f"| {told}, {workers} | {median(shots['rate']):,.0f} | "
                f"{median(shots['p99_us']) / 1e3:.2f} | {median(shots['cpu_us']):.1f} |"
            )
    rate = ratios(token, same, "rate")
    scaling = statistics.median(two["token"]["rate"]) / statistics.median(token["rate"])
    cost = statistics.median(two["token"]["cpu_us"]) / statistics.median(token["cpu_us"])
    lines += [
        "",
        "| asked | reached |",
        "|---|---|",
        f"| a token at 80 % of the constant's requests/s or more | {median(rate):.0%} "
        f"({min(rate):.0%} to {max(rate):.0%}); {median(ratios(token, other, 'rate')):.0%} of "
        "bare ASGI |",
        f"| p99 at most 1.5 times the constant's | "
        f"{median(ratios(token, same, 'p99_us')):.2f} times |",
        f"| two workers at least 1.8 times one | {scaling:.2f} times with wrk on the same two "
        f"cores; {2 / cost:.2f} times by processor time |",
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
