"""Who is asking: API keys, JWTs, key sets. Time is given, nothing waits for a clock."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import threading
from datetime import datetime, timezone
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
jwt = pytest.importorskip("jwt", reason="the extra [server] is not installed")
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fasttoken.errors import FieldError  # noqa: E402
from fasttoken.server import auth  # noqa: E402
from fasttoken.server.auth import ApiKey, Auth, Authenticator, Issuer, KeySet  # noqa: E402
from fasttoken.server.faults import NotReady, Unauthorized  # noqa: E402
from fasttoken.server.secret import Secret  # noqa: E402

pytestmark = pytest.mark.once

NOW = 1_700_000_000
SECRET = "a shared secret of at least 32 bytes"
PRIVATE = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
OTHER = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Request:
    """What an authenticator sees of a request."""

    address = "192.0.2.7"

    def __init__(self, *headers):
        self.scope = {"headers": list(headers)}
        self.headers = dict(headers)


def bearer(credential):
    text = credential if isinstance(credential, bytes) else credential.encode()
    return Request((b"authorization", b"Bearer " + text))


def issuer(algorithm="HS256", **more):
    keys = {"secret": Secret(SECRET)} if algorithm == "HS256" else {"public_key": None}
    if algorithm != "HS256":
        keys["public_key"] = pem(PRIVATE[algorithm])
    given = {
        "name": "school",
        "issuer": "https://id.example.com",
        "audience": "fasttoken",
        "algorithms": (algorithm,),
        **keys,
    }
    made = Issuer(**given | more)
    made.check()
    return made


def claims(**more):
    own = {"iss": "https://id.example.com", "aud": "fasttoken", "sub": "ann", "exp": NOW + 60}
    return {key: value for key, value in (own | more).items() if value is not None}


def signed(algorithm="HS256", key=None, headers=None, **more):
    key = key or (SECRET if algorithm == "HS256" else PRIVATE[algorithm])
    return jwt.encode(claims(**more), key, algorithm, headers)


def by_hand(header, payload, signature=b""):
    """A JWT that no library would make."""
    parts = [json.dumps(part).encode() if isinstance(part, dict) else part for part in
             (header, payload)]  # fmt: skip
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (*parts, signature))


def told(authenticator, request):
    """The caller of a request; asked in the short way and, where that does not know, the long."""
    known = authenticator.known(request)
    caller = asyncio.run(authenticator.caller(request))
    if known is not None:
        assert (known.name, known.address) == (caller.name, caller.address)
        assert known.claims is caller.claims
    return caller


def judge(*, keys=(), issuers=(), now=NOW):
    settings = Auth(tuple(keys), tuple(issuers))
    settings.check(dev=not keys and not issuers)
    return Authenticator(settings, False, clock=lambda: now)


def reason(authenticator, request):
    """Why a request is refused; the answer's shape is the same whatever the reason."""
    assert authenticator.known(request) is None
    with pytest.raises(Unauthorized) as caught:
        asyncio.run(authenticator.caller(request))
    assert caught.value.headers == ((b"www-authenticate", b'Bearer realm="fasttoken"'),)
    for name, value in request.scope["headers"]:
        if name in (b"authorization", b"x-api-key") and len(value) > 12:
            assert value.decode("latin-1")[7:] not in str(caught.value)
    return caught.value.reason


# API keys ----------------------------------------------------------------------------------------


def test_a_key_is_new_and_only_its_digest_is_kept():
    key, digest = auth.new_key()
    assert re.fullmatch("ft_[A-Za-z0-9_-]{43}", key)
    assert len(base64.urlsafe_b64decode(key[3:] + "=")) * 8 == 256
    assert digest == sha256(key.encode()).hexdigest()
    assert auth.new_key()[0] != key


def test_an_api_key_is_told_by_its_digest():
    key, digest = auth.new_key()
    authenticator = judge(keys=[ApiKey(name="mobile", sha256=digest, claims={"tenant": "acme"})])
    for request in (
        bearer(key),
        Request((b"authorization", b"bearer  " + key.encode() + b" ")),
        Request((b"x-api-key", key.encode())),
    ):
        caller = told(authenticator, request)
        assert (caller.name, caller.address) == ("key:mobile", "192.0.2.7")
    assert authenticator.known(bearer(key)) is not None
    assert caller.claims == {"tenant": "acme", "key": "mobile"}
    assert key not in repr(caller)
    # The digest is no key, nor is anything near.
    for wrong in (digest, key[:-1], key + "x", key.swapcase(), "ft_"):
        assert reason(authenticator, bearer(wrong)) == "key_unknown"


