"""fasttoken.agora against AgoraIO's own tests, the packages on PyPI, the vectors; its quirks.

What needs the package registry is downloaded once into build/agora; without a registry those
tests are skipped.
"""

import base64
import hashlib
import importlib
import inspect
import json
import os
import pkgutil
import secrets
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import types
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fasttoken
import fasttoken.agora
from fasttoken import formats
from fasttoken._core import Certificate

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = ROOT / "build" / "agora"
SUITE = HERE / "agora_suite.py"
VECTORS = HERE / "vectors"

AGORAIOTOOLS = "agoraiotools==0.3.4"
AGORA_TOKEN_BUILDER = "agora-token-builder==1.0.0"

APP_ID = "0123456789abcdefABCDEF0123456789"
CERTIFICATE = "fedcba9876543210FEDCBA9876543210"
NOW = 1_700_000_000
SALT = 4_242_424

DEPRECATED = [
    "DynamicKey", "DynamicKey2", "DynamicKey3", "DynamicKey4", "DynamicKey5", "SignalingToken",
]  # fmt: skip
MODULES = sorted(module.name for module in pkgutil.iter_modules(fasttoken.agora.__path__))


def module(name: str, package: str = "fasttoken.agora") -> Any:
    """A module by name; the deprecated ones warn when they are first imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(f"{package}.{name}")


AccessToken2 = module("AccessToken2")
AccessToken = module("AccessToken")
Packer = module("Packer")
RtcTokenBuilder2 = module("RtcTokenBuilder2").RtcTokenBuilder


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process that finds this fasttoken."""
    source = Path(fasttoken.__file__).parents[1]
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(source), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# --- From the package registry --------------------------------------------------------------


def downloaded(name: str, *pip: str) -> Path:
    """The folder of the cache that a pip command fills through its last option."""
    target = CACHE / name
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = CACHE / f"{name}.{os.getpid()}"
    process = subprocess.run(
        [sys.executable, "-m", "pip", *pip, str(unfinished)],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if "(from versions: none)" in process.stderr:
        pytest.skip("the package registry can't be reached")
    assert process.returncode == 0, process.stderr
    unfinished.rename(target)
    return target


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AgoraIO's own Python 3 tests, as the sdist of agoraiotools carries them."""
    options = ("--no-deps", "--no-binary", "agoraiotools", AGORAIOTOOLS, "--dest")
    (archive,) = downloaded("sdist", "download", *options).glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if member.isfile() and path.parent.name == "test" and path.suffix == ".py":
                content = tar.extractfile(member)
                assert content is not None
                (folder / path.name).write_bytes(content.read())
    return folder


@pytest.fixture(scope="module")
def peers() -> Iterator[None]:
    """agoraiotools and agora_token_builder, importable."""
    options = ("--no-deps", AGORAIOTOOLS, AGORA_TOKEN_BUILDER, "--target")
    folder = str(downloaded("peers", "install", *options))
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


@pytest.mark.parametrize("name", ["agoraiotools", "src"])
def test_agoraio_suite(sdist: Path, tmp_path: Path, name: str) -> None:
    """AgoraIO's tests pass when the package they import is fasttoken.agora."""
    shutil.copytree(Path(fasttoken.agora.__file__).parent, tmp_path / name)
    (tmp_path / "test").mkdir()
    for path in sdist.glob("*.py"):
        text = path.read_text().replace("from agoraiotools.", f"from {name}.")
        (tmp_path / "test" / path.name).write_text(text)
    process = python(str(SUITE), str(tmp_path / "test"))
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout.splitlines()[-1])
    assert report == {"files": 16, "run": 37, "skipped": 0, "bad": []}, process.stderr


# --- Parity with the packages on PyPI --------------------------------------------------------


class FixedRandom:
    def randint(self, low: int, high: int) -> int:
        assert (low, high) == (1, 99_999_999)
        return SALT


