"""Readers: one class per file format, from a position in a file to record batches.

Batches are small (a few MiB), so that memory does not depend on the size of the input, and begin
at the same rows whenever a file is read, so that a job can be resumed at any of them.
"""

from __future__ import annotations

import csv as python_csv
import io
import json as python_json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet

from ..errors import JobFailed, JobRefused
from .sources import STANDARD, Source

BLOCK = 1 << 20  # bytes of text read at a time
LONGEST = 32 << 20  # bytes of one record, above which a quote must have been left open
ROWS = 1 << 15  # rows of a batch, at most
BATCH = 16 << 20  # bytes of a batch, about, where the format tells before it is read


class Position(NamedTuple):
    """Where the next batch of a file begins.

    ``row`` and ``line`` count from 0 and 1. ``offset`` is in the reader's own units: bytes of
    (uncompressed) text, row groups or record batches; ``skip`` are rows to pass over in that unit.
    """

    row: int = 0
    line: int = 1
    offset: int = 0
    skip: int = 0


class BadLine(NamedTuple):
    """A row that can't be read: its number in the file, the field ("" for all), why, its text."""

    row: int
    field: str
    reason: str
    text: str


@dataclass
class Chunk:
    """A batch of a file: ``rows`` are the numbers of its rows in the file, those of the ``bad``
    ones left out. ``fraction`` of the file lies before ``end``; ``line_of`` finds a row's line."""

    batch: pa.RecordBatch
    rows: npt.NDArray[np.uint64]
    start: Position
    end: Position
    fraction: float
    bad: list[BadLine] = field(default_factory=list)
    line_of: Callable[[int], int] | None = None

    @property
    def count(self) -> int:
        """How many rows were read, bad ones included."""
        return len(self.rows) + len(self.bad)

    def between(self, low: int, high: int) -> Chunk:
        """The rows with these numbers; the positions stay those of the whole."""
        first, last = np.searchsorted(self.rows, np.array([low, high], np.uint64))
        return replace(
            self,
            batch=self.batch.slice(first, last - first),
            rows=self.rows[first:last],
            bad=[each for each in self.bad if low <= each.row < high],
        )


class Reader(ABC):
    """A file to read; ``schema`` is that of its batches, ``count`` its rows where it tells."""

    schema: pa.Schema
    count: int | None = None

    @abstractmethod
    def chunks(self, start: Position) -> Iterator[Chunk]:
        """The batches of the file from a position on."""


def open_source(source: Source) -> Reader:
    """The reader of a source. `JobRefused` for what can't be opened or lacks a schema."""
    readers: dict[str, Callable[[Source], Reader]] = {
        "csv": Csv,
        "tsv": Csv,
        "jsonl": JsonLines,
        "parquet": Parquet,
        "arrow": Arrow,
        "arrows": Arrow,
    }
    try:
        reader = readers[source.format.kind](source)
    except OSError as error:
        raise JobRefused(f"{source.name}: can't be read ({_cause(error)})") from None
    except pa.ArrowException as error:
        raise JobRefused(f"{source.name}: is no {source.format} ({_cause(error)})") from None
    return Partitioned(reader, source.partition) if source.partition else reader


