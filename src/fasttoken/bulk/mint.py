"""From Arrow batch to Arrow batch: every column kept; token, issued_at and expires_at added."""

from __future__ import annotations

from time import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .. import rules
from ..errors import BadRow, FieldError, RowsError
from ..project import PUBLISHER_PRIVILEGES, Project
from ..salts import random_salts
from ..services import Chat, ConvoAI, FCdn, Fpa, Rtc, Rtm, Service, Streaming, Stt
from .options import ADDED, Options
from .summary import Tally

Column = Any  # a pyarrow array; pyarrow has no types of its own
Bad = dict[int, BadRow]

_NO_NUMBER = "must be a number"
_NO_UID = f"{_NO_NUMBER} (texts are accounts: read them with --account-column)"
_NUMBER = "^(0|-?[1-9][0-9]{0,17})$"


def mint_batch(
    batch: pa.RecordBatch,
    project: Project,
    options: Options,
    *,
    file: int = 0,
    rows: int | npt.NDArray[np.uint64] = 0,
) -> pa.RecordBatch:
    """The batch with a token for each row: columns ``token`` (large_string), ``issued_at`` and
    ``expires_at`` (int64, Unix seconds) behind its own.

    Raises one `RowsError` that lists every bad row, or `FieldError` if a column is missing or of
    the wrong type. ``file`` and ``rows``, the number of the first row in it or one number a row,
    only count for ``options.salt_seed``.
    """
    minted, bad = mint_or_reject(batch, project, options, file=file, rows=rows)
    if bad:
        raise RowsError(bad)
    return minted


def mint_or_reject(
    batch: pa.RecordBatch,
    project: Project,
    options: Options,
    *,
    file: int = 0,
    rows: int | npt.NDArray[np.uint64] = 0,
) -> tuple[pa.RecordBatch, tuple[BadRow, ...]]:
    """As `mint_batch`, but bad rows are left out of the batch and listed beside it; their index is
    that in the batch given."""
    minted, bad, _ = mint_and_count(batch, project, options, file=file, rows=rows)
    return minted, bad


def mint_and_count(
    batch: pa.RecordBatch,
    project: Project,
    options: Options,
    *,
    file: int = 0,
    rows: int | npt.NDArray[np.uint64] = 0,
) -> tuple[pa.RecordBatch, tuple[BadRow, ...], Tally]:
    """As `mint_or_reject`, with what a summary tells of the rows that were minted."""
    issued = int(time()) if options.issue_at is None else options.issue_at
    count = batch.num_rows
    fields = Fields(batch, options)
    if options.salt_seed is None:
        salts = random_salts(count)
    else:
        if isinstance(rows, int):
            rows = np.arange(rows, rows + count, dtype=np.uint64)
        salts = seeded_salts(options.salt_seed, file, rows)
    tokens, found = fields.mint(project, issued, salts)
    bad = {row.index: fields.renamed(row) for row in found} | fields.bad
    expires = issued + _lifetimes(fields.expire, count)
    added = [pa.array(tokens), pa.array(np.full(count, issued, np.int64)), pa.array(expires)]
    kept = [place for place, name in enumerate(batch.schema.names) if name not in ADDED]
    schema = minted_schema(batch.schema)
    minted = pa.RecordBatch.from_arrays(
        [*(batch.column(place) for place in kept), *added], schema=schema
    )
    good = None
    if bad:
        good = np.ones(count, np.bool_)
        good[list(bad)] = False
        minted = minted.filter(pa.array(good))
    tally = fields.tally(minted.num_rows, good, expires)
    return minted, tuple(bad[index] for index in sorted(bad)), tally


def minted_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of what batches of this schema become."""
    kept = [field for field in schema if field.name not in ADDED]
    types = (pa.large_string(), pa.int64(), pa.int64())
    added = [pa.field(name, kind) for name, kind in zip(ADDED, types, strict=True)]
    return pa.schema([*kept, *added], metadata=schema.metadata)


def check_schema(schema: pa.Schema, options: Options) -> dict[str, str]:
    """The column of each field. Raises `FieldError` for what no batch of this schema could pass:
    a column that is missing, or of the wrong type."""
    empty = pa.RecordBatch.from_arrays([pa.array([], each.type) for each in schema], schema=schema)
    Fields(empty, options)
    return options.found(schema.names)


def seeded_salts(seed: int, file: int, rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Salts that follow from a seed, the number of a file and the number of a row in it alone.

    For tests: whoever knows the seed knows them. (splitmix64, as its author gives it.)
    """
    start = _mixed(np.array([seed], np.uint64) ^ _mixed(np.array([file], np.uint64)))
    high = _mixed(start + rows.astype(np.uint64)) >> np.uint64(32)
    return ((high * np.uint64(rules.SALT_MAX)) >> np.uint64(32)).astype(np.uint32) + np.uint32(1)


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = value ^ (value >> np.uint64(31))
    return mixed


