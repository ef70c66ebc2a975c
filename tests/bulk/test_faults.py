"""Faults: kills, signals, full disks, deleted folders, two runs at once; with real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
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
)

from fasttoken.bulk import Job, Progress, job, readers, run  # noqa: E402
from fasttoken.errors import JobFailed, JobRefused, JobStopped  # noqa: E402

ROWS = 12_000
BAD = 37  # every so many rows, one that is rejected
# A process whose blocks and segments are small, so that a small file takes many checkpoints.
SMALL = """
import sys
from fasttoken.bulk import job, readers
readers.BLOCK, readers.ROWS, job.SEGMENT = 2_000, 100, 150
from fasttoken.cli import main
sys.argv[0] = "fasttoken"
main()
"""


def small_command(*arguments: object) -> list[str]:
    head = command(*arguments)
    return [head[0], "-c", SMALL, *head[3:]]


def journal(output: Path) -> dict[str, Any] | None:
    """What the journal of a job records just now."""
    try:
        found = (output.parent / f".{output.name}.fasttoken" / "journal.json").read_text("utf-8")
    except FileNotFoundError:
        return None
    data: dict[str, Any] = json.loads(found)  # replaced as a whole, it is never half a one
    return data


def rows_done(output: Path) -> int:
    """How many rows the journal says are done."""
    data = journal(output)
    return 0 if data is None or "counts" not in data else int(data["counts"]["rows"])


class Started:
    """A job that runs as a process of its own, with small blocks."""

    def __init__(self, *arguments: object, output: Path) -> None:
        self.output = output
        self.process = subprocess.Popen(
            small_command(*arguments, "-o", output),
            env=ENV,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def when_done(self, rows: int) -> bool:
        """Waits until so many rows are done; false if the process ended before."""
        while rows_done(self.output) < rows:
            if self.process.poll() is not None:
                return False
            time.sleep(0.001)
        return True

    def end(self) -> tuple[int, str]:
        """The exit code and what was said."""
        _, said = self.process.communicate(timeout=300)
        return self.process.returncode, said.decode()


def mixed(count: int) -> list[dict[str, Any]]:
    rows = attendees(count)
    for place in range(BAD - 1, count, BAD):
        rows[place]["uid"] = "nobody"
    return rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an input, and what a run that nothing disturbs makes of it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write(folder / "in.csv", mixed(ROWS))
    names = (str(folder / "in.csv"),)
    run(Job(names, str(folder / "out.jsonl"), SEEDED, rejects=str(folder / "bad.csv")), PROJECT)
    good = [row for row in mixed(ROWS) if row["uid"] != "nobody"]
    check(read(folder / "out.jsonl"), good)
    assert len(read(folder / "bad.csv")) == ROWS // BAD
    return folder


# Kills --------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("into", "kills", "more"),
    [
        ("csv", 10, ()),
        ("parquet", 4, ("--threads", "1")),
        ("arrow", 3, ()),
        ("jsonl.gz", 3, ("--parts", "3")),
    ],
)
def test_killed_at_random_moments(
    tmp_path: Path, undisturbed: Path, into: str, kills: int, more: tuple[str, ...]
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # shown should the test fail
    dice = random.Random(seed)
    output, bad = tmp_path / f"out.{into}", tmp_path / "bad.csv"
    arguments = (undisturbed / "in.csv", "--rejects", bad, *more, *FIXED)
    for killed, moment in enumerate(sorted(dice.sample(range(ROWS - 4_000), kills))):
        started = Started(*arguments, *(("--resume",) if killed else ()), output=output)
        assert started.when_done(moment), started.end()
        time.sleep(dice.random() / 50)  # and a little on, into whatever it is doing then
        started.process.kill()
        code, said = started.end()
        if code == 4:  # quicker than that: it was done
            break
        assert code == -signal.SIGKILL, said
        assert not output.exists()
        assert not bad.exists()
    else:
        code, said = Started(*arguments, "--resume", output=output).end()
        assert code == 4, said
        assert " attempts" in said
    if "--parts" in more:
        found = [row for n in (1, 2, 3) for row in read(tmp_path / f"out-{n}-of-3.{into}")]
    else:
        found = read(output)
    expected = read(undisturbed / "out.jsonl")
    assert [{k: str(v) for k, v in row.items()} for row in found] == [
        {k: str(v) for k, v in row.items()} for row in expected
    ]
    assert bad.read_bytes() == (undisturbed / "bad.csv").read_bytes()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("into", ["csv", "parquet", "arrow"])
def test_cut_off_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: str) -> None:
    """The machine stops before each write, sync and rename in turn, and each time goes on."""
    monkeypatch.setattr(readers, "BLOCK", 1_000)
    monkeypatch.setattr(job, "SEGMENT", 60)
    rows = mixed(300)
    given = write(tmp_path / "in.csv", rows)
    output, bad = tmp_path / f"out.{into}", tmp_path / "bad.csv"
    good = [row for row in rows if row["uid"] != "nobody"]
    base = Job((str(given),), str(output), SEEDED, rejects=str(bad), threads=1, parts=2)

    class Stopped(BaseException):
        pass

    left = 0

    def counted(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Stopped
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("replace", "fsync"):
        counted(name)
    steps = 0
    while True:
        steps += 1
        left = steps
        try:
            run(replace(base, resume=steps > 1), PROJECT)
        except Stopped:
            continue
        break
    assert steps > 10
    left = 0
    names = [tmp_path / f"out-{n}-of-2.{into}" for n in (1, 2)]
    check([row for name in names for row in read(name)], good)
    assert len(read(bad)) == 300 // BAD


# Signals ------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, undisturbed: Path, number: signal.Signals) -> None:
    output, bad = tmp_path / "out.jsonl", tmp_path / "bad.csv"
    arguments = (undisturbed / "in.csv", "--rejects", bad, *FIXED)
    started = Started(*arguments, output=output)
    assert started.when_done(1_000), started.end()
    started.process.send_signal(number)
    code, said = started.end()
    assert code == 128 + number
    last = said.splitlines()[-1]
    assert last.startswith("Error: stopped after ")
    assert last.endswith(" rows; go on with --resume")
    assert "Traceback" not in said
    stopped_at = int(last.split()[3].replace(",", ""))
    assert stopped_at == rows_done(output)
    assert 1_000 <= stopped_at < ROWS
    for path in (tmp_path / ".out.jsonl.fasttoken").iterdir():
        assert ENV["AGORA_APP_CERTIFICATE"].encode().lower() not in path.read_bytes().lower()

    done = bulk(*arguments, "-o", output)
    assert done.returncode == 2
    assert b"did not come to its end; go on with --resume" in done.stderr
    code, said = Started(*arguments, "--resume", output=output).end()
    assert code == 4
    assert f"going on behind {stopped_at:,} rows" in said
    assert output.read_bytes() == (undisturbed / "out.jsonl").read_bytes()
    assert bad.read_bytes() == (undisturbed / "bad.csv").read_bytes()


@pytest.mark.once
def test_interrupted_while_it_waits_for_a_pipe(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("-", "--from", "csv", "-o", tmp_path / "out.csv", *FIXED),
        env=ENV,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        rows = write(tmp_path / "in.csv", attendees(60_000)).read_bytes()
        running.stdin.write(rows)
        running.stdin.flush()
        while b"expiring" not in running.stderr.readline():  # now it mints, and then waits
            pass
        running.send_signal(signal.SIGINT)
        said = running.stderr.read().decode()
        assert running.wait() == 130, said
    assert "stopped after" in said
    assert "--resume" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_a_stop_from_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(readers, "BLOCK", 1_000)
    given, stop = write(tmp_path / "in.csv", attendees(2_000)), threading.Event()

    class Stopping(Progress):
        def step(self, rows: int, rejected: int, fraction: float) -> None:
            if rows >= 500:
                stop.set()

    base = Job((str(given),), str(tmp_path / "out.csv"), SEEDED)
    with pytest.raises(JobStopped):
        run(base, PROJECT, Stopping(), stop)
    summary = run(replace(base, resume=True), PROJECT)
    check(read(tmp_path / "out.csv"), attendees(2_000))
    assert (summary.rows, summary.attempts) == (2_000, 2)
    assert sum(summary.channels.values()) == sum(summary.roles.values()) == 2_000
    assert [rows for _, rows in summary.throughput] == sorted(
        rows for _, rows in summary.throughput
    )


# What has changed ---------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that was stopped on its way."""
    import threading

    monkeypatch.setattr(readers, "BLOCK", 1_000)
    stop = threading.Event()
    stop.set()
    given = write(tmp_path / "in.csv", attendees(500))
    base = Job((str(given),), str(tmp_path / "out.csv"), SEEDED)
    with pytest.raises(JobStopped):
        run(base, PROJECT, stop=stop)
    return replace(base, resume=True)


