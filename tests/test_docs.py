"""What the documents say, recomputed: docs/formats.md's examples and tables, the README's code."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from pathlib import Path

import pytest

import fasttoken
from fasttoken import FieldError, MalformedToken, Project, TokenWarning, rules
from fasttoken.formats import access_token, access_token2, dynamic_key
from fasttoken.services import BY_TYPE, Kind, Rtm2

ROOT = Path(__file__).parent.parent
FORMATS = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP_ID, CERTIFICATE = re.findall(r"^    App \w+ +([0-9a-fA-F]{32})$", FORMATS, re.MULTILINE)
PROJECT = Project(APP_ID, CERTIFICATE)
ISSUED, HOUR = 1_700_000_000, 3600


def block(kind: str, name: str) -> list[str]:
    """The lines of one fenced example of docs/formats.md."""
    (found,) = re.findall(rf"^```{kind} {name}\n(.*?)^```$", FORMATS, re.MULTILINE | re.DOTALL)
    return found.splitlines()


def values(name: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in block("values", name))


def field_bytes(name: str) -> bytes:
    """The bytes of an example's fields: the hexadecimal columns before the explanation."""
    return b"".join(bytes.fromhex(re.split(" {2,}", line)[0]) for line in block("fields", name))


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", FORMATS, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def table(text: str, header: str) -> list[list[str]]:
    """The rows of the table whose first column is headed ``header``."""
    _, rows = re.split(rf"^\| {header} \|.*\n\|[-|]+\n", text, maxsplit=1, flags=re.MULTILINE)
    lines = re.match(r"(?:\|.*\n)+", rows)
    assert lines
    return [
        [cell.strip() for cell in line.strip("|").split(" |")] for line in lines[0].splitlines()
    ]


# The examples ---------------------------------------------------------------------------------


def test_access_token2() -> None:
    told = values("access_token2")
    token = PROJECT.rtc_token("lobby", 42, "publisher", HOUR, issue_ts=ISSUED, salt=1)
    parsed = fasttoken.parse(told["token"])
    assert parsed == fasttoken.parse(token)
    assert parsed.signed == field_bytes("access_token2")
    key1 = hmac.digest(struct.pack("<I", ISSUED), CERTIFICATE.encode(), "sha256")
    key2 = hmac.digest(struct.pack("<I", 1), key1, "sha256")
    assert told["key1"] == key1.hex()
    assert told["key2"] == key2.hex()
    assert told["signature"] == hmac.digest(key2, parsed.signed, "sha256").hex()
    assert told["signature"] == parsed.signature.hex()


def test_access_token() -> None:
    told = values("access_token")["token"]
    token = PROJECT.rtc_token_006("lobby", 42, "subscriber", HOUR, issue_ts=ISSUED, salt=1)
    assert told == token
    content = field_bytes("access_token")
    assert told == f"006{APP_ID}{fasttoken.formats.access_token.encode(content)}"
    message = content[-16:]
    signed = f"{APP_ID}lobby42".encode() + message
    assert content[2:34] == hmac.digest(CERTIFICATE.encode(), signed, "sha256")


def test_dynamic_keys() -> None:
    told = values("dynamic_key")
    assert list(told) == ["1", "2", "3", "4", "5"]
    for version, key in told.items():
        made = PROJECT.dynamic_key(
            int(version),  # type: ignore[arg-type]
            "lobby",
            42,
            unix_ts=ISSUED,
            random_int=1,
            expired_ts=ISSUED + HOUR,
        )
        assert key == made
    assert (len(told["1"]), len(told["2"])) == (90, 110)
    assert "90 and 110 characters" in FORMATS


def test_signaling_token() -> None:
    told = values("signaling_token")["token"]
    assert told == PROJECT.signaling_token("alice", ISSUED + HOUR)
    text = f"alice{APP_ID}{CERTIFICATE}{ISSUED + HOUR}"
    assert told.rsplit(":", 1)[1] == hashlib.md5(text.encode()).hexdigest()


# The tables -----------------------------------------------------------------------------------


def plain(name: str) -> str:
    return name.lower().replace("_", " ")


def test_services() -> None:
    wire = {Kind.TEXT: "str", Kind.UID: "str", Kind.I16: "i16"}
    told = {}
    for number, name, _, fields, privileges in table(section("Services"), "type"):
        told[int(number)] = (name.strip("`"), fields.replace("`", ""), privileges)
    assert told == {
        number: (
            service.__name__,
            ", ".join(
                "permissions" if f.kind is Kind.PERMISSIONS else f"{wire[f.kind]} {f.name}"
                for f in service.FIELDS
            )
            or "none",
            ", ".join(f"{p.value} {plain(p.name)}" for p in getattr(service, "Privilege", ()))
            or "none",
        )
        for number, service in BY_TYPE.items()
    }
    for kind in (Rtm2.Resource, Rtm2.Permission):
        listed = ", ".join(f"{member.value} {plain(member.name)}" for member in kind)
        assert f": {listed}." in " ".join(section("Services").split())


