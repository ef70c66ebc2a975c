"""Many tokens at once: services with columns become a layout, and the core mints its rows.

Everything that is no column is checked and packed once, into the constant bytes of the layout.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import rules
from ._core import (
    Certificate,
    Check,
    Envelope,
    Layout,
    Slot,
    SlotKind,
    mint,
    mint_bound,
    pack_i16,
    pack_map32,
    pack_str,
    pack_u16,
    pack_u32,
)
from ._numpy import np
from .arrow import Tokens
from .columns import CHECKS, Columns, Rule, is_column
from .errors import FieldError, RowsError
from .formats import access_token, access_token2
from .formats.access_token2 import by_type, pack_permissions
from .salts import random_salts
from .services import ROLES, ROLES_006, FrozenMap, Kind, Role, Rtc, Service, role

if TYPE_CHECKING:
    import numpy.typing as npt

Output: TypeAlias = Literal["list", "arrow", "numpy"]
Errors: TypeAlias = Literal["raise", "null"]
Segment: TypeAlias = bytes | Slot
Segments: TypeAlias = list[Segment]

JOIN_AND_PUBLISH = (
    access_token.Privilege.JOIN_CHANNEL,
    access_token.Privilege.PUBLISH_AUDIO,
    access_token.Privilege.PUBLISH_VIDEO,
    access_token.Privilege.PUBLISH_DATA,
)
_ROWS_A_THREAD = 8_192  # fewer, and a thread costs more than it saves
_KEPT = 1 << 25  # bytes; smaller blocks are used again by the next batch, if they stay whole


def privileges_006(value: object) -> tuple[access_token.Privilege, ...]:
    """What a role of 006 grants: 1, and the deprecated 0 and 101, publish; 2 only joins."""
    publishes = role(value, ROLES_006) is Role.PUBLISHER
    return JOIN_AND_PUBLISH if publishes else JOIN_AND_PUBLISH[:1]


def checked_privileges(value: Any, rule: Callable[[str, Any], int], most: int) -> dict[int, int]:
    """A privilege map whose values pass the rule, keys ascending; at most ``most`` entries."""
    if not isinstance(value, Mapping):
        raise FieldError("privileges", f"must be a mapping, not {type(value).__name__}")
    if len(value) > most:
        raise FieldError("privileges", f"must be at most {most}")
    checked = {
        rules.integer("privilege", key, 0, rules.U16_MAX): rule(f"privilege {int(key)}", when)
        for key, when in value.items()
    }
    return dict(sorted(checked.items()))


def _checked_durations(value: Any) -> dict[int, int]:
    return checked_privileges(value, rules.duration, rules.U16_MAX)


def _packed_privileges(value: Any) -> bytes:
    return pack_map32(_checked_durations(value))


# Segments: constant bytes, or the slot of a column ------------------------------------------


def _duration(columns: Columns, field: str, value: Any) -> Segment:
    """Seconds from the issue timestamp, as u32."""
    if not is_column(value):
        return pack_u32(rules.duration(field, value))

    def read() -> npt.NDArray[Any]:
        return columns.numbers(
            field,
            value,
            "<u4",
            CHECKS[rules.duration],
            lambda seconds: rules.duration(field, seconds),
        )

    return columns.slot(SlotKind.U32, value, rules.duration, read)


def _lifetime(columns: Columns, field: str, value: Any) -> Segment:
    """A token's duration: outside 1..86400 seconds it is a warning, or an error if strict."""
    if not is_column(value):
        return pack_u32(rules.lifetime(field, value, columns.strict_lifetime))
    slot = _duration(columns, field, value)
    seconds = _numbers(columns, slot)
    odd = np.flatnonzero((seconds == 0) | (seconds > rules.DAY)).tolist()
    odd = [row for row in odd if row not in columns.bad]
    if columns.strict_lifetime:
        for row in odd:
            columns.reject(row, field, rules.LIFETIME)
    elif odd:
        rules.warn(f"{field} of {len(odd)} rows {rules.LIFETIME}")
    return slot


def _numbers(columns: Columns, segment: Segment) -> npt.NDArray[Any]:
    """The u32 values of a segment: those of its column, or one for all rows."""
    if isinstance(segment, Slot):
        buffer = columns.buffers[segment.column]
        assert isinstance(buffer, np.ndarray)  # noqa: S101 (for the type checker)
        return buffer
    return np.frombuffer(segment, "<u4")


