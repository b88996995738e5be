"""How drf-spectacular describes our views: the envelope, the errors, the headers, the limits.

Everything that holds for every operation is said here, once; a view adds what is its own. Parts
that all operations share become components (`#/components/responses/…`, `…/headers/…`) that
:func:`add_shared_components` puts in at the end.
"""

from __future__ import annotations

import re
from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

import core.api.shape_schema  # noqa: F401 - registers the extension
from core.api.fields import (
    AmountField,
    CurrencyField,
    HttpUrlField,
    IdField,
    MetadataField,
    StrictSerializer,
)
from core.ids import TEXT_PATTERN
from core.money import MAX_AMOUNT_MINOR
from core.pagination import DEFAULT_LIMIT, MAX_LIMIT
from core.shapes import example_id

_META: Final = {"requestId": example_id("req"), "timestamp": "2026-11-21T09:30:00.000Z"}
_FIRST_SENTENCE: Final = re.compile(r"(.+?)\.(?:\s|$)", re.DOTALL)

_KEY_TEXT: Final = (
    "A fresh random value for each operation (a UUID will do), repeated only to retry it. The same "
    "key with the same request replays the stored answer with `Idempotent-Replayed: true`; with "
    "another request it is a 422; while the first is at work it is a 409. Kept for 30 days."
)

#: Status → (component, what it means). The body is always the error envelope.
ERRORS: Final[dict[str, tuple[str, str]]] = {
    "400": ("BadRequest", "The request is malformed: `error.param` names the parameter."),
    "401": ("Unauthorized", "No valid credentials."),
    "402": ("CardDeclined", "The card was declined: `error.code` says why."),
    "403": ("Forbidden", "The key or role lacks the permission."),
    "404": ("NotFound", "No such object in your account and mode."),
    "409": ("Conflict", "The object's state forbids it, or a request with this key is at work."),
    "413": ("PayloadTooLarge", "The body is larger than 256 KiB."),
    "422": ("KeyReused", "This Idempotency-Key was used for another request."),
    "429": ("RateLimited", "Too many requests: wait for `Retry-After` seconds."),
    "500": ("ServerError", "Our fault. Retry with the same Idempotency-Key."),
    "503": ("Unavailable", "Away for a moment. Retry with the same Idempotency-Key."),
}

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "The id of this request: yours when you sent one of 8 to 64 letters, "
        "digits and `._:-`, else ours.",
        "required": True,
        "schema": {"type": "string", "minLength": 8, "maxLength": 64},
    },
    "RateLimit-Limit": {
        "description": "Requests allowed in the window.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Remaining": {
        "description": "Requests left at once.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Reset": {
        "description": "Seconds until the whole allowance is back.",
        "schema": {"type": "integer"},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this answer was stored under the Idempotency-Key before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 9110).",
        "schema": {"type": "string"},
    },
}