@pytest.fixture
def frozen() -> Iterator[None]:
    """The same salt and time for every builder, through the modules they all take them from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "SystemRandom", FixedRandom)
        patch.setattr(time, "time", lambda: NOW + 0.9)
        yield


STOCK_ZLIB = "ng" not in zlib.ZLIB_RUNTIME_VERSION


def comparable(token: object) -> object:
    """A token; where this Python's zlib isn't stock, the content of one that zlib wrote."""
    if STOCK_ZLIB or not isinstance(token, str) or not token.startswith("007"):
        return token
    return zlib.decompress(base64.b64decode(token[3:]))


def outcome(function: Callable[..., object], *arguments: object, **keywords: object) -> object:
    """What a call gives: its result, or the type and text of its exception."""
    try:
        return comparable(function(*arguments, **keywords))
    except Exception as error:
        return type(error), str(error)


def public(owner: object) -> dict[str, Any]:
    return {name: getattr(owner, name) for name in vars(owner) if not name.startswith("_")}


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    signature = inspect.signature(function)
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


PEER_MODULES = [
    ("agora_token_builder", ["AccessToken", "RtcTokenBuilder", "RtmTokenBuilder"]),
    ("agoraiotools", [
        "AccessToken", "AccessToken2", "ChatTokenBuilder2", *DEPRECATED, "Packer",
        "RtcTokenBuilder", "RtcTokenBuilder2", "RtmTokenBuilder", "RtmTokenBuilder2",
        "apaas_token_builder", "education_token_builder", "fpa_token_builder", "utils",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, names in PEER_MODULES for name in names]
)
def test_modules_have_the_names_of_the_peers(peers: None, package: str, name: str) -> None:
    """Names, parameters, defaults and constants; of the star-imported rest, the modules too."""
    theirs, ours = module(name, package), module(name)
    for key, value in public(theirs).items():
        imported = isinstance(value, types.ModuleType) or key == "sha1"
        if name in DEPRECATED and imported:
            continue  # nobody takes ctypes from them
        mine = getattr(ours, key)
        assert isinstance(mine, type(value)), key
        if isinstance(value, int | str | bytes):
            assert mine == value, key
        elif isinstance(value, types.FunctionType):
            assert parameters(mine) == parameters(value), key
        elif isinstance(value, type) and value.__module__.startswith(package):
            assert parameters(mine) == parameters(value), key
            for member, theirs_member in public(value).items():
                if callable(theirs_member):
                    assert parameters(getattr(mine, member)) == parameters(theirs_member), member
                elif isinstance(theirs_member, int):
                    assert getattr(mine, member) == theirs_member, member


@pytest.mark.parametrize("package", [package for package, _ in PEER_MODULES])
def test_package_exports_what_the_peers_export(peers: None, package: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = importlib.import_module(package)
        for name, value in public(theirs).items():
            if isinstance(value, types.ModuleType) and not value.__name__.startswith(package):
                continue  # ctypes, hmac ...
            if name in ("_version", "sha1"):
                continue
            mine = getattr(fasttoken.agora, name)
            if isinstance(value, type):
                assert callable(mine)
                assert [member for member in public(value) if not hasattr(mine, member)] == []
            elif isinstance(value, types.FunctionType):
                assert parameters(mine) == parameters(value), name


BUILDERS_007 = [
    ("RtcTokenBuilder2", "RtcTokenBuilder", "build_token_with_uid", "cuRee"),
    ("RtcTokenBuilder2", "RtcTokenBuilder", "build_token_with_user_account", "cuRe"),
    ("RtcTokenBuilder2", "RtcTokenBuilder2", "build_token_with_rtm", "caRee"),
    ("RtcTokenBuilder2", "RtcTokenBuilder2", "build_token_with_rtm2", "cuReeeeeae"),
    ("RtmTokenBuilder2", "RtmTokenBuilder", "build_token", "ae"),
    ("RtmTokenBuilder2", "RtmTokenBuilder2", "build_token", "ae"),
    ("ChatTokenBuilder2", "ChatTokenBuilder", "build_user_token", "ae"),
    ("ChatTokenBuilder2", "ChatTokenBuilder2", "build_app_token", "e"),
    ("apaas_token_builder", "ApaasTokenBuilder", "build_room_user_token", "cake"),
    ("apaas_token_builder", "ApaasTokenBuilder", "build_user_token", "ae"),
    ("apaas_token_builder", "ApaasTokenBuilder", "build_app_token", "e"),
    ("education_token_builder", "EducationTokenBuilder", "build_room_user_token", "cake"),
    ("education_token_builder", "EducationTokenBuilder", "build_user_token", "ae"),
    ("education_token_builder", "EducationTokenBuilder", "build_app_token", "e"),
    ("fpa_token_builder", "FpaTokenBuilder", "build_token", ""),
]
BUILDERS_006 = [
    ("RtcTokenBuilder", "RtcTokenBuilder", "buildTokenWithUid", "cuRt"),
    ("RtcTokenBuilder", "RtcTokenBuilder", "buildTokenWithAccount", "cuRt"),
    ("RtmTokenBuilder", "RtmTokenBuilder", "buildToken", "aRt"),
]
BUILDERS = [("agoraiotools", *builder) for builder in BUILDERS_007 + BUILDERS_006] + [
    ("agora_token_builder", *builder) for builder in BUILDERS_006
]

_TEXT = st.text(max_size=70) | st.sampled_from(["", "*", "0", "lobby", "日本語", "\ud800"])
_U32 = st.integers(0, 2**32 - 1)
_ODD = st.sampled_from([-1, 2**32, 10**12, "600", 600.7, True, None, "x"])
_IDS = st.sampled_from(
    [APP_ID] * 5
    + ["", "x" * 32, APP_ID[:31], APP_ID.lower(), " " * 32, APP_ID[:28] + "  ab", APP_ID.encode()]
)
VALUES = {
    "i": _IDS,
    "c": _TEXT | st.sampled_from([None, b"bytes", 7]),
    "a": _TEXT | st.sampled_from([0, None]),
    "u": _U32 | _TEXT | st.sampled_from([0.0, False, None, -1]),
    "R": st.sampled_from([1, 2, 0, 101, 5, True, 1.0, "1", None]),
    "e": _U32 | _ODD,
    "t": _U32 | _ODD,
    "k": st.integers(-(2**15), 2**15 - 1) | st.sampled_from([2**15, "3", None]),
}


@pytest.mark.parametrize(
    "builder", BUILDERS, ids=[".".join((package[5:8], *rest[1:3])) for package, *rest in BUILDERS]
)
def test_builders_give_what_the_peers_give(peers: None, frozen: None, builder: Any) -> None:
    """Byte for byte, and the same exception where AgoraIO's raises one."""
    package, name, class_name, method, kinds = builder
    theirs = getattr(getattr(module(name, package), class_name), method)
    ours = getattr(getattr(module(name), class_name), method)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(*(VALUES[kind] for kind in "ii" + kinds)))
    def same(arguments: tuple[object, ...]) -> None:
        assert outcome(ours, *arguments) == outcome(theirs, *arguments)

    same()
    plain = {"c": "lobby", "a": "alice", "u": 7, "R": 1, "e": 600, "t": NOW + 600, "k": 2}
    names = [parameter for parameter, *_ in parameters(theirs)]
    values = [APP_ID, CERTIFICATE, *(plain[kind] for kind in kinds)]
    keywords = dict(zip(names, values, strict=False))
    token = ours(**keywords)
    assert len(token) > 100
    assert comparable(token) == outcome(theirs, **keywords)


