"""What a caller may mint: what no rule grants is refused."""

from __future__ import annotations

import pytest

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
pytest.importorskip("jwt", reason="the extra [server] is not installed")
from hypothesis import given
from hypothesis import strategies as st

from fasttoken.errors import FieldError
from fasttoken.server.auth import Caller, Claims
from fasttoken.server.desk import Order, RtcOrder
from fasttoken.server.faults import Forbidden
from fasttoken.server.policy import MOST_VALUES, Pattern, Policy, Rule, Rules
from fasttoken.services import (
    Apaas,
    Chat,
    FCdn,
    Fpa,
    Role,
    Rtc,
    Rtm,
    Rtm2,
    Streaming,
)

pytestmark = pytest.mark.once

OPEN = {"services": ("*",), "channels": ("*",), "uid": "*", "versions": ("006", "007")}


def rules(*given, dev=False):
    settings = Policy(tuple(Rule(**{"name": f"rule {n}"} | rule) for n, rule in enumerate(given)))
    settings.check(dev)
    return Rules(settings, dev)


def caller(name="jwt:school/ann", **claims):
    return Caller(name, Claims({"sub": "ann", **claims}), "192.0.2.7")


def rtc(channel="room", uid="ann", role=Role.PUBLISHER, expire=60, version="007"):
    return RtcOrder(channel, uid, role, expire, 0, version)


def both(order):
    """An order of one RTC channel in both of its forms."""
    return order, Order(order.services, order.expire, order.version)


def refused(policy, who, order):
    """The field for which an order is refused; an RTC order is judged alike in both forms."""
    fields = set()
    for form in both(order) if isinstance(order, RtcOrder) else (order,):
        with pytest.raises(Forbidden) as caught:
            policy.check(who, form)
        assert caught.value.status == 403
        assert caught.value.rule in str(caught.value)
        fields.add(caught.value.field)
    [field] = fields
    return field


def granted(policy, who, order):
    for form in both(order) if isinstance(order, RtcOrder) else (order,):
        policy.check(who, form)
    return True


# Rules -------------------------------------------------------------------------------------------


def test_without_rules_nothing_is_granted():
    assert refused(rules(), caller(), rtc()) == "caller"
    assert refused(rules(), caller(), Order((Fpa(),))) == "caller"
    for ask in (Rules.check_verify, Rules.check_batch, Rules.check_metrics):
        with pytest.raises(Forbidden, match="no rule"):
            ask(rules(), caller())


def test_a_rule_with_its_name_alone_grants_nothing():
    assert refused(rules({}), caller(), rtc()) == "channel_name"
    assert refused(rules({"channels": ("*",)}), caller(), rtc()) == "uid"
    assert granted(rules({"uid": "*", "channels": ("*",)}), caller(), rtc())


def test_dev_grants_everything():
    assert granted(rules(dev=True), caller("dev"), rtc("*", 0))
    rules(dev=True).check_verify(caller("dev"))
    rules(dev=True).check_batch(caller("dev"))


def test_each_field_is_checked():
    policy = rules(
        {
            "channels": ("room-{tenant}-*",),
            "uid": "{sub}",
            "roles": ("subscriber",),
            "longest": 600,
        }
    )
    who = caller(tenant="acme")
    good = {"channel": "room-acme-1", "uid": "ann", "role": Role.SUBSCRIBER, "expire": 600}
    assert granted(policy, who, rtc(**good))
    for field, value in (
        ("channel_name", {"channel": "room-evil-1"}),
        ("channel_name", {"channel": "xroom-acme-1"}),
        ("channel_name", {"channel": "room-acme"}),
        ("channel_name", {"channel": ""}),
        ("channel_name", {"channel": "*"}),
        ("uid", {"uid": "bob"}),
        ("uid", {"uid": "ann "}),
        ("uid", {"uid": "Ann"}),
        ("uid", {"uid": 0}),
        ("uid", {"uid": ""}),
        ("uid", {"uid": "*"}),
        ("role", {"role": Role.PUBLISHER}),
        ("expire", {"expire": 601}),
        ("expire", {"expire": 0}),
        ("expire", {"expire": -1}),
        ("version", {"version": "006"}),
    ):
        assert refused(policy, who, rtc(**good | value)) == field, value


