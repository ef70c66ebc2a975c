"""``fasttoken verify``: whether Agora would accept a token."""

from __future__ import annotations

import typer

from . import console


def verify(
    token: console.Token = None,
    channel: console.Channel = None,
    uid: console.Uid = None,
    account: console.Account = None,
    privilege: console.Privilege = None,
    now: console.Now = None,
    leeway: console.Leeway = 0,
    env_file: console.EnvFile = None,
    json: console.Json = False,
) -> None:
    """Verify a token: signature, App ID, times, channel, user and privileges.

    Prints "accepted" or "rejected", and the reasons. Exits with 0 if Agora would accept the token,
    with 1 if not, and with 3 if it can't even be read.
    """
    verdict = console.project(env_file).verify(
        console.token(token),
        channel_name=channel,
        uid=console.user(uid, account),
        privilege=privilege,
        now=console.moment("--now", now),
        leeway=leeway,
    )
    if json:
        console.in_json(verdict.to_data())
    else:
        console.line("accepted" if verdict.ok else "rejected", "green" if verdict.ok else "red")
        console.reason_lines(verdict.reasons)
    raise typer.Exit(console.exit_code(verdict))
