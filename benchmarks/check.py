"""Do all libraries mint the same tokens? Nothing is measured before they do.

Salts and issue timestamps are arguments of fasttoken; into the peers they are put through
their sources of time and randomness. 006 tokens and, where Python's zlib is stock, 007 tokens
have to be the same characters. Other encoders (Node's own zlib) write other streams of
the same content: there signature and body have to be the same bytes.
"""

from __future__ import annotations

import base64
import random
import re
import zlib
from typing import Any

from .harness import CASES, FASTTOKEN, PEERS, PORTABLE, Bench, peers, say

TOKENS = 64
ISSUE_TS = 1_700_000_000


def content(token: str) -> bytes:
    """Signature and body of a 007 token; a 006 token whole."""
    if token.startswith("007"):
        return zlib.decompress(base64.b64decode(token[3:]))
    return token.encode()


def same(name: str, case: str, expected: list[str], tokens: list[str], exact: bool) -> str:
    """ "bytes" or "content": what is the same; a difference ends the run."""
    if tokens == expected:
        return "bytes"
    if exact or list(map(content, tokens)) != list(map(content, expected)):
        raise SystemExit(f"{name}: {case} tokens are not those of fasttoken")
    return "content"


def measure(bench: Bench) -> dict[str, Any]:
    """By case and library, what is the same."""
    draw = random.Random(6)
    salts = [draw.randint(1, 99_999_999) for _ in range(TOKENS)]
    found: dict[str, Any] = {}
    for case in CASES:
        request = {"case": case, "count": TOKENS, "issue_ts": ISSUE_TS, "salts": salts}
        expected, in_batch = bench.worker(FASTTOKEN).ask("pinned", **request)
        same("fasttoken", f"{case} batch", expected, in_batch, exact=True)
        for tokens in bench.worker(PORTABLE).ask("pinned", **request):
            same("fasttoken, portable", case, expected, tokens, exact=True)
        found[case] = {}
        for subject in (peers(library)[0] for library in PEERS[case] if peers(library)):
            worker = bench.worker(subject)
            stock = re.fullmatch(r"[0-9.]+", worker.about["zlib"]) is not None
            (tokens,) = worker.ask("pinned", **request)
            exact = stock or case.endswith("_006")
            found[case][subject.library] = same(subject.library, case, expected, tokens, exact)
            _check_reader(bench, subject.library, case, expected)
        say(f"same tokens: {case}: {found[case]}")
    return found


def _check_reader(bench: Bench, library: str, case: str, tokens: list[str]) -> None:
    """A peer that reads 007 takes the tokens of fasttoken, and none with a foreign signature."""
    if library == "agora-token-builder" or case.endswith("_006"):
        return
    worker = bench.worker(peers(library)[0])
    forged = bytearray(content(tokens[0]))
    forged[2] ^= 1
    bad = "007" + base64.b64encode(zlib.compress(bytes(forged))).decode()
    answers = worker.ask("are_signed", tokens=[*tokens, bad])
    if answers != [True] * len(tokens) + [False]:
        raise SystemExit(f"{library}: does not read {case} tokens as fasttoken does")
    ours = bench.worker(FASTTOKEN).ask("are_signed", tokens=[*tokens, bad])
    if ours != answers:
        raise SystemExit(f"fasttoken does not read its own {case} tokens")
