"""What routes are made of: requests, answers, problem details.

Importers elsewhere take these names from `fasttoken.server.app`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qs

import msgspec

from ..errors import FieldError, RowsError
from . import faults
from .auth import Caller
from .desk import Desk

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
NO_STORE = (b"cache-control", b"no-store")
ANY = "*"  # the method of a route that takes what no other route of its path does


class Request:
    """A request: what a handler sees of it. ``body`` has been read, ``caller`` is known."""

    __slots__ = ("address", "body", "caller", "headers", "method", "path", "path_params", "scope")

    def __init__(self, scope: Any) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        client = scope["client"]
        self.address: str = client[0] if client else ""
        self.path_params: dict[str, str] = scope.get("path_params") or {}
        self.body = b""
        self.caller = NOBODY

    def header(self, name: bytes) -> str:
        """A header by its name in lower case; ``""`` if it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> dict[str, str]:
        """The query's values, the first where a name stands twice. `BadRequest` if unreadable."""
        try:
            text = self.scope["query_string"].decode("ascii")
            found = parse_qs(text, True, True, errors="strict", max_num_fields=64) if text else {}
        except ValueError:
            raise faults.BadRequest("the query can't be read") from None
        return {name: values[0] for name, values in found.items()}

    def json(self, decoder: msgspec.json.Decoder[Any]) -> Any:
        """The body, decoded. `BadRequest` if it is not JSON, `FieldError` if not of that form."""
        try:
            return decoder.decode(self.body)
        except msgspec.ValidationError as error:
            raise faults.misfit(error, "body") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise faults.BadRequest(f"the body can't be read: {error}") from None
        except RecursionError:
            raise faults.BadRequest("the body is nested too deeply") from None


NOBODY = Caller("", {}, "")


class Answer(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An answer: a status, a body (or a stream of pieces) and headers."""

    status: int
    body: bytes | AsyncIterator[bytes]
    headers: Headers = (JSON, NO_STORE)


Handler: TypeAlias = Callable[[Request, Desk], Awaitable[Answer]]
Renderer: TypeAlias = Callable[[Exception, Request], Answer]


def problem(error: Exception, request: Request) -> Answer:
    """An error as RFC 9457 problem details."""
    status = faults.status_of(error)
    data: dict[str, Any] = {"title": faults.title(status), "status": status}
    headers: Headers = (PROBLEM, NO_STORE)
    if isinstance(error, faults.Fault):
        data["detail"] = error.detail
        if isinstance(error, faults.Forbidden) and error.field:
            data |= {"field": error.field, "rule": error.rule}
        headers += error.headers
    elif isinstance(error, FieldError):
        data |= {"detail": f"{error.field}: {error.rule}", "field": error.field, "rule": error.rule}
        if error.mend and "=True" not in error.mend:  # advice to a caller in Python
            data["mend"] = error.mend
    elif isinstance(error, RowsError):
        data["detail"] = str(error)
    return Answer(status, msgspec.json.encode(data), headers)


class Operation(NamedTuple):
    """What OpenAPI says of a route: ``answers`` are types by content type."""

    summary: str
    asked: Any = None
    answers: Mapping[str, Any] = {}
    failures: tuple[int, ...] = ()


class Route(NamedTuple):
    """One route: a method (or `ANY`), a path, its handler, and how its errors look.

    A path may have parameters in Starlette's form, ``/rtc/{channel}``. ``public`` routes answer
    without a caller. ``body_bytes`` is the route's own limit of a body, None for the usual one.
    ``fail`` may render exceptions in the form of a family of routes. ``cors=False`` is for routes
    that send CORS headers of their own. A route with an ``operation`` stands in /openapi.json.
    """

    method: str
    path: str
    answer: Handler
    fail: Renderer = problem
    public: bool = False
    body_bytes: int | None = None
    cors: bool = True
    operation: Operation | None = None
