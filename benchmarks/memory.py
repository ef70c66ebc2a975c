"""How much memory does a token take, while many are minted and once they are?"""

from __future__ import annotations

import sys
from typing import Any

from .harness import FASTTOKEN, Bench, Subject, peers, say


def measure(bench: Bench) -> dict[str, Any]:
    """By subject and output, bytes a token; each in a process that did nothing before (Linux)."""
    if not sys.platform.startswith("linux"):
        return {}
    found = {}
    tasks: list[tuple[Subject, str, str | None, int]] = [
        (FASTTOKEN, "publisher", output, 1_000_000) for output in ("arrow", "list", "numpy")
    ]
    tasks.append((peers("agoraiotools")[0], "publisher", None, 100_000))
    tasks.append((peers("agora-token-builder")[0], "publisher_006", None, 100_000))
    for subject, case, output, count in tasks:
        worker = bench.fresh(subject)
        count //= 10 if bench.quick else 1
        answer = worker.ask("memory", case=case, count=count, output=output)
        worker.close()
        name = f"{subject.library}, {output or 'list'}"
        found[name] = {**{key: round(value) for key, value in answer.items()}, "count": count}
        say(f"memory: {name}")
    return found
