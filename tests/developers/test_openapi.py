"""The OpenAPI document says what is true, and its examples are what it describes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.ids import new_id
from developers.document import document
from developers.errors import GROUPS, known_codes
from developers.examples import EXAMPLES
from ledger.services import LedgerRefused
from ledger.status import TransferStatus
from tests.answers import complaints, validator

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("core", "tenants", "ledger", "notifications", "payments", "portal", "developers")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


OPERATIONS = [pytest.param(*each, id=each[2]["operationId"]) for each in operations()]


def examples() -> Iterator[Any]:
    for _, _, operation in operations():
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for where, body in bodies.items():
            media = body.get("content", {}).get("application/json", {})
            for name, example in media.get("examples", {}).items():
                label = f"{operation['operationId']}-{where}-{name}"
                yield pytest.param(media["schema"], example["value"], id=label)


@pytest.mark.parametrize(("schema", "value"), list(examples()))
def test_an_example_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert complaints(validator(schema), value) == []


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_shows_what_is_sent_and_what_comes_back(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    bodies = {code: body for code, body in operation["responses"].items() if code.startswith("2")}
    if "requestBody" in operation:
        bodies["request"] = operation["requestBody"]
    bare = [
        where
        for where, body in bodies.items()
        if not body["content"]["application/json"].get("examples")
    ]
    assert bare == []


def test_every_example_belongs_to_an_operation() -> None:
    ids = {operation["operationId"] for _, _, operation in operations()}
    assert set(EXAMPLES) - ids == set()


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_is_complete(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert len(operation["tags"]) == 1
    done, *accepted = [status for status in operation["responses"] if status.startswith("2")]
    # What moves money may also be accepted, and gone on with by a worker.
    assert accepted in ([], ["202"])
    for status in (done, *accepted):
        answer = operation["responses"][status]
        schema = answer["content"]["application/json"]["schema"]
        assert schema["required"] == ["success", "data", "meta"]
        assert schema["properties"]["data"]
        assert "X-Request-Id" in answer["headers"]
    assert {"400", "429", "500", "503"} <= set(operation["responses"])
    public = not operation.get("security")
    assert public or {"401", "403", "404"} <= set(operation["responses"])
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), f"{parameter['name']} has no description"


def test_money_moves_only_under_a_key() -> None:
    required = {
        operation["operationId"]
        for _, _, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key" and parameter.get("required")
    }
    assert {
        "payments_create",
        "payments_confirm",
        "payments_capture",
        "payments_cancel",
        "refunds_create",
        "intents_create",
    } <= required


def test_every_tag_is_described() -> None:
    assert [tag["name"] for tag in document()["tags"] if not tag["description"]] == []


def test_the_credentials_are_named() -> None:
    assert set(document()["components"]["securitySchemes"]) == {
        "apiKey",
        "basic",
        "accessToken",
        "signature",
    }


# ---- the catalogue of errors ----------------------------------------------------------------


def _trees() -> list[ast.Module]:
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return [ast.parse(file.read_text()) for file in files if "migrations" not in file.parts]


def _error_classes(trees: list[ast.Module]) -> set[str]:
    known = {"AppError"}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    grown = True
    while grown:
        found = {node.name for node in classes if known & {_name(base) for base in node.bases}}
        grown = not found <= known
        known |= found
    return known


def _name(node: ast.expr) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


#: Calls that name a code which a provider's answer or an attempt carries to the caller.
PROVIDER_CALLS = {"ProviderError", "ServerRefusedError", "ChannelAnswer", "exception_add"}


def _codes_of_providers(node: ast.Call) -> set[str]:
    if _name(node.func) in PROVIDER_CALLS:
        words = [word for word in node.keywords if word.arg in ("code", "failure_code")]
        return {_text(word.value) for word in words}
    if _name(node.func) == "_contradicted":
        return {_text(node.args[1])}
    return set()


def _codes_of_the_sandbox() -> set[str]:
    """What its functions in the database refuse with."""
    files = (ROOT / "payments" / "providers" / "sql").glob("*.sql")
    return {
        code for file in files for code in re.findall(r"sandbox_error\('(\w+)'", file.read_text())
    }


def codes_in_source() -> set[str]:
    """Every code that an error of ours is made with, or has by default."""
    trees = _trees()
    errors = _error_classes(trees)
    found = _codes_of_the_sandbox()
    assert "token_already_used" in found
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and _name(node.func) in errors:
            found |= {_text(word.value) for word in node.keywords if word.arg == "code"}
        elif isinstance(node, ast.Call) and _name(node.func) == "_refused" and node.args:
            found.add(_text(node.args[-1]))
        elif isinstance(node, ast.Call):
            found |= _codes_of_providers(node)
        elif isinstance(node, ast.ClassDef) and node.name in errors:
            for line in node.body:
                target = getattr(line, "target", None) or getattr(line, "targets", [None])[0]
                if getattr(target, "id", "") == "default_code":
                    found.add(_text(getattr(line, "value", None)))
    return {code for code in found if code and " " not in code}


def test_every_error_code_is_explained() -> None:
    assert codes_in_source() - known_codes() == set()


@pytest.mark.parametrize("status", [status for status in TransferStatus if not status.ok])
def test_what_the_ledger_refuses_is_explained(status: TransferStatus) -> None:
    refused = LedgerRefused(new_id(), status)
    [row] = [row for group in GROUPS for row in group.codes if row.code == refused.code]
    assert (row.status, row.text) == (refused.status, status.words)


def test_no_code_is_explained_twice() -> None:
    codes = [row.code for group in GROUPS for row in group.codes]
    assert len(codes) == len(set(codes))
