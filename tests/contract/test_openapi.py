"""The committed OpenAPI documents: valid, fresh, and with an example for every body."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from deploy.openapi import openapi_files

ROOT = Path(__file__).parents[2]
FILES = openapi_files(ROOT)


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_document_regenerates_to_itself(path: Path) -> None:
    assert path.read_text() == FILES[path], "run: make generate"


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_document_is_valid_openapi_3_1(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["openapi"].startswith("3.1")
    validate(document)


def bodies(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every request body of a document, with the operation it belongs to."""
    return [
        (f"{method.upper()} {path}", content)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]


def has_example(document: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether a body has an example, its own or its schema's."""
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"].get(name, content.get("schema", {}))
    return bool(content.get("example") or content.get("examples") or schema.get("examples"))


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_every_body_has_an_example(path: Path) -> None:
    document = json.loads(path.read_text())
    assert [where for where, content in bodies(document) if not has_example(document, content)] == []


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_every_operation_documents_a_refusal_with_its_codes(path: Path) -> None:
    document = json.loads(path.read_text())
    for where, operations in document["paths"].items():
        for method, operation in operations.items():
            refused = [status for status in operation["responses"] if int(status) >= 400]
            assert {"401", "403"} <= set(refused), (method, where)
