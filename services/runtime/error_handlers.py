"""Answers exceptions that end a request with the problems they stand for."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.eventing.ports import CommitUnknownError, ConflictError, StoreUnavailableError
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable, RefusedError
from services.runtime.validation import refusal_of_http, refusal_of_invalid


def add_error_handlers(app: FastAPI, table: ProblemTable) -> None:
    """Handles what routes and dependencies raise on purpose, what the framework raises, and a store that is away."""

    async def on_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return table.response(error.refusal, error.headers)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return table.response(refusal_of_invalid(request, error))

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return table.response(refusal_of_http(error), error.headers)

    async def on_busy(_: Request, __: Exception) -> Response:
        return table.response(Refusal("try_again"))

    app.add_exception_handler(RefusedError, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    for transient in (StoreUnavailableError, ConflictError, CommitUnknownError):
        app.add_exception_handler(transient, on_busy)
