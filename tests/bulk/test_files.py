"""Files in, files out: every format, compression and kind of source, with every row and column."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from jobs import (  # noqa: E402
    FIXED,
    PROJECT,
    SEEDED,
    attendees,
    bulk,
    check,
    left_over,
    read,
    write,
    write_csv,
    write_jsonl,
)

from fasttoken.bulk import Job, job, readers, run  # noqa: E402
from fasttoken.errors import JobRefused  # noqa: E402

TEXT = ["csv", "tsv", "jsonl", "csv.gz", "tsv.zst", "jsonl.gz", "jsonl.zst"]
BINARY = ["parquet", "arrow", "arrows", "arrows.gz", "arrows.zst"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, batches and segments so small that a small file has many."""
    monkeypatch.setattr(readers, "BLOCK", 700)
    monkeypatch.setattr(readers, "ROWS", 13)
    monkeypatch.setattr(job, "SEGMENT", 40)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("into", TEXT + BINARY)
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_from_some_format_into_each(tmp_path: Path, source: str, into: str) -> None:
    rows = attendees(100)
    output = tmp_path / f"out.{into}"
    given = write(tmp_path / f"in.{source}", rows)
    summary = run(Job((str(given),), str(output), SEEDED, threads=2), PROJECT)
    check(read(output), rows)
    assert (summary.rows, summary.minted, summary.rejected) == (100, 100, 0)
    assert summary.outputs[0].bytes == output.stat().st_size
    assert left_over(tmp_path) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("source", TEXT + BINARY)
def test_from_each_format(tmp_path: Path, source: str) -> None:
    rows = attendees(100)
    output = tmp_path / "out.parquet"
    run(Job((str(write(tmp_path / f"in.{source}", rows)),), str(output), SEEDED), PROJECT)
    check(read(output), rows)


def test_salts_do_not_depend_on_format_batches_or_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = set()
    for number, source in enumerate(["csv", "jsonl", "parquet", "arrow"]):
        monkeypatch.setattr(readers, "BLOCK", 500 + 300 * number)
        monkeypatch.setattr(readers, "ROWS", 10 + 7 * number)
        given = write(tmp_path / f"in.{source}", attendees(200))
        output = tmp_path / f"out{number}.jsonl"
        run(Job((str(given),), str(output), SEEDED, threads=1 + number), PROJECT)
        tokens.add(tuple(row["token"] for row in read(output)))
    assert len(tokens) == 1
    assert len(set(*tokens)) == 200


def test_without_a_seed_salts_differ(tmp_path: Path) -> None:
    given = str(write(tmp_path / "in.csv", attendees(50)))
    options = replace(SEEDED, salt_seed=None)
    found = []
    for name in ("a.csv", "b.csv"):
        run(Job((given,), str(tmp_path / name), options), PROJECT)
        found += [row["token"] for row in read(tmp_path / name)]
    assert len(set(found)) == 100


# Sources ------------------------------------------------------------------------------------------


def test_several_files_a_glob_and_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "day=1" / "hall=Big%20Hall").mkdir(parents=True)
    (folder / "day=2" / "hall=b").mkdir(parents=True)
    write(folder / "day=1" / "hall=Big%20Hall" / "b.csv", attendees(10))
    write(folder / "day=1" / "hall=Big%20Hall" / "a.parquet", attendees(10, 10))
    write(folder / "day=2" / "hall=b" / "c.jsonl", attendees(10, 20))
    write(folder / "_not_me.csv", attendees(10, 70))
    (folder / ".hidden").mkdir()
    write(folder / ".hidden" / "nor_me.csv", attendees(10, 80))
    run(Job((str(folder),), str(tmp_path / "out.csv"), SEEDED), PROJECT)
    rows = read(tmp_path / "out.csv")
    assert [row["uid"] for row in rows] == [
        row["uid"] for row in [*attendees(10, 10), *attendees(10), *attendees(10, 20)]
    ]
    assert [(row["day"], row["hall"]) for row in rows] == [("1", "Big Hall")] * 20 + [
        ("2", "b")
    ] * 10

    run(Job((f"{folder}/*/*/*.csv",), str(tmp_path / "glob.csv"), SEEDED), PROJECT)
    check(read(tmp_path / "glob.csv"), attendees(10))
    names = (f"{folder}/day=2/hall=b/c.jsonl", f"{folder}/day=1/hall=Big%20Hall/b.csv")
    run(Job(names, str(tmp_path / "two.csv"), SEEDED), PROJECT)
    check(read(tmp_path / "two.csv"), [*attendees(10, 20), *attendees(10)])


