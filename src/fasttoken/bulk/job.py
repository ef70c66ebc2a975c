"""The job: readers, mints and a writer that overlap, and checkpoints so that no row is lost.

Rows go from a reader's thread through a pool that mints and encodes them to the writer, in the
order of the input. In between wait at most a few batches, so memory does not depend on how many
there are. Every `SEGMENT` rows a checkpoint is recorded, from which a later run can go on.
"""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from time import monotonic, time
from typing import Any, BinaryIO, Literal, NamedTuple

import pyarrow as pa

from .._core import backend
from ..errors import JobFailed, JobRefused, JobStopped, RowRejected, TokenWarning
from ..project import Project
from .journal import Journal, failure, folder_sync, identity
from .mint import check_schema, mint_and_count, minted_schema
from .options import Options
from .plan import Plan, make_plan
from .readers import Chunk, Position, Reader, check_fits, fitted, open_source
from .sources import STANDARD, Source, file_format, find
from .summary import Counts, File, Summary, Tally, Throughput
from .writers import Writer, open_writer, sync, write_all

SEGMENT = 1 << 18  # rows from one checkpoint to the next, about
SEGMENT_BYTES = 64 << 20  # and bytes of Arrow memory
ENGINES = ("local", "ray")
REJECTED = ("file", "row", "line", "field", "reason", "input")


@dataclass(frozen=True)
class Job:
    """What to read, what to make of it, where to write it.

    ``inputs``: files, globs, folders (read as datasets), or ``-``. ``output``: a file, or ``-``.
    Formats come from the names, else from ``input_format`` and ``output_format`` such as
    ``"csv.gz"``. ``parts``: how many files to write. ``rejects``: a CSV or JSON Lines file for the
    rows that are rejected; with ``strict`` the first of them ends the job. ``threads`` mint, 0 for
    one on each CPU. ``resume`` goes on with a job that did not end, ``overwrite`` begins anew.
    ``report``: an HTML file. ``engine``: ``"ray"`` runs the job on a Ray cluster (docs/cluster.md),
    whose nodes find the project in their environment or in ``env_file``.
    ``event_start`` and ``event_end``, in Unix seconds, are for the plan.
    """

    inputs: tuple[str, ...]
    output: str
    options: Options = field(default_factory=Options)
    input_format: str | None = None
    output_format: str | None = None
    parts: int = 1
    rejects: str | None = None
    strict: bool = False
    threads: int = 0
    resume: bool = False
    overwrite: bool = False
    report: str | None = None
    event_start: int | None = None
    event_end: int | None = None
    engine: Literal["local", "ray"] = "local"
    env_file: str | None = None


class Progress:
    """What a job tells while it runs; this one is silent."""

    def plan(self, plan: Plan) -> None:
        """The plan, before anything is written."""

    def resumed(self, rows: int) -> None:
        """So many rows were done by earlier attempts."""

    def step(self, rows: int, rejected: int, fraction: float) -> None:
        """Rows read so far, those of them that were rejected, and how much of the input that is."""

    def rejected(self, where: str) -> None:
        """A row was rejected."""

    def done(self, summary: Summary) -> None:
        """The job has come to its end."""


def plan(job: Job, project: Project, whole: bool = True) -> Plan:
    """The plan of a job, of every row or of a sample; writes nothing. `JobRefused` if it can't
    begin."""
    return _engine(job)(job, project, Progress(), threading.Event()).plan(whole)


