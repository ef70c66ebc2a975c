"""fasttoken migrate: what it rewrites, what it leaves alone, and that the new code does the same.

The sample project in tests/migrate/before becomes tests/migrate/after, and is run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path
from textwrap import dedent, indent

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fasttoken import Project, TokenWarning, parse
from fasttoken.cli.migrate import migrate as migrate_command
from fasttoken.migrate import migrate_path, migrate_source, python_files, write
from fasttoken.services import Rtc, Rtm

HERE = Path(__file__).parent / "migrate"
APP_ID = "970ca35de60c44645bbae8a215061b33"
CERTIFICATE = "5cfd2fd1755d40ecb72977518be15d3b"
NOW = 1_700_000_000
DAY = 86_400


def migrated(text, **kwargs):
    return migrate_source(dedent(text).encode(), **kwargs)


def command(*arguments):
    app = typer.Typer()
    app.command()(migrate_command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def claims_of(token):
    """The claims of a 007 token that the test project signed."""
    assert Project(APP_ID, CERTIFICATE).verify_signature(token) == "primary"
    return parse(token).claims


def facts(token):
    """What a 007 token grants: channel, uid, privileges, lifetime."""
    claims = claims_of(token)
    (service,) = claims.services
    if isinstance(service, Rtm):
        assert dict(service.privileges) == {1: claims.expire}
        return service.user_id, claims.expire
    assert isinstance(service, Rtc)
    assert set(service.privileges.values()) == {0}  # as long as the token
    return service.channel_name, service.uid, sorted(service.privileges), claims.expire


# The sample project ---------------------------------------------------------------------------


@pytest.fixture
def sample(tmp_path):
    """The sample project, migrated by the command."""
    folder = tmp_path / "sample"
    shutil.copytree(HERE / "before", folder)
    result = command("--write", folder)
    assert result.exit_code == 0, result.output
    return folder


def load(path, monkeypatch):
    monkeypatch.setenv("AGORA_APP_ID", APP_ID)
    monkeypatch.setenv("AGORA_APP_CERTIFICATE", CERTIFICATE)
    spec = importlib.util.spec_from_file_location(f"sample_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_becomes_what_stands_in_after(sample):
    for expected in python_files(HERE / "after"):
        assert (sample / expected.name).read_text() == expected.read_text()


def test_the_flask_views_mint(sample, monkeypatch):
    client = load(sample / "web.py", monkeypatch).app.test_client()
    host = client.get("/rtc?channel=lobby&uid=7&host=yes").get_json()
    assert facts(host["token"]) == ("lobby", 7, [1, 2, 3, 4], 7200)
    guest = client.get("/rtc?channel=lobby").get_json()
    assert facts(guest["token"]) == ("lobby", 0, [1], 7200)
    assert facts(client.get("/rtm?user=ann").get_json()["token"]) == ("ann", 600)


@pytest.mark.parametrize("channel", ["", "*"])
def test_the_flask_view_mints_no_token_for_every_channel(sample, monkeypatch, channel):
    app = load(sample / "web.py", monkeypatch).app
    app.testing = True  # errors come through
    with pytest.raises(ValueError, match="allow_wildcard"):
        app.test_client().get("/rtc", query_string={"channel": channel, "uid": "0"})


def test_the_django_helper_mints(sample, monkeypatch):
    from django.conf import settings as django_settings

    options = {"AGORA_APP_ID": APP_ID, "AGORA_CERTIFICATE": CERTIFICATE, "LESSON_SECONDS": 2700}
    if not django_settings.configured:
        django_settings.configure()
    for name, value in options.items():
        monkeypatch.setattr(django_settings, name, value, raising=False)
    helpers = load(sample / "helpers.py", monkeypatch)
    assert facts(helpers.lesson_token(5, "mrs-bell", True)) == (
        "lesson-5", "mrs-bell", [1, 2, 3, 4], 2700,
    )  # fmt: skip
    assert facts(helpers.lesson_token(5, "tim", False)) == ("lesson-5", "tim", [1], 2700)
    assert facts(helpers.guest_token(5)) == ("lesson-5", 0, [1], DAY)


def test_the_script_prints_a_token(sample):
    environ = {**os.environ, "AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": CERTIFICATE}
    run = [sys.executable, str(sample / "script.py"), "42"]
    token = subprocess.run(run, env=environ, capture_output=True, text=True, check=True).stdout
    assert facts(token.strip()) == ("test room", 42, [1, 2, 3, 4], 3600)


# Before and after -----------------------------------------------------------------------------

HEAD = "from agora_token_builder import RtcTokenBuilder\n"
NEW_HEAD = "from fasttoken import Project\n"
RTC = "RtcTokenBuilder.buildTokenWithUid"


def case(name, before, after):
    return pytest.param(dedent(before), dedent(after), id=name)


def call(expiry="int(time.time()) + 3600", role="1", uid="7", channel='"lobby"'):
    """A module with one call, and its line 3."""
    return f"import time\n{HEAD}t = {RTC}(A, C, {channel}, {uid}, {role}, {expiry})\n"


def called(expire="3600", role='"publisher"', uid="7", channel='"lobby"', more=""):
    return (
        f"{NEW_HEAD}t = Project(A, C).rtc_token({channel}, {uid}, {role}, expire={expire}{more})\n"
    )


def imported(line, callee):
    """A call with another import."""
    before = (
        f"import time\n{line}\nt = {callee}.buildTokenWithUid(A, C, 'x', 7, 1, time.time() + 60)\n"
    )
    return before, f"{NEW_HEAD}t = Project(A, C).rtc_token('x', 7, \"publisher\", expire=60)\n"


def expiring(prelude, expiry, expire, kept="", head="import time\n"):
    """A call in a function, with lines before it; those in ``kept`` stay."""
    before = f"{head}{HEAD}def f(ttl):\n{indent(dedent(prelude), '    ')}"
    before += f"    return {RTC}(A, C, 'x', 7, 2, {expiry})\n"
    after = f"{NEW_HEAD}def f(ttl):\n{indent(dedent(kept), '    ')}"
    after += f"    return Project(A, C).rtc_token('x', 7, \"subscriber\", expire={expire})\n"
    return before, after


DATETIME = "import datetime\n"
CASES = [
    case("positional", call(), called()),
    case("the constant 0", call("0").replace("import time\n", ""), called("86400")),
    case("longer than a day", call("time.time() + 7 * 86400"), called("86400")),
    case("a float", call("time.time() + 60.0"), called("60")),
    case("a sum", call("time.time() + 60 * 60 + 30"), called("60 * 60 + 30")),
    case("the clock last", call("3600 + int(time.time())"), called("3600")),
    case("cut at the end", call("int(time.time() + 3600)"), called("3600")),
    case("parentheses", call("(int(time.time()) + (3600))"), called("3600")),
    case("a choice", call("time.time() + (9 if x else 5)"), called("int(9 if x else 5)")),
    case("a walrus", call("int(time.time()) + (n := 5)"), called("(n := 5)")),
    case(
        "a decorator",
        f"import time\n{HEAD}@d({RTC}(A, C, 'x', 7, 1, time.time() + 9))\ndef f(): pass\n",
        f"{NEW_HEAD}@d(Project(A, C).rtc_token('x', 7, \"publisher\", expire=9))\ndef f(): pass\n",
    ),
    case(
        "one line",
        f"import time\n{HEAD}if x: now = time.time(); t = {RTC}(A, C, 'x', 7, 1, now + 9)\n",
        f"{NEW_HEAD}if x: t = Project(A, C).rtc_token('x', 7, \"publisher\", expire=9)\n",
    ),
    case(
        "an import of which some stays",
        f"from agora_token_builder import (\n    RtcTokenBuilder,\n    RtmTokenBuilder,\n)\n"
        f"t = {RTC}(A, C, 'x', 7, 1, 0)\nu = RtmTokenBuilder.buildToken(*x)\n",
        "from agora_token_builder import (\n    RtmTokenBuilder,\n)\n"
        f"{called('86400', channel=repr('x'))}u = RtmTokenBuilder.buildToken(*x)\n",
    ),
    case("less some seconds", call("int(time.time()) + 3600 - 30"), called("3600 - 30")),
    *(
        case(f"role {role}", call(role=role), called(role=f'"{name}"'))
        for role, name in [
            ("0", "publisher"),
            ("1", "publisher"),
            ("101", "publisher"),
            ("2", "subscriber"),
        ]
    ),
    case(
        "role by choice",
        call(role="1 if host else 2"),
        called(role='"publisher" if host else "subscriber"'),
    ),
    case("uid 0", call(uid="0"), called(uid="0", more=", allow_wildcard=True")),
    case("empty uid", call(uid="''"), called(uid="''", more=", allow_wildcard=True")),
    case(
        "uid 0, channel known at run time",
        call(uid="0", channel="r.id"),
        called(uid="0", channel="r.id", more=', allow_wildcard=r.id not in ("", "*")'),
    ),
    case(
        "uid 0, channel with a fixed part",
        call(uid="0", channel="'room-' + name"),
        called(uid="0", channel="'room-' + name", more=", allow_wildcard=True"),
    ),
    case("any channel", call(channel="'*'"), called(channel="'*'", more=", allow_wildcard=True")),
    case("module", *imported("import agora_token_builder", "agora_token_builder.RtcTokenBuilder")),
    case("alias", *imported("from agora_token_builder import RtcTokenBuilder as R", "R")),
    case(
        "module path",
        *imported(
            "from agora_token_builder.RtcTokenBuilder import RtcTokenBuilder", "RtcTokenBuilder"
        ),
    ),
    case(
        "dotted",
        *imported(
            "import agora_token_builder.RtcTokenBuilder",
            "agora_token_builder.RtcTokenBuilder.RtcTokenBuilder",
        ),
    ),
    case("agoraiotools", *imported("from agoraiotools import RtcTokenBuilder", "RtcTokenBuilder")),
    case("copy", *imported("from src.RtcTokenBuilder import RtcTokenBuilder", "RtcTokenBuilder")),
    case("copy, bare", *imported("from RtcTokenBuilder import RtcTokenBuilder", "RtcTokenBuilder")),
    case(
        "copy, its module",
        *imported("from src import RtcTokenBuilder", "RtcTokenBuilder.RtcTokenBuilder"),
    ),
    case(
        "copy, relative", *imported("from ..src.RtcTokenBuilder import RtcTokenBuilder as B", "B")
    ),
    case("copy, sibling", *imported("from . import RtcTokenBuilder as m", "m.RtcTokenBuilder")),
    case(
        "constants",
        """\
        from src.RtcTokenBuilder import RtcTokenBuilder, Role_Publisher, Role_Subscriber as audience
        a = RtcTokenBuilder.buildTokenWithAccount(A, C, "x", "ann", Role_Publisher, 0)
        b = RtcTokenBuilder.buildTokenWithAccount(A, C, "x", "bob", audience, 0)
        """,
        """\
        from fasttoken import Project
        a = Project(A, C).rtc_token("x", "ann", "publisher", expire=86400)
        b = Project(A, C).rtc_token("x", "bob", "subscriber", expire=86400)
        """,
    ),
    case(
        "RTM",
        """\
        import os, time
        from agora_token_builder import RtmTokenBuilder
        from src.RtmTokenBuilder import Role_Rtm_User
        t = RtmTokenBuilder.buildToken(A, C, "ann", Role_Rtm_User, time.time() + 60)
        """,
        """\
        import os
        from fasttoken import Project
        t = Project(A, C).rtm_token("ann", expire=60)
        """,
    ),
    case(
        "keywords in any order",
        """\
        from time import time
        from agora_token_builder import RtcTokenBuilder
        t = RtcTokenBuilder.buildTokenWithAccount(
            A, privilegeExpiredTs=int(time()) + n, role=2, account=w, channelName=x,appCertificate=C
        )
        """,
        """\
        from fasttoken import Project
        t = Project(A, C).rtc_token(
            expire=n, role="subscriber", uid=w, channel_name=x
        )
        """,
    ),
    case("clock and sum", *expiring("now = int(time.time())\nend = now + 60\n", "end", "60")),
    case("duration by name", *expiring("end = int(time.time()) + ttl\n", "end", "ttl")),
    case("duration not cut", *expiring("end = time.time() + ttl\n", "end", "int(ttl)")),
    case("a fraction", *expiring("end = int(time.time()) + ttl / 2\n", "end", "int(ttl / 2)")),
    case(
        "duration kept",
        *expiring(
            "ttl = ttl or 60\nend = int(time.time()) + ttl\n",
            "end",
            "ttl",
            kept="ttl = ttl or 60\n",
        ),
    ),
    case(
        "clock used elsewhere",
        f"import time\n{HEAD}now = int(time.time())\nprint(now)\n"
        f"t = {RTC}(A, C, 'x', 7, 1, now + 9)\n",
        f"import time\n{NEW_HEAD}now = int(time.time())\nprint(now)\n"
        "t = Project(A, C).rtc_token('x', 7, \"publisher\", expire=9)\n",
    ),
    case(
        "gmtime",
        *expiring("", "calendar.timegm(time.gmtime()) + 60", "60", "", "import calendar, time\n"),
    ),
    case(
        "datetime",
        *expiring("", "int(datetime.datetime.now().timestamp()) + 60", "60", "", DATETIME),
    ),
    case(
        "aware, plus a timedelta",
        *expiring(
            "end = datetime.now(timezone.utc) + timedelta(hours=1, minutes=5)\n",
            "int(end.timestamp())",
            "3900",
            "",
            "from datetime import datetime, timedelta, timezone\n",
        ),
    ),
    case(
        "a timedelta by name",
        *expiring(
            "end = datetime.datetime.now(datetime.timezone.utc) + ttl\n",
            "end.timestamp()",
            "int(ttl.total_seconds())",
            "",
            DATETIME,
        ),
    ),
    case(
        "comments and blank lines stay",
        """\
        import time  # the clock
        from agora_token_builder import RtcTokenBuilder  # the builder

        def f():
            # when is it
            now = int(time.time())  # now

            # when it ends
            end = now + 60
            # the role
            role = 0  # a host
            return RtcTokenBuilder.buildTokenWithUid(
                A,  # the App ID
                C,
                "x",  # the room
                7,

                role,
                end,  # soon
            )  # done
        """,
        """\
        from fasttoken import Project  # the builder

        def f():
            # when is it

            # when it ends
            # the role
            role = "publisher"  # a host
            # the App ID
            return Project(A, C).rtc_token(
                "x",  # the room
                7,

                role,
                expire=60,  # soon
            )  # done
        """,
    ),
    case(
        "an import in a function; Project is taken",
        """\
        from models import Project
        def f():
            from agora_token_builder import RtcTokenBuilder
            return RtcTokenBuilder.buildTokenWithUid(A, C, "x", 7, 1, 0)
        """,
        """\
        from models import Project
        def f():
            from fasttoken import Project as AgoraProject
            return AgoraProject(A, C).rtc_token("x", 7, "publisher", expire=86400)
        """,
    ),
    case(
        "Project is there already",
        """\
        from fasttoken import Project
        from agora_token_builder import RtcTokenBuilder
        t = RtcTokenBuilder.buildTokenWithUid(A, C, "x", 7, 1, 0)
        """,
        """\
        from fasttoken import Project
        t = Project(A, C).rtc_token("x", 7, "publisher", expire=86400)
        """,
    ),
    case(
        "Project was there and is something else now",
        """\
        from fasttoken import Project
        from agora_token_builder import RtcTokenBuilder
        t = RtcTokenBuilder.buildTokenWithUid(A, C, "x", 7, 1, 0)
        Project = None
        """,
        """\
        from fasttoken import Project
        from fasttoken import Project as AgoraProject
        t = AgoraProject(A, C).rtc_token("x", 7, "publisher", expire=86400)
        Project = None
        """,
    ),
    case(
        "what does something stays, used or not",
        """\
        from agora_token_builder import RtmTokenBuilder
        role = g()
        t = RtmTokenBuilder.buildToken(A, C, "ann", role, 0)
        """,
        """\
        from fasttoken import Project
        role = g()
        t = Project(A, C).rtm_token("ann", expire=86400)
        """,
    ),
    case(
        "AccessToken",
        """\
        import time
        from conf import A, C
        from src.AccessToken import AccessToken, kJoinChannel, kRtmLogin
        def f(ttl):
            # a token
            key = AccessToken(A, C, channelName="x", uid=7)
            key.addPrivilege(kJoinChannel, int(time.time()) + ttl)
            key.addPrivilege(2, int(time.time()) + ttl)
            key.addPrivilege(3, int(time.time()) + ttl)
            key.addPrivilege(4, int(time.time()) + ttl)
            return key.build()
        def g(user):
            key = AccessToken(A, C, user, "")
            key.addPrivilege(kRtmLogin, 0)
            return key.build()
        """,
        """\
        from conf import A, C
        from fasttoken import Project
        def f(ttl):
            # a token
            return Project(A, C).rtc_token("x", 7, "publisher", expire=ttl)
        def g(user):
            return Project(A, C).rtm_token(user, expire=86400)
        """,
    ),
    case(
        "continuation lines",
        """\
        from agora_token_builder import RtcTokenBuilder
        t = RtcTokenBuilder.buildTokenWithUid(A, C, "x",
                                              7, 1,
                                              0)
        """,
        """\
        from fasttoken import Project
        t = Project(A, C).rtc_token("x",
                                    7, "publisher",
                                    expire=86400)
        """,
    ),
    case(
        "a constant role with other uses",
        "ROLE = 101\n" + call("0", role="ROLE").replace("import time\n", "") + "print(ROLE)\n",
        "ROLE = 101\n" + called("86400") + "print(ROLE)\n",
    ),
    case(
        "roles 1 and 2 with other uses",
        call("0", role="role").replace("import time\n", "role = 1 if x else 2\n") + "print(role)\n",
        "role = 1 if x else 2\n" + called("86400", role="role") + "print(role)\n",
    ),
    case(
        "an annotated role",
        "role: int = 0\n" + call("0", role="role").replace("import time\n", ""),
        called("86400"),
    ),
    case(
        "some calls are left",
        """\
        from agora_token_builder import RtcTokenBuilder, RtmTokenBuilder
        def f(end):
            a = RtmTokenBuilder.buildToken(A, C, "x", 1, 0); b = 5
            return a, RtcTokenBuilder.buildTokenWithUid(A, C, "x", 7, 1, end)
        """,
        """\
        from agora_token_builder import RtcTokenBuilder
        from fasttoken import Project
        def f(end):
            a = Project(A, C).rtm_token("x", expire=86400); b = 5
            return a, RtcTokenBuilder.buildTokenWithUid(A, C, "x", 7, 1, end)
        """,
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_rewrites(before, after):
    assert migrate_source(before.encode()).after.decode() == after


@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_second_time_changes_nothing(before, after):
    again = migrate_source(after.encode())
    assert not again.changed
    assert again.left_alone == migrate_source(after.encode()).left_alone


def test_a_wildcard_that_is_new_is_noted():
    (note,) = migrate_source(call(channel="'*'").encode()).notes
    assert note == (3, "a wildcard: the 007 token is good for any channel, the 006 token was not")


def test_a_certificate_in_the_source_is_noted_and_not_shown():
    source = f'CERT = "{CERTIFICATE}"\n' + call().replace("(A, C,", "(A, CERT,")
    migration = migrate_source(source.encode())
    assert [note.line for note in migration.notes] == [4]
    assert "App Certificate" in migration.notes[0].text
    assert CERTIFICATE not in repr((migration.notes, migration.rewritten, migration.left_alone))


def test_rewritten_calls_are_listed():
    assert migrate_source(call().encode()).rewritten == (
        (3, "RtcTokenBuilder.buildTokenWithUid", "rtc_token"),
    )


# Left alone -----------------------------------------------------------------------------------


def within(prelude, expiry="end", role="1"):
    """A function around a call; its first line is the third of the file."""
    body = indent(dedent(prelude), "    ")
    last = f"    return {RTC}(A, C, 'x', 7, {role}, {expiry})\n"
    return f"import time\n{HEAD}def f(ttl):\n{body}{last}"


def access_token(lines, build="k.build()"):
    """A module that makes an AccessToken on its line 4."""
    head = "import time\nfrom src.AccessToken import AccessToken\nA, C = conf\n"
    return f"{head}k = AccessToken(A, C, 'x', 7)\n{lines}\nt = {build}\n"


NOT_CLOCK = "is not known to be the current time plus a duration"
LEFT = {
    "a parameter": (
        within("", "ttl"),
        (4, "expiry", "`ttl` is a parameter: only its callers know if it is the clock plus a "
        "duration"),
    ),
    "assigned in a comprehension": (
        within("end = time.time() + 60\nx = [(end := 5) for _ in y]\n"),
        (6, "expiry", "what `end` holds can't be followed"),
    ),
    "assigned by a match": (
        within("end = time.time() + 60\nmatch ttl:\n    case [end]: pass\n"),
        (7, "expiry", "what `end` holds can't be followed"),
    ),
    "assigned from within": (
        within("end = time.time() + 60\ndef g():\n    nonlocal end\n    end = 3\ng()\n"),
        (9, "expiry", "`end` is assigned more than once (lines 4, 7)"),
    ),
    "used in a string": (
        within("end = time.time() + 60\nlog(f'{end}')\n"),
        (6, "expiry", "`end` is also used on line 5, where it has to stay a timestamp"),
    ),
    "another clock": (
        f"import time\n{HEAD}time = mine\nt = {RTC}(A, C, 'x', 7, 1, time.time() + 60)\n",
        (4, "expiry", f"`time.time() + 60` {NOT_CLOCK}"),
    ),
    "assigned twice": (
        within("end = int(time.time())\nend = end + 60\n"),
        (6, "expiry", "`end` is assigned more than once (lines 4, 5)"),
    ),
    "other use": (
        within("end = int(time.time()) + 60\nprint(end)\n"),
        (6, "expiry", "`end` is also used on line 5, where it has to stay a timestamp"),
    ),
    "at import": (
        f"import time\n{HEAD}end = time.time() + 60\n"
        f"def f():\n    return {RTC}(A, C, 'x', 7, 1, end)\n",
        (5, "expiry", "`end` is computed outside this function or comprehension (line 3), at "
        "another time than the token is built"),
    ),
    "a class attribute": (
        f"import time\n{HEAD}class K:\n    end = time.time() + 60\n"
        f"    t = {RTC}(A, C, 'x', 7, 1, end)\n",
        (5, "expiry", "`end` is computed outside this function or comprehension (line 4), at "
        "another time than the token is built"),
    ),
    "in a loop": (
        f"import time\n{HEAD}end = time.time() + 60\n"
        f"for u in us:\n    t = {RTC}(A, C, 'x', u, 1, end)\n",
        (5, "expiry", "`end` is computed once (line 3), and this call is in a loop"),
    ),
    "on some ways": (
        within("if ttl:\n    end = time.time() + 60\n"),
        (6, "expiry", "`end` is assigned (line 5) on some ways to this call only"),
    ),
    "after a sleep": (
        within("end = time.time() + 60\ntime.sleep(5)\n"),
        (6, "expiry", "the program may wait (line 5) after `end` was computed (line 4)"),
    ),
    "after an await": (
        within("end = time.time() + 60\nawait g()\n").replace("def f", "async def f"),
        (6, "expiry", "the program may wait (line 5) after `end` was computed (line 4)"),
    ),
    "waits for the duration": (
        within("", "time.time() + (yield)"),
        (4, "expiry", "the program may wait (line 4) after `time.time() + (yield)` was read"),
    ),
    "waits for another argument": (
        f"import time\n{HEAD}async def f():\n    return {RTC}(A, C, role=1, channelName='x', "
        "privilegeExpiredTs=time.time() + 9,\n        uid=await u())\n",
        (4, "expiry", "the program may wait (line 5) after `time.time() + 9` was read"),
    ),
    "the duration changes": (
        within("end = int(time.time()) + ttl\nttl = 9\n"),
        (6, "expiry", "`ttl` (line 4) may have another value at this call"),
    ),
    "the duration is called for": (
        within("end = int(time.time()) + g()\n"),
        (5, "expiry", "`g()` (line 4) may have another value at this call"),
    ),
    "reachable through locals()": (
        within("end = int(time.time()) + 60\nlog(locals())\n"),
        (6, "expiry", "what `end` holds can't be followed"),
    ),
    "a fixed time": (
        call("1893456000"),
        (3, "expiry", "`1893456000` is a fixed point in time, not the clock plus a duration"),
    ),
    "the clock alone": (
        call("int(time.time())"),
        (3, "expiry", "`int(time.time())` is the current time: the token expires at once"),
    ),
    "over already": (
        call("time.time() - 5"),
        (3, "expiry", "`time.time() - 5` has passed when the token is built"),
    ),
    "no duration": (
        call("int(time.time()) + 0"),
        (3, "expiry", "`int(time.time()) + 0` has passed when the token is built"),
    ),
    "the duration's object changes": (
        within("end = int(time.time()) + ttl.seconds\nttl.seconds = 5\n"),
        (6, "expiry", "`ttl.seconds` (line 4) may have another value at this call"),
    ),
    "local time taken for UTC": (
        call("calendar.timegm(datetime.now().timetuple()) + 5").replace(
            "import time", "import calendar; from datetime import datetime"
        ),
        (3, "expiry", f"`calendar.timegm(datetime.now().timetuple())` {NOT_CLOCK}"),
    ),
    "last time round": (
        f"import time\n{HEAD}while x:\n    t = {RTC}(A, C, 'x', 7, 1, end)\n"
        "    end = time.time() + 60\n",
        (4, "expiry", "`end` is assigned after this call (line 5)"),
    ),
    "an attribute": (call("self.end"), (3, "expiry", f"`self.end` {NOT_CLOCK}")),
    "an unknown function": (call("soon()"), (3, "expiry", f"`soon()` {NOT_CLOCK}")),
    "a product": (call("time.time() * 2"), (3, "expiry", f"`time.time() * 2` {NOT_CLOCK}")),
    "two clocks": (
        call("time.time() + time.time()"),
        (3, "expiry", f"`time.time() + time.time()` {NOT_CLOCK}"),
    ),
    "UTC taken for local time": (
        call("datetime.datetime.utcnow().timestamp() + 60").replace("time\n", "datetime\n", 1),
        (3, "expiry", "`datetime.datetime.utcnow().timestamp()` takes a UTC time for a local one, "
        "and is off by the time zone"),
    ),
    "summer time": (
        call("(datetime.now() + timedelta(hours=1)).timestamp()").replace(
            "import time", "from datetime import datetime, timedelta"
        ),
        (3, "expiry", "`(datetime.now() + timedelta(hours=1))` is local time: it is off by an hour "
        "where the clocks change"),
    ),
    "unknown role": (
        call(role="role_of(user)"),
        (3, "role", '`role_of(user)` is not a known role: pass "publisher" or "subscriber"'),
    ),
    "role 3": (
        call(role="3"),
        (3, "role", '`3` is not a known role: pass "publisher" or "subscriber"'),
    ),
    "role with a second life": (
        within("role = 0\nif ttl:\n    role = 2\nprint(role)\n", "0", "role"),
        (8, "role", "`role` is used elsewhere, too (line 7)"),
    ),
    "stars": (
        HEAD + f"t = {RTC}(*args)\n",
        (2, "arguments", "*arguments can't be followed"),
    ),
    "too few": (
        HEAD + f"t = {RTC}(A, C, 'x', 7, 1)\n",
        (2, "arguments", "buildTokenWithUid is called without expire"),
    ),
    "too many": (
        HEAD + f"t = {RTC}(A, C, 'x', 7, 1, 0, 0)\n",
        (2, "arguments", "buildTokenWithUid takes 6 arguments, not 7"),
    ),
    "no such parameter": (
        HEAD + f"t = {RTC}(A, C, 'x', 7, 1, expire=0)\n",
        (2, "arguments", "buildTokenWithUid has no parameter expire"),
    ),
    "order of evaluation": (
        HEAD + f"t = {RTC}(channelName=g(), appId=h(), appCertificate=C, uid=7, role=1, "
        "privilegeExpiredTs=0)\n",
        (2, "arguments", "the arguments would be evaluated in another order"),
    ),
    "any user, any channel": (
        HEAD + f"t = {RTC}(A, C, args['c'], 0, 1, 0)\n",
        (2, "wildcard", "the uid may be any user's, and `args['c']` must not become any channel: "
        "assign it to a name first"),
    ),
    "any user, any text for a channel": (
        HEAD + f"t = {RTC}(A, C, f'{{name}}', 0, 1, 0)\n",
        (2, "wildcard", "the uid may be any user's, and `f'{name}'` must not become any channel: "
        "assign it to a name first"),
    ),
    "an RTM role that does something": (
        "from agora_token_builder import RtmTokenBuilder\n"
        "t = RtmTokenBuilder.buildToken(A, C, 'ann', g(), 0)\n",
        (2, "role", "`g()` is called for its role, which RTM ignores"),
    ),
    "somebody else's": (
        f"from mylib import RtcTokenBuilder\nt = {RTC}(A, C, 'x', 7, 1, 0)\n",
        (2, "origin", "`RtcTokenBuilder` comes from mylib, which is not known to be AgoraIO's"),
    ),
    "or nothing": (
        f"try:\n    {HEAD}except ImportError:\n    RtcTokenBuilder = None\n"
        f"t = {RTC}(A, C, 'x', 7, 1, 0)\n",
        (5, "origin", "`RtcTokenBuilder` is bound more than once (lines 2, 4)"),
    ),
    "not called": (
        HEAD + "build = RtcTokenBuilder.buildTokenWithUid\n",
        (2, "use", "`RtcTokenBuilder` is used here other than in a call of a known builder"),
    ),
    "not used": (
        HEAD,
        (1, "import", "the import of RtcTokenBuilder stays: nothing in this file uses it"),
    ),
    "AccessToken of two times": (
        "from src.AccessToken import AccessToken\nA, C = conf\nk = AccessToken(A, C, 'x', 7)\n"
        "k.addPrivilege(1, 0)\nk.addPrivilege(1000, 0)\nt = k.build()\n",
        (3, "privileges", "no role grants exactly the privileges 1, 1000: use Project.token with "
        "an Rtc service"),
    ),
    "AccessToken, two expiries": (
        access_token("k.addPrivilege(1, 0)\nk.addPrivilege(1, int(time.time()) + 60)"),
        (4, "expiry", "the privileges expire at different times: `86400`, `60`"),
    ),
    "AccessToken, RTM with a uid": (
        access_token("k.addPrivilege(1000, 0)"),
        (4, "privileges", "an RTM token has an empty uid, and this one may have another"),
    ),
    "AccessToken, put together slowly": (
        access_token("k.addPrivilege(1, 0)\ntime.sleep(5)"),
        (4, "privileges", "the program may wait while `k` is put together"),
    ),
    "AccessToken, built some time": (
        access_token("k.addPrivilege(1, 0)", "lambda: k.build()"),
        (4, "privileges", "`k` is not built in the block it was made in"),
    ),
    "AccessToken with a salt": (
        "from src.AccessToken import AccessToken\nk = AccessToken(A, C, 'x', 7)\nk.salt = 1\n"
        "k.addPrivilege(1, 0)\nt = k.build()\n",
        (2, "privileges", "`k` is used in another way, too (line 3)"),
    ),
    "AccessToken, perhaps a privilege": (
        "from src.AccessToken import AccessToken\nk = AccessToken(A, C, 'x', 7)\n"
        "k.addPrivilege(1, 0)\nif host:\n    k.addPrivilege(2, 0)\nt = k.build()\n",
        (2, "privileges", "not every addPrivilege is always called (line 5)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), LEFT.values(), ids=LEFT)
def test_leaves_alone(source, expected):
    migration = migrate_source(source.encode())
    assert migration.left_alone == (expected,)
    assert not migration.changed


def test_star_imports_are_reported_with_their_calls():
    source = f"from src.RtcTokenBuilder import *\nt = {RTC}(A, C, 'x', 7, Role_Publisher, 0)\n"
    assert migrate_source(source.encode()).left_alone == (
        (1, "import", "`from src.RtcTokenBuilder import *`: import the names instead"),
        (2, "origin", "where `RtcTokenBuilder` comes from can't be followed"),
    )


def test_a_shared_expiry_stays_when_one_call_does():
    """A call that can't be rewritten keeps the timestamp, and so the other call needs it, too."""
    source = within(f"end = time.time() + 60\na = {RTC}(A, C, 'x', 8, role_of(ttl), end)\n")
    migration = migrate_source(source.encode())
    assert not migration.changed
    assert [(left.line, left.code) for left in migration.left_alone] == [(5, "role"), (6, "expiry")]