def test_a_numeric_uid_is_compared_as_a_token_has_it():
    policy = rules({"channels": ("*",), "uid": "{sub}"})
    for sub in (1234, "1234"):
        for uid in (1234, "1234"):
            assert granted(policy, caller(sub=sub), rtc(uid=uid))
        for uid in (123, 12345, "01234", True):
            assert refused(policy, caller(sub=sub), rtc(uid=uid)) == "uid"
    assert refused(policy, caller(sub=1), rtc(uid=True)) == "uid"


def test_rules_do_not_add_up():
    policy = rules(
        {"channels": ("lobby",), "uid": "*", "roles": ("publisher",)},
        {"channels": ("hall",), "uid": "*", "roles": ("subscriber",)},
    )
    assert granted(policy, caller(), rtc("lobby"))
    assert granted(policy, caller(), rtc("hall", role=Role.SUBSCRIBER))
    assert refused(policy, caller(), rtc("hall")) == "role"
    assert refused(policy, caller(), rtc("lobby", role=Role.SUBSCRIBER)) == "role"


def test_the_rule_that_came_closest_says_why():
    policy = rules({"services": ("rtm",)}, {"name": "close", "channels": ("*",), "uid": "{sub}"})
    with pytest.raises(Forbidden, match=r"^expire: must be in 1\.\.3600 seconds \(rule 'close'\)$"):
        policy.check(caller(), rtc(expire=3601))


def test_rules_are_for_some_callers():
    policy = rules(
        {**OPEN, "callers": ("key:mobile-*",)},
        {**OPEN, "when": {"role": ["teacher", "head"], "level": 3}},
        {**OPEN, "when": {"org.unit": "x"}},
    )
    for who in (
        caller("key:mobile-1"),
        caller(role="teacher", level=3),
        caller(role=["pupil", "head"], level=3),
        caller(org={"unit": "x"}),
    ):
        assert granted(policy, who, rtc())
    for who in (
        caller("key:web"),
        caller("jwt:school/key:mobile-1"),
        caller(role="teacher"),
        caller(role="Teacher", level=3),
        caller(role="teacher", level="3"),
        caller(role="teacher", level=3.0),
        caller(role="teacher", level=True),
        caller(role=None, level=3),
        caller(org="unit"),
        caller(**{"org.unit": "x"}),
    ):
        assert refused(policy, who, rtc()) == "caller"


@pytest.mark.parametrize("role", [1, 2, 0, 101, "publisher", None])
def test_what_is_no_role_is_judged_as_a_publisher(role):
    """Some routes may leave the role to the rules of the token: then the most it can become."""
    policy = rules({**OPEN, "roles": ("subscriber",)})
    assert refused(policy, caller(), rtc(role=role)) == "role"


@pytest.mark.parametrize("expire", [True, "60", 60.0, None])
def test_what_is_no_lifetime_is_refused(expire):
    assert refused(rules(OPEN), caller(), rtc(expire=expire)) == "expire"


def test_rights_are_given_one_by_one():
    policy = rules({"verify": True}, {"callers": ("key:*",), "batch": True})
    policy.check_verify(caller())
    policy.check_verify(caller("key:a"))
    policy.check_batch(caller("key:a"))
    with pytest.raises(Forbidden):
        policy.check_batch(caller())