def test_only_the_same_job_is_gone_on_with(stopped: Job, tmp_path: Path) -> None:
    def refused(changed: Job, project: Any = PROJECT) -> str:
        with pytest.raises(JobRefused) as caught:
            run(changed, project)
        assert "start again with --overwrite" in str(caught.value)
        return str(caught.value)

    options = replace(stopped.options, expire=60)
    assert "the option expire was 3600 and is 60" in refused(replace(stopped, options=options))
    assert "--parts was 1 and is 2" in refused(replace(stopped, parts=2))
    rejects = str(tmp_path / "r.csv")
    assert f"--rejects was None and is {rejects!r}" in refused(replace(stopped, rejects=rejects))
    other = type(PROJECT)("a" * 32, "b" * 32)
    assert "the project was " in refused(stopped, other)
    more = write(tmp_path / "more.csv", attendees(5))
    both = (*stopped.inputs, str(more))
    assert "more.csv is new among its inputs" in refused(replace(stopped, inputs=both))
    source = Path(stopped.inputs[0])
    before, status = source.read_bytes(), source.stat()
    source.write_bytes(before.replace(b"room-1", b"hall-1", 1))
    assert f"the content of {source} has changed" in refused(stopped)
    source.write_bytes(before)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert f"the modification time of {source} has changed" in refused(stopped)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    run(stopped, PROJECT)
    check(read(tmp_path / "out.csv"), attendees(500))