class EnvelopeAutoSchema(AutoSchema):
    """Wraps answers in the envelope and adds what every operation shares."""

    def get_override_parameters(self) -> list[Any]:
        """The view's own parameters, and the Idempotency-Key of a POST that takes one."""
        parameters = list(super().get_override_parameters())
        idempotency = getattr(self.view, "idempotency", "none")
        if self.method == "POST" and idempotency != "none":
            parameters.append(
                OpenApiParameter(
                    name="Idempotency-Key",
                    type={"type": "string", "maxLength": 255},
                    location=OpenApiParameter.HEADER,
                    required=idempotency == "required",
                    description=_KEY_TEXT,
                )
            )
        return parameters

    def get_tags(self) -> list[str]:
        tag = getattr(self.view, "tag", None)
        return [tag] if tag else list(super().get_tags())

    def get_summary(self) -> str | None:
        """The first sentence of the doc string, unless the view says otherwise."""
        return super().get_summary() or self._doc()[0]

    def get_description(self) -> str:  # type: ignore[override]  # the base's may be None
        """What the doc string says after its first sentence."""
        return self._doc()[1]

    def _doc(self) -> tuple[str, str]:
        handler = getattr(self.view, (self.method or "get").lower(), None)
        text = ((handler and handler.__doc__) or "").strip()
        text = "\n".join(line.strip() for line in text.splitlines())
        found = _FIRST_SENTENCE.match(text)
        if found is None:
            return text.rstrip("."), ""
        return " ".join(found.group(1).split()), text[found.end() :].strip()

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """The operation, with the permission that it needs."""
        operation = super().get_operation(*args, **kwargs)
        needed = getattr(self.view, "permissions", {}).get(self.method)
        if operation and needed:
            permission = f"Permission: `{needed}`."
            operation["description"] = "\n\n".join(
                part for part in (operation.get("description", ""), permission) if part
            )
            operation["x-permission"] = needed
        return operation

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> Any:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]  # untyped in drf_spectacular
        if isinstance(schema, dict):
            schema.update(_limits(field))
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # untyped in drf_spectacular
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, body in bodies.items():
            if status.startswith("2"):
                body["headers"] = {**self._shared_headers(), **body.get("headers", {})}
                _wrap(body.get("content", {}))
        for status in self._error_statuses():
            bodies.setdefault(status, {"$ref": f"#/components/responses/{ERRORS[status][0]}"})
        return dict(sorted(bodies.items()))

    def _shared_headers(self) -> dict[str, Any]:
        names = ["X-Request-Id"]
        if not getattr(self.view, "public", False):
            names += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
        if self.method == "POST" and getattr(self.view, "idempotency", "none") != "none":
            names.append("Idempotent-Replayed")
        return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

    def _error_statuses(self) -> list[str]:
        statuses = ["400", "429", "500", "503"]
        if not getattr(self.view, "anonymous", False):
            statuses.append("401")
        if not getattr(self.view, "public", False):
            statuses += ["403", "404"]
        if self.method in ("POST", "PATCH", "PUT"):
            statuses.append("413")
        if self.method in ("POST", "PATCH", "DELETE"):
            statuses.append("409")
        if self.method == "POST" and getattr(self.view, "idempotency", "none") != "none":
            statuses.append("422")
        if self.method == "POST" and getattr(self.view, "answers_card_errors", False):
            statuses.append("402")
        return statuses


