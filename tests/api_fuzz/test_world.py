"""What the fuzzer aims at is really there, for every operation that names an object."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory

from developers.document import document
from tests.api_fuzz.world import World


@pytest.fixture(scope="module")
def world(database: str) -> World:
    return World()


READS = [
    pytest.param(path, operations["get"], id=operations["get"]["operationId"])
    for path, operations in document()["paths"].items()
    if "{" in path and "get" in operations
]


def test_every_kind_of_object_is_there(world: World) -> None:
    named = {name for path in document()["paths"] for name in re.findall(r"{(\w+)}", path)}
    assert named - set(world.ids) == set()


@pytest.mark.parametrize(("path", "operation"), READS)
def test_an_aimed_read_finds_its_object(world: World, path: str, operation: dict[str, Any]) -> None:
    credential = world.credential(operation["tags"][0])
    request = RequestFactory().get(path.format(**world.ids), headers=credential)
    statuses: list[str] = []
    body = world.signed(get_wsgi_application())(
        request.environ, lambda status, *_: statuses.append(status)
    )
    assert statuses == ["200 OK"], b"".join(body)
