"""What the commands share: where tokens and projects come from, and how answers are shown."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FieldError
from ..project import ENV, Project
from ..reasons import Reason, span
from ..verify import Verdict

ACCEPTED, REJECTED, USAGE, MALFORMED = range(4)

# What every Typer application here has in common.
SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": "markdown",
    # A traceback that shows locals would show certificates.
    "pretty_exceptions_enable": False,
    "pretty_exceptions_show_locals": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

# Options that many commands take ------------------------------------------------------------------

Token = Annotated[
    str | None,
    typer.Argument(help="The token; - or nothing: from standard input.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        help="Read the App ID and the certificates from this file of NAME=value lines.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
Channel = Annotated[
    str | None,
    typer.Option("--channel", help="The channel name that the client joins.", show_default=False),
]
Uid = Annotated[
    str | None,
    typer.Option(
        "--uid", help="The uid (a number) that the client joins with.", show_default=False
    ),
]
Account = Annotated[
    str | None,
    typer.Option(
        "--account", help="The account or user id, a text, in place of --uid.", show_default=False
    ),
]
Privilege = Annotated[
    str | None,
    typer.Option(
        "--privilege",
        help="What the client wants to do, such as rtc.publish_audio or rtm.login.",
        show_default=False,
    ),
]
Now = Annotated[
    str | None,
    typer.Option(
        "--now",
        help="Judge as of this time: Unix seconds, or 2026-01-31T12:00:00Z. [default: the clock]",
        show_default=False,
    ),
]
Leeway = Annotated[
    int, typer.Option("--leeway", min=0, help="Seconds to forgive clocks that differ.")
]


def user(uid: str | None, account: str | None) -> int | str | None:
    """What ``--uid`` and ``--account`` say; at most one may be given."""
    if uid is None:
        return account
    if account is not None:
        raise FieldError("--uid and --account", "can't both be given")
    if not re.fullmatch("-?[0-9]{1,19}", uid):
        raise FieldError("--uid", "must be a number", "an account goes into --account")
    return int(uid)


def moment(option: str, text: str | None) -> int:
    """A time in Unix seconds, from Unix seconds or RFC 3339; by default now."""
    if text is None:
        return int(time.time())
    if re.fullmatch("[0-9]{1,10}", text):
        return int(text)
    try:
        when = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        rule = "must be Unix seconds, or a time with its zone such as 2026-01-31T12:00:00Z"
        raise FieldError(option, rule)
    return int(when.timestamp())


def token(argument: str | None) -> str:
    """The token of an argument, or from standard input without its last line break."""
    if argument not in (None, "-"):
        return str(argument)
    if argument is None and sys.stdin.isatty():
        raise FieldError("token", "must be given, or come from standard input")
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    return re.sub(r"\r?\n\Z", "", text)


# The project --------------------------------------------------------------------------------------

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")


def _settings(path: Path) -> dict[str, str]:
    """The settings of a file of ``NAME=value`` lines: quotes, ``export`` and ``#`` comments go."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError("--env-file", f"can't be read ({type(error).__name__})") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise FieldError("--env-file", f"line {number} is not NAME=value")
        name, value = match.groups()
        quoted = re.fullmatch(r"""(["'])(.*)\1(?:\s+#.*)?""", value)
        found[name] = quoted[2] if quoted else re.sub(r"(^|\s+)#.*", "", value)
    return found


def project(env_file: Path | None) -> Project:
    """The project of the settings; what is missing is asked for where somebody can answer."""
    settings: dict[str, str] = {name: os.environ[name] for name in ENV if name in os.environ}
    if env_file is not None:
        settings |= _settings(env_file)
    if sys.stdin.isatty() and sys.stderr.isatty():
        if not settings.get(ENV[0]):
            # typer.prompt would put a space on standard output, before the token.
            typer.echo("App ID: ", err=True, nl=False)
            settings[ENV[0]] = sys.stdin.readline().strip()
        if not settings.get(ENV[1]):
            settings[ENV[1]] = typer.prompt("App Certificate", hide_input=True, err=True)
    return Project.from_env(settings)


def project_if_any(env_file: Path | None) -> Project | None:
    """The project of the settings; None if there are none at all."""
    if env_file is None and not any(os.environ.get(name) for name in ENV):
        return None
    return project(env_file)


# Answers ------------------------------------------------------------------------------------------


def in_json(data: Any) -> None:
    """Prints data as JSON: indented on a terminal, on one line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    typer.echo(json.dumps(data, ensure_ascii=not _utf8(), indent=indent))


def _utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def line(text: str, colour: str | None = None, err: bool = False) -> None:
    """Prints a line, in colour where the terminal shows it and NO_COLOR is not set.

    What the terminal would act upon, and what its encoding lacks, is escaped.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = stream.encoding or "ascii"
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    if colour and stream.isatty() and not os.environ.get("NO_COLOR"):
        text = typer.style(text, fg=colour, bold=True)
    typer.echo(text, err=err)


def utc(when: int) -> str:
    """A time in UTC."""
    try:
        return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(when)


def local(when: int) -> str:
    """A time in the local time zone, with its offset."""
    try:
        return datetime.fromtimestamp(when).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    except (OverflowError, ValueError, OSError):
        return str(when)


def from_now(when: int, now: int) -> str:
    """A time as seen from now."""
    if when == now:
        return "now"
    words = span(abs(when - now))
    brief = re.sub(" (day|hour|minute|second)s?", lambda unit: unit[1][0], words)
    return f"in {brief}" if when > now else f"{brief} ago"


def reason_lines(reasons: tuple[Reason, ...]) -> None:
    """Prints reasons, two lines each."""
    for reason in reasons:
        colour = "red" if reason.severity == "error" else "yellow"
        seen = f" (client error {reason.client_error})" if reason.client_error else ""
        line(
            f"{reason.severity} {reason.code}{seen}: {reason.sentence}",
            colour,
        )
        line(f"  mend: {reason.mend}")


def exit_code(verdict: Verdict) -> int:
    """The exit code of a verdict."""
    if verdict.parsed is None:
        return MALFORMED
    return ACCEPTED if verdict.ok else REJECTED
