"""The native routes (docs/server.md, "The API")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib.resources import files
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from ..errors import FieldError
from . import openapi
from .desk import Desk, Minted
from .faults import Fault, NotAcceptable, NotReady, status_of
from .forms import (
    BatchRequest,
    BatchRow,
    Status,
    TokenRequest,
    Verdicts,
    VerifyRequest,
    order,
)
from .routing import Answer, Operation, Request, Route

if TYPE_CHECKING:
    from .settings import Settings

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
PIECE = 500  # rows that are minted before other requests have their turn

_encode = msgspec.json.Encoder().encode
_token = msgspec.json.Decoder(TokenRequest)
_batch = msgspec.json.Decoder(BatchRequest)
_verify = msgspec.json.Decoder(VerifyRequest)


async def _post_tokens(request: Request, desk: Desk) -> Answer:
    wanted = order(request.json(_token), desk.defaults.expire)
    return Answer(200, _encode(desk.mint(request.caller, wanted)))


async def _post_verify(request: Request, desk: Desk) -> Answer:
    asked: VerifyRequest = request.json(_verify)
    verdicts = await desk.verify(
        request.caller,
        asked.tokens,
        channel_name=asked.channel_name,
        uid=asked.uid,
        privilege=asked.privilege,
        now=asked.now,
        leeway=asked.leeway,
    )
    return Answer(200, _encode({"verdicts": verdicts}))


# Batches ------------------------------------------------------------------------------------------


async def _post_batch(request: Request, desk: Desk) -> Answer:
    desk.rules.check_batch(request.caller)
    write, kind = _accepted(request)
    asked: BatchRequest = request.json(_batch)

    async def pieces() -> AsyncIterator[bytes]:
        rows = _rows(request, desk, asked.tokens)
        for piece in write(iter(lambda: list(islice(rows, PIECE)), [])):
            yield piece
            await asyncio.sleep(0)

    header = (b"content-type", kind.encode()), (b"cache-control", b"no-store")
    return Answer(200, pieces(), header)


def _accepted(
    request: Request,
) -> tuple[Callable[[Iterator[list[BatchRow]]], Iterator[bytes]], str]:
    """How to write the answer, by the header Accept."""
    accept = request.header(b"accept") or "*/*"
    wanted = [text.split(";")[0].strip().lower() for text in accept.split(",")]
    for kind in wanted:
        if kind == ARROW and find_spec("pyarrow"):
            return _arrow, ARROW
        if kind in (NDJSON, "application/*", "*/*"):
            return _json_lines, NDJSON
    raise NotAcceptable(f"the answer can be {NDJSON} or {ARROW}")


def _rows(request: Request, desk: Desk, asked: Sequence[TokenRequest]) -> Iterator[BatchRow]:
    """The rows of the answer, minted piece by piece."""
    for start in range(0, len(asked), PIECE):
        found: list[Any] = []
        for one in asked[start : start + PIECE]:
            try:
                found.append(order(one, desk.defaults.expire))
            except FieldError as error:
                found.append(error)
        for row, minted in enumerate(desk.mint_many(request.caller, found), start):
            yield _row(row, minted)


def _row(row: int, minted: Minted | Fault | FieldError) -> BatchRow:
    if isinstance(minted, Minted):
        return BatchRow(row, minted.token, minted.issued_at, minted.expires_at, minted.renew_at)
    status = status_of(minted)
    if isinstance(minted, FieldError):
        return BatchRow(row, status=status, field=minted.field, rule=minted.rule)
    return BatchRow(row, status=status, rule=minted.detail)


def _json_lines(pieces: Iterator[list[BatchRow]]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for rows in pieces:
        yield encoder.encode_lines(rows)


class _Pipe:
    """What pyarrow writes to: bytes that wait to be sent."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keeps a piece."""
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing further down."""

    def take(self) -> bytes:
        """All that was written since."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken


def _arrow(pieces: Iterator[list[BatchRow]]) -> Iterator[bytes]:
    """An Arrow IPC stream, a record batch for each piece."""
    import pyarrow as pa

    columns = {name: pa.int64() for name in BatchRow.__struct_fields__}
    columns |= {"token": pa.large_utf8(), "field": pa.utf8(), "rule": pa.utf8()}
    schema = pa.schema(columns)
    pipe = _Pipe()
    with pa.ipc.new_stream(pipe, schema) as writer:
        for rows in pieces:
            data = {
                name: [None if (v := getattr(row, name)) is UNSET else v for row in rows]
                for name in columns
            }
            writer.write_batch(pa.record_batch(data, schema=schema))
            yield pipe.take()
    yield pipe.take()


# All of them --------------------------------------------------------------------------------------


def routes(settings: Settings) -> list[Route]:
    """All native routes."""
    ok = _encode(Status("ok"))

    async def alive(request: Request, desk: Desk) -> Answer:
        return Answer(200, ok)

    async def ready(request: Request, desk: Desk) -> Answer:
        if desk.audit.failing:
            raise NotReady("the audit log can't be written")
        return Answer(200, ok)

    async def metrics(request: Request, desk: Desk) -> Answer:
        if not settings.metrics.public:
            desk.rules.check_metrics(request.caller)
        kind, page = desk.meter.page()
        return Answer(200, page, ((b"content-type", kind),))

    async def document(request: Request, desk: Desk) -> Answer:
        return Answer(200, described)

    async def docs(request: Request, desk: Desk) -> Answer:
        return Answer(200, page, _PAGE)

    json = "application/json"
    found = [
        Route(
            "POST",
            "/v1/tokens",
            _post_tokens,
            operation=Operation("Mint a token", TokenRequest, {json: Minted}, (400, 403, 422)),
        ),
        Route(
            "POST",
            "/v1/tokens:batch",
            _post_batch,
            body_bytes=settings.limits.batch_body_bytes,
            operation=Operation(
                "Mint up to 10,000 tokens",
                BatchRequest,
                {NDJSON: BatchRow, ARROW: None},
                (400, 403, 406, 422),
            ),
        ),
        Route(
            "POST",
            "/v1/verify",
            _post_verify,
            body_bytes=settings.limits.batch_body_bytes,
            operation=Operation("Judge tokens", VerifyRequest, {json: Verdicts}, (400, 403, 422)),
        ),
        Route(
            "GET",
            "/healthz",
            alive,
            public=True,
            operation=Operation("Whether the server lives", None, {json: Status}),
        ),
        Route(
            "GET",
            "/readyz",
            ready,
            public=True,
            operation=Operation("Whether the server can mint", None, {json: Status}, (503,)),
        ),
        Route(
            "GET",
            "/metrics",
            metrics,
            public=settings.metrics.public,
            operation=Operation("Counters for Prometheus", None, {"text/plain": None}, (403,)),
        ),
        Route("GET", "/openapi.json", document, public=True),
        Route("GET", "/docs", docs, public=True),
    ]
    described = _encode(openapi.document(found))
    page = (files(__package__) / "pages" / "docs.html").read_bytes()
    return found


_PAGE = (
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        b"default-src 'none'; connect-src 'self'; "
        b"style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)
