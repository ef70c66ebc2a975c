"""What people see: the plan, the progress and the summary, on a terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")
pytest.importorskip("typer", reason="the command line is an extra")

from jobs import ENV, FIXED, PROJECT, SEEDED, attendees, command, write  # noqa: E402

from fasttoken.bulk import Job, Progress, Summary, progress, readers, run  # noqa: E402
from fasttoken.bulk.summary import Counts, Tally, Throughput  # noqa: E402


def on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Runs the command with a terminal as its standard error: the exit code and what it shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments),
        env={**ENV, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65_536):
                shown += data
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return running.returncode, shown.decode()


@pytest.mark.once
def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", [*attendees(40_000), {**attendees(1)[0], "uid": "x"}])
    code, shown = on_a_terminal(given, "-o", tmp_path / "o.csv", *FIXED)
    assert code == 4
    assert "100%" in shown
    assert "rows per second" in shown
    assert "rejected" in shown
    assert "40,001 rows read, 40,000 tokens minted, 1 rejected" in shown
    assert shown.index("expiring") < shown.index("100%")


def test_lines_in_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(readers, "BLOCK", 5_000)
    clock = iter(range(0, 10**9, 3))
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))
    given = write(tmp_path / "in.csv", attendees(1_000))
    run(Job((str(given),), str(tmp_path / "o.csv"), SEEDED), PROJECT, progress.Spoken(False))
    lines = capsys.readouterr().err.splitlines()
    steps = [line for line in lines if "% " in line or "%:" in line]
    assert len(steps) >= 2
    assert all("rows per second" in line for line in steps)
    assert lines[-2].startswith("1,000 rows read, 1,000 tokens minted, 0 rejected, in ")
    assert lines[-1].startswith(f"{tmp_path / 'o.csv'}: 1,000 rows, ")


def test_a_library_run_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = write(tmp_path / "in.csv", attendees(10))
    run(Job((str(given),), str(tmp_path / "o.csv"), replace(SEEDED, expire=100_000)), PROJECT)
    assert capfd.readouterr() == ("", "")


def test_progress_counts_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "BLOCK", 2_000)
    seen: list[tuple[int, float]] = []

    class Noted(Progress):
        def step(self, rows: int, rejected: int, fraction: float) -> None:
            seen.append((rows, fraction))

    given = [str(write(tmp_path / f"{n}.csv", attendees(500))) for n in range(3)]
    run(Job(tuple(given), str(tmp_path / "o.csv"), SEEDED), PROJECT, Noted())
    assert seen == sorted(seen)
    assert seen[-1] == (1_500, 1.0)
    assert len(seen) > 10


def test_a_summary_travels_and_adds_up(tmp_path: Path) -> None:
    rows = [
        {**row, "expire": str(60 * (1 + number % 90))} for number, row in enumerate(attendees(900))
    ]
    rows[7]["uid"] = "x"
    given = write(tmp_path / "in.csv", rows)
    summary = run(Job((str(given),), str(tmp_path / "o.csv"), SEEDED), PROJECT)
    assert Summary.from_json(summary.to_json()) == summary
    assert (summary.rows, summary.minted, summary.rejected) == (900, 899, 1)
    assert sum(summary.channels.values()) + summary.other_rows == 899
    assert list(summary.channels) == sorted(
        summary.channels, key=lambda name: (-summary.channels[name], name)
    )
    assert sum(summary.roles.values()) == sum(summary.expiries) == 899
    assert (summary.expiry_start, summary.expiry_width) == (1_700_000_000 // 300 * 300, 300)
    assert [(r.field, r.rows) for r in summary.rejects] == [("uid", 1)]
    assert summary.inputs[0].rows == 900
    assert summary.channels_exact


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from fasttoken.bulk import summary

    monkeypatch.setattr(summary, "MOST_CHANNELS", 100)
    monkeypatch.setattr(summary, "MOST_REASONS", 10)
    counts = Counts()
    for batch in range(10):
        channels = {f"room-{batch}-{n}": n + 1 for n in range(50)}
        ends = {1_700_000_000 + batch * 10**6 + n: 1 for n in range(50)}
        counts.add(Tally(50, 0, channels, {"publisher": 50}, ends))
        for n in range(50):
            counts.reject("uid", f"reason {batch} {n}")
    counts = Counts(counts.to_data())
    assert len(counts.channels) == 100
    assert sum(counts.channels.values()) + counts.uncounted == 10 * sum(range(1, 51))
    assert len(counts.reasons()) == 11
    assert sum(reason.rows for reason in counts.reasons()) == counts.rejected == 500
    start, width, bins = counts.timeline()
    assert sum(bins) == 500
    assert len(bins) <= summary.MOST_BINS
    assert start <= 1_700_000_000 < start + width


def test_throughput_is_thinned_out() -> None:
    samples = Throughput()
    for step in range(100_000):
        samples.add(step / 10, step * 7)
    found: list[Any] = samples.samples
    assert 50 < len(found) <= 201
    assert found == sorted(found)
    assert found[-1][0] > 9_000
