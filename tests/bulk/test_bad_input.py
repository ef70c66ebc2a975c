"""Bad input: what is wrong is named with its file, line, field and reason, and no row is lost."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from jobs import (  # noqa: E402
    ENV,
    FIXED,
    PROJECT,
    SEEDED,
    attendees,
    bulk,
    check,
    command,
    left_over,
    read,
    write,
    write_csv,
)

from fasttoken.bulk import Job, Options, job, readers, run  # noqa: E402
from fasttoken.errors import FieldError, JobFailed, JobRefused, RowRejected  # noqa: E402

NO_UID = "must be a number (texts are accounts: read them with --account-column)"
GOOD = attendees(3)


def mint(tmp_path: Path, content: str | bytes, name: str = "in.csv", **options: Any) -> Any:
    """Runs a job on a file with this content: its summary, the rows and the rejects."""
    source, output, rejects = tmp_path / name, tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    output.unlink(missing_ok=True)
    given = replace(SEEDED, **options)
    summary = run(Job((str(source),), str(output), given, rejects=str(rejects)), PROJECT)
    bad = [(r["row"], r["line"], r["field"], r["reason"], r["input"]) for r in read(rejects)]
    rows = read(output)
    assert summary.rows == len(rows) + len(bad)
    assert (summary.minted, summary.rejected) == (len(rows), len(bad))
    assert sum(reason.rows for reason in summary.rejects) == len(bad)
    return summary, rows, bad


# Rows ---------------------------------------------------------------------------------------------


def test_rejected_rows_are_named(tmp_path: Path) -> None:
    content = """channel,uid,role,expire
a,1,publisher,60
,2,publisher,60
a,4294967296,publisher,60

