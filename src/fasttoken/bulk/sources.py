"""Sources: the files of a job and their formats, found from names, globs and folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ..errors import JobRefused

STANDARD = "-"  # standard input, or standard output
SUFFIXES = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
    "arrows": "arrows",
}
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}
TEXT = ("csv", "tsv", "jsonl")
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


@dataclass(frozen=True)
class Format:
    """A file format, such as ``csv.gz``: its kind (one of `FORMATS`) and its compression."""

    kind: str
    compression: str | None = None

    def __str__(self) -> str:
        short = {"gzip": ".gz", "zstd": ".zst", None: ""}
        return self.kind + short[self.compression]


@dataclass(frozen=True)
class Source:
    """A file to read. ``partition``: columns that the names of its folders give, as in
    ``day=1/part.parquet``; ``size`` in bytes, None for standard input."""

    path: str
    format: Format
    size: int | None
    partition: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The file as messages call it."""
        return "standard input" if self.path == STANDARD else self.path


def file_format(path: str, given: str | None, option: str) -> Format:
    """The format that was given, or else that of the file's name."""
    if path == STANDARD and not given:
        raise JobRefused(f"{option} must say the format of what has no name")
    words = (given or Path(path).name).lower().split(".")
    compression = None
    if len(words) > 1 and words[-1] in COMPRESSIONS:
        compression = COMPRESSIONS[words.pop()]
    kind = SUFFIXES.get(words[-1])
    if kind is None:
        what = f"{option} {given}" if given else path
        known = ", ".join(FORMATS)
        raise JobRefused(f"{what}: the format must be one of {known}, with .gz or .zst if need be")
    if compression and kind in ("parquet", "arrow"):
        mend = "parquet compresses its own columns" if kind == "parquet" else "use arrows"
        raise JobRefused(f"{given or path}: {kind} can't be in {compression}; {mend}")
    return Format(kind, compression)


def find(inputs: Sequence[str], given: str | None) -> list[Source]:
    """The files behind names, globs and folders, in a fixed order."""
    found: list[Source] = []
    for text in inputs:
        if text == STANDARD:
            found.append(Source(STANDARD, file_format(STANDARD, given, "--from"), None))
        elif os.path.isdir(text):
            found += _in_folder(text, given)
        elif os.path.exists(text):
            found.append(_source(text, given))
        else:
            paths = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []
            if not paths:
                raise JobRefused(f"{text}: there is no such file")
            for path in paths:
                found += _in_folder(path, given) if os.path.isdir(path) else [_source(path, given)]
    if not found:
        raise JobRefused("there is no input")
    if any(source.size is None for source in found) and len(found) > 1:
        raise JobRefused("standard input can't be read beside files")
    return found


def _source(path: str, given: str | None, partition: tuple[tuple[str, str], ...] = ()) -> Source:
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise JobRefused(f"{path}: can't be read ({error.strerror})") from None
    return Source(path, file_format(path, given, "--from"), size, partition)


def _in_folder(folder: str, given: str | None) -> list[Source]:
    """The files of a folder as a partitioned dataset; what begins with . or _ is no part of it."""
    found = []
    for root, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        steps = os.path.relpath(root, folder).split(os.sep)
        keys = tuple(
            (unquote(key), unquote(value))
            for key, equals, value in (step.partition("=") for step in steps)
            if equals
        )
        for name in sorted(name for name in files if name[0] not in "._"):
            found.append(_source(os.path.join(root, name), given, keys))
    if not found:
        raise JobRefused(f"{folder}: the folder holds no files")
    return found


def _unreadable(error: OSError) -> None:
    raise JobRefused(f"{error.filename}: can't be read ({error.strerror})")