def test_files_with_columns_in_another_order_and_of_other_types(tmp_path: Path) -> None:
    rows = attendees(20)
    first = write_csv(tmp_path / "a.csv", rows)
    turned = [dict(reversed(row.items())) for row in rows]
    numbers = [{**row, "uid": int(row["uid"])} for row in turned]
    second = write_jsonl(tmp_path / "b.jsonl", numbers)
    run(Job((str(first), str(second)), str(tmp_path / "o.csv"), SEEDED), PROJECT)
    check(read(tmp_path / "o.csv"), rows + rows)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"seat": "1"}, "lacks the column 'seat' of"),
        ({"uid": [1]}, "its column 'uid' is list"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path: Path, more: Any, says: str) -> None:
    first = write_csv(tmp_path / "a.csv", attendees(2))
    second = write_jsonl(tmp_path / "b.jsonl", [{**row, **more} for row in attendees(2)])
    with pytest.raises(JobRefused) as caught:
        run(Job((str(first), str(second)), str(tmp_path / "o.csv"), SEEDED), PROJECT)
    assert says in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.jsonl"]


@pytest.mark.once
@pytest.mark.parametrize("into", ["csv", "jsonl.gz", "arrows", "parquet"])
@pytest.mark.parametrize("source", ["csv", "jsonl.zst", "arrows"])
def test_standard_input_and_output(tmp_path: Path, source: str, into: str) -> None:
    rows = attendees(3_000)
    data = write(tmp_path / f"in.{source}", rows).read_bytes()
    output = tmp_path / f"out.{into}"
    if into == "parquet":
        done = bulk("-", "--from", source, "-o", output, *FIXED, stdin=data)
    else:
        done = bulk("-", "--from", source, "-o", "-", "--to", into, *FIXED, stdin=data)
        output.write_bytes(done.stdout)
    assert done.returncode == 0, done.stderr.decode()
    check(read(output), rows)


@pytest.mark.once
def test_a_pipe_that_closes_is_an_error(tmp_path: Path) -> None:
    import subprocess

    from jobs import ENV, command

    given = write(tmp_path / "in.csv", attendees(200_000))
    with subprocess.Popen(
        command(given, "-o", "-", "--to", "csv", "-q"),
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b"channel,uid")
        running.stdout.close()
        assert b"standard output was closed" in running.stderr.read()
    assert running.returncode == 5


# Columns ------------------------------------------------------------------------------------------


def test_types_pass_through(tmp_path: Path) -> None:
    table = pa.table(
        {
            "channel": pa.array(["a", "b", "a"]).dictionary_encode(),
            "uid": pa.array([1, 2, 3], pa.uint16()),
            "text": pa.array(["x", None, ""], pa.large_string()),
            "list": pa.array([[1], None, []], pa.list_(pa.int8())),
            "map": pa.array([{"k": 1.5}, None, {"k": None}]),
            "time": pa.array([0, None, 10**15], pa.timestamp("us", "Europe/Berlin")),
            "money": pa.array([Decimal("1.10"), None, Decimal("2.00")], pa.decimal128(9, 2)),
            "bytes": pa.array([b"\0\xff", None, b""]),
            "flag": pa.array([True, None, False]),
        }
    )
    for suffix in ("parquet", "arrow", "arrows"):
        given, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
        if suffix == "parquet":
            pa.parquet.write_table(table, given)
        else:
            with (pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream)(
                given, table.schema
            ) as writer:
                writer.write_table(table)
        run(Job((str(given),), str(output), SEEDED), PROJECT)
        if suffix == "parquet":
            found = pa.parquet.read_table(output)
        else:
            opened = pa.ipc.open_file if suffix == "arrow" else pa.ipc.open_stream
            found = opened(output.read_bytes()).read_all()
        assert found.select(table.column_names).equals(table), suffix
        assert found.schema.field("channel").type == table.schema.field("channel").type