a,bob,subscriber,60
a,5,host,60
a,6,publisher,soon
a,7,publisher
a,8,publisher,60,9
"a
b",9,publisher,60
a,10,subscriber,60
"""
    summary, rows, bad = mint(tmp_path, content)
    assert [row["uid"] for row in rows] == ["1", "10"]
    wild = "means any channel here (say allow_wildcard=True if you want that)"
    assert [each[:4] for each in bad] == [
        (2, 3, "channel_name", wild),
        (3, 4, "uid", "must be in 0..4294967295"),
        (4, 6, "uid", NO_UID),
        (5, 7, "role", 'must be "publisher" (1) or "subscriber" (2)'),
        (6, 8, "expire", "must be a number"),
        (7, 9, "", "has 3 columns where the header has 4"),
        (8, 10, "", "has 5 columns where the header has 4"),
        (9, 11, "channel_name", bad[7][3]),
    ]
    assert r"has '\n', but only" in bad[7][3]
    assert json.loads(bad[0][4]) == {"channel": "", "uid": "2", "role": "publisher", "expire": "60"}
    assert bad[5][4] == "a,7,publisher"
    assert summary.rejects[0].rows == 1


def test_rejects_as_csv(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text('channel,uid\na,"x"\na,1\n', encoding="utf-8")
    job_ = Job((str(source),), str(tmp_path / "o.csv"), SEEDED, rejects=str(tmp_path / "bad.csv"))
    run(job_, PROJECT)
    assert read(tmp_path / "bad.csv") == [
        {
            "file": str(source),
            "row": "1",
            "line": "2",
            "field": "uid",
            "reason": NO_UID,
            "input": '{"channel": "a", "uid": "x"}',
        }
    ]


def test_mixed_uids_in_every_format(tmp_path: Path) -> None:
    uids = ["7", "eve", "8", "4294967296", "9"]
    table = pa.table({"channel": ["a"] * 5, "uid": uids})
    for name in ("in.csv", "in.parquet", "in.arrow"):
        write(tmp_path / name, table.to_pylist())
        _, rows, bad = mint(tmp_path, (tmp_path / name).read_bytes(), name)
        assert [row["uid"] for row in rows] == ["7", "8", "9"]
        assert [(each[0], each[2]) for each in bad] == [(2, "uid"), (4, "uid")]
    lines = [{"channel": "a", "uid": int(uid) if uid.isdigit() else uid} for uid in uids]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    _, rows, bad = mint(tmp_path, content, "in.jsonl")
    assert [row["uid"] for row in rows] == [7, 8, 9]
    assert [each[:4] for each in bad] == [
        (2, 2, "uid", "must be int64, as in the first rows, not str"),
        (4, 4, "uid", "must be in 0..4294967295"),
    ]


def test_json_lines_that_are_none(tmp_path: Path) -> None:
    lines = [
        '{"channel": "a", "uid": 1}',
        "",
        "{",
        '["channel"]',
        '{"channel": "a"}',
        '{"uid": 3, "channel": "a"} {"uid": 4, "channel": "a"}',
        '{"channel": "b", "uid": 5}',
    ]
    _, rows, bad = mint(tmp_path, "\r\n".join(lines), "in.jsonl")
    assert [row["uid"] for row in rows] == [1, 5]
    assert [each[:4] for each in bad] == [
        (2, 3, "", "is not a JSON object"),
        (3, 4, "", "is not a JSON object"),
        (4, 5, "uid", "is missing"),
        (5, 6, "", "is not a JSON object"),
    ]
    assert bad[0][4] == "{"


def test_json_columns_that_come_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "BLOCK", 50)
    lines = [{"channel": "a", "uid": n, "x": None} for n in range(1, 40)]
    late = [{**lines[0], "new": 1}, {**lines[0], "x": "text"}, {**lines[0], "x": 5}]
    content = "".join(json.dumps(line) + "\n" for line in lines + late)
    _, rows, bad = mint(tmp_path, content, "in.jsonl")
    assert [row["x"] for row in rows] == [None] * 39 + ["text"]
    assert [each[:4] for each in bad] == [
        (40, 40, "new", "is a column that the first rows don't have"),
        (42, 42, "x", "must be string, as in the first rows, not int"),
    ]


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    content = b'channel,uid,name\na,1,Ann\na,2,B\xf6b\na,3\na,4,"C\ny"\n'
    _, rows, bad = mint(tmp_path, content)
    assert [(row["uid"], row["name"]) for row in rows] == [("1", "Ann"), ("4", "C\ny")]
    assert [each[:4] for each in bad] == [
        (2, 3, "name", "must be valid UTF-8"),
        (3, 4, "", "has 2 columns where the header has 3"),
    ]


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"channel",uid\r\na,1\r\n"b",2\r\n\r\nc,x\r\nd,4'
    _, rows, bad = mint(tmp_path, content)
    assert [(row["channel"], row["uid"]) for row in rows] == [("a", "1"), ("b", "2"), ("d", "4")]
    assert [each[:3] for each in bad] == [(3, 5, "uid")]
    _, rows, _ = mint(tmp_path, b'\xef\xbb\xbf{"channel": "a", "uid": 1}\r\n', "in.jsonl")
    assert [row["uid"] for row in rows] == [1]


def test_fields_of_100_000_characters(tmp_path: Path) -> None:
    long = "x" * 100_000
    rows = [{"channel": "a", "uid": str(n + 1), "note": f"{long}{n}"} for n in range(200)]
    rows[150]["channel"] = long
    for name in ("in.csv", "in.jsonl", "in.parquet", "in.arrow"):
        write(tmp_path / name, rows)
        _, found, bad = mint(tmp_path, (tmp_path / name).read_bytes(), name)
        assert [row["note"] for row in found] == [r["note"] for r in rows if r["uid"] != "151"]
        assert [(each[0], each[2], each[3]) for each in bad] == [
            (151, "channel_name", "must be at most 64 bytes, not 100000")
        ]


def test_quotes_within_values_are_just_quotes(tmp_path: Path) -> None:
    content = 'channel,uid,name\na,1,5" disk\na,2,"x"y\na,3,"say ""hi"", Bo"\na,4,it"\n'
    many = content + "".join(f'b,{n},"q\n{n}"\n' for n in range(5, 400))
    _, rows, bad = mint(tmp_path, many)
    assert [row["name"] for row in rows[:5]] == ['5" disk', "xy", 'say "hi", Bo', 'it"', "q\n5"]
    assert (len(rows), bad) == (399, [])


def test_blocks_end_between_records_wherever_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "channel,uid,name\r\n" + "".join(
        f"a,{n},{text}\r\n"
        for n, text in enumerate(["plain", '"a\n\nb"', '"a,""b"""', '""', '"""\r\n"""', ""] * 9, 1)
    )
    stray = content.replace("plain", 'pl"ain')
    for text in (content, stray):
        found = set()
        for block in (*range(1, 60), 1 << 20):
            monkeypatch.setattr(readers, "BLOCK", block)
            source = tmp_path / "in.csv"
            source.write_bytes(text.encode())
            reader = readers.Csv(readers.Source(str(source), readers_format("csv"), len(text)))
            chunks = list(reader.chunks(readers.Position()))
            rows = [row for chunk in chunks for row in chunk.batch.to_pylist()]
            lines = [chunk.line_of(int(row)) for chunk in chunks for row in chunk.rows]
            found.add(json.dumps([rows, lines]))
            for chunk in chunks[:: max(1, len(chunks) // 5)]:  # and goes on behind any of them
                again = list(reader.chunks(chunk.end))
                resumed = [row for chunk in again for row in chunk.batch.to_pylist()]
                assert resumed == rows[chunk.end.row :]
        assert len(found) == 1
        rows, lines = json.loads(found.pop())
        assert len(rows) == 54
        assert lines[:4] == [2, 3, 6, 7]


def readers_format(kind: str) -> Any:
    from fasttoken.bulk.sources import Format

    return Format(kind)


# Files --------------------------------------------------------------------------------------------


def refused(tmp_path: Path, *inputs: object, output: str = "out.csv", **more: Any) -> str:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises((JobRefused, FieldError)) as caught:
        run(Job(tuple(map(str, inputs)), str(tmp_path / output), SEEDED, **more), PROJECT)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    return str(caught.value)


def test_files_that_no_job_can_begin_with(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    for name in ("e.csv", "e.jsonl", "e.arrow", "e.parquet"):
        assert "is empty" in refused(tmp_path, file(name, b"")) or name == "e.parquet"
    assert "no such file" in refused(tmp_path, tmp_path / "none.csv")
    assert "no such file" in refused(tmp_path, f"{tmp_path}/*.tsv")
    assert "must be one of" in refused(tmp_path, file("a.xlsx", b"PK"))
    assert "is no parquet" in refused(tmp_path, file("a.parquet", b"not parquet"))
    assert "is no arrow" in refused(tmp_path, file("a.arrow", b"not arrow"))
    assert "no JSON object" in refused(tmp_path, file("a.jsonl", b"[1]\n"))
    assert "UTF-16" in refused_or_failed(tmp_path, file("u.csv", "channel,uid\n".encode("utf-16")))
    assert "two columns 'uid'" in refused(tmp_path, file("t.csv", b"channel,uid,uid\na,1,2\n"))
    missing = refused(tmp_path, file("m.csv", b"room,uid\na,1\n"))
    assert "channel_name: must be a column; there are 'room', 'uid'" in missing
    semicolons = refused(tmp_path, file("s.csv", b"channel;uid\na;1\n"))
    assert "there are 'channel;uid'" in semicolons
    (tmp_path / "empty").mkdir()
    assert "holds no files" in refused(tmp_path, tmp_path / "empty")
    good = write_csv(tmp_path / "good.csv", GOOD)
    assert "is an input" in refused(tmp_path, good, output="good.csv")
    assert "is a folder" in refused(tmp_path, good, output="empty")
    assert "must be one of" in refused(tmp_path, good, output="out.xyz")
    assert "can't be in gzip" in refused(tmp_path, good, output="out.parquet.gz")
    assert "--rejects: must be" in refused(tmp_path, good, rejects=str(tmp_path / "r.parquet"))
    assert "written twice" in refused(tmp_path, good, rejects=str(tmp_path / "out.csv"))
    write_csv(tmp_path / "out.csv", GOOD)
    assert "is there already" in refused(tmp_path, good)


def refused_or_failed(tmp_path: Path, source: Path) -> str:
    with pytest.raises((JobRefused, JobFailed)) as caught:
        run(Job((str(source),), str(tmp_path / "out.csv"), SEEDED), PROJECT)
    return str(caught.value)


def test_a_header_without_rows_gives_one(tmp_path: Path) -> None:
    for name in ("a.csv", "b.parquet"):
        if name == "a.csv":
            (tmp_path / name).write_text("channel,uid\n", encoding="utf-8")
        else:
            pa.parquet.write_table(
                pa.table({"channel": pa.array([], pa.string()), "uid": pa.array([], pa.int64())}),
                tmp_path / name,
            )
        for suffix in ("csv", "jsonl", "parquet", "arrow", "csv.gz"):
            output = tmp_path / f"{name}.out.{suffix}"
            summary = run(Job((str(tmp_path / name),), str(output), SEEDED), PROJECT)
            assert (summary.rows, read(output)) == (0, [])
            assert output.stat().st_size > 0 or suffix == "jsonl"


def test_an_existing_output_is_replaced_when_asked(tmp_path: Path) -> None:
    given = write_csv(tmp_path / "in.csv", GOOD)
    (tmp_path / "out.csv").write_text("old", encoding="utf-8")
    run(Job((str(given),), str(tmp_path / "out.csv"), SEEDED, overwrite=True), PROJECT)
    check(read(tmp_path / "out.csv"), GOOD)


@pytest.mark.parametrize("name", ["in.csv.gz", "in.jsonl.zst", "in.arrows.gz"])
def test_a_file_that_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(readers, "BLOCK", 10_000)
    monkeypatch.setattr(job, "SEGMENT", 500)
    source = write(tmp_path / name, attendees(20_000))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 2 // 3])
    given = Job((str(source),), str(tmp_path / "out.csv"), SEEDED)
    with pytest.raises(JobFailed) as caught:
        run(given, PROJECT)
    said = str(caught.value)
    assert said.startswith(f"{source}, behind ")
    assert "can't be read (" in said
    assert not (tmp_path / "out.csv").exists()
    assert left_over(tmp_path) == [".out.csv.fasttoken"]
    # It is the same file on the next attempt; a whole one is another file.
    with pytest.raises(JobFailed) as again:
        run(replace(given, resume=True), PROJECT)
    assert str(again.value) == said
    source.write_bytes(whole)
    with pytest.raises(JobRefused, match=r"size of .* has changed"):
        run(replace(given, resume=True), PROJECT)
    run(replace(given, overwrite=True), PROJECT)
    check(read(tmp_path / "out.csv"), attendees(20_000))


@pytest.mark.parametrize("stray", [False, True])
def test_a_broken_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stray: bool) -> None:
    monkeypatch.setattr(readers, "BLOCK", 1_000)
    rows = "".join(f"a,{n},Ann\n" for n in range(1, 1_000))
    first = 'a,5000,5" disk\n' if stray else ""
    content = f'channel,uid,name\n{rows}{first}a,1000,"Bob\n{rows}'
    source = tmp_path / "in.csv"
    source.write_text(content, encoding="utf-8")
    line = 1_002 if stray else 1_001
    says = f"{source}, line {line}: a quote is opened here that is never closed"
    for longest in (32 << 20, 5_000):  # found at the end of the file, or before
        monkeypatch.setattr(readers, "LONGEST", longest)
        with pytest.raises(JobFailed) as caught:
            run(Job((str(source),), str(tmp_path / "o.csv"), SEEDED, overwrite=True), PROJECT)
        assert str(caught.value) == says
        assert not (tmp_path / "o.csv").exists()


def test_strict_stops_at_the_first(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("channel,uid\na,1\na,x\na,y\n", encoding="utf-8")
    with pytest.raises(RowRejected) as caught:
        run(Job((str(source),), str(tmp_path / "o.csv"), SEEDED, strict=True), PROJECT)
    assert str(caught.value) == f"{source}, line 3: uid: {NO_UID}"
    assert not (tmp_path / "o.csv").exists()


# The command line ---------------------------------------------------------------------------------


@pytest.mark.once
def test_exit_codes_and_what_is_said(tmp_path: Path) -> None:
    good = write_csv(tmp_path / "good.csv", GOOD)
    bad = tmp_path / "bad.csv"
    lines = "".join(f"a,x{n}\n" for n in range(7))
    bad.write_text(f"channel,uid\na,1\n{lines}", encoding="utf-8")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"channel,uid\na,1\n" * 50)[:-12])

    done = bulk(good, "-o", tmp_path / "o.csv", *FIXED)
    assert (done.returncode, done.stdout) == (0, b"")
    said = done.stderr.decode()
    assert "3 rows read, 3 tokens minted, 0 rejected" in said
    assert "expiring  2023-11-14 23:13:20Z" in said
    assert "warning: all tokens will have expired before they are minted" in said

    done = bulk(bad, "-o", tmp_path / "p.csv", *FIXED)
    assert done.returncode == 4
    said = done.stderr.decode()
    assert said.count("rejected: ") == 5
    assert f"rejected: {bad}, line 3: uid: must be a number" in said
    assert "rejected 7 rows: uid: must be a number" in said
    assert "8 rows read, 1 tokens minted, 7 rejected" in said

    done = bulk(bad, "-o", tmp_path / "q.csv", "-q", "--rejects", tmp_path / "r.csv", *FIXED)
    assert (done.returncode, done.stderr) == (4, b"")
    assert len(read(tmp_path / "r.csv")) == 7

    done = bulk(bad, "-o", tmp_path / "s.csv", "--strict", *FIXED)
    assert done.returncode == 4
    assert "line 3: uid" in done.stderr.decode().splitlines()[-1]

    done = bulk(cut, "-o", tmp_path / "t.csv", *FIXED)
    assert done.returncode == 5
    assert f"Error: {cut}" in done.stderr.decode()

    done = bulk(good, "-o", tmp_path / "o.csv", *FIXED)
    assert done.returncode == 2
    assert "is there already; replace it with --overwrite" in done.stderr.decode()

    done = bulk(good, "-o", tmp_path / "u.csv", "--json", "-q", *FIXED)
    data = json.loads(done.stdout)
    assert (data["rows"], data["roles"]) == (3, {"publisher": 1, "subscriber": 2})
    assert data["options"]["salt_seed"] == 11

    for stream in (done.stdout, done.stderr, (tmp_path / "u.csv").read_bytes()):
        assert ENV["AGORA_APP_CERTIFICATE"].encode() not in stream


# To root every file is readable: so root becomes somebody else, with all it needs imported.
AS_NOBODY = """
import os
import sys
import fasttoken.bulk.progress
import fasttoken.cli.bulk
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.argv[0] = "fasttoken"
fasttoken.cli.main()
"""


@pytest.mark.once
def test_an_unreadable_file() -> None:
    with tempfile.TemporaryDirectory() as name:  # where another user may go
        folder = Path(name)
        folder.chmod(0o777)
        source = write_csv(folder / "in.csv", GOOD)
        source.chmod(0)
        head = command(source, "-o", folder / "o.csv", *FIXED)
        done = subprocess.run(
            [head[0], "-c", AS_NOBODY, *head[3:]],
            env=ENV,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert f"{source}: can't be read (Permission denied)" in done.stderr
        assert [path.name for path in folder.iterdir()] == ["in.csv"]


# The plan -----------------------------------------------------------------------------------------


def plan_of(tmp_path: Path, *arguments: object) -> Any:
    done = bulk(*arguments, "-o", tmp_path / "o.parquet", "--dry-run", "--json", *FIXED)
    assert not (tmp_path / "o.parquet").exists()
    assert left_over(tmp_path) == []
    assert done.returncode in (0, 4), done.stderr
    return json.loads(done.stdout), done.returncode


@pytest.mark.once
def test_a_dry_run_tries_every_row(tmp_path: Path) -> None:
    rows = [*attendees(50), *attendees(3), {**GOOD[0], "uid": "0"}, {**GOOD[0], "channel": "*"}]
    rows += [{**GOOD[0], "uid": "bob"}] * 2
    source = write_csv(tmp_path / "in.csv", rows)
    found, code = plan_of(tmp_path, source, "--expire", "86400", "--event-end", "1700100000")
    assert code == 4
    assert (found["rows"], found["exact"], found["rejected"]) == (57, True, 4)
    assert found["first_expiry"] == found["last_expiry"] == 1_700_000_000 + 86_400
    assert found["columns"]["channel_name"] == "channel"
    assert found["size"] > 57 * 139
    said = "\n".join(found["warnings"])
    assert "1 of 57 rows mean any channel, and will be rejected" in said
    assert "1 of 57 rows mean any user, and will be rejected" in said
    assert "3 of 57 rows have the channel and user of an earlier one; the first is row 51" in said
    assert "all tokens will have expired when the event ends" in said
    assert "the event ends over 24 hours after the tokens are issued" in said


@pytest.mark.once
def test_a_plan_of_lifetimes(tmp_path: Path) -> None:
    rows = [
        {**row, "expire": str(expire)} for row, expire in zip(GOOD, (60, 0, 90_000), strict=True)
    ]
    source = write(tmp_path / "in.jsonl", rows)
    found, _ = plan_of(tmp_path, source, "--event-start", "2023-11-14T22:14:20Z")
    assert found["first_expiry"] == 1_700_000_060
    assert found["last_expiry"] == 1_700_000_000 + 86_400
    said = "\n".join(found["warnings"])
    assert "some tokens will have expired when the event starts" in said
    assert "the lifetime of 2 of 3 rows is 0 or more than 86400 seconds" in said


def test_a_plan_of_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fasttoken.bulk import plan as make
    from fasttoken.bulk import plan as planning

    monkeypatch.setattr(sys.modules["fasttoken.bulk.plan"], "SAMPLE", 500)
    monkeypatch.setattr(readers, "BLOCK", 2_000)
    assert planning is make
    sources = [write(tmp_path / f"{n}.csv", attendees(1_000)) for n in (1, 2)]
    found = make(Job(tuple(map(str, sources)), str(tmp_path / "o.csv"), SEEDED), PROJECT, False)
    assert found.looked_at < 1_000
    assert not found.exact
    assert found.rows is not None
    assert 1_800 < found.rows < 2_200
    whole = make(Job(tuple(map(str, sources)), str(tmp_path / "o.csv"), SEEDED), PROJECT)
    assert (whole.rows, whole.exact, whole.rejected) == (2_000, True, 0)
    assert "1,000 of 2,000 rows have the channel and user" in "".join(whole.warnings)
    parquet = write(tmp_path / "in.parquet", attendees(1_000))
    counted = make(Job((str(parquet),), str(tmp_path / "o.csv"), Options()), PROJECT, False)
    assert (counted.rows, counted.exact) == (1_000, True)
