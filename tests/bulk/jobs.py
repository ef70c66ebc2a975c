"""What the tests of bulk jobs share: inputs, jobs as real processes, and outputs as plain rows."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from helpers import APP_ID, CERTIFICATE, ISSUE_TS, PACKAGE, SAME_CORE

from fasttoken import Project
from fasttoken.bulk import Options
from fasttoken.services import Rtc

PROJECT = Project(APP_ID, CERTIFICATE)
SEEDED = Options(issue_at=ISSUE_TS, salt_seed=11)
ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("FASTTOKEN_")},
    **SAME_CORE,
    "AGORA_APP_ID": APP_ID,
    "AGORA_APP_CERTIFICATE": CERTIFICATE,
    "PYTHONPATH": str(PACKAGE.parent),
    "COLUMNS": "200",
    "NO_COLOR": "1",
}
FIXED = ("--issue-at", str(ISSUE_TS), "--salt-seed", "11")
Rows = list[dict[str, Any]]


def attendees(count: int, first: int = 0) -> Rows:
    """Rows that can all be minted; names hold what text formats have to quote."""
    odd = ["Ann", 'Bo "B"', "Cy, Jr", "Dé\nE", ""]
    return [
        {
            "channel": f"room-{number % 7}",
            "uid": str(1 + number * 97),
            "role": "publisher" if number % 3 == 0 else "subscriber",
            "name": odd[number % len(odd)],
        }
        for number in range(first, first + count)
    ]


def write_csv(path: Path, rows: Rows, **options: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n", **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write(path: Path, rows: Rows) -> Path:
    """Rows in the format of the file's name, by other means than fasttoken's."""
    name = path.name
    if name.endswith(".gz"):
        plain = write(path.with_name(name[:-3]), rows)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    elif name.endswith(".zst"):
        plain = write(path.with_name(name[:-4]), rows)
        path.write_bytes(pa.Codec("zstd").compress(plain.read_bytes(), asbytes=True))
        plain.unlink()
    elif name.endswith(".csv"):
        write_csv(path, rows)
    elif name.endswith(".tsv"):
        write_csv(path, rows, delimiter="\t")
    elif name.endswith(".jsonl"):
        write_jsonl(path, rows)
    else:
        table = pa.Table.from_pylist(rows)
        if name.endswith(".parquet"):
            pa.parquet.write_table(table, path, row_group_size=max(1, len(rows) // 3))
        else:
            new = pa.ipc.new_file if name.endswith(".arrow") else pa.ipc.new_stream
            with new(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=max(1, len(rows) // 3))
    return path


def read(path: Path) -> Rows:
    """The rows of a file, by other means than fasttoken's; in text formats all values are text."""
    data, name = path.read_bytes(), path.name
    if name.endswith(".gz"):
        data, name = gzip.decompress(data), name[:-3]
    if name.endswith(".zst"):
        data, name = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(), name[:-4]
    if name.endswith((".csv", ".tsv")):
        text = data.decode().splitlines(keepends=True)
        return list(csv.DictReader(text, delimiter="\t" if name.endswith("tsv") else ","))
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in data.decode().splitlines()]
    if name.endswith(".parquet"):
        rows: Rows = pa.parquet.read_table(pa.BufferReader(data)).to_pylist()
    elif name.endswith(".arrow"):
        rows = pa.ipc.open_file(data).read_all().to_pylist()
    else:
        rows = pa.ipc.open_stream(data).read_all().to_pylist()
    return rows


def check(rows: Rows, given: Rows) -> None:
    """Every row has its columns and a token for them, in the order given."""
    assert len(rows) == len(given)
    for row, before in zip(rows, given, strict=True):
        assert {name: str(row[name]) for name in before} == {k: str(v) for k, v in before.items()}
        assert list(row) == [*before, "token", "issued_at", "expires_at"]
        ends = int(row["expires_at"]) - int(row["issued_at"])
        verdict = PROJECT.verify(
            row["token"],
            channel_name=row["channel"],
            uid=int(row["uid"]),
            now=int(row["issued_at"]),
        )
        assert verdict.ok, verdict
        assert verdict.parsed is not None
        claims = verdict.parsed.claims
        assert (claims.issue_ts, claims.expire) == (int(row["issued_at"]), ends)
        publisher = Rtc.Privilege.PUBLISH_AUDIO in claims.services[0].privileges
        assert publisher == (row["role"] == "publisher")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fasttoken", "bulk", *map(str, arguments)]


def bulk(*arguments: object, stdin: bytes | None = None, **environ: str) -> Any:
    """Runs ``fasttoken bulk`` as a process of its own; its answers are bytes."""
    return subprocess.run(
        command(*arguments),
        env={**ENV, **environ},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
        timeout=300,
    )


def left_over(folder: Path) -> list[str]:
    """What a job left of itself in a folder."""
    return sorted(path.name for path in folder.iterdir() if "fasttoken" in path.name)
