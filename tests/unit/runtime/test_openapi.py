"""The OpenAPI document says all that a client must know, and is valid."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.memory_store import MemoryStore
from tests.support.notes import notes_app
from tests.support.ports import make_ports
from tests.support.tokens import http_settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    document: dict[str, Any] = notes_app(make_ports(MemoryStore()), http_settings()).openapi()
    return document


def codes(operation: dict[str, Any]) -> dict[str, set[str]]:
    return {
        status: set(response["content"]["application/problem+json"]["examples"])
        for status, response in operation["responses"].items()
        if "application/problem+json" in response.get("content", {})
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_a_command_documents_every_status_and_code(document: dict[str, Any]) -> None:
    assert codes(document["paths"]["/v1/notes"]["post"]) == {
        "400": {"malformed_json", "idempotency_key_missing", "idempotency_key_invalid"},
        "401": {"unauthenticated", "token_invalid", "token_expired"},
        "403": {"scope_missing", "outside_area"},
        "429": {"too_many_requests"},
        "409": {"note_exists"},
        "413": {"body_too_large"},
        "415": {"unsupported_media_type"},
        "422": {"invalid_body", "note_rude", "idempotency_key_reused"},
        "500": {"internal_error"},
        "503": {"try_again"},
    }


def test_a_read_documents_every_status_and_code(document: dict[str, Any]) -> None:
    assert codes(document["paths"]["/v1/notes"]["get"]) == {
        "400": {"cursor_invalid"},
        "401": {"unauthenticated", "token_invalid", "token_expired"},
        "403": {"scope_missing"},
        "429": {"too_many_requests"},
        "422": {"invalid_parameter"},
        "500": {"internal_error"},
        "503": {"try_again"},
    }


def test_headers_scopes_and_problems_are_documented(document: dict[str, Any]) -> None:
    post, put = document["paths"]["/v1/notes"]["post"], document["paths"]["/v1/notes/{note_id}"]["put"]
    batch = document["paths"]["/v1/batches"]["post"]

    def headers(operation: dict[str, Any]) -> set[str]:
        return {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}

    assert headers(post) == {"Idempotency-Key"}
    assert headers(put) == {"Idempotency-Key", "If-Match"}
    assert headers(batch) == set()
    assert post["security"] == [{"bearer": ["notes.write"]}]
    assert "Idempotency-Replayed" in post["responses"]["201"]["headers"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    example = post["responses"]["409"]["content"]["application/problem+json"]["examples"]["note_exists"]["value"]
    assert example == {"type": "/problems/note_exists", "title": "记录已存在", "status": 409, "code": "note_exists"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_a_pages_example_is_made_of_its_items(document: dict[str, Any]) -> None:
    page = document["components"]["schemas"]["Page_Note_"]
    assert page["examples"] == [{"items": [{"id": "N-1", "unit": "340802", "text": "hello"}], "next": None}]


def test_every_path_of_the_api_is_there_and_no_other(document: dict[str, Any]) -> None:
    shared = {"/v1/changes", "/v1/events", "/v1/event-tickets"}
    assert set(document["paths"]) == {"/v1/notes", "/v1/notes/{note_id}", "/v1/batches", *shared}
    assert document["servers"] == [{"url": "."}]


def test_the_document_is_the_same_each_time() -> None:
    one, other = (notes_app(make_ports(MemoryStore()), http_settings()).openapi() for _ in range(2))
    assert one == other
