"""The code of docs/bulk-recipes.md, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import APP_ID, CERTIFICATE, run_python

from fasttoken import Project

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from pyarrow import compute, csv, parquet  # noqa: E402

pytestmark = pytest.mark.once
ROWS = 3_000
PAGE = (Path(__file__).parents[2] / "docs" / "bulk-recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^```python ([\w-]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def attendees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The files that the recipes read, in the current folder; their rows."""
    rows = pa.table(
        {
            "channel": [f"room{number % 7}" for number in range(ROWS)],
            "uid": pa.array(range(1, ROWS + 1), pa.uint32()),
            "role": ["publisher" if number % 5 == 0 else "subscriber" for number in range(ROWS)],
            "name": [f"Attendee {number}" for number in range(ROWS)],
        }
    )
    parquet.write_table(rows, tmp_path / "attendees.parquet", row_group_size=700)
    csv.write_csv(rows, tmp_path / "attendees.csv")
    monkeypatch.chdir(tmp_path)
    return rows


def run(*names: str) -> str:
    """What these examples print, run as one, with the sample project."""
    code = "".join(RECIPES[name] for name in names)
    done = run_python(code, check=False, AGORA_APP_ID=APP_ID, AGORA_APP_CERTIFICATE=CERTIFICATE)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check(tokens: Any, expected: Any) -> None:
    """The tokens are those of the rows, in any order: exactly one each, and all accepted."""
    tokens = tokens.sort_by("uid")
    assert len(tokens) == len(expected)
    assert tokens.column_names == [*expected.column_names, "token", "issued_at", "expires_at"]
    for name in expected.column_names:
        assert tokens[name].to_pylist() == expected[name].to_pylist()
    project = Project(APP_ID, CERTIFICATE)
    columns = (tokens[name].to_pylist() for name in ("token", "channel", "uid"))
    assert project.verify_many(*columns).ok.all()
    issued, expires = tokens["issued_at"].to_numpy(), tokens["expires_at"].to_numpy()
    assert set((expires - issued).tolist()) == {6 * 3600}


def where(rows: Any, column: str, *values: Any) -> Any:
    return rows.filter(compute.is_in(rows[column], pa.array(values, rows[column].type)))


def test_polars(attendees: Any) -> None:
    run("polars")
    check(parquet.read_table("tokens.parquet"), attendees)


def test_polars_lazy(attendees: Any) -> None:
    run("polars", "polars-lazy")
    even = where(attendees, "uid", *range(0, ROWS + 1, 2))
    check(parquet.read_table("tokens.parquet"), even)


def test_duckdb(attendees: Any) -> None:
    run("duckdb")
    check(parquet.read_table("tokens.parquet"), where(attendees, "role", "publisher"))


def test_pandas(attendees: Any) -> None:
    with open("attendees.csv", "a", encoding="utf-8") as file:
        file.write('"room1",0,"subscriber","Anybody"\n"room1",,"subscriber","Nobody"\n')
    printed = run("pandas").splitlines()
    assert [line.split(":")[0] for line in printed] == [f"row {ROWS}", f"row {ROWS + 1}"]
    check(csv.read_csv("tokens.csv"), attendees)


def test_every_recipe_is_run() -> None:
    assert {*RECIPES} == {"polars", "polars-lazy", "duckdb", "pandas"}
