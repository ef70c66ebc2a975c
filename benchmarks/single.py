"""What does one token cost, when it is minted by a call of its own?"""

from __future__ import annotations

from typing import Any

from .harness import CASES, FASTTOKEN, PEERS, PORTABLE, Bench, Task, peers, say


def measure(bench: Bench) -> dict[str, Any]:
    """By case and subject, nanoseconds a token."""
    found = {}
    for case in CASES:
        subjects = [FASTTOKEN, PORTABLE]
        for library in PEERS[case]:
            subjects += peers(library)
        found[case] = bench.paired(
            {subject.name: Task(subject, "single", {"case": case}) for subject in subjects}
        )
        say(f"single calls: {case}")
    return found
