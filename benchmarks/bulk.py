"""``python -m benchmarks.bulk``: what files cost beside minting alone.

Each job reads a file of a million rows with four columns, mints an RTC token for each and writes
them with all columns; in turn with it the same rows are minted from memory in one call. Both are
taken in processor time and by the clock, round after round. Minting alone does not count what a job
needs anyway: the plan, the journal, the end on the disk.

Writes docs/benchmarks/bulk.json and the section "What files cost" of docs/bulk.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import re
import shutil
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from fasttoken import Project
from fasttoken.bulk import Job, Options, run

from .harness import BUILD, ROOT, _cpu, inputs, load, median, say

PLACE = BUILD / "bulk"
NAMES = {
    "parquet": "Parquet",
    "arrow": "Arrow IPC",
    "csv": "CSV",
    "csv.zst": "CSV, zstd",
    "csv.gz": "CSV, gzip",
    "jsonl": "JSON Lines",
    "jsonl.gz": "JSON Lines, gzip",
}
WAYS = [("parquet", name) for name in ("arrow", "parquet", "csv", "csv.zst", "jsonl", "csv.gz")]
WAYS += [(name, "arrow") for name in ("arrow", "csv", "csv.gz", "jsonl")]
WAYS += [("csv", "csv"), ("csv", "parquet")]
SECTION = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- end of costs -->)", re.S)


def attendees(rows: int) -> pa.Table:
    """An invented event: 50 rooms, one publisher to two subscribers."""
    draw = np.random.default_rng(7)
    rooms = np.array([channel for channel, _ in inputs()["rows"][:50]])
    return pa.table(
        {
            "channel_name": rooms[draw.integers(0, len(rooms), rows)],
            "uid": draw.integers(1, 2**32, rows, dtype=np.uint32),
            "name": [f"attendee {row}" for row in range(rows)],
            "role": np.array(["publisher", "subscriber", "subscriber"])[draw.integers(0, 3, rows)],
        }
    )


def timed(work: Any) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    processor, clock = process_time(), perf_counter()
    work()
    return process_time() - processor, perf_counter() - clock


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Medians by way and threads: microseconds a row, and the ratios to minting alone."""
    sample = inputs()
    project = Project(sample["app_id"], sample["certificate"])
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    table = attendees(rows).combine_chunks()
    pq.write_table(table, PLACE / "in.parquet", row_group_size=1 << 18)
    channel_names, uids, roles = (table[name].chunk(0) for name in ("channel_name", "uid", "role"))
    csv.write_csv(table, PLACE / "in.csv")
    (PLACE / "in.csv.gz").write_bytes(gzip.compress((PLACE / "in.csv").read_bytes(), 6))
    with pa.ipc.new_file(PLACE / "in.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=1 << 16)
    lines = [json.dumps(row) + "\n" for row in table.to_pylist()]
    (PLACE / "in.jsonl").write_text("".join(lines))

    def alone(threads: int) -> Any:
        return lambda: project.rtc_tokens(
            channel_names, uids, roles, 3600, output="arrow", threads=threads
        )

    def job(way: tuple[str, str], threads: int) -> Any:
        source, target = str(PLACE / f"in.{way[0]}"), str(PLACE / f"out.{way[1]}")
        return lambda: run(
            Job((source,), target, Options(expire=3600), threads=threads, overwrite=True), project
        )

    found: dict[str, Any] = {}
    for way, threads in [*((way, 1) for way in WAYS), (WAYS[0], 2)]:
        costs, ratios, walls = [], [], []
        for _ in range(rounds):
            minting, minting_wall = timed(alone(threads))
            processor, wall = timed(job(way, threads))
            costs.append(processor / rows * 1e6)
            ratios.append(processor / minting)
            walls.append(wall / minting_wall)
        found[f"{way[0]} to {way[1]}, {threads}"] = {
            "from": way[0],
            "to": way[1],
            "threads": threads,
            "microseconds": [round(cost, 3) for cost in costs],
            "of minting": [round(ratio, 3) for ratio in ratios],
            "of minting, by the clock": [round(ratio, 3) for ratio in walls],
            "bytes": round((PLACE / f"out.{way[1]}").stat().st_size / rows),
        }
        say(f"{way[0]} to {way[1]}, {threads} thread{'s' * (threads > 1)}")
    return found


def section(found: dict[str, Any], rows: int) -> str:
    """The section of docs/bulk.md."""
    lines = [
        f"One core of an {cpu_name()}, {rows:,} rows of four columns, one thread, medians; minting",
        "alone, in turn with each, is one call for all rows from memory.",
        "",
        "| from | to | µs a row | of minting alone | by the clock | bytes a row |",
        "|---|---|---|---|---|---|",
    ]
    for one in found.values():
        if one["threads"] > 1:
            continue
        cost, ratio, wall = (
            median(one[name]) for name in ("microseconds", "of minting", "of minting, by the clock")
        )
        names = f"| {NAMES[one['from']]} | {NAMES[one['to']]} "
        lines.append(f"{names}| {cost:.2f} | {ratio:.1f} | {wall:.1f} | {one['bytes']} |")
    two = found[f"{WAYS[0][0]} to {WAYS[0][1]}, 2"]
    ratio, wall = (median(two[name]) for name in ("of minting", "of minting, by the clock"))
    lines += [
        "",
        f"With two threads, Parquet to Arrow IPC takes {ratio:.1f} times the processor time of",
        f"minting alone, and {wall:.1f} times its time by the clock.",
    ]
    return "\n".join(lines) + "\n"


def cpu_name() -> str:
    """What the processor calls itself."""
    return _cpu().get("model name", platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="write nothing under docs/")
    chosen = parser.parse_args()
    before = load()
    found = measure(chosen.rows, chosen.rounds)
    results = {"cpu": cpu_name(), "rows": chosen.rows, "load": [before, load()], "ways": found}
    text = section(found, chosen.rows)
    if chosen.dry:
        print(text)
        return
    (ROOT / "docs" / "benchmarks" / "bulk.json").write_text(json.dumps(results, indent=1) + "\n")
    path = ROOT / "docs" / "bulk.md"
    page = path.read_text(encoding="utf-8")
    path.write_text(SECTION.sub(lambda _: text, page), encoding="utf-8")


if __name__ == "__main__":
    main()