def test_a_hand_copy_of_the_library_is_noted_and_not_touched():
    copy = (
        HEAD
        + "class RtcTokenBuilder:\n    def buildTokenWithUid(a):\n        return AccessToken(a)\n"
    )
    migration = migrate_source(copy.encode())
    assert (migration.changed, migration.left_alone) == (False, ())
    assert migration.notes == (
        (2, "a copy of AgoraIO's RtcTokenBuilder: delete it when nothing imports it any more"),
    )


def test_other_access_tokens_are_nobodys_business():
    source = "from twilio.jwt.access_token import AccessToken\nt = AccessToken(a, b, c)\n"
    assert migrate_source(source.encode()).left_alone == ()


# The same tokens -------------------------------------------------------------------------------


class Clock(types.SimpleNamespace):
    """A clock that moves only when the program sleeps."""

    def __init__(self):
        self.now = NOW + 0.75

    def sleep(self, seconds):
        self.now += seconds


class OldBuilder:
    """Stands in for AgoraIO's builders: what a 006 token grants, in the terms of `facts`."""

    clock = Clock()

    @classmethod
    def buildTokenWithUid(cls, appId, appCertificate, channelName, uid, role, privilegeExpiredTs):
        assert (appId, appCertificate) == (APP_ID, CERTIFICATE)
        expires = int(privilegeExpiredTs)
        lifetime = min(expires - int(cls.clock.now), DAY) if expires else DAY
        uid = int(uid) if str(uid).isdigit() and uid != "0" else uid
        privileges = [1, 2, 3, 4] if role in (0, 1, 101) else [1]
        return channelName, uid, privileges, lifetime

    @classmethod
    def buildTokenWithAccount(cls, appId, appCertificate, channelName, account, role, expires):
        return cls.buildTokenWithUid(appId, appCertificate, channelName, account, role, expires)

    @classmethod
    def buildToken(cls, appId, appCertificate, userAccount, role, privilegeExpiredTs):
        old = cls.buildTokenWithUid(appId, appCertificate, userAccount, 1, 1, privilegeExpiredTs)
        return userAccount, old[3]


