"""What the server is set up with, and where that is read from (docs/server.md, "Settings").

A setting comes from an option of ``fasttoken serve``, else from the environment, else from a
``.env`` file, else from a TOML file, else from its default. In the environment and in ``.env`` the
setting ``tls.key`` is ``FASTTOKEN_SERVER_TLS__KEY``; those of the project are ``AGORA_APP_ID``,
``AGORA_APP_CERTIFICATE`` and ``AGORA_APP_CERTIFICATE_SECONDARY``, as everywhere. A name that is no
setting is an error, wherever it stands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
from dotenv import dotenv_values

from ..errors import FieldError
from ..project import HOUR, Project
from ..rules import DAY
from .audit import Audit
from .auth import Auth
from .cors import Cors
from .faults import misfit
from .limits import Limits
from .metrics import Metrics
from .policy import Policy
from .secret import Secret, hidden

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "FASTTOKEN_SERVER_"
PROJECT_NAMES = {
    "AGORA_APP_ID": "app_id",
    "AGORA_APP_CERTIFICATE": "app_certificate",
    "AGORA_APP_CERTIFICATE_SECONDARY": "secondary_certificate",
    "AGORA_APP_CERTIFICATE_FILE": "app_certificate_file",
    "AGORA_APP_CERTIFICATE_SECONDARY_FILE": "secondary_certificate_file",
}


class ProjectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The App ID and its certificates, each given itself or as a file that holds it alone."""

    app_id: str = ""
    app_certificate: Secret | None = None
    secondary_certificate: Secret | None = None
    app_certificate_file: str | None = None
    secondary_certificate_file: str | None = None

    def files(self) -> Iterator[Path]:
        """The files that certificates are read from."""
        for name in (self.app_certificate_file, self.secondary_certificate_file):
            if name is not None:
                yield Path(name)

    def open(self) -> Project:
        """The project. `FieldError` if something is missing or wrong; it shows no certificate."""
        primary = _certificate(
            "project.app_certificate", self.app_certificate, self.app_certificate_file
        )
        if not self.app_id:
            raise FieldError("project.app_id", "must be given", "for one as AGORA_APP_ID")
        if primary is None:
            mend = "for one as AGORA_APP_CERTIFICATE"
            raise FieldError("project.app_certificate", "must be given", mend)
        secondary = _certificate(
            "project.secondary_certificate",
            self.secondary_certificate,
            self.secondary_certificate_file,
        )
        return Project(
            self.app_id, primary.reveal(), None if secondary is None else secondary.reveal()
        )


