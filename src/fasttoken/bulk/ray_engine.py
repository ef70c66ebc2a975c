"""Tasks on a Ray cluster: each piece of the input is one, and survives the death of its node."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from ..errors import FieldError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# How often a piece starts anew when the node or the process that works on it dies. Not without
# end, or an input on which a process dies each time would keep a cluster busy for ever.
RETRIES = 10
AHEAD = 2  # tasks a CPU that wait in the cluster for their turn


@contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected: to the cluster that this process is already connected to, else to that of
    RAY_ADDRESS, else to that of this machine, else to one of this machine's CPUs alone."""
    # Ray reports its use over the network unless this is said before it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")  # by name: its types would only slow the type checker down
    except ModuleNotFoundError:
        rule = "ray needs more packages"
        raise FieldError("engine", rule, "pip install 'fasttoken[ray]'") from None
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise FieldError("RAY_ADDRESS", f"is not to be reached ({error})") from None
    try:
        yield ray
    finally:
        # Ends the tasks of this job, too, those that still run.
        ray.shutdown()


def over_cluster(
    ray: Any, work: Callable[[Piece], Result], pieces: Iterable[Piece], cpus: int = 1
) -> Iterator[Result]:
    """``work(piece)`` for every piece, each in a process of the cluster; results come as they are
    ready. Whatever ``work`` raises is raised here, and the tasks that are left are cancelled.

    A task whose node dies starts anew on another, so ``work`` must do no harm when it is done
    twice, even at the same time. ``work`` and its pieces travel, and must hold no certificate.
    """
    remote = ray.remote(num_cpus=cpus, max_retries=RETRIES, retry_exceptions=False)(work)
    pieces = iter(pieces)
    running: list[Any] = []
    try:
        while True:
            room = max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus) * AHEAD - len(running)
            running += [remote.remote(piece) for piece in islice(pieces, max(room, 0))]
            if not running:
                return
            ready, running = ray.wait(running, num_returns=1)
            yield _result(ray, ready[0])
    finally:
        for task in running:
            ray.cancel(task, force=True)


def _result(ray: Any, task: Any) -> Any:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        # What the task raised, without the frames of Ray around it.
        raise error.cause from None
