"""The demonstration page under ``/demo``, with ``dev`` only (docs/web-client.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .settings import Settings

# In a checkout a link to examples/web; in an installed package, its files.
PAGE = Path(__file__).parent / "web"
SDK = "node_modules/agora-rtc-sdk-ng/AgoraRTC_N-production.js"
SDK_ELSEWHERE = "https://cdn.jsdelivr.net/npm/agora-rtc-sdk-ng@4.24.8/AgoraRTC_N-production.js"
# The project of Agora's public documentation: its tokens open nothing.
SAMPLE_APP_ID = "970CA35de60c44645bbae8a215061b33"
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


def routes(settings: Settings) -> list[BaseRoute]:
    """Starlette's routes under ``/demo``."""
    if not settings.dev:
        return []
    place = Path(settings.demo) if settings.demo else PAGE
    app_id = settings.project.app_id

    def file(name: str, media_type: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            return FileResponse(place / name, media_type=media_type, headers=HEADERS)

        return answer

    def config(request: Request) -> Response:
        known: dict[str, Any] = {"app_id": app_id, "sample": app_id == SAMPLE_APP_ID}
        return JSONResponse(known, headers=HEADERS)

    def sdk(request: Request) -> Response:
        if (place / SDK).is_file():
            return FileResponse(place / SDK, media_type="text/javascript", headers=HEADERS)
        return RedirectResponse(SDK_ELSEWHERE, headers=HEADERS)

    def slash(request: Request) -> Response:
        return RedirectResponse("/demo/", headers=HEADERS)

    return [
        Route("/demo", slash),
        Route("/demo/", file("index.html", "text/html")),
        Route("/demo/client.js", file("client.js", "text/javascript")),
        Route("/demo/config.json", config),
        Route("/demo/agora-rtc-sdk-ng.js", sdk),
    ]


def hints(url: str) -> str:
    """Where to look first, for whoever has started a server with ``dev``."""
    asked = json.dumps({"services": [{"service": "rtc", "channel_name": "lobby", "uid": 42}]})
    curl = f"curl -sS -H 'Content-Type: application/json' -d {quote(asked)} {url}/v1/tokens"
    return f"The page:  {url}/demo/\nA token:   {curl}"
