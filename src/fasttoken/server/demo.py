"""The demonstration page, with ``dev`` only."""

from __future__ import annotations

from starlette.routing import BaseRoute

from .settings import Settings


def routes(settings: Settings) -> list[BaseRoute]:
    """Starlette's routes under ``/demo``."""
    return []
