"""The token server (docs/server.md): `create_app(settings)` is its ASGI application.

    settings.py   what it is set up with, and where that is read from
    app.py        a request's way: route, address, caller, body, answer
    desk.py       the only place where a token is minted for a caller
    api.py        the native routes; compat/ those of Agora's sample servers
    auth.py       who asks; policy.py what they may have; limits.py how much of it
    audit.py      what was handed out; metrics.py how often, and how fast
    run.py        processes, signals, reloading

It needs the extra ``fasttoken[server]``.
"""

from .app import create_app
from .settings import Settings, Source

__all__ = ["Settings", "Source", "create_app"]