# Services ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "field"),
    [
        (Rtm("ann"), None),
        (Rtm("bob"), "user_id"),
        (Rtm(""), "user_id"),
        (Rtm("*"), "user_id"),
        (Streaming("room", "ann"), None),
        (Streaming("hall", "ann"), "channel_name"),
        (Streaming("room", 0), "account"),
        (FCdn("room", "bob"), "account"),
        (Chat("ann", {1: 0}), None),
        (Chat("", {2: 0}), "user_id"),
        (Chat("ann", {2: 0}), "privileges"),
        (Apaas("room", "ann", 1, {1: 0}), None),
        (Apaas("room", "bob", 1), "user_uuid"),
        (Apaas("hall", "ann", 1), "room_uuid"),
        (Apaas("", "ann", 1, {2: 0}), "room_uuid"),
        (Apaas("room", "ann", 1, {3: 0}), "privileges"),
        (Rtm2("ann", {0: {0: ["room"]}, 4: {0: ["ann"]}}), None),
        (Rtm2("bob", {0: {0: ["room"]}}), "user_id"),
        (Rtm2("ann", {0: {0: ["room", "hall"]}}), "permissions"),
        (Rtm2("ann", {0: {1: ["*"]}}), "permissions"),
        (Rtm2("ann", {0: {1: ["roo*"]}}), "permissions"),
        (Rtm2("ann", {0: {1: [""]}}), "permissions"),
        (Rtm2("ann", {4: {0: ["room"]}}), "permissions"),
        (Fpa({1: 0}), None),
    ],
)
def test_the_names_in_every_service(service, field):
    policy = rules({"services": ("*",), "channels": ("room",), "uid": "{sub}"})
    order = Order((service,), 60)
    assert granted(policy, caller(), order) if field is None else True
    if field is not None:
        assert refused(policy, caller(), order) == field
        # Beside a service that is granted, too.
        assert refused(policy, caller(), Order((Rtm("ann"), service), 60)) == field


def test_a_service_must_be_granted():
    policy = rules({"services": ("rtm", "chat"), "uid": "*"})
    assert granted(policy, caller(), Order((Rtm("ann"), Chat("ann")), 60))
    assert refused(policy, caller(), Order((Rtm("ann"), Rtm2("ann")), 60)) == "services"
    assert refused(policy, caller(), rtc()) == "services"


@pytest.mark.parametrize(
    ("service", "subscriber"),
    [
        (Rtc("room", 7, {Rtc.Privilege.JOIN_CHANNEL: 0}), True),
        (Rtc("room", 7, {}), True),
        *((Rtc("room", 7, {1: 0, key: 0}), False) for key in (2, 3, 4, 5, 9)),
        (FCdn("room", 7, {FCdn.Privilege.PLAY: 0}), True),
        (FCdn("room", 7, {FCdn.Privilege.PUBLISH: 0}), False),
        (Streaming("room", 7, {1: 0}), False),
    ],
)
def test_privileges_are_those_of_a_role(service, subscriber):
    order = Order((service,), 60)
    policy = rules({**OPEN, "roles": ("subscriber",)})
    if subscriber:
        assert granted(policy, caller(), order)
        assert refused(rules({**OPEN, "roles": ("publisher",)}), caller(), order) == "role"
    else:
        assert refused(policy, caller(), order) == "role"
        assert granted(rules({**OPEN, "roles": ("publisher",)}), caller(), order)


def test_any_and_a_whole_app_need_a_right_of_their_own():
    policy = rules({**OPEN, "wildcard": True})
    for order in (
        rtc("*"),
        rtc(uid=0),
        Order((Chat("", {2: 0}),), 60),
        Order((Rtm2("ann", {0: {0: ["*"]}}),), 60),
    ):
        assert granted(policy, caller(), order)
        assert refused(rules(OPEN), caller(), order)


# Patterns ----------------------------------------------------------------------------------------


def matches(pattern, name, **claims):
    policy = rules({"channels": (pattern,), "uid": "*"})
    try:
        policy.check(caller(**claims), rtc(name))
    except Forbidden:
        return False
    return True


def test_claims_are_text_not_patterns():
    assert matches("room-{tenant}", "room-a.c", tenant="a.c")
    assert not matches("room-{tenant}", "room-abc", tenant="a.c")
    for tenant in ("*", ".*", "a|b", "(", "[a-z]*", "{sub}", "\\", "a\n"):
        assert matches("room-{tenant}-*", f"room-{tenant}-1", tenant=tenant)
        assert not matches("room-{tenant}-*", "room-b-1", tenant=tenant)
        assert not matches("room-{tenant}-*", "room-ann-1", tenant=tenant)


