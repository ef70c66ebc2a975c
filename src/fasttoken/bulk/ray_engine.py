"""The job on a Ray cluster: each piece of the input is a task, which may die and be done again.

The driver, which is the process that `run` was called in, cuts the input, hands out the pieces and
keeps the journal; the nodes read and write the files, which they share. See docs/cluster.md.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from ..errors import JobFailed, JobRefused, JobStopped, RowRejected
from ..project import Project
from .job import Job, Progress, Rejects, Run, part_names
from .pieces import ROWS, Piece, Work, check_token, cut
from .summary import Counts, Summary

Result = TypeVar("Result")

# How often a piece starts anew when the node or the process that works on it dies. Not without
# end, or an input on which a process dies each time would keep a cluster busy for ever.
RETRIES = 10
AHEAD = 2  # tasks a CPU that are in the cluster, running or in wait
CONNECT = 10  # seconds to reach the cluster
STOP = 0.5  # seconds from one look at whether to stop to the next


@contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected: to the cluster that this process is already connected to, else to that of
    RAY_ADDRESS, else to that of this machine, else to one of this machine's CPUs alone."""
    # Ray reports its use over the network unless this is said before it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")  # by name: its types would only slow the type checker down
    except ModuleNotFoundError:
        mend = "pip install 'fasttoken[ray]'"
        raise JobRefused(f"--engine ray: needs more packages: {mend}") from None
    if ray.is_initialized():
        yield ray
        return
    _check_address(os.environ.get("RAY_ADDRESS", ""))
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise JobRefused(f"--engine ray: there is no cluster to be reached: {error}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # where Ray would have put its own
    try:
        yield ray
    finally:
        # Ends the tasks of this job, too, those that still run.
        ray.shutdown()


def _check_address(address: str) -> None:
    """`JobRefused` if nobody listens at HOST:PORT: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()
    except (OSError, OverflowError) as error:
        raise JobRefused(f"RAY_ADDRESS: {address} is not to be reached ({error})") from None


def over_cluster(
    ray: Any,
    work: Callable[[Any], Result],
    pieces: Iterable[Any],
    stop: threading.Event,
) -> Iterator[Result]:
    """``work(piece)`` for every piece, each in a process of the cluster; results come as they are
    ready. Whatever ``work`` raises is raised here, and the tasks that are left are cancelled; so
    they are when ``stop`` is set.

    A task whose node dies starts anew on another, so ``work`` must do no harm when it is done
    twice, even at the same time. ``work`` and its pieces travel, and must hold no certificate.
    """
    # A function of its own, since Ray takes no object that can be called.
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(lambda piece: work(piece))
    pieces = iter(pieces)
    running: list[Any] = []
    try:
        while not stop.is_set():
            room = max(1, int(ray.cluster_resources().get("CPU", 1))) * AHEAD - len(running)
            running += [remote.remote(piece) for piece in islice(pieces, max(room, 0))]
            if not running:
                return
            ready, running = ray.wait(running, num_returns=1, timeout=STOP)
            for task in ready:
                yield _result(ray, task)
    finally:
        for task in running:
            ray.cancel(task, force=True)


def _result(ray: Any, task: Any) -> Any:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        # What the task raised, without the frames of Ray around it.
        cause: BaseException = error.cause
    except ray.exceptions.RayError as error:
        cause = JobFailed(f"Ray gave a piece up after {RETRIES} retries ({type(error).__name__})")
    raise cause from None


class RayRun(Run):
    """One attempt at a job, on a cluster."""

    def __init__(
        self, job: Job, project: Project, progress: Progress, stop: threading.Event
    ) -> None:
        self.pieces: list[Piece] = []
        super().__init__(job, project, progress, stop)

    def _check_output(self) -> None:
        if self.piped:
            raise JobRefused("--engine ray: can't read from a pipe, nor write to one")
        rows, parts = sum(count or 0 for count in self.counts_of), self.job.parts
        readers = map(self.reader, range(len(self.sources)))
        self.pieces = cut(readers, ROWS if parts == 1 else max(1, rows // parts))
        super()._check_output()

    def names(self) -> list[str]:
        """The files that the output is made of: one for each piece."""
        return part_names(self.job.output, len(self.pieces))

    def run(self) -> Summary:
        with cluster() as self.ray:
            return super().run()

    def _run(self) -> Summary:
        done: dict[str, Any] = self.state.setdefault("pieces", {})  # by number: tokens and bytes
        self._check_there(done)
        left = [piece for piece in self.pieces if str(piece.number) not in done]
        work = self._work()
        try:
            for result in over_cluster(self.ray, work, left, self.stop):
                counts = Counts(result.counts)
                done[str(result.number)] = [counts.rows - counts.rejected, result.size]
                self._count(counts, len(done))
                for text in result.rejected:
                    self.progress.rejected(text)
        except RowRejected:
            raise
        except JobFailed as error:
            raise JobFailed(f"{error}; mend it, and go on with --resume") from None
        if len(done) < len(self.pieces):
            raise JobStopped(f"stopped after {self.counts.rows:,} rows; go on with --resume")
        self._collect_rejects(work)
        return self._end()

    def _check_there(self, done: dict[str, Any]) -> None:
        """Looks at what an earlier attempt left: its parts are needed, its drafts are not."""
        assert self.journal is not None  # noqa: S101 (for the type checker)
        names = self.names()
        for number in done:
            if not os.path.exists(names[int(number)]):
                raise JobFailed(f"{names[int(number)]}: was deleted; begin anew with --overwrite")
        for draft in self.journal.folder.glob("part-*"):
            draft.unlink()

    def _work(self) -> Work:
        assert self.journal is not None  # noqa: S101 (for the type checker)
        env_file = self.job.env_file
        return Work(
            # Tasks have other current folders.
            sources=tuple(replace(each, path=os.path.abspath(each.path)) for each in self.sources),
            schema=self.schema,
            options=self.options,
            format=self.format,
            folder=os.path.abspath(self.journal.folder),
            parts=tuple(os.path.abspath(name) for name in self.names()),
            strict=self.job.strict,
            env_file=None if env_file is None else os.path.abspath(env_file),
            check=check_token(self.project),
        )

    def _count(self, counts: Counts, done: int) -> None:
        """Records that one more piece is done."""
        self.counts.merge(counts)
        self.throughput.add(self._seconds(), self.counts.rows)
        self._save(self._snapshot())
        self.progress.step(self.counts.rows, self.counts.rejected, done / len(self.pieces))

    def _collect_rejects(self, work: Work) -> None:
        """Puts the rejected rows of all pieces into one file, in the order of the input."""
        rejects = Rejects(self.job.rejects, None)
        try:
            for piece in self.pieces:
                name = self.sources[piece.file].name
                with open(work.rejects(piece.number), encoding="utf-8") as lines:
                    while some := list(islice(lines, 10_000)):
                        rejects.write([{**json.loads(line), "file": name} for line in some])
            rejects.sync()
        finally:
            rejects.close()
        rejects.finish()

    def _end(self) -> Summary:
        done, names = self.state["pieces"], self.names()
        self.state["done"] = [[name, *done[str(number)]] for number, name in enumerate(names)]
        return super()._end()