_KEY = (APP_ID, CERTIFICATE)
KEYS = [
    ("DynamicKey", "generate", "ctr"),
    ("DynamicKey", "generateSignaure", "ctr"),
    ("DynamicKey2", "generate", "ctrut"),
    ("DynamicKey2", "generateSignaure", "ctrut"),
    ("DynamicKey3", "generate", "ctrut"),
    ("DynamicKey3", "generateSignaure", "ctrut"),
    ("DynamicKey4", "generatePublicSharingKey", "ctrut"),
    ("DynamicKey4", "generateRecordingKey", "ctrut"),
    ("DynamicKey4", "generateMediaChannelKey", "ctrut"),
    ("DynamicKey4", "generateDynamicKey", "ctruts"),
    ("DynamicKey4", "generateSignature", "ctruts"),
    ("DynamicKey5", "generatePublicSharingKey", "ctrut"),
    ("DynamicKey5", "generateRecordingKey", "ctrut"),
    ("DynamicKey5", "generateMediaChannelKey", "ctrut"),
    ("DynamicKey5", "generateInChannelPermissionKey", "ctrutp"),
]


@pytest.mark.parametrize(("name", "function", "kinds"), KEYS)
def test_dynamic_keys_are_those_of_the_peer(
    peers: None, name: str, function: str, kinds: str
) -> None:
    theirs = getattr(module(name, "agoraiotools"), function)
    ours = getattr(module(name), function)
    values = {
        "c": st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
        "t": _U32,
        "r": st.integers(-(2**31), 2**33),
        "u": st.integers(-(2**31), 2**33),
        "s": st.sampled_from(["ACS", "ARS", "APSS", "other"]),
        "p": st.sampled_from([b"0", b"3", "0", "3"]),
    }

    @settings(max_examples=40, deadline=None)
    @given(st.tuples(*(values[kind] for kind in kinds)))
    def same(arguments: tuple[object, ...]) -> None:
        assert outcome(ours, *_KEY, *arguments) == outcome(theirs, *_KEY, *arguments)

    same()


def test_signaling_tokens_are_those_of_the_peer(peers: None) -> None:
    theirs = module("SignalingToken", "agoraiotools").generateSignalingToken
    ours = module("SignalingToken").generateSignalingToken
    for account, expired in (("alice", NOW), ("日本", str(NOW)), ("", 0)):
        assert ours(account, *_KEY, expired) == theirs(account, *_KEY, expired)


