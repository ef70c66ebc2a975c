"""The example files: what the README's first command works on, and that it notices mistakes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))

import demo  # noqa: E402
import make_attendees  # noqa: E402

ATTENDEES = EXAMPLES / "attendees.csv"


def rows() -> list[dict[str, str]]:
    return demo.read(ATTENDEES)[1]


def test_the_script_makes_the_file() -> None:
    made = StringIO()
    make_attendees.write(made)
    assert made.getvalue() == ATTENDEES.read_text(encoding="utf-8")


def test_the_file_is_an_event() -> None:
    attendees = rows()
    assert len(attendees) == 10_000
    assert len({row["channel_name"] for row in attendees}) > 200
    assert {row["role"] for row in attendees} == {"publisher", "subscriber"}
    assert all(row["email"].endswith("@example.com") for row in attendees)
    seats = {(row["channel_name"], row["uid"]) for row in attendees}
    assert len(seats) == len(attendees), "two people share a uid in a channel"


def test_a_channel_never_mixes_uids_and_accounts() -> None:
    kinds: dict[str, set[type]] = {}
    for row in rows():
        kinds.setdefault(row["channel_name"], set()).add(type(demo.uid(row["uid"])))
    assert {kind for kinds in kinds.values() for kind in kinds} == {int, str}
    assert [name for name, found in kinds.items() if len(found) != 1] == []


def small(path: Path, count: int = 40) -> Path:
    """The first rows of the attendees, and the last, as a file of its own."""
    lines = ATTENDEES.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[: count + 1], *lines[-count:]]), encoding="utf-8")
    return path


def run(*arguments: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGORA_")}
    return subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", *arguments],
        env={**kept, "PYTHONIOENCODING": "utf-8", **environ},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_demo_says_that_its_project_is_a_sample(tmp_path: Path) -> None:
    target = tmp_path / "out" / "tokens.csv"
    done = run(small(tmp_path / "a.csv"), target)
    assert done.returncode == 0, done.stderr
    assert "open nothing" in done.stdout
    assert "80 rows read, 80 tokens minted, 0 rejected" in done.stderr
    assert "verified: 80 of 80 tokens" in done.stdout
    with target.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert len({row["token"] for row in written}) == 80
    assert all(row["token"].startswith("007") for row in written)


def test_demo_takes_the_project_of_the_environment(tmp_path: Path) -> None:
    mine = {"AGORA_APP_ID": "a" * 32, "AGORA_APP_CERTIFICATE": "b" * 32}
    done = run(small(tmp_path / "a.csv"), tmp_path / "tokens.csv", **mine)
    assert done.returncode == 0
    assert "sample" not in done.stdout
    assert "b" * 32 not in done.stdout
    half = run(small(tmp_path / "a.csv"), tmp_path / "tokens.csv", AGORA_APP_ID="a" * 32)
    assert half.returncode != 0
    assert "AGORA_APP_CERTIFICATE" in half.stderr


def test_demo_fails_on_a_bad_row(tmp_path: Path) -> None:
    source = small(tmp_path / "a.csv")
    with source.open("a", encoding="utf-8") as file:
        file.write("day1-keynote,*,subscriber,Any Body,any.body@example.com\n")
    done = run(source, tmp_path / "tokens.csv")
    assert done.returncode == 4
    assert "81 rows read, 80 tokens minted, 1 rejected" in done.stderr
    assert "verified" not in done.stdout


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("token", "007eJxT", "malformed token"),
        ("token", "", "malformed token"),
        ("role", "publisher", "columns have changed"),
        ("expires_at", "1", "times differ"),
    ],
)
def test_check_finds_a_changed_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str, value: str, says: str
) -> None:
    project = demo.Project.from_env(demo.SAMPLE)
    columns, attendees = demo.read(small(tmp_path / "a.csv"))
    path = tmp_path / "tokens.csv"
    assert demo.mint(tmp_path / "a.csv", path, demo.SAMPLE) == 0
    assert demo.check(project, columns, attendees, path) == 0

    names, written = demo.read(path)
    written[-1][column] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(written)
    assert demo.check(project, columns, attendees, path) == 1
    said = capsys.readouterr().out
    assert "line 81: " in said
    assert says in said


def test_check_finds_swapped_tokens_and_missing_rows(tmp_path: Path) -> None:
    project = demo.Project.from_env(demo.SAMPLE)
    columns, attendees = demo.read(small(tmp_path / "a.csv"))
    path = tmp_path / "tokens.csv"
    assert demo.mint(tmp_path / "a.csv", path, demo.SAMPLE) == 0
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)

    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert demo.check(project, columns, attendees, path) == 1

    first, second = lines[1].split(","), lines[2].split(",")
    first[5], second[5] = second[5], first[5]
    lines[1:3] = [",".join(first), ",".join(second)]
    path.write_text("".join(lines), encoding="utf-8")
    assert demo.check(project, columns, attendees, path) == 2

    other = demo.Project("a" * 32, "b" * 32)
    assert demo.check(other, columns, attendees, path) == len(attendees)


def test_demo_fails_if_a_token_is_bad_or_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = small(tmp_path / "a.csv"), tmp_path / "tokens.csv"
    assert demo.main(str(source), str(target)) == 0
    mint = demo.mint

    def careless_mint(*arguments: object) -> int:
        code: int = mint(*arguments)
        lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
        target.write_text("".join(lines[:-1]), encoding="utf-8")
        return code

    monkeypatch.setattr(demo, "mint", careless_mint)
    assert demo.main(str(source), str(target)) == 1
    monkeypatch.undo()
    source.write_text("channel_name,uid,role\n", encoding="utf-8")
    assert demo.main(str(source), str(target)) == 1
