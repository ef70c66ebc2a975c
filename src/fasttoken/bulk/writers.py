"""Writers: one class per file format, from record batches to a file that can be gone on with.

A writer appends to a file under a temporary name. What `checkpoint` returns is plain data with
which `resume` cuts off everything that came behind, so that no row is there twice or half.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from .options import ADDED
from .parquet_footer import joined
from .sources import STANDARD, TEXT, Format

# How hard to compress: the signature in a token is as good as random, so more would gain little.
_LEVELS = {"gzip": 1, "zstd": 1}
State = dict[str, Any]


class Writer(ABC):
    """A file in the making. ``encode`` may be called on any thread, the rest on one."""

    def __init__(self, path: str, schema: pa.Schema, form: Format) -> None:
        self.path = path
        self.schema = schema
        self.format = form

    def encode(self, batch: pa.RecordBatch) -> Any:
        """A batch as `write` takes it."""
        return batch

    @abstractmethod
    def write(self, encoded: Any) -> None:
        """Appends a batch."""

    @abstractmethod
    def checkpoint(self) -> State:
        """What `resume` needs to go on behind what was written so far, once `sync` has run."""

    @abstractmethod
    def sync(self) -> None:
        """Makes what was written so far last. May be called on any thread."""

    @abstractmethod
    def resume(self, state: State) -> None:
        """Goes on behind a checkpoint of an earlier writer. The first call, if there is one."""

    @abstractmethod
    def finish(self) -> None:
        """Completes the file and makes it last. Follows a checkpoint that was recorded."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file as it is."""


def open_writer(path: str, schema: pa.Schema, form: Format) -> Writer:
    """The writer of a format; nothing is opened yet."""
    writers: dict[str, Callable[[str, pa.Schema, Format], Writer]] = {
        **dict.fromkeys(TEXT, Text),
        "parquet": Parquet,
        "arrow": Arrow,
        "arrows": Arrow,
    }
    return writers[form.kind](path, schema, form)


def _open(path: str, state: State | None) -> BinaryIO:
    """A file to write from its start, or from a checkpoint on."""
    if path == STANDARD:
        return sys.stdout.buffer
    if state is None:
        return open(path, "x+b", buffering=0)
    file = open(path, "r+b", buffering=0)  # noqa: SIM115
    file.truncate(state["offset"])
    file.seek(state["offset"])
    return file


def sync(file: BinaryIO) -> None:
    """Makes a file last, where it is one."""
    file.flush()
    if file is not sys.stdout.buffer:
        os.fsync(file.fileno())


def write_all(file: BinaryIO, data: Any) -> None:
    """Writes everything: what is unbuffered may write a part and report a full disk later."""
    view = memoryview(data).cast("B")
    while len(view):
        view = view[file.write(view) :]


# Text -----------------------------------------------------------------------------------------


class Text(Writer):
    """CSV, TSV and JSON Lines; compressed, each batch is a member of its own."""

    def __init__(self, path: str, schema: pa.Schema, form: Format) -> None:
        super().__init__(path, schema, form)
        self._file: BinaryIO | None = None
        self._lines = _json_lines if form.kind == "jsonl" else self._csv_lines
        self._delimiter = "\t" if form.kind == "tsv" else ","

    @property
    def file(self) -> BinaryIO:
        """The file, opened when it is first needed."""
        if self._file is None:
            self._file = _open(self.path, None)
            if self.format.kind != "jsonl":
                row = pa.RecordBatch.from_arrays(
                    [pa.array([name]) for name in self.schema.names], names=self.schema.names
                )
                write_all(self._file, self._compressed(self._csv_lines(row)))
        return self._file

    def encode(self, batch: pa.RecordBatch) -> Any:
        if not batch.num_rows:
            return b""
        return self._compressed(self._lines(_flat(batch, self.format.kind != "jsonl")))

    def _compressed(self, data: Any) -> Any:
        kind = self.format.compression
        if kind is None:
            return data
        return pa.Codec(kind, compression_level=_LEVELS[kind]).compress(data)

    def _csv_lines(self, batch: pa.RecordBatch) -> Any:
        out = pa.BufferOutputStream()
        options = {"include_header": False, "delimiter": self._delimiter, "batch_size": 1 << 20}
        try:
            pa.csv.write_csv(batch, out, pa.csv.WriteOptions(quoting_style="none", **options))
            return out.getvalue()
        except pa.ArrowInvalid:  # some value needs quotes
            special = f'["\r\n{self._delimiter}]'
            columns = [
                column if batch.schema.names[place] in ADDED else _quoted(column, special)
                for place, column in enumerate(batch.columns)
            ]
            return _joined([_nulls(column, "") for column in columns], self._delimiter)

    def write(self, encoded: Any) -> None:
        write_all(self.file, encoded)

    def checkpoint(self) -> State:
        self.file.flush()
        return {"offset": 0 if self.path == STANDARD else self.file.tell()}

    def sync(self) -> None:
        sync(self.file)

    def resume(self, state: State) -> None:
        self._file = _open(self.path, state)

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None and self._file is not sys.stdout.buffer:
            self._file.close()


