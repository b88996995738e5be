"""The webhooks of the OpenAPI document: one typed event for each public one, as it is sent."""

from __future__ import annotations

import uuid
from typing import Any

import jsonschema
import orjson
import pytest

from core.db import Scope, tenant_atomic
from core.events import public_events
from core.models import OutboxEvent
from core.shapes import component_name
from developers.document import document
from developers.errors import failure_codes, known_codes
from developers.examples.events import event_example
from notifications.patterns import known_patterns
from notifications.payloads import webhook_body
from payments.acceptance.services.recording import PAYMENT_EVENTS, REFUND_EVENTS
from tests.api import new_api

EVENTS = public_events()


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = document()["components"]["schemas"][name]
    return found


def complaints(component: str, value: Any) -> list[str]:
    whole = {
        "$ref": f"#/components/schemas/{component}",
        "components": document()["components"],
    }
    validator = jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    return [error.message for error in validator.iter_errors(value)]


def body_component(name: str) -> str:
    media = document()["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
    return str(media["schema"]["$ref"].rpartition("/")[2])


def test_every_public_event_is_a_webhook_and_no_other_is() -> None:
    assert list(document()["webhooks"]) == list(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_an_example_is_a_body_of_its_event_alone(name: str) -> None:
    media = document()["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
    example = media["examples"][name]["value"]
    assert example["type"] == name
    fitting = [other for other in EVENTS if not complaints(body_component(other), example)]
    assert fitting == [name]
    assert complaints("WebhookEvent", example) == []


@pytest.mark.parametrize("name", EVENTS)
def test_the_type_leads_to_the_event_and_the_event_to_its_object(name: str) -> None:
    union, component = schema("WebhookEvent"), body_component(name)
    reference = f"#/components/schemas/{component}"
    assert union["discriminator"]["propertyName"] == "type"
    assert union["discriminator"]["mapping"][name] == reference
    assert {"$ref": reference} in union["oneOf"]
    own = schema(component)["allOf"][1]["properties"]
    assert own["type"]["const"] == name
    carried = EVENTS[name].carries
    assert carried is not None
    assert own["data"]["oneOf"][0] == {"$ref": f"#/components/schemas/{component_name(carried)}"}


def test_an_event_with_another_object_is_refused() -> None:
    refund = event_example(EVENTS["refund.created"])
    assert complaints("WebhookEvent", {**refund, "type": "payment.created"}) != []


def _told() -> dict[str, str]:
    """The events that a state leads to, with it."""
    payments = {spec.name: status.value for status, spec in PAYMENT_EVENTS.items()}
    return payments | {spec.name: status.value for status, spec in REFUND_EVENTS.items()}


@pytest.mark.parametrize(("name", "status"), _told().items())
def test_an_examples_object_is_in_the_state_that_the_event_tells(name: str, status: str) -> None:
    assert event_example(EVENTS[name])["data"]["status"] == status


def test_what_is_sent_is_what_the_document_says() -> None:
    api = new_api()
    customer = api.post("/v1/customers", {"email": "ada@example.com"}).json()["data"]["id"]
    api.call("DELETE", f"/v1/customers/{customer}")
    payment = api.pay().json()["data"]["id"]
    api.post("/v1/refunds", {"payment": payment, "amount": 100})
    session = api.post("/v1/checkout/sessions", {"amount": 900, "currency": "EUR"})
    api.post(f"/v1/checkout/sessions/{session.json()['data']['id']}/expire", {})

    bodies = [orjson.loads(webhook_body(event)) for event in events_of(api.tenants.merchant.id)]

    assert [body["type"] for body in bodies] == [
        "customer.created",
        "customer.deleted",
        "payment.created",
        "payment.processing",
        "payment.completed",
        "refund.created",
        "refund.completed",
        "checkout_session.expired",
    ]
    assert [complaints(body_component(body["type"]), body) for body in bodies] == [[]] * 8


def test_what_is_too_large_is_sent_as_the_document_says() -> None:
    api = new_api()
    metadata = {f"key_{number}": "x" * 500 for number in range(45)}
    api.post("/v1/customers", {"metadata": metadata})
    [event] = events_of(api.tenants.merchant.id)

    body = orjson.loads(webhook_body(event))

    assert (body["truncated"], list(body["data"])) == (True, ["id"])
    assert complaints("CustomerCreatedEvent", body) == []


def events_of(merchant_id: uuid.UUID) -> list[OutboxEvent]:
    with tenant_atomic(Scope.worker()):
        return list(OutboxEvent.objects.filter(merchant_id=merchant_id).order_by("id"))


@pytest.mark.parametrize(("component", "field"), [("Event", "type"), ("Delivery", "event_type")])
def test_the_types_are_listed_and_may_become_more(component: str, field: str) -> None:
    told = schema(component)["properties"][field]
    assert told["x-extensible-enum"] == list(EVENTS)
    assert "enum" not in told


@pytest.mark.parametrize(
    ("component", "codes"), [("Error", known_codes()), ("Failure", failure_codes())]
)
def test_the_codes_are_listed_and_may_become_more(component: str, codes: frozenset[str]) -> None:
    told = schema(component)["properties"]["code"]
    assert told["x-extensible-enum"] == sorted(codes)
    assert "enum" not in told


def test_a_failures_codes_are_those_of_the_documents_of_payments() -> None:
    assert {"insufficient_funds", "authentication_required", "token_expired"} < failure_codes()
    assert {"refund_failed", "provider_unavailable"} < failure_codes()
    # Shown as `provider_unavailable`.
    assert "provider_credentials" not in failure_codes()


@pytest.mark.parametrize(
    "component",
    ["Endpoint", "EndpointWithSecret", "EndpointRequest", "PatchedEndpointUpdateRequest"],
)
def test_the_patterns_of_an_endpoint_are_listed_and_may_become_more(component: str) -> None:
    told = schema(component)["properties"]["events"]["items"]
    assert told["x-extensible-enum"] == known_patterns()
    assert "enum" not in told


def test_what_is_listed_for_the_filter_of_events_is_accepted() -> None:
    parameters = document()["paths"]["/v1/events"]["get"]["parameters"]
    [told] = [each["schema"] for each in parameters if each["name"] == "type"]
    assert told["x-extensible-enum"] == known_patterns()
    api = new_api()
    answers = [api.get(f"/v1/events?type={pattern}") for pattern in told["x-extensible-enum"]]
    assert {answer.status_code for answer in answers} == {200}
