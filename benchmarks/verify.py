"""What does it cost to parse a 007 token and to verify its signature?"""

from __future__ import annotations

from typing import Any

from .harness import FASTTOKEN, ROWS, Bench, Task, peers, say


def measure(bench: Bench) -> dict[str, Any]:
    """By subject, nanoseconds a token; fasttoken by function."""
    from fasttoken import Project

    from .harness import EXPIRE, inputs

    given = inputs()
    project = Project(given["app_id"], given["certificate"])
    channels = [channel for channel, _ in given["rows"]]
    uids = [uid for _, uid in given["rows"]]
    tokens = project.rtc_tokens(channels, uids, "publisher", EXPIRE, privilege_expire=EXPIRE)
    tasks = {"verify_signature": Task(FASTTOKEN, "read", {"how": "verify_signature"})}
    for name in bench.worker(FASTTOKEN).about["verify"]:
        tasks[name] = Task(
            FASTTOKEN, "read", {"how": name}, ROWS if name == "verify_many" else None
        )
    for library in ("agoraiotools", "agora-token"):
        tasks.update({subject.name: Task(subject, "read", {}) for subject in peers(library)})
    for task in tasks.values():
        bench.worker(task.subject).ask("load", tokens=tokens)
    found = bench.paired(tasks)
    say("parse and verify")
    return found
