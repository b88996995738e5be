"""Webhooks in the OpenAPI document: one typed event for each public one of the catalogue."""

from __future__ import annotations

from typing import Any, Final

from core.events import EventSpec, public_events
from core.shapes import component_name
from developers.examples.events import event_example
from notifications.signing import HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP

_HEADERS: Final = {
    HEADER_ID: "The event's id, the same at every attempt: remember it to drop repetitions.",
    HEADER_TIMESTAMP: "When this attempt was signed, in seconds since 1970.",
    HEADER_SIGNATURE: (
        "`v1,` and the base64 of an HMAC-SHA256 with the endpoint's secret over id, timestamp and "
        "body, joined by dots; during a rotation one for each secret, with a space between them."
    ),
}
_WEBHOOK: Final[dict[str, Any]] = {
    "allOf": [
        {"$ref": "#/components/schemas/Event"},
        {
            "type": "object",
            "properties": {
                "timestamp": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When it happened, as Standard Webhooks names it.",
                },
                "truncated": {
                    "type": "boolean",
                    "const": True,
                    "description": "The event is larger than 20 kB: `data` is the id alone.",
                },
            },
            "required": ["timestamp"],
        },
    ],
    "description": "What the bodies of all webhooks have in common.",
}
_TRUNCATED: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The id of an object that was too large to be sent.",
    "properties": {"id": {"type": "string"}},
    "required": ["id"],
    "additionalProperties": False,
}
_RESPONSES: Final = {
    "2XX": {"description": "Received. Anything else is tried again, ten attempts in all."},
    "410": {"description": "Gone: the endpoint is disabled."},
}


def add_webhooks(result: dict[str, Any]) -> None:
    """Put `webhooks` into the document, and the components of their bodies."""
    schemas, components = result["components"]["schemas"], result["components"]
    specs = public_events()
    schemas |= {"Webhook": _WEBHOOK, "TruncatedObject": _TRUNCATED}
    schemas |= {_component(spec): _body(spec) for spec in specs.values()}
    references = {name: f"#/components/schemas/{_component(spec)}" for name, spec in specs.items()}
    schemas["WebhookEvent"] = {
        "description": "The body of any webhook; `type` says which.",
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "type", "mapping": references},
    }
    components["parameters"] = {
        name: {
            "name": name,
            "in": "header",
            "required": True,
            "description": text,
            "schema": {"type": "string"},
        }
        for name, text in _HEADERS.items()
    }
    result["webhooks"] = {name: {"post": _operation(spec)} for name, spec in specs.items()}


def _component(spec: EventSpec) -> str:
    """`PaymentCompletedEvent` for `payment.completed`."""
    words = spec.name.replace(".", "_").split("_")
    return "".join(word.capitalize() for word in words) + "Event"


def _body(spec: EventSpec) -> dict[str, Any]:
    assert spec.carries is not None
    carried = {"$ref": f"#/components/schemas/{component_name(spec.carries)}"}
    truncated = {"$ref": "#/components/schemas/TruncatedObject"}
    own = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": spec.name},
            "data": {"oneOf": [carried, truncated]},
        },
        "required": ["type", "data"],
    }
    return {
        "allOf": [{"$ref": "#/components/schemas/Webhook"}, own],
        "description": spec.text,
    }


def _operation(spec: EventSpec) -> dict[str, Any]:
    media = {
        "schema": {"$ref": f"#/components/schemas/{_component(spec)}"},
        "examples": {spec.name: {"value": event_example(spec)}},
    }
    return {
        "operationId": f"on_{spec.name.replace('.', '_')}",
        "summary": spec.text.rstrip("."),
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS],
        "requestBody": {"required": True, "content": {"application/json": media}},
        "responses": _RESPONSES,
    }
