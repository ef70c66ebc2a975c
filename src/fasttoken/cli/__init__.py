"""The command line: one file per command, read only when that command runs.

Exit codes: 0 accepted or done, 1 rejected, 2 wrong usage or settings, 3 a malformed token; bulk has
two more.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

try:
    import typer
    from typer.core import TyperGroup
except ModuleNotFoundError:
    sys.exit("The command line needs more packages: pip install 'fasttoken[cli]'")

from .._version import __version__
from ..errors import FastTokenError
from .console import SETTINGS

# A command, and the module that holds it, under the same name with "_" for "-".
COMMANDS = (
    "mint",
    "temp",
    "bulk",
    "inspect",
    "verify",
    "explain",
    "verify-file",
    "migrate",
    "serve",
    "keys",
    "backend",
)


def _load(name: str) -> Any:
    """The command of that name: a Typer application or a function."""
    attribute = name.replace("-", "_")
    found = getattr(import_module(f"{__name__}.{attribute}"), attribute)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, **SETTINGS)
        app.command(name)(found)
        found = app
    command = typer.main.get_command(found)
    command.name = name
    return command


class Commands(TyperGroup):
    """The group of all commands; each is imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands whose modules are there."""
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name.replace('-', '_')}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command, imported now."""
        if cmd_name not in self.commands and cmd_name in self.list_commands(ctx):
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command. An error of fasttoken is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except FastTokenError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(name="fasttoken", cls=Commands, **SETTINGS)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"fasttoken {__version__}")
        raise typer.Exit


@app.callback()
def fasttoken(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Mints, inspects and verifies Agora tokens.

    The App ID and the certificates come from AGORA_APP_ID, AGORA_APP_CERTIFICATE and
    AGORA_APP_CERTIFICATE_SECONDARY in the environment or in an --env-file, else from a prompt;
    never from an option, where other users of the machine could read them.

    Exit codes: 0 accepted or done, 1 rejected, 2 wrong usage or settings, 3 malformed token.
    """


def main() -> None:
    """The entry point of the command ``fasttoken``."""
    app(prog_name="fasttoken")
