"""The services of AccessToken2 (007): ids, fields, privileges (docs/formats.md, "Services").

Each service is one frozen class, and its row of the service table: ``TYPE``, ``FIELDS`` and its
``Privilege`` enum. Nothing else in fasttoken knows a service by name.

Every field is data as it stands in a token; rules are checked when a token is minted, so that a
parsed token can hold whatever its maker wrote. Each constructor also takes *columns* (a list, a
NumPy array, an Arrow array) in place of any field or privilege value: such a service describes
many, and is what `Project.tokens` mints from.

Privilege values are seconds relative to the issue timestamp; 0 lasts as long as the token.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from . import rules
from .errors import FieldError

if TYPE_CHECKING:
    import numpy as np

    from .arrow import ArrowArray, ArrowStream

    NumpyArray: TypeAlias = np.ndarray[Any, Any]
    Column: TypeAlias = list[Any] | tuple[Any, ...] | NumpyArray | ArrowArray | ArrowStream
    # Keys are ints, enums of ints included; Mapping is invariant in its key, hence Any.
    Privileges: TypeAlias = Mapping[Any, int | Column] | Column
    Permissions: TypeAlias = Mapping[Any, Mapping[Any, tuple[str, ...] | list[str]]] | Column

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(Mapping[K, V]):
    """An immutable, hashable mapping that keeps the order it was given."""

    __slots__ = ("_items",)
    _items: dict[K, V]

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    # Mapping's own views go through __getitem__ for every entry.
    def keys(self) -> KeysView[K]:
        return self._items.keys()

    def values(self) -> ValuesView[V]:
        return self._items.values()

    def items(self) -> ItemsView[K, V]:
        return self._items.items()

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


MAPPING = (dict, FrozenMap, Mapping)  # for isinstance: the first two are fast to tell


class Kind(IntEnum):
    """How a field is written."""

    TEXT = 0  # a str
    UID = 1  # an int in decimal, 0 as "", or a str account
    I16 = 2  # a signed 16-bit number
    PERMISSIONS = 3  # RTM2's nested maps


class Field(NamedTuple):
    """One field of a service: its name, how it is written, and the rule it is minted by."""

    name: str
    kind: Kind
    rule: Callable[[str, Any, bool], Any]


def _rtm2_permissions(field: str, value: Any, allow_wildcard: bool) -> Any:
    """Resource -> permission -> names, each name a str of at most 65535 bytes."""
    of_resource, of_permission, of_name = (
        f"{field} resource",
        f"{field} permission",
        f"{field} name",
    )
    if not isinstance(value, MAPPING):
        raise FieldError(field, f"must be a mapping, not {type(value).__name__}")
    for resource, granted in value.items():
        rules.integer(of_resource, resource, 0, rules.U16_MAX)
        if not isinstance(granted, MAPPING):
            raise FieldError(field, f"must hold mappings, not {type(granted).__name__}")
        for permission, names in granted.items():
            rules.integer(of_permission, permission, 0, rules.U16_MAX)
            if not isinstance(names, (list, tuple)) or len(names) > rules.U16_MAX:
                raise FieldError(field, f"must hold lists of at most {rules.U16_MAX} names")
            for name in names:
                rules.text(of_name, name, rules.U16_MAX)
    return value


CHANNEL = Field("channel_name", Kind.TEXT, rules.channel_name)
RTM_USER = Field("user_id", Kind.TEXT, rules.rtm_user_id)
ACCOUNT = Field("account", Kind.UID, rules.uid)


@dataclass(frozen=True)
class Service:
    """One service in a 007 token: its privileges, then the fields of its type."""

    TYPE: ClassVar[int]
    FIELDS: ClassVar[tuple[Field, ...]] = ()

    def __post_init__(self) -> None:
        if isinstance(self.privileges, MAPPING):
            object.__setattr__(self, "privileges", FrozenMap(self.privileges))

    if TYPE_CHECKING:

        @property
        def privileges(self) -> Mapping[int, int]: ...


_NONE: FrozenMap[int, Any] = FrozenMap()


@dataclass(frozen=True)
class Rtc(Service):
    """Video and voice calls: join a channel as a uid, publish audio, video, data.

    ``uid`` is an int, or a str for an account; 0 means any user.
    """

    TYPE = 1
    FIELDS = (CHANNEL, Field("uid", Kind.UID, rules.uid))

    class Privilege(IntEnum):
        JOIN_CHANNEL = 1
        PUBLISH_AUDIO = 2
        PUBLISH_VIDEO = 3
        PUBLISH_DATA = 4

    channel_name: str = ""
    uid: int | str = 0
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(
            self,
            channel_name: str | Column = "",
            uid: int | str | Column = 0,
            privileges: Privileges = _NONE,
        ) -> None: ...


@dataclass(frozen=True)
class Rtm(Service):
    """Signaling (RTM): log in as a user id."""

    TYPE = 2
    FIELDS = (RTM_USER,)

    class Privilege(IntEnum):
        LOGIN = 1

    user_id: str = ""
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(self, user_id: str | Column = "", privileges: Privileges = _NONE) -> None: ...


@dataclass(frozen=True)
class Streaming(Service):
    """Streaming: publish a mixed or a raw stream to a channel."""

    TYPE = 3
    FIELDS = (CHANNEL, ACCOUNT)

    class Privilege(IntEnum):
        PUBLISH_MIX_STREAM = 1
        PUBLISH_RAW_STREAM = 2

    channel_name: str = ""
    account: int | str = 0
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(
            self,
            channel_name: str | Column = "",
            account: int | str | Column = 0,
            privileges: Privileges = _NONE,
        ) -> None: ...


@dataclass(frozen=True)
class Fpa(Service):
    """FPA: log in."""

    TYPE = 4

    class Privilege(IntEnum):
        LOGIN = 1

    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(self, privileges: Privileges = _NONE) -> None: ...


@dataclass(frozen=True)
class Chat(Service):
    """Chat: one user (with a user id), or the app (with an empty one)."""

    TYPE = 5
    FIELDS = (Field("user_id", Kind.TEXT, rules.optional_account),)

    class Privilege(IntEnum):
        USER = 1
        APP = 2

    user_id: str = ""
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(self, user_id: str | Column = "", privileges: Privileges = _NONE) -> None: ...


@dataclass(frozen=True)
class FCdn(Service):
    """FCDN: publish to a channel or play it."""

    TYPE = 6
    FIELDS = (CHANNEL, ACCOUNT)

    class Privilege(IntEnum):
        PUBLISH = 1
        PLAY = 2

    channel_name: str = ""
    account: int | str = 0
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(
            self,
            channel_name: str | Column = "",
            account: int | str | Column = 0,
            privileges: Privileges = _NONE,
        ) -> None: ...


@dataclass(frozen=True)
class Apaas(Service):
    """APaaS, also called Education: a user in a room, a user, or the app.

    ``role`` is a signed 16-bit number, -1 for none; an empty room or user means none.
    """

    TYPE = 7
    FIELDS = (
        Field("room_uuid", Kind.TEXT, rules.optional_account),
        Field("user_uuid", Kind.TEXT, rules.optional_account),
        Field("role", Kind.I16, rules.i16),
    )

    class Privilege(IntEnum):
        ROOM_USER = 1
        USER = 2
        APP = 3

    room_uuid: str = ""
    user_uuid: str = ""
    role: int = -1
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(
            self,
            room_uuid: str | Column = "",
            user_uuid: str | Column = "",
            role: int | Column = -1,
            privileges: Privileges = _NONE,
        ) -> None: ...


def _frozen(granted: Any) -> Any:
    """The permissions on one resource, as they can't be changed; the rule looks at the rest."""
    if not isinstance(granted, MAPPING):
        return granted
    return FrozenMap(
        {key: tuple(names) if isinstance(names, list) else names for key, names in granted.items()}
    )


