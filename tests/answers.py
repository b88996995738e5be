"""Answers of the API, held against the OpenAPI document in every test that calls an operation.

The document is what the rooms' shapes declare, so an answer that has another key, type or value
fails the test that received it. The check is stricter than the document, which lets clients expect
more fields and values in a later version: here no field may be more, and an open list is closed.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import jsonschema_rs

from developers.document import document


def strict(schema: Any) -> Any:
    """The schema without room for what it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if "x-extensible-enum" in schema and isinstance(schema["x-extensible-enum"], list):
        found["enum"] = schema["x-extensible-enum"]
    if schema.get("type") == "object" and "properties" in schema:
        found.setdefault("additionalProperties", False)
    return found


@functools.cache
def _components() -> dict[str, Any]:
    found: dict[str, Any] = strict(document()["components"])
    return found


def validator(schema: dict[str, Any]) -> Any:
    """A validator of this schema of the document, and of what it refers to."""
    return jsonschema_rs.Draft202012Validator(
        {**strict(schema), "components": _components()}, validate_formats=True
    )


def complaints(found: Any, value: Any) -> list[str]:
    """What is wrong with a value, each with its place."""
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in found.iter_errors(value)
    ]


@functools.cache
def _operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    return [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    ]


@functools.cache
def _validator_of(method: str, path: str, status: str) -> Any:
    for known, pattern, operation in _operations():
        if known == method and pattern.fullmatch(path):
            answer = operation["responses"].get(status, {})
            name = answer.get("$ref", "").rpartition("/")[2]
            if name:
                answer = document()["components"]["responses"][name]
            media = answer.get("content", {}).get("application/json")
            return validator(media["schema"]) if media else None
    return None


def check_answer(method: str, path: str, response: Any) -> None:
    """Fail where an answer of a documented operation is not what the document says."""
    if not path.startswith("/v1/") or "json" not in response.get("Content-Type", ""):
        return
    found = _validator_of(method, path, str(response.status_code))
    if found is not None:
        wrong = complaints(found, json.loads(response.content))
        assert wrong == [], f"{method} {path} answered {response.status_code}: {wrong}"
