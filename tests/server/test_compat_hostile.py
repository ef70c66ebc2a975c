"""Any body at all, over HTTP: a compatible route mints what was asked, or refuses in its form."""

from __future__ import annotations

import json
from collections import Counter
from urllib.parse import quote

import pytest
from compat_requests import ALL, TOKEN
from conftest import Server
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fasttoken import parse
from fasttoken.rules import CHANNEL_CHARACTERS
from fasttoken.services import Chat, Rtc, Rtm

pytestmark = pytest.mark.once
shared_server = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with all families."""
    started = Server("--dev", "--compat", ALL, cwd=tmp_path_factory.mktemp("hostile"))
    yield started
    started.stop()


def any_case(name: str) -> st.SearchStrategy[str]:
    """A name in any letter case."""
    return st.tuples(*(st.sampled_from((c.lower(), c.upper())) for c in name)).map("".join)


names = st.one_of(
    st.sampled_from(
        ["uid", "channelName", "ChannelName", "role", "channel", "tokenType", "expire"]
    ),
    any_case("uid"),
    any_case("channelname"),
    any_case("role"),
    st.text(max_size=8),
)
numbers = st.one_of(
    st.integers(0, 120),
    st.integers(),
    st.sampled_from([2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**30, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
)
texts = st.one_of(
    st.text(CHANNEL_CHARACTERS, max_size=66),
    numbers.map(str),
    st.sampled_from(["", "*", "0", "room", "rtc", "rtm", "chat", "publisher", '"', "\\"]),
    st.text(max_size=70),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)
# Pairs, so that names may come twice.
objects = st.lists(st.tuples(names, values), max_size=6)
near = st.builds(
    lambda uid, channel, role, more, order: _shuffled([*uid, *channel, *role, *more], order),
    st.lists(st.tuples(any_case("uid"), st.one_of(numbers, texts)), min_size=1, max_size=2),
    st.lists(st.tuples(any_case("channelname"), texts), min_size=1, max_size=1),
    st.lists(
        st.tuples(any_case("role"), st.one_of(st.sampled_from([0, 1, 2, 101, 3]), scalars)),
        max_size=1,
    ),
    st.lists(st.tuples(names, values), max_size=1),
    st.randoms(use_true_random=False),
)


def _shuffled(pairs, order):
    order.shuffle(pairs)
    return pairs


def written(pairs, ascii_only: bool) -> bytes:
    """An object in JSON, its names as often as they come."""

    def put(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    members = ",".join(f"{put(name)}:{put(value)}" for name, value in pairs)
    return ("{" + members + "}").encode()


def expected(pairs):
    """What a body asks of ``/fetch_rtc_token``, told independently of the server: channel, uid
    and whether it publishes; None for one that is to be refused."""
    wanted = ("uid", "channelname", "role")
    count = Counter(name.lower() for name, _ in pairs if name.lower() in wanted)
    if any(times > 1 for times in count.values()):
        return None
    found = {name.lower(): value for name, value in pairs if name.lower() in wanted}
    uid, channel, role = (found.get(name) for name in wanted)
    if type(uid) is str and uid.isascii() and uid.isdigit() and uid[0] != "0":
        uid = int(uid)
    if type(uid) is not int or not 0 < uid < 2**32:
        return None
    if type(channel) is not str or not 0 < len(channel.encode()) <= 64 or channel == "*":
        return None
    if set(channel) - set(CHANNEL_CHARACTERS):
        return None
    if role not in (None, 0, 1, 2, 101) or isinstance(role, bool | float):
        return None
    return channel, uid, role != 2


@shared_server
@given(objects | near, st.booleans())
@example([("uid", 1), ("channelName", "c"), ("role", 1)], True)
@example([("uid", 1), ("ChannelName", "c"), ("channelName", "c")], True)
@example([("uid", "1"), ("channelName", "c"), ("uid", 1)], True)
@example([("uid", 1), ("channelName", ""), ("ChannelName", "c")], True)
@example([("uid", 1), ("channelName", "c"), ("role", None)], True)
@example([("uid", "00000000001"), ("channelName", "c")], True)
def test_any_object(server, pairs, ascii_only):
    answer = server.client.post("/fetch_rtc_token", content=written(pairs, ascii_only))
    told = answer.json()
    assert list(told) == ["code", "token"]
    assert told["code"] == str(answer.status_code)
    wanted = expected(pairs)
    if wanted is None:
        assert answer.status_code == 400
        assert told["token"].startswith("Bad request.")
        assert not TOKEN.search(answer.content)
        return
    assert answer.status_code == 200, told
    [service] = parse(told["token"]).claims.services
    channel, uid, publishes = wanted
    assert (service.channel_name, service.uid) == (channel, uid)
    assert set(service.privileges) == ({1, 2, 3, 4} if publishes else {1})


@shared_server
@given(st.binary(max_size=200))
@example(b"")
@example(b'{"uid":1,"channelName":"c"')
@example(b'{"uid":1,"channelName":"c","role":1e0}')
@example(b'{"uid":-0,"channelName":"c"}')
@example(b'{"uid":01,"channelName":"c"}')
@example(b'{"uid":1,"channelName":"c",}')
@example(b'{"uid":1,"channelName":"c\x00"}')
@example(b'{"uid":1,"channelName":"c"}\x00')
@example(b"{'uid':1,'channelName':'c'}")
@example(b'{"uid":1,"channelName":"c"/**/}')
def test_any_bytes(server, content):
    for path in ("/fetch_rtc_token", "/fetch_rtm_token", "/getToken", "/token/generate"):
        answer = server.client.post(path, content=content)
        assert answer.status_code == 400
        assert not TOKEN.search(answer.content)


@shared_server
@given(objects, st.sampled_from(["rtc", "rtm", "chat", ""]), st.booleans())
def test_any_object_for_the_token_service(server, pairs, kind, ascii_only):
    pairs = [(name, value) for name, value in pairs if name.lower() != "tokentype"]
    pairs = [("tokenType", kind), *pairs]
    answer = server.client.post("/getToken", content=written(pairs, ascii_only))
    if answer.status_code != 200:
        assert answer.status_code == 400
        assert not TOKEN.search(answer.content)
        return
    asked = {name.lower(): value for name, value in pairs}
    claims = parse(answer.json()["token"]).claims
    assert claims.expire == (asked.get("expire") or 3600) <= 86_400
    uid = asked.get("uid")
    for service in claims.services:
        # Nobody but the app, which is named by leaving the user out, may be anyone.
        if isinstance(service, Chat) and not uid:
            assert service.privileges.keys() == {2}
            continue
        user = service.uid if isinstance(service, Rtc) else service.user_id
        assert str(user) == uid or (isinstance(service, Rtc) and int(uid) == user)
        assert user not in (0, "", "*")
        if isinstance(service, Rtc):
            assert service.channel_name == asked["channel"] not in ("", "*")
        if isinstance(service, Rtm):
            assert len(service.user_id.encode()) <= 64


@shared_server
@given(st.lists(st.tuples(names, texts), max_size=5))
def test_any_query(server, pairs):
    for path, names_there in (
        ("/access_token", ("channel", "uid")),
        ("/rtcToken", ("channelName", "uid")),
        ("/v1/token", ("channel_name", "uid")),
    ):
        answer = server.client.get(path, params=pairs)
        if answer.status_code == 200:
            given_names = [name for name, _ in pairs]
            assert len(set(given_names)) == len(given_names)
            [token] = TOKEN.findall(answer.content)
            [service] = parse(token.decode()).claims.services
            asked = dict(pairs)
            assert service.channel_name == asked[names_there[0]]
            assert str(service.uid) == asked[names_there[1]]
        else:
            assert answer.status_code == (500 if path == "/access_token" else 400)
            assert not TOKEN.search(answer.content)


@shared_server
@given(texts, texts, texts, st.sampled_from(["uid", "userAccount", "else"]))
def test_any_path(server, channel, role, user, kind):
    parts = "/".join(quote(part, safe="") for part in (channel, role, kind, user))
    answer = server.client.get(f"/rtc/{parts}/")
    if answer.status_code == 200:
        [token] = TOKEN.findall(answer.content)
        [service] = parse(token.decode()).claims.services
        assert service.channel_name == channel
        assert int(user) == service.uid if kind == "uid" else str(service.uid) == user
        assert set(service.privileges) == ({1, 2, 3, 4} if role == "publisher" else {1})
    else:
        assert answer.status_code in (400, 404)
        assert not TOKEN.search(answer.content)


@pytest.mark.parametrize(
    ("method", "path", "send"),
    [
        ("POST", "/fetch_rtc_token", {"content": '{"uid":' + "9" * 60_000 + "}"}),
        ("POST", "/token/generate", {"content": '{"tokenExpireTs":' + "9" * 60_000 + "}"}),
        ("POST", "/getToken", {"json": {"tokenType": "rtc", "channel": "c" * 50_000, "uid": "1"}}),
        ("GET", f"/rtc/c/publisher/uid/{'9' * 8000}/", {}),
        ("GET", f"/rtc/c/publisher/uid/{'x' * 8000}/", {}),
        ("GET", f"/rtc/c/publisher/{'x' * 8000}/7/", {}),
        ("GET", f"/rtm/ann/?expiry={'x' * 8000}", {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_little_of_what_was_sent_comes_back(server, method, path, send):
    answer = server.client.request(method, path, **send)
    assert answer.status_code == 400
    assert len(answer.content) < 500
