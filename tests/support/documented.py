"""Holds answers of an app against its OpenAPI document: no undocumented status, code or body."""

import re
from typing import Any

import jsonschema

from tests.support.asgi import PROBLEM_JSON, Answer

Json = dict[str, Any]


def operation_of(document: Json, method: str, path: str) -> Json:
    """The operation that answers a request; fails if none is documented."""
    plain = path.partition("?")[0]
    for template, operations in sorted(document["paths"].items(), key=lambda item: str(item[0]).count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), plain) and method.lower() in operations:
            operation: Json = operations[method.lower()]
            return operation
    raise AssertionError(f"{method} {plain} is not documented")


def check_documented(document: Json, method: str, path: str, answer: Answer) -> Answer:
    """The answer, if the document says that this request may be answered so."""
    responses = operation_of(document, method, path)["responses"]
    assert str(answer.status) in responses, f"{method} {path}: {answer.status} {answer.body!r} is not documented"
    contents = responses[str(answer.status)]["content"]
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in contents, f"{method} {path}: {media_type} is not documented for {answer.status}"
    if media_type == PROBLEM_JSON:
        assert answer.code in contents[media_type]["examples"], f"{method} {path}: {answer.code} is not documented"
    schema = {**contents[media_type]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json)
    return answer