def test_nothing_to_go_on_with_begins_anew(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", attendees(5))
    base = Job((str(given),), str(tmp_path / "out.csv"), SEEDED, resume=True)
    run(base, PROJECT)
    check(read(tmp_path / "out.csv"), attendees(5))
    with pytest.raises(JobRefused, match="is there already"):
        run(base, PROJECT)


def test_overwrite_begins_anew(stopped: Job, tmp_path: Path) -> None:
    again = replace(stopped, resume=False, overwrite=True, options=replace(SEEDED, expire=60))
    summary = run(again, PROJECT)
    assert summary.attempts == 1
    check(read(tmp_path / "out.csv"), attendees(500))


# Disks and folders --------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.once
@pytest.mark.parametrize("into", ["csv", "csv.gz", "parquet", "arrow"])
def test_a_full_disk(tiny_disk: Path, undisturbed: Path, into: str) -> None:
    output = tiny_disk / f"out.{into}"
    started = Started(undisturbed / "in.csv", *FIXED, output=output)
    code, said = started.end()
    assert code == 5, said
    assert "the disk is full; make room, and go on with --resume" in said.splitlines()[-1]
    assert not output.exists()
    room = ["mount", "-o", "remount,size=16m", str(tiny_disk)]
    subprocess.run(room, check=True, capture_output=True)
    code, said = Started(undisturbed / "in.csv", *FIXED, "--resume", output=output).end()
    assert code == 4, said
    assert [row["token"] for row in read(output)] == [
        row["token"] for row in read(undisturbed / "out.jsonl")
    ]
    assert left_over(tiny_disk) == []


@pytest.mark.once
@pytest.mark.parametrize("into", ["csv", "parquet", "arrow"])
def test_the_folder_is_deleted(tmp_path: Path, undisturbed: Path, into: str) -> None:
    import shutil

    folder = tmp_path / "out"
    output = folder / f"out.{into}"
    started = Started(undisturbed / "in.csv", *FIXED, output=output)
    assert started.when_done(1_000), started.end()
    folder.rename(tmp_path / "gone")  # at once, where deleting takes a while
    shutil.rmtree(tmp_path / "gone")
    code, said = started.end()
    assert code == 5, said
    assert "was deleted while the job ran" in said
    assert not output.exists()


@pytest.mark.once
def test_two_runs_on_one_output(tmp_path: Path, undisturbed: Path) -> None:
    output = tmp_path / "out.jsonl"
    first = Started(undisturbed / "in.csv", *FIXED, output=output)
    assert first.when_done(500), first.end()
    first.process.send_signal(signal.SIGSTOP)  # so that it is still running, however fast it is
    try:
        for more in ((), ("--resume",), ("--overwrite",)):
            second = bulk(undisturbed / "in.csv", "-o", output, *FIXED, *more)
            assert second.returncode == 2
            assert b"another run is writing it just now" in second.stderr
    finally:
        first.process.send_signal(signal.SIGCONT)
    assert first.end()[0] == 4
    assert output.read_bytes() == (undisturbed / "out.jsonl").read_bytes()


def test_a_part_that_was_deleted_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = write(tmp_path / "in.csv", attendees(50))
    base = Job((str(given),), str(tmp_path / "out.csv"), SEEDED)
    save = job.Journal.save
    real = os.replace

    def replaced(source: Any, target: Any) -> None:
        real(source, target)
        if Path(target).name == "out.csv":
            raise KeyboardInterrupt  # before the journal knows that the output has its name

    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        run(base, PROJECT)
    monkeypatch.undo()
    assert job.Journal.save is save
    (tmp_path / "out.csv").unlink()
    with pytest.raises(JobFailed, match=r"out.csv: was deleted"):
        run(replace(base, resume=True), PROJECT)