@pytest.mark.parametrize("bits", ["uint16", "uint32", "int16"])
@given(number=st.integers(-(2**33), 2**33) | st.sampled_from(["7", 7.9, "x", None]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_packing_is_that_of_the_peer(peers: None, bits: str, number: object) -> None:
    theirs = module("Packer", "agoraiotools")
    pack, unpack = f"pack_{bits}", f"unpack_{bits}"
    packed = outcome(getattr(Packer, pack), number)
    assert packed == outcome(getattr(theirs, pack), number)
    if isinstance(packed, bytes):
        assert getattr(Packer, unpack)(packed + b"!") == getattr(theirs, unpack)(packed + b"!")


@given(data=st.binary(max_size=80))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_unpacking_is_that_of_the_peer(peers: None, data: bytes) -> None:
    """The same value and rest, or both raise `struct.error`."""
    theirs_006 = module("AccessToken", "agoraiotools")
    pairs = [(getattr(Packer, name), getattr(module("Packer", "agoraiotools"), name))
             for name in ("unpack_string", "unpack_map_uint32", "unpack_map_string")]  # fmt: skip
    pairs += [
        (getattr(AccessToken, name), getattr(theirs_006, name))
        for name in ("unPackContent", "unPackMessages")
    ]
    for name in ("unPackUint16", "unPackUint32", "unPackString", "unPackMapUint32"):
        pairs.append(
            tuple(  # type: ignore[arg-type]
                lambda content, read=name, of=owner: getattr(of.ReadByteBuffer(content), read)()
                for owner in (AccessToken, theirs_006)
            )
        )
    for ours, theirs in pairs:
        mine, other = outcome(ours, data), outcome(theirs, data)
        if isinstance(other, tuple) and other[:1] == (struct.error,):
            other, mine = other[0], mine[0]  # type: ignore[index]
        assert mine == other


# --- Vectors ---------------------------------------------------------------------------------


def vectors(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]


SERVICES = {
    "rtc": ("ServiceRtc", "channel_name", "uid"),
    "rtm": ("ServiceRtm", "user_id"),
    "streaming": ("ServiceStreaming", "channel_name", "account"),
    "fpa": ("ServiceFpa",),
    "chat": ("ServiceChat", "user_id"),
    "fcdn": ("ServiceFCdn", "channel_name", "account"),
    "apaas": ("ServiceApaas", "room_uuid", "user_uuid", "role"),
    "rtm2": ("ServiceRtm2", "user_id", "permissions"),
    "convoai": ("ServiceConvoAI",),
    "stt": ("ServiceStt",),
}


def service_of(row: dict[str, Any]) -> Any:
    class_name, *fields = SERVICES[row["service"]]
    values = {field: row[field] for field in fields}
    if "permissions" in values:
        permissions = AccessToken2.ServiceRtm2.Permissions()
        for resource, granted in row["permissions"].items():
            for permission, names in granted.items():
                permissions.add(int(resource), int(permission), names)
        values["permissions"] = permissions
    service = getattr(AccessToken2, class_name)(**values)
    for privilege, expire in row["privileges"].items():
        service.add_privilege(int(privilege), expire)
    return service


def test_vectors_of_access_token2() -> None:
    rows = vectors("access_token2")
    assert len(rows) == 400
    for row in rows:
        given_ = row["input"]
        token = AccessToken2.AccessToken(
            given_["app_id"], given_["app_certificate"], given_["issue_ts"], given_["expire"]
        )
        token._AccessToken__salt = given_["salt"]
        for service in given_["services"]:
            token.add_service(service_of(service))
        assert comparable(token.build()) == comparable(row["token"])

        read = AccessToken2.AccessToken()
        assert read.from_string(row["token"])
        assert read.verify_signature(given_["app_certificate"])
        assert not read.verify_signature(CERTIFICATE)
        assert read._AccessToken__app_id == given_["app_id"].encode()
        assert read._AccessToken__salt == given_["salt"]
        in_order = sorted(token.services, key=lambda service: service.service_type())
        assert [service.pack() for service in read.services] == [s.pack() for s in in_order]


def test_vectors_of_access_token() -> None:
    rows = vectors("access_token")
    assert len(rows) == 200
    for row in rows:
        given_ = row["input"]
        token = AccessToken.AccessToken(
            given_["app_id"], given_["app_certificate"], given_["channel_name"], given_["uid"]
        )
        token.salt, token.ts = given_["salt"], given_["ts"]
        for privilege, expire in given_["privileges"].items():
            token.addPrivilege(int(privilege), expire)
        assert token.build() == row["token"]

        read = AccessToken.AccessToken()
        assert read.fromString(row["token"])
        assert (read.salt, read.ts, read.messages) == (token.salt, token.ts, token.messages)


_V4 = {
    "media_channel": "generateMediaChannelKey",
    "recording": "generateRecordingKey",
    "public_sharing": "generatePublicSharingKey",
    "in_channel_permission": "generateInChannelPermissionKey",
}


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_vectors_of_dynamic_keys(version: int) -> None:
    name = "" if version == 1 else str(version)
    rows = vectors(f"dynamic_key{name}")
    assert len(rows) == 50
    keys = module(f"DynamicKey{name}")
    fields = ["app_id", "app_certificate", "channel_name", "unix_ts", "random_int"]
    fields += [] if version == 1 else ["uid", "expired_ts"]
    for row in rows:
        given_ = row["input"]
        generate = getattr(keys, _V4[given_["service"]] if version > 3 else "generate")
        arguments = [given_[field] for field in fields]
        if "permission" in given_:
            arguments.append(given_["permission"])
        assert generate(*arguments) == row["token"]


def test_vectors_of_signaling_tokens() -> None:
    rows = vectors("signaling_token")
    assert len(rows) == 50
    generate = module("SignalingToken").generateSignalingToken
    for row in rows:
        assert generate(*row["input"].values()) == row["token"]


# --- One import line -------------------------------------------------------------------------

ON_AGORA_TOKEN_BUILDER = f"""\
import time
from agora_token_builder.RtcTokenBuilder import RtcTokenBuilder, Role_Publisher

expires = int(time.time()) + 3600
print(RtcTokenBuilder.buildTokenWithUid(
    {APP_ID!r}, {CERTIFICATE!r}, "lobby", 42, Role_Publisher, expires))
"""
ON_THE_PACKAGE = f"""\
import time
from agora_token_builder import RtcTokenBuilder

expires = int(time.time()) + 3600
print(RtcTokenBuilder.buildTokenWithUid(
    appId={APP_ID!r}, appCertificate={CERTIFICATE!r}, channelName="lobby", uid=42, role=1,
    privilegeExpiredTs=expires))
"""
ON_AGORAIOTOOLS = f"""\
from agoraiotools import RtcTokenBuilder2

print(RtcTokenBuilder2.build_token_with_uid(
    {APP_ID!r}, {CERTIFICATE!r}, "lobby", 42, 1, token_expire=3600, privilege_expire=3600))
"""
ON_THE_REPOSITORY = f"""\
from src.RtcTokenBuilder2 import *

token = AccessToken({APP_ID!r}, {CERTIFICATE!r}, int(time.time()), 3600)
rtc = ServiceRtc("lobby", 42)
rtc.add_privilege(ServiceRtc.kPrivilegeJoinChannel, 3600)
token.add_service(rtc)
print(token.build())
"""


@pytest.mark.parametrize(
    ("script", "theirs", "ours", "format_name"),
    [
        (
            ON_AGORA_TOKEN_BUILDER,
            "from agora_token_builder.RtcTokenBuilder import RtcTokenBuilder, Role_Publisher",
            "from fasttoken.agora.RtcTokenBuilder import RtcTokenBuilder, Role_Publisher",
            "access_token",
        ),
        (
            ON_THE_PACKAGE,
            "from agora_token_builder import RtcTokenBuilder",
            "from fasttoken.agora import RtcTokenBuilder",
            "access_token",
        ),
        (
            ON_AGORAIOTOOLS,
            "from agoraiotools import RtcTokenBuilder2",
            "from fasttoken.agora import RtcTokenBuilder2",
            "access_token2",
        ),
        (
            ON_THE_REPOSITORY,
            "from src.RtcTokenBuilder2 import *",
            "from fasttoken.agora.RtcTokenBuilder2 import *",
            "access_token2",
        ),
    ],
    ids=["agora_token_builder", "its package", "agoraiotools", "src"],
)
def test_one_import_line(
    tmp_path: Path, script: str, theirs: str, ours: str, format_name: str
) -> None:
    assert script.count(theirs) == 1
    program = tmp_path / "program.py"
    program.write_text(script.replace(theirs, ours))
    process = python("-W", "error", str(program))
    assert process.returncode == 0, process.stderr
    parsed = fasttoken.parse(process.stdout.strip())
    assert parsed.format == format_name
    verify = formats.BY_NAME[format_name].verify_signature
    assert verify(parsed, Certificate(CERTIFICATE.encode()), "lobby", 42)
    assert not verify(parsed, Certificate(APP_ID.encode()), "lobby", 42)


# --- Quirks: imports -------------------------------------------------------------------------


def test_only_the_deprecated_modules_warn() -> None:
    """The package and its other modules can be imported where warnings are errors."""
    others = [name for name in MODULES if name not in DEPRECATED]
    assert len(MODULES) == len(others) + len(DEPRECATED) == 23
    lines = [f"import fasttoken.agora.{name}" for name in others]
    process = python("-W", "error", "-c", "\n".join(["from fasttoken.agora import *", *lines]))
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("name", DEPRECATED)
def test_deprecated_modules_warn_on_import(name: str) -> None:
    process = python("-W", "error", "-c", f"import fasttoken.agora.{name}")
    assert f"DeprecationWarning: The {name} module is deprecated" in process.stderr


def test_deprecated_names_of_the_package_come_on_demand() -> None:
    keys = module("DynamicKey5")
    module("DynamicKey3")
    assert fasttoken.agora.DynamicKey5 is keys
    assert fasttoken.agora.generateRecordingKey is keys.generateRecordingKey
    assert fasttoken.agora.generate is module("DynamicKey3").generate
    assert fasttoken.agora.NoUpload == b"0"
    with pytest.raises(AttributeError, match="no attribute 'generateNothing'"):
        fasttoken.agora.generateNothing  # noqa: B018


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "AccessToken2",
            "AccessToken AccessToken2 Service ServiceEducation ServiceStt get_version",
        ),
        ("RtcTokenBuilder2", "RtcTokenBuilder RtcTokenBuilder2 Role_Publisher Role_Subscriber"),
        ("RtmTokenBuilder2", "RtmTokenBuilder AccessToken ServiceRtm2"),
        ("ChatTokenBuilder2", "ChatTokenBuilder AccessToken ServiceChat"),
        ("education_token_builder", "EducationTokenBuilder ServiceApaas get_md5"),
        ("convoai_token_builder", "ConvoAITokenBuilder ServiceConvoAI Role_Publisher"),
        ("stt_token_builder", "SttTokenBuilder ServiceStt Role_Publisher"),
        ("AccessToken", "AccessToken packUint16 packInt32 ReadByteBuffer unPackContent crc32"),
        ("RtcTokenBuilder", "RtcTokenBuilder Role_Attendee Role_Admin kJoinChannel os sys"),
        ("RtmTokenBuilder", "RtmTokenBuilder Role_Rtm_User kRtmLogin"),
        ("SimpleTokenBuilder", "SimpleTokenBuilder RolePrivileges kAdministrateChannel"),
    ],
)
def test_star_imports(name: str, expected: str) -> None:
    space: dict[str, object] = {}
    exec(f"from fasttoken.agora.{name} import *", space)
    shared = "pack_uint16 unpack_string pack_map_uint32 time secrets hmac base64 OrderedDict sha256"
    assert space.keys() >= {*expected.split(), *shared.split()}


