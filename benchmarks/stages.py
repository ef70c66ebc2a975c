"""Where does the time of a token go? The kernels alone, stage by stage, by `stages.c`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from .harness import BUILD, ROOT, Bench, median, quartiles, rounded, say

KERNELS = ROOT / "src" / "fasttoken" / "_native" / "kernels"
# As setup.py and Python build the kernels; fixed, so that instructions can be compared.
FLAGS = ("-O3", "-std=gnu11", "-DNDEBUG", "-fwrapv", "-fPIC", "-g")
BLOCKS = {"batch": 128, "single": 1}  # tokens that a stage is given at a time


def driver() -> Path:
    """Builds the driver with the compiler that CC names, if anything it is made of is newer."""
    binary = BUILD / "stages"
    sources = [Path(__file__).with_name("stages.c"), *sorted(KERNELS.glob("*.c"))]
    command = [
        *shlex.split(os.environ.get("CC", "cc")),
        *FLAGS,
        f"-I{KERNELS}",
        *map(str, sources),
        "-o",
        str(binary),
    ]
    stamp = BUILD / "stages.command"
    newest = max(path.stat().st_mtime for path in [*sources, *KERNELS.glob("*.h")])
    if (
        not binary.exists()
        or binary.stat().st_mtime < newest
        or not stamp.exists()
        or stamp.read_text() != shlex.join(command)
    ):
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, check=True)
        stamp.write_text(shlex.join(command))
    return binary


def run(*arguments: str) -> str:
    """What the driver answers."""
    done = subprocess.run([driver(), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def paths() -> list[str]:
    """The CPU paths of this machine."""
    return run("paths").split()


def measure(bench: Bench) -> dict[str, Any]:
    """Nanoseconds a token of processor time, as lower quartile, median and upper quartile: by
    path, case, batch or single, and stage."""
    found: dict[str, Any] = {}
    for path in paths():
        found[path] = {}
        for case in ("publisher", "rtc_rtm", "rtm2", "publisher_006"):
            found[path][case] = {}
            for name, block in BLOCKS.items():
                rounds = 21 if bench.quick else 201
                timed = json.loads(run("time", path, case, str(block), str(rounds)))
                found[path][case][name] = {
                    stage: rounded([quartiles(ns)[0], median(ns), quartiles(ns)[1]])
                    for stage, ns in timed.items()
                }
        say(f"stages: {path}")
    return found