def _privileges(columns: Columns, value: Any) -> Segments:
    """A privilege map: each expiry one value or a column, or a column of whole maps."""
    if not isinstance(value, Mapping):
        return [
            columns.slot(
                SlotKind.RAW,
                value,
                _packed_privileges,
                lambda: columns.packed("privileges", value, _packed_privileges),
            )
        ]
    keys = sorted(checked_privileges(value, lambda field, when: 0, rules.U16_MAX))
    segments: Segments = [pack_u16(len(keys))]
    for key in keys:
        segments += [pack_u16(key), _duration(columns, f"privilege {key}", value[key])]
    return segments


def _field(columns: Columns, name: str, kind: Kind, value: Any, rule: Rule, text: SlotKind) -> Slot:
    """The slot of a service's field."""
    if kind is Kind.TEXT:
        return columns.slot(text, value, rule, lambda: columns.texts(name, value, rule))
    if kind is Kind.UID:
        return columns.slot(text, value, rule, lambda: columns.uids(name, value, rule))
    check = columns.check(name, rule)
    if kind is Kind.I16:
        return columns.slot(
            SlotKind.I16,
            value,
            rule,
            lambda: columns.numbers(name, value, "<i2", CHECKS[rule], check),
        )
    return columns.slot(
        SlotKind.RAW,
        value,
        rule,
        lambda: columns.packed(name, value, lambda item: pack_permissions(check(item))),
    )


def _packed(kind: Kind, checked: Any) -> bytes:
    """What a field's rule made of one value, as it is written."""
    if kind is Kind.I16:
        return pack_i16(checked)
    return pack_permissions(checked) if kind is Kind.PERMISSIONS else pack_str(checked)


def _service(columns: Columns, service: Service) -> Segments:
    """A service: its type, its privileges, its fields."""
    segments: Segments = [pack_u16(service.TYPE), *_privileges(columns, service.privileges)]
    for name, kind, rule in service.FIELDS:
        value = getattr(service, name)
        if is_column(value):
            segments.append(_field(columns, name, kind, value, rule, SlotKind.STR))
        else:
            segments.append(_packed(kind, rule(name, value, columns.allow_wildcard)))
    return segments


def _merged(segments: Segments) -> Segments:
    """The same segments with neighbouring constants joined."""
    merged: Segments = []
    for segment in segments:
        last = merged[-1] if merged else None
        if isinstance(segment, bytes) and isinstance(last, bytes):
            merged[-1] = last + segment
        else:
            merged.append(segment)
    return merged


# Layouts ------------------------------------------------------------------------------------


def access_token2_layout(
    columns: Columns, app_id: str, variants: Sequence[Sequence[Service]], expire: Any
) -> Layout:
    """The layout of 007 tokens with the services of each variant."""
    head: Segments = [
        pack_str(app_id.encode()),
        Slot(SlotKind.ISSUE_TS),
        _lifetime(columns, "expire", expire),
        Slot(SlotKind.SALT),
    ]
    bodies = []
    for services in variants:
        segments = [*head, pack_u16(len(services))]
        for service in by_type(services):
            segments += _service(columns, service)
        bodies.append(_merged(segments))
    return Layout(Envelope.ACCESS_TOKEN2, access_token2.PREFIX, bodies)