def test_access_token_of_the_package_is_module_and_class() -> None:
    """AgoraIO's tests take the module of 006 from ``src``, agoraiotools has the class of 007."""
    from fasttoken.agora import AccessToken as both

    assert both is AccessToken
    assert both.packInt32(-7) == b"\xf9\xff\xff\xff"
    token = both(APP_ID, CERTIFICATE, expire=600)
    assert type(token) is AccessToken2.AccessToken2
    assert isinstance(token, both)
    assert not isinstance(both.AccessToken(), both)
    assert both.kServices[1] is AccessToken2.ServiceRtc

    class Derived(both):  # type: ignore[misc,valid-type]
        pass

    assert issubclass(Derived, AccessToken2.AccessToken)


# --- Quirks: 007 -----------------------------------------------------------------------------


def rtc_token(app_id: Any = APP_ID, certificate: Any = CERTIFICATE, issue_ts: int = NOW) -> Any:
    token = AccessToken2.AccessToken(app_id, certificate, issue_ts, 600)
    token._AccessToken__salt = SALT
    service = AccessToken2.ServiceRtc("lobby", 42)
    service.add_privilege(AccessToken2.ServiceRtc.kPrivilegeJoinChannel, 600)
    token.add_service(service)
    return token


def wire(content: bytes) -> str:
    return "007" + base64.b64encode(zlib.compress(content)).decode()


