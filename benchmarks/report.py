"""Draws the charts and writes benchmarks.md from results.json: no figure is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .harness import BEST, CASES, median, quartiles, ratio

Results = dict[str, Any]
IO, BUILDER = f"agoraiotools, {BEST}", f"agora-token-builder, {BEST}"
NOT_QUIET = 1.1  # the clock over processor time, from which on the run counts as disturbed


def save(results: Results, target: Path) -> None:
    folder = target / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


# Figures --------------------------------------------------------------------------------------


def ns(value: float) -> str:
    """Nanoseconds, to three digits."""
    if value >= 999.5:
        digits = len(str(round(value))) - 3
        value = round(value / 10**digits) * 10**digits
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """The median, and the quartiles in brackets."""
    low, high = quartiles(values)
    return f"{ns(median(values))} ({ns(low)} to {ns(high)})"


BOTH = ("ns a token", "of processor time")


def both(task: Mapping[str, Any]) -> tuple[str, str]:
    """The cells of `BOTH`."""
    return spread(task["ns"]), ns(median(task["cpu_ns"]))


def times(values: Sequence[float]) -> str:
    """A ratio: its median, and the quartiles in brackets."""
    low, high = quartiles(values)
    digits = 2 if median(values) < 10 else 1
    return f"{median(values):.{digits}f}x ({low:.{digits}f} to {high:.{digits}f})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def reader(results: Results) -> str:
    """The function that the floor of parse and verify is about."""
    return "verify_many" if "verify_many" in results["verify"] else "verify_signature"


class Floor(NamedTuple):
    """A row of the table of floors: by the clock, and in processor time where that means one
    core."""

    work: str
    least: str
    aim: str
    measured: str
    processor: str
    met: bool


def floors(results: Results) -> list[Floor]:
    found = []

    def faster(work: str, least: float, aim: str, tasks: Any, peer: str, ours: str) -> None:
        wall = ratio(tasks[peer], tasks[ours])
        cpu = ratio(tasks[peer], tasks[ours], "cpu_ns")
        met = median(wall) >= least
        found.append(Floor(work, f"{least:g}x", aim, times(wall), times(cpu), met))

    batches, single, verify = results["batch"]["peers"], results["single"], results["verify"]
    io, builder = "vs `agoraiotools`", "vs `agora-token-builder`"
    rtc, mixed, rtc_006 = (batches[case] for case in ("publisher", "rtc_rtm", "publisher_006"))
    faster(f"007 publisher batch, Arrow output, {io}", 30, "60x", rtc, IO, "arrow")
    faster(f"007 RTC + RTM batch, Arrow output, {io}", 20, "35x", mixed, IO, "arrow")
    faster(f"006 publisher batch, Arrow output, {builder}", 60, "120x", rtc_006, BUILDER, "arrow")
    faster(f"007 single call {io}", 12, "25x", single["publisher"], IO, "fasttoken")
    faster(f"006 single call {builder}", 15, "30x", single["publisher_006"], BUILDER, "fasttoken")
    function = reader(results)
    faster(f"007 parse + verify, `{function}`, {io}", 15, "30x", verify, IO, function)
    threads = results["batch"]["threads"]["publisher"]
    scaled = ratio(threads["arrow, 1"], threads["arrow, 2"])
    work = "007 publisher batch, two threads on two cores vs one"
    found.append(Floor(work, "1.8x", "1.95x", times(scaled), "-", median(scaled) >= 1.8))
    more, cpu = list_over_arrow(results, "ns"), list_over_arrow(results, "cpu_ns")
    work, least, aim = "list of str over Arrow output", "at most 250 ns a token", "150 ns"
    found.append(Floor(work, least, aim, apart(more), apart(cpu), median(more) <= 250))
    return found


def list_over_arrow(results: Results, clock: str) -> list[float]:
    """What a token costs more as a str in a list, round by round."""
    outputs = results["batch"]["outputs"]["publisher"]
    return [a - b for a, b in zip(outputs["list"][clock], outputs["arrow"][clock], strict=True)]


def apart(values: Sequence[float]) -> str:
    """A difference in nanoseconds: its median, and the quartiles in brackets."""
    low, high = quartiles(values)
    return f"{median(values):.0f} ns ({low:.0f} to {high:.0f})"


def disturbance(results: Results) -> float:
    """The clock over processor time of single calls of Python libraries: 1 on a quiet machine."""
    shares = []
    for tasks in results["single"].values():
        for name, task in tasks.items():
            if not name.startswith("agora-token,"):  # Node has threads of its own
                shares.append(median(task["ns"]) / median(task["cpu_ns"]))
    return median(shares)


# Sections -------------------------------------------------------------------------------------


def biases(results: Results) -> str:
    machine = results["machine"]
    disturbed = disturbance(results)
    quiet = (
        "It was quiet"
        if disturbed < NOT_QUIET
        else "**It was not quiet, so times are too long, and ratios the better figure**"
    )
    return f"""\