@pytest.mark.parametrize("value", [None, "", True, 1.5, {}, [], {"a": 1}, [""], [None]])
def test_a_claim_that_is_no_name_matches_nothing(value):
    assert not matches("room-{tenant}*", "room-", tenant=value)
    assert not matches("room-{tenant}*", f"room-{value}", tenant=value)
    assert not matches("room-{missing}*", "room-")


def test_claims_may_be_lists_numbers_or_nested():
    for name in ("room-a", "room-b", "room-7"):
        assert matches("room-{rooms}", name, rooms=["a", "b", 7])
    assert not matches("room-{rooms}", "room-c", rooms=["a", "b", 7])
    assert not matches("room-{rooms}", "room-a, b", rooms=["a, b"[:1]])
    assert matches("{org.id}-{org.unit}", "5-x", org={"id": 5, "unit": "x"})
    assert matches("{a}-{b}", "2-3", a=[1, 2], b=[3, 4])
    assert not matches("{a}-{b}", "3-2", a=[1, 2], b=[3, 4])


def test_lists_of_claims_are_taken_up_to_a_point():
    many = [f"r{n}" for n in range(5000)]
    assert matches("{rooms}-{rooms}", "r0-r5", rooms=many)
    assert not matches("{rooms}-{rooms}", "r4999-r4999", rooms=many)
    filled = list(Pattern("channels", "{rooms}-{rooms}").filled({"rooms": many}))
    assert len(filled) == MOST_VALUES


def test_stars_and_braces():
    assert matches("a*b*c", "a-b-c")
    assert matches("a*", "a")
    assert not matches("a*", "ba")
    assert matches("a.b", "a.b")
    assert not matches("a.b", "a-b")
    assert matches("{{x}}?", "{x}?")
    assert not matches("{{x}}?", "{x}!")


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{0}", "{a!r}", "{a:5}", "{a[0]}", "{a b}", "****"]
)
def test_patterns_that_cannot_be_read(text):
    with pytest.raises(FieldError, match=r"^policy\.rules\.r\.channels: "):
        Rule(name="r", channels=(text,)).check()


def test_a_long_name_is_refused_without_being_matched():
    """A pattern with three stars may cost the cube of a name's length."""
    assert matches("a*", "a" * 255)
    assert not matches("a*", "a" * 256)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_claim_matches_itself_only(value, name):
    expected = name != "" and value == name and name != "*"
    policy = rules({"channels": ("{tenant}",), "uid": "*"})
    try:
        policy.check(caller(tenant=value), rtc(name))
    except Forbidden:
        assert not expected
    else:
        assert expected


@given(st.text("ab*{}.", max_size=8))
def test_every_pattern_is_read_or_refused(text):
    try:
        pattern = Pattern("channels", text)
    except FieldError:
        return
    assert list(pattern.filled({"a": "x", "b": ["y", "z"]})) is not None


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"services": ("rtc", "video")}, "services"),
        ({"longest": 0}, "longest"),
        ({"longest": 86_401}, "longest"),
        ({"uid": "{"}, "uid"),
        ({"callers": ("{",)}, "callers"),
    ],
)
def test_rules_that_cannot_be_meant(rule, field):
    with pytest.raises(FieldError) as caught:
        rules({"name": "mine", **rule})
    assert caught.value.field == f"policy.rules.mine.{field}"


def test_no_two_rules_share_a_name():
    with pytest.raises(FieldError, match="name of its own"):
        rules({"name": "a"}, {"name": "a"})


def test_what_was_compiled_for_a_caller_is_kept_until_the_policy_changes():
    who = caller()
    first, second = rules(OPEN), rules()
    assert first.grants(who) is first.grants(who)
    assert granted(first, who, rtc())
    assert refused(second, who, rtc()) == "caller"
    assert granted(first, who, rtc())