def content_of(token: str) -> bytes:
    return zlib.decompress(base64.b64decode(token[3:]))


@pytest.mark.parametrize("bad", ["", "invalid", "z" * 32, APP_ID + "0", APP_ID.encode()])
def test_invalid_identifiers_build_an_empty_token(bad: Any) -> None:
    assert rtc_token(app_id=bad).build() == ""
    assert rtc_token(certificate=bad).build() == ""
    assert RtcTokenBuilder2.build_token_with_uid(bad, CERTIFICATE, "lobby", 1, 1, 600) == ""


def test_no_services_build_an_empty_token() -> None:
    assert AccessToken2.AccessToken(APP_ID, CERTIFICATE).build() == ""


def test_an_object_builds_once() -> None:
    token = rtc_token()
    assert token._AccessToken__app_id == APP_ID
    assert token.build().startswith("007")
    assert token._AccessToken__app_id == APP_ID.encode()
    assert token.build() == ""


def test_identifiers_may_have_whitespace_between_digits() -> None:
    spaced = APP_ID[:28] + "  ab"
    assert fasttoken.parse(rtc_token(app_id=spaced).build()).claims.app_id == spaced


def test_defaults(frozen: None) -> None:
    token = AccessToken2.AccessToken()
    assert token._AccessToken__issue_ts == NOW
    assert token._AccessToken__expire == 900
    assert token._AccessToken__salt == SALT
    assert token.services == []


def test_salts_are_random() -> None:
    salts = {AccessToken2.AccessToken()._AccessToken__salt for _ in range(50)}
    assert len(salts) > 40
    assert all(1 <= salt <= 99_999_999 for salt in salts)


def test_private_attributes_that_programs_read() -> None:
    read = AccessToken2.AccessToken()
    assert read.from_string(rtc_token().build())
    assert read._AccessToken__app_id == APP_ID.encode()
    assert (read._AccessToken__issue_ts, read._AccessToken__expire) == (NOW, 600)
    (service,) = read.get_services(1)
    assert service._Service__type == 1
    assert service._Service__privileges == {1: 600}
    assert service._ServiceRtc__channel_name == b"lobby"
    assert service._ServiceRtc__uid == b"42"
    assert read._AccessToken__service == {1: service}


def test_services_of_one_type_stay_in_order() -> None:
    token = rtc_token()
    first = token.services[0]
    rtm, second = AccessToken2.ServiceRtm("alice"), AccessToken2.ServiceRtc("other", "0")
    token.add_service(rtm)
    token.add_service(second)
    assert token.services == [first, rtm, second]
    assert token.get_services(1) == [first, second]
    assert token._AccessToken__service == {1: second, 2: rtm}
    read = AccessToken2.AccessToken()
    assert read.from_string(token.build())
    assert [service.service_type() for service in read.services] == [1, 1, 2]
    assert read.services[1]._ServiceRtc__uid == b"0"
    assert read.verify_signature(CERTIFICATE)


def test_a_service_of_ones_own() -> None:
    class Own(AccessToken2.Service):  # type: ignore[misc,name-defined]
        def __init__(self, note: str = "") -> None:
            super().__init__(77)
            self.note = note

        def pack(self) -> bytes:
            return bytes(super().pack() + Packer.pack_string(self.note))

    token = rtc_token()
    token.add_service(Own("hello"))
    built = token.build()
    read = AccessToken2.AccessToken()
    assert read.from_string(built)
    assert [service.service_type() for service in read.services] == [1]
    assert read.verify_signature(CERTIFICATE)
    assert fasttoken.parse(built).claims.unknown.data.endswith(b"\x05\x00hello")


def test_permissions_can_be_read_back() -> None:
    granted = AccessToken2.ServiceRtm2.Permissions()
    granted.add(granted.kUsers, granted.kWrite, ("bob",))
    granted.add(granted.kMessageChannels, granted.kRead, ["a", "日本"])
    builder = module("RtmTokenBuilder2").RtmTokenBuilder
    token = builder.build_token_with_permissions(APP_ID, CERTIFICATE, "alice", granted, 600)
    read = AccessToken2.AccessToken()
    assert read.from_string(token)
    (service,) = read.get_services(AccessToken2.ServiceRtm2.kServiceType)
    assert service.get_user_id() == "alice"
    assert service.get_permissions().details == {0: {0: ["a", "日本"]}, 4: {1: ["bob"]}}


