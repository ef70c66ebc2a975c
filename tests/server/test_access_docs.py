"""docs/server-access.md: its set-ups do what it says of them, and its tables are complete."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from helpers import TESTS

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
from conftest import environment

from fasttoken.server.auth import ApiKey, Caller, Claims, Issuer
from fasttoken.server.desk import Order, RtcOrder
from fasttoken.server.faults import Forbidden
from fasttoken.server.limits import DEFAULT_RATE, Limits
from fasttoken.server.metrics import Meter, Metrics
from fasttoken.server.policy import Rule, Rules
from fasttoken.server.settings import Source
from fasttoken.services import Chat, Role, Rtm

pytestmark = pytest.mark.once
PAGE = (TESTS.parent / "docs" / "server-access.md").read_text("utf-8")
ENVIRON = {name: value for name, value in environment().items() if name.startswith("AGORA_")}
SECTIONS = dict(re.findall(r"^## (.*)\n((?:.*\n)*?)(?=^## |\Z)", PAGE, re.MULTILINE))


def settings(tmp_path, name):
    [text] = re.findall(rf"^```toml {name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    file = tmp_path / "server.toml"
    file.write_text(text)
    return Source(str(file)).load(ENVIRON)


def may(rules, name, order, **claims):
    try:
        rules.check(Caller(name, Claims(claims), ""), order)
    except Forbidden:
        return False
    return True


def test_a_backend_may_have_what_it_asks_for(tmp_path):
    rules = Rules(settings(tmp_path, "backend").policy, False)
    assert may(rules, "key:backend", RtcOrder("any", 7, expire=86_400))
    assert may(rules, "key:backend", Order((Rtm("ann"),)))
    assert not may(rules, "key:backend", Order((Chat("ann"),)))
    assert not may(rules, "key:backend", RtcOrder("*", 7))
    assert not may(rules, "key:other", RtcOrder("any", 7))
    rules.check_batch(Caller("key:backend", Claims({}), ""))
    rules.check_verify(Caller("key:backend", Claims({}), ""))


def test_an_app_asks_for_its_user(tmp_path):
    rules = Rules(settings(tmp_path, "app").policy, False)
    host = {"sub": "ann", "role": "host", "org": {"id": "acme"}}
    guest = {"sub": "bob", "role": "guest", "org": {"id": "acme"}}
    name = "jwt:login/ann"
    assert may(rules, name, RtcOrder("acme:1", "ann"), **host)
    assert not may(rules, name, RtcOrder("acme:1", "bob"), **host)
    assert not may(rules, name, RtcOrder("umbrella:1", "ann"), **host)
    assert not may(rules, name, RtcOrder("acme:1", "bob"), **guest)
    listens = RtcOrder("acme:1", "bob", Role.SUBSCRIBER, expire=900)
    assert may(rules, name, listens, **guest)
    assert not may(rules, name, RtcOrder("acme:1", "bob", Role.SUBSCRIBER), **guest)
    assert not may(rules, "jwt:other/ann", RtcOrder("acme:1", "ann"), **host)


def test_customers_share_a_server(tmp_path):
    given = settings(tmp_path, "customers")
    rules = Rules(given.policy, False)
    claims = {key.name: key.claims for key in given.auth.keys}
    assert may(rules, "key:acme-2026", RtcOrder("acme:1", 7), **claims["acme-2026"])
    assert not may(rules, "key:acme-2026", RtcOrder("umbrella:1", 7), **claims["acme-2026"])
    assert may(rules, "key:umbrella-2026", RtcOrder("umbrella:1", 7), **claims["umbrella-2026"])
    assert not may(rules, "key:prometheus", RtcOrder("acme:1", 7), **claims["prometheus"])
    rules.check_metrics(Caller("key:prometheus", Claims({}), ""))
    with pytest.raises(Forbidden):
        rules.check_metrics(Caller("key:acme-2026", Claims(claims["acme-2026"]), ""))


def test_all_toml_can_be_read(tmp_path):
    for number, text in enumerate(re.findall(r"^```toml.*\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        # Some are pieces without callers.
        Source(str(file), options={"dev": True}).load(ENVIRON)


@pytest.mark.parametrize(
    ("title", "kind"),
    [("API keys", ApiKey), ("JWTs", Issuer), ("The policy", Rule), ("Rates and sizes", Limits)],
)
def test_each_setting_is_listed(title, kind):
    cells = re.findall(r"^\| (`.*?) \|", SECTIONS[title], re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(
        kind.__struct_fields__
    )


def test_the_defaults_of_limits_are_as_listed():
    shown = re.findall(r"^\| `(.*?)` \| (.*?) \|", SECTIONS["Rates and sizes"], re.MULTILINE)
    limits = Limits()
    for names, defaults in shown:
        for name, default in zip(names.split("`, `"), defaults.split(", "), strict=True):
            value = getattr(limits, name)
            if name in ("caller", "address"):
                value = DEFAULT_RATE
            number, _, unit = default.partition(" ")
            if unit:
                number = str(int(number) * {"KiB": 1024, "MiB": 1024**2}[unit])
            expected = str(value).removesuffix(".0").lower()
            assert number.strip('`"') == expected, name


def test_each_metric_is_listed():
    page = Meter(Metrics()).page()[1].decode()
    families = set(re.findall(r"^# HELP (fasttoken_\w+)", page, re.MULTILINE))
    families = {name for name in families if not name.endswith("_created")}
    assert families == set(re.findall(r"^\| `(fasttoken_\w+)`", SECTIONS["Metrics"], re.MULTILINE))


def test_a_fingerprint_is_made_as_shown():
    from fasttoken.server.audit import fingerprint

    made = subprocess.run(
        'printf %s "$TOKEN" | sha256sum',
        shell=True,
        env={"TOKEN": "007abc", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.startswith(fingerprint("007abc"))


def test_the_line_of_the_log_is_one():
    [line] = re.findall(r"^```json\n(.*)\n```$", SECTIONS["The audit log"], re.MULTILINE)
    listed = re.findall(r"^\| (`.*?) \|", SECTIONS["The audit log"], re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    assert set(json.loads(line)) - {"time"} <= names
