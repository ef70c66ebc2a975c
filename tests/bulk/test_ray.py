"""`--engine ray`: the same job on a real Ray cluster of several nodes on this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import APP_ID, CERTIFICATE, ISSUE_TS, PACKAGE, SAME_CORE

import fasttoken
from fasttoken import Project
from fasttoken.errors import JobRefused

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")
pytest.importorskip("ray", reason="--engine ray needs ray, in the extra ray")

from pyarrow import csv, parquet  # noqa: E402

from fasttoken.bulk import Job, Options, run  # noqa: E402

# Ray's cluster_utils is not ours, and forks where newer Pythons advise against it.
pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("default::DeprecationWarning")]

NODES = 3
MEMORY = 80 << 20  # bytes of an object store: about the least that Ray takes
PIECES = 24
ROWS = PIECES * (25_000 if fasttoken.backend().implementation == "native" else 500)
PROJECT = Project(APP_ID, CERTIFICATE)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and three nodes of one CPU, in whose environment there is no project."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AGORA_", "RAY_"))]:
            patch.delenv(name)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(PACKAGE.parent))
        for name, value in SAME_CORE.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(NODES):
                cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def attendees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The input: Parquet, one row in a thousand of it bad."""
    rows = pa.table(
        {
            "channel": [f"room{number % 500}" for number in range(ROWS)],
            "uid": [2**32 if number % 1000 == 7 else number + 1 for number in range(ROWS)],
            "role": ["publisher" if number % 5 == 0 else "subscriber" for number in range(ROWS)],
        }
    )
    path = tmp_path_factory.mktemp("ray") / "attendees.parquet"
    parquet.write_table(rows, path, row_group_size=ROWS // PIECES)
    return path


@pytest.fixture
def job(attendees: Path, tmp_path: Path) -> Job:
    """A job over the input; its salts are fixed, so that two runs can be compared."""
    return Job(
        inputs=(str(attendees),),
        output=str(tmp_path / "out" / "tokens.parquet"),
        rejects=str(tmp_path / "out" / "bad.csv"),
        parts=PIECES,
        options=Options(issue_at=ISSUE_TS, salt_seed=5),
    )


class Driver(subprocess.Popen[str]):
    """`fasttoken bulk --engine ray`, for a job, on a cluster."""

    def __init__(self, job: Job, cluster: Any, *more: str, **environment: str) -> None:
        self.folder = Path(job.output).parent
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AGORA_", "FASTTOKEN_", "RAY_"))
        }
        fixed = {"PYTHONPATH": str(PACKAGE.parent), "RAY_ADDRESS": cluster.address, **SAME_CORE}
        command = f"-m fasttoken bulk {job.inputs[0]} -o {job.output} --rejects {job.rejects}"
        command += f" --parts {job.parts} --engine ray --issue-at {job.options.issue_at}"
        command += f" --salt-seed {job.options.salt_seed}"
        super().__init__(
            [sys.executable, *command.split(), *more],
            env={**kept, **fixed, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def parts(self) -> list[Path]:
        """The parts that are there by now, in order."""
        return sorted(self.folder.glob("tokens-*-of-*.parquet"))

    def until(self, condition: Callable[[], Any]) -> Any:
        """Waits for a condition to hold; the driver must not end before."""
        while not (found := condition()):
            try:
                self.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"the driver ended too early: {self.communicate()}")
        return found

    def end(self) -> tuple[int, str]:
        """The exit code, and what was said."""
        said = "".join(self.communicate(timeout=120))
        return self.returncode, said


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """The secret file that the nodes share."""
    path = tmp_path / "agora.env"
    path.write_text(f"AGORA_APP_ID={APP_ID}\nAGORA_APP_CERTIFICATE={CERTIFICATE}\n")
    path.chmod(0o600)
    return path


def check_whole(job: Job, driver: Driver, tmp_path: Path) -> None:
    """Every row is in the parts or in the rejects exactly once, just as one machine has it."""
    local = Job(
        inputs=job.inputs,
        output=str(tmp_path / "local.parquet"),
        rejects=str(tmp_path / "local.csv"),
        options=job.options,
    )
    summary = run(local, PROJECT)
    assert summary.rows == ROWS
    assert len(driver.parts()) == PIECES
    tokens = pa.concat_tables(map(parquet.read_table, driver.parts()))
    assert tokens.equals(parquet.read_table(local.output))
    assert job.rejects is not None
    assert local.rejects is not None
    assert Path(job.rejects).read_bytes() == Path(local.rejects).read_bytes()
    assert len(tokens) + len(csv.read_csv(job.rejects)) == ROWS
    # Nothing else is left.
    assert {*driver.folder.iterdir()} == {*driver.parts(), Path(job.rejects)}
    some = tokens.slice(ROWS // 2, 200)
    columns = (some[name].to_pylist() for name in ("token", "channel", "uid"))
    assert PROJECT.verify_many(*columns, now=ISSUE_TS + 60).ok.all()


# Processes ------------------------------------------------------------------------------------


def parents() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            match = re.search(r"^PPid:\s*(\d+)", path.read_text(), re.MULTILINE)
        except OSError:  # it has ended
            continue
        found[int(path.parent.name)] = int(match[1]) if match else 0
    return found


def daemon(node: Any, kind: str) -> int:
    """The process of a node's daemon."""
    (info,) = node.all_processes[kind]
    return int(info.process.pid)


def has_open(pid: int, folder: Path) -> bool:
    """Whether a process has a file of a folder open."""
    try:
        return any(
            os.readlink(each).startswith(f"{folder}/") for each in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def kill_in_the_middle(cluster: Any, folder: Path) -> bool:
    """Kills a node that has a part half written, if there is one just now: it is frozen first, and
    looked at again."""
    tree = parents()
    for node in cluster.worker_nodes:
        for pid in [pid for pid, parent in tree.items() if parent == daemon(node, "raylet")]:
            if not has_open(pid, folder):
                continue
            os.kill(pid, signal.SIGSTOP)
            if not has_open(pid, folder):
                os.kill(pid, signal.SIGCONT)
                continue
            cluster.remove_node(node, allow_graceful=False)
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def memory_holds(pid: int, secret: bytes) -> bool:
    """Whether a process has a secret anywhere in its memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not found:
                continue
            start, end = (int(each, 16) for each in found.groups())
            for at in range(start, end, 1 << 24):
                try:
                    memory.seek(at)
                    # Beyond the end of the block, since the secret may lie across it.
                    if secret in memory.read(min((1 << 24) + len(secret), end - at)):
                        return True
                except (OSError, OverflowError):
                    break
    return False


# The tests ------------------------------------------------------------------------------------


def test_a_node_dies_in_the_middle(cluster: Any, job: Job, env_file: Path, tmp_path: Path) -> None:
    driver = Driver(job, cluster, "--env-file", str(env_file))
    journal = driver.folder / f".{Path(job.output).name}.fasttoken"
    driver.until(driver.parts)
    driver.until(lambda: kill_in_the_middle(cluster, journal))
    assert len(driver.parts()) < PIECES
    code, said = driver.end()
    assert code == 4, said
    check_whole(job, driver, tmp_path)

    # The nodes have read the certificate, and Ray knows nothing of it.
    assert CERTIFICATE not in said
    secret = CERTIFICATE.encode()
    logs = [*Path(cluster.head_node.get_session_dir_path()).rglob("*")]
    assert any("raylet" in path.name for path in logs)
    for path in logs:
        assert not path.is_file() or secret not in path.read_bytes(), path
    head, session = cluster.head_node, Path(cluster.head_node.get_session_dir_path()).name
    daemons = [daemon(head, "gcs_server"), daemon(head, "raylet")]
    daemons += [daemon(node, "raylet") for node in cluster.worker_nodes]
    assert len(daemons) == 2 + NODES - 1
    # What travels lies in the first; it is where a secret would be that went along.
    assert memory_holds(daemons[0], str(journal).encode())
    for pid in daemons:
        assert memory_holds(pid, session.encode())
        assert not memory_holds(pid, secret)


def test_stopped_and_killed_and_resumed(
    cluster: Any, job: Job, env_file: Path, tmp_path: Path
) -> None:
    driver = Driver(job, cluster, "--env-file", str(env_file))
    driver.until(lambda: len(driver.parts()) >= 2)
    driver.send_signal(signal.SIGTERM)
    code, said = driver.end()
    assert code == 128 + signal.SIGTERM, said
    assert "--resume" in said
    before = {path: path.stat().st_ino for path in driver.parts()}
    assert 2 <= len(before) < PIECES

    driver = Driver(job, cluster, "--env-file", str(env_file), "--resume")
    driver.until(lambda: len(driver.parts()) >= len(before) + 2)
    driver.kill()
    driver.end()
    assert len(driver.parts()) < PIECES

    driver = Driver(job, cluster, "--env-file", str(env_file), "--resume")
    code, said = driver.end()
    assert code == 4, said
    check_whole(job, driver, tmp_path)


def test_a_node_without_the_project_ends_the_job(cluster: Any, job: Job) -> None:
    mine = {"AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    driver = Driver(job, cluster, **mine)
    code, said = driver.end()
    assert code == 5
    assert re.search("node .*: AGORA_APP_ID: must be set in the environment", said)
    assert CERTIFICATE not in said
    assert driver.parts() == []


def test_no_cluster_is_there(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(JobRefused, match=f"RAY_ADDRESS: {address} is not to be reached"):
        run(replace(job, engine="ray"), PROJECT)
    assert not Path(job.output).parent.exists()