def test_dictionaries_that_change_from_batch_to_batch(tmp_path: Path) -> None:
    schema = pa.schema([("channel", pa.dictionary(pa.int32(), pa.string())), ("uid", pa.int64())])
    with pa.ipc.new_stream(tmp_path / "in.arrows", schema) as writer:
        for names in (["a", "b"], ["c", "a"], ["a", "b"], ["d", "d"]):
            columns = [pa.array(names).dictionary_encode(), pa.array([1, 2])]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    for suffix in ("arrow", "arrows", "parquet"):
        output = tmp_path / f"out.{suffix}"
        run(Job((str(tmp_path / "in.arrows"),), str(output), SEEDED), PROJECT)
        assert "".join(row["channel"] for row in read(output)) == "abcaabdd"


def test_nested_columns_in_text_formats(tmp_path: Path) -> None:
    rows = [
        {"channel": "a", "uid": 1, "tags": ["x", 'y"'], "more": {"k": 1.5, "n": None}, "half": 0.5},
        {"channel": "b", "uid": 2, "tags": None, "more": {"k": None, "n": "é"}, "half": None},
    ]
    given = write_jsonl(tmp_path / "in.jsonl", rows)
    run(Job((str(given),), str(tmp_path / "o.jsonl"), SEEDED), PROJECT)
    kept = [{name: row[name] for name in rows[0]} for row in read(tmp_path / "o.jsonl")]
    assert kept == rows
    run(Job((str(given),), str(tmp_path / "o.csv"), SEEDED), PROJECT)
    cells = read(tmp_path / "o.csv")
    assert json.loads(cells[0]["tags"]) == ["x", 'y"']
    assert json.loads(cells[1]["more"]) == {"k": None, "n": "é"}
    assert (cells[1]["tags"], cells[0]["half"], cells[1]["half"]) == ("", "0.5", "")


def test_texts_that_look_like_times_stay_texts(tmp_path: Path) -> None:
    rows = [{"channel": "a", "uid": 1, "at": "2026-01-31T12:00:00Z", "in": [{"x": "2026-01-31"}]}]
    given = write_jsonl(tmp_path / "in.jsonl", rows)
    run(Job((str(given),), str(tmp_path / "o.jsonl"), SEEDED), PROJECT)
    assert read(tmp_path / "o.jsonl")[0]["at"] == "2026-01-31T12:00:00Z"
    assert read(tmp_path / "o.jsonl")[0]["in"] == [{"x": "2026-01-31"}]


def test_odd_texts_survive_every_text_format(tmp_path: Path) -> None:
    odd = [
        '"',
        '""',
        'a"b',
        "a,b",
        "a\tb",
        "a\nb",
        "a\r\nb",
        " a ",
        "\\",
        "\x1f",
        "é😀",
        "'",
        "null",
    ]
    rows = [{"channel": "c", "uid": str(n + 1), "text": text} for n, text in enumerate(odd)]
    parquet = write(tmp_path / "in.parquet", rows)
    for suffix in ("csv", "tsv", "jsonl"):
        run(Job((str(parquet),), str(tmp_path / f"1.{suffix}"), SEEDED), PROJECT)
        run(
            Job(
                (str(tmp_path / f"1.{suffix}"),),
                str(tmp_path / f"2.{suffix}.parquet"),
                replace(SEEDED, replace=True),
            ),
            PROJECT,
        )
        found = pa.parquet.read_table(tmp_path / f"2.{suffix}.parquet")["text"].to_pylist()
        assert found == odd, suffix
        if suffix != "jsonl":
            with (tmp_path / f"1.{suffix}").open(newline="", encoding="utf-8") as file:
                again = list(csv.reader(file, delimiter="\t" if suffix == "tsv" else ","))
            assert [row[2] for row in again[1:]] == odd


