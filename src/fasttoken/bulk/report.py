"""The report of a run: one HTML page with charts, which opens without network.

Channel names and reasons come from the user's file, so the page is built as a tree, which escapes
every text by itself, and a Content-Security-Policy in it forbids whatever could be loaded or run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from .summary import File, Summary

MOST_BARS = 20
MOST_FILES = 50
MOST_COLUMNS = 48
WIDTH, PLOT = 720, 160  # of a chart, in its own units
LONGEST = 120  # characters shown of a name

STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --soft: #5b626b; --line: #d9dde2;
  --paper: #ffffff; --bar: #1f6fd1; --bad: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3abb5; --line: #3a4048;
  --paper: #16191d; --bar: #6aa9f4; --bad: #fb923c; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb;
  --paper: #fff; --bar: #1f6fd1; --bad: #c2410c; }
  details { display: none; }
  svg, dl > div { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 52rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0; }
dl > div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
figure { margin: 2.5rem 0 0; break-inside: avoid-page; }
svg { display: block; width: 100%; height: auto; }
figure > table tr > :nth-child(-n+2) { width: 41%; }
svg text { font-size: 13px; fill: var(--ink); } svg .soft { fill: var(--soft); }
svg rect { fill: var(--bar); } .bad svg rect { fill: var(--bad); }
svg line { stroke: var(--line); } p { color: var(--soft); margin: .25rem 0; }
p.warning { color: var(--bad); } main > h2 { margin-top: 2.5rem; }
details { margin-top: .5rem; color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .15rem 0; vertical-align: middle; }
th { font-weight: normal; overflow-wrap: anywhere; } th[scope=col] { color: var(--soft); }
td:last-child, th:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.bar { padding: 0 1rem; } .bar svg { height: .9rem; }
details table { width: auto; table-layout: auto; } details th { padding-right: 3rem; }
"""


