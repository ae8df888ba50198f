"""Completes a service's OpenAPI document: every status and code of every route, its headers, its scope."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from services.runtime.auth import SCOPE_ATTRIBUTE
from services.runtime.commands import COMMAND_ATTRIBUTE, KEY_CHARACTERS_MAX, KEY_FROM_BODY_ATTRIBUTE
from services.runtime.edge import PROTECTED
from services.runtime.problems import PROBLEM_MEDIA_TYPE, REFUSALS_KEY, ProblemTable

_ALWAYS: Final = ("internal_error", "try_again")
_PROTECTED: Final = ("unauthenticated", "token_invalid", "token_expired", "scope_missing", "too_many_requests")
_COMMAND: Final = ("idempotency_key_reused",)
_KEYED: Final = ("idempotency_key_missing", "idempotency_key_invalid")
_BODY: Final = ("body_too_large",)
_JSON_BODY: Final = ("malformed_json", "invalid_body", "unsupported_media_type")

_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "title": "ProblemDetails",
    "description": "RFC 9457 problem details; `code` is stable, `title` is Chinese and for people.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
        "detail": {"type": "string", "description": "English, for developers; never a personal value."},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of the deployment's OIDC issuer with scopes and an `area` of two, four or six digits.",
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Chosen by the client, new for each command: a repeat is given the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX},
    "example": "018f3c9e-5b7a-7c3e-9d53-6f0a1b2c3d4e",
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The `ETag` of the version that is edited.",
    "schema": {"type": "string"},
    "example": '"3"',
}
_REPLAYED: Final = {
    "description": "`true` if this is the kept answer of an earlier request with the same key.",
    "schema": {"type": "string", "enum": ["true"]},
}


@dataclass(frozen=True, slots=True)
class Documented:
    """What the document must say of one route beyond what FastAPI finds by itself."""

    path: str
    method: str
    scope: str | None
    is_command: bool
    needs_key: bool
    codes: tuple[str, ...]


def documented_routes(app: FastAPI, table: ProblemTable) -> list[Documented]:
    """Every route of the app's schema. Asserts that each under ``/v1`` asks for a scope and all its codes are known."""
    return [
        _documented(context, method, table)
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and context.include_in_schema
        for method in sorted(context.methods or ())
    ]


def complete(document: dict[str, Any], routes: Iterable[Documented], table: ProblemTable) -> dict[str, Any]:
    """The document with problems, headers and security added; changes and returns the given one."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["ProblemDetails"] = _PROBLEM_SCHEMA
    for schema in schemas.values():
        _give_page_example(schema, schemas)
    document["components"]["securitySchemes"] = {"bearer": _BEARER}
    for route in routes:
        _complete_operation(document["paths"][route.path][route.method.lower()], route, table)
    return document


def _give_page_example(schema: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """A page's example is made of its items', which their model declares."""
    properties = schema.get("properties", {})
    if set(properties) == {"items", "next"} and "examples" not in schema:
        item = schemas.get(properties["items"].get("items", {}).get("$ref", "").rpartition("/")[2], {})
        if item.get("examples"):
            schema["examples"] = [{"items": item["examples"][:1], "next": None}]


def _documented(context: RouteContext, method: str, table: ProblemTable) -> Documented:
    path = context.path_format
    assert path is not None
    calls = list(_calls(context.dependant))
    scope = next((getattr(call, SCOPE_ATTRIBUTE) for call in calls if hasattr(call, SCOPE_ATTRIBUTE)), None)
    assert scope is not None or not path.startswith(PROTECTED), f"{method} {path} asks for no scope"
    own = tuple((context.openapi_extra or {}).get(REFUSALS_KEY, ()))
    unknown = [code for code in own if code not in table]
    assert not unknown, f"{method} {path} refuses with codes in no table: {unknown}"
    is_command = any(hasattr(call, COMMAND_ATTRIBUTE) for call in calls)
    needs_key = is_command and not any(getattr(call, KEY_FROM_BODY_ATTRIBUTE, False) for call in calls)
    codes = {*_ALWAYS, *own}
    codes.update(*_implied(context, scope is not None, is_command, needs_key))
    return Documented(path, method, scope, is_command, needs_key, tuple(c for c in table.codes() if c in codes))


def _implied(context: RouteContext, protected: bool, is_command: bool, needs_key: bool) -> Iterator[Iterable[str]]:  # noqa: FBT001
    if protected:
        yield _PROTECTED
    if is_command:
        yield _COMMAND
    if needs_key:
        yield _KEYED
    if is_command or context.body_field:
        yield _BODY
    if context.body_field:
        yield _JSON_BODY
    dependant: Dependant = context.dependant
    if any(d.query_params or d.path_params or d.header_params for d in _dependants(dependant)):
        yield ("invalid_parameter",)
    if any(param.alias == "after" for d in _dependants(dependant) for param in d.query_params):
        yield ("cursor_invalid",)


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for needed in dependant.dependencies:
        yield from _dependants(needed)


def _calls(dependant: Dependant) -> Iterator[object]:
    return (needed.call for needed in _dependants(dependant))


def _complete_operation(operation: dict[str, Any], route: Documented, table: ProblemTable) -> None:
    operation.pop(REFUSALS_KEY, None)
    if route.scope is not None:
        operation["security"] = [{"bearer": [route.scope]}]
    headers = [_IDEMPOTENCY_KEY] if route.needs_key else []
    headers += [_IF_MATCH] if "if_match_missing" in route.codes else []
    if headers:
        operation.setdefault("parameters", []).extend(headers)
    responses = operation["responses"]
    responses.pop("422", None)
    for response in responses.values() if route.is_command else ():
        response.setdefault("headers", {})["Idempotency-Replayed"] = _REPLAYED
    responses.update(_problem_responses(route.codes, table))


def _problem_responses(codes: Iterable[str], table: ProblemTable) -> Mapping[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(table[code].status, []).append(code)
    return {str(status): _problem_response(status, by_status[status], table) for status in sorted(by_status)}


def _problem_response(status: int, codes: list[str], table: ProblemTable) -> dict[str, Any]:
    examples = {
        code: {"value": {"type": f"/problems/{code}", "title": table[code].title, "status": status, "code": code}}
        for code in codes
    }
    content = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": examples}
    described = f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}"
    return {"description": described, "content": {PROBLEM_MEDIA_TYPE: content}}