BUILT = {
    "rtc_token": ("lobby", 42),
    "rtc_token_with_privileges": ("lobby", 42),
    "rtc_rtm_token": ("lobby", 42),
    "rtm_token": ("alice",),
    "chat_user_token": ("alice",),
    "chat_app_token": (),
    "education_room_user_token": ("room", "alice", 2),
    "apaas_room_user_token": ("room", "alice", 2),
    "education_user_token": ("alice",),
    "apaas_user_token": ("alice",),
    "education_app_token": (),
    "apaas_app_token": (),
    "fpa_token": (),
    "convoai_token": ("lobby", 42),
    "stt_token": ("lobby", 42),
    "streaming_token": ("lobby", 42),
    "fcdn_token": ("lobby", 42),
    "temporary_token": ("lobby",),
}
GRANTS = {
    "rtc_token": "Rtc 1 2 3 4",
    "rtc_token_with_privileges": "Rtc 1 2 3 4",
    "rtc_rtm_token": "Rtc 1 2 3 4, Rtm 1",
    "rtm_token": "Rtm 1",
    "chat_user_token": "Chat 1",
    "chat_app_token": "Chat 2",
    "education_room_user_token": "Rtm 1, Chat 1, Apaas 1",
    "apaas_room_user_token": "Rtm 1, Chat 1, Apaas 1",
    "education_user_token": "Apaas 2",
    "apaas_user_token": "Apaas 2",
    "education_app_token": "Apaas 3",
    "apaas_app_token": "Apaas 3",
    "fpa_token": "Fpa 1",
    "convoai_token": "Rtc 1 2 3 4, Rtm 1, ConvoAI",
    "stt_token": "Rtc 1 2 3 4, Rtm 1, Stt",
    "streaming_token": "Streaming 1 2",
    "fcdn_token": "FCdn 1 2",
    "temporary_token": "Rtc 1 2 3 4",
}


def test_builders_are_the_projects_methods() -> None:
    told = {
        name
        for row in table(section("Builders"), "AgoraIO's builder")
        for name in re.findall(r"`(\w+_token\w*)`", row[1])
    }
    assert told == set(BUILT)


@pytest.mark.parametrize("name", BUILT)
def test_builders(name: str) -> None:
    claims = fasttoken.parse(getattr(PROJECT, name)(*BUILT[name])).claims
    grants = [[type(s).__name__, *map(str, s.privileges)] for s in claims.services]
    assert ", ".join(" ".join(grant) for grant in grants) == GRANTS[name]
    assert claims.expire == (86_400 if name in ("fpa_token", "temporary_token") else HOUR)


def test_builders_of_subscribers_and_rooms() -> None:
    (rtc,) = fasttoken.parse(PROJECT.rtc_token("lobby", 42, "subscriber")).claims.services
    assert dict(rtc.privileges) == {1: 0}
    for number in (0, 3, 101):
        with pytest.raises(FieldError, match="role"):
            PROJECT.rtc_token("lobby", 42, number)  # type: ignore[arg-type]
    rtm, chat, apaas = fasttoken.parse(
        PROJECT.education_room_user_token("room", "alice", 2)
    ).claims.services
    assert (rtm.user_id, apaas.user_uuid, apaas.role) == ("alice", "alice", 2)
    assert chat.user_id == hashlib.md5(b"alice").hexdigest()
    (fpa,) = fasttoken.parse(PROJECT.fpa_token()).claims.services
    assert dict(fpa.privileges) == {1: 0}
    (app,) = fasttoken.parse(PROJECT.education_app_token()).claims.services
    assert (app.room_uuid, app.user_uuid, app.role) == ("", "", -1)


def test_access_token_tables() -> None:
    text = section("AccessToken")
    told = {int(number): name for number, name in table(text, "privilege")}
    assert told == {p.value: plain(p.name).replace("rtm", "RTM") for p in access_token.Privilege}
    for role, granted in {0: 4, 1: 4, 101: 4, 2: 1}.items():
        token = PROJECT.rtc_token_006("lobby", 42, role)  # type: ignore[arg-type]
        assert list(fasttoken.parse(token).claims.privileges) == list(range(1, granted + 1))
    token = PROJECT.rtm_token_006("alice")
    assert list(fasttoken.parse(token).claims.privileges) == [1000]
    assert PROJECT.verify_signature(token, channel_name="alice", uid="") == "primary"


