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