def old_module():
    module = types.ModuleType("agora_token_builder")
    module.RtcTokenBuilder = module.RtmTokenBuilder = OldBuilder
    inner = types.ModuleType("agora_token_builder.RtcTokenBuilder")
    inner.RtcTokenBuilder = OldBuilder
    constants = {"Attendee": 0, "Publisher": 1, "Subscriber": 2, "Admin": 101}
    for name, number in constants.items():
        setattr(inner, f"Role_{name}", number)
    return {module.__name__: module, inner.__name__: inner}


def run(source, *arguments):
    """The tokens that ``f`` of a module appends to ``out``, as facts, and what it logs."""
    clock, out, logged = Clock(), [], []
    OldBuilder.clock = clock
    names = {"A": APP_ID, "C": CERTIFICATE, "out": out, "log": logged.append}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", TokenWarning)  # of more than a day, which Agora cuts
        patch.setattr(time, "time", lambda: clock.now)
        patch.setattr(time, "sleep", clock.sleep)
        for name, module in old_module().items():
            patch.setitem(sys.modules, name, module)
        exec(compile(source, "program", "exec"), names)
        names["f"](*arguments)
    tokens = [facts(token) if isinstance(token, str) else token for token in out]
    return [(*granted, min(lifetime, DAY)) for *granted, lifetime in tokens], logged


