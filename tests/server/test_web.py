"""The demonstration page in a real Chromium, with Agora's real Web SDK from npm.

Real are the browser, the SDK, its peer connection, the page, the token server and the tokens. Not
real are the camera and the microphone, which are Chromium's own fakes, and `Agora`: it answers at
the browser's edge for Agora's servers, the access point (HTTPS) and the gateway (WebSocket), in
their own messages as far as the SDK needs them. So the SDK says itself that a token will expire or
did, because the gateway told it so. No media flows: the gateway's address leads nowhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import APP_ID, CERTIFICATE, TESTS

from fasttoken import Project, parse

pytest.importorskip("playwright.sync_api", reason="the extra [test] is not installed")
pytest.importorskip("uvicorn", reason="the extra [server] is not installed")
from playwright.sync_api import Error, Page, Route, WebSocketRoute, expect, sync_playwright

from fasttoken.server.audit import fingerprint

pytestmark = pytest.mark.once
ROOT = TESTS.parent
PAGE = ROOT / "examples" / "web"
FAKES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PATIENCE = 15_000  # milliseconds
ICE = {"iceUfrag": "gateway", "icePwd": "p" * 24}
ACROSS = {"access-control-allow-origin": "*"}
expect.set_options(timeout=PATIENCE)


class Agora:
    """Agora's side, as the SDK sees it. What it was handed is kept for the tests to look at."""

    def __init__(self) -> None:
        self.asked: list[str] = []  # tokens shown to the access point
        self.joins: list[dict] = []
        self.renewals: list[str] = []
        self.published: list[list[str]] = []  # the streams of each publish
        self.ended: set[str] = set()  # tokens that are not accepted any more
        self._gateway: WebSocketRoute | None = None

    def access_point(self, route: Route) -> None:
        """Names a gateway, and a proxy that nobody will use."""
        form = (route.request.post_data_buffer or b"").decode()
        asked = json.loads(re.search(r"^\{.*\}\r?$", form, re.MULTILINE)[0])
        [body] = asked["request_bodies"]
        self.asked.append(body["buffer"]["key"])

        def service(flag: int, host: str) -> dict:
            buffer = {
                "flag": flag,
                "code": 0,
                "uid": body["buffer"]["uid"],
                "cid": 7,
                "cname": body["buffer"]["cname"],
                "cert": "ticket",
                "detail": {"8": "1"},
                "edges_services": [{"ip": host, "port": 4700}],
            }
            return {"uri": 23, "buffer": buffer}

        answer = {
            "opid": asked["opid"],
            "enter_ts": asked["client_ts"],
            "leave_ts": asked["client_ts"],
            "detail": {},
            "response_body": [service(4096, "192.0.2.1"), service(4194310, "192.0.2.2")],
        }
        route.fulfill(json=answer, headers=ACROSS)

    def gateway(self, socket: WebSocketRoute) -> None:
        """Speaks for the gateway on one connection."""

        def answer(text: str | bytes) -> None:
            message = json.loads(text)
            if "_id" in message:
                handle = getattr(self, f"_{message['_type']}", lambda socket, told: {})
                content = handle(socket, message.get("_message"))
                result = "failed" if "error_code" in content else "success"
                answered = {"_id": message["_id"], "_result": result, "_message": content}
                socket.send(json.dumps(answered))

        socket.on_message(answer)

    def _join_v3(self, socket: WebSocketRoute, told: dict) -> dict:
        if told["channel_key"] in self.ended:
            return {"error_code": 110, "error_str": "not authorized"}
        self.joins.append(told)
        self._gateway = socket
        return {
            "uid": 42,
            "vid": 1,
            "rejoin_token": "rejoin",
            "attributes": {"userAttributes": {}},
            "ortc": {
                "cname": "gateway",
                "iceParameters": ICE | {"candidates": []},
                "dtlsParameters": {
                    "role": "server",
                    "fingerprints": [
                        {"algorithm": "sha-256", "fingerprint": ":".join(["AB"] * 32)}
                    ],
                },
                "rtpCapabilities": told["ortc"]["rtpCapabilities"],
            },
        }

    def _rejoin_v3(self, socket: WebSocketRoute, told: dict) -> dict:
        return {"error_code": 2024, "error_str": "the token to rejoin is invalid"}

    def _publish(self, socket: WebSocketRoute, told: dict) -> dict:
        self.published.append([stream["stream_type"] for stream in told["ortc"]])
        return {"ortc": []}

    def _restart_ice(self, socket: WebSocketRoute, told: dict) -> dict:
        return {"iceParameters": ICE}

    def _renew_token(self, socket: WebSocketRoute, told: dict) -> dict:
        self.renewals.append(told["token"])
        return {}

    def _traffic_stats(self, socket: WebSocketRoute, told: None) -> dict:
        return {"peer_delay": []}

    def tell(self, kind: str, **content: object) -> None:
        """A notification to the SDK."""
        self._gateway.send(json.dumps({"_type": kind, "_message": content}))

    def hang_up(self) -> None:
        """Breaks the connection, as a network does."""
        self._gateway.close()

    def tokens(self) -> list[str]:
        """The tokens that were handed to the gateway, by joining or renewing."""
        return [told["channel_key"] for told in self.joins] + self.renewals


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The SDK's directory, in the version that package.json pins, installed by npm's own client."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    place = ROOT / "build" / "npm-web"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(PAGE / "package.json", place)
    found = place / "node_modules" / "agora-rtc-sdk-ng"
    wanted = json.loads((PAGE / "package.json").read_text())["dependencies"]["agora-rtc-sdk-ng"]
    manifest = found / "package.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["version"] != wanted:
        flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        made = subprocess.run(
            ["npm", "install", *flags], cwd=place, capture_output=True, text=True, timeout=300
        )
        if made.returncode:
            pytest.skip(f"npm could not install the SDK: {made.stderr[-300:]}")
    return found