def test_several_keys_are_told_apart_and_revoked_one_by_one():
    pairs = [auth.new_key() for _ in range(3)]
    keys = [
        ApiKey(name="first", sha256=pairs[0][1]),
        ApiKey(name="second", sha256=pairs[1][1], enabled=False),
        ApiKey(name="third", sha256=pairs[2][1], expires=datetime.fromtimestamp(NOW, timezone.utc)),
    ]
    before, after = judge(keys=keys, now=NOW - 1), judge(keys=keys, now=NOW)
    assert told(after, bearer(pairs[0][0])).name == "key:first"
    assert reason(after, bearer(pairs[1][0])) == "key_revoked"
    assert told(before, bearer(pairs[2][0])).name == "key:third"
    assert reason(after, bearer(pairs[2][0])) == "key_expired"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), "no_credential"),
        (((b"authorization", b""),), "no_credential"),
        (((b"authorization", b"Basic dTpw"),), "no_credential"),
        (((b"authorization", b"Bearer "),), "no_credential"),
        (((b"x-api-key", b""),), "no_credential"),
        (((b"authorization", b"Bearer \xff\xfe"),), "key_unknown"),
        (((b"authorization", b"Bearer a.b.c"),), "jwt_malformed"),
        (((b"authorization", b"Bearer " + b"a" * 9000 + b".b.c"),), "jwt_malformed"),
    ],
)
def test_what_is_no_credential(headers, expected):
    assert reason(judge(), Request(*headers)) == expected


def test_two_credentials_are_one_too_many():
    key, digest = auth.new_key()
    authenticator = judge(keys=[ApiKey(name="mobile", sha256=digest)])
    good = (b"authorization", b"Bearer " + key.encode())
    for more in ((b"authorization", b"Bearer x"), good):
        assert reason(authenticator, Request(more, good)) == "two_credentials"
    # Other headers may well stand twice.
    assert told(authenticator, Request((b"accept", b"a"), (b"accept", b"b"), good)).name


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": "a b"}, "auth.keys.name"),
        ({"name": ""}, "auth.keys.name"),
        ({"sha256": "AB" * 32}, "auth.keys.mobile.sha256"),
        ({"sha256": "ft_" + "a" * 43}, "auth.keys.mobile.sha256"),
        ({"expires": datetime(2030, 1, 1)}, "auth.keys.mobile.expires"),
    ],
)
def test_keys_that_cannot_be_meant(more, field):
    with pytest.raises(FieldError) as caught:
        ApiKey(**{"name": "mobile", "sha256": "ab" * 32} | more).check()
    assert caught.value.field == field


def test_no_two_keys_share_a_name_or_a_digest():
    one = ApiKey(name="one", sha256="ab" * 32)
    for two in (ApiKey(name="one", sha256="cd" * 32), ApiKey(name="two", sha256="ab" * 32)):
        with pytest.raises(FieldError, match=r"auth\.keys"):
            Auth(keys=(one, two)).check(False)


def test_the_command_makes_a_key_that_the_settings_take():
    made = subprocess.run(
        [sys.executable, "-m", "fasttoken", "keys", "new", "mobile"],
        capture_output=True,
        text=True,
        check=True,
    )
    name, digest = re.findall('= "(.*)"', made.stderr)
    key = made.stdout.strip()
    assert made.stderr.startswith("[[auth.keys]]\n")
    authenticator = judge(keys=[ApiKey(name=name, sha256=digest)])
    assert told(authenticator, bearer(key)).name == "key:mobile"


# JWTs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_jwt_of_each_algorithm(algorithm):
    authenticator = judge(issuers=[issuer(algorithm)])
    caller = told(authenticator, bearer(signed(algorithm, tenant="acme")))
    assert caller.name == "jwt:school/ann"
    assert caller.claims["tenant"] == "acme"
    forged = signed(algorithm, SECRET[::-1] if algorithm == "HS256" else OTHER[algorithm])
    assert reason(authenticator, bearer(forged)) == "jwt_signature"