def access_token_layout(
    columns: Columns,
    app_id: str,
    channel_name: Any,
    uid: Any,
    publishes: Sequence[bool],
    expire: Any,
    issue_ts: Any,
) -> Layout:
    """The layout of 006 RTC tokens, for publishers or subscribers in each variant.

    The token holds absolute times: its own end, 24 hours after the issue timestamp, and that of
    its privileges, which are columns where the issue timestamp or the lifetime is one.
    """
    head: Segments = [app_id.encode()]
    for name, kind, value, rule in (
        ("channel_name", Kind.TEXT, channel_name, rules.channel_name),
        ("uid", Kind.UID, uid, rules.uid),
    ):
        if is_column(value):
            head.append(_field(columns, name, kind, value, rule, SlotKind.RAW))
        else:
            head.append(rule(name, value, columns.allow_wildcard))
    issued = issue_timestamps(columns, issue_ts).astype(np.int64)
    seconds = _numbers(columns, _lifetime(columns, "expire", expire)).astype(np.int64)
    issued, seconds = np.broadcast_arrays(issued, seconds)
    for row in np.flatnonzero(issued + np.maximum(seconds, rules.DAY) > rules.U32_MAX).tolist():
        try:
            rules.absolute(int(issued[row]), max(int(seconds[row]), rules.DAY))
        except FieldError as error:
            if len(issued) == 1:  # the same for all rows: no row is to blame
                raise
            columns.reject(row, error.field, error.reason)
    ends = _absolute(columns, issued + rules.DAY)
    expires = _absolute(columns, np.where(seconds == 0, 0, issued + seconds))
    bodies = []
    for publisher in publishes:
        granted = JOIN_AND_PUBLISH if publisher else JOIN_AND_PUBLISH[:1]
        message: Segments = [Slot(SlotKind.SALT), ends, pack_u16(len(granted))]
        for privilege in granted:
            message += [pack_u16(privilege), expires]
        bodies.append(head + _merged(message))
    return Layout(Envelope.ACCESS_TOKEN, access_token.PREFIX + app_id, bodies)


def _absolute(columns: Columns, times: npt.NDArray[Any]) -> Segment:
    """Unix seconds: a constant if there is one for all rows, else a column."""
    times = times.astype("<u4")
    return times.tobytes() if len(times) == 1 else Slot(SlotKind.U32, columns.add(times))


def issue_timestamps(columns: Columns, issue_ts: Any) -> npt.NDArray[np.uint32]:
    """Unix seconds as uint32: one a row, or one for all."""

    def check(value: Any) -> int:
        return rules.unix_ts("issue_ts", value)

    if is_column(issue_ts):
        return columns.numbers("issue_ts", issue_ts, "<u4", CHECKS[rules.unix_ts], check)
    return np.array([check(issue_ts)], np.uint32)


# One token ----------------------------------------------------------------------------------

# The services of a token, by ascending type, and the privileges of each, ascending.
Shape: TypeAlias = tuple[tuple[type[Service], tuple[int, ...]], ...]
_MOST_KEPT = 7  # privileges above this name no layout that is kept
_SLOTS = {
    Kind.TEXT: SlotKind.STR,
    Kind.UID: SlotKind.STR,
    Kind.I16: SlotKind.I16,
    Kind.PERMISSIONS: SlotKind.RAW,
}


@lru_cache(maxsize=1024)
def one_token_layout(app_id: str, shape: Shape) -> Layout:
    """The layout of all 007 tokens that have these services with these privileges.

    Its columns are the lifetime, then for each service its expiries and its fields.
    """
    checks: list[Check] = []

    def slot(kind: SlotKind, rule: object) -> Slot:
        checks.append(CHECKS.get(rule, Check()))
        return Slot(kind, len(checks) - 1)

    segments: Segments = [
        pack_str(app_id.encode()),
        Slot(SlotKind.ISSUE_TS),
        slot(SlotKind.U32, rules.lifetime),
        Slot(SlotKind.SALT),
        pack_u16(len(shape)),
    ]
    for service, privileges in shape:
        segments += [pack_u16(service.TYPE), pack_u16(len(privileges))]
        for key in privileges:
            segments += [pack_u16(key), slot(SlotKind.U32, rules.duration)]
        segments += [slot(_SLOTS[field.kind], field.rule) for field in service.FIELDS]
    return Layout(Envelope.ACCESS_TOKEN2, access_token2.PREFIX, [_merged(segments)], checks)


@lru_cache(maxsize=1024, typed=True)
def _plain_privileges(*keys: Any) -> bool:
    """Whether privileges are plain ints, few and ascending: such a map needs no second look."""
    plain = all(isinstance(key, int) and not isinstance(key, bool) for key in keys)
    return plain and list(keys) == sorted(key for key in keys if 1 <= key <= _MOST_KEPT)


def unchecked_token(services: Sequence[Service]) -> tuple[Shape, list[Any]] | None:
    """The shape of a token with these services, and its values behind the lifetime as they were
    given; None if a privilege map needs a second look."""
    shape: list[tuple[type[Service], tuple[int, ...]]] = []
    values: list[Any] = []
    for service in by_type(services):
        privileges = service.privileges
        if type(privileges) is not FrozenMap:
            return None
        keys = tuple(privileges.keys())
        if not _plain_privileges(*keys):
            return None
        shape.append((type(service), keys))
        values += privileges.values()
        values += [getattr(service, name) for name, _, _ in service.FIELDS]
    return tuple(shape), values


