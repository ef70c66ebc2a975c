"""``python -m benchmarks``: installs the peers, checks, measures, writes the report.

A full run takes about a quarter of an hour on two cores and writes docs/benchmarks.md and
docs/benchmarks/. ``--quick`` takes two minutes and writes to build/bench/, for a look.
"""

from __future__ import annotations

import argparse
import json
import sys
from types import ModuleType

from . import batch, check, instructions, latency, memory, report, single, stages, verify
from .harness import BUILD, FASTTOKEN, ROOT, Bench, install_peers, load, machine, say

QUESTIONS: dict[str, ModuleType] = {
    "single": single,
    "batch": batch,
    "latency": latency,
    "verify": verify,
    "memory": memory,
    "stages": stages,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, report in build/bench/")
    parser.add_argument("--only", choices=QUESTIONS, help="one question, printed as JSON")
    parser.add_argument("--report", action="store_true", help="only draw the report again")
    chosen = parser.parse_args()
    target = BUILD / "report" if chosen.quick else ROOT / "docs"
    if chosen.report:
        report.write(target)
        return 0
    install_peers()
    bench = Bench(chosen.quick)
    try:
        core = bench.worker(FASTTOKEN).about["backend"]["implementation"]
        if core != "native":
            raise SystemExit("this fasttoken has no native core: build it first")
        if chosen.only:
            print(json.dumps(QUESTIONS[chosen.only].measure(bench), indent=1))
            return 0
        results = {"quick": chosen.quick, "machine": machine(bench)}
        results["check"] = check.measure(bench)
        for name, question in QUESTIONS.items():
            results[name] = question.measure(bench)
        results["instructions"] = json.loads(instructions.RECORD.read_text())
        results["machine"]["load after"] = load()
    finally:
        bench.close()
    report.save(results, target)
    report.write(target)
    say(f"wrote {target / 'benchmarks.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