def test_a_public_key_is_never_taken_for_a_shared_secret():
    """The classic: an HS256 token signed with the issuer's public key, which anybody has."""
    header, payload = {"alg": "HS256", "typ": "JWT"}, claims()
    for algorithm in ("RS256", "ES256", "EdDSA"):
        import hashlib
        import hmac

        unsigned = by_hand(header, payload)[:-1]
        for secret in (pem(PRIVATE[algorithm]), pem(PRIVATE[algorithm]).strip()):
            mac = hmac.new(secret.encode(), unsigned, hashlib.sha256).digest()
            forged = unsigned + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")
            assert reason(judge(issuers=[issuer(algorithm)]), bearer(forged)) == "jwt_algorithm"


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "HS384", "RS512", "ES256K", 5])
def test_other_algorithms_are_refused(algorithm):
    for each in ("HS256", "RS256"):
        authenticator = judge(issuers=[issuer(each)])
        forged = by_hand({"alg": algorithm, "typ": "JWT"}, claims())
        assert reason(authenticator, bearer(forged)) in ("jwt_algorithm", "jwt_malformed")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"exp": NOW - 31}, "jwt_expired"),
        ({"exp": NOW - 30}, "jwt_expired"),
        ({"exp": None}, "jwt_claims"),
        ({"exp": "tomorrow"}, "jwt_claims"),
        ({"exp": True}, "jwt_claims"),
        ({"exp": 1e400}, "jwt_malformed"),
        ({"exp": 2**53}, "jwt_claims"),
        ({"nbf": NOW + 31}, "jwt_early"),
        ({"iat": NOW + 31}, "jwt_early"),
        ({"nbf": "now"}, "jwt_claims"),
        ({"aud": "another"}, "jwt_audience"),
        ({"aud": None}, "jwt_claims"),
        ({"aud": []}, "jwt_claims"),
        ({"iss": "https://evil.example.com"}, "jwt_issuer"),
        ({"sub": None}, "jwt_claims"),
        ({"sub": ""}, "jwt_claims"),
        ({"sub": "\ud800"}, "jwt_malformed"),
    ],
)
def test_claims_that_do_not_hold(more, expected):
    assert reason(judge(issuers=[issuer()]), bearer(signed(**more))) == expected


@pytest.mark.parametrize(
    "more",
    [
        {"exp": NOW - 29},
        {"nbf": NOW + 30, "iat": NOW + 30},
        {"aud": ["other", "fasttoken"]},
        {"exp": NOW + 0.5},
    ],
)
def test_claims_that_hold(more):
    assert told(judge(issuers=[issuer()]), bearer(signed(**more))).name == "jwt:school/ann"


@pytest.mark.parametrize(
    "forged",
    [
        b"..",
        b"a.b.c",
        b"=.=.=",
        by_hand(b"[]", claims()),
        by_hand({"alg": "HS256"}, b"[" * 5000),
        by_hand(b"[" * 3000, claims()),
        by_hand({"alg": "HS256"}, b'{"iss":5}'),
        by_hand({"alg": "HS256"}, b'{"iss":"https://id.example.com"'),
        by_hand({"alg": "HS256", "kid": 7}, claims()),
        by_hand({"alg": "HS256", "crit": ["exp"], "exp": 1}, claims()),
        by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}, claims()),
        "ä.ö.ü".encode(),
    ],
)
def test_what_is_no_jwt(forged):
    assert reason(judge(issuers=[issuer()]), bearer(forged)) in ("jwt_malformed", "jwt_signature")


def test_an_issuer_is_not_verified_with_the_key_of_another():
    first = issuer()
    second = issuer("RS256", name="work", issuer="https://work.example.com")
    authenticator = judge(issuers=[first, second])
    assert told(authenticator, bearer(signed())).name == "jwt:school/ann"
    right = signed("RS256", iss="https://work.example.com")
    assert told(authenticator, bearer(right)).name == "jwt:work/ann"
    crossed = signed("HS256", iss="https://work.example.com")
    assert reason(authenticator, bearer(crossed)) == "jwt_algorithm"
    assert reason(authenticator, bearer(signed("RS256"))) == "jwt_algorithm"


