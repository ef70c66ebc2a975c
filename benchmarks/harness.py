"""What the benchmarks share: peers, inputs, workers, paired timing, results.

Every library runs in a worker, a process of its own, which answers one request at a time, so only
one library works at any moment. Peers run twice: as they come, and at their best, with the
allocator's thresholds raised: their zlib state of 268 KB is else fresh pages for every token.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import string
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"

# Peers ----------------------------------------------------------------------------------------

PYPI = ("agoraiotools==0.3.4", "agora-token-builder==1.0.0")
NPM = ("agora-token@2.0.6",)
AT_ITS_BEST = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
BEST, AS_IT_COMES = "at its best", "as it comes"


def install_peers() -> None:
    """The pinned peers, from the registries, into build/bench; npm's only where there is npm."""
    wanted = json.dumps([*PYPI, *NPM, platform.python_version(), bool(shutil.which("npm"))])
    stamp = BUILD / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(BUILD / "python", ignore_errors=True)
    shutil.rmtree(BUILD / "node", ignore_errors=True)
    (BUILD / "node").mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(BUILD / "python"), *PYPI], check=True)
    if shutil.which("npm") and shutil.which("node"):
        subprocess.run(
            ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", *NPM],
            cwd=BUILD / "node",
            check=True,
        )
    stamp.write_text(wanted)


class Subject(NamedTuple):
    """A library as one worker runs it."""

    library: str
    setting: str = ""
    env: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        return f"{self.library}, {self.setting}" if self.setting else self.library


FASTTOKEN = Subject("fasttoken")
PORTABLE = Subject("fasttoken", "portable", {"FASTTOKEN_CPU": "portable"})


def peers(library: str) -> list[Subject]:
    """A peer as it comes and at its best; none if it could not be installed."""
    if library == "agora-token" and not (BUILD / "node" / "node_modules" / library).exists():
        return []
    return [Subject(library, AS_IT_COMES), Subject(library, BEST, AT_ITS_BEST)]


# Inputs ---------------------------------------------------------------------------------------

EXPIRE = 3600  # seconds, of tokens and privileges
ROWS = 4096
# The cases that a library knows, and what each mints.
CASES = {
    "publisher": "007, RTC publisher",
    "subscriber": "007, RTC subscriber",
    "rtc_rtm": "007, RTC publisher and RTM",
    "rtm2": "007, RTM with permissions",
    "publisher_006": "006, RTC publisher",
    "subscriber_006": "006, RTC subscriber",
}
PEERS = {
    "publisher": ("agoraiotools", "agora-token"),
    "subscriber": ("agoraiotools", "agora-token"),
    "rtc_rtm": ("agoraiotools", "agora-token"),
    "rtm2": ("agora-token",),
    "publisher_006": ("agora-token-builder", "agora-token"),
    "subscriber_006": ("agora-token-builder", "agora-token"),
}


def inputs() -> dict[str, Any]:
    """A made-up project, and rows of a 32-character channel name and a 10-digit uid.

    The same in every run: a seed, no clock.
    """
    draw = random.Random(7)
    characters = string.ascii_letters + string.digits + "-_"
    return {
        "app_id": hashlib.sha256(b"the App ID of a benchmark").hexdigest()[:32],
        "certificate": hashlib.sha256(b"the certificate of a benchmark").hexdigest()[:32],
        "expire": EXPIRE,
        "rows": [
            ("".join(draw.choices(characters, k=32)), draw.randrange(10**9, 2**32))
            for _ in range(ROWS)
        ],
        "permissions": {0: {0: ["announcements", "questions"], 1: ["questions"]}},
    }


# Workers --------------------------------------------------------------------------------------