@pytest.mark.parametrize("name", ["convoai", "stt"])
@pytest.mark.parametrize(("role", "privileges"), [(1, [1, 2, 3, 4]), (2, [1]), (0, [1])])
def test_tokens_for_convoai_and_stt(name: str, role: int, privileges: list[int]) -> None:
    builders = module(f"{name}_token_builder")
    builder = builders.ConvoAITokenBuilder if name == "convoai" else builders.SttTokenBuilder
    token = builder.build_token(APP_ID, CERTIFICATE, "lobby", 42, role, 60, 1, 2, 3, 4, "al", 5)
    services = fasttoken.parse(token).claims.services
    kind = "ConvoAI" if name == "convoai" else "Stt"
    assert [type(service).__name__ for service in services] == ["Rtc", "Rtm", kind]
    rtc, rtm, last = services
    assert (rtc.channel_name, rtc.uid) == ("lobby", 42)
    assert rtc.privileges == {privilege: privilege for privilege in privileges}
    assert (rtm.user_id, rtm.privileges, last.privileges) == ("al", {1: 5}, {})


def test_rtc_privileges_each_with_its_expiry() -> None:
    for method in ("uid", "user_account"):
        build = getattr(RtcTokenBuilder2, f"build_token_with_{method}_and_privilege")
        (rtc,) = fasttoken.parse(
            build(APP_ID, CERTIFICATE, "lobby", 0, 60, 1, 2, 3, 4)
        ).claims.services
        assert rtc.uid == 0
        assert rtc.privileges == {1: 1, 2: 2, 3: 3, 4: 4}


def test_verify_signature() -> None:
    read = AccessToken2.AccessToken()
    assert not read.verify_signature(CERTIFICATE)
    assert read.from_string(rtc_token().build())
    assert read.verify_signature(CERTIFICATE)
    for wrong in (APP_ID, CERTIFICATE.lower(), "short", "z" * 32, CERTIFICATE.encode()):
        assert not read.verify_signature(wrong)
    assert not read.from_string("006" + APP_ID)
    assert not read.verify_signature(CERTIFICATE)


VALID = content_of(rtc_token().build())
BODY = VALID[34:]


@pytest.mark.parametrize("token", ["", "00", "006" + APP_ID, "008x", b"007", "１07"])
def test_another_version_reads_as_false(token: Any) -> None:
    read = AccessToken2.AccessToken()
    assert read.from_string(rtc_token().build())
    assert read.from_string(token) is False
    assert read.services == []
    assert read._AccessToken__app_id == ""


@pytest.mark.parametrize(
    "token",
    [
        "007",
        "007invalid",
        "007é",
        "007" + base64.b64encode(b"no zlib").decode(),
        wire(b""),
        wire(VALID[:-1]),
        wire(VALID[:34]),
        wire(b"\xff\xff"),
        wire(VALID[:84] + b"\xff\xff" + VALID[86:]),
        wire(VALID[:92] + b"\xff\xff" + VALID[94:]),
        wire(bytes(2) + BODY[:46] + b"\x01\x00\x08\x00\x00\x00\x00\x00" + b"\xff\xff" * 6),
        rtc_token().build()[:-8],
        None,
        7,
    ],
)
def test_broken_tokens_raise_value_error(token: Any, capsys: pytest.CaptureFixture[str]) -> None:
    read = AccessToken2.AccessToken()
    with pytest.raises(ValueError, match=r"^Error: parse origin token failed$"):
        read.from_string(token)
    assert not read.verify_signature(CERTIFICATE)
    assert capsys.readouterr() == ("", "")


def test_a_bomb_is_refused_unread() -> None:
    """A quarter of a gigabyte of zeros never comes to be: the process may not even hold it."""
    squeeze = zlib.compressobj()
    block = bytes(2**24)
    bomb = b"".join([*(squeeze.compress(block) for _ in range(16)), squeeze.flush()])
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (250 << 20, 250 << 20))\n"
        "from fasttoken.agora.AccessToken2 import AccessToken\n"
        "try: AccessToken().from_string(sys.stdin.read())\n"
        "except ValueError as error: print(error, '|', error.__cause__)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        input="007" + base64.b64encode(bomb).decode(),
        env={
            **os.environ,
            "PYTHONPATH": str(Path(fasttoken.__file__).parents[1]),
            "OPENBLAS_NUM_THREADS": "1",  # its buffers, one per processor, would count
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "parse origin token failed" in process.stdout, process.stderr
    assert "inflates beyond 65536 bytes" in process.stdout


def test_whitespace_in_a_token_is_read_over() -> None:
    token = rtc_token().build()
    read = AccessToken2.AccessToken()
    assert read.from_string(f"{token[:40]}\n{token[40:]}\n")
    assert read.verify_signature(CERTIFICATE)


@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6
    ),
    st.integers(0, len(VALID)),
)
@settings(max_examples=300, deadline=None)
def test_damaged_tokens_read_or_raise_value_error(changes: list[Any], end: int) -> None:
    damaged = bytearray(VALID)
    for position, value in changes:
        damaged[position] = value
    read = AccessToken2.AccessToken()
    cut = bytes(damaged[:end])
    try:
        assert read.from_string(wire(cut)) is True
    except ValueError:
        assert not read.verify_signature(CERTIFICATE)
    else:
        assert read.verify_signature(CERTIFICATE) == (cut == VALID)