def _cause(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _standard_input() -> BinaryIO:
    """Standard input. Not sys.stdin: a thread that waits for it would block the program's end."""
    return open(0, "rb", closefd=False)


class Partitioned(Reader):
    """A file with the columns that the names of its folders give."""

    def __init__(self, reader: Reader, partition: tuple[tuple[str, str], ...]) -> None:
        self.reader = reader
        self.partition = [item for item in partition if item[0] not in reader.schema.names]
        self.count = reader.count
        added = [pa.field(name, pa.string()) for name, _ in self.partition]
        self.schema = pa.schema([*reader.schema, *added], metadata=reader.schema.metadata)

    def chunks(self, start: Position) -> Iterator[Chunk]:
        for chunk in self.reader.chunks(start):
            count = chunk.batch.num_rows
            added = [pa.repeat(pa.scalar(value), count) for _, value in self.partition]
            columns = [*chunk.batch.columns, *added]
            chunk.batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
            yield chunk


# Text -----------------------------------------------------------------------------------------


class _Text(Reader):
    """A file of records that end with a line break; read in blocks of whole records."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._raw: Any = None
        self._stream: BinaryIO | None = None
        self._begun: Iterator[tuple[Position, bytes, float]] | None = None
        if source.size == 0:
            raise JobRefused(f"{source.name}: is empty")

    def _open(self, offset: int) -> None:
        """Goes to an offset. A compressed file is read up to there."""
        if self.source.path == STANDARD:
            self._raw = pa.PythonFile(_standard_input(), "r")
            self._stream = self._decompressed(self._raw)
            return
        if self.source.format.compression is None:
            self._raw = self._stream = open(self.source.path, "rb", buffering=0)  # noqa: SIM115
            self._stream.seek(offset)
            return
        self._raw = pa.OSFile(self.source.path)
        self._stream = self._decompressed(self._raw)
        while offset:
            passed = len(self._read(min(offset, BLOCK)))
            if not passed:
                raise JobFailed(f"{self.source.name}: is shorter than it was")
            offset -= passed

    def _decompressed(self, raw: Any) -> Any:
        kind = self.source.format.compression
        return pa.CompressedInputStream(raw, kind) if kind else raw

    def _read(self, size: int) -> bytes:
        assert self._stream is not None  # noqa: S101 (for the type checker)
        return self._stream.read(size)

    def _fraction(self, offset: int) -> float:
        """How much of the file lies before an offset; the compressed bytes count, where it is."""
        if not self.source.size:
            return 0.0
        at = offset if self.source.format.compression is None else self._raw.tell()
        return float(min(1.0, at / self.source.size))

    def sample(self, size: int) -> list[bytes]:
        """The first blocks, at least so many bytes if there are. Standard input keeps them."""
        reading = self._blocks(Position())
        taken = []
        for block in reading:
            taken.append(block)
            size -= len(block[1])
            if size <= 0:
                break
        if self.source.path == STANDARD:
            self._begun = chain(taken, reading)
        return [block for _, block, _ in taken]

    def blocks(self, start: Position) -> Iterator[tuple[Position, bytes, float]]:
        """Blocks of whole records, each with its position and the fraction behind it."""
        return self._begun or self._blocks(start)

    def _blocks(self, start: Position) -> Iterator[tuple[Position, bytes, float]]:
        offset, line = start.offset, start.line
        rest = b""
        try:
            self._open(offset)
        except OSError as error:
            raise JobRefused(f"{self.source.name}: can't be read ({_cause(error)})") from None
        try:
            while True:
                data = self._read(BLOCK)
                block = rest + data
                if offset == 0 and line == 1:
                    self._check_start(block)
                end = self.cut(block, not data)
                if end < 0 or (end == 0 and len(block) > LONGEST):
                    at, why = self.broken(block)
                    raise JobFailed(f"{self.source.name}, line {line + at}: {why}")
                if end:
                    read = offset + end
                    yield Position(0, line, offset), block[:end], self._fraction(read)
                    offset, line = read, line + block.count(b"\n", 0, end)
                rest = block[end:]
                if not data:
                    return
        except (OSError, pa.ArrowException) as error:
            read = line - 1 + rest.count(b"\n")
            raise JobFailed(
                f"{self.source.name}, behind line {read}: can't be read ({_cause(error)})"
            ) from None
        finally:
            if self._stream is not None and self.source.path != STANDARD:
                self._stream.close()

    def _check_start(self, block: bytes) -> None:
        if block[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise JobFailed(f"{self.source.name}: is UTF-16, and must be UTF-8")

    def cut(self, block: bytes, last: bool) -> int:
        """Where the last whole record of a block ends; -1 if there is none in the last block."""
        return len(block) if last else block.rfind(b"\n") + 1

    def broken(self, block: bytes) -> tuple[int, str]:
        """The line (from 0) and the reason why a block has no end."""
        return 0, f"is longer than {LONGEST >> 20} MiB"


_BOM = b"\xef\xbb\xbf"


class Csv(_Text):
    """CSV, TSV: all columns are text, so that each value stays as it is written.

    A quote counts where a field begins with it, as everywhere in Arrow.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.delimiter = "\t" if source.format.kind == "tsv" else ","
        self._field = re.compile(
            rb'(?:"((?:[^"]|"")*)("|\Z))?[^%b\r\n]*(?:%b|\r?\n|\r|\Z)'
            % ((self.delimiter.encode(),) * 2)
        )
        block = b"".join(self.sample(1))
        if not block:
            raise JobRefused(f"{source.name}: is empty")
        self._header = len(_BOM) if block.startswith(_BOM) else 0
        self._header += self._records(block[self._header :])[0]
        try:
            text = block[: self._header].decode("utf-8-sig")
        except UnicodeDecodeError:
            raise JobRefused(f"{source.name}: its header is not UTF-8") from None
        names = next(python_csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter), [])
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise JobRefused(f"{source.name}: has two columns {twice!r}")
        if not names:
            raise JobRefused(f"{source.name}: has no header in its first line")
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])
        self._header_lines = block.count(b"\n", 0, self._header)

    def chunks(self, start: Position) -> Iterator[Chunk]:
        row = start.row
        for at, block, fraction in self.blocks(start):
            if at.offset == 0:
                whole = block
                block = whole[self._header :]
                at = Position(0, at.line + self._header_lines, len(whole) - len(block))
                if not block:
                    continue
            batch, bad = self._parse(block, row)
            taken = np.arange(row, row + batch.num_rows + len(bad), dtype=np.uint64)
            if bad:
                taken = np.delete(taken, [each.row - row for each in bad])
            here = Position(row, at.line, at.offset)
            row += batch.num_rows + len(bad)
            line = at.line + block.count(b"\n")
            end = Position(row, line, at.offset + len(block))
            yield Chunk(batch, taken, here, end, fraction, bad, self._lines(block, here))

    def _lines(self, block: bytes, start: Position) -> Callable[[int], int]:
        """What finds the line of a row of a block."""
        lines: list[int] = []

        def line_of(row: int) -> int:
            if not lines:
                begin = 0
                for end in self._records(block):
                    if block[begin:end].strip(b"\r\n"):
                        lines.append(start.line + block.count(b"\n", 0, begin))
                    begin = end
            return lines[row - start.row]

        return line_of

    def _parse(self, block: bytes, row: int) -> tuple[pa.RecordBatch, list[BadLine]]:
        bad: list[BadLine] = []

        def ragged(found: Any) -> str:
            cells = "1 column" if found.actual_columns == 1 else f"{found.actual_columns} columns"
            reason = f"has {cells} where the header has {found.expected_columns}"
            bad.append(BadLine(row + found.number - 1, "", reason, found.text))
            return "skip"

        def parsed(kind: pa.DataType) -> pa.Table:
            bad.clear()
            names = self.schema.names
            return pyarrow.csv.read_csv(
                pa.BufferReader(block),
                pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(block) + 1, column_names=names
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=ragged
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, kind), strings_can_be_null=False
                ),
            )

        try:
            table = parsed(pa.string())
        except pa.ArrowInvalid:
            # Some value is not UTF-8: those rows are bad, the others are not.
            return self._not_utf8(parsed(pa.binary()), bad, row)
        return _one_batch(table), bad

    def _not_utf8(
        self, table: pa.Table, bad: list[BadLine], row: int
    ) -> tuple[pa.RecordBatch, list[BadLine]]:
        ragged = {each.row for each in bad}
        numbers = [n for n in range(row, row + len(table) + len(bad)) if n not in ragged]
        good = np.ones(len(table), np.bool_)
        for name in table.column_names:
            for place, value in enumerate(table[name].to_pylist()):
                try:
                    value.decode()
                except UnicodeDecodeError:
                    if good[place]:
                        text = value.decode(errors="replace")
                        bad.append(BadLine(numbers[place], name, "must be valid UTF-8", text))
                    good[place] = False
        kept = _one_batch(table.filter(pa.array(good)))
        columns = [column.cast(pa.string()) for column in kept.columns]
        bad.sort()
        return pa.RecordBatch.from_arrays(columns, schema=self.schema), bad

    # Where records end -------------------------------------------------------------------------

    def cut(self, block: bytes, last: bool) -> int:
        if b'"' not in block:
            return super().cut(block, last)
        data = np.frombuffer(block, np.uint8)
        quotes = np.flatnonzero(data == ord('"'))
        if not self._regular(data, quotes):
            if last:
                return len(block) if self._open_quote(block) is None else -1
            whole = [end for end in self._ends(block) if block[end - 1 : end] == b"\n"]
            return whole[-1] if whole else 0
        if last:
            return len(block) if len(quotes) % 2 == 0 else -1
        breaks = np.flatnonzero(data == ord("\n"))
        outside = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
        return int(outside[-1]) + 1 if len(outside) else 0

    def _regular(self, data: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64]) -> bool:
        """Whether quotes only open where a field begins, and only close where it ends: then every
        second one closes."""
        beside = np.zeros(256, np.bool_)
        beside[list(b'"\r\n' + self.delimiter.encode())] = True
        opening, closing = quotes[0::2], quotes[1::2]
        if len(opening) and opening[0] == 0:
            opening = opening[1:]
        if len(closing) and closing[-1] == len(data) - 1:
            closing = closing[:-1]
        before = beside[data[opening - 1]]
        if len(opening) and opening[0] == 3 and data[:3].tobytes() == _BOM:
            before[0] = True
        return bool(before.all() and beside[data[closing + 1]].all())

    def _records(self, block: bytes) -> list[int]:
        """Where each record of a block ends; the last may be a part of one."""
        ends = self._ends(block)
        if not ends or ends[-1] != len(block):
            ends.append(len(block))
        return ends

    def _ends(self, block: bytes) -> list[int]:
        """The ends of the lines of a block that are ends of records, field by field."""
        if b'"' not in block:
            return [match.end() for match in re.finditer(rb"\r?\n|\r", block)]
        return [
            match.end()
            for match in self._field.finditer(block)
            if match[0][-1:] in (b"\n", b"\r")
            and (match[1] is None or match[2])  # else it ends within quotes
        ]

    def _open_quote(self, block: bytes) -> int | None:
        """Where a quote is opened that is never closed."""
        for match in self._field.finditer(block):
            if match[1] is not None and not match[2]:
                return match.start()
        return None

    def broken(self, block: bytes) -> tuple[int, str]:
        at = self._open_quote(block)
        if at is None:
            return super().broken(block)
        return block.count(b"\n", 0, at), "a quote is opened here that is never closed"


