"""Pieces of an input: minted apart, in any order, on any machine, twice if need be.

Each piece becomes one part of the output. It is written under a name of its own, and gets the name
of the part when it is complete; so however often a piece is begun, there is one part of it, and
never half of one.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from .._version import __version__
from ..errors import FieldError, JobError, JobFailed, RowRejected, TokenWarning
from ..project import Project
from .job import SEGMENT, SEGMENT_BYTES, mint_chunk, where
from .journal import folder_sync
from .mint import minted_schema
from .options import Options
from .readers import Chunk, Parquet, Partitioned, Position, Reader, fitted, open_source
from .sources import Format, Source
from .summary import Counts
from .writers import open_writer

ROWS = 1 << 20  # of a piece, about
SHOWN = 20  # rejected rows of a piece that are told of while the job runs


class Piece(NamedTuple):
    """Rows of one file, from a position up to the row ``stop`` (None: the end), and the ``number``
    of the part that they become."""

    number: int
    file: int
    start: Position
    stop: int | None


class Done(NamedTuple):
    """What a piece came to: its part's size in bytes, what was counted (`Counts.to_data`), and the
    first of its rejected rows in words."""

    number: int
    size: int
    counts: dict[str, Any]
    rejected: tuple[str, ...]


def cut(readers: Iterable[Reader], rows: int = ROWS) -> list[Piece]:
    """The pieces of files: Parquet is cut between row groups, so that pieces have at least so many
    rows where they can; any other file is one piece. Each reader is let go before the next."""
    spans = ((file, *span) for file, reader in enumerate(readers) for span in _spans(reader, rows))
    return [Piece(number, *span) for number, span in enumerate(spans)]


def _spans(reader: Reader, rows: int) -> Iterator[tuple[Position, int | None]]:
    if isinstance(reader, Partitioned):
        reader = reader.reader
    if not isinstance(reader, Parquet):
        yield Position(), None
        return
    meta = reader.file.metadata
    start, row = Position(), 0
    for group in range(meta.num_row_groups - 1):
        row += meta.row_group(group).num_rows
        if row - start.row >= rows:
            yield start, row
            start = Position(row=row, offset=group + 1)
    yield start, None


@dataclass(frozen=True)
class Work:
    """What there is to know about a job to mint any piece of it. Travels to other machines, and
    holds no certificate: ``check`` is a token that the same project mints there, and expired in
    1970. ``folder`` is that of the journal, ``parts`` are the names of the output."""

    sources: tuple[Source, ...]
    schema: pa.Schema
    options: Options
    format: Format
    folder: str
    parts: tuple[str, ...]
    strict: bool
    env_file: str | None
    check: str
    version: str = __version__

    def project(self) -> Project:
        """The project of this machine, which must be that of the job."""
        if self.version != __version__:
            raise JobFailed(f"has fasttoken {__version__}, and the job runs on {self.version}")
        if self.env_file is None:
            project = Project.from_env()
        else:
            from ..cli import console  # reads the file as the command line does

            project = console.project(Path(self.env_file))
        if not compare_digest(check_token(project), self.check):
            raise JobFailed("has another App ID or App Certificate than the job")
        return project

    def __call__(self, piece: Piece) -> Done:
        """Mints a piece. `JobFailed` names this machine."""
        host = socket.gethostname()
        try:
            project = self.project()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TokenWarning)  # the plan tells of odd lifetimes
                return self._mint(piece, project, host)
        except RowRejected:
            raise
        except (FieldError, JobError) as error:
            raise JobFailed(f"node {host}: {error}") from None
        except OSError as error:
            raise JobFailed(f"node {host}: {error.strerror or error}") from None

    def rejects(self, number: int) -> str:
        """The file of a piece's rejected rows."""
        return os.path.join(self.folder, f"rejects-{number + 1}.jsonl")

    def _mint(self, piece: Piece, project: Project, host: str) -> Done:
        source, schema = self.sources[piece.file], minted_schema(self.schema)
        mine = os.path.join(self.folder, f"part-{piece.number + 1}.{host}-{secrets.token_hex(8)}")
        writer = open_writer(mine, schema, self.format)
        counts, said = Counts(), list[str]()
        rows = size = 0
        with ExitStack() as stack:
            for draft in (mine, mine + ".rejects"):
                stack.callback(Path(draft).unlink, missing_ok=True)
            stack.callback(writer.close)
            rejects = stack.enter_context(open(mine + ".rejects", "w", encoding="utf-8"))
            for chunk in _chunks(open_source(source), piece):
                chunk.batch = fitted(chunk.batch, self.schema, source.name)
                minted = mint_chunk(chunk, source, piece.file, project, self.options, writer)
                if minted.rejects and self.strict:
                    first = minted.rejects[0]
                    raise RowRejected(f"{where(first)}: {first['reason']}")
                if minted.tally.rows:
                    writer.write(minted.encoded)
                counts.add(minted.tally)
                said += [
                    f"{where(reject)}: {reject['reason']}"
                    for reject in minted.rejects[: SHOWN - len(said)]
                ]
                for reject in minted.rejects:
                    rejects.write(json.dumps(reject) + "\n")
                    counts.rows += 1
                    counts.reject(reject["field"], reject["reason"])
                rows, size = rows + chunk.count, size + minted.size
                if rows >= SEGMENT or size >= SEGMENT_BYTES:
                    writer.checkpoint()
                    rows = size = 0
            writer.checkpoint()
            writer.sync()
            writer.finish()
            rejects.flush()
            os.fsync(rejects.fileno())
            # The part comes last: where it is, its rejected rows are.
            os.replace(rejects.name, self.rejects(piece.number))
            folder_sync(Path(self.folder))
            size = os.path.getsize(writer.path)
            os.replace(writer.path, self.parts[piece.number])
            folder_sync(Path(self.parts[piece.number]).parent)
        return Done(piece.number, size, counts.to_data(), tuple(said))


def _chunks(reader: Reader, piece: Piece) -> Iterator[Chunk]:
    """The batches of a piece; batches do not go beyond a row group, and so not beyond a piece."""
    for chunk in reader.chunks(piece.start):
        if piece.stop is not None and chunk.start.row >= piece.stop:
            return
        yield chunk


def check_token(project: Project) -> str:
    """What a project mints for no one: the same wherever its certificate is the same."""
    return project.rtc_token("check", 1, expire=1, issue_ts=1, salt=1)
