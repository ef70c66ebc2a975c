"""The routes of Agora's sample servers, family by family; each is switched on by its name.

A family is a module of this package with ``routes(settings) -> list[Route]``, and one line here;
docs/server-compat.md says where each comes from, and what differs. What families share stands in
originals.py: reading a request as Go or Express reads it, and the words for what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..routing import Route
    from ..settings import Settings

# The name of a family, and its module here.
FAMILIES: Mapping[str, str] = {
    "fetch-token": "fetch_token",
    "access-token": "access_token",
    "token-service": "token_service",
    "token-generate": "token_generate",
    "demo-server": "demo_server",
    "v1-token": "v1_token",
}
FETCH_PORT = 8082  # where the sample server of fetch-token listens; the others have the usual port


def port(names: Sequence[str]) -> int | None:
    """The port that clients of these families expect, where it is not the usual one."""
    return FETCH_PORT if set(names) == {"fetch-token"} else None


def routes(settings: Settings) -> Iterator[Route]:
    """The routes of the families that are switched on."""
    for name in dict.fromkeys(settings.compat):
        yield from import_module(f"{__name__}.{FAMILIES[name]}").routes(settings)