def add_shared_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Post-processing hook: envelope, error responses, headers; limits of the page parameters."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_envelope_schemas())
    components["headers"] = _HEADERS
    components["responses"] = {
        name: _error_response(status, name, text) for status, (name, text) in ERRORS.items()
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                _describe_parameter(parameter)
    return result


def _limits(field: Any) -> dict[str, Any]:
    """What our own fields accept, beyond what their base class says."""
    if isinstance(field, AmountField):
        return {
            "type": "integer",
            "format": "int64",
            "minimum": 1,
            "maximum": MAX_AMOUNT_MINOR,
        }
    if isinstance(field, CurrencyField):
        return {"type": "string", "pattern": "^[A-Za-z]{3,4}$"}
    if isinstance(field, IdField):
        return {"type": "string", "pattern": f"^{field.prefix}_{TEXT_PATTERN}$"}
    if isinstance(field, HttpUrlField):
        return {
            "type": "string",
            "format": "uri",
            "maxLength": field.max_length,
            "pattern": "^https?://",
        }
    if isinstance(field, MetadataField):
        return {
            "type": "object",
            "maxProperties": field.max_pairs,
            "propertyNames": {"minLength": 1, "maxLength": 40},
            "additionalProperties": {
                "type": ["string", "null"] if field.takes_null else "string",
                "maxLength": 500,
            },
        }
    return {}


def _wrap(content: dict[str, Any]) -> None:
    for media in content.values():
        data = media.get("schema", {})
        media["schema"] = {
            "type": "object",
            "properties": {
                "success": {"type": "boolean", "const": True},
                "data": data,
                "meta": {"$ref": "#/components/schemas/Meta"},
            },
            "required": ["success", "data", "meta"],
        }
        for example in media.get("examples", {}).values():
            example["value"] = enveloped(example.get("value"))


def enveloped(value: Any) -> Any:
    """An example as it comes over the wire."""
    if isinstance(value, dict) and "success" in value:
        return value
    return {"success": True, "data": value, "meta": _META}


def _envelope_schemas() -> dict[str, Any]:
    text = {"type": "string"}
    nullable = {"type": ["string", "null"]}
    return {
        "Meta": {
            "type": "object",
            "properties": {"requestId": text, "timestamp": {**text, "format": "date-time"}},
            "required": ["requestId", "timestamp"],
        },
        "Error": {
            "type": "object",
            "description": "What went wrong. Decide by `code`; show or log `message`.",
            "properties": {
                "type": {
                    **text,
                    "enum": [
                        "invalid_request_error",
                        "authentication_error",
                        "permission_error",
                        "card_error",
                        "conflict_error",
                        "idempotency_error",
                        "rate_limit_error",
                        "api_error",
                    ],
                },
                "code": {**text, "description": "Stable; the catalogue explains each."},
                "message": {**text, "description": "One sentence for people."},
                "param": {**nullable, "description": "The parameter at fault."},
                "details": {
                    "type": ["object", "null"],
                    "additionalProperties": True,
                    "description": "Further facts; of a decline, the failed `payment`.",
                },
                "doc_url": {**text, "format": "uri-reference"},
            },
            "required": ["type", "code", "message", "param", "details", "doc_url"],
        },
        "ErrorEnvelope": {
            "type": "object",
            "properties": {
                "success": {"type": "boolean", "const": False},
                "error": {"$ref": "#/components/schemas/Error"},
                "meta": {"$ref": "#/components/schemas/Meta"},
            },
            "required": ["success", "error", "meta"],
        },
    }


def _error_response(status: str, name: str, text: str) -> dict[str, Any]:
    headers = ["X-Request-Id"]
    if status in ("409", "429", "503"):
        headers.append("Retry-After")
    if status == "401":
        headers.append("WWW-Authenticate")
    kind, code, message, param = _ERROR_EXAMPLES[status]
    return {
        "description": text,
        "headers": {header: {"$ref": f"#/components/headers/{header}"} for header in headers},
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ErrorEnvelope"},
                "examples": {
                    name: {
                        "value": {
                            "success": False,
                            "error": {
                                "type": kind,
                                "code": code,
                                "message": message,
                                "param": param,
                                "details": None,
                                "doc_url": f"https://merchantry.example/docs/api#error-{code}",
                            },
                            "meta": _META,
                        }
                    }
                },
            }
        },
    }


_ERROR_EXAMPLES: Final[dict[str, tuple[str, str, str, str | None]]] = {
    "400": (
        "invalid_request_error",
        "amount_not_integer",
        "Amounts are whole numbers in the currency's minor unit, sent as JSON integers.",
        "amount",
    ),
    "401": ("authentication_error", "api_key_invalid", "The API key is not valid.", None),
    "402": ("card_error", "insufficient_funds", "The card has insufficient funds.", None),
    "403": (
        "permission_error",
        "permission_missing",
        "This key or role lacks the permission payments.refund.",
        None,
    ),
    "404": ("invalid_request_error", "resource_missing", "There is no such object.", None),
    "409": (
        "conflict_error",
        "idempotency_key_in_flight",
        "A request with this Idempotency-Key is still at work. Ask again in a second.",
        "Idempotency-Key",
    ),
    "413": (
        "invalid_request_error",
        "payload_too_large",
        "The body is larger than 256 KiB.",
        None,
    ),
    "422": (
        "idempotency_error",
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request.",
        "Idempotency-Key",
    ),
    "429": ("rate_limit_error", "rate_limited", "Too many requests. Try again in 2 s.", None),
    "500": ("api_error", "internal_error", "Something broke on our side.", None),
    "503": (
        "api_error",
        "database_unavailable",
        "The database is away for a moment. Nothing was lost: send the request again.",
        None,
    ),
}


def _describe_parameter(parameter: dict[str, Any]) -> None:
    """Limits and texts of the parameters that mean the same everywhere."""
    schema = parameter.get("schema", {})
    if parameter["in"] == "query" and parameter["name"] == "limit":
        schema.update(minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT)
        parameter["description"] = "How many items a page holds."
    elif parameter["in"] == "query" and parameter["name"] == "cursor":
        schema["maxLength"] = 64
        parameter["description"] = "`next_cursor` of the page before."
