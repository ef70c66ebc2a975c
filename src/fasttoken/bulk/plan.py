"""The plan of a job: what it will do, and what is odd about it, told before it begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .. import rules
from ..errors import TokenWarning
from ..project import Project
from .mint import Fields, mint_and_count, minted_schema
from .options import Options
from .readers import Position, Reader, fitted
from .sources import TEXT, Format, Source
from .summary import Counts, Reason
from .writers import open_writer

SAMPLE = 100_000  # rows that are looked at before a job begins
MOST_KEYS = 10_000_000  # rows among which duplicates are sought: 80 MB
_WILD = ("", "*")
_ODD = np.int64(-7046029254386353131)  # so that no bit of a channel's hash is lost
_MISSING = np.int64(-(2**63))


@dataclass(frozen=True)
class Plan:
    """What a job will do. ``rows`` are None where they can't be told, and ``exact`` says whether
    they were counted; ``looked_at`` are those that the warnings speak of; ``rejected`` is None, and
    ``rejects`` empty, unless every row was tried. Times in Unix seconds, sizes in bytes."""

    inputs: tuple[Source, ...]
    output: str
    output_format: Format
    columns: dict[str, str]
    rows: int | None
    exact: bool
    looked_at: int
    size: int | None
    issued_at: int
    first_expiry: int
    last_expiry: int
    rejected: int | None
    rejects: tuple[Reason, ...]
    warnings: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """The plan as plain data, for JSON."""
        return {**asdict(self), "output_format": str(self.output_format)}


class Looker:
    """Looks at rows before they are minted."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rows = 0
        self.lifetimes: set[int] = set()
        self.wildcards = {"channel": 0, "user": 0}
        self.long_lifetimes = 0
        self._keys: list[npt.NDArray[np.int64]] = []
        self._keyed = 0
        self._hashes: dict[str, int] = {}

    def add(self, batch: pa.RecordBatch, unread: int = 0) -> None:
        """Looks at a batch, beside which so many rows could not be read."""
        fields = Fields(batch, self.options)
        self.rows += batch.num_rows + unread
        for name, value in (("channel", fields.channel_name), ("user", fields.user.value)):
            self.wildcards[name] += _wild(value, batch.num_rows)
        expire = fields.expire
        values = expire.unique().to_pylist() if isinstance(expire, pa.Array) else [expire]
        for seconds in values:
            if seconds is not None and seconds >= 0:
                self.lifetimes.add(seconds if 0 < seconds <= rules.DAY else rules.DAY)
        if isinstance(expire, pa.Array):
            odd = pc.or_(pc.equal(expire, 0), pc.greater(expire, rules.DAY))
            self.long_lifetimes += pc.sum(odd).as_py() or 0
        elif not 0 < expire <= rules.DAY:
            self.long_lifetimes += batch.num_rows
        if self._keyed < MOST_KEYS and fields.user.value is not None:
            channels = self._hashed(fields.channel_name, batch.num_rows)
            users = self._hashed(fields.user.value, batch.num_rows)
            keys = channels * _ODD + users
            for value in (fields.channel_name, fields.user.value):
                if isinstance(value, pa.Array) and value.null_count:  # rows that will be rejected
                    missing = value.is_null().to_numpy(zero_copy_only=False)
                    keys[missing] = _MISSING
            self._keys.append(keys)
            self._keyed += len(keys)

    def _hashed(self, value: Any, rows: int) -> npt.NDArray[np.int64]:
        """A 64-bit hash of each value; numbers are their own."""
        if not isinstance(value, pa.Array):
            return np.full(rows, hash(str(value)), np.int64)
        if pa.types.is_integer(value.type):
            numbers: npt.NDArray[np.int64] = (
                pc.fill_null(value, 0).cast(pa.int64(), safe=False).to_numpy()
            )
            return numbers
        encoded = value.dictionary_encode()
        # hash() of a text is SipHash, 64 bits of it.
        known = np.fromiter(map(hash, encoded.dictionary.to_pylist()), np.int64)
        picks = pc.fill_null(encoded.indices, 0).to_numpy()
        return known[picks] if len(known) else np.zeros(rows, np.int64)

    def duplicates(self) -> tuple[int, int]:
        """How many rows have the channel and user of an earlier row, and the first such row."""
        if not self._keys:
            return 0, 0
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        again = order[1:][(ordered[1:] == ordered[:-1]) & (ordered[1:] != _MISSING)]
        return len(again), int(again.min()) + 1 if len(again) else 0

    def warnings(self, whole: bool) -> Iterator[str]:
        """What is odd about the rows."""
        of = f"of {self.rows:,} rows" if whole else f"of the first {self.rows:,} rows"
        for name, what in (("channel", "any channel"), ("user", "any user")):
            if self.wildcards[name]:
                then = "" if self.options.allow_wildcard else ", and will be rejected"
                yield f"{self.wildcards[name]:,} {of} mean {what}{then}"
        repeated, first = self.duplicates()
        if repeated:
            among = "" if self._keyed == self.rows else f" (of the first {self._keyed:,})"
            yield (
                f"{repeated:,} {of}{among} have the channel and user of an earlier one; "
                f"the first is row {first:,}"
            )
        if self.long_lifetimes:
            then = ", and will be rejected" if self.options.strict_lifetime else ""
            yield f"the lifetime of {self.long_lifetimes:,} {of} {rules.LIFETIME}{then}"


