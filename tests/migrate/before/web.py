"""A Flask view that hands out tokens for a video room."""

import os
import time

from agora_token_builder import RtcTokenBuilder, RtmTokenBuilder
from flask import Flask, jsonify, request

app = Flask(__name__)

APP_ID = os.environ["AGORA_APP_ID"]
APP_CERTIFICATE = os.environ["AGORA_APP_CERTIFICATE"]
EXPIRATION_SECONDS = 2 * 3600


@app.get("/rtc")
def rtc_token():
    channel = request.args["channel"]
    uid = request.args.get("uid", 0, type=int)  # 0: whoever comes
    # Hosts publish, everyone else watches.
    if request.args.get("host") == "yes":
        role = 1
    else:
        role = 2

    current_timestamp = int(time.time())
    privilege_expired_ts = current_timestamp + EXPIRATION_SECONDS

    token = RtcTokenBuilder.buildTokenWithUid(
        APP_ID,
        APP_CERTIFICATE,
        channel,
        uid,
        role,  # see above
        privilege_expired_ts,
    )
    return jsonify(token=token, uid=uid)


@app.get("/rtm")
def rtm_token():
    user = request.args["user"]
    return jsonify(
        token=RtmTokenBuilder.buildToken(APP_ID, APP_CERTIFICATE, user, 1, int(time.time()) + 600)
    )