class JsonLines(_Text):
    """JSON Lines. The first rows say what columns there are, and of which types."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        sample = b"".join(self.sample(8 * BLOCK))
        self.schema = _text_for_times(self._inferred(sample.removeprefix(_BOM)))
        if not self.schema.names:
            raise JobRefused(f"{source.name}: holds no JSON object with columns")

    def chunks(self, start: Position) -> Iterator[Chunk]:
        row = start.row
        for at, block, fraction in self.blocks(start):
            here = Position(row, at.line, at.offset)
            text = block.removeprefix(_BOM) if at.offset == 0 else block
            numbered = [
                (place, line) for place, line in enumerate(text.split(b"\n")) if line.strip()
            ]
            lines = [at.line + place for place, _ in numbered]
            bad: list[BadLine] = []
            try:
                batch = _one_batch(self._fast(text))
                if batch.num_rows != len(lines):  # several objects in a line, or one in several
                    raise pa.ArrowInvalid("not one object a line")
            except pa.ArrowException:
                batch, bad = self._slow([line for _, line in numbered], row)
            taken = np.arange(row, row + len(lines), dtype=np.uint64)
            if bad:
                taken = np.delete(taken, [each.row - row for each in bad])
            row += len(lines)
            end = Position(row, at.line + block.count(b"\n"), at.offset + len(block))
            yield Chunk(batch, taken, here, end, fraction, bad, _line_of(here.row, lines))

    def _fast(self, text: bytes) -> pa.Table:
        if not text.strip():
            return self.schema.empty_table()
        return pyarrow.json.read_json(
            pa.BufferReader(text),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            pyarrow.json.ParseOptions(
                explicit_schema=self.schema, unexpected_field_behavior="error"
            ),
        )

    def _slow(self, lines: list[bytes], row: int) -> tuple[pa.RecordBatch, list[BadLine]]:
        """Line by line, to find those that are bad."""
        bad: dict[int, BadLine] = {}
        rows: list[dict[str, Any]] = []

        def reject(place: int, name: str, reason: str) -> None:
            text = lines[place].decode(errors="replace").rstrip("\r")
            bad.setdefault(place, BadLine(row + place, name, reason, text))

        for place, line in enumerate(lines):
            try:
                found = python_json.loads(line)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                reject(place, "", "is not a JSON object")
                found = {}
            for name in found.keys() - set(self.schema.names):
                reject(place, name, "is a column that the first rows don't have")
            rows.append(found)
        columns = []
        for each in self.schema:
            values = [found.get(each.name) for found in rows]
            try:
                columns.append(pa.array(values, each.type))
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                for place, value in enumerate(values):
                    try:
                        pa.array([value], each.type)
                    except (pa.ArrowException, TypeError, ValueError, OverflowError):
                        kind = f"{each.type}, as in the first rows"
                        reject(place, each.name, f"must be {kind}, not {type(value).__name__}")
                        values[place] = None
                columns.append(pa.array(values, each.type))
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        if bad:
            good = np.ones(len(lines), np.bool_)
            good[list(bad)] = False
            batch = batch.filter(pa.array(good))
        return batch, [bad[place] for place in sorted(bad)]

    def _inferred(self, sample: bytes) -> pa.Schema:
        try:
            return pyarrow.json.read_json(
                pa.BufferReader(sample),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(sample) + 1),
            ).schema
        except pa.ArrowException:
            pass
        types: dict[str, pa.DataType] = {}
        for line in sample.split(b"\n"):
            try:
                found = python_json.loads(line)
                for name, value in found.items() if isinstance(found, dict) else ():
                    if types.get(name) in (None, pa.null()):
                        types[name] = pa.array([value]).type
            except (ValueError, pa.ArrowException):
                continue
        return pa.schema(list(types.items()))


def _line_of(first: int, lines: list[int]) -> Callable[[int], int]:
    return lambda row: lines[row - first]


def _text_for_times(schema: pa.Schema) -> pa.Schema:
    """A schema as JSON has it: what looks like a time stays a text; nothing yet may become one."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind) or pa.types.is_null(kind):
            return pa.string()
        if pa.types.is_list(kind):
            return pa.list_(plain(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([pa.field(each.name, plain(each.type)) for each in kind])
        return kind

    return pa.schema([pa.field(each.name, plain(each.type)) for each in schema])


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """A small table as one batch."""
    batches = table.combine_chunks().to_batches()
    if not batches:
        return pa.RecordBatch.from_arrays(
            [pa.array([], each.type) for each in table.schema], schema=table.schema
        )
    return batches[0]


# Binary ---------------------------------------------------------------------------------------


class Parquet(Reader):
    """Parquet, a piece of a row group at a time."""

    def __init__(self, source: Source) -> None:
        if source.path == STANDARD:
            raise JobRefused("parquet can't be read from standard input: it is read from its end")
        self.source = source
        # Without buffers of its own, a whole row group would lie in memory.
        self.file = pyarrow.parquet.ParquetFile(source.path, buffer_size=1 << 20, pre_buffer=False)
        self.schema = self.file.schema_arrow
        self.count = self.file.metadata.num_rows

    def chunks(self, start: Position) -> Iterator[Chunk]:
        row, total = start.row, max(1, self.file.metadata.num_rows)
        for group in range(start.offset, self.file.num_row_groups):
            meta = self.file.metadata.row_group(group)
            if not meta.num_rows:
                continue
            wide = max(1, meta.total_byte_size // meta.num_rows)
            size = int(max(256, min(ROWS, BATCH // wide)))
            inside = 0
            try:
                for batch in self.file.iter_batches(size, [group], use_threads=False):
                    inside += batch.num_rows
                    passed = inside - batch.num_rows
                    if group == start.offset and passed < start.skip:
                        continue
                    here = Position(row, 1, group, passed)
                    row += batch.num_rows
                    end = Position(row, 1, group, inside)
                    yield Chunk(batch, _numbers(here.row, row), here, end, row / total)
            except (OSError, pa.ArrowException) as error:
                raise JobFailed(
                    f"{self.source.name}, behind row {row}: can't be read ({_cause(error)})"
                ) from None


class Arrow(Reader):
    """Arrow IPC, the file and the stream, a record batch or a piece of one at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source
        if source.size == 0:
            raise JobRefused(f"{source.name}: is empty")
        self._reader: Any = self._open()
        self.schema = self._reader.schema

    def _open(self) -> Any:
        if self.source.path == STANDARD:
            raw: Any = pa.PythonFile(_standard_input(), "r")
        else:
            raw = pa.OSFile(self.source.path)
            if self.source.format.compression is None and raw.read(6) == b"ARROW1":
                raw.seek(0)
                return pyarrow.ipc.open_file(raw)
            raw.seek(0)
        self._raw = raw
        kind = self.source.format.compression
        return pyarrow.ipc.open_stream(pa.CompressedInputStream(raw, kind) if kind else raw)

    def _batches(self, first: int) -> Iterator[tuple[pa.RecordBatch, float]]:
        if hasattr(self._reader, "num_record_batches"):
            total = self._reader.num_record_batches
            for place in range(first, total):
                yield self._reader.get_batch(place), (place + 1) / total
            return
        reader = self._reader or self._open()
        self._reader = None  # a stream is read once
        for place, batch in enumerate(reader):
            if place >= first:
                yield batch, self._raw.tell() / self.source.size if self.source.size else 0.0

    def chunks(self, start: Position) -> Iterator[Chunk]:
        row = start.row
        try:
            for place, (batch, fraction) in enumerate(self._batches(start.offset), start.offset):
                wide = max(1, batch.nbytes // max(1, batch.num_rows))
                size = int(max(256, min(ROWS, BATCH // wide)))
                for passed in range(0, batch.num_rows, size):
                    if place == start.offset and passed < start.skip:
                        continue
                    piece = batch.slice(passed, size)
                    here = Position(row, 1, place, passed)
                    row += piece.num_rows
                    end = Position(row, 1, place, passed + piece.num_rows)
                    yield Chunk(piece, _numbers(here.row, row), here, end, fraction)
        except (OSError, pa.ArrowException) as error:
            raise JobFailed(
                f"{self.source.name}, behind row {row}: can't be read ({_cause(error)})"
            ) from None


def _numbers(start: int, stop: int) -> npt.NDArray[np.uint64]:
    return np.arange(start, stop, dtype=np.uint64)


# Several files --------------------------------------------------------------------------------


def fitted(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """A batch with the columns of a schema: in its order, of its types."""
    if batch.schema.equals(schema):
        return batch
    try:
        columns = [
            column if column.type == each.type else column.cast(each.type)
            for each in schema
            for column in (batch.column(each.name),)
        ]
    except pa.ArrowException as error:
        raise JobFailed(f"{name}: its columns differ from the first file's ({error})") from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check_fits(schema: pa.Schema, first: pa.Schema, name: str, first_name: str) -> None:
    """`JobRefused` if a file has other columns than the first, or types that can't become its."""
    for less, more, where, other in (
        (schema, first, name, first_name),
        (first, schema, first_name, name),
    ):
        lacking = [each for each in more.names if each not in less.names]
        if lacking:
            raise JobRefused(f"{where}: lacks the column {lacking[0]!r} of {other}")
    for each in first:
        kind = schema.field(each.name).type
        try:
            pc.cast(pa.array([], kind), each.type)
        except pa.ArrowException:
            raise JobRefused(
                f"{name}: its column {each.name!r} is {kind}, that of {first_name} {each.type}"
            ) from None
