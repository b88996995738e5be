"""How drf-spectacular describes our views: the envelope, the errors, the headers."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

_KEY = OpenApiParameter(
    name="Idempotency-Key",
    type=str,
    location=OpenApiParameter.HEADER,
    description=(
        "A fresh random value for each operation (a UUID will do), repeated only to retry it. The "
        "same key with the same request replays the stored answer with Idempotent-Replayed: true; "
        "with another request it is a 422; while the first is at work it is a 409."
    ),
)


class ErrorBody(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="What kind of fault: card_error, invalid_request_error…")
    code = serializers.CharField(help_text="Stable code to decide by.")
    message = serializers.CharField(help_text="One sentence for people.")
    param = serializers.CharField(allow_null=True, help_text="The parameter at fault.")
    details = serializers.JSONField(allow_null=True)
    doc_url = serializers.CharField(allow_null=True)


class Meta(serializers.Serializer[Any]):
    requestId = serializers.CharField()  # noqa: N815 - the envelope's field
    timestamp = serializers.DateTimeField()


class ErrorEnvelope(serializers.Serializer[Any]):
    success = serializers.BooleanField(default=False)
    error = ErrorBody()
    meta = Meta()


_ERRORS: dict[str, str] = {
    "400": "The request is malformed: `error.param` names the parameter.",
    "401": "No valid credentials.",
    "403": "The key or role lacks the permission.",
    "404": "No such object in your account and mode.",
    "413": "The body is too large.",
    "429": "Too many requests; see Retry-After.",
    "503": "Away for a moment; retry with the same Idempotency-Key.",
}
_POST_ERRORS: dict[str, str] = {
    "409": "The object's state forbids it, or a request with this key is at work.",
    "422": "This Idempotency-Key was used for another request.",
}


class EnvelopeAutoSchema(AutoSchema):
    """Wraps answers in the envelope and adds what every operation shares."""

    method_mapping: ClassVar[dict[str, str]] = {**AutoSchema.method_mapping}

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self.method == "POST" and getattr(self.view, "idempotency", "none") != "none":
            parameters.append(_KEY)
        return parameters

    def get_tags(self) -> list[str]:
        tag = getattr(self.view, "tag", None)
        return [tag] if tag else super().get_tags()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, body in bodies.items():
            if status.startswith("2") and "content" in body:
                _wrap(body["content"], self)
        shared = dict(_ERRORS)
        if self.method in ("POST", "PATCH", "DELETE"):
            shared.update(_POST_ERRORS)
        if getattr(self.view, "answers_card_errors", False) and self.method == "POST":
            shared["402"] = "The card was declined: `error.code` says why."
        error = self._get_response_for_code(ErrorEnvelope, "400")
        for status, description in shared.items():
            bodies.setdefault(status, {**error, "description": description})
        return dict(sorted(bodies.items()))


def _wrap(content: dict[str, Any], schema: AutoSchema) -> None:
    meta = schema.resolve_serializer(Meta, "response").ref
    for media in content.values():
        media["schema"] = {
            "type": "object",
            "properties": {
                "success": {"type": "boolean", "const": True},
                "data": media.get("schema", {}),
                "meta": meta,
            },
            "required": ["success", "data", "meta"],
        }
        for example in media.get("examples", {}).values():
            value = example.get("value")
            if not (isinstance(value, dict) and "success" in value):
                example["value"] = {
                    "success": True,
                    "data": value,
                    "meta": {
                        "requestId": "req_01kah8q3v5e0trz5b2m8x1c9dn",
                        "timestamp": "2026-11-21T09:30:00.000Z",
                    },
                }
