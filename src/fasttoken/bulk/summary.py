"""Summary: what a job did, counted while it runs, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class File:
    """A file that was read or written; ``rows`` and ``bytes`` are None where not known."""

    name: str
    format: str
    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Reason:
    """How many rows were rejected in one field for one reason."""

    field: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Summary:
    """What a job did. Everything but the options' own texts is a number or comes from the input.

    ``rows`` were read: ``minted`` and ``rejected`` of them. ``seconds`` of wall time over all
    attempts, ``attempts`` of them (1 without a resume). ``started_at``: Unix seconds.

    ``channels``: rows minted for each of the busiest channels, most first; ``other_channels`` and
    ``other_rows`` stand for the rest. ``channels_exact`` is false if there were more channels than
    are counted one by one; then ``other_channels`` is a lower bound. ``roles``: rows of each role.

    ``expiries``: rows whose token ends in each span of ``expiry_width`` seconds from
    ``expiry_start`` (Unix seconds). ``rejects``: most frequent first.

    ``throughput``: pairs of seconds since the start and rows read so far. ``warnings``: sentences.
    ``options``: `Options.to_data`. ``complete`` is false for a run that was stopped.
    """

    rows: int
    minted: int
    rejected: int
    seconds: float
    attempts: int
    started_at: int
    app_id: str
    core: str
    channels: Mapping[str, int]
    other_channels: int
    other_rows: int
    channels_exact: bool
    roles: Mapping[str, int]
    expiry_start: int
    expiry_width: int
    expiries: tuple[int, ...]
    rejects: tuple[Reason, ...]
    throughput: tuple[tuple[float, int], ...]
    inputs: tuple[File, ...]
    outputs: tuple[File, ...]
    warnings: tuple[str, ...]
    options: Mapping[str, Any]
    complete: bool = True

    def to_data(self) -> dict[str, Any]:
        """The summary as plain data, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The summary as JSON."""
        return json.dumps(self.to_data())

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Summary:
        """The summary that `to_data` made this of."""
        return cls(
            **{
                **data,
                "expiries": tuple(data["expiries"]),
                "rejects": tuple(Reason(**reason) for reason in data["rejects"]),
                "throughput": tuple((float(at), int(rows)) for at, rows in data["throughput"]),
                "inputs": tuple(File(**file) for file in data["inputs"]),
                "outputs": tuple(File(**file) for file in data["outputs"]),
                "warnings": tuple(data["warnings"]),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """The summary that `to_json` made this of."""
        return cls.from_data(json.loads(text))


# Counting -------------------------------------------------------------------------------------

MOST_CHANNELS = 20_000  # counted one by one
SHOWN_CHANNELS = 20
MOST_REASONS = 200
SAMPLES = 200  # of throughput
MOST_BINS = 48


class Counts:
    """What a job has counted so far. Plain data, so that a journal can hold it."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        given: Mapping[str, Any] = data or {}
        self.rows: int = given.get("rows", 0)
        self.rejected: int = given.get("rejected", 0)
        self.channels: dict[str, int] = dict(given.get("channels", {}))
        self.uncounted: int = given.get("uncounted", 0)  # rows of channels beyond the most
        self.roles: dict[str, int] = dict(given.get("roles", {}))
        self.expiries: dict[int, int] = {int(k): v for k, v in given.get("expiries", {}).items()}
        self.width: int = given.get("width", 1)
        self.rejects: list[list[Any]] = [list(each) for each in given.get("rejects", [])]
        self.long_lifetimes: int = given.get("long_lifetimes", 0)
        self._places = {(each[0], each[1]): each for each in self.rejects}

    def to_data(self) -> dict[str, Any]:
        """The counts as plain data."""
        data = {name: value for name, value in vars(self).items() if name[0] != "_"}
        return {
            **data,
            "channels": dict(self.channels),
            "roles": dict(self.roles),
            "expiries": dict(self.expiries),
            "rejects": [list(each) for each in self.rejects],
        }

    def add(self, tally: Tally) -> None:
        """Adds what was counted of one batch."""
        self.rows += tally.rows
        self.long_lifetimes += tally.long_lifetimes
        for name, rows in tally.channels.items():
            if name in self.channels:
                self.channels[name] += rows
            elif len(self.channels) < MOST_CHANNELS:
                self.channels[name] = rows
            else:
                self.uncounted += rows
        for name, rows in tally.roles.items():
            self.roles[name] = self.roles.get(name, 0) + rows
        for at, rows in tally.expiries.items():
            key = at // self.width * self.width
            self.expiries[key] = self.expiries.get(key, 0) + rows
        self._widen()

    def merge(self, other: Counts) -> None:
        """Adds what was counted elsewhere."""
        good = other.rows - other.rejected
        self.width = max(self.width, other.width)
        self._rebin()
        self.add(Tally(good, other.long_lifetimes, other.channels, other.roles, other.expiries))
        self.rows += other.rejected
        self.uncounted += other.uncounted
        for field, reason, rows in other.rejects:
            self.reject(field, reason, rows)

    def reject(self, field: str, reason: str, rows: int = 1) -> None:
        """Counts rows that were rejected."""
        self.rejected += rows
        key = (field, reason)
        if key not in self._places and len(self.rejects) >= MOST_REASONS:
            key = ("", "other reasons")
        if key not in self._places:
            self._places[key] = [*key, 0]
            self.rejects.append(self._places[key])
        self._places[key][2] += rows

    def _widen(self) -> None:
        """Makes the bins of the expiry timeline as wide as it takes for them to be few."""
        widths = (1, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 28 * 86_400)
        while len(self.expiries) > 1 and self.width < widths[-1]:
            if max(self.expiries) // self.width - min(self.expiries) // self.width < MOST_BINS:
                break
            self.width = widths[widths.index(self.width) + 1]
            self._rebin()

    def _rebin(self) -> None:
        """Puts what was counted into bins of the present width."""
        narrow, self.expiries = self.expiries, {}
        for at, rows in narrow.items():
            key = at // self.width * self.width
            self.expiries[key] = self.expiries.get(key, 0) + rows

    def reasons(self) -> tuple[Reason, ...]:
        """Why rows were rejected, the most frequent reason first."""
        return tuple(Reason(*each) for each in sorted(self.rejects, key=lambda each: -each[2]))

    def timeline(self) -> tuple[int, int, tuple[int, ...]]:
        """The start, the width and the rows of the bins of the expiry timeline."""
        if not self.expiries:
            return 0, self.width, ()
        first, last = min(self.expiries), max(self.expiries)
        keys = range(first, last + 1, self.width)
        return first, self.width, tuple(self.expiries.get(key, 0) for key in keys[:10_000])

    def busiest(self) -> dict[str, int]:
        """The channels with the most rows."""
        ordered = sorted(self.channels.items(), key=lambda item: (-item[1], item[0]))
        return dict(ordered[:SHOWN_CHANNELS])


@dataclass
class Tally:
    """What was counted of one batch."""

    rows: int
    long_lifetimes: int
    channels: dict[str, int]
    roles: dict[str, int]
    expiries: dict[int, int]


class Throughput:
    """Rows over time: evenly thinned out samples, however long a job takes."""

    def __init__(self, samples: list[list[float]] | None = None) -> None:
        self.samples = samples or []
        self._every = 0.0

    def add(self, seconds: float, rows: int) -> None:
        """Notes how many rows there are after so many seconds."""
        if self.samples and seconds - self.samples[-1][0] < self._every:
            return
        self.samples.append([round(seconds, 3), rows])
        if len(self.samples) > SAMPLES:
            self.samples = self.samples[::2]
            self._every = (self.samples[-1][0] - self.samples[0][0]) / len(self.samples)
