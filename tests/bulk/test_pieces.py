"""Pieces of an input: together all of it, each a part that is whole, however often it is begun."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import APP_ID, CERTIFICATE, ISSUE_TS, SECONDARY
from hypothesis import given
from hypothesis import strategies as st

from fasttoken import Project
from fasttoken.errors import JobFailed, JobRefused, RowRejected

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from pyarrow import csv, feather, parquet  # noqa: E402

from fasttoken.bulk import Job, Options, run  # noqa: E402
from fasttoken.bulk.journal import Journal, identity  # noqa: E402
from fasttoken.bulk.pieces import Piece, Work, check_token, cut  # noqa: E402
from fasttoken.bulk.readers import Position, open_source  # noqa: E402
from fasttoken.bulk.sources import Format, find  # noqa: E402
from fasttoken.bulk.summary import Counts, Tally  # noqa: E402

PROJECT = Project(APP_ID, CERTIFICATE)
OPTIONS = Options(issue_at=ISSUE_TS, salt_seed=3)


def table(rows: int, first: int = 0) -> Any:
    numbers = range(first, first + rows)
    return pa.table(
        {
            "channel": pa.array([f"room{number % 5}" for number in numbers], pa.string()),
            "uid": pa.array([2**32 if n % 100 == 7 else n + 1 for n in numbers], pa.int64()),
        }
    )


@pytest.fixture(autouse=True)
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is a node: the project is in its environment."""
    monkeypatch.setenv("AGORA_APP_ID", APP_ID)
    monkeypatch.setenv("AGORA_APP_CERTIFICATE", CERTIFICATE)
    monkeypatch.delenv("AGORA_APP_CERTIFICATE_SECONDARY", raising=False)


def prepare(tmp_path: Path, *inputs: Path, rows: int = 1000) -> tuple[Work, list[Piece]]:
    """The pieces of files, and what mints them."""
    sources = find([str(path) for path in inputs], None)
    readers = [open_source(source) for source in sources]
    pieces = cut(readers, rows)
    for name in ("journal", "out"):
        (tmp_path / name).mkdir()
    parts = tuple(str(tmp_path / "out" / f"{piece.number:03}.arrow") for piece in pieces)
    work = Work(
        sources=tuple(sources),
        schema=readers[0].schema,
        options=OPTIONS,
        format=Format("arrow"),
        folder=str(tmp_path / "journal"),
        parts=parts,
        strict=False,
        env_file=None,
        check=check_token(PROJECT),
    )
    return work, pieces


def rejected(work: Work, pieces: list[Piece]) -> list[tuple[int, str]]:
    """The row and the reason of all rejected rows."""
    return [reject for piece in pieces for reject in reasons(work.rejects(piece.number))]


def reasons(path: str | Path) -> list[tuple[int, str]]:
    """The row and the reason of the rejected rows in a file."""
    found = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return [(reject["row"], reject["reason"]) for reject in found]


# Cutting --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 7), min_size=1, max_size=12), st.integers(1, 12))
def test_parquet_is_cut_between_row_groups(groups: list[int], rows: int) -> None:
    sink = pa.BufferOutputStream()
    with parquet.ParquetWriter(sink, table(1).schema) as writer:
        for group in groups:
            writer.write_table(table(group))
    whole = parquet.ParquetFile(pa.BufferReader(sink.getvalue()))
    pieces = cut([_reader(whole)], rows)
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    ends = [*(piece.start for piece in pieces[1:]), Position(sum(groups), 1, len(groups))]
    assert pieces[0].start == Position()
    for piece, end in zip(pieces, ends, strict=True):
        assert piece.stop == (end.row if piece is not pieces[-1] else None)
        held = sum(groups[piece.start.offset : end.offset])
        assert held == end.row - piece.start.row
        assert held >= rows or piece is pieces[-1]


def _reader(file: Any) -> Any:
    from fasttoken.bulk.readers import Parquet

    reader = Parquet.__new__(Parquet)
    reader.file = file
    return reader


# Minting --------------------------------------------------------------------------------------


