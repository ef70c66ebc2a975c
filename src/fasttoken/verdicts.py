"""Verdicts about many tokens, as columns.

The core passes the tokens that are plainly acceptable; each of the others is judged on its own, as
`fasttoken.verify` does it. Both ways give the same verdict.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from . import arrow, rules
from ._core import Check, Pattern, PatternField, Question, accept, text_column
from ._numpy import np
from .columns import CHECKS, is_column
from .errors import BadRow, FieldError, MalformedToken, RowsError
from .facts import CHANNEL_FIELDS, ENTRY, USER_FIELDS
from .formats import parse
from .formats.access_token2 import AccessToken2
from .services import Kind, Service
from .verify import CERTIFICATES, Asked, Keys, Verdict, asked, asked_privilege, verify

if TYPE_CHECKING:
    import numpy.typing as npt

if TYPE_CHECKING:
    from .services import Column


class Verdicts(Sequence[Verdict]):
    """The verdicts about many tokens, as columns, one entry a token.

    ``ok``: a bool array. ``codes``: a list of tuples, each token's codes, errors first.
    ``expires_at``: an int64 array of Unix seconds, -1 for no end or none known.
    ``certificates``: a uint8 array: 0 for none, 1 for the primary, 2 for the secondary one.
    ``claims``: a list, None where a token can't be read. Indexing gives one token's `Verdict`;
    that and ``claims`` are worked out when they are asked for.
    """

    def __init__(
        self,
        judge: Callable[[int], Verdict],
        judged: dict[int, Verdict],
        certificates: npt.NDArray[np.uint8],
        ends: npt.NDArray[np.int64],
    ) -> None:
        self._judge = judge
        self._judged = judged
        self.ok: npt.NDArray[np.bool_] = certificates > 0
        self.codes: list[tuple[str, ...]] = [()] * len(certificates)
        self.expires_at: npt.NDArray[np.int64] = ends
        self.certificates: npt.NDArray[np.uint8] = certificates
        for row, verdict in judged.items():
            self.ok[row] = verdict.ok
            self.codes[row] = verdict.codes
            ends[row] = -1 if verdict.expires_at is None else verdict.expires_at
            if verdict.certificate is not None:
                certificates[row] = CERTIFICATES.index(verdict.certificate) + 1

    @cached_property
    def claims(self) -> list[Any]:
        """The claims of every token; trust them only where ``certificates`` is not 0."""
        return [verdict.claims for verdict in self]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        if row not in self._judged:
            self._judged[row] = self._judge(row)
        return self._judged[row]


def verify_many(
    tokens: Column,
    keys: Keys,
    channel_names: str | Column | None,
    uids: int | str | Column | None,
    privilege: Any,
    now: int,
    leeway: int,
) -> Verdicts:
    """The verdicts about a column of tokens. `Project.verify_many` says what it means."""
    if not is_column(tokens):
        raise FieldError("tokens", "must be a column: a list, or a NumPy or Arrow array")
    read = _values("tokens", tokens)
    channels = _asked_values("channel_names", channel_names, len(read))
    users = _asked_values("uids", uids, len(read))
    wanted = None if privilege is None else asked_privilege(privilege)

    def question(row: int) -> Asked:
        found = asked(channels[row % len(channels)], users[row % len(users)], None)
        return found._replace(privilege=wanted)

    def judge(row: int) -> Verdict:
        return verify(read[row], keys, question(row), now, leeway)

    certificates, ends = _plain(read, keys, channels, users, wanted, now, leeway)
    judged, bad = {}, []
    for row in np.flatnonzero(certificates == 0).tolist():
        try:
            judged[row] = judge(row)
        except FieldError as error:
            bad.append(BadRow(row, error.field, str(error)))
    if bad:
        raise RowsError(bad)
    return Verdicts(judge, judged, certificates, ends)


# Columns as Python values -------------------------------------------------------------------------


def _values(name: str, value: Any) -> list[Any]:
    """A column as a list of Python values, None where one is missing."""
    if not arrow.is_column(value):
        values = value.tolist() if isinstance(value, np.ndarray) else list(value)
        return [item.decode("latin-1") if isinstance(item, bytes) else item for item in values]
    column = arrow.read(name, value)
    if isinstance(column, arrow.Text):
        text, bounds = column.data.tobytes(), column.offsets.tolist()
        values = [text[a:b].decode() for a, b in pairwise(bounds)]
    else:
        values = column.values.tolist()
    if column.nulls is not None:
        values = [None if null else item for item, null in zip(values, column.nulls, strict=True)]
    return values


def _asked_values(name: str, value: Any, rows: int) -> list[Any]:
    """What is asked, a row each, or one for all."""
    if not is_column(value):
        return [value]
    values = _values(name, value)
    if len(values) != rows:
        raise FieldError(name, f"has {len(values)} rows where other columns have {rows}")
    return values or [None]


# What is plainly acceptable -----------------------------------------------------------------------

_PUBLISH = "publish_"


def _check(rule: object) -> Check:
    """The check of a rule for texts, narrowed to ASCII: other bytes may be broken UTF-8."""
    check = CHECKS[rule]
    return check._replace(allowed=check.allowed[:128] + bytes(128))


def _pattern(service: type[Service], ask_channel: bool, ask_user: bool) -> Pattern | None:
    """What a plainly acceptable service of a type looks like; None if that can't be said."""
    privileges = list(getattr(service, "Privilege", ()))
    entry = [privilege for privilege in privileges if privilege.name.lower() in ENTRY]
    if not entry or any(field.kind not in (Kind.TEXT, Kind.UID) for field in service.FIELDS):
        return None
    fields = []
    for field in service.FIELDS:
        which = 1 if field.name in CHANNEL_FIELDS and ask_channel else 0
        which = 2 if field.name in USER_FIELDS and ask_user else which
        fields.append(PatternField(_check(field.rule), which))
    # A token that joins without publishing gets a warning.
    publishes = [int(each) for each in privileges if each.name.lower().startswith(_PUBLISH)]
    return Pattern(service.TYPE, int(entry[0]), tuple(publishes), tuple(fields))


