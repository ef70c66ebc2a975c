"""docs/server.md says what the program does: every setting with its default, every example."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from helpers import CERTIFICATE

from fasttoken.server.auth import ApiKey, Issuer
from fasttoken.server.policy import Rule
from fasttoken.server.settings import Settings, Source

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
SETTINGS = PAGE.partition("\n## Settings\n")[2].partition("\n## ")[0]


def settings(kind, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every setting with its default."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field.default


def test_every_setting_stands_in_the_table():
    rows = re.findall(r"^\| `([a-z_.]+)` \|(.*?)\| .+ \|$", SETTINGS, re.M)
    wanted = [
        (name, "" if default in (None, "") else f"`{json.dumps(default)}`")
        for name, default in settings(Settings)
    ]
    assert [(name, default.strip()) for name, default in rows] == wanted


@pytest.mark.parametrize("kind", [ApiKey, Issuer, Rule])
def test_what_lists_hold_is_named(kind):
    for field in msgspec.structs.fields(kind):
        assert re.search(rf"`{field.encode_name}\b", SETTINGS), field.encode_name


def test_the_settings_shown_are_taken(tmp_path):
    text, rule = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    (tmp_path / "certificate").write_text(CERTIFICATE)
    text = (text + rule).replace("/etc/fasttoken/certificate", str(tmp_path / "certificate"))
    (tmp_path / "server.toml").write_text(text.replace("/var/log/fasttoken", str(tmp_path)))
    found = Source(str(tmp_path / "server.toml")).load({})
    first, second = found.policy.rules
    assert (first.name, second.when) == ("rooms", {"role": "student"})


def test_the_requests_shown_are_answered(dev):
    [body] = re.findall(r"^    curl -d '(.*?)'", PAGE, re.M)
    assert dev.client.post("/v1/tokens", content=body).status_code == 200
    [body] = re.findall(r"```json\n(.*?)```", PAGE, re.S)
    assert dev.client.post("/v1/tokens", content=body).status_code == 200


def test_every_native_route_is_described(dev):
    paths = dev.client.get("/openapi.json").json()["paths"]
    for path in (*paths, "/docs", "/openapi.json"):
        assert f" {path}`" in PAGE
