"""``fasttoken bulk``: tokens for every row of files."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import FieldError, JobFailed, JobStopped, RowRejected
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator


SOME_REJECTED, BROKE_OFF = 4, 5
_INPUT, _TOKENS, _COLUMNS, _RUN = "Files", "Tokens", "Columns", "The run"


def _option(*names: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, show_default=False, **more)


def bulk(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, globs, or folders; - for standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        _option("--output", "-o", help="The file to write; - for standard output.", panel=_INPUT),
    ],
    input_format: Annotated[
        str | None,
        _option(
            "--from",
            help="csv, tsv, jsonl, parquet, arrow (IPC file) or arrows (IPC stream); the text "
            "formats and arrows also with .gz or .zst. [default: by name]",
            panel=_INPUT,
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        _option("--to", help="The same for the output. [default: by name]", panel=_INPUT),
    ] = None,
    parts: Annotated[
        int,
        typer.Option(
            "--parts", min=1, help="Write so many files, of about one size.", rich_help_panel=_INPUT
        ),
    ] = 1,
    rejects: Annotated[
        str | None,
        _option(
            "--rejects", help="Write bad rows to this .csv or .jsonl file, with why.", panel=_INPUT
        ),
    ] = None,
    report: Annotated[
        str | None, _option("--report", help="Write a report with charts (HTML).", panel=_INPUT)
    ] = None,
    version: Annotated[
        str, typer.Option("--version", help="007, or 006 for RTC.", rich_help_panel=_TOKENS)
    ] = "007",
    service: Annotated[
        str,
        typer.Option(
            "--service",
            help="What one token is for, such as rtc,rtm: of rtc, rtm, chat, streaming, fcdn, fpa, "
            "convoai, stt.",
            rich_help_panel=_TOKENS,
        ),
    ] = "rtc",
    role: Annotated[
        str,
        typer.Option("--role", help="publisher or subscriber.", rich_help_panel=_TOKENS),
    ] = "publisher",
    expire: Annotated[
        int,
        typer.Option(
            "--expire",
            help="Seconds until a token ends, at most 86400.",
            rich_help_panel=_TOKENS,
        ),
    ] = 3600,
    privilege_expire: Annotated[
        int,
        typer.Option(
            "--privilege-expire",
            help="Seconds until its privileges end; 0: with the token.",
            rich_help_panel=_TOKENS,
        ),
    ] = 0,
    channel: Annotated[
        str | None, _option("--channel", help="The channel name of all rows.", panel=_TOKENS)
    ] = None,
    uid: Annotated[str | None, _option("--uid", help="The uid of all rows.", panel=_TOKENS)] = None,
    account: Annotated[
        str | None, _option("--account", help="The account of all rows.", panel=_TOKENS)
    ] = None,
    user_id: Annotated[
        str | None,
        _option(
            "--user-id",
            help="The user id of all rows in Signaling and Chat. [default: the user]",
            panel=_TOKENS,
        ),
    ] = None,
    issue_at: Annotated[
        str | None,
        _option(
            "--issue-at",
            help="When tokens start: Unix seconds, or 2026-01-31T12:00:00Z. [default: now]",
            panel=_TOKENS,
        ),
    ] = None,
    allow_wildcard: Annotated[
        bool,
        typer.Option(
            "--allow-wildcard",
            help="Mean it where a row has no user, or any channel.",
            rich_help_panel=_TOKENS,
        ),
    ] = False,
    strict_lifetime: Annotated[
        bool,
        typer.Option(
            "--strict-lifetime",
            help="Reject lifetimes above 24 hours.",
            rich_help_panel=_TOKENS,
        ),
    ] = False,
    salt_seed: Annotated[
        int | None,
        _option(
            "--salt-seed",
            help="FOR TESTS ONLY: salts that follow from this number. [default: random]",
            panel=_TOKENS,
        ),
    ] = None,
    channel_column: Annotated[
        str | None, _option("--channel-column", help="Of the channel names.", panel=_COLUMNS)
    ] = None,
    uid_column: Annotated[
        str | None, _option("--uid-column", help="Of the uids, which are numbers.", panel=_COLUMNS)
    ] = None,
    account_column: Annotated[
        str | None, _option("--account-column", help="Of the accounts, any text.", panel=_COLUMNS)
    ] = None,
    user_id_column: Annotated[
        str | None, _option("--user-id-column", help="Of the user ids.", panel=_COLUMNS)
    ] = None,
    role_column: Annotated[
        str | None, _option("--role-column", help="Of the roles.", panel=_COLUMNS)
    ] = None,
    expire_column: Annotated[
        str | None, _option("--expire-column", help="Of the lifetimes.", panel=_COLUMNS)
    ] = None,
    privilege_expire_column: Annotated[
        str | None,
        _option("--privilege-expire-column", help="Of those of the privileges.", panel=_COLUMNS),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Replace the columns token, issued_at and expires_at of the input.",
            rich_help_panel=_COLUMNS,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Try every row, show the plan, write nothing.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    event_start: Annotated[
        str | None,
        _option("--event-start", help="Warn if tokens will have expired by then.", panel=_RUN),
    ] = None,
    event_end: Annotated[
        str | None,
        _option("--event-end", help="Warn if tokens will have expired by then.", panel=_RUN),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run that did not come to its end.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the output, and begin anew.", rich_help_panel=_RUN
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad row.", rich_help_panel=_RUN)
    ] = False,
    threads: Annotated[
        int,
        typer.Option(
            "--threads", min=0, help="Threads that mint; 0: one on each CPU.", rich_help_panel=_RUN
        ),
    ] = 0,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="local, or ray: on a Ray cluster, as docs/cluster.md tells.",
            rich_help_panel=_RUN,
        ),
    ] = "local",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_RUN)
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the summary, or the plan, as JSON.", rich_help_panel=_RUN
        ),
    ] = False,
    env_file: console.EnvFile = None,
) -> None:
    """Mint a token for every row of files.

    Reads CSV, TSV, JSON Lines, Parquet and Arrow IPC; keeps all columns, and adds token, issued_at
    and expires_at. The output has its name only when it is complete; what is interrupted goes on
    with --resume. What a column says of a row counts before what an option says of all.

    Exits with 0 if every row has its token, 4 if some were rejected, 5 if the run broke off, and
    130 if it was interrupted.
    """
    try:
        from .. import bulk as library
        from ..bulk import progress as spoken
    except ImportError as error:
        raise FieldError("bulk", "needs more packages", "pip install 'fasttoken[bulk]'") from error

    columns = {
        "channel_name": channel_column,
        "uid": uid_column,
        "account": account_column,
        "user_id": user_id_column,
        "role": role_column,
        "expire": expire_column,
        "privilege_expire": privilege_expire_column,
    }
    users = {"uid": console.user(uid, account), "account": None}
    if isinstance(users["uid"], str):
        users = {"uid": None, "account": users["uid"]}
    options = library.Options(
        version=cast("Any", version),
        services=tuple(name.strip() for name in service.split(",")),
        columns={field: column for field, column in columns.items() if column is not None},
        channel_name=channel,
        user_id=user_id,
        role=int(role) if role.isdecimal() and len(role) < 9 else role,
        expire=expire,
        privilege_expire=privilege_expire,
        issue_at=None if issue_at is None else console.moment("--issue-at", issue_at),
        salt_seed=salt_seed,
        allow_wildcard=allow_wildcard,
        strict_lifetime=strict_lifetime,
        replace=replace,
        **cast("Any", users),
    )
    job = library.Job(
        inputs=tuple(inputs),
        output=output,
        options=options,
        input_format=input_format,
        output_format=output_format,
        parts=parts,
        rejects=rejects,
        strict=strict,
        threads=threads,
        resume=resume,
        overwrite=overwrite,
        report=report,
        event_start=None if event_start is None else console.moment("--event-start", event_start),
        event_end=None if event_end is None else console.moment("--event-end", event_end),
        engine=cast("Any", engine),
        env_file=None if env_file is None else str(env_file),
    )
    if json and output == "-" and not dry_run:
        raise FieldError("--json", "can't share standard output with the tokens")
    project = console.project(env_file)
    if dry_run:
        plan = library.plan(job, project)
        if json:
            console.in_json(plan.to_data())
        elif not quiet:
            spoken.show_plan(plan)
        raise typer.Exit(SOME_REJECTED if plan.rejected else console.ACCEPTED)
    progress = library.Progress() if quiet else spoken.Spoken(show_rejects=rejects is None)
    try:
        with _stoppable() as (stop, number):
            summary = library.run(job, project, progress, stop)
    except JobStopped as stopped:
        _end(progress, str(stopped))
        raise typer.Exit(128 + number[0]) from None
    except RowRejected as rejected:
        _end(progress, str(rejected))
        raise typer.Exit(SOME_REJECTED) from None
    except JobFailed as failed:
        _end(progress, str(failed))
        raise typer.Exit(BROKE_OFF) from None
    if json:
        console.in_json(summary.to_data())
    raise typer.Exit(SOME_REJECTED if summary.rejected else console.ACCEPTED)


def _end(progress: Any, text: str) -> None:
    if hasattr(progress, "end"):
        progress.end()
    console.line(f"Error: {text}", "red", err=True)


@contextmanager
def _stoppable() -> Iterator[tuple[threading.Event, list[int]]]:
    """An event that the first SIGINT or SIGTERM sets; the second is not held up."""
    stop = threading.Event()
    received = [signal.SIGINT.value]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        received[0] = number
        for each, handler in before.items():
            signal.signal(each, handler)
        stop.set()
        if sys.stderr.isatty():
            console.line("stopping where it can be resumed; again to stop at once", err=True)

    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, ask)
    try:
        yield stop, received
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
