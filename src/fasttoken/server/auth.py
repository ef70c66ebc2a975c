"""Who is asking: API keys and JSON Web Tokens, from a request's headers to a `Caller`.

An API key is ``ft_`` and 256 random bits; the settings hold its SHA-256 digest, by which it is
looked up. A JWT is verified with the keys and the algorithms of the issuer it names: a shared
secret goes with HS256 only, public keys with RS256, ES256 and EdDSA only, so that no key is ever
tried with an algorithm it was not made for.

What was verified once is remembered by its digest until it expires, never in plain text.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
import urllib.request
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import jwt
import msgspec

from .._core import sha256
from ..errors import FieldError
from .faults import NotReady, Unauthorized
from .secret import Secret

if TYPE_CHECKING:
    from .app import Request

log = logging.getLogger("fasttoken.server")

KEY_PREFIX = "ft_"
LONGEST_JWT = 8192  # bytes
REMEMBERED = 10_000  # JWTs whose verification is remembered
SECRET_BYTES = 32  # RFC 7518, section 3.2: a key as long as the hash
KEY_SET_BYTES = 1 << 20
KEY_SET_KEYS = 100
PATIENCE = 6.0  # seconds that a fetch may take
COOLDOWN = 10.0  # seconds between two tries to fetch a key set

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
# The key type that each algorithm takes; "oct" keys, which are secrets, are never fetched.
KEY_TYPES: Mapping[str, str] = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
RSA_BITS = 2048

# Callers -----------------------------------------------------------------------------------------


class Claims(dict[str, Any]):
    """The claims of one credential, never changed; ``granted`` is what the policy made of them."""

    __slots__ = ("granted",)
    granted: Any

    def __init__(self, claims: Mapping[str, Any]) -> None:
        super().__init__(claims)
        self.granted = None


class Caller(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Who asks: a name for logs and limits, the claims that the policy goes by, an address.

    The name is ``key:NAME``, ``jwt:ISSUER/SUBJECT`` or, with ``dev``, ``dev``.
    """

    name: str
    claims: Mapping[str, Any]
    address: str
    request_id: str = ""


class _Known(NamedTuple):
    """Whose credential was verified, and the Unix time until which that stands."""

    name: str
    claims: Claims
    until: float


# API keys ----------------------------------------------------------------------------------------


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An API key as the settings hold it: its name and its digest, never the key.

    ``claims`` is what the policy sees of its caller, besides the claim ``key``, its name. A key
    ends at ``expires``, a time with its zone; one with ``enabled = false`` is revoked.
    """

    name: str
    sha256: str
    enabled: bool = True
    expires: datetime | None = None
    claims: dict[str, Any] = {}

    def check(self) -> None:
        """`FieldError` for what can't be meant."""
        _check_name("auth.keys.name", self.name)
        at = f"auth.keys.{self.name}"
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            mend = "fasttoken keys new NAME prints the line"
            raise FieldError(f"{at}.sha256", "must be 64 hexadecimal digits in lower case", mend)
        if self.expires is not None and self.expires.tzinfo is None:
            raise FieldError(f"{at}.expires", "must have its zone, as 2027-01-31T00:00:00Z has")


def _check_name(field: str, name: str) -> None:
    if not re.fullmatch("[A-Za-z0-9._-]{1,64}", name):
        raise FieldError(field, "must be 1 to 64 letters, digits, '.', '_' or '-'")


