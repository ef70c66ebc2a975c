"""What goes wrong with a request, as exceptions that know their HTTP status.

A rule of a token's fields is a `fasttoken.FieldError`, from wherever it is raised. Each is rendered
by its route: the native API answers with RFC 9457 problem details, a compatible route as its
original does.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import ClassVar

import msgspec

from ..errors import FastTokenError, FieldError, RowsError


class Fault(FastTokenError):
    """A request that can't be served. ``detail`` is for the caller: it holds no secret.

    ``headers`` go into the answer. ``reason`` is one of a few words, for logs and metrics.
    """

    status: ClassVar[int] = 400
    reason: str = "bad_request"

    def __init__(
        self, detail: str, headers: tuple[tuple[bytes, bytes], ...] = (), reason: str = ""
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers
        self.reason = reason or self.reason


class BadRequest(Fault):
    """The request can't be read: its JSON, its query, its path."""


class Unauthorized(Fault):
    """The caller is not known: no API key, no JWT, or one that does not hold."""

    status = 401
    reason = "unauthorized"


class Forbidden(Fault):
    """The caller is known, and must not have what was asked. Where the policy says so, ``field``
    and ``rule`` are what it does not grant, and why."""

    status = 403
    reason = "forbidden"

    def __init__(self, detail: str, field: str = "", rule: str = "") -> None:
        super().__init__(detail)
        self.field = field
        self.rule = rule


class NotFound(Fault):
    """No route has this path."""

    status = 404
    reason = "not_found"


class WrongMethod(Fault):
    """The path is there, for other methods."""

    status = 405
    reason = "wrong_method"


class TooSlow(Fault):
    """The request did not arrive in time."""

    status = 408
    reason = "too_slow"


class NotAcceptable(Fault):
    """The route can't answer in a form that the caller accepts."""

    status = 406


class TooLarge(Fault):
    """The body is longer than the limit."""

    status = 413
    reason = "too_large"


class TooMany(Fault):
    """The caller or the address is over its rate limit."""

    status = 429
    reason = "rate_limited"


class NotReady(Fault):
    """The server can't answer now: it starts, ends, or lacks something outside itself."""

    status = 503
    reason = "not_ready"


def reason_of(error: Exception) -> str:
    """Why a request was refused, in one of a few words."""
    if isinstance(error, Fault):
        return error.reason
    return "bad_field" if isinstance(error, FieldError | RowsError) else "error"


_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?")
_KEY_PLACE = re.compile(r"(.*) - at `key` in `\$\.?(.*)`")
_UNKNOWN = re.compile("Object contains unknown field `(.*)`")
_MISSING = re.compile("Object missing required field `(.*)`")


def misfit(error: msgspec.ValidationError, whole: str) -> FieldError:
    """The field and the rule of a value that is not of the form that was asked for.

    ``whole`` names the thing that has the fields.
    """
    message = str(error)
    found = _KEY_PLACE.fullmatch(message) or _PLACE.fullmatch(message)
    rule, place = found.groups("") if found else (message, "")
    for pattern, told in ((_UNKNOWN, "is not known here"), (_MISSING, "must be given")):
        if named := pattern.fullmatch(rule):
            return FieldError(".".join(filter(None, (place, named[1]))), told)
    rule = rule.replace("`", "").replace("Expected", "must be").replace(", got", ", not")
    return FieldError(place or whole, rule)


def status_of(error: Exception) -> int:
    """The HTTP status that an exception stands for; 500 for one that nobody expected."""
    if isinstance(error, Fault):
        return error.status
    # The request was read, and a value in it breaks a rule.
    return 422 if isinstance(error, FieldError | RowsError) else 500


def title(status: int) -> str:
    """The status in words."""
    return HTTPStatus(status).phrase
