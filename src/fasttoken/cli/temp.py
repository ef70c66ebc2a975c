"""``fasttoken temp``: a token for testing."""

from __future__ import annotations

from typing import Annotated

import typer

from . import console
from .minted import answer


def temp(
    channel: Annotated[str, typer.Argument(help="The channel name.", show_default=False)],
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """Mint a temporary token as the Agora Console makes it: 24 hours, any user, publisher."""
    project = console.project(env_file)
    answer(lambda: project.temporary_token(channel), json)
