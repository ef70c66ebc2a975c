"""``fasttoken verify-file``: a column of tokens in a file."""

from __future__ import annotations

import csv
import json as jsonlib
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ..errors import FieldError, RowsError
from ..reasons import CODES
from ..verdicts import Verdicts
from . import console

CHUNK = 10_000  # rows in memory at a time
FORMATS = ("csv", "tsv", "jsonl", "parquet")
ADDED = ("ok", "codes", "expires_at")

Row = dict[str, Any]


def verify_file(
    path: Annotated[
        Path,
        typer.Argument(
            help="A CSV, TSV, JSON Lines or Parquet file.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ],
    column: Annotated[str, typer.Option(help="The column of the tokens.")] = "token",
    channel_column: Annotated[
        str | None, typer.Option(help="The column of the channel names.", show_default=False)
    ] = None,
    uid_column: Annotated[
        str | None,
        typer.Option(help="The column of the uids, accounts or user ids.", show_default=False),
    ] = None,
    channel: console.Channel = None,
    uid: console.Uid = None,
    account: console.Account = None,
    privilege: console.Privilege = None,
    now: console.Now = None,
    leeway: console.Leeway = 0,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, tsv, jsonl or parquet. [default: by name]", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write all rows, with the columns ok, codes and expires_at, to this .csv, .tsv or "
            ".jsonl file.",
            show_default=False,
        ),
    ] = None,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """Verify every token of a file, and count the reasons.

    Exits with 0 if all are accepted, and with 1 if any is rejected. A cell that is empty leaves the
    channel or user out of question. Parquet needs pyarrow: pip install 'fasttoken[arrow]'.
    """
    read = _reader(path, file_format)
    writer = _Writer(output)
    at, user = console.moment("--now", now), console.user(uid, account)
    project = console.project(env_file)
    count, complete = _Count(), False
    try:
        for rows in _chunks(read):
            first = count.rows + 1
            try:
                verdicts = project.verify_many(
                    _column(rows, column, first),
                    _cells(rows, channel_column, first) if channel_column else channel,
                    [_uid(c) for c in _cells(rows, uid_column, first)] if uid_column else user,
                    privilege=privilege,
                    now=at,
                    leeway=leeway,
                )
            except RowsError as error:
                bad = error.rows[0]
                raise FieldError(f"row {first + bad.index}", bad.reason) from None
            writer.write(rows, verdicts)
            count.add(verdicts)
        complete = True
    finally:
        writer.close(complete)
    if json:
        console.in_json(count.to_data())
    else:
        count.show()
    raise typer.Exit(console.ACCEPTED if count.accepted == count.rows else console.REJECTED)


# Reading ------------------------------------------------------------------------------------------


def _format(path: Path, given: str | None, option: str, known: tuple[str, ...]) -> str:
    found = (given or path.suffix.lstrip(".")).lower()
    found = {"ndjson": "jsonl", "pq": "parquet"}.get(found, found)
    if found not in known:
        raise FieldError(option, f"must be one of {', '.join(known)}")
    return found


def _reader(path: Path, given: str | None) -> Iterator[Row]:
    """The rows of a file. `FieldError` for one that can't be read."""
    found = _format(path, given, "--format", FORMATS)
    read: Callable[[Path], Iterator[Row]] = _parquet
    if found == "jsonl":
        read = _jsonl
    elif found != "parquet":
        read = lambda path: _csv(path, "\t" if found == "tsv" else ",")  # noqa: E731

    def rows() -> Iterator[Row]:
        try:
            yield from read(path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FieldError(path.name, f"can't be read ({error})") from None

    return rows()


def _csv(path: Path, delimiter: str) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        for row in reader:
            if None in row:
                raise FieldError(f"line {reader.line_num}", "has more cells than the header")
            yield row


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = jsonlib.loads(text)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise FieldError(f"line {number}", "is not a JSON object")
            yield row


def _parquet(path: Path) -> Iterator[Row]:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise FieldError(
            path.name, "needs pyarrow to be read", "pip install 'fasttoken[arrow]'"
        ) from None
    try:
        for batch in parquet.ParquetFile(path).iter_batches(CHUNK):
            yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise FieldError(path.name, f"can't be read ({error})") from None


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _column(rows: list[Row], name: str, first: int) -> list[Any]:
    """A column; it must be in every row."""
    for number, row in enumerate(rows, first):
        if name not in row:
            has = ", ".join(map(str, row)) or "none"
            raise FieldError(f"row {number}", f"has no column {name!r}; it has {has}")
    return [row[name] for row in rows]


def _cells(rows: list[Row], name: str, first: int) -> list[Any]:
    """A column whose empty cells say nothing."""
    return [None if cell == "" else cell for cell in _column(rows, name, first)]


def _uid(cell: Any) -> Any:
    """A uid; in text files, digits are a number."""
    if isinstance(cell, str) and re.fullmatch("0|-?[1-9][0-9]{0,18}", cell):
        return int(cell)
    return cell


# Writing ------------------------------------------------------------------------------------------


class _Writer:
    """Writes the rows with what was found out about them, if a file was asked for.

    The file has its name only when it is complete.
    """

    def __init__(self, path: Path | None) -> None:
        self.file: TextIO | None = None
        self.csv: csv.DictWriter[str] | None = None
        if path is None:
            return
        self.format = _format(path, None, "--output", FORMATS[:3])
        self.path, self.part = path, path.with_name(f"{path.name}.part")
        try:
            self.file = self.part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise FieldError("--output", f"can't be written ({error.strerror})") from None

    def write(self, rows: list[Row], verdicts: Verdicts) -> None:
        """Writes some rows."""
        if self.file is None:
            return
        text = self.format != "jsonl"
        for row, verdict in zip(rows, verdicts, strict=True):
            codes = " ".join(verdict.codes) if text else verdict.codes
            ok = str(verdict.ok).lower() if text else verdict.ok
            found = row | dict(zip(ADDED, (ok, codes, verdict.expires_at), strict=True))
            if not text:
                self.file.write(jsonlib.dumps(found, ensure_ascii=False, default=str) + "\n")
                continue
            if self.csv is None:
                delimiter = "\t" if self.format == "tsv" else ","
                self.csv = csv.DictWriter(
                    self.file, list(found), delimiter=delimiter, extrasaction="ignore"
                )
                self.csv.writeheader()
            self.csv.writerow(found)

    def close(self, complete: bool) -> None:
        """Closes the file, and gives it its name if it is complete."""
        if self.file is None:
            return
        self.file.close()
        if complete:
            self.part.replace(self.path)
        else:
            self.part.unlink()


class _Count:
    """How many rows there were, and how many of them gave each code."""

    def __init__(self) -> None:
        self.rows = 0
        self.accepted = 0
        self.codes: dict[str, list[int]] = {}  # the number of rows, and the first of them

    def add(self, verdicts: Verdicts) -> None:
        """Counts some verdicts."""
        for number, codes in enumerate(verdicts.codes, self.rows + 1):
            for code in codes:
                self.codes.setdefault(code, [0, number])[0] += 1
        self.rows += len(verdicts)
        self.accepted += int(verdicts.ok.sum())

    def to_data(self) -> dict[str, Any]:
        """The counts as plain data, the most frequent code first."""
        ordered = sorted(self.codes.items(), key=lambda item: (-item[1][0], item[0]))
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "rejected": self.rows - self.accepted,
            "codes": [
                {"code": code, "severity": CODES[code].severity, "rows": rows, "first_row": first}
                for code, (rows, first) in ordered
            ],
        }

    def show(self) -> None:
        """Prints the counts."""
        data = self.to_data()
        console.line(
            f"{data['rows']} rows: {data['accepted']} accepted, {data['rejected']} rejected"
        )
        for row in data["codes"]:
            colour = "red" if row["severity"] == "error" else "yellow"
            text = f"{row['severity']} {row['code']}: {row['rows']} rows, the first is row"
            console.line(f"  {text} {row['first_row']}", colour)
