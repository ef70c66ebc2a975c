"""The recipes of docs/cluster.md, run as they stand there: on Spark and Java, and on Ray Data."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import APP_ID, CERTIFICATE, run_python

from fasttoken import Project

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")

from pyarrow import parquet  # noqa: E402

pytestmark = pytest.mark.once

ROWS = 20_000
PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^```python ([\w-]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
PROJECT = {"AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}


@pytest.fixture
def attendees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The rows of attendees.parquet, in the current folder."""
    rows = pa.table(
        {
            "channel": [f"room{number % 7}" for number in range(ROWS)],
            "uid": pa.array(range(1, ROWS + 1), pa.int64()),
            "role": ["publisher" if number % 5 == 0 else "subscriber" for number in range(ROWS)],
        }
    )
    monkeypatch.chdir(tmp_path)
    parquet.write_table(rows, "attendees.parquet", row_group_size=ROWS // 4)
    return rows


def check(tokens: Any, rows: Any) -> None:
    """Each row has one token, which is accepted."""
    tokens = tokens.sort_by("uid")
    assert tokens.select(rows.column_names).to_pydict() == rows.to_pydict()
    columns = (tokens[name].to_pylist() for name in ("token", "channel", "uid"))
    assert Project(APP_ID, CERTIFICATE).verify_many(*columns).ok.all()


def test_spark(tmp_path: Path, attendees: Any) -> None:
    pytest.importorskip("pyspark", reason="the Spark recipe needs pyspark, in the extra spark")
    if shutil.which("java") is None:
        pytest.skip("the Spark recipe needs Java, and there is no java on the PATH")
    (tmp_path / "events").mkdir()
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (tmp_path / "events").as_uri(),
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.local.dir": str(tmp_path / "local"),
    }
    confs = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    done = run_python(
        RECIPES["spark"],
        check=False,
        **PROJECT,
        PYSPARK_PYTHON=sys.executable,
        PYSPARK_SUBMIT_ARGS=f"--master local[2] --driver-memory 512m {confs} pyspark-shell",
        SPARK_LOCAL_IP="127.0.0.1",
    )
    assert done.returncode == 0, done.stderr
    check(parquet.read_table("tokens.parquet"), attendees)

    # The recipe travels to the executors, and Spark logs what it does; the certificate does not.
    logs = [path for path in (tmp_path / "events").rglob("*") if path.is_file()]
    assert any(b"SparkListenerApplicationEnd" in path.read_bytes() for path in logs)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or CERTIFICATE.encode() not in path.read_bytes(), path
    assert CERTIFICATE not in done.stdout + done.stderr


def test_ray_data(attendees: Any) -> None:
    pytest.importorskip("ray", reason="the recipe for Ray Data needs ray, in the extra ray")
    done = run_python(RECIPES["ray-data"], check=False, **PROJECT, RAY_USAGE_STATS_ENABLED="0")
    assert done.returncode == 0, done.stderr
    check(parquet.read_table("tokens"), attendees)
    assert CERTIFICATE not in done.stdout + done.stderr


def test_every_recipe_is_run() -> None:
    assert {*RECIPES} == {"spark", "ray-data"}