def _certificate(field: str, given: Secret | None, file: str | None) -> Secret | None:
    if file is None:
        return given if given is not None and given.reveal() else None
    if given is not None:
        raise FieldError(field, "can't be given both itself and as a file")
    try:
        return Secret(Path(file).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise FieldError(f"{field}_file", f"can't be read ({type(error).__name__})") from None


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTPS: PEM files of the server's certificate chain and its private key."""

    certificate: str | None = None
    key: str | None = None


class TokenDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token is like where a request does not say.

    ``expire``: seconds until it ends. ``longest``: the longest lifetime that may be asked for, at
    most 24 hours. ``version`` is that of the compatible routes whose originals made 006.
    """

    expire: int = HOUR
    longest: int = DAY
    version: Literal["007", "006"] = "007"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of the server.

    ``demo`` is a directory with a page of your own in place of the packaged one, for ``dev``.
    """

    project: ProjectSettings = ProjectSettings()
    host: str = "127.0.0.1"
    port: int | None = None
    workers: int = 1
    dev: bool = False
    demo: str | None = None
    compat: tuple[str, ...] = ()
    shutdown_seconds: int = 30
    proxies: tuple[str, ...] = ()
    tls: Tls = Tls()
    tokens: TokenDefaults = TokenDefaults()
    auth: Auth = Auth()
    policy: Policy = Policy()
    limits: Limits = Limits()
    cors: Cors = Cors()
    audit: Audit = Audit()
    metrics: Metrics = Metrics()

    @property
    def bound_port(self) -> int:
        """The port: as set, else where the original of the compatible routes is."""
        if self.port is not None:
            return self.port
        from .compat import port

        return port(self.compat) or 8080

    def check(self) -> Settings:
        """Itself, if all settings go together; else `FieldError` with the name of one."""
        _within("workers", self.workers, 1, 256)
        _within("port", self.bound_port, 0, 65535)
        _within("shutdown_seconds", self.shutdown_seconds, 1, 3600)
        _within("tokens.longest", self.tokens.longest, 1, DAY)
        _within("tokens.expire", self.tokens.expire, 1, self.tokens.longest)
        if self.dev and not _is_loopback(self.host):
            raise FieldError("host", "must be a loopback address with dev, which lets everyone in")
        if self.demo is not None and not (Path(self.demo) / "index.html").is_file():
            raise FieldError("demo", "must be a directory with an index.html")
        if (self.tls.certificate is None) != (self.tls.key is None):
            raise FieldError("tls", "needs both certificate and key")
        from .compat import FAMILIES

        for name in self.compat:
            if name not in FAMILIES:
                known = ", ".join(FAMILIES) or "none yet"
                raise FieldError("compat", f"has an unknown name {name!r}; known: {known}")
        for section in (self.auth, self.policy, self.limits, self.cors, self.audit, self.metrics):
            section.check(self.dev)
        self.project.open()
        return self

    def shown(self) -> dict[str, Any]:
        """The settings as plain data, secrets hidden."""
        found: dict[str, Any] = msgspec.to_builtins(self, enc_hook=hidden)
        found["port"] = self.bound_port
        return found


def _within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise FieldError(field, f"must be in {low}..{high}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# Where settings come from ---------------------------------------------------------------------


class Source(msgspec.Struct, frozen=True):
    """The places that settings are read from, so that they can be read again.

    ``options`` are those of the command line, nested as in TOML; they hold no secret.
    """

    config: str | None = None
    env_file: str | None = None
    options: dict[str, Any] = {}

    def load(self, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings as they are now. `FieldError` names the one that is wrong."""
        data: dict[str, Any] = {}
        if self.config is not None:
            _merge(data, _toml(self.config))
        env_file = self.env_file or (".env" if os.path.isfile(".env") else None)
        if env_file is not None:
            if not Path(env_file).is_file():
                raise FieldError("--env-file", "can't be read (no such file)")
            found = dotenv_values(env_file, interpolate=False)
            _merge(data, _named({key: value or "" for key, value in found.items()}))
        _merge(data, _named(os.environ if environ is None else environ))
        _merge(data, self.options)
        return _converted(data).check()

    def files(self, settings: Settings) -> list[Path]:
        """The files that the settings were read from: to be watched for changes."""
        own = (self.config, self.env_file or ".env")
        sections = (settings.project, settings.auth, settings.policy)
        return [
            *(Path(name) for name in own if name),
            *(path for section in sections for path in section.files()),
        ]


def _merge(data: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Puts one place's settings over another's, section by section."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict):
            _merge(data[key], value)
        else:
            data[key] = dict(value) if isinstance(value, Mapping) else value


def _toml(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        # Only the place: the message may quote the line.
        place = str(error).rpartition("(")[2].rstrip(")")
        raise FieldError("--config", f"is not TOML ({place})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError("--config", f"can't be read ({type(error).__name__})") from None


def _named(variables: Mapping[str, str]) -> dict[str, Any]:
    """The settings among environment variables."""
    data: dict[str, Any] = {}
    for name, value in variables.items():
        if name in PROJECT_NAMES and value:
            data.setdefault("project", {})[PROJECT_NAMES[name]] = value
        elif name.startswith(PREFIX):
            *sections, last = name[len(PREFIX) :].lower().split("__")
            place, kind = data, Settings
            for section in sections:
                place = place.setdefault(section, {})
                kind = _types(kind).get(section, kind)
            if not isinstance(place, dict) or last not in _types(kind):
                raise FieldError(name, "is not a setting")
            place[last] = _value(name, value)
    return data


def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind) if isinstance(kind, type) else {}


def _value(name: str, text: str) -> Any:
    """A variable's value: JSON where it is a list or an object, else as it stands."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise FieldError(name, "is not JSON") from None


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError


def _converted(data: dict[str, Any]) -> Settings:
    compat = data.get("compat")
    if isinstance(compat, str):
        data["compat"] = [name.strip() for name in compat.split(",") if name.strip()]
    try:
        return msgspec.convert(data, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise misfit(error, "settings") from None