class Worker:
    """A library in a process of its own."""

    def __init__(self, subject: Subject) -> None:
        env = {key: value for key, value in os.environ.items() if key not in AT_ITS_BEST}
        env.update(subject.env)
        here = Path(__file__).parent
        if subject.library == "agora-token":
            command = ["node", str(here / "worker.js"), str(BUILD / "node" / "node_modules")]
        else:
            command = [sys.executable, "-m", "benchmarks.worker", subject.library]
            if subject.library != "fasttoken":
                env["PYTHONPATH"] = str(BUILD / "python")
        self.subject = subject
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.about = self.ask("hello", **inputs())

    def ask(self, do: str, **request: Any) -> Any:
        """Sends one request and waits for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the worker of {self.subject.name} ended (see above)")
        return json.loads(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Task(NamedTuple):
    """What `Bench.paired` repeats; without a number of ``tokens`` it finds one that fills its
    time."""

    subject: Subject
    do: str
    request: Mapping[str, Any]
    tokens: int | None = None


class Bench:
    """One run of the benchmarks: how long it may take, and the workers it has started."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.rounds = 5 if quick else 15
        self.seconds = 0.04 if quick else 0.25  # of one measurement
        self._workers: dict[str, Worker] = {}

    def worker(self, subject: Subject) -> Worker:
        if subject.name not in self._workers:
            self._workers[subject.name] = Worker(subject)
        return self._workers[subject.name]

    def fresh(self, subject: Subject) -> Worker:
        """A worker that has done nothing yet; the caller closes it."""
        return Worker(subject)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def paired(self, tasks: Mapping[str, Task], rounds: int | None = None) -> dict[str, Any]:
        """Runs all tasks in turn, again and again: nanoseconds a token of each, round by round,
        by the clock (``ns``) and of processor time (``cpu_ns``).

        What disturbs the machine for a while disturbs neighbours in a round alike, so ratios
        are taken round by round (`ratio`). The first turn of each is not counted.
        """
        counts = {name: task.tokens or self._count(task) for name, task in tasks.items()}
        found: dict[str, Any] = {
            name: {"count": counts[name], "ns": [], "cpu_ns": []} for name in tasks
        }
        for round_ in range(-1, rounds or self.rounds):
            for name, task in tasks.items():
                answer = self._run(task, counts[name])
                if round_ >= 0:
                    found[name]["ns"].append(round(answer["seconds"] / answer["count"] * 1e9, 1))
                    found[name]["cpu_ns"].append(round(answer["cpu"] / answer["count"] * 1e9, 1))
        return found

    def _run(self, task: Task, count: int) -> Any:
        return self.worker(task.subject).ask(task.do, count=count, **task.request)

    def _count(self, task: Task) -> int:
        """How many tokens fill the time of one measurement; warms the worker up."""
        count = 16
        while True:
            answer = min((self._run(task, count) for _ in range(3)), key=lambda one: one["seconds"])
            if answer["seconds"] >= self.seconds / 8:
                return max(1, int(count * self.seconds / answer["seconds"]))
            count *= 4


# Results --------------------------------------------------------------------------------------


def rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 1) for value in values]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def ratio(slow: Mapping[str, Any], fast: Mapping[str, Any], clock: str = "ns") -> list[float]:
    """How many times longer one task took than another, in each round."""
    return [a / b for a, b in zip(slow[clock], fast[clock], strict=True)]


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _cpu() -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if not line:
                break
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    except OSError:
        pass
    return fields


def _operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, kernel {platform.release()}"


def load() -> list[float]:
    """The load averages of the last 1, 5 and 15 minutes."""
    return rounded(os.getloadavg())


def compiler() -> str:
    """The first line of the C compiler's version."""
    return _output(*os.environ.get("CC", "cc").split(), "--version").partition("\n")[0]


def machine(bench: Bench) -> dict[str, Any]:
    """The machine, as far as it matters to the figures."""
    cpu = _cpu()
    about = bench.worker(FASTTOKEN).about
    described = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "revision": _output("git", "rev-parse", "HEAD"),
        "changed": bool(_output("git", "status", "--porcelain", "--untracked-files=no")),
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu family, model": f"{cpu.get('cpu family', '?')}, {cpu.get('model', '?')}",
        "virtual": "hypervisor" in cpu.get("flags", ""),
        "cores": os.cpu_count(),
        "memory, GiB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "os": _operating_system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": compiler(),
        "zlib of Python": about["zlib"],
        "fasttoken": about["version"],
        "backend": about["backend"],
        "peers": [*PYPI, *NPM],
        "load before": load(),
    }
    for subject in peers("agora-token")[:1]:
        described["node"] = bench.worker(subject).about["version"]
        described["zlib of Node"] = bench.worker(subject).about["zlib"]
    return described


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