@dataclass(frozen=True)
class Rtm2(Service):
    """Signaling with permissions: resource -> permission -> names of what is granted."""

    TYPE = 8
    FIELDS = (RTM_USER, Field("permissions", Kind.PERMISSIONS, _rtm2_permissions))

    class Privilege(IntEnum):
        LOGIN = 1

    class Resource(IntEnum):
        MESSAGE_CHANNELS = 0
        STREAM_CHANNELS = 1
        GROUP_CHANNELS = 2
        SERVER_GROUPS = 3
        USERS = 4

    class Permission(IntEnum):
        READ = 0
        WRITE = 1

    user_id: str = ""
    permissions: Mapping[int, Mapping[int, tuple[str, ...]]] = FrozenMap()
    privileges: Mapping[int, int] = _NONE

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.permissions, MAPPING):
            frozen = {resource: _frozen(granted) for resource, granted in self.permissions.items()}
            object.__setattr__(self, "permissions", FrozenMap(frozen))

    if TYPE_CHECKING:

        def __init__(
            self,
            user_id: str | Column = "",
            permissions: Permissions = ...,
            privileges: Privileges = _NONE,
        ) -> None: ...


@dataclass(frozen=True)
class ConvoAI(Service):
    """Conversational AI; it has no fields and no privileges of its own."""

    TYPE = 9
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(self, privileges: Privileges = _NONE) -> None: ...


@dataclass(frozen=True)
class Stt(Service):
    """Speech to text; it has no fields and no privileges of its own."""

    TYPE = 10
    privileges: Mapping[int, int] = _NONE

    if TYPE_CHECKING:

        def __init__(self, privileges: Privileges = _NONE) -> None: ...


BY_TYPE: Mapping[int, type[Service]] = FrozenMap(
    {
        service.TYPE: service
        for service in (Rtc, Rtm, Streaming, Fpa, Chat, FCdn, Apaas, Rtm2, ConvoAI, Stt)
    }
)


class Role(IntEnum):
    """A user's role in an RTC channel (docs/formats.md, "Builders").

    Publishers join and publish; subscribers only join. A subscriber's limits act only where
    co-host authentication is enabled in the Agora Console.
    """

    PUBLISHER = 1
    SUBSCRIBER = 2


ROLES: Mapping[object, Role] = {
    Role.PUBLISHER: Role.PUBLISHER,
    Role.SUBSCRIBER: Role.SUBSCRIBER,
    "publisher": Role.PUBLISHER,
    "subscriber": Role.SUBSCRIBER,
}
_ROLE_MEND = "0 and 101 were roles of 006; use publisher"


# What 006 took besides: attendee and admin, both deprecated, publish.
ROLES_006: Mapping[object, Role] = {**ROLES, 0: Role.PUBLISHER, 101: Role.PUBLISHER}


def role(value: object, roles: Mapping[object, Role] = ROLES) -> Role:
    """A role from a `Role`, its number, or "publisher" / "subscriber"."""
    try:
        if isinstance(value, bool):
            raise KeyError
        return roles[value]
    except (KeyError, TypeError):
        mend = _ROLE_MEND if value in (0, 101) and not isinstance(value, bool) else ""
        raise FieldError("role", 'must be "publisher" (1) or "subscriber" (2)', mend) from None