def _flat(batch: pa.RecordBatch, json_within: bool) -> pa.RecordBatch:
    """A batch without dictionaries; unless the format has them, nested values become JSON."""
    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.dictionary_decode()
        elif json_within and (pa.types.is_nested(kind) or _is_binary(kind)):
            column = pa.array(
                [
                    None if value is None else _encoded(value) if _is_binary(kind) else _json(value)
                    for value in column.to_pylist()
                ],
                pa.large_string(),
            )
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(value: Any) -> str:
    """A value as JSON: bytes in base64, times as ISO 8601 has them, what is no number null."""

    def other(value: Any) -> str:
        if isinstance(value, bytes):
            return _encoded(value)
        return value.isoformat() if hasattr(value, "isoformat") else str(value)

    try:
        return json.dumps(value, ensure_ascii=False, default=other, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=other)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_LARGE = pa.large_string()


def _texts(column: Any) -> Any:
    return column if column.type == _LARGE else column.cast(_LARGE)


def _nulls(column: Any, text: str) -> Any:
    column = _texts(column)
    return column if not column.null_count else pc.fill_null(column, pa.scalar(text, _LARGE))


def _quoted(column: Any, special: str) -> Any:
    """A column of CSV: quotes where a value has something special."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    column = _texts(column)
    odd = pc.match_substring_regex(column, special)
    if not pc.any(odd).as_py():
        return column
    quote = pa.scalar('"', _LARGE)
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(odd, _concatenated([quote, doubled, quote]), column)


def _concatenated(parts: list[Any]) -> Any:
    return pc.binary_join_element_wise(*parts, pa.scalar("", _LARGE))


def _joined(columns: list[Any], delimiter: str) -> Any:
    """Lines of columns, as one buffer."""
    columns[-1] = _concatenated([columns[-1], pa.scalar("\n", _LARGE)])
    if len(columns) == 1:
        return _bytes(columns[0])
    return _bytes(pc.binary_join_element_wise(*columns, pa.scalar(delimiter, _LARGE)))


def _bytes(lines: Any) -> Any:
    """The characters of a column, one row behind the other, without a copy."""
    offsets = np.frombuffer(lines.buffers()[1], np.int64)
    first = int(offsets[lines.offset])
    size = int(offsets[lines.offset + len(lines)]) - first
    return lines.buffers()[2].slice(first, size)


def _json_lines(batch: pa.RecordBatch) -> Any:
    """A batch as JSON Lines, put together column by column."""
    parts: list[Any] = []
    before = "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        before += f"{json.dumps(name, ensure_ascii=False)}:"
        fragment, quote = _json_column(column, name in ADDED)
        parts += [pa.scalar(before + quote, _LARGE), fragment]
        before = f"{quote},"
    parts.append(pa.scalar(before[:-1] + "}\n", _LARGE))
    return _bytes(_concatenated(parts))


def _json_column(column: Any, plain: bool) -> tuple[Any, str]:
    """A column of JSON values, and the quote that belongs around each."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _texts(column)
        if not plain and pc.any(pc.match_substring_regex(column, r'[\x00-\x1f"\\]')).as_py():
            values = [None if v is None else _json(v)[1:-1] for v in column.to_pylist()]
            column = pa.array(values, _LARGE)
        if not column.null_count:
            return column, '"'
        quote = pa.scalar('"', _LARGE)
        return _nulls(_concatenated([quote, column, quote]), "null"), ""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _nulls(column, "null"), ""
    values = ["null" if v is None else _json(v) for v in column.to_pylist()]
    return pa.array(values, _LARGE), ""


# Parquet --------------------------------------------------------------------------------------