def _lifetimes(expire: Any, count: int) -> npt.NDArray[np.int64]:
    """Seconds until each token ends: Agora ends every one after 24 hours, and so it does 0."""
    if isinstance(expire, int):
        seconds = np.full(count, expire, np.int64)
    else:
        seconds = pc.fill_null(expire, 0).cast(pa.int64(), safe=False).to_numpy()
    return np.where((seconds > 0) & (seconds <= rules.DAY), seconds, rules.DAY)


class _User(NamedTuple):
    """Who a token is for: the name of the field, and a column or one value for all rows."""

    field: str
    value: Any


class Fields:
    """The fields of a batch, each a column as the core reads it or one value for all rows;
    ``bad`` holds the rows that are bad for what only files can hold."""

    def __init__(self, batch: pa.RecordBatch, options: Options) -> None:
        self.options = options
        self.bad: Bad = {}
        self._columns = {
            name: _plain(batch.column(batch.schema.get_field_index(column)))
            for name, column in options.found(batch.schema.names).items()
        }
        self.channel_name = self._text("channel_name")
        self.role = self._role()
        self.expire = self._seconds("expire")
        self.privilege_expire = self._seconds("privilege_expire")
        self.user = self._user()
        self.user_id = self._user_id()

    # Reading ----------------------------------------------------------------------------------

    def reject(self, row: int, field: str, reason: str) -> None:
        self.bad.setdefault(row, BadRow(row, field, reason))

    def renamed(self, row: BadRow) -> BadRow:
        """A bad row with the name of the field that its user came from."""
        return BadRow(row.index, self.user.field, row.reason) if row.field == "uid" else row

    def _text(self, name: str) -> Any:
        """A column of text, or the value of the options."""
        column = self._columns.get(name)
        if column is None:
            return getattr(self.options, name)
        if not _is_text(column):
            mend = "take it as numbers with --uid-column" if name == "account" else ""
            raise FieldError(name, f"must be a column of text, not of {column.type}", mend)
        return column

    def _seconds(self, name: str) -> Any:
        column = self._columns.get(name)
        return getattr(self.options, name) if column is None else self._integers(name, column)

    def _integers(self, name: str, column: Column) -> Column:
        """A column of integers; in text, digits are one. Rows that are none become null."""
        if pa.types.is_integer(column.type):
            return column
        if not _is_text(column):
            mend = "pandas makes floats of integers where values are missing: use its Int64"
            raise FieldError(
                name,
                f"must be a column of integers, not of {column.type}",
                mend if pa.types.is_floating(column.type) else "",
            )
        try:
            numbers = column.cast(pa.int64())
            # "042", "+42" and "0x2A" are numbers to Arrow, and other users to Agora.
            if pc.all(pc.equal(numbers.cast(column.type), column)).as_py() is not False:
                return numbers
        except pa.ArrowInvalid:
            pass
        good = pc.match_substring_regex(column, _NUMBER)
        for row in np.flatnonzero(~pc.fill_null(good, True).to_numpy(zero_copy_only=False)):
            missing = len(column[int(row)].as_py()) == 0
            reason = "is missing" if missing else _NO_UID if name == "uid" else _NO_NUMBER
            self.reject(int(row), name, reason)
        return pc.if_else(good, column, None).cast(pa.int64())

    def _role(self) -> Any:
        """The role: a column of numbers, or one for all rows."""
        column = self._columns.get("role")
        if column is None:
            return self.options.role
        if pa.types.is_integer(column.type):
            return column
        if not _is_text(column):
            raise FieldError("role", f"must be a column of text or integers, not of {column.type}")
        # Roles are few: each is looked at once.
        encoded = column.dictionary_encode()
        numbers = {"publisher": 1, "subscriber": 2}
        known = []
        for text in encoded.dictionary.to_pylist():
            known.append(numbers.get(text, int(text) if text.isdecimal() and len(text) < 9 else -1))
        roles = pa.array(known, pa.int32())
        return roles.take(encoded.indices)

    def _user(self) -> _User:
        """Who the token is for: a uid, else an account, else a user id; in files with columns of
        uids and of accounts, whichever a row has."""
        options = self.options
        uids, accounts = self._columns.get("uid"), self._columns.get("account")
        if uids is not None and accounts is not None:
            return _User("uid", self._either(uids, self._text("account")))
        if uids is not None:
            return _User("uid", self._integers("uid", uids))
        if accounts is not None:
            return _User("account", self._text("account"))
        if options.uid is not None:
            return _User("uid", options.uid)
        if options.account is not None:
            return _User("account", options.account)
        return _User("user_id", self._text("user_id"))

    def _either(self, uids: Column, accounts: Column) -> Column:
        """The uid of each row as text, or its account where it has no uid."""
        if _is_text(uids):
            uids = pc.if_else(pc.equal(uids, ""), None, uids)
        accounts = pc.if_else(pc.equal(accounts, ""), None, accounts)
        for row in np.flatnonzero(
            pc.and_(uids.is_valid(), accounts.is_valid()).to_numpy(zero_copy_only=False)
        ):
            self.reject(int(row), "uid", "can't be given beside an account")
        numbers = self._integers("uid", uids).cast(pa.int64())
        outside = pc.or_(pc.less(numbers, 0), pc.greater(numbers, rules.U32_MAX))
        for row in np.flatnonzero(pc.fill_null(outside, False).to_numpy(zero_copy_only=False)):
            self.reject(int(row), "uid", f"must be in 0..{rules.U32_MAX}")
        # As text, 0 would be an account; it means any user, as "" does.
        texts = pc.if_else(pc.equal(numbers, 0), "", numbers.cast(accounts.type))
        return pc.coalesce(texts, accounts)

    def _user_id(self) -> Any:
        """The user id of Signaling and Chat: by default, the text of the user."""
        if "user_id" in self._columns or self.options.user_id is not None:
            return self._text("user_id")
        value = self.user.value
        if isinstance(value, pa.Array) and pa.types.is_integer(value.type):
            return value.cast(pa.string())
        return str(value) if isinstance(value, int) else value

    # Counting ---------------------------------------------------------------------------------

    def tally(
        self, rows: int, good: npt.NDArray[np.bool_] | None, expires: npt.NDArray[np.int64]
    ) -> Tally:
        """What a summary tells of the good rows."""

        def kept(column: Column) -> Column:
            return column if good is None else column.filter(pa.array(good))

        channels = {}
        if isinstance(self.channel_name, pa.Array):
            counts = kept(self.channel_name).value_counts()
            names, numbers = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
            channels = dict(zip(names, numbers, strict=True))
        elif self.channel_name is not None and rows:
            channels = {self.channel_name: rows}
        roles = {}
        if "rtc" in self.options.services:
            role = self.role
            subscribers = rows if role in (2, "subscriber") else 0
            if isinstance(role, pa.Array):
                subscribers = pc.sum(pc.equal(kept(role), 2)).as_py() or 0
            roles = {"publisher": rows - subscribers, "subscriber": subscribers}
        ends = {}
        if isinstance(self.expire, pa.Array):
            at, numbers = np.unique(expires if good is None else expires[good], return_counts=True)
            ends = dict(zip(at.tolist(), numbers.tolist(), strict=True))
            seconds = kept(self.expire)
            odd = pc.or_(pc.less_equal(seconds, 0), pc.greater(seconds, rules.DAY))
            cut = pc.sum(odd).as_py() or 0
        else:
            if rows:
                ends = {int(expires[0]): rows}
            cut = 0 if 0 < self.expire <= rules.DAY else rows
        return Tally(rows, cut, channels, {k: v for k, v in roles.items() if v}, ends)

    # Minting ----------------------------------------------------------------------------------

    def mint(
        self, project: Project, issued: int, salts: npt.NDArray[np.uint32]
    ) -> tuple[Any, tuple[BadRow, ...]]:
        """The tokens, none where a row is bad, and the rows that the core found bad."""
        options = self.options
        shared: dict[str, Any] = {
            "issue_ts": issued,
            "salts": salts,
            "allow_wildcard": options.allow_wildcard,
            "strict_lifetime": options.strict_lifetime,
        }
        if options.version == "006":
            return project.rtc_tokens_006(
                self.channel_name,
                self.user.value,
                self.role,
                self.expire,
                output="arrow",
                errors="null",
                **shared,
            )
        publishes = [True, False]
        by_role = isinstance(self.role, pa.Array) and "rtc" in options.services
        if not by_role:
            publishes = [self.role in (1, "publisher")]
        variants = [self._services(publisher) for publisher in publishes]
        roles = self.role if by_role else "publisher"
        minted: tuple[Any, tuple[BadRow, ...]] = project._batch(
            variants, roles, self.expire, "arrow", "null", **shared
        )
        return minted

    def _services(self, publisher: bool) -> list[Service]:
        return [self._service(name, publisher) for name in self.options.services]

    def _service(self, name: str, publisher: bool) -> Service:
        channel, user, ends = self.channel_name, self.user.value, self.privilege_expire
        if name == "rtc":
            granted = PUBLISHER_PRIVILEGES if publisher else PUBLISHER_PRIVILEGES[:1]
            return Rtc(channel, user, dict.fromkeys(granted, ends))
        if name == "rtm":
            return Rtm(self.user_id, {Rtm.Privilege.LOGIN: self.expire})
        if name == "chat":
            return Chat(self.user_id, {Chat.Privilege.USER: self.expire})
        if name == "streaming":
            return Streaming(channel, user, dict.fromkeys(Streaming.Privilege, ends))
        if name == "fcdn":
            return FCdn(channel, user, dict.fromkeys(FCdn.Privilege, ends))
        if name == "fpa":
            return Fpa({Fpa.Privilege.LOGIN: 0})
        return ConvoAI() if name == "convoai" else Stt()


def _plain(column: Column) -> Column:
    """A column whose values lie one after the other: dictionaries and views are resolved."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    return column


def _is_text(column: Column) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