def inputs(tmp_path: Path) -> dict[str, list[Path]]:
    """Inputs of the same 3,000 rows."""
    rows = table(3000)
    folder = tmp_path / "dataset"
    for day in (1, 2):
        (folder / f"day={day}").mkdir(parents=True)
        part = rows.slice((day - 1) * 1500, 1500)
        parquet.write_table(part, folder / f"day={day}" / "a.parquet", row_group_size=400)
    parquet.write_table(rows, tmp_path / "a.parquet", row_group_size=500)
    csv.write_csv(rows.slice(0, 1000), tmp_path / "a.csv")
    csv.write_csv(rows.slice(1000), tmp_path / "b.csv")
    feather.write_feather(rows, str(tmp_path / "a.arrow"), compression="uncompressed")
    return {
        "parquet": [tmp_path / "a.parquet"],
        "csv": [tmp_path / "a.csv", tmp_path / "b.csv"],
        "arrow": [tmp_path / "a.arrow"],
        "dataset": [folder],
    }


@pytest.mark.parametrize(
    ("kind", "count"), [("parquet", 3), ("csv", 2), ("arrow", 1), ("dataset", 4)]
)
def test_pieces_are_the_whole_job(tmp_path: Path, kind: str, count: int) -> None:
    given = inputs(tmp_path)[kind]
    work, pieces = prepare(tmp_path, *given)
    assert len(pieces) == count
    work = pickle.loads(pickle.dumps(work))
    counts = Counts()
    for piece in reversed(pieces):
        done = work(pickle.loads(pickle.dumps(piece)))
        assert done.size == os.path.getsize(work.parts[piece.number])
        counts.merge(Counts(done.counts))

    local, bad = tmp_path / "local.arrow", tmp_path / "bad.jsonl"
    names = tuple(map(str, given))
    summary = run(Job(inputs=names, output=str(local), rejects=str(bad), options=OPTIONS), PROJECT)
    parts = pa.concat_tables(feather.read_table(path, memory_map=False) for path in work.parts)
    assert parts.equals(feather.read_table(local, memory_map=False))
    assert rejected(work, pieces) == reasons(bad)
    assert (counts.rows, counts.rejected) == (summary.rows, summary.rejected) == (3000, 30)
    assert counts.busiest() == summary.channels
    assert counts.roles == summary.roles
    assert counts.timeline()[2] == summary.expiries


def test_a_piece_may_be_done_twice(tmp_path: Path) -> None:
    work, pieces = prepare(tmp_path, *inputs(tmp_path)["parquet"])
    first = work(pieces[1])
    before = Path(work.parts[1]).read_bytes()
    assert work(pieces[1]) == first
    assert Path(work.parts[1]).read_bytes() == before
    assert os.listdir(tmp_path / "out") == ["001.arrow"]
    assert os.listdir(tmp_path / "journal") == ["rejects-2.jsonl"]
    assert len(first.rejected) == 10


def test_a_piece_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (path,) = inputs(tmp_path)["parquet"]
    work, pieces = prepare(tmp_path, path)
    with pytest.raises(RowRejected, match="row 1008: uid: must be in"):
        replace(work, strict=True)(pieces[1])
    size = path.stat().st_size
    with path.open("r+b") as file:
        meta = parquet.read_metadata(path).row_group(2).column(0)
        file.seek(meta.data_page_offset)
        file.write(b"\xff" * 64)
    assert path.stat().st_size == size
    with pytest.raises(JobFailed, match=r"node .*a\.parquet, behind row .*: can't be read"):
        work(pieces[1])
    path.unlink()
    with pytest.raises(JobFailed, match=r"node .*a\.parquet: can't be read"):
        work(pieces[0])
    shutil.copy(__file__, path)
    with pytest.raises(JobFailed, match=r"node .*a\.parquet: is no parquet"):
        work(pieces[0])
    assert os.listdir(tmp_path / "out") == os.listdir(tmp_path / "journal") == []
    shutil.rmtree(tmp_path / "journal")
    with pytest.raises(JobFailed, match=r"node .*: No such file"):
        work(pieces[0])


# The project of a node ------------------------------------------------------------------------


