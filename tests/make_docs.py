"""Makes docs/errors.md and docs/cli.md from the program: ``python tests/make_docs.py``.

tests/test_cli_docs.py fails while they are not what the program says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from broken_tokens import APP_ID, BROKEN, CERTIFICATE, PROJECT, Broken

from fasttoken import Verdict
from fasttoken.cli import app
from fasttoken.reasons import CODES
from fasttoken.verify import unverified

DOCS = Path(__file__).parent.parent / "docs"
MADE = "*Made by `python tests/make_docs.py`; a test holds it to the program. Don't edit it.*"

# docs/errors.md -----------------------------------------------------------------------------------

ERRORS_HEAD = f"""{MADE}

# Why a token is rejected

`project.verify(token)`, `fasttoken verify` and `fasttoken explain` answer with these codes. A code
is stable: programs may branch on it. The sentences are for people, and may be reworded.

An **error** rejects the token; a **warning** does not. "Client error" is what Agora's RTC SDKs
report:

| client error | meaning at the client |
|---|---|
| 101 | invalid App ID |
| 102 | invalid channel name |
| 109, on the Web also 118 | the token has expired |
| 110 | the token is invalid, or there is none though the project has a certificate |
| 119 | a token was sent, but the project has no certificate (no token can show that) |

Every example below runs as it stands, after:

```python
from fasttoken import Project
from fasttoken.verify import unverified

# The App ID and certificate of Agora's own public samples.
project = Project("{APP_ID}", "{CERTIFICATE}")
```

The tokens are issued at 1700000000 (2023-11-14 22:13:20 UTC). A token may have several reasons; the
comment behind an example lists all of them. A bad signature does not end the search: what an
unsigned token says often explains it, and `verdict.verified` is false then.
"""


def example_of(code: str) -> Broken:
    """The first broken token that has a code, and is a text."""
    return next(case for case in BROKEN if code in case.codes and isinstance(case.token, str))


def call(case: Broken) -> str:
    """An example as Python."""
    name = "unverified" if case.unverified else "project.verify"
    asked = "".join(f", {key}={json.dumps(value)}" for key, value in case.asked.items())
    return f"{name}({json.dumps(case.token)}{asked}, now={case.now})"


def judged(case: Broken) -> Verdict:
    """The verdict about an example."""
    if case.unverified:
        return unverified(case.token, now=case.now, **case.asked)
    return PROJECT.verify(case.token, now=case.now, **case.asked)


def _code(code: str) -> Iterator[str]:
    row, case = CODES[code], example_of(code)
    reason = next(reason for reason in judged(case).reasons if reason.code == code)
    seen = f", client error {row.client_error}" if row.client_error else ""
    yield f"\n### `{code}`\n"
    yield f"{row.severity.capitalize()}{seen}. How it comes about, for one: {case.made}.\n"
    yield f"> {reason.sentence}\n>\n> Mend: {reason.mend}.\n"
    yield f"```python\n{call(case)}  # {', '.join(case.codes)}\n```"


def errors_md() -> str:
    """The text of docs/errors.md."""
    lines = [ERRORS_HEAD.rstrip()]
    for severity in ("error", "warning"):
        lines.append(f"\n## {severity.capitalize()}s")
        for code, row in CODES.items():
            if row.severity == severity:
                lines += _code(code)
    return "\n".join(lines) + "\n"


# docs/cli.md --------------------------------------------------------------------------------------

CLI_HEAD = f"""{MADE}

# The command line

    pip install 'fasttoken[cli]'

`fasttoken` and `python -m fasttoken` are the same. `fasttoken --install-completion` adds completion
to your shell. Colours are left out when `NO_COLOR` is set or the output is no terminal; reports are
120 columns wide there, or as wide as `COLUMNS` says.
"""

JSON_HEAD = """
## JSON

With `--json` a command answers with one JSON object on standard output, on one line unless that is
a terminal. Its exit code is the same as without. Fields are never removed or renamed within a major
version; new ones may come. The JSON Schema is `docs/cli.schema.json`; what `migrate` answers stands
in `docs/upgrading.md`.
"""


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    if hasattr(command, "list_commands"):
        ctx = typer.Context(command, info_name=path)
        for name in command.list_commands(ctx):
            yield from _commands(command.get_command(ctx, name), f"{path} {name}")


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if param.default is None or param.default is False or not param.show_default:
        return ""
    return f"`{param.default}`"


def _params(command: Any) -> Iterator[str]:
    rows = []
    for param in command.params:
        names = [*param.opts, *param.secondary_opts]
        if param.param_type_name == "argument":
            names = [param.name.upper()]
        spelled = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| {spelled} | {_default(param)} | {param.help or ''} |")
    if rows:
        yield "\n| argument or option | default | meaning |\n|---|---|---|"
        yield from rows


def _fields(schema: dict[str, Any], name: str) -> Iterator[str]:
    found = schema["$defs"][name]
    yield f"\n### {found['title']}\n"
    if "description" in found:
        yield found["description"] + "\n"
    yield "| field | meaning |\n|---|---|"
    for field, rule in found["properties"].items():
        referred = schema["$defs"][rule["$ref"].split("/")[-1]] if "$ref" in rule else {}
        yield f"| `{field}` | {rule.get('description') or referred.get('description')} |"


def cli_md() -> str:
    """The text of docs/cli.md."""
    lines = [CLI_HEAD.rstrip()]
    for path, command in _commands(typer.main.get_command(app), "fasttoken"):
        lines.append(f"\n{'###' if path.count(' ') > 1 else '##'} {path}\n")
        lines.append("\n".join(part.strip() for part in (command.help or "").split("\n")))
        lines += _params(command)
    lines.append(JSON_HEAD.rstrip())
    schema = json.loads((DOCS / "cli.schema.json").read_text(encoding="utf-8"))
    for name in ("verdict", "reason", "claims", "inspection", "minted", "counts", "backend"):
        lines += _fields(schema, name)
    return "\n".join(lines) + "\n"


PAGES = {"errors.md": errors_md, "cli.md": cli_md}


def main() -> None:
    """Writes the pages."""
    for name, text in PAGES.items():
        (DOCS / name).write_text(text(), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
