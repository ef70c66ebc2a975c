"""``fasttoken serve``: the token server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from . import console


def serve(
    check: Annotated[
        bool, typer.Option("--check", help="Check the settings, show them without secrets, end.")
    ] = False,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="Let everyone in, on a loopback address only; serve /demo."),
    ] = False,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 lets the system pick one.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes answer.")] = None,
    compat: Annotated[
        list[str] | None,
        typer.Option(help="A family of compatible routes to switch on; may be repeated."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Read settings from this TOML file.", show_default=False)
    ] = None,
    env_file: console.EnvFile = None,
    tls_certificate: Annotated[
        str | None, typer.Option(help="A PEM file: the certificate chain for HTTPS.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(help="A PEM file: the private key for HTTPS.")
    ] = None,
) -> None:
    """Serve tokens over HTTP.

    Settings come from these options, from FASTTOKEN_SERVER_... in the environment, from a .env file
    and from a TOML file, in this order; docs/server.md lists them.
    """
    try:
        from ..server.run import run
        from ..server.settings import Source
    except ModuleNotFoundError as error:
        sys.exit(f"The server needs more packages ({error.name}): pip install 'fasttoken[server]'")
    given: dict[str, Any] = {
        "dev": dev or None,
        "host": host,
        "port": port,
        "workers": workers,
        "compat": [name for text in compat for name in text.split(",")] if compat else None,
    }
    options = {name: value for name, value in given.items() if value is not None}
    tls = {"certificate": tls_certificate, "key": tls_key}
    if any(tls.values()):
        options["tls"] = {name: value for name, value in tls.items() if value}
    source = Source(str(config) if config else None, str(env_file) if env_file else None, options)
    settings = source.load()
    if check:
        console.in_json(settings.shown())
    else:
        run(source, settings)