def test_dynamic_key_services() -> None:
    codes = dynamic_key.SERVICE_CODES
    told = {}
    for name, code, number in table(section("Dynamic keys"), "service"):
        told[int(number)] = (name.replace("-", " "), code.strip("`"))
    assert told == {
        service.value: (plain(service.name), codes.get(service, ""))
        for service in dynamic_key.KeyService
    }


def test_limits() -> None:
    text = section("Limits and meanings")
    for number in (
        rules.CHANNEL_BYTES,
        rules.U32_MAX,
        rules.ACCOUNT_BYTES,
        rules.RTM_USER_BYTES,
        rules.DAY,
        rules.ABSOLUTE,
        rules.TOKEN_CHARACTERS,
        access_token2.INFLATE_LIMIT,
        access_token2.SIGNATURE_BYTES,
        fasttoken.formats.LONGEST,
    ):
        assert re.search(rf"(?<![\d,]){number:,}(?![\d,])", text), number
    (listed,) = re.findall(r"^```characters\n(.*)\n```$", text, re.MULTILINE)
    letters = "".join(chr(c) for c in range(128) if chr(c).isalnum())
    assert set(listed) | set(letters) == set(rules.CHANNEL_CHARACTERS)


def test_limits_when_minting() -> None:
    mint = PROJECT.rtc_token
    mint("x" * 64, 4_294_967_295)
    mint("lobby", "x" * 255)
    refused = [
        ("x" * 65, 42), ("", 42), ("*", 42), ("lobby/1", 42), ("lobby", 0), ("lobby", ""),
        ("lobby", "*"), ("lobby", 4_294_967_296), ("lobby", -1), ("lobby", "x" * 256),
    ]  # fmt: skip
    for channel_name, uid in refused:
        with pytest.raises(FieldError):
            mint(channel_name, uid)
    for channel_name, uid in (("", 42), ("*", 42), ("lobby", 0), ("lobby", "*")):
        mint(channel_name, uid, allow_wildcard=True)
    for expire in (0, 86_401):
        with pytest.warns(TokenWarning, match="24 hours"):
            mint("lobby", 42, expire=expire)
        with pytest.raises(FieldError, match="24 hours"):
            mint("lobby", 42, expire=expire, strict_lifetime=True)
    with pytest.raises(FieldError, match="Unix timestamp"):
        mint("lobby", 42, expire=1_000_000_000)
    with pytest.raises(FieldError, match="at most 64 bytes"):
        PROJECT.rtm_token("x" * 65)
    with pytest.raises(FieldError, match="whitespace"):
        Project(APP_ID, CERTIFICATE[:-1] + "\n")


def test_limits_when_reading() -> None:
    token = values("access_token2")["token"]
    for broken in (
        token[:-4],
        token + "=",
        token + "AAAA",
        "007" + "A" * 262_144,
        token[:20] + "\n",
    ):
        with pytest.raises(MalformedToken):
            fasttoken.parse(broken)


# References -----------------------------------------------------------------------------------


def sources() -> list[Path]:
    return [path for path in (ROOT / "src").rglob("*.py*") if path.suffix in (".py", ".pyx")]


def test_docstrings_refer_to_sections_that_exist() -> None:
    titles = set(re.findall(r"^## (.*)$", FORMATS, re.MULTILINE))
    found = set()
    for path in sources():
        text = " ".join(path.read_text(encoding="utf-8").split())
        found |= set(re.findall(r'docs/formats\.md, "([^"]+)"', text))
    assert len(found) >= 8
    assert found <= titles


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in slugs, target


# The README -----------------------------------------------------------------------------------


DROP_IN = "fasttoken.agora"


def run(blocks: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Runs code blocks in one namespace; ``x  # -> y`` says that the repr of x is y."""
    monkeypatch.setenv("AGORA_APP_ID", APP_ID)
    monkeypatch.setenv("AGORA_APP_CERTIFICATE", CERTIFICATE)
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {}
    for code in blocks:
        exec(compile(code, "README.md", "exec"), namespace)
        for expression, result in re.findall(r"^(\S.*?) +# -> (.*)$", code, re.MULTILINE):
            assert repr(eval(expression, namespace)) == result, expression


def readme_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_readme_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [code for code in readme_blocks() if DROP_IN not in code]
    assert len(blocks) >= 10
    run(blocks, monkeypatch, tmp_path)


def test_readme_drop_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [code for code in readme_blocks() if DROP_IN in code]
    assert len(blocks) == 2
    run(blocks, monkeypatch, tmp_path)


def test_readme_refusal_says_what_the_readme_says() -> None:
    with pytest.raises(FieldError) as refused:
        PROJECT.rtc_token("lobby", 42, expire=1_700_003_600)
    assert f"# {refused.value}\n" in README