def test_what_was_verified_is_remembered_until_it_expires(monkeypatch):
    now = [NOW]
    settings = Auth(issuers=(issuer(),))
    authenticator = Authenticator(settings, False, clock=lambda: now[0])
    token = signed(exp=NOW + 60)
    first = told(authenticator, bearer(token))
    monkeypatch.setattr(auth.jwt, "decode", None)  # it can't be verified any more
    again = told(authenticator, bearer(token))
    assert again.claims is first.claims
    now[0] = NOW + 89
    assert told(authenticator, bearer(token)).claims is first.claims
    monkeypatch.undo()
    now[0] = NOW + 90
    assert reason(authenticator, bearer(token)) == "jwt_expired"
    assert not authenticator._jwts


def test_memory_for_jwts_is_bounded(monkeypatch):
    monkeypatch.setattr(auth, "REMEMBERED", 3)
    authenticator = judge(issuers=[issuer()])
    for number in range(10):
        told(authenticator, bearer(signed(sub=f"user-{number}")))
    assert [known.name for known in authenticator._jwts.values()] == [
        f"jwt:school/user-{number}" for number in (7, 8, 9)
    ]
    for _ in range(10):
        with pytest.raises(Unauthorized):
            told(authenticator, bearer(signed(key=SECRET[::-1])))
    assert len(authenticator._jwts) == 3
    assert not any(SECRET in repr(value) for value in vars(authenticator).values())


def test_no_digest_gives_a_credential_away():
    key, digest = auth.new_key()
    authenticator = judge(keys=[ApiKey(name="mobile", sha256=digest)], issuers=[issuer()])
    token = signed()
    told(authenticator, bearer(key)), told(authenticator, bearer(token))
    assert not {key, token} & {str(item) for item in authenticator._keys | authenticator._jwts}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"secret": Secret("short")}, ".secret"),
        ({"algorithms": ("RS256",)}, ".algorithms"),
        ({"algorithms": ("HS256", "RS256")}, ".algorithms"),
        ({"algorithms": ()}, ".algorithms"),
        ({"audience": ""}, ".audience"),
        ({"issuer": ""}, ".issuer"),
        ({"subject": ""}, ".subject"),
        ({"leeway": 301}, ".leeway"),
        ({"public_key": "x"}, ""),
        ({"secret": None}, ""),
        ({"secret": None, "jwks_url": "http://id.example.com/jwks"}, ".algorithms"),
        (
            {
                "secret": None,
                "jwks_url": "http://id.example.com/jwks",
                "algorithms": ("RS256",),
            },
            ".jwks_url",
        ),
        ({"secret": None, "jwks_url": "file:///etc/jwks", "algorithms": ("RS256",)}, ".jwks_url"),
        ({"secret": None, "jwks_url": "https://", "algorithms": ("RS256",)}, ".jwks_url"),
        ({"secret": None, "secret_file": "/nowhere/to/be/found"}, ".secret_file"),
    ],
)
def test_issuers_that_cannot_be_meant(more, field):
    with pytest.raises(FieldError) as caught:
        issuer(**more)
    assert caught.value.field == f"auth.issuers.school{field}"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_must_fit_its_algorithm(algorithm):
    for other in PRIVATE:
        if other != algorithm:
            with pytest.raises(FieldError, match=algorithm):
                issuer(algorithm, public_key=pem(PRIVATE[other]))
    with pytest.raises(FieldError, match=algorithm):
        issuer(algorithm, public_key="not a key")


