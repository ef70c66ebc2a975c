"""`fasttoken bulk` on attendees.csv, and then every token checked, by other means.

    python examples/demo.py [ATTENDEES.csv [TOKENS.csv]]

Leaves a report beside the tokens. Exits with 1 if anything is wrong with any token.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import fasttoken
from fasttoken import FastTokenError, Project
from fasttoken.services import Rtc

# The sample project of Agora's public documentation: its tokens open nothing.
SAMPLE = {
    "AGORA_APP_ID": "970CA35de60c44645bbae8a215061b33",
    "AGORA_APP_CERTIFICATE": "5CFd2fd1755d40ecb72977518be15d3b",
}
EXPIRE = 8 * 3600  # seconds: a day of the event
ADDED = ["token", "issued_at", "expires_at"]
SHOWN = 5  # bad rows

Rows = list[dict[str, str]]


def settings() -> dict[str, str]:
    """The project of the environment, or Agora's sample, loudly."""
    if any(os.environ.get(name) for name in SAMPLE):
        return {}
    print("*** AGORA_APP_ID and AGORA_APP_CERTIFICATE are not set.")
    print("*** These tokens are of Agora's public sample project and open nothing.", flush=True)
    return SAMPLE


def read(path: Path) -> tuple[list[str], Rows]:
    """The column names and the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or ()), list(reader)


def uid(text: str) -> int | str:
    """A uid as fasttoken takes it: a number, or the account of a user who has none."""
    return int(text) if text.isascii() and text.isdigit() else text


def mint(source: Path, target: Path, project: dict[str, str]) -> int:
    """Writes the rows of a file with their tokens; the exit code of ``fasttoken bulk``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Users without a number have an account in the same column: so it is one of accounts.
    command = ["bulk", str(source), "-o", str(target), "--account-column", "uid"]
    command += ["--expire", str(EXPIRE), "--report", str(target.with_suffix(".html"))]
    python = [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "fasttoken"]
    command = [*python, *command, "--overwrite"]
    return subprocess.run(command, env={**os.environ, **project}).returncode  # noqa: S603


def problem(project: Project, row: dict[str, str]) -> str:
    """What is wrong with the token of a row that was written, or nothing."""
    try:
        if project.verify_signature(row["token"]) != "primary":
            return "the signature is not that of the certificate"
        claims = fasttoken.parse(row["token"]).claims
    except FastTokenError as error:
        return str(error)
    granted = tuple(Rtc.Privilege) if row["role"] == "publisher" else (Rtc.Privilege.JOIN_CHANNEL,)
    services = (Rtc(row["channel_name"], uid(row["uid"]), dict.fromkeys(granted, 0)),)
    if claims.app_id != project.app_id:
        return "the App ID is another one"
    if claims.services != services:
        return "the token is for another channel, user or role"
    times = (str(claims.issue_ts), str(claims.issue_ts + claims.expire))
    return "" if times == (row["issued_at"], row["expires_at"]) else "the times differ"


def check(project: Project, columns: list[str], rows: Rows, path: Path) -> int:
    """Reads the file back, prints what is wrong with it, and returns how many rows are bad."""
    columns_written, written = read(path)
    if columns_written != columns + ADDED or len(written) != len(rows):
        print(f"{path}: rows or columns are missing")
        return max(1, len(rows) - len(written))
    bad = 0
    for line, (row, found) in enumerate(zip(rows, written, strict=True), 2):
        same = all(row[name] == found[name] for name in columns)
        wrong = problem(project, found) if same else "the columns have changed"
        if wrong:
            bad += 1
            if bad <= SHOWN:
                print(f"{path}, line {line}: {wrong}")
    return bad


def main(source: str = "examples/attendees.csv", target: str = "build/demo/tokens.csv") -> int:
    core = fasttoken.backend()
    print(f"fasttoken {fasttoken.__version__}, {core.implementation} core ({core.cpu})", end="")
    print(f": {core.reason}" if core.reason else "", flush=True)
    given, path = settings(), Path(target)
    code = mint(Path(source), path, given)
    if code:
        return code
    columns, rows = read(Path(source))
    bad = check(Project.from_env({**os.environ, **given}), columns, rows, path)
    print(f"verified: {len(rows) - bad:,} of {len(rows):,} tokens")
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
