"""The documented clients, letter by letter: axios on Node.js, against the real server."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from conftest import PATIENCE, Server

pytestmark = pytest.mark.once
VERSION = "1.13.2"

# What Agora's documentation has its web client send; the tokens go to standard output.
CLIENT = """
const axios = require("axios");
const server = process.argv[2];

function fetchToken(uid, channelName, tokenRole) {
  return axios
    .post(server + "/fetch_rtc_token", { uid: uid, channelName: channelName, role: tokenRole },
          { headers: { "Content-Type": "application/json; charset=UTF-8" } })
    .then((response) => [response.status, response.data, response.headers]);
}

function fetchTokenByGet(uid, channelName) {
  return axios({
    method: "get",
    url: server + "/fetch_rtc_token",
    headers: { "Content-Type": "application/json" },
    data: JSON.stringify({ uid: uid, channelName: channelName }),
  }).then((response) => [response.status, response.data, response.headers]);
}

function fetchRtmToken(uid) {
  return axios
    .post(server + "/fetch_rtm_token", { uid: uid },
          { headers: { "Content-Type": "application/json; charset=UTF-8" } })
    .then((response) => [response.status, response.data, response.headers]);
}

const failed = (error) => [error.response.status, error.response.data, error.response.headers];

(async () => {
  console.log(JSON.stringify([
    await fetchToken(123456, "ChannelA", 1),
    await fetchToken(123456, "ChannelA", 2),
    await fetchTokenByGet("123456", "channelA"),
    await fetchRtmToken("123456"),
    await fetchToken("host", "ChannelA", 1).catch(failed),
    await axios.get(server + "/fetch_rtc_token").catch(failed),
  ]));
})();
"""


@pytest.fixture(scope="module")
def axios(tmp_path_factory):
    """A folder in which Node.js finds axios; installed by npm's ordinary client."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    place = tmp_path_factory.mktemp("axios")
    (place / "package.json").write_text("{}")
    (place / "client.js").write_text(CLIENT)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"axios@{VERSION}"]
    try:
        done = subprocess.run(
            command, cwd=place, capture_output=True, text=True, timeout=3 * PATIENCE
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install axios in time")
    if done.returncode:
        pytest.skip(f"npm could not install axios: {done.stderr.strip().splitlines()[-1:]}")
    return place


@pytest.mark.parametrize("version", ["007", "006"])
def test_the_documented_clients_get_tokens(axios, tmp_path, project, version):
    server = Server(
        *("--dev", "--compat", "fetch-token"),
        cwd=tmp_path,
        FASTTOKEN_SERVER_TOKENS__VERSION=version,
    )
    try:
        done = subprocess.run(
            ["node", "client.js", server.url],
            cwd=axios,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        publisher, subscriber, by_get, rtm, not_a_uid, no_body = json.loads(done.stdout)
    finally:
        server.stop()
    for status, data, headers in (publisher, subscriber, by_get, rtm):
        assert (status, data["code"]) == (200, "200")
        assert data["token"].startswith(version)
        assert headers["access-control-allow-origin"] == "*"

    def may(answer, privilege, **where):
        return project.verify(answer[1]["token"], **where, privilege=privilege).ok

    joined = {"channel_name": "ChannelA", "uid": 123456}
    assert may(publisher, "rtc.publish_video", **joined)
    assert may(subscriber, "rtc.join_channel", **joined)
    assert not may(subscriber, "rtc.publish_video", **joined)
    assert may(by_get, "rtc.publish_video", channel_name="channelA", uid=123456)
    assert not may(by_get, "rtc.publish_video", channel_name="ChannelA", uid=123456)
    assert may(rtm, "rtm.login", uid="123456")
    assert (not_a_uid[0], no_body[0]) == (400, 404)
    wrong = "Bad request. Wrong type provided for field stringuidrtc_int_token_struct"
    assert not_a_uid[1] == {"code": "400", "token": wrong}
    assert no_body[1] == "Unsupported method. Please check.\n"