channels = st.sampled_from(['"lobby"', "channel", 'f"room-{channel}"'])
uids = st.sampled_from(["7", "0", "uid", "str(uid)", '"ann"', "uid or 0"])
roles = st.sampled_from([
    ("", "0"), ("", "1"), ("", "2"), ("", "101"), ("", "Role_Subscriber"), ("", "Role_Admin"),
    ("", "1 if host else 2"), ("", "(Role_Publisher if host else Role_Attendee)"),
    ("role = 101\n", "role"), ("role = 0 if host else Role_Subscriber\n", "role"),
    ("if host:\n    role = Role_Admin\nelse:\n    role = 2\n", "role"),
])  # fmt: skip
expiries = st.sampled_from([
    ("", "0"), ("", "int(time.time()) + 3600"), ("", "time.time() + uid"),
    ("", "uid + time.time()"),
    ("", "int(time.time() + 60 * 60)"), ("", "int(time.time()) + (uid or 5)"),
    ("", "time.time() + 90000"), ("", "int(time.time()) + uid / 2 + 1.5"),
    ("end = time.time() + uid\n", "end"), ("now = int(time.time())\n", "now + uid"),
    ("now = time.time()\nspan = 600\nend = int(now) + span\n", "end"),
    ("end = int(time.time()) + uid * 2\n", "int(end)"),
])  # fmt: skip
KEYS = ["appId", "appCertificate", "channelName", "uid", "role", "privilegeExpiredTs"]


