"""``fasttoken keys``: API keys for the token server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import console

keys = typer.Typer(**console.SETTINGS)


@keys.callback()
def _keys() -> None:
    """API keys for `fasttoken serve`."""


@keys.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What the key is called in settings and logs.")],
    json: console.Json = False,
) -> None:
    """A new API key. It is shown once, and stored nowhere: give it to who is to call the server.

    The key goes to standard output, the lines for the settings to standard error. They hold its
    SHA-256 digest, from which nobody can make the key.
    """
    try:
        from ..server.auth import ApiKey, new_key
    except ModuleNotFoundError as error:
        sys.exit(f"The server needs more packages ({error.name}): pip install 'fasttoken[server]'")
    key, digest = new_key()
    ApiKey(name=name, sha256=digest).check()
    if json:
        console.in_json({"name": name, "key": key, "sha256": digest})
        return
    typer.echo(key)
    typer.echo(f'[[auth.keys]]\nname = "{name}"\nsha256 = "{digest}"', err=True)
