"""Options: what every row of a bulk job becomes; the same here, on a cluster and in a journal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .. import rules
from ..errors import FieldError
from ..project import HOUR
from ..services import ROLES_006, FrozenMap
from ..services import role as parse_role

# The fields that a column may give, each with the names by which its column is found.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "channel_name": ("channel_name", "channel"),
    "uid": ("uid",),
    "account": ("account", "user_account"),
    "user_id": ("user_id", "rtm_user_id"),
    "role": ("role",),
    "expire": ("expire",),
    "privilege_expire": ("privilege_expire",),
}
ADDED = ("token", "issued_at", "expires_at")
SERVICES = ("rtc", "rtm", "chat", "streaming", "fcdn", "fpa", "convoai", "stt")
CHANNEL_SERVICES = frozenset({"rtc", "streaming", "fcdn"})  # who take a channel, and a uid in it
NAMED_SERVICES = frozenset({"rtm", "chat"})  # who take a user id
VERSIONS = ("006", "007")


def _same(name: str) -> str:
    """A name as spreadsheets spell it, made comparable: "Channel Name" is channel_name."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


@dataclass(frozen=True)
class Options:
    """What tokens to mint, and from which columns. Holds no certificate; pickles and compares.

    ``version``: ``"007"`` or ``"006"`` (RTC only). ``services``: of `SERVICES`, in one token.
    ``columns``: the column of a field (a key of `FIELDS`) whose name does not say so itself.
    ``channel_name``, ``uid``, ``account``, ``user_id``, ``role``, ``expire`` and
    ``privilege_expire``: what all rows have where no column says it; the column of a row wins.

    ``expire`` is in seconds from the issue timestamp, ``privilege_expire`` likewise (0: as long as
    the token). ``issue_at``: the issue timestamp in Unix seconds, None for when a batch is minted.
    ``salt_seed``: salts that follow from it and a row's number, for tests only; None for secure
    random ones. ``allow_wildcard``, ``strict_lifetime``: as in `Project`. ``replace``: columns
    named like those that are added give way to them.

    Raises `FieldError` for a value that breaks a rule of docs/formats.md, "Limits and meanings".
    """

    version: Literal["006", "007"] = "007"
    services: tuple[str, ...] = ("rtc",)
    columns: Mapping[str, str] = field(default_factory=FrozenMap)
    channel_name: str | None = None
    uid: int | None = None
    account: str | None = None
    user_id: str | None = None
    role: str | int = "publisher"
    expire: int = HOUR
    privilege_expire: int = 0
    issue_at: int | None = None
    salt_seed: int | None = None
    allow_wildcard: bool = False
    strict_lifetime: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", FrozenMap(self.columns))
        object.__setattr__(self, "services", tuple(self.services))
        if self.version not in VERSIONS:
            raise FieldError("version", f"must be one of {', '.join(VERSIONS)}")
        if not self.services or len(set(self.services)) != len(self.services):
            raise FieldError("services", "must be at least one, and none twice")
        for service in self.services:
            if service not in SERVICES:
                raise FieldError("services", f"must be of {', '.join(SERVICES)}")
        if self.version == "006" and self.services != ("rtc",):
            raise FieldError("services", "must be rtc alone in version 006")
        for name in self.columns:
            if name not in FIELDS:
                raise FieldError("columns", f"must be keyed by one of {', '.join(FIELDS)}")
        if self.uid is not None and self.account is not None:
            raise FieldError("uid and account", "can't both be given")
        if self.channel_name is not None:
            rules.channel_name("channel_name", self.channel_name, self.allow_wildcard)
        if self.uid is not None:
            rules.integer("uid", self.uid, 0, rules.U32_MAX)
            rules.uid("uid", self.uid, self.allow_wildcard)
        if self.account is not None:
            rules.account("account", self.account, self.allow_wildcard)
        if self.user_id is not None:
            rules.rtm_user_id("user_id", self.user_id, self.allow_wildcard)
        if self.version == "006":
            parse_role(self.role, ROLES_006)
        else:
            parse_role(self.role)
        # A lifetime that is odd, but allowed, is a warning of the plan: not one of each batch.
        seconds = rules.duration("expire", self.expire)
        if self.strict_lifetime and not 0 < seconds <= rules.DAY:
            raise FieldError("expire", rules.LIFETIME)
        rules.duration("privilege_expire", self.privilege_expire)
        if self.issue_at is not None:
            rules.unix_ts("issue_at", self.issue_at)
        if self.salt_seed is not None:
            rules.integer("salt_seed", self.salt_seed, 0, 2**64 - 1)

    def needs(self) -> tuple[tuple[str, ...], ...]:
        """The fields that these services need; of each group at least one."""
        user = ("uid", "account", "user_id")
        needed: list[tuple[str, ...]] = []
        if CHANNEL_SERVICES.intersection(self.services):
            needed += [("channel_name",), user]
        elif NAMED_SERVICES.intersection(self.services):
            needed += [("user_id", "account", "uid")]
        return tuple(needed)

    def found(self, names: list[str]) -> dict[str, str]:
        """The column of each field, among columns with these names.

        Raises `FieldError` if a column is missing, or if two might be meant.
        """
        by_name: dict[str, list[str]] = {}
        for name in names:
            by_name.setdefault(_same(name), []).append(name)
        found = {}
        for wanted, spellings in FIELDS.items():
            if wanted in self.columns:
                column = self.columns[wanted]
                if names.count(column) != 1:
                    held = "twice" if column in names else f"not among {_listed(names)}"
                    raise FieldError(wanted, f"has the column {column!r}, which is {held}")
                found[wanted] = column
                continue
            meant = [name for spelling in spellings for name in by_name.get(spelling, ())]
            meant = [name for name in meant if name not in self.columns.values()]
            if len(meant) > 1:
                raise FieldError(
                    wanted, f"may be in {_listed(meant)}", f"choose with {_option(wanted)}"
                )
            if meant:
                found[wanted] = meant[0]
        for group in self.needs():
            if not any(name in found or getattr(self, name) is not None for name in group):
                raise FieldError(
                    " or ".join(group),
                    f"must be a column; there are {_listed(names)}",
                    f"name it with {_option(group[0])}",
                )
        taken = [name for name in names if name in ADDED]
        if taken and not self.replace:
            raise FieldError(
                taken[0], "is a column of the input, too", "replace it with --replace, or rename it"
            )
        return found

    def to_data(self) -> dict[str, Any]:
        """The options as plain data, for JSON."""
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "columns": dict(self.columns),
            "services": list(self.services),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Options:
        """The options that `to_data` made this of."""
        return cls(**data)

    def to_json(self) -> str:
        """The options as JSON."""
        return json.dumps(self.to_data())

    @classmethod
    def from_json(cls, text: str) -> Options:
        """The options that `to_json` made this of."""
        return cls.from_data(json.loads(text))


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20])) or "none"
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown


def _option(name: str) -> str:
    return f"--{name.removesuffix('_name').replace('_', '-')}-column"