@st.composite
def calls(draw):
    """A call of buildTokenWithUid in any form that can be migrated."""
    (role_lines, role), (expiry_lines, expiry) = draw(roles), draw(expiries)
    values = dict(zip(KEYS, ["A", "C", draw(channels), draw(uids), role, expiry], strict=True))
    first = draw(st.integers(0, len(KEYS)))
    named = draw(st.permutations(KEYS[first:]))
    arguments = [values[key] for key in KEYS[:first]] + [f"{key}={values[key]}" for key in named]
    comma = draw(st.sampled_from([", ", ",\n        ", ",  # why\n        "]))
    start, end = draw(
        st.sampled_from([("", ""), ("\n        ", "\n    "), ("\n        ", ",\n    ")])
    )
    text = f"out.append(B.buildTokenWithUid({start}{comma.join(arguments)}{end}))\n"
    lines = draw(st.permutations([role_lines, expiry_lines]))
    return "".join(lines) + text


@settings(deadline=None, max_examples=100)
@given(calls(), st.integers(1, 2**32 - 1).filter(lambda uid: uid != NOW), st.booleans())
def test_every_form_of_a_call_mints_what_it_minted(text, uid, host):
    before = (
        "import time\n"
        "from agora_token_builder.RtcTokenBuilder import RtcTokenBuilder as B, Role_Attendee, "
        "Role_Publisher, Role_Subscriber, Role_Admin\n"
    )
    uid = uid % 80_000 + 2 if "uid +" in text or "+ uid" in text or "(uid" in text else uid
    before += "def f(channel, uid, host):\n" + indent(text, "    ")
    migration = migrate_source(before.encode())
    assert migration.left_alone == ()
    after = migration.after.decode()
    assert "agora_token_builder" not in after
    assert "import time" not in after or "time.time" not in text
    assert run(after, "lobby", uid, host) == run(before, "lobby", uid, host)
    assert not migrate_source(migration.after).changed


