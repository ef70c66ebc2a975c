"""The report of a bulk run: complete in itself, harmless, and as the summary has it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from fasttoken.bulk import File, Reason, Summary
from fasttoken.bulk.report import MOST_BARS, MOST_COLUMNS, MOST_FILES, page, write_report

pytestmark = pytest.mark.once

HOSTILE = {
    "<script>alert(1)</script>": 50,
    '"><img src=https://example.com/x onerror=alert(1)>': 40,
    "</style><style>@import url(//example.com)</style>": 30,
    "&lt;b&gt; & ]]> --> <!--": 20,
    "\u202egnp.exe": 10,
    "نص عربي": 5,
    "a\x00b\x1b[31m\ud800": 3,
    "": 2,
}
SUMMARY = Summary(
    rows=200,
    minted=190,
    rejected=10,
    seconds=4.0,
    attempts=2,
    started_at=1_700_000_000,
    app_id="970CA35de60c44645bbae8a215061b33",
    core="native, avx512",
    channels=HOSTILE,
    other_channels=7,
    other_rows=30,
    channels_exact=False,
    roles={"publisher": 40, "subscriber": 150},
    expiry_start=1_700_003_600,
    expiry_width=60,
    expiries=(0, 90, 0, 100),
    rejects=(Reason("uid", "must be in 0..4294967295 <b>", 6), Reason("channel_name", "&amp;", 4)),
    throughput=((1.0, 20), (2.0, 120), (4.0, 200)),
    inputs=(File("in/<i>.csv", "csv", 200, None),),
    outputs=(File("out.parquet", "parquet", 190, 12_345),),
    warnings=("3 rows <u>share</u> a uid",),
    options={},
)
ONE_OF_EACH = {"channels": {"x": 1}, "roles": {"x": 1}, "rejects": (Reason("x", "x", 1),)}
VOID = {"meta", "line"}


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        self.texts.setdefault(where, []).append(data)
        if "tr" in self.open:
            self.rows[-1].append(data)

    def figures(self, *names: str) -> list[tuple[str, int]]:
        """The rows of the table with these headings."""
        start = self.rows.index([*names]) + 1
        found = []
        for row in self.rows[start:]:
            if len(row) != 2 or not re.fullmatch("[0-9,]+", row[1]):
                break
            found.append((row[0], int(row[1].replace(",", ""))))
        return found


def test_the_figures_are_those_of_the_summary() -> None:
    seen = Page(page(SUMMARY))
    shown = dict(zip(seen.texts["dt"], seen.texts["dd"], strict=True))
    assert shown["Rows read"] == "200"
    assert shown["Tokens minted"] == "190"
    assert shown["Rows rejected"] == "10"
    assert shown["Rows per second"] == "50"
    assert shown["First tokens expire"] == "2023-11-14 23:14:20 UTC"
    assert shown["App ID"] == SUMMARY.app_id
    channels = seen.figures("channel", "tokens")
    assert [number for _, number in channels] == [*HOSTILE.values(), 30]
    assert channels[-1][0] == "at least 7 other channels"
    assert seen.figures("role", "tokens") == [("publisher", 40), ("subscriber", 150)]
    assert [number for _, number in seen.figures("from", "tokens")] == [0, 90, 0, 100]
    assert seen.figures("reason", "rows") == [
        ("uid: must be in 0..4294967295 <b>", 6),
        ("channel_name: &amp;", 4),
    ]
    # Three spans of 4/3 seconds; the rate counts as constant from one moment to the next.
    rates = [number for _, number in seen.figures("after", "rows/s")]
    assert rates == [40, 70, 40]
    assert ["in/<i>.csv", "csv", "200"] in seen.rows
    assert ["out.parquet", "parquet", "190", "12,345"] in seen.rows
    assert "2 attempts" in " ".join(seen.texts["p"])
    assert "3 rows <u>share</u> a uid" in seen.texts["p"]


def test_names_stay_text_and_show_what_they_hide() -> None:
    seen = Page(page(SUMMARY))
    names = [name for name, _ in seen.figures("channel", "tokens")]
    assert names[:4] == [*HOSTILE][:4]
    assert names[4:8] == ["\\u202egnp.exe", "نص عربي", "a\\x00b\\x1b[31m\\ud800", "(empty)"]


def harmless(html: str) -> None:
    """Nothing in the page runs, and nothing is fetched."""
    seen = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "base", "b", "i", "u"} & {*seen.tags}
    names = {name for name, _ in seen.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "style")}
    assert seen.tags.count("style") == 1
    (style,) = seen.texts["style"]
    assert "url(" not in style
    assert "@import" not in style
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in seen.attributes


def test_nothing_runs_and_nothing_is_fetched() -> None:
    harmless(page(SUMMARY))


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_no_text_gets_out_of_its_place(texts: list[str]) -> None:
    name, field, warning, file = texts
    html = page(
        replace(
            SUMMARY,
            channels={name: 1},
            roles={name: 1},
            rejects=(Reason(field, name, 1),),
            warnings=(warning,),
            inputs=(File(file, "csv"),),
        )
    )
    html.encode()
    harmless(html)
    assert Page(html).tags == Page(page(replace(SUMMARY, **ONE_OF_EACH))).tags


def test_charts_can_be_read_without_seeing_them() -> None:
    html = page(SUMMARY)
    seen = Page(html)
    assert ("lang", "en") in seen.attributes
    charts = [value for name, value in seen.attributes if name == "aria-labelledby"]
    assert len(charts) == 2
    ids = [value for name, value in seen.attributes if name == "id"]
    assert " ".join(charts).split() == ids
    assert len(set(ids)) == len(ids)
    assert len(seen.texts["desc"]) == 2
    # Every other chart is a bar in a table.
    hidden = [name for name, _ in seen.attributes].count("aria-hidden")
    assert seen.tags.count("svg") == len(charts) + hidden
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_much_is_shown_in_bounds() -> None:
    many = replace(
        SUMMARY,
        channels={f"room{number}": 1000 - number for number in range(500)},
        channels_exact=True,
        expiries=tuple(range(1000)),
        throughput=tuple((float(second), second * 10) for second in range(1, 5000)),
        rejects=tuple(Reason("uid", f"reason {number}", 5) for number in range(100)),
        rejected=600,
        outputs=tuple(File(f"part{number}", "parquet", 1) for number in range(1000)),
    )
    seen = Page(page(many))
    channels = seen.figures("channel", "tokens")
    assert len(channels) == MOST_BARS + 1
    assert channels[-1][0] == f"{500 - MOST_BARS + 7} other channels"
    assert sum(number for _, number in channels) == sum(many.channels.values()) + many.other_rows
    expiries = seen.figures("from", "tokens")
    assert len(expiries) <= MOST_COLUMNS
    assert sum(number for _, number in expiries) == sum(range(1000))
    rejects = seen.figures("reason", "rows")
    assert rejects[-1] == ("other reasons", 600 - MOST_BARS * 5)
    assert {number for _, number in seen.figures("after", "rows/s")} == {10}
    assert f"and {1000 - MOST_FILES} more files" in seen.texts["p"]


def test_nothing_to_show() -> None:
    empty = replace(
        SUMMARY,
        rows=0,
        minted=0,
        rejected=0,
        seconds=0.0,
        channels={},
        other_channels=0,
        other_rows=0,
        roles={},
        expiries=(),
        rejects=(),
        throughput=(),
        inputs=(),
        outputs=(),
        warnings=(),
        complete=False,
    )
    seen = Page(page(empty))
    assert "figure" not in seen.tags
    assert "table" not in seen.tags
    assert "stopped before its end" in seen.texts["p"][0]
    one = replace(empty, throughput=((0.0, 0),), expiries=(0,))
    assert "figure" not in Page(page(one)).tags


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(SUMMARY, path)
    assert path.read_text(encoding="utf-8") == page(SUMMARY)
    write_report(replace(SUMMARY, rows=201), str(path))
    assert "201" in path.read_text(encoding="utf-8")
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(OSError, match="missing"):
        write_report(SUMMARY, tmp_path / "missing" / "report.html")