def write_report(summary: Summary, path: str | Path) -> None:
    """Writes the report of a run to ``path``, which holds the whole report or, if that fails, what
    it held before. `OSError` if it can't be written."""
    path = Path(path)
    # In the same folder, so that the last step is a rename.
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(page(summary), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# The page ------------------------------------------------------------------------------------


def page(summary: Summary) -> str:
    """The report as HTML."""
    title = "Agora tokens of this run"
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = title
    SubElement(head, "style").text = STYLE
    main = SubElement(SubElement(html, "body"), "main")
    SubElement(main, "h1").text = title
    SubElement(main, "p").text = _lead(summary)
    for warning in summary.warnings:
        SubElement(main, "p", {"class": "warning"}).text = text(warning)
    listed = SubElement(main, "dl")
    for name, value in _facts(summary):
        pair = SubElement(listed, "div")
        SubElement(pair, "dt").text = name
        SubElement(pair, "dd").text = value
    main.extend(_charts(summary))
    _files(main, "Read", summary.inputs)
    _files(main, "Written", summary.outputs)
    return "<!DOCTYPE html>\n" + tostring(html, encoding="unicode", method="html") + "\n"


def _lead(summary: Summary) -> str:
    state = "All rows were read" if summary.complete else "The run was stopped before its end"
    resumed = f", in {summary.attempts} attempts" if summary.attempts > 1 else ""
    return f"{state}. Started {utc(summary.started_at)}, {summary.seconds:,.1f} s{resumed}."


def _facts(summary: Summary) -> list[tuple[str, str]]:
    rate = summary.rows / summary.seconds if summary.seconds else 0
    facts = [
        ("Rows read", f"{summary.rows:,}"),
        ("Tokens minted", f"{summary.minted:,}"),
        ("Rows rejected", f"{summary.rejected:,}"),
        ("Rows per second", f"{rate:,.0f}"),
    ]
    if any(summary.expiries):
        span = next(place for place, number in enumerate(summary.expiries) if number)
        first = summary.expiry_start + span * summary.expiry_width
        facts.append(("First tokens expire", utc(first)))
    return [*facts, ("App ID", summary.app_id), ("Core", summary.core)]


def _charts(summary: Summary) -> list[Element]:
    """The charts that there is anything to show in."""
    channels = list(summary.channels.items())
    charts = []
    if channels:
        least = "" if summary.channels_exact else "at least "
        others = sum(number for _, number in channels[MOST_BARS:]) + summary.other_rows
        count = len(channels[MOST_BARS:]) + summary.other_channels
        rest = (f"{least}{count:,} other channels", others) if others else None
        charts.append(bars("Rows per channel", "channel", "tokens", channels[:MOST_BARS], rest))
    if summary.roles:
        charts.append(bars("Roles", "role", "tokens", list(summary.roles.items())))
    if any(summary.expiries):
        charts.append(columns("When tokens expire", "from", "tokens", _expiries(summary)))
    if summary.rejects:
        reasons = [(f"{each.field}: {each.reason}", each.rows) for each in summary.rejects]
        left = summary.rejected - sum(number for _, number in reasons[:MOST_BARS])
        rest = ("other reasons", left) if left else None
        charts.append(
            bars("Rejected rows", "reason", "rows", reasons[:MOST_BARS], rest, style="bad")
        )
    rates = _rates(summary)
    if rates:
        charts.append(columns("Rows read per second", "after", "rows/s", rates))
    return charts


def _expiries(summary: Summary) -> list[tuple[str, int]]:
    """How many tokens expire in each of at most `MOST_COLUMNS` spans of time."""
    together = -(-len(summary.expiries) // MOST_COLUMNS)
    return [
        (
            utc(summary.expiry_start + first * summary.expiry_width),
            sum(summary.expiries[first : first + together]),
        )
        for first in range(0, len(summary.expiries), together)
    ]


def _rates(summary: Summary) -> list[tuple[str, int]]:
    """The rows a second in each of at most `MOST_COLUMNS` equal spans of the run; between two
    moments of the summary the rate counts as constant."""
    seconds = [0.0, *(at for at, _ in summary.throughput)]
    rows = [0, *(number for _, number in summary.throughput)]
    if seconds[-1] <= 0:
        return []
    parts = min(MOST_COLUMNS, len(summary.throughput))
    width = seconds[-1] / parts
    edges = np.interp([width * part for part in range(parts + 1)], seconds, rows)
    return [
        (f"{width * part:.1f} s", round(float(edges[part + 1] - edges[part]) / width))
        for part in range(parts)
    ]


def _files(main: Element, title: str, files: Sequence[File]) -> None:
    """A list of files; beyond `MOST_FILES` only their number."""
    if not files:
        return
    SubElement(main, "h2").text = title
    table = _table(main, "file", "format", "rows", "bytes")
    for file in files[:MOST_FILES]:
        row = SubElement(table, "tr")
        SubElement(SubElement(row, "th", scope="row"), "bdi").text = text(file.name)
        SubElement(row, "td").text = file.format
        for number in (file.rows, file.bytes):
            SubElement(row, "td").text = "" if number is None else f"{number:,}"
    if len(files) > MOST_FILES:
        SubElement(main, "p").text = f"and {len(files) - MOST_FILES:,} more files"


# Charts ---------------------------------------------------------------------------------------


def bars(
    title: str,
    axis: str,
    unit: str,
    rows: Sequence[tuple[str, int]],
    rest: tuple[str, int] | None = None,
    style: str = "",
) -> Element:
    """A table of names and figures with a bar in each row; ``rest`` is a row without one."""
    figure = Element("figure", {"class": style} if style else {})
    SubElement(figure, "h2").text = title
    table = _table(figure, axis, "", unit)
    most = max((value for _, value in rows), default=0) or 1
    for label, value in rows:
        row = _row(table, label, value)
        cell = Element("td", {"class": "bar"})
        row.insert(1, cell)
        flat = {"viewBox": "0 0 1000 1", "preserveAspectRatio": "none", "aria-hidden": "true"}
        length = str(max(1, value * 1000 // most))
        SubElement(SubElement(cell, "svg", flat), "rect", width=length, height="1")
    if rest:
        _row(table, *rest).insert(1, Element("td"))
    return figure


def columns(title: str, axis: str, unit: str, rows: Sequence[tuple[str, int]]) -> Element:
    """A chart with one column for each span of time, in order, and a table of the figures."""
    most = max((value for _, value in rows), default=0) or 1
    said = f"{len(rows)} spans {axis} {rows[0][0]} to {rows[-1][0]}; at most {most:,} {unit}"
    figure = Element("figure")
    SubElement(figure, "h2").text = title
    ids = [f"{title.replace(' ', '-')}-{part}".lower() for part in ("title", "desc")]
    size = {"viewBox": f"0 0 {WIDTH} {PLOT + 50}", "role": "img"}
    svg = SubElement(figure, "svg", size | {"aria-labelledby": " ".join(ids)})
    SubElement(svg, "title", id=ids[0]).text = title
    SubElement(svg, "desc", id=ids[1]).text = said
    left, top = 90, 15
    for part in (0, 0.5, 1):
        height = f"{top + PLOT * (1 - part):.1f}"
        SubElement(svg, "line", x1=str(left), x2=str(WIDTH), y1=height, y2=height)
        _text(svg, left - 8, float(height) + 4, f"{most * part:,.0f}", "soft", "end")
    step = (WIDTH - left) / len(rows)
    for number, (label, value) in enumerate(rows):
        tall = PLOT * value / most
        size = {"width": f"{max(step - 2, 1):.1f}", "height": f"{tall:.1f}"}
        place = {"x": f"{left + number * step + 1:.1f}", "y": f"{top + PLOT - tall:.1f}"}
        bar = SubElement(svg, "rect", place | size)
        SubElement(bar, "title").text = f"{label}: {value:,}"
    ends = [(left, "start", rows[0][0]), (WIDTH, "end", rows[-1][0])]
    for place_x, anchor, label in ends[: 1 if len(rows) == 1 else 2]:
        _text(svg, place_x, top + PLOT + 20, label, "soft", anchor)
    details = SubElement(figure, "details")
    SubElement(details, "summary").text = "The figures"
    table = _table(details, axis, unit)
    for label, value in rows:
        _row(table, label, value)
    return figure


def _text(
    svg: Element, x: float, y: float, content: str, style: str = "", anchor: str = "start"
) -> Element:
    """A text in a chart."""
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    element = SubElement(svg, "text", place | ({"class": style} if style else {}))
    element.text = content
    return element


def _table(parent: Element, *names: str) -> Element:
    """A table with its headings; the column of an empty name has none."""
    table = SubElement(parent, "table")
    head = SubElement(table, "tr")
    for name in names:
        SubElement(head, "th" if name else "td", {"scope": "col"} if name else {}).text = name
    return table


def _row(table: Element, label: str, value: int) -> Element:
    """A row of a table. Names in any script and direction stand for themselves: hence bdi."""
    row = SubElement(table, "tr")
    SubElement(SubElement(row, "th", scope="row"), "bdi").text = text(label)
    SubElement(row, "td").text = f"{value:,}"
    return row


# Words ----------------------------------------------------------------------------------------


def text(name: str) -> str:
    """A text of the user's, with what is not to be seen escaped."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name) or "(empty)"
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def utc(when: float) -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