def run(
    job: Job,
    project: Project,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Runs a job to its end. When ``stop`` is set, it stops where it can be resumed.

    Raises `JobRefused` before anything is written; `JobFailed` and `JobStopped` leave what
    ``replace(job, resume=True)`` goes on with. See docs/bulk.md.
    """
    running = _engine(job)(job, project, progress or Progress(), stop or threading.Event())
    with warnings.catch_warnings():
        # The plan tells of odd lifetimes once, not each batch.
        warnings.simplefilter("ignore", TokenWarning)
        return running.run()


def _engine(job: Job) -> type[Run]:
    """What runs a job."""
    if job.engine not in ENGINES:
        raise JobRefused(f"--engine: must be one of {', '.join(ENGINES)}")
    if job.engine == "local":
        return Run
    engine: type[Run] = import_module(f"{__package__}.ray_engine").RayRun
    return engine


def part_names(output: str, parts: int) -> list[str]:
    """The files of an output in so many parts."""
    if parts == 1:
        return [output]
    path = Path(output)
    stem, dot, suffix = path.name.partition(".")
    width = len(str(parts))
    return [
        str(path.with_name(f"{stem}-{part:0{width}}-of-{parts}{dot}{suffix}"))
        for part in range(1, parts + 1)
    ]


class _Piece(NamedTuple):
    """Rows to mint, and from where to read should the job go on behind them."""

    file: int
    chunk: Chunk
    next_file: int
    next_start: Position
    next_row: int
    behind: float  # how much of the input lies before ``next_start``
    ends_part: bool
    fraction: float


class Minted(NamedTuple):
    """What became of a piece."""

    encoded: Any
    size: int
    tally: Tally
    rejects: list[dict[str, Any]]


class Run:
    """One attempt at a job."""

    def __init__(
        self, job: Job, project: Project, progress: Progress, stop: threading.Event
    ) -> None:
        self.job, self.project, self.progress, self.stop = job, project, progress, stop
        if job.parts < 1:
            raise JobRefused("--parts must be at least 1")
        self.begun = monotonic()
        self.sources = find(job.inputs, job.input_format)
        if os.path.isdir(job.output):
            raise JobRefused(f"{job.output}: is a folder")
        self.format = file_format(job.output, job.output_format, "--to")
        self.piped = job.output == STANDARD or self.sources[0].path == STANDARD
        self._only: Reader | None = None  # standard input is opened once
        self.counts_of: list[int | None] = []
        self.schema = self._check_inputs()
        now = int(time())
        issued = now if job.options.issue_at is None else job.options.issue_at
        self.options = replace(job.options, issue_at=issued)
        self.total = sum(source.size or 0 for source in self.sources)
        self._check_output()
        self.counts = Counts()
        self.throughput = Throughput()
        self.state: dict[str, Any] = {
            "issued_at": issued,
            "begun": now,
            "attempts": 1,
            "seconds": 0.0,
            "file": 0,
            "start": list(Position()),
            "row": 0,
            "behind": 0.0,
            "part": 0,
            "part_rows": 0,
            "writer": None,
            "rejects": None,
            "done": [],
            "closing": None,
        }

    # Before anything is written -----------------------------------------------------------------

    def reader(self, place: int) -> Reader:
        """The reader of a source."""
        if self._only is not None:
            return self._only
        reader = open_source(self.sources[place])
        if self.sources[place].path == STANDARD:
            self._only = reader
        return reader

    def _check_inputs(self) -> pa.Schema:
        """The schema of all inputs."""
        schema = None
        for place, source in enumerate(self.sources):
            reader = self.reader(place)
            self.counts_of.append(reader.count)
            if schema is None:
                schema = reader.schema
                check_schema(schema, self.job.options)
            else:
                check_fits(reader.schema, schema, source.name, self.sources[0].name)
        return schema

    def _check_output(self) -> None:
        job = self.job
        if self.piped and job.resume:
            raise JobRefused("--resume: what comes from or goes to a pipe can't be resumed")
        if job.parts > 1 and (job.output == STANDARD or self.sources[0].path == STANDARD):
            raise JobRefused("--parts: what comes from or goes to a pipe has no parts")
        if job.rejects is not None and file_format(job.rejects, None, "--rejects").kind not in (
            "csv",
            "jsonl",
        ):
            raise JobRefused("--rejects: must be a .csv or .jsonl file")
        reading = {os.path.realpath(s.path) for s in self.sources if s.path != STANDARD}
        written = [*self.names(), *filter(None, (job.rejects, job.report))]
        for name in written:
            if name == STANDARD:
                continue
            if os.path.realpath(name) in reading:
                raise JobRefused(f"{name}: is an input, too")
            if os.path.isdir(name):
                raise JobRefused(f"{name}: is a folder")
        if len({os.path.realpath(name) for name in written}) < len(written):
            raise JobRefused(f"{written[-1]}: would be written twice")

    def names(self) -> list[str]:
        """The files that the output is made of."""
        return part_names(self.job.output, self.job.parts)

    def plan(self, whole: bool) -> Plan:
        job = self.job
        return make_plan(
            self.sources,
            self.counts_of,
            self.reader,
            self.schema,
            self.project,
            self.options,
            job.output,
            self.format,
            (job.event_start, job.event_end),
            int(time()),
            whole,
        )

    # The whole run ------------------------------------------------------------------------------

    def run(self) -> Summary:
        job = self.job
        if job.output == STANDARD:
            self.journal: Journal | None = None
        else:
            self.journal = Journal(Path(job.output))
        try:
            if self.journal is not None:
                self._take_up(self.journal)
            self.progress.plan(self.plan(False))
            if self.state["attempts"] > 1:
                self.progress.resumed(self.counts.rows)
            summary = self._run()
        except OSError as error:
            if job.output == STANDARD:
                raise JobFailed("standard output was closed") from None
            if self.journal is not None:
                self.journal.check_there()
            raise failure(error, job.output) from None
        finally:
            if self.journal is not None:
                self.journal.close()
        self.progress.done(summary)
        return summary

    def _take_up(self, journal: Journal) -> None:
        """Begins the journal, or goes on with that of an earlier attempt."""
        job = self.job
        there = journal.open()
        if there and job.overwrite:
            journal.clear()
            there = False
        if there and not job.resume:
            raise JobRefused(
                f"{job.output}: an earlier run did not come to its end; "
                "go on with --resume, or begin anew with --overwrite"
            )
        existing = [name for name in self.names() if os.path.exists(name)]
        if existing and not there and not job.overwrite:
            raise JobRefused(f"{existing[0]}: is there already; replace it with --overwrite")
        now: dict[str, Any] = {}
        if not self.piped:
            now = identity(
                self.sources,
                {
                    "the project": self.project.app_id,
                    "the output format": str(self.format),
                    "--engine": job.engine,
                    "--parts": job.parts,
                    "--rejects": job.rejects,
                    "options": job.options.to_data(),
                },
            )
        if there:
            journal.check(now)
            self.state = dict(journal.data)
            self.state["attempts"] += 1
            self.options = replace(self.options, issue_at=self.state["issued_at"])
            self.counts = Counts(self.state["counts"])
            self.throughput = Throughput(self.state["samples"])
        self.state["identity"] = now
        self._save(self._snapshot())

    def _snapshot(self) -> dict[str, Any]:
        """The state as it is to be recorded."""
        return {
            **self.state,
            "seconds": self._seconds(),
            "counts": self.counts.to_data(),
            "samples": [list(sample) for sample in self.throughput.samples],
        }

    def _seconds(self) -> float:
        """Seconds that all attempts took."""
        return float(self.state["seconds"]) + monotonic() - self.begun

    def _save(self, snapshot: dict[str, Any]) -> None:
        if self.journal is not None and not self.piped:
            self.journal.save(snapshot)
        elif self.journal is not None:
            self.journal.check_there()

    def _run(self) -> Summary:
        job = self.job
        threads = job.threads or _cpus()
        self.rejects = Rejects(job.rejects, self.state["rejects"])
        self.encoder = open_writer("", minted_schema(self.schema), self.format)
        self.writer: Writer | None = None
        self._close_part()
        with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as self.saver:
            self._saved: Future[None] | None = None
            ahead = _Ahead(self._pieces(), self.stop)
            try:
                self._flow(ahead, pool, threads)
            finally:
                ahead.close(wait=self.sources[0].path != STANDARD)
                self.rejects.close()
                if self.writer is not None:
                    self.writer.close()
        self.rejects.finish()
        return self._end()

    def _end(self) -> Summary:
        """What follows when all rows are written."""
        job = self.job
        summary = self._summary()
        if job.report is not None:
            import_module(f"{__package__}.report").write_report(summary, job.report)
        if self.journal is not None:
            self.journal.remove()
        return summary

    def _flow(self, ahead: _Ahead, pool: ThreadPoolExecutor, threads: int) -> None:
        """Mints all pieces, and writes them in their order."""
        pending: deque[tuple[_Piece, Future[Minted]]] = deque()
        broken: JobFailed | None = None
        while not self.stop.is_set():
            try:
                piece = ahead.next()
            except JobFailed as error:  # what was read before is still good
                broken = error
                break
            if piece is None:
                break
            pending.append((piece, pool.submit(self._mint, piece)))
            while len(pending) > threads + 1:
                self._write(*pending.popleft())
        while pending:
            self._write(*pending.popleft())
        if broken or self.stop.is_set():
            self._checkpoint(wait=True)
            if broken:
                raise broken
            how = "" if self.piped else "; go on with --resume"
            raise JobStopped(f"stopped after {self.counts.rows:,} rows{how}")
        while self.state["part"] < self.job.parts:
            self._end_part()

    # Reading ------------------------------------------------------------------------------------

    def _pieces(self) -> Generator[_Piece, None, None]:
        """All rows that are still to be minted, cut where parts end."""
        parts, part, behind = self.job.parts, self.state["part"], self.state["behind"]
        start, row = Position(*self.state["start"]), self.state["row"]
        before = sum(source.size or 0 for source in self.sources[: self.state["file"]])
        for file in range(self.state["file"], len(self.sources)):
            source = self.sources[file]
            for chunk in self.reader(file).chunks(start):
                chunk.batch = fitted(chunk.batch, self.schema, source.name)
                here = (before + (source.size or 0) * chunk.fraction) / max(1, self.total)
                low, high = chunk.start.row, chunk.end.row
                at = max(low, row)
                while part < parts - 1 and here * parts > part + 1:
                    share = ((part + 1) / parts - behind) / (here - behind)
                    cut = min(high, max(at, low + round(share * (high - low))))
                    piece = chunk.between(at, cut)
                    yield _Piece(file, piece, file, chunk.start, cut, behind, True, here)
                    part, at = part + 1, cut
                rest = chunk if at == low else chunk.between(at, high)
                behind = here
                yield _Piece(file, rest, file, chunk.end, high, behind, False, here)
            before += source.size or 0
            start, row = Position(), 0

    def _mint(self, piece: _Piece) -> Minted:
        """What becomes of a piece; called on any thread."""
        source = self.sources[piece.file]
        return mint_chunk(piece.chunk, source, piece.file, self.project, self.options, self.encoder)

    # Writing ------------------------------------------------------------------------------------

    def _write(self, piece: _Piece, future: Future[Minted]) -> None:
        """Writes what became of a piece."""
        minted = future.result()
        if minted.rejects and self.job.strict:
            first = minted.rejects[0]
            raise RowRejected(f"{where(first)}: {first['reason']}")
        if self.writer is None:
            self._open_part()
        if minted.tally.rows:
            self.writer.write(minted.encoded)  # type: ignore[union-attr]
        self.rejects.write(minted.rejects)
        self.counts.add(minted.tally)
        for reject in minted.rejects:
            self.counts.rows += 1
            self.counts.reject(reject["field"], reject["reason"])
            self.progress.rejected(f"{where(reject)}: {reject['reason']}")
        state = self.state
        state["file"], state["start"], state["row"] = (
            piece.next_file,
            list(piece.next_start),
            piece.next_row,
        )
        state["behind"] = piece.behind
        state["part_rows"] += minted.tally.rows
        self._rows += piece.chunk.count
        self._bytes += minted.size
        self.throughput.add(self._seconds(), self.counts.rows)
        self.progress.step(self.counts.rows, self.counts.rejected, piece.fraction)
        if piece.ends_part:
            self._end_part()
        elif self._rows >= SEGMENT or self._bytes >= SEGMENT_BYTES:
            self._checkpoint()

    _rows = _bytes = 0  # since the last checkpoint

    def _temporary(self, part: int) -> str:
        assert self.journal is not None  # noqa: S101 (for the type checker)
        return str(self.journal.folder / f"part-{part + 1}")

    def _open_part(self) -> None:
        """Opens the part that comes next, or goes on with it."""
        schema = minted_schema(self.schema)
        if self.journal is None:
            self.writer = open_writer(STANDARD, schema, self.format)
            return
        path = self._temporary(self.state["part"])
        self.writer = open_writer(path, schema, self.format)
        if self.state["writer"] is not None:
            self.writer.resume(self.state["writer"])
        else:
            # What a run that was killed wrote before its first checkpoint.
            Path(path).unlink(missing_ok=True)

    def _checkpoint(self, wait: bool = False) -> None:
        """Records that everything up to here is written; most of it while more is minted."""
        if self.writer is None and (self.journal is None or self.state["writer"] is not None):
            return
        if self.writer is None:
            self._open_part()
        writer = self.writer
        assert writer is not None  # noqa: S101 (for the type checker)
        self._wait()
        self.state["writer"] = writer.checkpoint()
        self.state["rejects"] = self.rejects.checkpoint()
        self._rows = self._bytes = 0
        snapshot = self._snapshot()

        def save() -> None:
            writer.sync()
            self.rejects.sync()
            self._save(snapshot)

        self._saved = self.saver.submit(save)
        if wait:
            self._wait()

    def _wait(self) -> None:
        """Waits until the last checkpoint is recorded."""
        if self._saved is not None:
            saved, self._saved = self._saved, None
            saved.result()

    def _end_part(self) -> None:
        """Completes a part, and gives it its name."""
        if self.writer is None:
            self._open_part()
        self._checkpoint(wait=True)
        writer = self.writer
        assert writer is not None  # noqa: S101 (for the type checker)
        writer.finish()
        self.writer = None
        state = self.state
        if self.journal is None:
            state["done"].append([STANDARD, state["part_rows"], None])
            state["part"] += 1
            return
        state["closing"] = [writer.path, os.path.getsize(writer.path)]
        self._save(self._snapshot())
        self._close_part()

    def _close_part(self) -> None:
        """Gives a part that is complete its name, also if an earlier run broke off there."""
        state = self.state
        if state["closing"] is None:
            return
        temporary, size = state["closing"]
        name = self.names()[state["part"]]
        if os.path.exists(temporary):
            os.replace(temporary, name)
            folder_sync(Path(name).parent)
        elif not os.path.exists(name) or os.path.getsize(name) != size:
            raise JobFailed(f"{name}: was deleted; begin anew with --overwrite")
        state["done"].append([name, state["part_rows"], size])
        state.update(part=state["part"] + 1, part_rows=0, writer=None, closing=None)
        self._save(self._snapshot())

    def _summary(self) -> Summary:
        counts, state = self.counts, self.state
        start, width, expiries = counts.timeline()
        busiest = counts.busiest()
        core = backend()
        warned = []
        if counts.long_lifetimes:
            rows = f"{counts.long_lifetimes:,} rows"
            warned.append(f"the lifetime of {rows} was over 24 hours or 0: Agora ends them there")
        return Summary(
            rows=counts.rows,
            minted=counts.rows - counts.rejected,
            rejected=counts.rejected,
            seconds=self._seconds(),
            attempts=state["attempts"],
            started_at=state["begun"],
            app_id=self.project.app_id,
            core=f"{core.implementation} ({core.cpu})",
            channels=busiest,
            other_channels=len(counts.channels) - len(busiest),
            other_rows=sum(counts.channels.values()) + counts.uncounted - sum(busiest.values()),
            channels_exact=not counts.uncounted,
            roles=dict(counts.roles),
            expiry_start=start,
            expiry_width=width,
            expiries=expiries,
            rejects=counts.reasons(),
            throughput=tuple((at, int(rows)) for at, rows in self.throughput.samples),
            inputs=tuple(
                File(
                    source.name,
                    str(source.format),
                    counts.rows if len(self.sources) == 1 else count,
                    source.size,
                )
                for source, count in zip(self.sources, self.counts_of, strict=True)
            ),
            outputs=tuple(
                File(name, str(self.format), rows, size) for name, rows, size in state["done"]
            ),
            warnings=tuple(warned),
            options=self.options.to_data(),
        )


def _cpus() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Minting --------------------------------------------------------------------------------------


def mint_chunk(
    chunk: Chunk, source: Source, file: int, project: Project, options: Options, encoder: Writer
) -> Minted:
    """Mints the rows of a chunk, and finds those that are bad."""
    minted, bad, tally = mint_and_count(chunk.batch, project, options, file=file, rows=chunk.rows)
    rejects = [
        _reject(source, chunk, line.row, line.field, line.reason, line.text) for line in chunk.bad
    ]
    if bad:
        given = chunk.batch.take(pa.array([row.index for row in bad])).to_pylist()
        for row, values in zip(bad, given, strict=True):
            number = int(chunk.rows[row.index])
            text = json.dumps(values, ensure_ascii=False, default=str)
            rejects.append(_reject(source, chunk, number, row.field, row.reason, text))
        rejects.sort(key=lambda reject: reject["row"])
    return Minted(encoder.encode(minted), minted.nbytes, tally, rejects)


# Rows that are rejected -----------------------------------------------------------------------


def _reject(
    source: Source, chunk: Chunk, row: int, name: str, reason: str, text: str
) -> dict[str, Any]:
    line = chunk.line_of(row) if chunk.line_of is not None else None
    found = (source.name, row + 1, line, name, reason, text)
    return dict(zip(REJECTED, found, strict=True))


def where(reject: dict[str, Any]) -> str:
    place = f"row {reject['row']}" if reject["line"] is None else f"line {reject['line']}"
    return ": ".join(filter(None, (f"{reject['file']}, {place}", reject["field"])))


class Rejects:
    """The file of rejected rows; it has its name only when it is complete."""

    def __init__(self, name: str | None, offset: int | None) -> None:
        self.file: BinaryIO | None = None
        if name is None:
            return
        self.path = Path(name)
        self.temporary = self.path.with_name(f".{self.path.name}.fasttoken-new")
        self.lines = self.path.suffix != ".csv"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if offset is None:
                self.file = open(self.temporary, "wb", buffering=0)  # noqa: SIM115
                if not self.lines:
                    self._rows([REJECTED])
            elif self.temporary.exists():  # else the job broke off behind its last step
                self.file = open(self.temporary, "r+b", buffering=0)  # noqa: SIM115
                self.file.truncate(offset)
                self.file.seek(offset)
        except OSError as error:
            raise JobRefused(f"{name}: can't be written ({error.strerror})") from None

    def _rows(self, rows: Any) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_all(self.file, text.getvalue().encode())  # type: ignore[arg-type]

    def write(self, rejects: list[dict[str, Any]]) -> None:
        """Appends rejected rows."""
        if self.file is None or not rejects:
            return
        if self.lines:
            lines = (json.dumps(reject, ensure_ascii=False) + "\n" for reject in rejects)
            write_all(self.file, "".join(lines).encode())
        else:
            self._rows(reject.values() for reject in rejects)

    def checkpoint(self) -> int | None:
        """Where the file ends."""
        return None if self.file is None else self.file.tell()

    def sync(self) -> None:
        """Makes what was written last."""
        if self.file is not None:
            sync(self.file)

    def close(self) -> None:
        """Lets go of the file as it is; what was written last is in a checkpoint."""
        if self.file is not None:
            self.file.close()

    def finish(self) -> None:
        """Gives the file its name."""
        if self.file is not None:
            os.replace(self.temporary, self.path)
            folder_sync(self.path.parent)


# Reading ahead --------------------------------------------------------------------------------


class _Ahead:
    """An iterator that a thread of its own runs, at most a few items ahead."""

    def __init__(
        self, items: Generator[_Piece, None, None], stop: threading.Event, most: int = 2
    ) -> None:
        self._items = items
        self._stop = stop
        self._queue: queue.Queue[Callable[[], _Piece] | None] = queue.Queue(most)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="fasttoken-reader", daemon=True)
        self._thread.start()

    def _put(self, item: Callable[[], _Piece] | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _read(self) -> None:
        try:
            for item in self._items:
                self._put(lambda item=item: item)  # type: ignore[misc]
                if self._closed.is_set():
                    return
        except BaseException as error:
            self._put(lambda error=error: _raised(error))  # type: ignore[misc]
        finally:
            self._items.close()
        self._put(None)

    def next(self) -> _Piece | None:
        """The next item, None at the end or when asked to stop; raises what the iterator raised."""
        while True:
            try:
                item = self._queue.get(timeout=0.1)
            except queue.Empty:  # of a pipe, maybe, on which nothing comes
                if self._stop.is_set():
                    return None
            else:
                return None if item is None else item()

    def close(self, wait: bool) -> None:
        """Lets the thread end, and waits for it unless it may wait itself, for a pipe."""
        self._closed.set()
        if wait:
            self._thread.join()


def _raised(error: BaseException) -> Any:
    raise error
