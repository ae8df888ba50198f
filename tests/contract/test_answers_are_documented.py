"""Whatever a document allows, and much that it does not, is asked of each API: no 5xx, no undocumented answer."""

import importlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.contracts.topics import SERVICES
from services.runtime.problems import PROBLEM_MEDIA_TYPE
from services.runtime.service import Service
from tests.support.canaries import logged
from tests.support.memory_store import MemoryStore
from tests.support.service_apps import SCOPES, app_on
from tests.support.tokens import bearer

STREAMS = frozenset({"GET /v1/events"})
"""Answers that never end: ``tests/unit/runtime/test_events.py`` is about them."""
EXAMPLES = 6
"""Requests to an operation, of each mode. For a deeper look: raise it and drop ``derandomize``."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HEADERS = bearer(*SCOPES, area="*")


@cache
def app_of(service: str) -> FastAPI:
    """The service's real app on a store in memory, which what is asked fills."""
    wiring: Service[Any] = importlib.import_module(f"services.{service}.wiring").SERVICE
    return app_on(service, MemoryStore(wiring.all_indexes(), collections=wiring.all_collections()))


@cache
def schema_of(service: str) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app_of(service))


def operations() -> Iterator[Any]:
    """Every operation of the four documents, reads last, so that there is something to read."""
    for service in SERVICES:
        found = [result.ok() for result in schema_of(service).get_all_operations()]
        for operation in sorted(found, key=lambda each: each.method == "get"):
            if operation.label not in STREAMS:
                yield pytest.param(service, operation, id=f"{service} {operation.label}")


def assert_code_is_documented(operation: Any, response: Response) -> None:
    """Schemathesis knows schemas; that a problem's code is one of those named for its status is ours to look at."""
    if PROBLEM_MEDIA_TYPE in response.headers.get("content-type", [""])[0]:
        documented = operation.definition.raw["responses"][str(response.status_code)]
        code = json.loads(response.content)["code"]
        assert code in documented["content"][PROBLEM_MEDIA_TYPE]["examples"], (operation.label, code)


@pytest.mark.parametrize(("service", "operation"), list(operations()))
def test_no_answer_is_a_server_error_or_undocumented(service: str, operation: Any) -> None:
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    strategy = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])

    @settings(
        max_examples=EXAMPLES * len(modes),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def ask(case: Any) -> None:
        response = case.call(headers=HEADERS)
        case.validate_response(response, checks=CHECKS)
        assert_code_is_documented(operation, response)

    with logged():
        ask()