@pytest.fixture(scope="module")
def server(sdk, serve_all, tmp_path_factory):
    """A server with the page as it is in a checkout after `npm install`."""
    place = tmp_path_factory.mktemp("page")
    for name in ("index.html", "client.js"):
        shutil.copy(PAGE / name, place)
    (place / "node_modules").symlink_to(sdk.parent)
    return serve_all("--dev", FASTTOKEN_SERVER_DEMO=str(place))


@pytest.fixture(scope="module")
def launch():
    """Starts Debian's Chromium, once for each set of flags."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is not installed")
    browsers: dict = {}
    with sync_playwright() as playwright:

        def start(*flags: str):
            if flags not in browsers:
                browsers[flags] = playwright.chromium.launch(executable_path=program, args=flags)
            return browsers[flags]

        yield start
        for browser in browsers.values():
            browser.close()


@pytest.fixture
def agora() -> Agora:
    return Agora()


@pytest.fixture
def visit(launch, agora, server):
    """Opens the page: ``visit(expire=60)``, in a browser with other flags if there are any."""
    contexts = []
    strays: list[str] = []

    def edge(route: Route) -> None:
        """Lets the browser reach the token server, and nothing else."""
        url = route.request.url
        if url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.fallback()
        elif "/api/v2/transpond/webrtc" in url:
            agora.access_point(route)
        elif re.match(r"https://[\w.-]+\.(agora\.io|sd-rtn\.com)/", url):
            route.fulfill(json={}, headers=ACROSS)  # settings and statistics
        else:
            strays.append(url)
            route.abort()

    def open_page(flags=FAKES, **query: object) -> Page:
        context = launch(*flags).new_context(
            viewport={"width": 1040, "height": 900}, locale="en-GB", timezone_id="UTC"
        )
        contexts.append(context)
        context.route("**/*", edge)
        context.route_web_socket(re.compile(r"wss://"), agora.gateway)
        page = context.new_page()
        page.said, page.wrong = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: ours(error) and page.wrong.append(error.stack))
        given = "&".join(f"{k}={v}" for k, v in ({"channel": "lobby", "uid": 42} | query).items())
        page.goto(f"{server.url}/demo/?{given}")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.wrong == []
        context.close()
    assert strays == []


def ours(error: Error) -> bool:
    """Whether an uncaught error is the page's. When a connection ends on which the SDK still has
    requests under way, the SDK drops some of its own, besides those that it hands to its caller."""
    return "AgoraRTCError" not in error.stack


def state(page: Page, name: str) -> None:
    """Waits until the page shows a state."""
    expect(page.locator("#state")).to_have_attribute("data-state", name)


def join(page: Page, then: str = "joined") -> None:
    """Presses the button, and waits for what comes of it."""
    page.get_by_role("button", name="Join").click()
    state(page, then)


def fetched(page: Page) -> list[list[str]]:
    """The table of what was fetched, oldest first: why, answer, lifetime, fingerprint."""
    rows = page.locator("#fetched tr").all()
    return [row.locator("td").all_inner_texts()[1:] for row in reversed(rows)]


def accepted(token: str, expire: int = 60) -> None:
    """Fails unless Agora would let user 42 publish in the lobby with this token."""
    project = Project(APP_ID, CERTIFICATE)
    verdict = project.verify(token, channel_name="lobby", uid=42, privilege="rtc.publish_audio")
    assert verdict.ok, verdict
    assert parse(token).claims.expire == expire


def test_it_joins_with_a_token_of_the_server_and_publishes(visit, agora):
    page = visit()
    join(page)
    expect(page.locator("#publishing")).to_have_text("audio, video")
    [joined] = agora.joins
    token = joined["channel_key"]
    accepted(token)
    assert (joined["app_id"], joined["channel_name"]) == (APP_ID, "lobby")
    assert set(agora.asked) == {token}
    assert agora.published == [["high", "audio"]]
    assert page.locator("#fingerprint").inner_text() == fingerprint(token)
    assert fetched(page) == [["join", "a token", "1:00", fingerprint(token)]]
    page.get_by_role("button", name="Leave").click()
    state(page, "left")
    expect(page.locator("#people figure")).to_have_count(0)


def test_it_renews_when_the_sdk_says_that_the_token_will_expire(visit, agora):
    page = visit()
    join(page)
    for count in (1, 2):
        agora.tell("on_token_privilege_will_expire")
        expect(page.locator("#fetched tr")).to_have_count(count + 1)
        state(page, "joined")
        assert len(agora.renewals) == count
    first, second, third = agora.tokens()
    assert len({first, second, third}) == 3  # the salt is a new one each time
    accepted(second)
    accepted(third)
    assert page.locator("#fingerprint").inner_text() == fingerprint(third)
    assert [row[0] for row in fetched(page)] == ["join", "renew", "renew"]
    assert len(agora.joins) == 1


def test_it_joins_again_when_the_token_did_expire(visit, agora):
    page = visit()
    join(page)
    expect(page.locator("#publishing")).to_have_text("audio, video")
    agora.tell("on_token_privilege_did_expire")
    expect(page.locator("#fetched tr")).to_have_count(2)
    state(page, "joined")
    expect(page.locator("#publishing")).to_have_text("audio, video")
    first, second = agora.tokens()
    assert first != second
    accepted(second)
    assert len(agora.joins) == 2
    assert agora.published == [["high", "audio"]] * 2
    assert [row[0] for row in fetched(page)] == ["join", "rejoin"]


def test_it_joins_again_when_the_token_ended_while_the_network_was_away(visit, agora):
    """The SDK tries to connect by itself, is not let in, and sends no event of a token then."""
    page = visit()
    join(page)
    expect(page.locator("#publishing")).to_have_text("audio, video")
    agora.ended.update(agora.tokens())
    agora.hang_up()
    expect(page.locator("#fetched tr")).to_have_count(2)
    state(page, "joined")
    assert [row[0] for row in fetched(page)] == ["join", "rejoin"]
    accepted(agora.tokens()[1])


def test_a_token_that_expires_during_its_renewal_is_not_waited_for(visit, agora):
    page = visit()
    join(page)
    held = []
    page.route("**/v1/tokens", lambda route: held.append(route), times=1)
    with page.expect_event("requestfailed", lambda request: "/v1/tokens" in request.url):
        agora.tell("on_token_privilege_will_expire")
        state(page, "renewing")
        agora.tell("on_token_privilege_did_expire")
    state(page, "joined")
    assert len(held) == 1
    assert [row[0] for row in fetched(page)] == ["join", "rejoin"]
    assert len(agora.joins) == 2
    assert agora.renewals == []


def test_it_asks_again_until_the_server_answers(visit, agora):
    page = visit()
    troubles = [
        lambda route: route.fulfill(status=429, headers={"Retry-After": "1"}),
        lambda route: route.abort("connectionrefused"),
        lambda route: route.fulfill(
            status=503,
            content_type="application/problem+json",
            json={"title": "Service Unavailable", "status": 503, "detail": "the server ends"},
        ),
    ]
    page.route("**/v1/tokens", lambda route: troubles.pop(0)(route), times=len(troubles))
    join(page)
    *retries, came = fetched(page)
    assert troubles == []
    assert retries[0][1] == "429: Too Many Requests; again in 1.0 s"  # not half of it
    assert re.fullmatch(r"Failed to fetch; again in (0\.[5-9]|1\.0) s", retries[1][1])
    assert re.fullmatch(r"503: the server ends; again in [12]\.\d s", retries[2][1])
    assert came[:2] == ["join", "a token, at attempt 4"]


def test_a_refusal_is_shown_and_not_asked_again(visit, agora):
    page = visit(channel="no/slash")
    join(page, "failed")
    [[why, answer, _, _]] = fetched(page)
    assert why == "join"
    assert answer.startswith("422: channel_name: ")
    expect(page.get_by_role("alert")).to_contain_text("422: channel_name: ")
    assert agora.asked == []
    page.get_by_label("Channel").fill("lobby")
    join(page)


def test_a_refused_renewal_ends_the_call_with_its_token_only(visit, agora):
    page = visit()
    join(page)
    refused = {"title": "Forbidden", "status": 403, "detail": "you were shown out"}
    page.route("**/v1/tokens", lambda route: route.fulfill(status=403, json=refused))
    agora.tell("on_token_privilege_will_expire")
    expect(page.get_by_role("alert")).to_contain_text("403: you were shown out")
    state(page, "joined")
    agora.tell("on_token_privilege_did_expire")
    state(page, "failed")
    assert [row[:2] for row in fetched(page)[1:]] == [
        ["renew", "403: you were shown out"],
        ["rejoin", "403: you were shown out"],
    ]
    assert len(agora.joins) == 1


def test_leaving_ends_the_wait_for_a_token(visit, agora):
    page = visit()
    page.route("**/v1/tokens", lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#fetched tr.bad")).to_have_count(1)
    page.get_by_role("button", name="Leave").click()
    state(page, "left")
    join(page)
    assert [row[1] for row in fetched(page)[1:]] == ["a token"]


def test_a_user_whom_agora_puts_out_stays_out(visit, agora):
    page = visit()
    join(page)
    agora.tell("on_user_banned", error_code=14)
    state(page, "failed")
    expect(page.get_by_role("alert")).to_contain_text("UID_BANNED")
    assert len(agora.joins) == 1


def test_without_a_camera_the_microphone_is_published(visit, agora):
    page = visit(["--use-fake-device-for-media-stream=device-count=0", FAKES[1]])
    join(page)
    expect(page.locator("#publishing")).to_have_text("audio")
    expect(page.get_by_role("alert")).to_contain_text("No camera (DEVICE_NOT_FOUND)")
    assert agora.published == [["audio"]]


def test_a_user_who_gives_no_device_still_joins(visit, agora):
    page = visit([FAKES[0], f"{FAKES[1]}=deny"])
    join(page)
    expect(page.locator("#publishing")).to_have_text("nothing")
    for device in ("microphone", "camera"):
        expect(page.get_by_role("alert")).to_contain_text(f"No {device} (PERMISSION_DENIED)")
    assert agora.published == []


def test_a_subscriber_publishes_nothing(visit, agora, project):
    page = visit(role="subscriber", expire=600)
    join(page)
    expect(page.locator("#publishing")).to_have_text("nothing")
    [token] = agora.tokens()
    asked = {"channel_name": "lobby", "uid": 42}
    assert project.verify(token, **asked, privilege="rtc.join_channel").ok
    assert not project.verify(token, **asked, privilege="rtc.publish_audio").ok


def test_others_come_and_go(visit, agora):
    page = visit()
    join(page)
    agora.tell("on_user_online", uid=7, uint_id=7)
    agora.tell("on_add_video_stream", uid=7, uint_id=7, video=True, ssrcId=77)
    agora.tell("on_add_audio_stream", uid=7, uint_id=7, audio=True, ssrcId=78)
    expect(page.locator("figcaption")).to_have_text(["You", "User 7"])
    agora.tell("on_user_offline", uid=7, reason="quit")
    expect(page.locator("figcaption")).to_have_text(["You"])


def test_no_token_is_shown(visit, agora):
    page = visit()
    join(page)
    agora.tell("on_token_privilege_will_expire")
    expect(page.locator("#fetched tr")).to_have_count(2)
    state(page, "joined")
    kept = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    shown = "\n".join([page.content(), *page.said, kept])
    assert len(agora.tokens()) == 2
    for token in agora.tokens():
        assert token[:12] not in shown


def test_without_the_sdk_the_page_says_so(visit):
    page = visit()
    page.route("**/agora-rtc-sdk-ng.js", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The Agora Web SDK did not load")
    expect(page.get_by_role("button", name="Join")).to_be_disabled()


def test_another_file_in_the_place_of_the_sdk_is_not_run(visit):
    page = visit()
    swapped = {"content_type": "text/javascript", "body": "window.AgoraRTC = {};"}
    page.route("**/agora-rtc-sdk-ng.js", lambda route: route.fulfill(**swapped))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The Agora Web SDK did not load")


def test_the_page_fits_its_window_in_light_and_dark(visit, agora):
    """The pictures lie in build/web; docs/demo.png is one of them."""
    page = visit()
    rows = page.locator("#fetched tr")
    page.clock.set_fixed_time("2026-01-01T10:00:00Z")
    join(page)
    page.clock.set_fixed_time("2026-01-01T10:00:30Z")
    down = {"title": "Service Unavailable", "status": 503, "detail": "the server is ending"}
    page.route("**/v1/tokens", lambda route: route.fulfill(status=503, json=down), times=1)
    agora.tell("on_token_privilege_will_expire")
    expect(rows).to_have_count(2)
    page.clock.set_fixed_time("2026-01-01T10:00:31Z")
    expect(rows).to_have_count(3)
    state(page, "joined")
    page.clock.set_fixed_time("2026-01-01T10:01:01Z")
    agora.tell("on_token_privilege_will_expire")
    expect(rows).to_have_count(4)
    state(page, "joined")
    page.clock.set_fixed_time("2026-01-01T10:01:20Z")
    expect(page.locator("#left")).to_have_text("0:41")
    pictures = ROOT / "build" / "web"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1040, 360):
            page.set_viewport_size({"width": width, "height": 900})
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wide) <= 0
            page.screenshot(path=pictures / f"{scheme}-{width}.png", full_page=True)