simple = st.sampled_from([
    "now = int(time.time())", "end = now + 60", "end = now + ttl", "end = int(time.time()) + ttl",
    "end = time.time() + 30", "ttl = 40", "ttl = ttl * 2", "ttl += 1", "time.sleep(11)", "log(end)",
    "log(now)", "role = 1", "role = 2", "role = 101", "role = 0 if ttl > 50 else 2", "log(role)",
    "if ttl > 50: end = now + 5", "B = None",
])  # fmt: skip
built = st.builds(
    "out.append(R.buildTokenWithUid(A, C, 'x', 7, {}, {}))".format,
    st.sampled_from(["role", "1", "2"]),
    st.sampled_from(["end", "now + 60", "now + ttl", "end + 5", "int(time.time()) + ttl"]),
)
blocks = st.recursive(
    st.lists(simple | built, min_size=1, max_size=4).map("\n".join),
    lambda inner: st.builds(
        lambda head, body, rest: f"{head}:\n{indent(body, '    ')}\n{rest}",
        st.sampled_from(
            ["if ttl > 50", "for _ in range(2)", "with open('/dev/null')", "for ttl in (5, 60)"]
        ),
        inner,
        inner,
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(blocks, built, st.sampled_from([20, 70]))
def test_no_program_does_anything_else_than_before(block, last, ttl):
    """Whatever a program does with its clock, roles and durations, in whatever order: where its
    calls are rewritten it mints the same tokens and logs the same values."""
    body = f"now = int(time.time())\nrole = 2\nend = now + 500\n{block}\n{last}\n"
    for optional in ("role = 2\n", "end = now + 500\n"):
        if re.search(rf"\b{optional.split(' ')[0]} =", block):
            body = body.replace(optional, "", 1)
    before = "import time\nfrom agora_token_builder import RtcTokenBuilder as R\ndef f(ttl):\n"
    before += indent(body, "    ")
    try:
        expected = run(before, ttl)
    except UnboundLocalError:
        return
    migration = migrate_source(before.encode())
    assert run(migration.after.decode(), ttl) == expected
    assert not migrate_source(migration.after).changed


# Files ----------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """Writes files and returns their folder."""

    def make(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return tmp_path

    return make


@pytest.mark.parametrize(
    "elsewhere",
    [
        "from views import end",
        "import views\nprint(views.end)",
        "from . import views as v\nprint(v.end)",
        "from app.views import *",
        "mock.patch('app.views.end', 5)",
        "import views; setattr(views, 'end', 5)",
        "print views.end",
    ],
)
def test_names_that_other_files_use_stay(project, elsewhere):
    views = call("end").replace(HEAD, HEAD + "end = time.time() + 60\n")
    folder = project(views=views, other=elsewhere)
    (migration,) = [m for m in migrate_path(folder) if m.path.stem == "views"]
    assert [left.code for left in migration.left_alone] == ["expiry"]
    assert migration.left_alone[0].reason == "`end` is used in other files, too"


def test_roles_that_other_files_use_stay(project):
    views = call("0", role="ROLE").replace("import time\n", "ROLE = 101\n")
    folder = project(views=views, other="from views import ROLE\n")
    (migration,) = migrate_path(folder)
    assert migration.after.decode() == "ROLE = 101\n" + called("86400")


def test_names_that_other_files_have_too_go(project):
    views = call("end").replace(HEAD, HEAD + "end = time.time() + 60\n")
    folder = project(views=views, other="import time, views\nend = time.time()\nviews.t(end)\n")
    (migration,) = migrate_path(folder)
    assert migration.after.decode() == called("60")


def test_a_file_alone_is_still_seen_in_its_project(project):
    views = call("end").replace(HEAD, HEAD + "end = time.time() + 60\n")
    folder = project(views=views, setup="", tests__test_views="from views import end\n")
    (migration,) = migrate_path(folder / "views.py")
    assert not migration.changed


def test_an_import_that_other_files_take_stays(project):
    folder = project(views=call(), tests__test_it=f"mock.patch('views.{RTC}')\n")
    (migration,) = migrate_path(folder)
    assert "from agora_token_builder import RtcTokenBuilder\n" in migration.after.decode()
    assert migration.left_alone == (
        (2, "import", "the import of RtcTokenBuilder stays: other files may use it"),
    )


def test_exported_names_stay():
    source = call("end").replace(HEAD, HEAD + "__all__ = ['end']\nend = time.time() + 60\n")
    assert [left.code for left in migrate_source(source.encode()).left_alone] == ["expiry"]


def test_init_files_keep_their_imports():
    migration = migrate_source(call().encode(), "pkg/__init__.py")
    assert (
        "import time\nfrom agora_token_builder import RtcTokenBuilder\n" in migration.after.decode()
    )


def test_files_that_are_not_the_projects_are_skipped(project):
    names = (
        "app pkg__deep__mod .git__a node_modules__a build__a dist__a .tox__a venv__a odd__lib__a "
        "x.egg-info__a"
    )
    folder = project(**dict.fromkeys(names.split(), call()))
    (folder / "odd" / "pyvenv.cfg").touch()
    (folder / "link.py").symlink_to(folder / "app.py")
    found = [migration.path.relative_to(folder).as_posix() for migration in migrate_path(folder)]
    assert found == ["app.py", "pkg/deep/mod.py"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (HEAD + "print 'x'\n", 2),
        (b"# -*- coding: nonsense -*-\n" + HEAD.encode(), 1),
        (HEAD.encode() + b"x = '\xff'\n", None),
        (HEAD.encode() + b"\0\n", None),
        (HEAD + "x = " + "(" * 5000 + ")" * 5000 + "\n", 2),
        (HEAD + "x = " + "-" * 100_000 + "1\n", None),
    ],
    ids=["Python 2", "coding", "bytes", "nul", "parentheses", "operators"],
)
def test_files_that_cant_be_parsed_are_reported_and_not_touched(project, source, line):
    folder = project(broken=source)
    before = (folder / "broken.py").read_bytes()
    result = command("--write", "--json", folder)
    assert result.exit_code == 1
    (entry,) = json.loads(result.stdout)["files"]
    (left,) = entry["left_alone"]
    assert left["code"] == "syntax"
    assert left["line"] == line or line is None  # Python's versions differ there
    assert left["reason"].startswith("can't be ")
    assert (folder / "broken.py").read_bytes() == before


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: b"# coding: latin-1\n" + (text + "# \xe9\n").encode("latin-1"),
        lambda text: text.replace("t = ", "if A:\n\tt = ").encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["CRLF", "BOM", "latin-1", "tabs", "no newline at the end"],
)
def test_the_dress_of_a_file_stays(dress):
    assert migrate_source(dress(call())).after == dress(called())


def test_writing_keeps_the_mode_and_leaves_nothing_behind(project):
    folder = project(app=call())
    (folder / "app.py").chmod(0o751)
    assert write(migrate_path(folder)) == [folder / "app.py"]
    assert (folder / "app.py").stat().st_mode & 0o777 == 0o751
    assert (folder / "app.py").read_text() == called()
    assert [path.name for path in folder.iterdir()] == ["app.py"]


def test_nothing_is_written_if_one_file_changed_meanwhile(project):
    folder = project(a=call(), b=call())
    migrations = list(migrate_path(folder))
    (folder / "b.py").write_text("# new\n")
    with pytest.raises(OSError, match=r"b\.py changed since it was read"):
        write(migrations)
    assert (folder / "a.py").read_text() == call()
    assert sorted(path.name for path in folder.iterdir()) == ["a.py", "b.py"]


# The command ----------------------------------------------------------------------------------


def test_a_summary_changes_nothing(project):
    folder = project(app=call(), old=call("end"))
    result = command(folder)
    assert result.exit_code == 1
    assert f"{folder}/app.py:3: {RTC} -> Project.rtc_token" in result.stdout
    assert f"{folder}/old.py:3: [expiry] what `end` holds can't be followed" in result.stdout
    assert "1 call in 1 file to rewrite, 1 left alone." in result.stdout
    assert (folder / "app.py").read_text() == call()


def test_a_diff_stands_alone_on_stdout(project):
    folder = project(app=call())
    result = command("--diff", folder)
    assert result.exit_code == 0
    name = f"{folder}/app.py".lstrip("/")
    assert result.stdout.splitlines() == [
        f"--- a/{name}",
        f"+++ b/{name}",
        "@@ -1,3 +1,2 @@",
        *(f"-{line}" for line in call().splitlines()),
        *(f"+{line}" for line in called().splitlines()),
    ]
    assert "1 call in 1 file to rewrite" in result.stderr
    assert (folder / "app.py").read_text() == call()


def test_writing_twice_changes_nothing_more(project):
    folder = project(app=call())
    assert command("--write", folder / "app.py").exit_code == 0
    assert (folder / "app.py").read_text() == called()
    again = command("--write", folder)
    assert again.exit_code == 0
    assert "0 calls in 0 files rewritten, 0 left alone." in again.stdout


def test_json_has_the_documented_schema(project):
    folder = project(app=call() + f"u = {RTC}(A, C, 'x', 7, 1, end)\n")
    result = command("--json", "--diff", folder)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    (entry,) = report["files"]
    diff = entry.pop("diff")
    assert diff.startswith("--- a/")
    assert report == {
        "written": False,
        "files": [
            {
                "path": f"{folder}/app.py",
                "changed": True,
                "rewritten": [{"line": 3, "builder": RTC, "method": "rtc_token"}],
                "left_alone": [
                    {"line": 4, "code": "expiry", "reason": "what `end` holds can't be followed"}
                ],
                "notes": [],
            }
        ],
        "totals": {"changed_files": 1, "rewritten": 1, "left_alone": 1},
    }


@pytest.mark.parametrize("arguments", [["no/such/path"], ["--diff", "--write", "."], []])
def test_usage_errors(arguments):
    assert command(*arguments).exit_code == 2