def test_the_longest_hostile_bodies_are_read_in_linear_time() -> None:
    """16,000 empty services and a map of 10,000 privileges: many small steps over 64 KiB."""
    head = bytes(2) + BODY[:46]
    count = 16_000
    read = AccessToken2.AccessToken()
    assert read.from_string(wire(head + struct.pack("<H", count) + b"\x04\0\0\0" * count))
    assert len(read.services) == count
    entries = b"".join(struct.pack("<HI", key, 1) for key in range(10_000))
    assert read.from_string(wire(head + b"\x01\0\x04\0" + struct.pack("<H", 10_000) + entries))
    assert len(read.services[0]._Service__privileges) == 10_000


# --- Quirks: 006 -----------------------------------------------------------------------------


def test_006_attributes() -> None:
    token = AccessToken.AccessToken(APP_ID, CERTIFICATE, "lobby", 0)
    assert (token.appID, token.appCertificate) == (APP_ID, CERTIFICATE)
    assert (token.channelName, token.uidStr, token.messages) == ("lobby", "", {})
    assert AccessToken.AccessToken(uid="0").uidStr == "0"
    token.messages[AccessToken.kRtmLogin] = 5
    token.addPrivilege(AccessToken.kJoinChannel, 0)
    first = token.build()
    assert list(token.messages.items()) == [(1, 0), (1000, 5)]
    assert token.build() == first
    assert fasttoken.parse(first).claims.privileges == {1: 0, 1000: 5}


def test_006_lasts_a_day(frozen: None) -> None:
    token = AccessToken.AccessToken()
    assert (token.ts, token.salt) == (NOW + 86_400, SALT)


def test_006_takes_any_identifiers() -> None:
    token = AccessToken.AccessToken("app", "", "lobby", 1).build()
    assert token.startswith("006app")


@pytest.mark.parametrize(
    "token", ["", "007", "006", "006" + APP_ID + "!", "006" + APP_ID + "AAAA", None, 7]
)
def test_006_broken_tokens_read_as_false(token: Any, capsys: pytest.CaptureFixture[str]) -> None:
    read = AccessToken.AccessToken()
    assert read.fromString(token) is False
    assert read.messages == {}
    assert capsys.readouterr() == ("", "")


def test_006_with_an_expiry_for_each_privilege() -> None:
    builder = module("RtcTokenBuilder").RtcTokenBuilder
    for method in ("buildTokenWithUidAndPrivilege", "buildTokenWithUserAccountAndPrivilege"):
        token = getattr(builder, method)(APP_ID, CERTIFICATE, "lobby", 7, 11, 12, 13, 14)
        parsed = fasttoken.parse(token)
        assert parsed.claims.privileges == {1: 11, 2: 12, 3: 13, 4: 14}
        verify = formats.BY_NAME["access_token"].verify_signature
        assert verify(parsed, Certificate(CERTIFICATE.encode()), "lobby", 7)


def test_simple_token_builder() -> None:
    simple = module("SimpleTokenBuilder")
    builder = simple.SimpleTokenBuilder(APP_ID, CERTIFICATE, "lobby", 42)
    builder.initPrivileges(simple.Role_Attendee)
    builder.setPrivilege(simple.kJoinChannel, NOW)
    builder.removePrivilege(simple.kPublishDataStream)
    token = builder.buildToken()
    assert fasttoken.parse(token).claims.privileges == {1: NOW, 2: 0, 3: 0}
    with pytest.raises(KeyError):
        builder.removePrivilege(simple.kPublishDataStream)

    other = simple.SimpleTokenBuilder(APP_ID, CERTIFICATE, "lobby", 42)
    assert other.initTokenBuilder(token)
    assert not other.initTokenBuilder("007")
    assert other.buildToken() == token


def test_simple_token_builder_roles() -> None:
    simple = module("SimpleTokenBuilder")
    expected = {
        simple.Role_Attendee: [1, 2, 3, 4],
        simple.Role_Publisher: [1, 2, 3, 4, 5, 6, 10, 11, 12],
        simple.Role_Subscriber: [1, 7, 8, 9],
        simple.Role_Admin: [1, 2, 3, 4, 101],
    }
    assert [*expected] == [1, 2, 3, 4]
    for role, privileges in expected.items():
        builder = simple.SimpleTokenBuilder(APP_ID, CERTIFICATE, "lobby", 42)
        builder.initPrivileges(role)
        claims = fasttoken.parse(builder.buildToken()).claims
        assert claims.privileges == dict.fromkeys(privileges, 0)


def test_simple_token_builder_leaks_nothing_to_the_next_user() -> None:
    simple = module("SimpleTokenBuilder")
    first = simple.SimpleTokenBuilder(APP_ID, CERTIFICATE, "lobby", 1)
    first.initPrivileges(simple.Role_Subscriber)
    first.setPrivilege(simple.kPublishAudioStream, NOW)
    second = simple.SimpleTokenBuilder(APP_ID, CERTIFICATE, "lobby", 2)
    second.initPrivileges(simple.Role_Subscriber)
    assert simple.kPublishAudioStream not in second.token.messages


def test_md5_of_utils() -> None:
    assert module("utils").get_md5("日本") == hashlib.md5("日本".encode()).hexdigest()