class Parquet(Writer):
    """Parquet: up to each checkpoint a whole file with one row group, one behind the other; the
    footer that `finish` writes makes one of them (see parquet_footer.py)."""

    def __init__(self, path: str, schema: pa.Schema, form: Format) -> None:
        super().__init__(path, schema, form)
        self._file: BinaryIO | None = None
        self._pieces: list[tuple[int, int]] = []
        self._group: list[pa.RecordBatch] = []

    @property
    def file(self) -> BinaryIO:
        """The file, opened when it is first needed."""
        if self._file is None:
            self._file = _open(self.path, None)
        return self._file

    def write(self, encoded: Any) -> None:
        self._group.append(encoded)

    def checkpoint(self) -> State:
        if self._group or not self._pieces:
            start = self._pieces[-1][1] if self._pieces else 0
            table, self._group = pa.Table.from_batches(self._group, self.schema), []
            inputs = [each.name for each in self.schema if each.name not in ADDED]
            with (
                pa.parquet.ParquetWriter(
                    pa.PythonFile(_Kept(self.file), "w"),
                    self.schema,
                    compression="zstd",  # halves the tokens at least, for less than half of minting
                    use_dictionary=[*inputs, *ADDED[1:]],
                    write_statistics=[*inputs, *ADDED[1:]],
                ) as piece
            ):
                piece.write_table(table, row_group_size=max(1, len(table)))
            self._pieces.append((start, self.file.tell()))
        return {"offset": self._pieces[-1][1], "pieces": list(self._pieces)}

    def sync(self) -> None:
        sync(self.file)

    def resume(self, state: State) -> None:
        self._pieces = [(start, end) for start, end in state["pieces"]]
        self._file = _open(self.path, state)

    def finish(self) -> None:
        if len(self._pieces) > 1:
            end = joined(self.file, self._pieces)
            self.file.seek(self._pieces[-1][1])
            write_all(self.file, end)
            self.sync()
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Kept(io.RawIOBase):
    """A file that stays open when its writer is done, and whose offsets begin where that began."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        write_all(self._file, data)
        return len(data)


# Arrow ----------------------------------------------------------------------------------------


class Arrow(Writer):
    """Arrow IPC: the file (``arrow``) and the stream (``arrows``).

    A footer names all batches of a file, and only its writer knows them: to go on behind a
    checkpoint is to copy what lies before it, which reads as a stream in both, to a new file.
    """

    def __init__(self, path: str, schema: pa.Schema, form: Format) -> None:
        super().__init__(path, schema, form)
        self._first = path
        self._before: str | None = None  # the file that was copied, until it is not needed
        self._copied = False  # since the last checkpoint
        self._generation = 0
        self._file: Any = None
        self._members: _Members | None = None
        self._writer: Any = None
        self._known: dict[str, Any] = {}  # the dictionary so far of each column that has one

    @property
    def writer(self) -> Any:
        """The writer of the format, opened when it is first needed."""
        if self._writer is None:
            if self.path == STANDARD:
                self._file = pa.PythonFile(sys.stdout.buffer, "w")
            else:
                open(self.path, "xb").close()
                self._file = pa.OSFile(self.path, "wb")
            sink = self._file
            if self.format.compression:
                self._members = _Members(self._file, self.format.compression)
                sink = pa.PythonFile(self._members, "w")
            new = pa.ipc.new_file if self.format.kind == "arrow" else pa.ipc.new_stream
            options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
            self._writer = new(sink, self.schema, options=options)
        return self._writer

    def write(self, encoded: Any) -> None:
        self.writer.write_batch(self._steady(encoded))
        if self._members:
            self._members.end()

    def _steady(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch whose dictionaries begin with those of the batches before: an IPC file has one
        for each column, which may only grow."""
        columns = batch.columns
        for place, column in enumerate(columns):
            if not pa.types.is_dictionary(column.type):
                continue
            name = self.schema.names[place]
            known = self._known.get(name)
            if known is not None and not column.dictionary.equals(known):
                before = pa.DictionaryArray.from_arrays(
                    pa.array([], column.type.index_type), known, ordered=column.type.ordered
                )
                both = pa.chunked_array([before, column]).unify_dictionaries()
                columns[place] = column = both.chunk(both.num_chunks - 1)
            self._known[name] = column.dictionary
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def checkpoint(self) -> State:
        if self._members and self.writer:
            self._members.end()
        self.writer  # noqa: B018 (opens the file, should nothing have been written)
        self._file.flush()
        if self._before and os.path.exists(self._before):
            if self._copied:
                self._copied = False  # the journal still names it
            else:
                os.unlink(self._before)
        return {"offset": self._file.tell(), "generation": self._generation}

    def sync(self) -> None:
        if self.path != STANDARD:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def _named(self, generation: int) -> str:
        return f"{self._first}.{generation}" if generation else self._first

    def resume(self, state: State) -> None:
        self._before = self._named(state["generation"])
        self._generation = state["generation"] + 1
        self.path = self._named(self._generation)
        self._copied = True
        if os.path.exists(self.path):
            os.unlink(self.path)
        with open(self._before, "r+b") as file:
            file.truncate(state["offset"])
        with pa.OSFile(self._before) as file:
            if self.format.kind == "arrow":
                file.seek(8)  # the magic of a file; behind it the stream begins
            kind = self.format.compression
            for batch in pa.ipc.open_stream(pa.CompressedInputStream(file, kind) if kind else file):
                self.write(batch)

    def finish(self) -> None:
        self.writer.close()
        if self._members:
            self._members.end()
        if self.path == STANDARD:
            self._file.flush()
            return
        self._file.close()
        self.sync()
        if self._before and os.path.exists(self._before):
            os.unlink(self._before)

    def close(self) -> None:
        if self._file is not None and self.path != STANDARD:
            self._file.close()


class _Members(io.RawIOBase):
    """What is written up to each ``end`` becomes one compressed member of a file."""

    def __init__(self, file: Any, kind: str) -> None:
        self._file = file
        self._codec = pa.Codec(kind, compression_level=_LEVELS[kind])
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(data)

    def end(self) -> None:
        """Writes what is held."""
        if self._held:
            self._file.write(self._codec.compress(b"".join(self._held)))
            self._held = []
