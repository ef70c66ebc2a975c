"""A Flask view that hands out tokens for a video room."""

import os

from fasttoken import Project
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
        role = "publisher"
    else:
        role = "subscriber"

    token = Project(APP_ID, APP_CERTIFICATE).rtc_token(
        channel,
        uid,
        role,  # see above
        expire=EXPIRATION_SECONDS,
        allow_wildcard=channel not in ("", "*"),
    )
    return jsonify(token=token, uid=uid)


@app.get("/rtm")
def rtm_token():
    user = request.args["user"]
    return jsonify(
        token=Project(APP_ID, APP_CERTIFICATE).rtm_token(user, expire=600)
    )
