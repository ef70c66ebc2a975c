"""The native routes (docs/server.md, "The API")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ..services import Role
from .desk import Desk, RtcOrder

if TYPE_CHECKING:
    from .app import Answer, App, Request, Route
    from .settings import Settings

encode = msgspec.json.Encoder().encode


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /v1/tokens``, the short form for RTC."""

    channel_name: str
    uid: int | str
    role: Literal["publisher", "subscriber"] = "publisher"
    expire: int | None = None
    privilege_expire: int = 0


_tokens = msgspec.json.Decoder(TokenRequest)


async def _post_token(request: Request, desk: Desk) -> Answer:
    from .app import Answer

    asked = request.json(_tokens)
    order = RtcOrder(
        asked.channel_name,
        asked.uid,
        Role.PUBLISHER if asked.role == "publisher" else Role.SUBSCRIBER,
        desk.defaults.expire if asked.expire is None else asked.expire,
        asked.privilege_expire,
    )
    return Answer(200, encode(desk.mint(request.caller, order)))


def routes(settings: Settings, app: App) -> list[Route]:
    """All native routes."""
    from .app import Answer, Route

    async def healthz(request: Request, desk: Desk) -> Answer:
        return Answer(200, b'{"status":"ok"}')

    async def metrics(request: Request, desk: Desk) -> Answer:
        kind, page = desk.meter.page()
        return Answer(200, page, ((b"content-type", kind),))

    return [
        Route("POST", "/v1/tokens", _post_token),
        Route("GET", "/healthz", healthz, public=True),
        Route("GET", "/readyz", healthz, public=True),
        Route("GET", "/metrics", metrics),
    ]