def _wild(value: Any, rows: int) -> int:
    if isinstance(value, pa.Array):
        if pa.types.is_integer(value.type):
            return int(pc.sum(pc.equal(value, 0)).as_py() or 0)
        return int(pc.sum(pc.is_in(value, pa.array(_WILD, value.type))).as_py() or 0)
    return rows if value == 0 or value in _WILD else 0


def make_plan(
    sources: Sequence[Source],
    counts: Sequence[int | None],
    open_reader: Callable[[int], Reader],
    schema: pa.Schema,
    project: Project,
    options: Options,
    output: str,
    output_format: Format,
    event: tuple[int | None, int | None],
    now: int,
    whole: bool,
) -> Plan:
    """The plan of a job: of a sample of its rows, or, to know exactly, of every one.

    ``counts``: the rows of each source, where it tells. ``event``: when it starts and ends.
    ``options.issue_at`` must be set.
    """
    assert options.issue_at is not None  # noqa: S101 (for the type checker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TokenWarning)  # the plan has its own
        looked = _look(sources, open_reader, schema, project, options, output_format, whole)
    looker, tried, width, seen, complete = looked
    rows, exact = looker.rows, complete
    estimated: int | None = rows
    if not complete:
        total = sum(source.size or 0 for source in sources)
        estimated = int(rows / seen * total) if seen else None
        if all(count is not None for count in counts):
            estimated, exact = sum(count or 0 for count in counts), True
    lifetimes = looker.lifetimes or {options.expire or rules.DAY}
    first, last = options.issue_at + min(lifetimes), options.issue_at + max(lifetimes)
    return Plan(
        inputs=tuple(sources),
        output=output,
        output_format=output_format,
        columns=options.found(schema.names),
        rows=estimated,
        exact=exact,
        looked_at=rows,
        size=None if estimated is None or width is None else int(estimated * width),
        issued_at=options.issue_at,
        first_expiry=first,
        last_expiry=last,
        rejected=tried.rejected if whole else None,
        rejects=tried.reasons(),
        warnings=(
            *looker.warnings(complete),
            *_times(options.issue_at, first, last, event, now),
        ),
    )


def _look(
    sources: Sequence[Source],
    open_reader: Callable[[int], Reader],
    schema: pa.Schema,
    project: Project,
    options: Options,
    output_format: Format,
    whole: bool,
) -> tuple[Looker, Counts, float | None, float, bool]:
    """Looks at rows: what was found, why rows would be rejected if all are tried, bytes of a row
    of the output, bytes of the input that were looked at, and whether that was all of it."""
    looker, tried = Looker(options), Counts()
    width: float | None = None
    seen = 0.0  # bytes of the sources
    complete = True
    for place, source in enumerate(sources):
        if source.size is None:  # what is read of standard input is gone
            complete = False
            break
        for chunk in open_reader(place).chunks(Position()):
            batch = fitted(chunk.batch, schema, source.name)
            looker.add(batch, len(chunk.bad))
            if width is None and batch.num_rows:
                width = _width(batch, project, options, output_format)
            if whole:
                _, bad, _ = mint_and_count(batch, project, options)
                for field, reason in [(row.field, row.reason) for row in bad] + [
                    (line.field, line.reason) for line in chunk.bad
                ]:
                    tried.reject(field, reason)
            elif looker.rows >= SAMPLE:
                seen += source.size * chunk.fraction
                complete = False
                break
        if not complete:
            break
        seen += source.size
    return looker, tried, width, seen, complete


def _width(
    batch: pa.RecordBatch, project: Project, options: Options, output_format: Format
) -> float | None:
    """Bytes of a row of the output, about."""
    minted, _, _ = mint_and_count(batch.slice(0, 2_000), project, replace(options, salt_seed=0))
    if not minted.num_rows:
        return None
    if output_format.kind in TEXT:
        writer = open_writer("", minted_schema(batch.schema), output_format)
        return float(memoryview(writer.encode(minted)).nbytes / minted.num_rows)
    return float(minted.nbytes / minted.num_rows)


def _times(
    issued: int, first: int, last: int, event: tuple[int | None, int | None], now: int
) -> Iterator[str]:
    """What is odd about when tokens end."""
    starts, ends = event
    if issued > now:
        yield "these tokens are for later: until they are issued, they are not valid"
    if first <= now:
        many = "all tokens" if last <= now else "some tokens"
        yield f"{many} will have expired before they are minted"
    for at, what in ((starts, "starts"), (ends, "ends")):
        if at is not None and first <= at:
            many = "all" if last <= at else "some"
            yield f"{many} tokens will have expired when the event {what}"
    if ends is not None and ends - issued > rules.DAY:
        yield "the event ends over 24 hours after the tokens are issued, and no token lasts longer"
