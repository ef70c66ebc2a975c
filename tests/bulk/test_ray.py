"""`--engine ray`: the same job on a real cluster of several nodes on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import run_python

pa = pytest.importorskip("pyarrow", reason="bulk is an extra")
pytest.importorskip("ray", reason="--engine ray needs ray, in the extra ray")

pytestmark = pytest.mark.once

NODES = 3
MEMORY = 80 * 2**20  # of an object store: the least that Ray takes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and three nodes of one; without any AGORA variable, as theirs is ours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AGORA_", "RAY_"))]:
            patch.delenv(name)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(NODES):
                cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            yield cluster
        finally:
            cluster.shutdown()


CODE = """
import sys, os
from fasttoken.bulk import ray_engine
def work(n):
    import time; time.sleep(0.1)
    if n == 99: raise ValueError("x")
    return n
with ray_engine.cluster() as ray:
    print(sorted(ray_engine.over_cluster(ray, work, range(20))))
    for x in ray_engine.over_cluster(ray, work, range(95, 110)): print(x)
"""


def test_x(cluster):
    r = run_python(CODE, RAY_ADDRESS=cluster.address, check=False)
    print(r.stdout, r.stderr)
    assert 0