def test_services_006_and_mapped_columns_on_the_command_line(tmp_path: Path) -> None:
    rows = [{"room": "a", "who": "ann", "kind": "2"}]
    given = write_csv(tmp_path / "in.csv", rows)
    common = ("--channel-column", "room", "--account-column", "who", "--role-column", "kind")
    done = bulk(given, "-o", tmp_path / "a.csv", *common, "--service", "rtc, rtm", *FIXED)
    assert done.returncode == 0, done.stderr
    token = read(tmp_path / "a.csv")[0]["token"]
    assert PROJECT.verify(token, uid="ann", now=1_700_000_000, privilege="rtm.login").ok
    done = bulk(given, "-o", tmp_path / "b.csv", *common, "--version", "006", *FIXED)
    assert read(tmp_path / "b.csv")[0]["token"].startswith("006")


# Parts --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("source", ["csv", "csv.gz", "parquet", "arrow"])
@pytest.mark.parametrize("parts", [2, 5, 40])
def test_parts_hold_every_row_once_and_about_as_many(
    tmp_path: Path, source: str, parts: int
) -> None:
    rows = attendees(300)
    given = [str(write(tmp_path / f"{n}.{source}", rows[n::2])) for n in (0, 1)]
    summary = run(Job(tuple(given), str(tmp_path / "o.jsonl"), SEEDED, parts=parts), PROJECT)
    width = len(str(parts))
    paths = [tmp_path / f"o-{n:0{width}}-of-{parts}.jsonl" for n in range(1, parts + 1)]
    found = [read(path) for path in paths]
    check([row for part in found for row in part], rows[0::2] + rows[1::2])
    assert [file.rows for file in summary.outputs] == [len(part) for part in found]
    if source != "csv.gz":  # such a small one is read at once
        assert max(map(len, found)) - min(map(len, found)) <= 40 + 300 // parts // 2
    assert left_over(tmp_path) == []


def test_parts_of_nothing_are_files_too(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", attendees(1))
    for suffix in ("csv", "parquet", "arrow", "jsonl"):
        run(Job((str(given),), str(tmp_path / f"o.{suffix}"), SEEDED, parts=3), PROJECT)
        found = [read(tmp_path / f"o-{n}-of-3.{suffix}") for n in (1, 2, 3)]
        assert sum(map(len, found)) == 1


# Parquet ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_joined_parquet_is_parquet_to_others(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    polars = pytest.importorskip("polars")
    rows = attendees(300)
    output = tmp_path / "o.parquet"
    run(Job((str(write(tmp_path / "in.csv", rows)),), str(output), SEEDED), PROJECT)
    meta = pa.parquet.read_metadata(output)
    assert meta.num_rows == 300
    assert meta.num_row_groups > 3
    uids = [row["uid"] for row in rows]
    assert [row[0] for row in duckdb.sql(f"select uid from '{output}'").fetchall()] == uids
    assert duckdb.sql(f"select count(*) from '{output}' where uid = '98'").fetchall() == [(1,)]
    frame = polars.read_parquet(output)
    assert frame["uid"].to_list() == uids
    assert frame["token"].n_unique() == 300
    some = polars.scan_parquet(output).filter(polars.col("uid") == uids[-1]).collect()
    assert some["name"].to_list() == [rows[-1]["name"]]