- We wrote fasttoken, and we wrote these benchmarks.
- One machine, once. It is {"a virtual machine" if machine["virtual"] else "our own"} with
  {machine["cores"]} cores whose host we share with others. {quiet}: the median task took
  {disturbed:.2f} times its processor time; load averages before {machine["load before"]}, after
  {machine["load after"]}. Believe ratios rather than times, and neither to more than two digits.
- The peers are plain implementations in Python and JavaScript that follow AgoraIO's own. They were
  written to be read, not to be fast, and mint one token at a time: their "batch" is a loop. Ours
  is C. That is most of the difference.
- Peers allocate and free zlib's state of 268 KB for every 007 token. With glibc's defaults this may
  mean fresh memory pages each time. Each peer runs "{BEST}" too, with
  `MALLOC_MMAP_THRESHOLD_` and `MALLOC_TRIM_THRESHOLD_` at 1 GiB; fasttoken runs as it comes. The
  floors compare with the peer at its best.
- Our batches are the case that we built them for: one channel name of 32 characters and a NumPy
  column of 10-digit uids (for RTM a list of user ids besides). A column of channel names costs
  more; see "Outputs". Single calls, ours and theirs, have another channel name and uid each time.
- fasttoken checks channel names, uids and lifetimes; the peers hardly check anything. fasttoken
  draws secure salts in bulk, the Python peers one a token; `agora-token` takes weak ones
  (`Math.random`), which cost less.
- `agoraiotools` can't verify. What it is compared with parses as it does and adds the
  signature from its own functions, inflating once.
