"""What the families share: requests read as Go and Express read them, and what is said of them.

Lenient about the form, as the originals are; what a value may be is for the desk to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from ...errors import FieldError
from ...rules import ABSOLUTE, U32_MAX
from ..faults import BadRequest, Fault, status_of, title
from ..routing import ANY, NO_STORE, Answer, Headers, Request, Route

if TYPE_CHECKING:
    from ..desk import Desk
    from ..settings import Settings

_encode = msgspec.json.Encoder().encode

TEXT = (b"content-type", b"text/plain; charset=utf-8")
PLAIN = (b"content-type", b"text/plain")  # as Gin has it where it has no route
HTML = (b"content-type", b"text/html; charset=utf-8")
JSON_UTF8 = (b"content-type", b"application/json; charset=utf-8")
NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_CACHE: Headers = (
    (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
    (b"expires", b"-1"),
    (b"pragma", b"no-cache"),
)
LONGEST_QUOTE = 64  # characters
CREDENTIALS = ("authorization", "x-api-key")  # the originals ask for none; `Authenticator` does


def encode(data: object) -> bytes:
    """JSON as Go writes it: without what could be taken for HTML."""
    text = _encode(data)
    for character in b"<>&":
        text = text.replace(b"%c" % character, b"\\u%04x" % character)
    return text


def words(error: Exception) -> str:
    """What a caller is told about an error."""
    if isinstance(error, Fault):
        return error.detail
    if isinstance(error, FieldError):
        # Without the mend, which is for whoever writes Python.
        return f"{error.field}: {error.rule}"
    return title(500)


def status(error: Exception) -> int:
    """The HTTP status of an error: the originals have 400 for values, where the API has 422."""
    found = status_of(error)
    return 400 if found == 422 else found


def more_headers(error: Exception) -> Headers:
    """The headers that an error brings along, such as Retry-After."""
    return error.headers if isinstance(error, Fault) else ()


# Cross-origin requests ------------------------------------------------------------------------


class Origins:
    """Whose pages may read the answers: everyone's, as with the originals, unless the settings
    list origins."""

    def __init__(self, settings: Settings) -> None:
        listed = settings.cors.origins
        self.all = not listed or "*" in listed
        self._listed = frozenset(origin.encode() for origin in listed)

    def allow(self, request: Request) -> bool:
        """Whether the page that asks may read the answer; a request without a page may."""
        origin = request.headers.get(b"origin")
        return self.all or origin is None or origin in self._listed

    def header(self, request: Request) -> Headers:
        """``Access-Control-Allow-Origin``, as the originals have it where all may."""
        if self.all:
            return EVERYONE
        origin = request.headers.get(b"origin", b"")
        vary = (b"vary", b"origin")
        return ((EVERYONE[0][0], origin), vary) if origin in self._listed else (vary,)


EVERYONE: Headers = ((b"access-control-allow-origin", b"*"),)


def allowed_headers(request: Request, original: str) -> tuple[bytes, bytes]:
    """``Access-Control-Allow-Headers``: the original's, and the credentials that a page wants to
    send, which it does not cover (``*`` does not cover Authorization)."""
    asked = request.header(b"access-control-request-headers").lower()
    known = original.lower().split(", ")
    wanted = {name.strip() for name in asked.split(",")}
    more = [name for name in CREDENTIALS if name in wanted and name not in known]
    return (b"access-control-allow-headers", ", ".join([original, *more]).encode())


def nothing_here(path: str, text: str, headers: Headers, *, cors: bool = False) -> Route:
    """The route that answers the methods which the original does not serve on a path: 404."""

    async def answer(request: Request, desk: Desk) -> Answer:
        return Answer(404, text.format(method=request.method, path=path).encode(), headers)

    return Route(ANY, path, answer, public=True, cors=cors)


def express_nowhere(path: str) -> Route:
    """What Express says of a method that a path has no handler for."""
    return nothing_here(path, "Cannot {method} {path}\n", (HTML, NOSNIFF))


# Queries and paths ----------------------------------------------------------------------------


def query(request: Request) -> dict[str, str]:
    """The query's values. `BadRequest` if it can't be read, or a name stands twice."""
    raw: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(raw.decode("ascii"), True, errors="strict", max_num_fields=64)
    except ValueError:
        raise BadRequest("the query can't be read") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest("a name stands twice in the query")
    return found


def is_number(text: str) -> bool:
    """Whether a text is a decimal number without a sign."""
    return text.isascii() and text.isdigit()


def is_uid(text: str) -> bool:
    """Whether a text is a uid as it is written: a number without leading zeros."""
    return is_number(text) and (text[0] != "0" or text == "0")


def shown(text: str) -> str:
    """What is quoted of a text that a client chose."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def parse_uint(text: str) -> int:
    """A number as Go's ``strconv.ParseUint`` reads it; `BadRequest` in its words otherwise."""
    problem = "" if is_number(text) else "invalid syntax"
    if not problem:
        # A longer text is out of range, and would take long to convert.
        number = int(text) if len(text.lstrip("0")) <= 20 else 2**64
        if number < 2**64:
            return number
        problem = "value out of range"
    raise BadRequest(f'strconv.ParseUint: parsing "{shown(text)}": {problem}')


