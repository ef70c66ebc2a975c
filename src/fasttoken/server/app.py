"""A request's way through the server.

A route is found by its path in a dictionary; Starlette routes only the paths with parameters and
the demonstration's files. Then, for each alike: the address is counted, the caller told, the body
read, the handler asked, the answer sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable
from time import perf_counter
from typing import Any

from starlette.routing import BaseRoute, Router
from starlette.routing import Route as StarletteRoute

from ..errors import FieldError, RowsError
from ..project import Project
from . import api, compat, demo, faults
from .audit import AuditLog
from .auth import Authenticator
from .connections import Cycle
from .cors import CorsHeaders
from .desk import Desk
from .limits import DONE, Limiter
from .metrics import Meter
from .policy import Rules
from .routing import (
    ANY,
    JSON,
    NO_STORE,
    PROBLEM,
    Answer,
    Handler,
    Headers,
    Operation,
    Request,
    Route,
    problem,
)
from .settings import Settings

log = logging.getLogger("fasttoken.server")


class App:
    """The ASGI application."""

    audit: AuditLog

    def __init__(self, settings: Settings) -> None:
        self.meter = Meter(settings.metrics)
        self.limiter: Limiter
        self.authenticator: Authenticator
        self.desk: Desk
        self._generation = 0
        self.set_up(settings)

    def set_up(self, settings: Settings) -> None:
        """Takes settings, at the start and again whenever they changed.

        Requests under way end with what they began with. `FieldError` leaves all as it was.
        """
        project = settings.project.open()
        old: Settings | None = getattr(self, "settings", None)
        if old is not None and settings.dev and not old.dev:
            # The socket may be open to everyone, whatever host the new settings name.
            raise FieldError("dev", "must not be turned on while the server runs")
        rules = Rules(settings.policy, settings.dev)
        authenticator = Authenticator(
            settings.auth, settings.dev, None if old is None else self.authenticator
        )
        cors = CorsHeaders(settings.cors, settings.dev)
        # What counts or holds a file open is kept as long as its settings are the same.
        if old is None or old.limits != settings.limits:
            limiter = Limiter(settings.limits, settings.dev)
            if old is not None:
                _spawn(self.limiter.close())
            self.limiter = limiter
        if old is None or old.audit != settings.audit:
            audit = AuditLog(settings.audit)
            if old is not None:
                self.audit.close()
            self.audit = audit
        self.authenticator, self.cors = authenticator, cors
        if old is None or not _same_certificate(project, self.desk.project):
            self._generation += 1
            self.meter.certificate(self._generation)
        self.desk = Desk(project, settings.tokens, rules, self.audit, self.meter)
        if old is None or any(
            getattr(old, name) != getattr(settings, name)
            for name in ("compat", "tokens", "cors", "limits", "metrics")
        ):
            self._route(settings)
        self.settings = settings
        self._body_bytes = settings.limits.body_bytes
        self._dev = settings.dev

    def _route(self, settings: Settings) -> None:
        self._routes: dict[str, dict[str, Route]] = {}
        for route in (*api.routes(settings), *compat.routes(settings)):
            methods = self._routes.setdefault(route.path, {})
            methods[route.method] = route
            if route.method == "GET":
                methods.setdefault("HEAD", route)
        patterns: list[BaseRoute] = [
            StarletteRoute(path, _Pattern(self, methods))
            for path, methods in self._routes.items()
            if "{" in path
        ]
        self._routes = {path: found for path, found in self._routes.items() if "{" not in path}
        self._rest = Router(
            [*patterns, *demo.routes(settings)], redirect_slashes=False, default=self._nowhere
        )

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "http":
            methods = self._routes.get(scope["path"])
            if methods is not None:
                return self.serve(methods, scope, receive, send)
            return self._rest(scope, receive, send)
        return self._lifespan(receive, send)

    async def serve(self, methods: dict[str, Route], scope: Any, receive: Any, send: Any) -> None:
        """Answers a request for a path that has routes for some methods."""
        started = perf_counter()
        request = Request(scope)
        route = methods.get(request.method) or methods.get(ANY) or _no_route(methods)
        try:
            counted = self.limiter.address(request)
            if counted is not DONE:
                await counted
            if self._dev:
                self.cors.check(request)
            preflight = None
            if request.method == "OPTIONS" and route.cors:
                named = tuple(method for method in methods if method != ANY)
                preflight = self.cors.preflight(request, named)
            if preflight is not None:
                answer = preflight
            else:
                if not route.public:
                    caller = self.authenticator.known(request)
                    if caller is None:
                        caller = await self.authenticator.caller(request)
                    request.caller = caller
                    counted = self.limiter.caller(caller)
                    if counted is not DONE:
                        await counted
                most = route.body_bytes or self._body_bytes
                announced = request.headers.get(b"content-length", b"")
                if len(announced) > 4 and (len(announced) > 15 or int(announced) > most):
                    raise _too_large(most)
                message = await receive()
                if message["type"] == "http.request" and message["more_body"]:
                    message = await self._read(message, receive, most)
                if message["type"] != "http.request":
                    return  # the client went away
                request.body = body = message["body"]
                if len(body) > most:
                    raise _too_large(most)
                answer = await route.answer(request, self.desk)
        except (faults.Fault, FieldError, RowsError) as error:
            answer = self._failed(route, request, error)
        except Exception as error:
            log.exception("%s %s failed", request.method, route.path)
            answer = self._failed(route, request, error)
        headers = answer.headers
        if route.cors and b"origin" in request.headers:
            headers += self.cors.headers(request)
        body = answer.body
        if type(body) is bytes:
            # Our own protocol sends an answer at once, any other in the two steps of ASGI. (Handed
            # over in the scope, the method would be a cycle for the garbage collector.)
            cycle = getattr(send, "__self__", None)
            if type(cycle) is not Cycle or not cycle.answer(answer.status, headers, body):
                length = (b"content-length", b"%d" % len(body))
                await _send(send, answer.status, (*headers, length), body)
        else:
            await _stream(send, answer.status, headers, body)
        self.meter.answered(route.path, answer.status, perf_counter() - started)

    def _failed(self, route: Route, request: Request, error: Exception) -> Answer:
        self.meter.refused(faults.reason_of(error))
        if isinstance(error, faults.Fault) and error.status in (401, 429):
            self.audit.refused(request.caller, None, error, request.address)
        return route.fail(error, request)

    async def _read(self, message: Any, receive: Any, most: int) -> Any:
        """The rest of a body that comes in pieces, as one message. How long it may take is for
        the protocol to say (`limits.http_protocol`)."""
        pieces, length = [], 0
        while message["type"] == "http.request":
            pieces.append(message["body"])
            length += len(message["body"])
            if not message["more_body"] or length > most:
                return {"type": "http.request", "body": b"".join(pieces)}
            message = await receive()
        return message

    async def _nowhere(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.serve({ANY: _NOWHERE}, scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        folding = asyncio.get_running_loop().create_task(self._fold())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        folding.cancel()
        self.meter.fold()
        self.audit.close()
        await self.limiter.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _fold(self) -> None:
        """Adds up the metrics once a second, so that every worker can show those of all."""
        while True:
            await asyncio.sleep(1)
            self.meter.audit_failed(self.audit.take_failures())
            self.meter.fold()


def _too_large(most: int) -> faults.TooLarge:
    """The error for a body that is too large; what is left of it is not read."""
    return faults.TooLarge(f"the body must be at most {most} bytes", ((b"connection", b"close"),))


def _same_certificate(one: Project, other: Project) -> bool:
    """Whether two projects mint the same: neither shows its certificate, but its tokens do."""
    first, second = (project.rtc_token("any", 1, issue_ts=1, salt=1) for project in (one, other))
    return first == second


_spawned: set[asyncio.Task[None]] = set()


def _spawn(work: Coroutine[Any, Any, None]) -> None:
    """Lets something be done that nobody waits for."""
    task = asyncio.get_running_loop().create_task(work)
    _spawned.add(task)
    task.add_done_callback(_spawned.discard)


class _Pattern:
    """What Starlette calls for a path with parameters."""

    def __init__(self, app: App, methods: dict[str, Route]) -> None:
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app.serve(self._methods, scope, receive, send)


async def _send(
    send: Any, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> None:
    """Sends an answer that is whole."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(
    send: Any, status: int, headers: Iterable[tuple[bytes, bytes]], body: Any
) -> None:
    """Sends an answer piece by piece."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    async for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _not_found(request: Request, desk: Desk) -> Answer:
    raise faults.NotFound("no route has this path")


_NOWHERE = Route(ANY, "(none)", _not_found, public=True)


def _no_route(methods: dict[str, Route]) -> Route:
    """The route that says which methods a path takes."""
    allowed = ", ".join(methods)
    path = next(iter(methods.values())).path

    async def wrong_method(request: Request, desk: Desk) -> Answer:
        header = ((b"allow", allowed.encode()),)
        raise faults.WrongMethod(f"this path takes {allowed}", header)

    return Route(ANY, path, wrong_method, public=True)


def create_app(settings: Settings) -> App:
    """The server as an ASGI application."""
    return App(settings)


__all__ = [
    "ANY",
    "JSON",
    "NO_STORE",
    "PROBLEM",
    "Answer",
    "App",
    "Handler",
    "Headers",
    "Operation",
    "Request",
    "Route",
    "create_app",
    "problem",
]
