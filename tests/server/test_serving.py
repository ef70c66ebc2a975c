"""The server as its operator sees it: starting, stopping, reloading, TLS, workers."""

from __future__ import annotations

from helpers import APP_ID

from fasttoken import parse


def test_a_token_is_served(dev, project):
    answer = dev.client.post(
        "/v1/tokens", json={"services": [{"service": "rtc", "channel_name": "lobby", "uid": 42}]}
    )
    assert answer.status_code == 200
    token = answer.json()["token"]
    assert parse(token).claims.app_id == APP_ID
    assert project.verify(token, channel_name="lobby", uid=42, privilege="rtc.publish_audio").ok


def test_it_ends_on_sigterm(serve):
    server = serve("--dev", "--workers", "2")
    assert server.client.get("/healthz").status_code == 200
    assert server.stop() == 0


def test_one_worker_ends_on_sigterm(serve):
    assert serve("--dev").stop() == 0