def user(text: str) -> int | str:
    """The uid that a text is, where it is written as a uid is; else an account. ``0`` is a uid
    here, so that it means any user, and is refused."""
    if not is_uid(text):
        return text
    return int(text) if len(text) <= 10 else U32_MAX + 1  # out of range, and named so


def seconds_until(field: str, text: str, now: int) -> int:
    """The seconds until an absolute time in Unix seconds."""
    if not is_number(text) or not ABSOLUTE <= (ends := parse_uint(text)) <= U32_MAX:
        raise FieldError(field, "must be a time in Unix seconds")
    if ends <= now:
        raise FieldError(field, "must be in the future")
    return ends - now


# JSON as Go reads it --------------------------------------------------------------------------


class Shape(NamedTuple):
    """A Go struct: its package, its name, and the names and Go types of its fields. A field of
    type ``uid`` is a uint32 that may also be written as a text of digits."""

    package: str
    name: str
    fields: Mapping[str, Any]

    @property
    def go_type(self) -> str:
        """The type as Go names it."""
        return f"{self.package}.{self.name}"


class WrongType(BadRequest):
    """A value that does not fit its field: Go's ``UnmarshalTypeError``."""

    def __init__(self, value: str, struct: str, field: str, go_type: str) -> None:
        place = f"struct field {struct}.{field}" if field else "value"
        super().__init__(f"json: cannot unmarshal {value} into Go {place} of type {go_type}")
        self.value = value
        self.struct = struct
        self.field = field


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """An object's members, in order, those that come twice included."""


def _no_constant(text: str) -> None:
    raise ValueError(text)


_parse = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_float=_Number,
    parse_int=_Number,
    parse_constant=_no_constant,
).decode

_Value: TypeAlias = Any
_BITS = {"uint16": 2**16, "uint32": 2**32, "uid": 2**32}


def go_json(body: bytes, shape: Shape) -> dict[str, Any]:
    """A JSON object as Go decodes it into a struct.

    Names are matched without regard to case, unknown ones ignored, and null counts as absent. Not
    as in Go, a name that comes twice is refused, and so are a body that is null and one that goes
    on after its object. `BadRequest` says what is wrong; `WrongType` if it is a value's type.
    """
    if not body.strip():
        raise BadRequest("EOF")
    try:
        found = _parse(body.decode())
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if found is None:
        raise BadRequest("the body is null")
    if not isinstance(found, _Object):
        raise WrongType(_go_kind(found), "", "", shape.go_type)
    return _members(found, shape, "")


def _members(found: _Object, shape: Shape, path: str) -> dict[str, Any]:
    names = {name.lower(): name for name in shape.fields}
    seen: set[str] = set()
    members = {}
    for written, value in found:
        name = names.get(written.lower())
        if name is None:
            continue
        if name in seen:
            raise BadRequest(f"the body has {name} twice")
        seen.add(name)
        if value is not None:
            members[name] = _converted(value, shape, path + name, shape.fields[name])
    return members


def _converted(value: _Value, shape: Shape, field: str, kind: str | Shape) -> Any:
    """A value as the type of its field."""
    if isinstance(kind, Shape):
        if isinstance(value, _Object):
            return _members(value, kind, f"{field}.")
    elif isinstance(value, _Number):
        if kind == "int" and is_number(value.removeprefix("-")) and len(value) < 20:
            return int(value)
        if kind in _BITS and is_number(value) and len(value) <= 10 and int(value) < _BITS[kind]:
            return int(value)
        if kind == "int" or kind in _BITS:
            raise WrongType(f"number {shown(value)}", shape.name, field, kind)
    elif isinstance(value, str):
        if kind == "string":
            return value
        if kind == "uid" and is_uid(value):
            return _converted(_Number(value), shape, field, kind)
    elif isinstance(value, bool) and kind == "bool":
        return value
    name = kind.go_type if isinstance(kind, Shape) else "uint32" if kind == "uid" else kind
    raise WrongType(_go_kind(value), shape.name, field, name)


def _go_kind(value: _Value) -> str:
    if isinstance(value, _Number):
        return "number"
    names = {str: "string", bool: "bool", _Object: "object", list: "array"}
    return names[type(value)]


__all__ = [
    "CREDENTIALS",
    "EVERYONE",
    "JSON_UTF8",
    "NOSNIFF",
    "NO_CACHE",
    "NO_STORE",
    "PLAIN",
    "TEXT",
    "Origins",
    "Shape",
    "WrongType",
    "allowed_headers",
    "encode",
    "express_nowhere",
    "go_json",
    "is_uid",
    "more_headers",
    "nothing_here",
    "parse_uint",
    "query",
    "seconds_until",
    "shown",
    "status",
    "user",
    "words",
]
