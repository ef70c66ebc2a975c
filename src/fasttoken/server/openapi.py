"""The OpenAPI 3.1 document of the native routes, made from the types they read and answer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from .._version import __version__
from .faults import title
from .forms import Problem

if TYPE_CHECKING:
    from .routing import Operation, Route

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{name}"
# What any route may answer, and what any route that needs a caller may.
_ALWAYS = (413, 429, 503)
_CALLER = (401,)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of the routes that have an `Operation`."""
    found = [(route, route.operation) for route in routes if route.operation is not None]
    types: list[Any] = [Problem]
    for _, told in found:
        types += [kind for kind in (told.asked, *told.answers.values()) if kind is not None]
    references, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    refs = dict(zip(types, references, strict=True))
    failures: set[int] = set()
    paths: dict[str, Any] = {}
    for route, told in found:
        statuses = {*_ALWAYS, *told.failures, *(() if route.public else _CALLER)}
        operation = _operation(route, told, sorted(statuses), refs)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
        failures |= statuses
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fasttoken",
            "version": __version__,
            "summary": "Mints and verifies Agora tokens",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(schema) for name, schema in schemas.items()},
            "responses": {
                title(status).replace(" ", ""): {
                    "description": title(status),
                    "content": {_PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}},
                }
                for status in sorted(failures)
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key or a JWT",
                }
            },
        },
    }


def _operation(
    route: Route, told: Operation, failures: Iterable[int], refs: Mapping[Any, Any]
) -> dict[str, Any]:
    answers = {kind: {"schema": refs.get(answer, {})} for kind, answer in told.answers.items()}
    responses: dict[str, Any] = {"200": {"description": "OK", "content": answers}}
    for status in failures:
        name = title(status).replace(" ", "")
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace(':', '_')}",
        "summary": told.summary,
        "responses": responses,
        "security": [] if route.public else [{"bearer": []}],
    }
    if told.asked is not None:
        content = {_JSON: {"schema": refs[told.asked]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _tidy(schema: Any) -> Any:
    """A schema with its docstrings on one line each paragraph."""
    if isinstance(schema, dict):
        found = {key: _tidy(value) for key, value in schema.items()}
        if isinstance(found.get("description"), str):
            paragraphs = inspect.cleandoc(found["description"]).split("\n\n")
            found["description"] = "\n\n".join(text.replace("\n", " ") for text in paragraphs)
        return found
    return [_tidy(value) for value in schema] if isinstance(schema, list) else schema