- Not measured: AgoraIO's own builders in other languages, other processors (ARM above all), other
  systems, other Pythons, more than two cores, start-up and import, payloads above 4 KiB. The
  token server is measured by itself: docs/server.md, "Capacity"."""


def checked(results: Results) -> str:
    meaning = {"bytes": "same characters", "content": "same body and signature"}
    rows = [
        [CASES[case], library, meaning[what]]
        for case, libraries in results["check"].items()
        for library, what in libraries.items()
    ]
    return table(["case", "peer", "tokens"], rows)


def floor_table(results: Results) -> str:
    rows = [[*floor[:-1], "yes" if floor.met else "**no**"] for floor in floors(results)]
    return table(["work", "at least", "aim", "measured", "in processor time", "met"], rows)


def against_peers(tasks_by_case: Mapping[str, Any], ours: Sequence[str]) -> str:
    """A row for each case and task, with how many times longer each peer takes than ours[0]."""
    rows = []
    for case, tasks in tasks_by_case.items():
        for name, task in tasks.items():
            label = name if name.startswith(("fasttoken", "agora")) else f"fasttoken, {name}"
            relative = "" if name in ours else times(ratio(task, tasks[ours[0]]))
            rows.append([CASES[case], label, *both(task), relative])
    return table(["case", "library", *BOTH, "fasttoken is faster by"], rows)


def plain(tasks_by_case: Mapping[str, Any], head: str) -> str:
    rows = [
        [CASES[case], name, *both(task)]
        for case, tasks in tasks_by_case.items()
        for name, task in tasks.items()
    ]
    return table(["case", head, *BOTH], rows)


def size_table(results: Results) -> str:
    rows = [
        [f"{int(size):,}", spread(tasks["arrow"]["ns"]), spread(tasks["list"]["ns"])]
        for size, tasks in results["batch"]["sizes"].items()
    ]
    return table(["tokens in the batch", "Arrow, ns a token", "list, ns a token"], rows)


def latency_table(results: Results) -> str:
    shown = ("p50", "p90", "p99", "p99.9")
    rows = [
        [
            threads,
            name,
            *(f"{found[key] / 1000:,.1f}" for key in shown),
            f"{found['tokens a second']:,}",
        ]
        for threads, subjects in results["latency"].items()
        for name, found in subjects.items()
    ]
    return table(["threads", "library", *(f"{key}, µs" for key in shown), "tokens a second"], rows)


def verify_table(results: Results) -> str:
    ours = reader(results)
    rows = []
    for name, task in results["verify"].items():
        peer = name.startswith("agora")
        relative = times(ratio(task, results["verify"][ours])) if peer else ""
        label = name if peer else f"fasttoken, `{name}`"
        rows.append([label, *both(task), relative])
    return table(["library", *BOTH, f"`{ours}` is faster by"], rows)


def memory_table(results: Results) -> str:
    rows = [
        [name, f"{found['count']:,}", *(f"{found[key]:,}" for key in ("token", "held", "peak"))]
        for name, found in results["memory"].items()
    ]
    head = ["library, output", "tokens", "characters of a token"]
    return table([*head, "bytes a token, held", "bytes a token, peak"], rows)


def rest(stages: Mapping[str, float]) -> float:
    """What minting costs beyond its stages: packing, layout, copies."""
    parts = ("sign", "deflate", "check_sum", "encode")
    return stages["mint"] - sum(stages.get(part, 0.0) for part in parts)


STAGES = ("sign", "deflate", "check_sum", "encode", "decode", "inflate")


def stage_medians(results: Results, path: str, case: str, calls: str) -> dict[str, float]:
    return {stage: each[1] for stage, each in results["stages"][path][case][calls].items()}


def stage_table(results: Results) -> str:
    rows = []
    for path, cases in results["stages"].items():
        for case, by_calls in cases.items():
            for calls in by_calls:
                found = stage_medians(results, path, case, calls)
                cells = [ns(found[stage]) if stage in found else "-" for stage in STAGES]
                rest_ns = f"{rest(found):,.0f}"
                rows.append([path, CASES[case], calls, ns(found["mint"]), rest_ns, *cells])
    head = ["path", "case", "calls", "mint", "pack and the rest", *STAGES]
    return table([cell.replace("_", " ") for cell in head], rows)


def instruction_table(results: Results) -> str:
    by_case: dict[tuple[str, str, str], dict[str, float]] = {}
    for name, count in results["instructions"]["counts"].items():
        path, case, calls, stage = name.split("/")
        by_case.setdefault((path, case, calls), {})[stage] = count
    columns = ("mint", *STAGES)
    rows = [
        [
            path,
            CASES[case],
            calls,
            *(f"{counts[stage]:,.0f}" if stage in counts else "-" for stage in columns),
        ]
        for (path, case, calls), counts in by_case.items()
    ]
    return table(["path", "case", "calls", *(name.replace("_", " ") for name in columns)], rows)


def machine_table(results: Results) -> str:
    rows = []
    for name, value in results["machine"].items():
        if name == "backend":
            value = f"{value['implementation']}, {value['cpu']} (of {', '.join(value['cpus'])})"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif name == "changed":
            name, value = "uncommitted changes", "yes" if value else "no"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        rows.append([name, str(value)])
    return table(["", ""], rows)


def write(target: Path) -> None:
    """Writes benchmarks.md and its charts beside ``benchmarks/results.json``."""
    results = json.loads((target / "benchmarks" / "results.json").read_text())
    for name, draw in {
        "peers": draw_peers,
        "sizes": draw_sizes,
        "latency": draw_latency,
        "stages": draw_stages,
    }.items():
        figure = draw(results)
        figure.savefig(
            target / "benchmarks" / f"{name}.svg", metadata={"Date": None, "Creator": None}
        )
    instructions = results["instructions"]
    (target / "benchmarks.md").write_text(f"""\
<!-- Written by benchmarks/report.py from benchmarks/results.json. Change those, not this. -->

# Benchmarks

{"**A quick run, to try the harness: its figures mean little.**" if results["quick"] else ""}

Times are medians of a token in nanoseconds, with the quartiles of the rounds in brackets.
"x" is how many times longer the other takes, taken in each round, in which all took turns.

## What biases these figures

{biases(results)}

## The floors

The least that we hold ourselves to, and what we aim for. One core but for the row of two.
Processor time is what the process itself used, which others on the machine disturb less.

{floor_table(results)}

![Nanoseconds a token by library](benchmarks/peers.svg)

## The same tokens

Before anything is measured, all libraries mint the same inputs, with the same salts and issue
timestamps, and have to give the same tokens; so do our single call, our batch, and our portable
kernels. Node's own zlib writes other streams of the same content.

{checked(results)}

## Single calls

{against_peers(results["single"], ["fasttoken", "fasttoken, portable"])}

"portable" is plain C, without any instruction set extension (`FASTTOKEN_CPU=portable`).

## Batches

{against_peers(results["batch"]["peers"], ["arrow", "list", "arrow, portable"])}

### Outputs

{plain(results["batch"]["outputs"], "output")}

### Threads

{plain(results["batch"]["threads"], "output, threads")}

### Batch sizes

RTC publisher, 007.

{size_table(results)}

![Nanoseconds a token by batch size](benchmarks/sizes.svg)

## Latency

One single call of a 007 RTC publisher token as its caller sees it, while so many threads call
at once, in microseconds. Python runs one thread at a time and changes threads every 5 ms, so the
slowest calls are those that waited for other threads.

{latency_table(results)}

