"""schemathesis against the application: no 5xx, and no answer that the document does not describe.

Every operation gets what its schema allows and what it forbids, half of it aimed at objects that
exist. `FUZZ_EXAMPLES=1000` makes a long run of the short one of the suite.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from developers.document import document
from tests.api_fuzz.world import World, WsgiApp

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

_SHORT = EXAMPLES <= 15
_config = SchemathesisConfig.from_dict({"seed": 1} if _SHORT else {})
schema = schemathesis.openapi.from_dict(document(), config=_config)


@pytest.fixture(scope="module")
def world(database: str) -> World:
    return World()


@pytest.fixture(scope="module")
def app(world: World) -> WsgiApp:
    return world.signed(get_wsgi_application())


def _test_of(operation_id: str) -> Callable[..., None]:
    """A test of one operation; each has a name of its own, so that workers can share them out."""

    @schema.include(operation_id=operation_id).parametrize()
    @settings(
        max_examples=EXAMPLES,
        derandomize=_SHORT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def test(case: Any, world: World, app: WsgiApp) -> None:
        world.aim(case)
        tag = case.operation.definition.raw["tags"][0]
        case.call_and_validate(app=app, checks=CHECKS, headers=world.credential(tag))

    test.__name__ = test.__qualname__ = f"test_{operation_id}"
    return test


for _methods in document()["paths"].values():
    for _operation in _methods.values():
        _name = _operation["operationId"]
        globals()[f"test_{_name}"] = _test_of(_name)
