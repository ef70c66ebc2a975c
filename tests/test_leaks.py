"""Memory does not grow with work: measured in a process of its own."""

import sys

import pytest
from helpers import SAME_CORE, run_python

PRELUDE = """
import gc, os, warnings

import numpy as np

from fasttoken import FastTokenError, Project, parse
from fasttoken.services import Rtc, Rtm2

warnings.simplefilter("ignore")
project = Project("a" * 32, "b" * 32, "c" * 32)
uids = np.arange(1, 301, dtype=np.uint32)
names = [f"room-{n}" for n in range(300)]


def fails(work, *arguments, **options):
    try:
        work(*arguments, **options)
    except FastTokenError:
        return
    raise AssertionError("it did not fail")


def pages():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
"""

MEASURE = """
for _ in range(WARM):
    work()
gc.collect()
before = pages()
for _ in range(ROUNDS):
    work()
gc.collect()
print(pages() - before)
"""

# What is done again and again, and how often; each round takes a few milliseconds.
WORK = {
    "one": """
token = project.rtc_token("room", 7)
other = project.rtm_token("ann", permissions={0: {0: ["a", "b"]}})
old = project.rtc_token_006("room", 7)
parse(token), parse(other), parse(old)
project.verify_signature(token)
project.verify_signature(old, channel_name="room", uid=7)
key = project.dynamic_key(5, "room")
project.verify_signature(key, channel_name="room", uid=0)
Project("a" * 32, "d" * 32)
""",
    "errors": """
fails(project.rtc_token, "", 7)
fails(project.rtc_token, "room", -1)
fails(project.rtc_token, "\\ud800", 1)
fails(Project, "a" * 32, "x")
token = project.rtc_token("room", 7)
fails(parse, token[:-4])
fails(parse, token[:40])
fails(parse, token[:40] + "AAAA" + token[44:])
fails(parse, "007" + "A" * 4000)
fails(parse, "006" + "a" * 40)
fails(project.rtc_tokens, "room", [0, 1, -1])
fails(project.rtc_tokens, ["\\ud800", None, "ok"], 7)
""",
    "batch": """
project.rtc_tokens(names, uids, output="list")
project.rtc_tokens(names, uids, output="numpy")
project.rtc_tokens_006(names, uids, roles=[1, 2] * 150)
project.tokens([Rtc(names, uids, [{1: 5}] * 300), Rtm2(names, {0: {0: ["x" * 5000]}})])
project.rtc_tokens(names, uids, errors="null", roles=[1, 2, 3] * 100)
""",
    "arrow": """
import pyarrow as pa
tokens = project.rtc_tokens(pa.array(names), pa.array(uids), output="arrow")
pa.array(tokens)
tokens.__arrow_c_array__()
halves = pa.chunked_array([names[:100], names[100:]])
project.rtc_tokens(halves, pa.array(names).dictionary_encode())
project.rtc_tokens(pa.array(names, pa.string_view()), 7)
fails(project.rtc_tokens, pa.array([1.5]), 7)
fails(project.rtc_tokens, pa.array(["a", None]), 7)
# Columns of many lengths: nothing is kept for each.
import random
project.rtc_tokens(pa.array(names[: random.randrange(300)]), 7)
""",
}
ROUNDS = {"one": 3000, "errors": 1500, "batch": 60, "arrow": 150}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", WORK)
def test_memory_does_not_grow(name):
    if name == "arrow":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    body = "\n".join("    " + line for line in WORK[name].strip().splitlines())
    rounds = ROUNDS[name]
    code = f"{PRELUDE}\ndef work():\n{body}\n\nWARM, ROUNDS = {rounds // 3}, {rounds}\n{MEASURE}"
    grown = int(run_python(code, **SAME_CORE).stdout)
    # 100 bytes a call of `one` and `errors` would be 3 MiB and more; allocators move by less.
    assert grown < 2 * 2**20