![Latency of the single call](benchmarks/latency.svg)

## Parse and verify

007 RTC publisher tokens, as a list of str.

{verify_table(results)}

## Memory

What a process grew by, divided by the tokens: with the tokens held, and at its peak.

{memory_table(results)}

## Where the time goes

The kernels alone, without Python, in nanoseconds of processor time a token. "batch" gives a stage
128 tokens at a time, "single" one. "mint" is all of it.

{stage_table(results)}

![Stages of minting](benchmarks/stages.svg)

### Instructions

Instructions a token, built by {instructions["recorded with"]}. They repeat where seconds don't, so
a change that adds more than 5 % to one of them fails (`python -m benchmarks.instructions --check`).
The portable and AVX2 paths are counted by callgrind, which has no SHA extensions, so that "avx2"
here is a machine without them; the others by single steps.

{instruction_table(results)}

## The machine

{machine_table(results)}

## Run it yourself

```
make bench                      # or: pip install -e '.[bench]' && python -m benchmarks
python -m benchmarks --quick    # two minutes, into build/bench/report/
python -m benchmarks.instructions
pytest benchmarks/test_micro.py
```

It needs a C compiler, Python with pip, for one peer Node with npm, and for `instructions` valgrind.
All results, round by round: [results.json](benchmarks/results.json).
""")


# Charts ---------------------------------------------------------------------------------------


def figure(width: float = 8, height: float = 4) -> Any:
    """An empty figure and its axes; the same results give the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "fasttoken",
            "svg.fonttype": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 9,
            "figure.constrained_layout.use": True,
        }
    )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


OURS, THEIRS = "#1b6ca8", "#b0b0b0"


def draw_peers(results: Results) -> Any:
    bars: list[tuple[str, float, str]] = []
    for case in ("publisher", "publisher_006"):
        single, batch = results["single"][case], results["batch"]["peers"][case]
        version = CASES[case][:3]
        bars += [
            (f"{version}  {name}", median(task["ns"]), THEIRS)
            for name, task in single.items()
            if name.startswith("agora")
        ]
        bars.append((f"{version}  fasttoken, single", median(single["fasttoken"]["ns"]), OURS))
        bars.append((f"{version}  fasttoken, batch", median(batch["arrow"]["ns"]), OURS))
    drawn, axes = figure(height=0.3 * len(bars) + 0.8)
    axes.barh([bar[0] for bar in bars], [bar[1] for bar in bars], color=[bar[2] for bar in bars])
    for at, bar in enumerate(bars):
        axes.text(bar[1] * 1.05, at, ns(bar[1]), va="center")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("nanoseconds a token, RTC publisher (logarithmic)")
    axes.margins(x=0.15)
    return drawn


def draw_sizes(results: Results) -> Any:
    drawn, axes = figure()
    sizes = list(results["batch"]["sizes"])
    for output, style in (("arrow", "-o"), ("list", "--s")):
        each = [results["batch"]["sizes"][size][output]["ns"] for size in sizes]
        axes.plot([int(size) for size in sizes], list(map(median, each)), style, label=output)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tokens in the batch")
    axes.set_ylabel("nanoseconds a token")
    axes.legend(frameon=False)
    return drawn


def draw_latency(results: Results) -> Any:
    drawn, axes = figure()
    shown = ("p50", "p90", "p99", "p99.9")
    styles = {"1": "-", "4": "--", "16": ":"}
    for threads, subjects in results["latency"].items():
        for name, color in (("fasttoken", OURS), (IO, THEIRS)):
            values = [subjects[name][key] / 1000 for key in shown]
            label = f"{name}, {threads} thread{'s' if threads != '1' else ''}"
            axes.plot(shown, values, styles[threads], color=color, marker="o", label=label)
    axes.set_yscale("log")
    axes.set_ylabel("microseconds a call (logarithmic)")
    axes.legend(frameon=False)
    return drawn


def draw_stages(results: Results) -> Any:
    bars = [
        (f"{path}, {calls}", stage_medians(results, path, "publisher", calls))
        for path in results["stages"]
        for calls in ("batch", "single")
    ]
    drawn, axes = figure(height=0.35 * len(bars) + 0.9)
    left = [0.0] * len(bars)
    parts = {"sign": "#1b6ca8", "deflate": "#e08e3c", "encode": "#6aa84f"}
    for stage, color in {**parts, "pack and the rest": "#b0b0b0"}.items():
        widths = [max(0.0, found.get(stage, rest(found))) for _, found in bars]
        axes.barh([name for name, _ in bars], widths, left=left, color=color, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("nanoseconds a token, 007 RTC publisher, kernels alone")
    axes.legend(frameon=False)
    return drawn
