"""How many instructions does a token take? They repeat where seconds don't.

    python -m benchmarks.instructions             counts, beside what is recorded
    python -m benchmarks.instructions --record    writes instructions.json
    python -m benchmarks.instructions --check     fails if a count grew by more than 5 %

callgrind counts the paths that it can run: it knows neither the SHA extensions nor AVX-512.
Those paths are counted by the processor's single-step trap, which is exact too, but some
microseconds an instruction: fewer tokens, and fewer stages. Counts depend on the compiler:
``--check`` refuses one of another kind or major version than the recorded one; ``CC`` names it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from .harness import compiler
from .stages import BLOCKS, driver, paths

RECORD = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05
CALLGRIND = ("portable", "avx2")
TOKENS = {"callgrind": 512, "single step": 128}


class Count(NamedTuple):
    """One stage, on one path, of one case, by the batch or by the single call."""

    path: str
    case: str
    calls: str
    stage: str

    @property
    def name(self) -> str:
        return "/".join(self)

    @property
    def how(self) -> str:
        return "callgrind" if self.path in CALLGRIND else "single step"


def wanted(available: list[str]) -> list[Count]:
    """What is counted, as far as this machine has the paths."""
    stages = {
        ("publisher", "batch"): "mint sign deflate encode decode inflate",
        ("publisher", "single"): "mint sign deflate",
        ("rtc_rtm", "batch"): "mint deflate",
        ("rtm2", "batch"): "mint",
        ("publisher_006", "batch"): "mint sign check_sum encode decode",
        ("publisher_006", "single"): "mint",
    }
    stepped = {
        ("publisher", "batch"): "mint sign encode",
        ("publisher_006", "batch"): "mint",
    }
    counts = []
    for path in available:
        # The steps of "shani" outside SHA-256 are those of "avx2": its batch is not stepped.
        shani = {("publisher", "batch"): "sign", ("publisher_006", "single"): "mint"}
        chosen = stages if path in CALLGRIND else shani if path == "shani" else stepped
        for (case, calls), names in chosen.items():
            counts += [Count(path, case, calls, stage) for stage in names.split()]
    return counts


def count(one: Count) -> float:
    """Instructions a token."""
    tokens = TOKENS[one.how]
    arguments = [one.path, one.case, str(BLOCKS[one.calls]), one.stage, str(tokens)]
    if one.how == "single step":
        done = subprocess.run(
            [driver(), "step", *arguments], capture_output=True, text=True, check=True
        )
        return int(done.stdout) / tokens
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += ["--toggle-collect=measured", str(driver()), "count", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found:
        raise SystemExit(f"callgrind gave no count:\n{done.stderr}")
    return int(found[1]) / tokens


def count_all(only: set[str] | None = None) -> dict[str, float]:
    """Instructions a token, by `Count.name`; the slow ones first, on all cores."""
    driver()
    counts = [one for one in wanted(paths()) if only is None or one.name in only]
    counts.sort(key=lambda one: (one.how != "single step", one.stage != "mint"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(counts, pool.map(count, counts), strict=True))
    return {one.name: round(found[one], 1) for one in sorted(found)}


def compiler_kind() -> str:
    """The compiler's kind and major version, which the counts depend on."""
    command = shlex.split(os.environ.get("CC", "cc"))
    test = "#ifdef __clang__\nclang __clang_major__\n#else\ngcc __GNUC__\n#endif\n"
    done = subprocess.run(
        [*command, "-E", "-P", "-"], input=test, capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.split())


def compare(recorded: dict[str, float], counted: dict[str, float]) -> list[str]:
    """Prints both; returns the names of those that grew by more than the tolerance."""
    grown = []
    for name, now in counted.items():
        before = recorded.get(name)
        if before is None:
            print(f"{name:40} {now:10.1f}  not recorded")
            continue
        change = now / before - 1
        verdict = ""
        if change > TOLERANCE:
            grown.append(name)
            verdict = "  GREW"
        elif change < -TOLERANCE:
            verdict = "  fell: record it"
        print(f"{name:40} {before:10.1f} -> {now:10.1f} {change:+7.1%}{verdict}")
    for name in sorted(set(recorded) - set(counted)):
        print(f"{name:40} {recorded[name]:10.1f}  not counted: this machine has no such path")
    return grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail if a count grew by more than 5 %%")
    what.add_argument("--record", action="store_true", help="write instructions.json")
    chosen = parser.parse_args()
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    kind = compiler_kind()
    if chosen.check and kind != record["compiler"]:
        print(f"recorded with {record['compiler']}, but CC is {kind}: set CC", file=sys.stderr)
        return 2
    counted = count_all(set(record["counts"]) if chosen.check else None)
    grown = compare(record.get("counts", {}), counted)
    if chosen.record:
        kept = {
            name: value
            for name, value in record.get("counts", {}).items()
            if name.partition("/")[0] not in paths()
        }
        answer = {
            "unit": "instructions a token",
            "compiler": kind,
            "recorded with": compiler(),
            "counts": dict(sorted({**kept, **counted}.items())),
        }
        RECORD.write_text(json.dumps(answer, indent=2) + "\n")
    if chosen.check and grown:
        print(
            "\nMore instructions than recorded. If that is meant, record them and say why:"
            "\npython -m benchmarks.instructions --record",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