def _patterns(tokens: list[Any], asks_channel: bool, asks_user: bool) -> tuple[Pattern, ...]:
    """The services to expect in a column: those of the first token that can be read."""
    for token in tokens:
        try:
            claims = parse(token).claims
        except MalformedToken:
            continue
        if not isinstance(claims, AccessToken2):
            return ()
        services = [type(service) for service in claims.services]
        names = [{field.name for field in service.FIELDS} for service in services]
        with_channel = [not fields.isdisjoint(CHANNEL_FIELDS) for fields in names]
        with_user = [not fields.isdisjoint(USER_FIELDS) for fields in names]
        if asks_channel > any(with_channel) or asks_user > any(with_user):
            return ()
        # Where channels are, the user that was asked about is the one in the channel.
        found = [
            _pattern(service, asks_channel, has == any(with_channel))
            for service, has in zip(services, with_channel, strict=True)
        ]
        return () if None in found else tuple(filter(None, found))
    return ()


def _plain(
    tokens: list[Any],
    keys: Keys,
    channels: list[Any],
    users: list[Any],
    wanted: tuple[str, str] | None,
    now: int,
    leeway: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """1 + the certificate of each token that is plainly acceptable, else 0; and when it ends."""
    nobody = np.zeros(len(tokens), np.uint8), np.zeros(len(tokens), np.int64)
    certificates = [certificate for _, certificate in keys.certificates()]
    if wanted is not None or not certificates or keys.app_id is None:
        return nobody
    app_id = keys.app_id.encode()
    swapped = any(
        hmac.compare_digest(certificate.reveal().lower(), app_id.lower())
        for certificate in certificates
    )
    patterns = _patterns(tokens, channels != [None], users != [None])
    if swapped or not patterns or not 0 <= now <= rules.U32_MAX:
        return nobody
    question = Question(patterns, app_id, now, leeway, rules.DAY, rules.TOKEN_CHARACTERS)
    data, offsets, _ = text_column(tokens)
    names = None if channels == [None] else text_column(channels)[:2]
    uids = None if users == [None] else _uid_column(users)
    return accept(question, certificates, data, offsets, names, uids, 0, len(tokens))


def _uid_column(users: list[Any]) -> Any:
    """Uids as numbers, else as texts; what is no plain uid or account is equal to none."""
    if set(map(type, users)) == {int}:
        plain = [user if 0 < user <= rules.U32_MAX else 0 for user in users]
        return np.array(plain, np.uint32)
    texts = []
    for user in users:
        number = type(user) is int and 0 < user <= rules.U32_MAX
        texts.append(str(user) if number else user if isinstance(user, str) else "")
    return text_column(texts)[:2]