def new_key() -> tuple[str, str]:
    """A new API key, for its owner, and its digest, for the settings."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, sha256(key.encode()).hex()


# JSON Web Keys -----------------------------------------------------------------------------------

PublicKeys: TypeAlias = dict[tuple[str, str | None], jwt.PyJWK]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it could lead from https to anywhere."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def fetch_url(url: str, seconds: float = 5) -> bytes:
    """The body of an answer of at most KEY_SET_BYTES, in so many seconds; else `OSError`."""
    deadline = time.monotonic() + seconds
    request = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310
    parts, size = [], 0
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as answer:
        while part := answer.read1(65536):
            size += len(part)
            if size > KEY_SET_BYTES:
                raise OSError("the key set is too large")
            if time.monotonic() > deadline:
                raise TimeoutError("the key set comes too slowly")
            parts.append(part)
    return b"".join(parts)


def parse_key_set(text: bytes, algorithms: Iterable[str]) -> PublicKeys:
    """The usable public keys of a JWK Set (RFC 7517) by algorithm and key id. `ValueError` if it
    is none, or holds no usable key. Keys of other types, sizes or uses are passed over."""
    try:
        listed = msgspec.json.decode(text, type=dict[str, Any])["keys"]
    except (msgspec.MsgspecError, KeyError, RecursionError):
        raise ValueError("not a JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > KEY_SET_KEYS:
        raise ValueError(f"not a JSON Web Key Set of at most {KEY_SET_KEYS} keys")
    found: PublicKeys = {}
    for row in listed:
        if not isinstance(row, dict) or row.get("use", "sig") != "sig" or "d" in row:
            continue
        for algorithm in algorithms:
            if KEY_TYPES.get(algorithm) != row.get("kty") or row.get("alg", algorithm) != algorithm:
                continue
            try:
                key = jwt.PyJWK(row, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                continue
            if getattr(key.key, "key_size", RSA_BITS) < RSA_BITS and algorithm == "RS256":
                continue
            kid = row.get("kid")
            found[algorithm, kid if isinstance(kid, str) else None] = key
    if not found:
        raise ValueError("the key set holds no usable public key")
    return found


class KeySet:
    """An issuer's published keys: fetched when needed, again when old, again for an unknown key id.

    ``fetch`` blocks and runs in a thread. One fetch runs at a time, and starts COOLDOWN seconds
    after the last at the earliest. While fetches fail, the keys of the last good one stay.
    ``changed`` is called when a fetch brought other keys.
    """

    def __init__(
        self,
        fetch: Callable[[], bytes],
        algorithms: Iterable[str],
        max_age: float = 600,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._fetch = fetch
        self._algorithms = tuple(algorithms)
        self._max_age = max_age
        self._clock = clock
        self._text: bytes | None = None
        self._keys: PublicKeys = {}
        self._tried = self._fetched = float("-inf")
        self._running: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        """The key of that id, or without an id the only one for the algorithm; None if there is
        none. `Unavailable` as long as no key set could be fetched at all."""
        now, key = self._clock(), self._look_up(algorithm, kid)
        running = self._running is not None and not self._running.done()
        if running or now - self._tried >= COOLDOWN:
            if key is None:
                await asyncio.shield(self._refresh())
                key = self._look_up(algorithm, kid)
            elif now - self._fetched >= self._max_age:
                self._refresh()  # in the background: these keys do for now
        if key is None and not self._keys:
            raise NotReady("the issuer's keys can't be fetched", reason="keys_unavailable")
        return key

    def _look_up(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        if kid is not None:
            return self._keys.get((algorithm, kid))
        fitting = [key for (each, _), key in self._keys.items() if each == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _refresh(self) -> asyncio.Task[None]:
        if self._running is None or self._running.done():
            self._tried = self._clock()
            self._running = asyncio.create_task(self._load())
        return self._running

    async def _load(self) -> None:
        try:
            text = await asyncio.wait_for(asyncio.to_thread(self._fetch), PATIENCE)
            keys = parse_key_set(text, self._algorithms)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            log.warning("a key set can't be loaded: %s", type(error).__name__)
            return
        self._fetched = self._clock()
        if text != self._text:
            self._text, self._keys = text, keys
            self.changed()


# Issuers -----------------------------------------------------------------------------------------

_SOURCES = ("secret", "secret_file", "public_key", "public_key_file", "jwks_url", "jwks_file")


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose JWTs are taken: the ``iss`` and ``aud`` they must name, and how they are verified.

    One of ``secret`` (HS256, at least 32 bytes), ``public_key`` (PEM) or ``jwks_url`` (https; http
    only on this machine), the first two also as ``_file``; or ``jwks_file``. ``name`` stands for
    the issuer in callers' names; ``subject`` is the claim that names the caller. ``leeway``
    forgives clocks that differ; a key set is fetched again after ``jwks_max_age``. In seconds.
    """

    name: str
    issuer: str
    audience: str
    algorithms: tuple[Algorithm, ...]
    secret: Secret | None = None
    secret_file: str | None = None
    public_key: str | None = None
    public_key_file: str | None = None
    jwks_url: str | None = None
    jwks_file: str | None = None
    subject: str = "sub"
    leeway: int = 30
    jwks_max_age: int = 600

    def check(self) -> None:
        """`FieldError` for what can't be meant, and for keys that don't fit the algorithms."""
        _check_name("auth.issuers.name", self.name)
        at = f"auth.issuers.{self.name}"
        if len(self.given()) != 1:
            raise FieldError(at, f"must have one of {', '.join(_SOURCES)}")
        for field in ("issuer", "audience", "subject"):
            if not getattr(self, field):
                raise FieldError(f"{at}.{field}", "must not be empty")
        [source] = self.given()
        secret = source.startswith("secret")
        fitting = {"HS256"} if secret else set(KEY_TYPES)
        if not self.algorithms or not fitting.issuperset(self.algorithms):
            rule = f"must be of {', '.join(sorted(fitting))} with {source}"
            raise FieldError(f"{at}.algorithms", rule)
        if not 0 <= self.leeway <= 300:
            raise FieldError(f"{at}.leeway", "must be in 0..300 seconds")
        if not 1 <= self.jwks_max_age <= 86_400:
            raise FieldError(f"{at}.jwks_max_age", "must be in 1..86400 seconds")
        if self.jwks_url is not None:
            url = urlsplit(self.jwks_url)
            near = url.hostname in ("localhost", "127.0.0.1", "::1")
            if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and near)):
                raise FieldError(f"{at}.jwks_url", "must be an https URL")
        elif self.jwks_file is None:
            self.keys()

    def given(self) -> list[str]:
        """The names of the sources of keys that are set."""
        return [source for source in _SOURCES if getattr(self, source) is not None]

    def keys(self) -> Mapping[str, Any]:
        """The fixed key for each algorithm. `FieldError` if it is not one for it."""
        [source] = self.given()
        at = f"auth.issuers.{self.name}.{source}"
        given: Any = getattr(self, source)
        if source.endswith("_file"):
            given = _file(at, given)
        elif isinstance(given, Secret):
            given = given.reveal()
        if source.startswith("secret"):
            if len(given.encode()) < SECRET_BYTES:
                raise FieldError(at, f"must be at least {SECRET_BYTES} random bytes")
            return {"HS256": given.encode()}
        if "PRIVATE KEY" in given:
            raise FieldError(at, "is a private key", "give the public one")
        return {algorithm: _public_key(at, algorithm, given) for algorithm in self.algorithms}


