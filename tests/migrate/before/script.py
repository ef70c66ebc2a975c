#!/usr/bin/env python3
"""Prints a token for the test room."""

import os
import sys
import time

import agora_token_builder.RtcTokenBuilder as builder

app_id, certificate = os.environ["AGORA_APP_ID"], os.environ["AGORA_APP_CERTIFICATE"]
expires = time.time() + 3600  # an hour

print(
    builder.RtcTokenBuilder.buildTokenWithUid(
        appId=app_id,
        appCertificate=certificate,
        channelName="test room",
        uid=int(sys.argv[1]),
        role=builder.Role_Publisher,
        privilegeExpiredTs=expires,
    )
)