def test_a_private_or_a_small_key_is_refused():
    private = PRIVATE["RS256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(FieldError, match="private") as caught:
        issuer("RS256", public_key=private.decode())
    assert private.decode()[40:80] not in str(caught.value)
    with pytest.raises(FieldError, match="2048"):
        issuer("RS256", public_key=pem(rsa.generate_private_key(65537, 1024)))


def test_secrets_are_not_shown():
    assert SECRET not in repr(issuer())
    with pytest.raises(FieldError) as caught:
        issuer(secret=Secret("too short"))
    assert "too short" not in str(caught.value)


def test_without_dev_there_must_be_callers():
    Auth().check(dev=True)
    with pytest.raises(FieldError, match=r"^auth: must have keys or issuers"):
        Auth().check(dev=False)


def test_dev_lets_everyone_in():
    authenticator = Authenticator(Auth(), True)
    assert told(authenticator, Request()).name == "dev"
    assert told(authenticator, bearer("anything")).name == "dev"


@pytest.mark.parametrize(
    ("given", "kept"),
    [(b"abc-1.2_3", "abc-1.2_3"), (b"a" * 65, ""), (b"a b", ""), (b"a\nb", ""), (b"\xff", "")],
)
def test_only_plain_request_ids_are_kept(given, kept):
    key, digest = auth.new_key()
    authenticator = judge(keys=[ApiKey(name="mobile", sha256=digest)])
    request = Request((b"x-api-key", key.encode()), (b"x-request-id", given))
    assert told(authenticator, request).request_id == kept


# Key sets ----------------------------------------------------------------------------------------


def jwk(algorithm, kid, private=PRIVATE, **more):
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(
        private[algorithm].public_key(), as_dict=True
    )
    return made | {"kid": kid, "use": "sig", "alg": algorithm} | more


def key_set(*keys):
    return json.dumps({"keys": keys}).encode()


class Published:
    """A key set that is published somewhere; counts how often it is fetched."""

    def __init__(self, *keys):
        self.text = key_set(*keys)
        self.fetched = 0
        self.error = None

    def __call__(self):
        self.fetched += 1
        if self.error is not None:
            raise self.error
        return self.text


def test_a_key_is_fetched_once_and_again_when_old():
    async def scenario():
        now = [0.0]
        published = Published(jwk("RS256", "a"), jwk("ES256", "a"))
        keys = KeySet(published, ["RS256", "ES256"], 600, clock=lambda: now[0])
        first = await keys.find("RS256", "a")
        assert first.key.public_numbers() == PRIVATE["RS256"].public_key().public_numbers()
        assert (await keys.find("ES256", "a")).algorithm_name == "ES256"
        assert (await keys.find("RS256", None)) is first  # the only one for the algorithm
        assert published.fetched == 1
        now[0] = 600
        # Old keys do while new ones are fetched.
        published.text = key_set(jwk("RS256", "b"))
        assert (await keys.find("RS256", "a")) is first
        await keys._running
        assert published.fetched == 2
        assert (await keys.find("RS256", "b")) is not None
        now[0] = 611
        assert (await keys.find("RS256", "a")) is None

    asyncio.run(scenario())


def test_an_unknown_key_id_causes_one_fetch_in_ten_seconds():
    async def scenario():
        now = [0.0]
        published = Published(jwk("RS256", "a"))
        keys = KeySet(published, ["RS256"], 600, clock=lambda: now[0])
        assert await keys.find("RS256", "a")
        assert await asyncio.gather(*(keys.find("RS256", "b") for _ in range(50))) == [None] * 50
        assert published.fetched == 1  # the keys were fetched just now
        now[0] = 10.0
        found = await asyncio.gather(*(keys.find("RS256", f"kid-{n}") for n in range(50)))
        assert found == [None] * 50
        assert published.fetched == 2
        # A new key is found with the next fetch, by all who wait for it.
        published.text = key_set(jwk("RS256", "a"), jwk("RS256", "b", OTHER))
        now[0] = 20.0
        found = await asyncio.gather(*(keys.find("RS256", "b") for _ in range(50)))
        assert None not in found
        assert published.fetched == 3
        # With two keys for an algorithm, a token must say which.
        assert await keys.find("RS256", None) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "failure",
    [OSError("down"), TimeoutError(), b"", b"{", b"[]", b'{"keys":5}', key_set(), b"[" * 100_000],
)
def test_old_keys_stay_while_fetching_fails(failure, caplog):
    async def scenario():
        now = [0.0]
        published = Published(jwk("RS256", "a"))
        keys = KeySet(published, ["RS256"], 600, clock=lambda: now[0])
        assert await keys.find("RS256", "a")
        if isinstance(failure, Exception):
            published.error = failure
        else:
            published.text = failure
        for now[0] in (600.0, 1200.0, 1800.0):
            assert await keys.find("RS256", "a")
            await keys._running
        assert await keys.find("RS256", "b") is None
        assert published.fetched == 4

    asyncio.run(scenario())
    assert "a key set can't be loaded" in caplog.text


