"""What does one of many tokens cost, against peers, and by output, threads and batch size?"""

from __future__ import annotations

from typing import Any

from .harness import CASES, FASTTOKEN, PEERS, PORTABLE, Bench, Subject, Task, peers, say

SMALL = 20_000  # tokens


def batch(
    case: str,
    size: int,
    output: str = "arrow",
    threads: int = 1,
    rooms: bool = False,
    subject: Subject = FASTTOKEN,
) -> Task:
    """A batch of ``size`` tokens; small ones are repeated until they fill the time."""
    request = {"case": case, "size": size, "output": output, "threads": threads, "rooms": rooms}
    return Task(subject, "batch", request, None if size < SMALL else size)


def measure(bench: Bench) -> dict[str, Any]:
    """Nanoseconds a token: ``peers`` by case, ``outputs``, ``threads`` and ``sizes`` of ours."""
    count = 20_000 if bench.quick else 100_000
    found: dict[str, Any] = {"peers": {}, "outputs": {}, "threads": {}, "sizes": {}}
    for case in CASES:
        tasks = {
            "arrow": batch(case, count),
            "list": batch(case, count, "list"),
            "arrow, portable": batch(case, count // 4, subject=PORTABLE),
        }
        for subject in (subject for library in PEERS[case] for subject in peers(library)):
            tasks[subject.name] = Task(subject, "single", {"case": case})
        found["peers"][case] = bench.paired(tasks)
        say(f"batches: {case}")
    for case in ("publisher", "publisher_006"):
        found["outputs"][case] = bench.paired(
            {
                "arrow": batch(case, count),
                "list": batch(case, count, "list"),
                "numpy": batch(case, count, "numpy"),
                "arrow, a channel name a row": batch(case, count, rooms=True),
            }
        )
        say(f"outputs: {case}")
        many = 5 * count
        found["threads"][case] = bench.paired(
            {
                f"{output}, {threads}": batch(case, many, output, threads)
                for output in ("arrow", "list")
                for threads in (1, 2)
            }
        )
        say(f"threads: {case}")
    for size in (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000):
        found["sizes"][str(size)] = bench.paired(
            {output: batch("publisher", size, output) for output in ("arrow", "list")},
            bench.rounds if size <= count else 1 if bench.quick else 5,
        )
        say(f"batch of {size}")
    return found
