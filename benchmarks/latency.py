"""How long does a caller wait for one token, while 1, 4 and 16 threads ask for them?"""

from __future__ import annotations

from typing import Any

from .harness import FASTTOKEN, Bench, median, peers, say

THREADS = (1, 4, 16)


def measure(bench: Bench) -> dict[str, Any]:
    """By threads and subject: percentiles of one call in nanoseconds, and tokens a second.

    Each is the median of several rounds, in which the subjects take turns.
    """
    found: dict[str, Any] = {}
    subjects = [FASTTOKEN, *peers("agoraiotools"), *peers("agora-token")]
    for threads in THREADS:
        rounds: dict[str, list[Any]] = {}
        for _ in range(3 if bench.quick else 7):
            for subject in subjects:
                if subject.library == "agora-token" and threads > 1:
                    continue  # one JavaScript thread
                calls = 200_000 if subject is FASTTOKEN else 20_000
                calls //= threads * (10 if bench.quick else 1)
                answer = bench.worker(subject).ask("latency", threads=threads, calls=calls)
                answer["tokens a second"] = calls * threads / answer.pop("seconds")
                rounds.setdefault(subject.name, []).append(answer)
        found[str(threads)] = {
            name: {key: round(median([one[key] for one in each])) for key in each[0]}
            for name, each in rounds.items()
        }
        say(f"latency: {threads} threads")
    return found
