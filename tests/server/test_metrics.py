"""What Prometheus reads."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest

pytest.importorskip("msgspec", reason="the extra [server] is not installed")
pytest.importorskip("prometheus_client", reason="the extra [server] is not installed")
from prometheus_client.parser import text_string_to_metric_families

from fasttoken.server import metrics
from fasttoken.server.desk import Order, RtcOrder
from fasttoken.server.metrics import BUCKETS, Meter, Metrics
from fasttoken.services import Chat, Rtc, Rtm

pytestmark = pytest.mark.once

ASK = {"services": [{"service": "rtc", "channel_name": "lobby", "uid": 7}]}


def samples(page):
    """The value of each sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def shown(meter):
    kind, page = meter.page()
    assert kind.startswith(b"text/plain; version=0.0.4")
    return samples(page.decode())


def key(name, **labels):
    return name, tuple(sorted(labels.items()))


def test_requests_by_route_and_status():
    meter = Meter(Metrics())
    for status in (200, 200, 403):
        meter.answered("/v1/tokens", status, 0.0003)
    meter.answered("/healthz", 200, 0.001)
    found = shown(meter)
    assert found[key("fasttoken_requests_total", route="/v1/tokens", status="200")] == 2
    assert found[key("fasttoken_requests_total", route="/v1/tokens", status="403")] == 1
    assert found[key("fasttoken_requests_total", route="/healthz", status="200")] == 1
    meter.answered("/healthz", 200, 0.001)
    assert shown(meter)[key("fasttoken_requests_total", route="/healthz", status="200")] == 2


def test_the_histogram_is_that_of_prometheus():
    """What is added at once gives what one observation after another gives."""
    from prometheus_client import CollectorRegistry, Histogram, generate_latest

    seconds = [0.0, *BUCKETS, *(bound * 1.01 for bound in BUCKETS), 100.0, 0.0003, 0.0003]
    meter, registry = Meter(Metrics()), CollectorRegistry()
    theirs = Histogram(
        "fasttoken_request_seconds", "x", ["route"], buckets=BUCKETS, registry=registry
    )
    for each in seconds:
        meter.answered("/", 200, each)
        theirs.labels("/").observe(each)
    meter.fold()
    for each in seconds:
        meter.answered("/", 200, each)
        theirs.labels("/").observe(each)
    expected = samples(generate_latest(registry).decode())
    found = shown(meter)
    for name, value in expected.items():
        if not name[0].endswith("_created"):
            assert found[name] == pytest.approx(value)


def test_tokens_and_refusals():
    meter = Meter(Metrics())
    meter.minted(RtcOrder("room", 7))
    meter.minted(RtcOrder("room", 7, version="006"))
    meter.minted(Order((Rtc("room", 7), Chat("ann"), Chat("bob"))))
    meter.minted(Order((Rtm("ann"),), version="006"), 5)
    for reason in ("forbidden", "forbidden", "key_unknown"):
        meter.refused(reason)
    meter.reloaded(True)
    meter.reloaded(False)
    meter.certificate(3)
    meter.audit_failed(2)
    found = shown(meter)
    for service, version, number in (
        ("rtc", "007", 2),
        ("rtc", "006", 1),
        ("chat", "007", 1),
        ("rtm", "006", 5),
    ):
        assert found[key("fasttoken_tokens_total", service=service, version=version)] == number
    assert found[key("fasttoken_refused_total", reason="forbidden")] == 2
    assert found[key("fasttoken_refused_total", reason="key_unknown")] == 1
    assert found[key("fasttoken_reloads_total", taken="yes")] == 1
    assert found[key("fasttoken_reloads_total", taken="no")] == 1
    assert found[key("fasttoken_certificate_generation")] == 3
    assert found[key("fasttoken_audit_failures_total")] == 2


def test_the_directory_of_shared_metrics_goes_with_its_process(monkeypatch):
    monkeypatch.setenv(metrics.DIRECTORY, "/nowhere")
    metrics.share_between_workers()
    assert metrics.os.environ[metrics.DIRECTORY] == "/nowhere"  # the operator's own stays
    monkeypatch.delenv(metrics.DIRECTORY)
    registered = []
    monkeypatch.setattr(metrics.atexit, "register", registered.append)
    metrics.share_between_workers()
    directory = metrics.Path(metrics.os.environ[metrics.DIRECTORY])
    assert directory.stat().st_mode & 0o777 == 0o700
    registered[0]()
    assert not directory.exists()


# Over HTTP ---------------------------------------------------------------------------------------


def test_no_label_has_a_value_that_a_client_chose(dev):
    mark = "zq7mark"
    dev.client.get(f"/{mark}", params={mark: mark})
    dev.client.request(mark.upper(), "/v1/tokens")
    dev.client.request("BREW", f"/rtc/{mark}/publisher/uid/7/")
    ask = {"services": [{"service": "rtc", "channel_name": mark, "uid": mark}]}
    headers = {"x-request-id": mark, "user-agent": mark, "origin": f"http://{mark}", mark: mark}
    assert dev.client.post("/v1/tokens", json=ask, headers=headers).status_code == 200
    assert dev.client.post("/v1/tokens", json={mark: mark}).status_code >= 400
    page = dev.client.get("/metrics").text
    assert mark not in page.lower()
    assert 'fasttoken_tokens_total{service="rtc",version="007"}' in page


def test_metrics_are_for_callers_unless_set(serve):
    digest = sha256(b"ft_x").hexdigest()
    keys = json.dumps([{"name": "prometheus", "sha256": digest}])
    mine = {"authorization": "Bearer ft_x"}
    unruled = serve(FASTTOKEN_SERVER_AUTH__KEYS=keys)
    assert unruled.client.get("/metrics").status_code == 401
    assert unruled.client.get("/metrics", headers=mine).status_code == 403
    rules = json.dumps([{"name": "all may see", "metrics": True}])
    closed = serve(FASTTOKEN_SERVER_AUTH__KEYS=keys, FASTTOKEN_SERVER_POLICY__RULES=rules)
    assert closed.client.get("/metrics").status_code == 401
    assert closed.client.get("/metrics", headers=mine).status_code == 200
    assert 'reason="no_credential"} 1.0' in closed.client.get("/metrics", headers=mine).text
    public = serve(FASTTOKEN_SERVER_AUTH__KEYS=keys, FASTTOKEN_SERVER_METRICS__PUBLIC="true")
    assert public.client.get("/metrics").status_code == 200


def test_two_workers_count_together(serve):
    """Each worker folds its numbers once a second; the page must show all of them in the end."""
    server = serve("--dev", "--workers", "2")
    close = {"connection": "close"}
    for _ in range(40):
        assert server.client.post("/v1/tokens", json=ASK, headers=close).status_code == 200
    name = key("fasttoken_tokens_total", service="rtc", version="007")
    for _ in range(3000):
        if samples(server.client.get("/metrics", headers=close).text)[name] == 40:
            break
    else:
        pytest.fail("not all tokens are shown")
    page = server.client.get("/metrics").text
    assert samples(page)[key("fasttoken_certificate_generation")] == 1
    assert not re.search(r"pid=", page)
