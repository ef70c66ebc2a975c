"""The audit log: what it says, what it never says, and what happens when it can't be written."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from hashlib import sha256

import pytest

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
pytest.importorskip("jwt", reason="the extra [server] is not installed")
from helpers import APP_ID, CERTIFICATE
from hypothesis import given
from hypothesis import strategies as st

from fasttoken import Project
from fasttoken.errors import FieldError
from fasttoken.server import audit
from fasttoken.server.audit import Audit, AuditLog
from fasttoken.server.auth import Caller
from fasttoken.server.desk import Minted, Order, RtcOrder
from fasttoken.server.faults import Forbidden, NotReady, TooMany, Unauthorized
from fasttoken.services import Chat, Role, Rtc, Rtm2

pytestmark = pytest.mark.once

NOW = 1_700_000_000.25
WHO = Caller("jwt:school/ann", {}, "192.0.2.7", "req-1")
TOKEN = Project(APP_ID, CERTIFICATE).rtc_token("room", 7)
MINTED = Minted(TOKEN, 1_700_000_000, 1_700_003_600, 1_700_003_570)
PATIENCE = 60


def logged(path, work, **settings):
    """The lines of what some work logs."""
    log = AuditLog(Audit(str(path), **settings), clock=lambda: NOW)
    work(log)
    log.close()
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "audit.jsonl"


# Lines -------------------------------------------------------------------------------------------


def test_the_line_of_an_rtc_token(file):
    order = RtcOrder("room", 7, Role.SUBSCRIBER, 600, 0, "007")
    [line] = logged(file, lambda log: log.minted(WHO, order, MINTED))
    assert line == {
        "time": "2023-11-14T22:13:20.250000Z",
        "event": "minted",
        "caller": "jwt:school/ann",
        "address": "192.0.2.7",
        "services": [{"service": "rtc", "channel_name": "room", "uid": 7}],
        "role": "subscriber",
        "version": "007",
        "expire": 600,
        "expires_at": 1_700_003_600,
        "token": sha256(TOKEN.encode()).hexdigest()[:16],
        "request": "req-1",
    }


def test_the_line_of_any_token(file):
    services = (Rtc("room", "ann", {1: 0, 2: 60}), Chat("ann"), Rtm2("ann", {0: {0: ["x"]}}))
    [line] = logged(file, lambda log: log.minted(WHO, Order(services, 60), MINTED))
    assert line["services"] == [
        {"service": "rtc", "channel_name": "room", "uid": "ann", "privileges": [1, 2]},
        {"service": "chat", "user_id": "ann", "privileges": []},
        {"service": "rtm2", "user_id": "ann", "privileges": []},
    ]
    assert line["token"] == sha256(TOKEN.encode()).hexdigest()[:16]
    assert (line["expire"], line["expires_at"]) == (60, 1_700_003_600)


def test_the_lines_of_refusals(file):
    def work(log):
        log.refused(WHO, RtcOrder("room", 7), Forbidden("uid: no", "uid", "no"))
        log.refused(WHO, RtcOrder("*", 7), FieldError("channel_name", "must be one"))
        log.refused(None, None, Unauthorized("who?", (), "key_unknown"), "192.0.2.9")
        log.refused(WHO, None, TooMany("slowly", (), "rate_caller"))
        log.event("reloaded", field="x")

    lines = logged(file, work)
    assert [line["event"] for line in lines] == ["refused"] * 4 + ["reloaded"]
    assert lines[0]["reason"] == "forbidden"
    assert lines[0]["detail"] == "uid: no"
    assert lines[0]["services"][0]["channel_name"] == "room"
    assert lines[1]["reason"] == "bad_field"
    assert (lines[2]["reason"], lines[2]["address"]) == ("key_unknown", "192.0.2.9")
    assert "caller" not in lines[2]
    assert (lines[3]["reason"], lines[3]["caller"]) == ("rate_caller", "jwt:school/ann")
    assert lines[4]["field"] == "x"


def test_no_line_holds_a_token_or_more_than_a_log_can_bear(file):
    def work(log):
        log.minted(WHO, RtcOrder("room", 7), MINTED)
        log.minted(WHO, Order((Chat("ann"),)), MINTED)
        log.refused(WHO, RtcOrder("x" * 100_000, 2**70), FieldError("channel_name", "y" * 100_000))
        many = tuple(Rtc("x" * 1000, 1) for _ in range(1000))
        log.refused(WHO, Order(many), FieldError("services", "no"))

    lines = logged(file, work)
    text = file.read_text()
    assert len(lines) == 4
    assert TOKEN not in text
    assert TOKEN[30:60] not in text
    assert max(map(len, text.splitlines())) < 20_000


@pytest.mark.parametrize("bad", ['a\nb"', "a\r\n", "\x00", "\u2028", "\x1b[31m", "\ud800", "🦊"])
def test_nothing_that_a_client_sends_breaks_a_line(file, bad):
    """A line break in a channel name must not begin a line of its own."""
    who = Caller(f"jwt:school/{bad}", {}, bad, bad)
    chat = Order((Chat(bad, {1: 0}),), 60)

    def work(log):
        log.refused(who, RtcOrder(bad, bad), FieldError("channel_name", bad))
        log.refused(None, None, Unauthorized(bad), bad)
        log.refused(who, chat, FieldError("user_id", bad))
        log.refused(who, RtcOrder([bad], {bad: bad}, bad, bad, 0, bad), FieldError("x", bad))
        log.event("test", value=bad)

    assert len(logged(file, work)) == 5
    assert all(byte >= 0x20 or byte == 0x0A for byte in file.read_bytes())


@given(st.text(), st.text() | st.integers() | st.none() | st.floats() | st.lists(st.text()))
def test_any_value_gives_one_line(tmp_path_factory, text, value):
    file = tmp_path_factory.mktemp("audit") / "log"
    order = RtcOrder(text, value, value, value, 0, text)
    [line] = logged(file, lambda log: log.refused(WHO, order, FieldError("uid", text)))
    assert line["event"] == "refused"


def test_a_flood_of_unknown_callers_does_not_flood_the_log(file):
    now = [NOW]
    log = AuditLog(Audit(str(file)), clock=lambda: now[0])
    for _ in range(1000):
        log.refused(None, None, Unauthorized("who?"), "192.0.2.9")
    now[0] += 1
    log.refused(None, None, Unauthorized("who?"), "192.0.2.9")
    log.close()
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert len(lines) == audit.NAMELESS + 1
    assert lines[-1]["skipped"] == 1000 - audit.NAMELESS


# Writing -----------------------------------------------------------------------------------------


def wait_until(log, empty=True):
    """Waits until the writing thread has done its work."""
    waiting = threading.Event()
    for _ in range(PATIENCE * 50):
        if bool(log._queue) is not empty:
            return
        waiting.wait(0.02)
    pytest.fail("nothing was written")


def test_all_lines_are_written_in_order(file):
    def work(log):
        for number in range(5000):
            log.minted(WHO, RtcOrder("room", number + 1), MINTED)

    lines = logged(file, work)
    assert [line["services"][0]["uid"] for line in lines] == list(range(1, 5001))


def test_a_file_that_was_moved_away_is_begun_anew(file):
    log = AuditLog(Audit(str(file)))
    log.event("one")
    wait_until(log)
    log._closing.wait(audit.EVERY)
    moved = file.with_suffix(".1")
    file.rename(moved)
    log.event("two")
    log.close()
    assert '"one"' in moved.read_text()
    assert '"two"' in file.read_text()
    assert '"one"' not in file.read_text()


def test_the_file_is_not_for_everyone(file):
    before = os.umask(0)
    try:
        logged(file, lambda log: log.event("one"))
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_no_token_leaves_when_its_line_cannot_be_written(caplog):
    log = AuditLog(Audit("/dev/full", queue=5))
    for _ in range(5):
        log.minted(WHO, RtcOrder("room", 7), MINTED)
    with pytest.raises(NotReady) as caught:
        log.minted(WHO, RtcOrder("room", 7), MINTED)
    assert caught.value.reason == "audit_full"
    log.refused(WHO, RtcOrder("room", 7), Forbidden("no"))  # that is no reason to fail
    for _ in range(PATIENCE * 50):
        if log.failing:
            break
        log._closing.wait(0.02)
    assert log.failing
    assert log.take_failures() > 0
    log.close()
    assert "ENOSPC" in caplog.text
    assert "5 lines of the audit log were not written" in caplog.text


def test_a_record_that_cannot_be_shown_does_not_stop_the_log(file):
    def work(log):
        for channel in ("one", "\ud800", b"x" * 3, object(), "two"):
            log.minted(WHO, RtcOrder(channel, 7, 101), MINTED)

    lines = logged(file, work)
    assert [line.get("services", [{}])[0].get("channel_name") for line in lines] == [
        "one", "?", "eHh4", "(object)", "two",
    ]  # fmt: skip
    assert all(line["event"] == "minted" for line in lines)


def test_what_a_full_disk_took_of_a_line_is_ended_and_the_line_comes_again(file, monkeypatch):
    log = AuditLog(Audit(str(file)))
    write = os.write
    left = [700]

    def full(number, data):
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "full")
        done = write(number, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(audit.os, "write", full)
    for number in range(20):
        log.event("event", number=number)
    for _ in range(PATIENCE * 50):
        if log.failing:
            break
        log._closing.wait(0.02)
    assert log.failing
    monkeypatch.undo()
    log.close()
    assert not log.failing
    found = []
    for line in file.read_bytes().splitlines():
        try:
            found.append(json.loads(line)["number"])
        except ValueError:
            found.append(None)
    assert found.count(None) == 1
    assert [number for number in found if number is not None] == list(range(20))


def test_after_the_end_nothing_is_minted(file):
    log = AuditLog(Audit(str(file)))
    log.close()
    with pytest.raises(NotReady):
        log.minted(WHO, RtcOrder("room", 7), MINTED)


def test_a_file_that_cannot_be_opened_is_said_at_the_start(tmp_path):
    with pytest.raises(FieldError, match=r"audit\.file: can't be opened \(EISDIR\)"):
        AuditLog(Audit(str(tmp_path)))


@pytest.mark.parametrize("settings", [Audit(""), Audit("x", queue=0)])
def test_settings_that_cannot_be_meant(settings):
    with pytest.raises(FieldError, match=r"^audit\."):
        settings.check(False)


def test_lines_for_a_pipe_are_written_in_pieces_that_it_keeps_together(monkeypatch):
    pieces = []
    monkeypatch.setattr(audit.os, "write", lambda number, data: pieces.append(data) or len(data))
    log = AuditLog(Audit("-"))
    for number in range(500):
        log.event("event", number=number, text="x" * (number % 300))
    log.close()
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= audit.PIPE_BYTES for piece in pieces)
    numbers = [json.loads(line)["number"] for line in b"".join(pieces).splitlines()]
    assert numbers == list(range(500))


# Over HTTP ---------------------------------------------------------------------------------------

ASK = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 7}]}


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_a_server_logs(serve, tmp_path):
    path = tmp_path / "audit.jsonl"
    key = "ft_" + "k" * 43
    keys = [{"name": "mobile", "sha256": sha256(key.encode()).hexdigest()}]
    rule = {"name": "mine", "channels": ["lobby"], "uid": "*", "batch": True}
    server = serve(
        FASTTOKEN_SERVER_AUDIT__FILE=str(path),
        FASTTOKEN_SERVER_AUTH__KEYS=json.dumps(keys),
        FASTTOKEN_SERVER_POLICY__RULES=json.dumps([rule]),
    )
    server.secrets.append(key)
    me = {"x-api-key": key, "x-request-id": "abc-1"}
    other = {"services": [{"service": "rtc", "channel_name": "other\nroom", "uid": 7}]}
    token = server.client.post("/v1/tokens", json=ASK, headers=me).json()["token"]
    assert server.client.post("/v1/tokens", json=other, headers=me).status_code == 403
    assert server.client.post("/v1/tokens", json=ASK).status_code == 401
    wrong = {"x-api-key": key[:-1]}
    assert server.client.post("/v1/tokens", json=ASK, headers=wrong).status_code == 401
    tokens = {"tokens": [ASK, other, ASK]}
    assert server.client.post("/v1/tokens:batch", json=tokens, headers=me).status_code == 200
    assert server.client.post("/v1/verify", json={"tokens": [token]}, headers=me).status_code == 403
    server.stop()
    lines = lines_of(path)
    assert [line.get("reason", line["event"]) for line in lines[:8]] == [
        "minted",
        "forbidden",
        "no_credential",
        "key_unknown",
        "minted",
        "forbidden",
        "minted",
        "forbidden",
    ]
    assert lines[0]["token"] == audit.fingerprint(token)
    assert lines[0]["caller"] == "key:mobile"
    assert lines[0]["request"] == "abc-1"
    assert lines[0]["address"] == lines[2]["address"] == "127.0.0.1"
    assert lines[1]["services"][0]["channel_name"] == "other\nroom"
    text = path.read_text()
    assert token not in text
    assert key[3:20] not in text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_server_whose_log_cannot_be_written_says_so_and_mints_no_more(serve):
    server = serve(
        "--dev", FASTTOKEN_SERVER_AUDIT__FILE="/dev/full", FASTTOKEN_SERVER_AUDIT__QUEUE="3"
    )
    asked = [server.client.post("/v1/tokens", json=ASK) for _ in range(5)]
    assert [answer.status_code for answer in asked] == [200] * 3 + [503] * 2
    assert "token" not in asked[-1].json()
    assert asked[-1].headers["retry-after"] == "1"
    server.wait_for("the audit log can't be written (ENOSPC)")
    assert server.client.get("/readyz").status_code == 503
    assert server.client.get("/healthz").status_code == 200
    for _ in range(3000):
        if "fasttoken_audit_failures_total 0.0" not in server.client.get("/metrics").text:
            return
    pytest.fail("the metrics don't show it")


def test_workers_share_a_file_and_a_signal_begins_it_anew(serve, tmp_path):
    path = tmp_path / "audit.jsonl"
    server = serve("--dev", "--workers", "2", FASTTOKEN_SERVER_AUDIT__FILE=str(path))

    def mint(number):
        for each in range(50):
            with_uid = {"services": [{**ASK["services"][0], "uid": number * 50 + each + 1}]}
            close = {"connection": "close"}
            answer = server.client.post("/v1/tokens", json=with_uid, headers=close)
            assert answer.status_code == 200

    threads = [threading.Thread(target=mint, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moved = path.with_suffix(".1")
    path.rename(moved)
    server.signal(signal.SIGHUP)
    server.wait_for("settings were read again", 2)
    mint(4)
    assert server.stop() == 0
    minted = [line for each in (moved, path) for line in lines_of(each) if "uid" in str(line)]
    assert sorted(line["services"][0]["uid"] for line in minted) == list(range(1, 251))
    assert path.stat().st_size > 0