def test_nodes_must_have_the_project_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, pieces = prepare(tmp_path, *inputs(tmp_path)["arrow"])
    env_file = tmp_path / "agora.env"
    env_file.write_text(f"AGORA_APP_ID={APP_ID}\nAGORA_APP_CERTIFICATE={SECONDARY}\n")
    with pytest.raises(JobFailed, match=r"node .*: has another App ID or App Certificate"):
        replace(work, env_file=str(env_file))(pieces[0])
    with pytest.raises(JobFailed, match=r"node .*: has fasttoken .*, and the job runs on 0\.0\.1"):
        replace(work, version="0.0.1")(pieces[0])
    monkeypatch.delenv("AGORA_APP_CERTIFICATE")
    with pytest.raises(JobFailed, match=r"node .*: AGORA_APP_CERTIFICATE: must be set"):
        work(pieces[0])
    assert os.listdir(tmp_path / "out") == []
    env_file.write_text(f"AGORA_APP_CERTIFICATE='{CERTIFICATE}'\n")
    assert replace(work, env_file=str(env_file))(pieces[0]).size


def test_what_travels_holds_no_certificate(tmp_path: Path) -> None:
    work, pieces = prepare(tmp_path, *inputs(tmp_path)["arrow"])
    for what in (pickle.dumps((work, pieces)), repr(work).encode(), pickle.dumps(work(pieces[0]))):
        assert CERTIFICATE.encode() not in what
        assert CERTIFICATE.lower().encode() not in what.lower()


def test_the_check_token_expired_long_ago() -> None:
    token = check_token(PROJECT)
    assert not PROJECT.verify(token).ok
    assert "expired" in " ".join(PROJECT.verify(token).codes)


def test_without_ray_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (path,) = inputs(tmp_path / "in")["arrow"]
    job = Job(inputs=(str(path),), output=str(tmp_path / "out" / "a.arrow"), engine="ray")
    with pytest.raises(JobRefused, match=r"--engine ray: .*pip install 'fasttoken\[ray\]'"):
        run(job, PROJECT)
    with pytest.raises(JobRefused, match="--engine ray: can't read from a pipe"):
        run(replace(job, output="-", output_format="arrows"), PROJECT)
    with pytest.raises(JobRefused, match="--engine: must be one of local, ray"):
        run(replace(job, engine="spark"), PROJECT)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["in"]


def test_engines_do_not_go_on_with_each_other(tmp_path: Path) -> None:
    (path,) = inputs(tmp_path / "in")["arrow"]
    output = tmp_path / "out" / "a.arrow"
    job = Job(inputs=(str(path),), output=str(output), engine="ray")
    journal = Journal(output)
    assert not journal.open()
    settings = {"the project": APP_ID, "the output format": "arrow", "--engine": "ray"}
    journal.save({"identity": identity(find([str(path)], None), settings)})
    journal.close()
    with pytest.raises(JobRefused, match="--engine was 'ray' and is 'local'"):
        run(replace(job, engine="local", resume=True), PROJECT)


# Counting -------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from("abc")), max_size=30),
    st.integers(0, 30),
)
def test_counts_of_pieces_add_up(rows: list[tuple[int, str]], at: int) -> None:
    whole, parts = Counts(), [Counts(), Counts()]
    for place, (when, name) in enumerate(rows):
        for counts in (whole, parts[place >= at]):
            if when % 7 == 0:
                counts.rows += 1
                counts.reject("uid", name)
            else:
                counts.add(Tally(1, int(when > 86_400), {name: 1}, {"publisher": 1}, {when: 1}))
    merged = Counts()
    for part in parts:
        merged.merge(Counts(json.loads(json.dumps(part.to_data()))))
    assert (merged.rows, merged.rejected) == (whole.rows, whole.rejected)
    assert merged.channels == whole.channels
    assert merged.roles == whole.roles
    assert merged.long_lifetimes == whole.long_lifetimes
    assert sorted(merged.rejects) == sorted(whole.rejects)
    assert merged.width == whole.width
    assert merged.expiries == whole.expiries
