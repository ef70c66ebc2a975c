"""The routes of Agora's sample servers, family by family; each is switched on by its name.

A family is a module of this package with ``routes(settings) -> list[Route]``; one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..app import Route
    from ..settings import Settings

# The name of a family, and its module here.
FAMILIES: Mapping[str, str] = {}


def routes(settings: Settings) -> Iterator[Route]:
    """The routes of the families that are switched on."""
    for name in settings.compat:
        yield from import_module(f"{__name__}.{FAMILIES[name]}").routes(settings)