def token_services(shape: Shape, values: Sequence[Any]) -> list[Service]:
    """The services of a shape and its values: the way back from `unchecked_token`."""
    given = iter(values)
    services = []
    for service, keys in shape:
        privileges = {key: next(given) for key in keys}
        fields = {field.name: next(given) for field in service.FIELDS}
        services.append(service(**fields, privileges=privileges))  # type: ignore[call-arg]
    return services


def checked_token(
    services: Sequence[Service], allow_wildcard: bool
) -> tuple[Shape, list[int | bytes]]:
    """The same, every value by its rule."""
    shape: list[tuple[type[Service], tuple[int, ...]]] = []
    values: list[int | bytes] = []
    for service in by_type(services):
        privileges = _checked_durations(service.privileges)
        shape.append((type(service), tuple(privileges)))
        values += privileges.values()
        for name, kind, rule in service.FIELDS:
            value = rule(name, getattr(service, name), allow_wildcard)
            values.append(pack_permissions(value) if kind is Kind.PERMISSIONS else value)
    return tuple(shape), values


# The layouts of what servers call on every request; variant 0 publishes, variant 1 only joins.


@lru_cache(maxsize=128)
def rtc_token_layout(app_id: str) -> Layout:
    """007 RTC tokens: the columns are lifetime, privilege expiry, channel name and uid."""
    bodies = []
    for keys in (tuple(Rtc.Privilege), (Rtc.Privilege.JOIN_CHANNEL,)):
        segments: Segments = [
            pack_str(app_id.encode()),
            Slot(SlotKind.ISSUE_TS),
            Slot(SlotKind.U32, 0),
            Slot(SlotKind.SALT),
            pack_u16(1) + pack_u16(Rtc.TYPE) + pack_u16(len(keys)),
        ]
        for key in keys:
            segments += [pack_u16(key), Slot(SlotKind.U32, 1)]
        segments += [Slot(SlotKind.STR, 2), Slot(SlotKind.STR, 3)]
        bodies.append(_merged(segments))
    checked = (rules.lifetime, rules.duration, rules.channel_name, rules.uid)
    checks = [CHECKS[rule] for rule in checked]
    choices = _choices(ROLES)
    return Layout(Envelope.ACCESS_TOKEN2, access_token2.PREFIX, bodies, checks, choices)


@lru_cache(maxsize=128)
def rtc_token_006_layout(app_id: str) -> Layout:
    """006 RTC tokens: the columns are those of `_layout_006`, channel name and uid."""
    names: Segments = [Slot(SlotKind.RAW, 2), Slot(SlotKind.RAW, 3)]
    granted = [JOIN_AND_PUBLISH, JOIN_AND_PUBLISH[:1]]
    choices = _choices(ROLES_006)
    return _layout_006(app_id, names, granted, (rules.channel_name, rules.uid), choices)


@lru_cache(maxsize=128)
def rtm_token_006_layout(app_id: str) -> Layout:
    """006 RTM tokens: the columns are those of `_layout_006` and the user id."""
    names: Segments = [Slot(SlotKind.RAW, 2), b""]
    granted = [(access_token.Privilege.RTM_LOGIN,)]
    return _layout_006(app_id, names, granted, (rules.rtm_user_id,), None)


def _layout_006(
    app_id: str,
    names: Segments,
    granted: Sequence[Sequence[int]],
    named: Sequence[object],
    choices: Mapping[object, int] | None,
) -> Layout:
    """A layout of 006 tokens, a variant for each list of granted privileges. Its first columns are
    the seconds from the issue timestamp to the token's end and to that of its privileges; the
    rules of the others are given."""
    bodies = []
    for keys in granted:
        message: Segments = [Slot(SlotKind.SALT), Slot(SlotKind.U32, 0), pack_u16(len(keys))]
        for key in keys:
            message += [pack_u16(key), Slot(SlotKind.U32, 1)]
        bodies.append([app_id.encode(), *names, *_merged(message)])
    seconds = CHECKS[rules.lifetime]._replace(absolute=True)
    checks = [seconds, seconds, *(CHECKS[rule] for rule in named)]
    return Layout(Envelope.ACCESS_TOKEN, access_token.PREFIX + app_id, bodies, checks, choices)


