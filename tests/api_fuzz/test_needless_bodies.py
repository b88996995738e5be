"""An unknown field of a body is refused, also by operations that take no body at all."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from django.test import Client

from developers.document import document
from tests.api_fuzz.world import World

UNKNOWN: Final = {"no_such_field": 1}


def _operations(methods: tuple[str, ...], *, with_body: bool) -> list[tuple[str, str]]:
    """All but the root, which knows nobody, and the signed ones, which share the same base."""
    return [
        (method.upper(), path)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if method in methods
        and ("requestBody" in operation) is with_body
        and path not in ("/v1", "/v1/")
        and "Intents" not in operation["tags"]
    ]


@pytest.fixture(scope="module")
def world(database: str) -> World:
    return World()


def send(world: World, method: str, path: str, body: Any) -> tuple[int, str, str | None]:
    """Status, code and parameter of the answer to a call that may do whatever it asks."""
    operation = document()["paths"][path][method.lower()]
    headers = world.credential(operation["tags"][0])
    answer = Client(raise_request_exception=False).generic(
        method,
        path.format(**world.ids),
        json.dumps(body).encode(),
        content_type="application/json",
        headers=headers | {"Idempotency-Key": "a-key-of-this-test"},
    )
    error = answer.json().get("error") or {}
    return answer.status_code, error.get("code", ""), error.get("param")


def test_the_operations_without_a_body_are_known() -> None:
    found = _operations(("post", "put", "patch"), with_body=False)
    assert found == [
        ("POST", "/v1/api_keys/{key_id}/revoke"),
        ("POST", "/v1/team/invitations/{invitation_id}/resend"),
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    _operations(("post", "put", "patch", "delete", "get"), with_body=False),
)
def test_an_operation_without_a_body_refuses_fields(world: World, method: str, path: str) -> None:
    assert send(world, method, path, UNKNOWN) == (400, "parameter_unknown", "no_such_field")


def test_what_was_refused_has_had_no_effect(world: World) -> None:
    send(world, "POST", "/v1/api_keys/{key_id}/revoke", UNKNOWN)
    send(world, "DELETE", "/v1/customers/{customer_id}", UNKNOWN)
    assert world.api.get(f"/v1/customers/{world.ids['customer_id']}").status_code == 200
    key = world.api.get(f"/v1/api_keys/{world.ids['key_id']}").json()["data"]
    assert key["revoked_at"] is None


def test_an_empty_object_says_nothing_and_is_taken(database: str) -> None:
    world = World()
    path = "/v1/customers/{customer_id}"
    assert send(world, "GET", path, {})[0] == 200
    assert send(world, "DELETE", path, {})[0] == 200


@pytest.mark.parametrize(("method", "path"), _operations(("post", "patch"), with_body=True))
def test_an_operation_with_a_body_refuses_fields_that_it_does_not_know(
    world: World, method: str, path: str
) -> None:
    status, _, param = send(world, method, path, UNKNOWN)
    assert status == 400
    assert param is not None
