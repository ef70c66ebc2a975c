"""What does it cost to parse a 007 token and to verify its signature?"""

from __future__ import annotations

from typing import Any

from .harness import EXPIRE, FASTTOKEN, Bench, Task, inputs, peers, say


def measure(bench: Bench) -> dict[str, Any]:
    """By subject, nanoseconds a token; fasttoken by function."""
    from fasttoken import Project

    given = inputs()
    project = Project(given["app_id"], given["certificate"])
    channels = [channel for channel, _ in given["rows"]]
    uids = [uid for _, uid in given["rows"]]
    tokens = project.rtc_tokens(channels, uids, "publisher", EXPIRE, privilege_expire=EXPIRE)
    tasks = {"verify_signature": Task(FASTTOKEN, "read", {"how": "verify_signature"})}
    for name in bench.worker(FASTTOKEN).about["verify"]:
        tasks[name] = Task(FASTTOKEN, "read", {"how": name})
    if "verify_many" in tasks:
        arrow = {"how": "verify_many", "column": "arrow"}
        tasks["verify_many, an Arrow column"] = Task(FASTTOKEN, "read", arrow)
    for library in ("agoraiotools", "agora-token"):
        tasks.update({subject.name: Task(subject, "read", {}) for subject in peers(library)})
    for task in tasks.values():
        bench.worker(task.subject).ask("load", tokens=tokens)
    found = bench.paired(tasks)
    say("parse and verify")
    return found
