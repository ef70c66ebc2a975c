#!/usr/bin/env python3
"""Prints a token for the test room."""

import os
import sys

from fasttoken import Project

app_id, certificate = os.environ["AGORA_APP_ID"], os.environ["AGORA_APP_CERTIFICATE"]

print(
    Project(app_id, certificate).rtc_token(
        channel_name="test room",
        uid=int(sys.argv[1]),
        role="publisher",
        expire=3600,
    )
)