def _choices(roles: Mapping[object, Role]) -> dict[object, int]:
    """The variant that each role takes."""
    return {name: 0 if role is Role.PUBLISHER else 1 for name, role in roles.items()}


# Many tokens ----------------------------------------------------------------------------------


def run(
    layout: Layout,
    columns: Columns,
    certificate: Certificate,
    issue_ts: Any,
    salts: Any,
    choices: npt.NDArray[np.uint8] | None,
    threads: int,
    output: Output,
    errors: Errors,
) -> Any:
    """Mints every row of the columns. See `Project.tokens` for what comes back."""
    if output not in ("list", "arrow", "numpy"):
        raise FieldError("output", 'must be "list", "arrow" or "numpy"')
    if errors not in ("raise", "null"):
        raise FieldError("errors", 'must be "raise" or "null"')
    rules.integer("threads", threads, 1, 1024)
    issued = issue_timestamps(columns, issue_ts)
    if salts is not None:
        if not is_column(salts):
            raise FieldError("salts", "must be a column, one salt a row")
        salts = columns.numbers("salt", salts, "<u4", CHECKS[rules.salt], rules.salt)
    if columns.rows is None:
        raise FieldError("columns", "at least one field must be a column", "use token() for one")
    rows = columns.rows
    bad = tuple(columns.bad[row] for row in sorted(columns.bad))
    if bad and errors == "raise":
        raise RowsError(bad)
    skip = None
    if bad:
        skip = np.zeros(rows, np.bool_)
        skip[[row.index for row in bad]] = True

    data, offsets, longest = _minted(
        layout, certificate, issued, salts, columns.buffers, choices, skip, rows, threads
    )
    if longest > rules.TOKEN_CHARACTERS:
        rules.warn(f"a token {rules.LONG_TOKEN}")
    tokens = Tokens(data, offsets, None if skip is None else ~skip)
    result: Any = tokens
    if output == "list":
        result = tokens.to_list()
    elif output == "numpy":
        result = tokens.to_numpy()
    return (result, bad) if errors == "null" else result


def _minted(
    layout: Layout,
    certificate: Certificate,
    issued: npt.NDArray[np.uint32],
    salts: npt.NDArray[np.uint32] | None,
    columns: Sequence[Any],
    choices: npt.NDArray[np.uint8] | None,
    skip: npt.NDArray[np.bool_] | None,
    rows: int,
    threads: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], int]:
    """The tokens of all rows, one after the other, where each begins, and the size of the longest
    one."""
    parts = max(min(threads, rows // _ROWS_A_THREAD), 1)
    bounds = [rows * part // parts for part in range(parts + 1)]
    most = [mint_bound(layout, columns, *part) for part in pairwise(bounds)]
    # Each part has room for the longest tokens: memory that is never written to costs nothing.
    rooms = [0, *accumulate(most)]
    data = np.empty(rooms[-1], np.uint8)
    offsets = np.empty(rows + 1, np.int64)
    drawn = np.empty(rows, np.uint32) if salts is None else salts
    longest = [0] * parts

    def mint_part(part: int) -> int:
        start, stop = bounds[part], bounds[part + 1]
        if salts is None:
            drawn[start:stop] = random_salts(stop - start)
        room, begins = data[rooms[part] : rooms[part + 1]], np.empty(stop - start + 1, np.int64)
        size = mint(
            layout, certificate, issued, drawn, columns, choices, skip, start, stop, room, begins
        )
        longest[part] = int(np.diff(begins).max(initial=0))
        offsets[start:stop] = begins[:-1]
        return size

    if parts == 1:
        end = mint_part(0)
    else:
        from concurrent.futures import ThreadPoolExecutor  # slow to import, and rarely needed

        with ThreadPoolExecutor(parts) as pool:
            sizes = list(pool.map(mint_part, range(parts)))
        end = sizes[0]
        for part in range(1, parts):
            ctypes.memmove(data.ctypes.data + end, data.ctypes.data + rooms[part], sizes[part])
            offsets[bounds[part] : bounds[part + 1]] += end
            end += sizes[part]
    offsets[rows] = end
    if len(data) > _KEPT:
        data.resize(end, refcheck=False)  # gives back what was not used, moves nothing
    return data[:end], offsets, max(longest)
