"""Names and small tools that several test files use."""

import base64
import json
import os
import subprocess
import sys
import zlib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import fasttoken
from fasttoken import services
from fasttoken.formats.access_token2 import AccessToken2

# Agora's public sample project: it opens nothing.
APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
SECONDARY = "0123456789abcdef0123456789ABCDEF"
ISSUE_TS = 1_700_000_000
SALT = 12_345_678
FIXED = {"issue_ts": ISSUE_TS, "salt": SALT}

TESTS = Path(__file__).parent
PACKAGE = Path(fasttoken.__file__).parent

NATIVE_WAS_BUILT = any(
    (PACKAGE / "_native" / f"core{suffix}").exists() for suffix in EXTENSION_SUFFIXES
)

SERVICES = {
    "rtc": services.Rtc,
    "rtm": services.Rtm,
    "streaming": services.Streaming,
    "fpa": services.Fpa,
    "chat": services.Chat,
    "fcdn": services.FCdn,
    "apaas": services.Apaas,
    "rtm2": services.Rtm2,
    "convoai": services.ConvoAI,
    "stt": services.Stt,
}


def vectors(name):
    """The input and the token of every known answer in ``vectors/<name>.jsonl``."""
    lines = (TESTS / "vectors" / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [(row["input"], row["token"]) for row in map(json.loads, lines)]


def by_number(mapping):
    """A mapping whose keys JSON turned into text."""
    return {int(key): value for key, value in mapping.items()}


def claims_007(given):
    """The claims of an `access_token2` vector."""
    listed = []
    for row in given["services"]:
        fields = {key: value for key, value in row.items() if key != "service"}
        fields["privileges"] = by_number(fields["privileges"])
        if "permissions" in fields:
            fields["permissions"] = {
                resource: by_number(granted)
                for resource, granted in by_number(fields["permissions"]).items()
            }
        listed.append(SERVICES[row["service"]](**fields))
    return AccessToken2(
        given["app_id"], given["issue_ts"], given["expire"], given["salt"], tuple(listed)
    )


def content_007(token):
    """What a 007 token holds: its signature and its body."""
    return zlib.decompress(base64.b64decode(token.removeprefix("007")))


def zlib_is_stock():
    """Whether Python's zlib writes the bytes of stock zlib: it must find a vector's own."""
    _, token = vectors("access_token2")[0]
    stream = base64.b64decode(token.removeprefix("007"))
    return zlib.compress(zlib.decompress(stream), 6) == stream


BYTE_IDENTICAL = fasttoken.backend().implementation == "native" or zlib_is_stock()


def comparable(token):
    """The token, or its content where this platform's zlib writes other streams than stock."""
    if not BYTE_IDENTICAL and token.startswith("007"):
        return content_007(token)
    return token


# For `run_python`: the core that this run of the suite uses.
SAME_CORE = {"FASTTOKEN_IMPL": fasttoken.backend().implementation}


def run_python(code, *arguments, check=True, path=None, **environment):
    """Runs ``code`` in a fresh interpreter that imports this fasttoken (or one on ``path``), with
    no other FASTTOKEN variables than those given."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("FASTTOKEN_")
    }
    inherited["PYTHONPATH"] = os.pathsep.join([str(path or PACKAGE.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=check,
        capture_output=True,
        text=True,
        env={**inherited, **environment},
    )
