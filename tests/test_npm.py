"""Agora's own npm package reads and verifies what each builder mints."""

import json
import shutil
import subprocess
import zlib

import pytest
from helpers import APP_ID, CERTIFICATE, FIXED, ISSUE_TS, TESTS
from test_project import BUILDERS

from fasttoken import Project
from fasttoken.services import Apaas, ConvoAI, FCdn, Fpa, Rtc, Rtm2, Streaming, Stt

VERSION = "2.0.6"
PLACE = TESTS.parent / "build" / "npm"
PROJECT = Project(APP_ID, CERTIFICATE)

# What no builder makes: several services of one type, every service at once.
EVERYTHING = [
    Rtc("room", 4294967295, {1: 5, 4: 6}),
    Rtc("other", "用户-é", {}),
    Streaming("room", 7, {1: 1, 2: 2}),
    Fpa({1: 3}),
    FCdn("room", "bob", {2: 9}),
    Apaas("r", "u", 32767, {1: 1}),
    Apaas("r", "u", -32768, {2: 1}),
    Rtm2("ann", {0: {0: ["a", "ü"], 1: []}, 4: {1: ["c"]}}, {1: 7}),
    Rtm2("bob", {}, {1: 8}),
    ConvoAI({3: 1}),
    Stt(),
]
NEW = [getattr(PROJECT, name)(*args, **options, **FIXED) for name, args, options, _, _ in BUILDERS]
EXPECTED = [(services, expire) for *_, services, expire in BUILDERS]
NEW += [
    PROJECT.token(EVERYTHING, 60, **FIXED),
    *PROJECT.rtc_tokens("room", [7, 8], issue_ts=ISSUE_TS, salts=[12_345_678] * 2),
]
EXPECTED += [
    (EVERYTHING, 60),
    ([Rtc("room", 7, dict.fromkeys((1, 2, 3, 4), 0))], 3600),
    ([Rtc("room", 8, dict.fromkeys((1, 2, 3, 4), 0))], 3600),
]
OLD = [
    ("room", 7, PROJECT.rtc_token_006("room", 7, **FIXED)),
    ("room", "ann", PROJECT.rtc_token_006("room", "ann", "subscriber", 60, **FIXED)),
    ("room", "用户-é", PROJECT.rtc_token_006("room", "用户-é", 101, **FIXED)),
    ("ann", "", PROJECT.rtm_token_006("ann", 60, **FIXED)),
    ("room", 0, PROJECT.access_token("room", 0, {1: 0, 101: 5}, allow_wildcard=True)),
    (
        "room",
        4294967295,
        PROJECT.access_token("room", 4294967295, {4: 2**32 - 1}, ts=0, salt=2**32 - 1),
    ),
    *zip(["room"] * 2, [7, 8], PROJECT.rtc_tokens_006("room", [7, 8], roles=[1, 2]), strict=True),
]


def installed():
    """Whether the package is there; installed by npm's ordinary client."""
    manifest = PLACE / "node_modules" / "agora-token" / "package.json"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == VERSION:
        return ""
    PLACE.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", PLACE, "--no-audit", "--no-fund", "--ignore-scripts"]
    made = subprocess.run(
        [*command, f"agora-token@{VERSION}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return (
        "" if made.returncode == 0 else f"npm could not install agora-token: {made.stderr[-300:]}"
    )


@pytest.fixture(scope="module")
def read():
    """What the package read in each token."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm or node is not installed")
    problem = installed()
    if problem:
        pytest.skip(problem)
    old = [
        {"token": token, "app_id": APP_ID, "channel_name": channel, "uid": uid}
        for channel, uid, token in OLD
    ]
    made = subprocess.run(
        ["node", TESTS / "read_tokens.js", PLACE],
        input=json.dumps({"certificate": CERTIFICATE, "new": NEW, "old": old}),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(made.stdout)


def seen(service):
    """A service as the npm package shows it."""
    shown = {"type": service.TYPE, "privileges": {str(k): v for k, v in service.privileges.items()}}
    for field in service.FIELDS:
        value = getattr(service, field.name)
        if field.name in ("uid", "account"):
            value = "" if value == 0 else str(value)
        elif field.name == "role":
            value &= 0xFFFF  # it reads the signed number as an unsigned one
        elif field.name == "permissions":
            value = {
                str(resource): {str(key): list(names) for key, names in granted.items()}
                for resource, granted in value.items()
            }
        shown[field.name] = value
    return shown


def test_access_token2(read):
    assert len(read["new"]) == len(NEW) == len(EXPECTED)
    for found, (services, expire) in zip(read["new"], EXPECTED, strict=True):
        assert found["verified"] is True
        assert found["refused"] is True
        assert found["app_id"] == APP_ID
        assert (found["issue_ts"], found["salt"]) == (FIXED["issue_ts"], FIXED["salt"])
        assert found["expire"] == expire
        assert found["services"] == [seen(service) for service in services]


def test_access_token(read):
    """The package has no verification for 006: it makes the same token itself."""
    assert len(read["old"]) == len(OLD)
    for found, (channel, uid, token) in zip(read["old"], OLD, strict=True):
        assert found["made"] == token
        assert found["app_id"] == APP_ID
        assert found["channel_crc"] == zlib.crc32(channel.encode())
        assert found["uid_crc"] == zlib.crc32(("" if uid == 0 else str(uid)).encode())


def test_every_builder_is_read():
    names = {name for name in vars(Project) if name.endswith("_token") and name[0] != "_"}
    assert names - {"access_token", "signaling_token"} <= {name for name, *_ in BUILDERS}