def test_without_any_keys_the_server_is_not_ready():
    async def scenario():
        published = Published()
        keys = KeySet(published, ["RS256"], 600, clock=lambda: 0.0)
        for _ in range(3):
            with pytest.raises(NotReady):
                await keys.find("RS256", "a")
        assert published.fetched == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "row",
    [
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode(), "alg": "HS256"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode(), "alg": "RS256"},
        jwk("RS256", "a", use="enc"),
        jwk("RS256", "a", alg="RS512"),
        jwk("RS256", "a", alg="HS256"),
        jwk("RS256", "a", n="AQAB"),
        jwk("RS256", "a", n=5),
        jwk("RS256", "a", {"RS256": rsa.generate_private_key(65537, 1024)}),
        {**jwk("RS256", "a"), "d": "AQAB"},
        {"kty": "RSA"},
        "text",
        None,
    ],
)
def test_keys_that_are_passed_over(row):
    with pytest.raises(ValueError, match="no usable"):
        auth.parse_key_set(key_set(row), ["RS256", "HS256"])
    assert len(auth.parse_key_set(key_set(row, jwk("RS256", "b")), ["RS256"])) == 1


def test_no_more_than_a_hundred_keys_are_taken():
    with pytest.raises(ValueError, match="100"):
        auth.parse_key_set(key_set(*[jwk("RS256", "a")] * 101), ["RS256"])


@pytest.fixture
def website():
    """A server of key sets: ``answer`` is what it sends next, ``url`` where it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = site.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{site.server_port}/jwks"
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    yield site
    site.shutdown()
    thread.join()
    site.server_close()


def test_a_jwt_is_verified_with_keys_from_a_server(website):
    website.answer = (200, {}, key_set(jwk("ES256", "one")))
    made = issuer("ES256", public_key=None, jwks_url=website.url)

    async def scenario():
        authenticator = Authenticator(Auth(issuers=(made,)), False, clock=lambda: NOW)
        good = signed("ES256", headers={"kid": "one"})
        assert (await authenticator.caller(bearer(good))).name == "jwt:school/ann"
        # A new authenticator, of settings that were read again, keeps the keys it has.
        website.answer = (500, {}, b"")
        later = Authenticator(Auth(issuers=(made,)), False, authenticator, clock=lambda: NOW)
        assert (await later.caller(bearer(good))).name == "jwt:school/ann"
        with pytest.raises(Unauthorized) as caught:
            await later.caller(bearer(signed("ES256", headers={"kid": "two"})))
        assert caught.value.reason == "jwt_key"
        # When the key is published no longer, what was verified with it is forgotten.
        verifier = later._verifiers["https://id.example.com"]
        website.answer = (200, {}, key_set(jwk("ES256", "two", OTHER)))
        verifier.key_set._tried = float("-inf")
        rotated = signed("ES256", OTHER["ES256"], {"kid": "two"})
        assert (await later.caller(bearer(rotated))).name == "jwt:school/ann"
        with pytest.raises(Unauthorized) as caught:
            await later.caller(bearer(good))
        assert caught.value.reason == "jwt_key"

    asyncio.run(scenario())


def test_keys_from_a_file(tmp_path):
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set(jwk("EdDSA", "one")))
    made = issuer("EdDSA", public_key=None, jwks_file=str(file))
    assert told(judge(issuers=[made]), bearer(signed("EdDSA"))).name == "jwt:school/ann"


def test_a_fetch_takes_no_redirect_no_flood_and_no_trickle(website, monkeypatch):
    website.answer = (200, {}, b"x" * 100)
    assert auth.fetch_url(website.url) == b"x" * 100
    website.answer = (302, {"location": "file:///etc/hostname"}, b"")
    with pytest.raises(OSError, match="302"):
        auth.fetch_url(website.url)
    website.answer = (200, {}, b"x" * (auth.KEY_SET_BYTES + 1))
    with pytest.raises(OSError, match="large"):
        auth.fetch_url(website.url)
    ticks = iter(range(0, 1000, 4))
    monkeypatch.setattr(auth.time, "monotonic", lambda: next(ticks))
    website.answer = (200, {}, b"x" * 1000)
    with pytest.raises(TimeoutError):
        auth.fetch_url(website.url, 3)


def test_fetching_does_not_hold_up_others():
    """Another request is served while a key set is being fetched."""

    async def scenario():
        go = threading.Event()

        def fetch():
            assert go.wait(30)
            return key_set(jwk("RS256", "a"))

        keys = KeySet(fetch, ["RS256"])
        waiting = asyncio.create_task(keys.find("RS256", "a"))
        await asyncio.sleep(0)
        assert not waiting.done()
        go.set()  # the loop runs: this line is reached
        assert await waiting is not None

    asyncio.run(scenario())