def _file(field: str, name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError(field, f"can't be read ({type(error).__name__})") from None


def _public_key(field: str, algorithm: str, pem: str) -> Any:
    try:
        key = jwt.get_algorithm_by_name(algorithm).prepare_key(pem)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise FieldError(field, f"must be a public key for {algorithm}, in PEM") from None
    if algorithm == "RS256" and key.key_size < RSA_BITS:
        raise FieldError(field, f"must have at least {RSA_BITS} bits")
    return key


class _Verifier:
    """Verifies the JWTs of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.key_set: KeySet | None = None
        self._keys: Mapping[str, Any] = {}
        if issuer.jwks_url is not None:
            self.key_set = KeySet(
                partial(fetch_url, issuer.jwks_url), issuer.algorithms, issuer.jwks_max_age
            )
        elif issuer.jwks_file is not None:
            self.key_set = KeySet(
                Path(issuer.jwks_file).read_bytes, issuer.algorithms, issuer.jwks_max_age
            )
        else:
            self._keys = issuer.keys()
        self._options: Any = {
            "require": ["exp", "iss", "aud", issuer.subject],
            # Judged below, against the clock that was given; PyJWT has its own.
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        }

    async def verify(self, token: str, header: Mapping[str, Any], now: float) -> _Known:
        """Whose token it is. `Unauthorized` says what is wrong with it."""
        algorithm, kid = header["alg"], header.get("kid")
        if algorithm not in self.issuer.algorithms:
            raise refused("jwt_algorithm", "the JWT's algorithm is not one of its issuer's")
        if self.key_set is not None:
            key = await self.key_set.find(algorithm, kid)
        else:
            key = self._keys[algorithm]
        if key is None:
            raise refused("jwt_key", "the JWT's key is not one of its issuer's")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self.issuer.audience,
                issuer=self.issuer.issuer,
                options=self._options,
            )
        except jwt.InvalidSignatureError:
            raise refused("jwt_signature", "the JWT's signature is wrong") from None
        except jwt.InvalidAudienceError:
            raise refused("jwt_audience", "the JWT is for another audience") from None
        except jwt.MissingRequiredClaimError as error:
            raise refused("jwt_claims", f"the JWT lacks the claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise refused("jwt_malformed", "the JWT can't be read") from None
        return self._judged(claims, now)

    def _judged(self, claims: Mapping[str, Any], now: float) -> _Known:
        until = _time(claims, "exp") + self.issuer.leeway
        if now >= until:
            raise refused("jwt_expired", "the JWT has expired")
        for claim in ("nbf", "iat"):
            if claim in claims and _time(claims, claim) > now + self.issuer.leeway:
                raise refused("jwt_early", f"the JWT is not valid yet ({claim})")
        subject = claims[self.issuer.subject]
        if isinstance(subject, bool) or not isinstance(subject, str | int) or not _text(subject):
            raise refused("jwt_claims", f"the claim {self.issuer.subject} must name a user")
        return _Known(f"jwt:{self.issuer.name}/{subject}", Claims(claims), until)


def _text(subject: str | int) -> bytes:
    """A subject as UTF-8; empty if it is not text (JSON can hold lone surrogates)."""
    try:
        return str(subject).encode()
    except UnicodeEncodeError:
        return b""


def _time(claims: Mapping[str, Any], claim: str) -> float:
    """A claim that is a time, in Unix seconds."""
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise refused("jwt_claims", f"the claim {claim} must be a time in Unix seconds")
    return float(value)


# Authentication ----------------------------------------------------------------------------------


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``auth`` of the settings."""

    keys: tuple[ApiKey, ...] = ()
    issuers: tuple[Issuer, ...] = ()

    def check(self, dev: bool) -> None:
        """`FieldError` for what can't be meant."""
        if not dev and not self.keys and not self.issuers:
            mend = "fasttoken keys new NAME makes a key; --dev lets everyone in"
            raise FieldError("auth", "must have keys or issuers", mend)
        for key in self.keys:
            key.check()
        for issuer in self.issuers:
            issuer.check()
        for kind, own in (
            ("keys", [key.name for key in self.keys]),
            ("keys", [key.sha256 for key in self.keys]),
            ("issuers", [issuer.name for issuer in self.issuers]),
            ("issuers", [issuer.issuer for issuer in self.issuers]),
        ):
            if len(set(own)) != len(own):
                raise FieldError(f"auth.{kind}", "must not name the same thing twice")

    def files(self) -> Iterator[Path]:
        """The files that keys are read from; key sets look after their own."""
        for issuer in self.issuers:
            for name in (issuer.secret_file, issuer.public_key_file):
                if name is not None:
                    yield Path(name)


class _Payload(msgspec.Struct):
    """What is read of a JWT before it is verified: whose it says it is."""

    iss: str


_payload = msgspec.json.Decoder(_Payload)
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="fasttoken"'),)


def refused(reason: str, detail: str) -> Unauthorized:
    """The error for a request whose caller can't be told; each carries the same challenge."""
    return Unauthorized(detail, _CHALLENGE, reason)


def _given_twice(request: Request) -> bool:
    """Whether a request has more than one credential."""
    names = [name for name, _ in request.scope["headers"]]
    return names.count(b"authorization") + names.count(b"x-api-key") > 1


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The id that a proxy or the client gave a request, if logs can bear it."""
    given = headers.get(b"x-request-id")
    return given.decode() if given is not None and _plain_id(given) else ""


_plain_id = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class Authenticator:
    """Finds the caller of a request."""

    def __init__(
        self,
        settings: Auth,
        dev: bool,
        old: Authenticator | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes the keys and issuers of the settings, and from ``old`` the key sets that were
        fetched for those that stayed. ``clock`` tells Unix seconds."""
        self._dev = dev
        self._clock = clock
        self._keys = {
            bytes.fromhex(key.sha256): _Known(
                f"key:{key.name}",
                Claims({**key.claims, "key": key.name}),
                float("inf") if key.expires is None else key.expires.timestamp(),
            )
            for key in settings.keys
            if key.enabled
        }
        self._revoked = {bytes.fromhex(key.sha256) for key in settings.keys if not key.enabled}
        self._jwts: dict[bytes, _Known] = {}
        self._verifiers: dict[str, _Verifier] = {}
        for issuer in settings.issuers:
            verifier = old._verifiers.get(issuer.issuer) if old is not None else None
            if verifier is None or verifier.issuer != issuer or verifier.key_set is None:
                verifier = _Verifier(issuer)
            if verifier.key_set is not None:
                verifier.key_set.changed = self._forget
            self._verifiers[issuer.issuer] = verifier

    def known(self, request: Request) -> Caller | None:
        """The caller, if there is nothing unusual about its credential; else ask `caller`."""
        headers = request.headers
        given = headers.get(b"authorization")
        if given is None or given[:7] != b"Bearer " or b"x-request-id" in headers:
            return None
        digest = sha256(given[7:])
        known = self._keys.get(digest) or self._jwts.get(digest)
        if (
            known is None
            or self._clock() >= known.until
            or len(headers) != len(request.scope["headers"])
            or b"x-api-key" in headers
        ):
            return None
        return Caller(known.name, known.claims, request.address)

    async def caller(self, request: Request) -> Caller:
        """The caller. `Unauthorized` if it can't be told, `NotReady` if its issuer's keys could
        never be fetched."""
        if self._dev:
            return Caller("dev", _NO_CLAIMS, request.address)
        headers = request.headers
        given = headers.get(b"authorization")
        if given is None:
            given = headers.get(b"x-api-key")
        elif given[:7].lower() == b"bearer ":
            given = given[7:].strip()
        else:
            raise refused("no_credential", "Authorization must be Bearer")
        if not given:
            raise refused(
                "no_credential",
                "needs an API key or a JWT: Authorization: Bearer ..., or X-API-Key: ...",
            )
        if len(headers) != len(request.scope["headers"]) and _given_twice(request):
            raise refused("two_credentials", "the request has more than one credential")
        # A client can't steer a digest, so the timing of a look-up tells nothing of use.
        digest = sha256(given)
        known = self._keys.get(digest) or self._jwts.get(digest)
        if known is None or self._clock() >= known.until:
            known = await self._verified(given, digest)
        return Caller(known.name, known.claims, request.address, _request_id(headers))

    def _forget(self) -> None:
        """What was verified with keys that are no longer published must be verified again."""
        self._jwts = {}

    async def _verified(self, given: bytes, digest: bytes) -> _Known:
        if digest in self._keys:
            raise refused("key_expired", "the API key has expired")
        if digest in self._revoked:
            raise refused("key_revoked", "the API key was revoked")
        if given.count(b".") != 2:
            raise refused("key_unknown", "the API key is unknown")
        if len(given) > LONGEST_JWT:
            raise refused("jwt_malformed", f"the JWT is longer than {LONGEST_JWT} bytes")
        try:
            token = given.decode("ascii")
            header = jwt.get_unverified_header(token)
            claimed = _payload.decode(urlsafe_b64decode(token.split(".")[1] + "=="))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise refused("jwt_malformed", "the JWT can't be read") from None
        verifier = self._verifiers.get(claimed.iss)
        if verifier is None:
            raise refused("jwt_issuer", "the JWT's issuer is unknown")
        remembered = self._jwts
        remembered.pop(digest, None)
        known = await verifier.verify(token, header, self._clock())
        # If the keys changed meanwhile, these are no longer the remembered ones, as it should be.
        while len(remembered) >= REMEMBERED:
            del remembered[next(iter(remembered))]
        remembered[digest] = known
        return known


_NO_CLAIMS = Claims({})
