"""Turns what FastAPI and pydantic find wrong with a request into refusals that never repeat a value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from services.runtime.outcomes import Refusal

ERRORS_SHOWN_MAX: Final = 50
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_AN_OBJECT: Final = frozenset({"model_attributes_type", "dict_type", "model_type", "list_type"})
_BY_STATUS: Final = {
    HTTPStatus.BAD_REQUEST: "malformed_json",  # all that FastAPI answers so is a body it could not read
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}


def refusal_of_invalid(request: Request, error: RequestValidationError) -> Refusal:
    """The refusal of a request whose body or parameters are not what its route declares."""
    errors: Sequence[Mapping[str, Any]] = error.errors()
    if any(one["type"] == "json_invalid" for one in errors):
        return Refusal("malformed_json", f"not JSON at character {errors[0]['loc'][-1]}")
    in_body = any(one["loc"][:1] == ("body",) for one in errors)
    if in_body and not _is_json(request) and any(one["type"] in _NOT_AN_OBJECT for one in errors):
        return Refusal("unsupported_media_type", "send application/json")
    shown = [{"path": _path(one), "message": _message(one)} for one in errors[:ERRORS_SHOWN_MAX]]
    return Refusal("invalid_body" if in_body else "invalid_parameter", extra={"errors": shown})


def refusal_of_http(error: HTTPException) -> Refusal:
    """The refusal that stands for an exception of the framework."""
    return Refusal(_BY_STATUS.get(HTTPStatus(error.status_code), "internal_error"))


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _path(error: Mapping[str, Any]) -> str:
    """Where it is wrong, as ``body.rows.3.at``; what could be a value instead of a field's name is ``?``."""
    return ".".join(str(part) if _NAME.fullmatch(str(part)) else "?" for part in error["loc"])


def _message(error: Mapping[str, Any]) -> str:
    """What is wrong, in English for developers; replaced if it repeats any of what was sent."""
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return "not valid" if any(text in message for text in _texts(error.get("input"))) else message


def _texts(value: object) -> Iterable[str]:
    """Every piece of what was sent that would be recognised in a message: not single characters, true or null."""
    match value:
        case str():
            pieces: list[str] = [value]
        case bytes():
            pieces = [value.decode(errors="replace")]
        case bool() | None:
            pieces = []
        case int() | float():
            pieces = [str(value)]
        case Mapping():
            pieces = [text for item in value.items() for part in item for text in _texts(part)]
        case list() | tuple():
            pieces = [text for part in value for text in _texts(part)]
        case _:
            pieces = [str(value)]
    return [piece for piece in pieces if len(piece) > 1]
