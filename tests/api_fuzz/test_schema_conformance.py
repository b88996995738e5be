"""schemathesis against the application: no 5xx, and no answer that the document does not describe.

Every operation gets what its schema allows and what it forbids, half of it aimed at objects that
exist. `FUZZ_EXAMPLES=1000` makes a long run of the short one of the suite.
"""

from __future__ import annotations

import os
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
from tests.api_fuzz.world import World

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

_SHORT = EXAMPLES <= 20
_config = SchemathesisConfig.from_dict({"seed": 1} if _SHORT else {})
schema = schemathesis.openapi.from_dict(document(), config=_config)


@pytest.fixture(scope="module")
def world(database: str) -> World:
    made = World()
    schema.app = made.signed(get_wsgi_application())
    return made


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=_SHORT,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_described(case: Any, world: World) -> None:
    world.aim(case)
    tag = case.operation.definition.raw["tags"][0]
    case.call_and_validate(app=schema.app, checks=CHECKS, headers=world.credential(tag))
