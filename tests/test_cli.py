"""The command line: answers, exit codes, JSON, secrets; in process and as real processes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from broken_tokens import (
    APP_ID,
    BROKEN,
    CERTIFICATE,
    GOOD,
    ISSUED,
    LATER,
    NOW,
    PROJECT,
    Broken,
    key,
    rtc,
    signal,
    t006,
    t007,
)

import fasttoken
from fasttoken import parse
from fasttoken.services import Rtm

pytest.importorskip("typer", reason="the command line is an extra")
jsonschema = pytest.importorskip("jsonschema")

from typer.testing import CliRunner, Result  # noqa: E402

from fasttoken.cli import app  # noqa: E402

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "docs" / "cli.schema.json").read_text(encoding="utf-8")
)
ENV = {
    "AGORA_APP_ID": APP_ID,
    "AGORA_APP_CERTIFICATE": CERTIFICATE,
    "AGORA_APP_CERTIFICATE_SECONDARY": None,
    "TZ": "UTC",
    "COLUMNS": "200",
}
NO_PROJECT = dict.fromkeys(ENV)
HEAVY = {"fasttoken.migrate", "libcst", "numpy", "pyarrow", "pydantic", "rich"}
AT = ("--now", str(NOW))


def run(*args: str, env: dict[str, Any] | None = None, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(args), input=stdin, env=ENV if env is None else env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    assert CERTIFICATE not in result.output
    return result


def answer(name: str, *args: str, code: int = 0, **options: Any) -> Any:
    """What a command answers in JSON, held against the schema."""
    result = run(*args, "--json", **options)
    assert result.exit_code == code, result.output
    data = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    jsonschema.validate(data, {"$ref": f"#/$defs/{name}", **SCHEMA})
    return data


# Minting ------------------------------------------------------------------------------------------

FIXED = ("--issue-at", str(ISSUED), "--salt", "1")
MINTED: list[tuple[tuple[str, ...], str]] = [
    (("rtc", "lobby", "--uid", "42"), PROJECT.rtc_token("lobby", 42, issue_ts=ISSUED, salt=1)),
    (
        ("rtc", "lobby", "--account", "42a", "--role", "subscriber", "--expire", "60"),
        PROJECT.rtc_token("lobby", "42a", "subscriber", 60, issue_ts=ISSUED, salt=1),
    ),
    (
        ("rtc", "lobby", "--uid", "42", "--role", "2", "--privilege-expire", "9"),
        PROJECT.rtc_token("lobby", 42, 2, privilege_expire=9, issue_ts=ISSUED, salt=1),
    ),
    (
        ("rtc", "lobby", "--allow-wildcard"),
        PROJECT.rtc_token("lobby", 0, allow_wildcard=True, issue_ts=ISSUED, salt=1),
    ),
    (
        ("rtc-privileges", "lobby", "--uid", "42", "--publish-audio-expire", "9"),
        PROJECT.rtc_token_with_privileges(
            "lobby", 42, publish_audio_expire=9, issue_ts=ISSUED, salt=1
        ),
    ),
    (
        ("rtc-rtm", "lobby", "--uid", "42", "--rtm-user-id", "alice"),
        PROJECT.rtc_rtm_token("lobby", 42, rtm_user_id="alice", issue_ts=ISSUED, salt=1),
    ),
    (
        ("convoai", "lobby", "--uid", "42"),
        PROJECT.convoai_token("lobby", 42, issue_ts=ISSUED, salt=1),
    ),
    (("stt", "lobby", "--uid", "42"), PROJECT.stt_token("lobby", 42, issue_ts=ISSUED, salt=1)),
    (("rtm", "alice"), PROJECT.rtm_token("alice", issue_ts=ISSUED, salt=1)),
    (("chat-user", "alice"), PROJECT.chat_user_token("alice", issue_ts=ISSUED, salt=1)),
    (("chat-app",), PROJECT.chat_app_token(issue_ts=ISSUED, salt=1)),
    (("education-user", "alice"), PROJECT.education_user_token("alice", issue_ts=ISSUED, salt=1)),
    (("education-app",), PROJECT.education_app_token(issue_ts=ISSUED, salt=1)),
    (
        ("education-room-user", "room", "alice", "--role", "1"),
        PROJECT.education_room_user_token("room", "alice", 1, issue_ts=ISSUED, salt=1),
    ),
    (("fpa",), PROJECT.fpa_token(issue_ts=ISSUED, salt=1)),
    (
        ("streaming", "lobby", "--uid", "42"),
        PROJECT.streaming_token("lobby", 42, issue_ts=ISSUED, salt=1),
    ),
    (("fcdn", "lobby", "--uid", "42"), PROJECT.fcdn_token("lobby", 42, issue_ts=ISSUED, salt=1)),
    (
        ("rtc-006", "lobby", "--uid", "42", "--role", "101"),
        PROJECT.rtc_token_006("lobby", 42, 101, issue_ts=ISSUED, salt=1),
    ),
    (("rtm-006", "alice"), PROJECT.rtm_token_006("alice", issue_ts=ISSUED, salt=1)),
]


@pytest.mark.parametrize(
    ("args", "token"), MINTED, ids=lambda v: v[0] if isinstance(v, tuple) else ""
)
def test_mint_prints_the_token_alone(args: tuple[str, ...], token: str) -> None:
    result = run("mint", *args, *FIXED)
    assert (result.exit_code, result.stdout, result.stderr) == (0, token + "\n", "")
    data = answer("minted", "mint", *args, *FIXED)
    assert data["token"] == token
    assert data["format"] == parse(token).format
    assert data["issued_at"] == ISSUED
    assert data["warnings"] == []


def test_mint_offers_every_builder() -> None:
    listed = run("mint", "--help").stdout
    for args, _ in MINTED:
        assert f" {args[0]} " in listed


@pytest.mark.parametrize("version", "12345")
def test_mint_dynamic_keys(version: str) -> None:
    ends = "2100-01-31T12:00:00Z"
    made = run("mint", "dynamic-key", version, "lobby", "--uid", "42", "--expire-at", ends).stdout
    verdict = PROJECT.verify(made.strip(), channel_name="lobby", uid=42)
    assert verdict.ok
    assert verdict.expires_at == (None if version == "1" else 4_105_080_000)


def test_mint_signaling() -> None:
    made = run("mint", "signaling", "alice", "--issue-at", str(ISSUED)).stdout
    assert made.strip() == signal("alice", ISSUED + 3600)


def test_temp() -> None:
    made = answer("minted", "temp", "lobby")
    assert made["expires_at"] - made["issued_at"] == 86_400
    assert PROJECT.verify(made["token"], channel_name="lobby", uid=7).codes == ("wildcard_user",)


def test_mint_warns_on_standard_error() -> None:
    result = run("mint", "rtc", "lobby", "--uid", "42", "--expire", "90000")
    assert result.stdout.startswith("007")
    assert result.stdout.count("\n") == 1
    assert result.stderr.startswith("warning: expire is 0 or more than 86400 seconds")
    data = answer("minted", "mint", "rtc", "lobby", "--uid", "42", "--expire", "90000")
    assert len(data["warnings"]) == 1


# Inspecting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [GOOD, t006(), key(3), key(5), signal(), t007(Rtm("a", {1: 5}))])
def test_inspect_decodes_and_says_that_it_did_not_verify(token: str) -> None:
    result = run("inspect", token, env=NO_PROJECT)
    assert result.exit_code == 0
    assert result.stdout.startswith("NOTHING WAS VERIFIED")
    assert APP_ID.lower() in result.stdout.lower()
    data = answer("inspection", "inspect", token, env=NO_PROJECT)
    assert data["claims"] == fasttoken.claims.to_data(parse(token))


def test_inspect_shows_times() -> None:
    lines = run("inspect", GOOD, env=NO_PROJECT).stdout.splitlines()
    assert "issue_ts       1700000000  2023-11-14 22:13:20Z" in lines
    assert "expire         3600  2023-11-14 23:13:20Z" in lines
    assert answer("inspection", "inspect", GOOD)["expires_at"] == LATER


def test_inspect_of_what_is_no_token() -> None:
    result = run("inspect", GOOD[:60], env=NO_PROJECT)
    assert result.exit_code == 3
    assert result.stdout.startswith("error malformed_")
    data = answer("inspection", "inspect", "nothing", code=3, env=NO_PROJECT)
    assert data["error"]["code"] == "malformed_prefix"
    assert data["claims"] is None


# Verifying and explaining -------------------------------------------------------------------------


def asked_of(case: Broken) -> list[str]:
    """A broken token and what is asked of it, as arguments."""
    args = ["--now", str(case.now)]
    for name, value in case.asked.items():
        option = {"channel_name": "--channel", "uid": "--uid"}.get(name, f"--{name}")
        if name == "uid" and isinstance(value, str):
            option = "--account"
        args += [f"{option}={value}"]
    return args


@pytest.mark.parametrize("command", ["verify", "explain"])
@pytest.mark.parametrize(
    "case", [case for case in BROKEN if isinstance(case.token, str)], ids=lambda case: case.made
)
def test_broken_tokens(command: str, case: Broken) -> None:
    if case.unverified and command == "verify":
        return
    env = NO_PROJECT if case.unverified else ENV
    malformed = case.codes[0].startswith(("malformed", "empty", "unknown_v", "letter"))
    rejected = any(fasttoken.reasons.CODES[code].severity == "error" for code in case.codes)
    code = 3 if malformed else int(rejected)
    args = (command, *asked_of(case), "-")
    data = answer("verdict", *args, code=code, env=env, stdin=case.token + "\n")
    assert tuple(reason["code"] for reason in data["reasons"]) == case.codes
    assert data["ok"] == (code == 0)
    result = run(*args, env=env, stdin=case.token + "\n")
    assert result.exit_code == code
    for each in case.codes:
        assert each in result.stdout


def test_verify_accepts() -> None:
    result = run("verify", GOOD, "--channel", "lobby", "--uid", "42", *AT)
    assert (result.exit_code, result.stdout) == (0, "accepted\n")


def test_explain_is_a_report() -> None:
    env = ENV | {"TZ": "UTC"}
    result = run("explain", GOOD, "--uid", "43", *AT, env=env)
    assert result.exit_code == 1
    for part in (
        "Verdict: rejected, 1 reason",
        "the primary certificate",
        "2023-11-14 23:13:20Z",
        "in 59m",
        "1m ago",
        "publish_audio",
        "channel 'lobby', uid 42",
        "The token is for uid 42, the client joins as uid 43.",
        "mint and join with the same user",
        "110",
    ):
        assert part in result.stdout, part
    assert "UNVERIFIED" in run("explain", GOOD, *AT, env=NO_PROJECT).stdout
    assert "never" in run("explain", key(1), "--channel", "lobby", *AT).stdout


def test_explain_fits_where_it_is_shown() -> None:
    for env, width in ((ENV | {"COLUMNS": None}, 120), (ENV | {"COLUMNS": "72"}, 72)):
        lines = run("explain", GOOD, "--uid", "43", *AT, env=env).stdout.splitlines()
        assert max(map(len, lines)) <= width


def test_hostile_tokens_drive_no_terminal_and_no_markup() -> None:
    token = rtc("\x1b]0;owned\x07[red]x[/red]")
    asked = (token, "--channel", "lobby", *AT)
    for args in (("explain", *asked), ("verify", *asked), ("inspect", token)):
        shown = run(*args).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[red]" in shown


# Input and settings -------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), ("-",)])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_token_comes_from_standard_input(args: tuple[str, ...], end: str) -> None:
    assert run("verify", *args, *AT, stdin=GOOD + end).stdout == "accepted\n"


def test_bytes_that_are_no_text_are_malformed() -> None:
    result = CliRunner().invoke(app, ["verify", "-"], input=b"\xff\xfe\x00", env=ENV)
    assert result.exit_code == 3


def test_an_env_file_wins_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# Agora\n\nexport AGORA_APP_ID = '" + APP_ID + "'  # public\n"
        f'AGORA_APP_CERTIFICATE="{CERTIFICATE}"\nOTHER=1 # comment\n',
        encoding="utf-8",
    )
    wrong = ENV | {"AGORA_APP_CERTIFICATE": "0" * 32}
    assert run("verify", GOOD, *AT, env=wrong).exit_code == 1
    assert run("verify", GOOD, *AT, "--env-file", str(file), env=wrong).exit_code == 0
    assert run("verify", GOOD, *AT, "--env-file", str(file), env=NO_PROJECT).exit_code == 0


def test_both_certificates_count() -> None:
    env = ENV | {"AGORA_APP_CERTIFICATE": "0" * 32, "AGORA_APP_CERTIFICATE_SECONDARY": CERTIFICATE}
    assert answer("verdict", "verify", GOOD, *AT, env=env)["certificate"] == "secondary"


@pytest.mark.parametrize(
    ("args", "env", "says"),
    [
        (("verify", GOOD), NO_PROJECT, "AGORA_APP_ID"),
        (("mint", "rtc", "lobby", "--uid", "1"), NO_PROJECT, "AGORA_APP_ID"),
        (("verify", GOOD), ENV | {"AGORA_APP_CERTIFICATE": CERTIFICATE[1:]}, "32 hexadecimal"),
        (("explain", GOOD), ENV | {"AGORA_APP_CERTIFICATE": None}, "AGORA_APP_CERTIFICATE"),
        (("verify", GOOD, "--uid", "alice"), ENV, "--account"),
        (("verify", GOOD, "--uid", "1", "--account", "a"), ENV, "can't both be given"),
        (("verify", GOOD, "--now", "yesterday"), ENV, "--now"),
        (("verify", GOOD, "--now", "2026-01-31T12:00:00"), ENV, "with its zone"),
        (("verify", GOOD, "--privilege", "fly"), ENV, "privilege"),
        (("verify", GOOD, "--leeway", "-1"), ENV, "leeway"),
        (("verify", GOOD, "--env-file", "/nowhere/at/all"), ENV, "--env-file"),
        (("verify", "a", "b"), ENV, "b"),
        (("nothing",), ENV, "nothing"),
        (("mint", "rtc", "lobby"), ENV, "means any user"),
        (("mint", "rtc", "größe", "--uid", "1"), ENV, "channel_name"),
        (("mint", "rtc", "lobby", "--uid", "1", "--role", "101"), ENV, "role"),
        (("mint", "rtc", "lobby", "--uid", "1", "--expire", "1700000000"), ENV, "Unix timestamp"),
        (("mint", "rtc", "lobby", "--uid", "1", "--app-certificate", "x"), ENV, "No such option"),
        (("mint", "dynamic-key", "6", "lobby"), ENV, "6"),
        (("mint", "dynamic-key", "5", "lobby", "--service", "x"), ENV, "media_channel"),
    ],
)
def test_wrong_usage_is_one_message_and_2(args: tuple[str, ...], env: Any, says: str) -> None:
    result = run(*args, env=env)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr


@pytest.mark.parametrize("text", ["AGORA_APP_ID", "=x", "\x00\x01"])
def test_a_broken_env_file_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    result = run("verify", GOOD, "--env-file", str(file))
    assert result.exit_code == 2
    assert "line 1 is not NAME=value" in result.stderr
    file.write_bytes(b"\xff")
    assert "can't be read" in run("verify", GOOD, "--env-file", str(file)).stderr


def test_no_command_shows_help_and_version_the_version() -> None:
    assert "Usage" in run().output
    assert run("--version").stdout == f"fasttoken {fasttoken.__version__}\n"
    for args in (("--help",), ("-h",), ("mint", "-h"), ("verify", "--help")):
        result = run(*args)
        assert result.exit_code == 0
        assert "certificate" in result.stdout.lower() or args[0] == "mint"


def test_backend() -> None:
    assert answer("backend", "backend")["implementation"] == fasttoken.backend().implementation
    assert fasttoken.backend().cpu in run("backend").stdout


# Files --------------------------------------------------------------------------------------------

ROWS: list[dict[str, Any]] = [
    {"token": GOOD, "room": "lobby", "who": 42},
    {"token": GOOD, "room": "stage", "who": 42},
    {"token": rtc(uid="alice"), "room": "lobby", "who": "alice"},
    {"token": "", "room": "", "who": None},
    {"token": GOOD, "room": "stage", "who": 0},
]
COUNTS = {
    "rows": 5,
    "accepted": 2,
    "rejected": 3,
    "codes": [
        {"code": "channel_mismatch", "severity": "error", "rows": 2, "first_row": 2},
        {"code": "empty_token", "severity": "error", "rows": 1, "first_row": 4},
        {"code": "uid_zero_joined", "severity": "error", "rows": 1, "first_row": 5},
    ],
}
COLUMNS = ("--channel-column", "room", "--uid-column", "who")


def written(path: Path) -> Path:
    """The rows as a file of the format that its name says."""
    texts = [{k: "" if v is None else str(v) for k, v in row.items()} for row in ROWS]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(texts), path)
    else:
        comma = "\t" if path.suffix == ".tsv" else ","
        lines = [comma.join(texts[0]), *(comma.join(row.values()) for row in texts)]
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_verify_file_counts(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"tokens.{suffix}")
    assert answer("counts", "verify-file", str(path), *COLUMNS, *AT, code=1) == COUNTS
    result = run("verify-file", str(path), *COLUMNS, *AT)
    assert result.stdout.splitlines()[:2] == [
        "5 rows: 2 accepted, 3 rejected",
        "  error channel_mismatch: 2 rows, the first is row 2",
    ]
    other = path.rename(tmp_path / "tokens.dat")
    again = answer("counts", "verify-file", str(other), "--format", suffix, *COLUMNS, *AT, code=1)
    assert again == COUNTS


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_verify_file_writes_what_it_found(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / "tokens.jsonl")
    out = tmp_path / f"out.{suffix}"
    run("verify-file", str(path), *COLUMNS, *AT, "-o", str(out))
    assert sorted(tmp_path.iterdir()) == sorted([path, out])
    rows = written_rows(out)
    assert [row["ok"] for row in rows] == ["true", "false", "true", "false", "false"]
    assert rows[4]["codes"] == "channel_mismatch uid_zero_joined"
    assert rows[0]["expires_at"] == str(LATER)
    assert rows[3]["expires_at"] == ""
    assert [row["room"] for row in rows] == [row["room"] for row in ROWS]


def written_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file that verify-file wrote, as text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix != ".jsonl":
        comma = "\t" if path.suffix == ".tsv" else ","
        names = lines[0].split(comma)
        return [dict(zip(names, line.split(comma), strict=True)) for line in lines[1:]]
    rows = []
    for row in map(json.loads, lines):
        row["codes"] = " ".join(row["codes"])
        row["ok"] = json.dumps(row["ok"])
        rows.append({key: "" if value is None else str(value) for key, value in row.items()})
    return rows


def test_verify_file_accepts_a_file_of_good_tokens(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("token\n" + f"{GOOD}\n" * 3, encoding="utf-8")
    assert run("verify-file", str(path), "--channel", "lobby", "--uid", "42", *AT).exit_code == 0
    path.write_text("token\n", encoding="utf-8")
    assert answer("counts", "verify-file", str(path))["rows"] == 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"a,b\n1,2\n", "row 1: has no column 'token'; it has a, b"),
        ("t.csv", b"token\n1,2\n", "line 2: has more cells than the header"),
        ("t.csv", b'token\n"x\n', "can't be read"),
        ("t.csv", b"token\n\xff\n", "can't be read"),
        ("t.jsonl", b'{"token": 1}\n[]\n', "line 2: is not a JSON object"),
        ("t.jsonl", b"{", "line 1: is not a JSON object"),
        ("t.parquet", b"PAR1", "can't be read"),
        ("t.xlsx", b"", "--format: must be one of"),
    ],
)
def test_files_that_can_not_be_read(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(content)
    result = run("verify-file", str(path), "-o", str(tmp_path / "out.csv"))
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert not list(tmp_path.glob("*.part"))


def test_verify_file_names_the_row_of_a_bad_uid(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        f'{{"token": "{GOOD}", "uid": 42}}\n{{"token": "{GOOD}", "uid": 1.5}}\n', encoding="utf-8"
    )
    result = run("verify-file", str(path), "--uid-column", "uid")
    assert result.exit_code == 2
    assert "row 2" in result.stderr


# Mutated tokens -----------------------------------------------------------------------------------


def test_explain_never_prints_a_traceback() -> None:
    chance = random.Random(7)
    tokens = [rtc(), t006(), *(key(version) for version in range(1, 6)), signal()]
    characters = "".join(map(chr, range(1, 256))) + "€\u200b\ufeff𝄞"
    for _ in range(1000):
        token = list(chance.choice(tokens))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(token))
            change = chance.choice(("replace", "insert", "delete", "cut"))
            if change == "cut" and place:
                token = token[:place]
            elif change == "delete" and len(token) > 1:
                del token[place]
            else:
                token[place : place + (change == "replace")] = chance.choice(characters)
        uid = chance.choice([("--uid", "42"), ("--account", "alice"), ()])
        channel = chance.choice([("--channel", "lobby"), ()])
        result = run("explain", "-", *uid, *channel, *AT, stdin="".join(token))
        assert result.exit_code in (0, 1, 3)
        assert result.stdout.startswith("Verdict: ")


# Real processes -----------------------------------------------------------------------------------


def process(*args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    settings = {key: value for key, value in ENV.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "fasttoken", *args],
        input=stdin,
        env=os.environ | settings | env,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("token", [GOOD, GOOD[:70], "\udcff", "x" * 300_000, "007" + "A" * 100])
def test_real_processes(token: str) -> None:
    text = token.encode("utf-8", "surrogateescape")
    done = process("explain", "-", *AT, stdin=text, PYTHONIOENCODING="ascii")
    assert done.returncode == (0 if token == GOOD else 3)
    assert done.stdout.startswith(b"Verdict: ")
    assert b"Traceback" not in done.stderr


def test_an_argument_that_is_no_text_is_malformed() -> None:
    assert process("verify", "\udcff\udcfe").returncode == 3


def test_no_color_in_pipes() -> None:
    done = process("explain", GOOD, "--uid", "43", *AT, PYTHONIOENCODING="utf-8")
    assert b"\x1b" not in done.stdout


def test_a_closed_pipe_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fasttoken", "explain", GOOD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {key: value for key, value in ENV.items() if value is not None},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert b"Traceback" not in child.stderr.read()


def test_a_crash_shows_no_certificate() -> None:
    crash = (
        "import fasttoken.project, fasttoken.cli, sys\n"
        "def crash(*args, **options): raise RuntimeError('crash')\n"
        "fasttoken.project.Project.verify = crash\n"
        f"sys.argv = ['fasttoken', 'verify', {GOOD!r}]\n"
        "fasttoken.cli.main()\n"
    )
    settings = {key: value for key, value in ENV.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", crash],
        env=os.environ | settings,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"RuntimeError: crash" in done.stderr
    assert CERTIFICATE.encode() not in done.stderr + done.stdout


def test_completion_is_offered() -> None:
    done = process("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert b"_FASTTOKEN_COMPLETE" in done.stdout
    words = {
        "COMP_WORDS": "fasttoken in",
        "COMP_CWORD": "1",
        "_FASTTOKEN_COMPLETE": "complete_bash",
    }
    assert process(**words).stdout.split() == [b"inspect"]


def test_inspect_starts_without_what_it_does_not_need() -> None:
    """What makes the start slow is imported by the commands that need it."""
    code = (
        "import sys, fasttoken.cli\n"
        f"sys.argv = ['fasttoken', 'inspect', {GOOD!r}]\n"
        "try:\n    fasttoken.cli.main()\n"
        "except SystemExit:\n    print(*sorted(sys.modules), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    loaded = set(done.stdout.decode().split())
    assert "fasttoken.cli.inspect" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_is_asked_and_shows_no_certificate() -> None:
    import pty

    ours, theirs = pty.openpty()
    settings = {key: value for key, value in os.environ.items() if not key.startswith("AGORA_")}
    with subprocess.Popen(
        [sys.executable, "-m", "fasttoken", "verify", GOOD, *AT],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=settings,
        start_new_session=True,
    ) as child:
        os.close(theirs)
        seen = b""
        # The space behind a question comes when the echo is off and what was typed is dropped.
        for question, reply in ((b"App ID: ", APP_ID), (b"App Certificate: ", CERTIFICATE)):
            while question not in seen:
                seen += os.read(ours, 1024)
            os.write(ours, reply.encode() + b"\n")
        assert child.stdout is not None
        assert child.stdout.read() == b"accepted\n"
    os.close(ours)
    assert CERTIFICATE.encode() not in seen
