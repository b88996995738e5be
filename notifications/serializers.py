"""The shapes of events and webhooks on the wire; also what the OpenAPI document shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.api.fields import EventTypeField, IdField, StrictSerializer, TextField


class EventSerializer(serializers.Serializer[Any]):
    """Something that happened; `data` is the object as it was at that moment."""

    id = serializers.CharField(help_text="`evt_…`; also the `webhook-id` of its webhooks.")
    object = serializers.CharField(default="event")
    type = EventTypeField(help_text="For example `payment.completed`.")
    created_at = serializers.DateTimeField()
    livemode = serializers.BooleanField()
    request_id = serializers.CharField(allow_null=True, help_text="The request that caused it.")
    data = serializers.DictField(  # type: ignore[assignment]  # the field hides Serializer.data
        help_text="The object, as its own endpoint returned it then."
    )


class EventListSerializer(serializers.Serializer[Any]):
    items = EventSerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class EndpointRequestSerializer(StrictSerializer):
    """What registers an endpoint."""

    url = TextField(
        max_length=2048,
        allow_blank=False,
        help_text="`https://…`, on the public internet; redirects are refused.",
    )
    events = serializers.ListField(
        child=TextField(max_length=64, allow_blank=False),
        help_text="Event types, `payment.*` for a family, or `*` for all.",
    )
    description = TextField(max_length=200, required=False)


class EndpointUpdateSerializer(StrictSerializer):
    """What may be changed; a field that is left out stays."""

    url = TextField(max_length=2048, required=False, allow_blank=False)
    events = serializers.ListField(
        child=TextField(max_length=64, allow_blank=False), required=False
    )
    description = TextField(max_length=200, required=False)
    status = serializers.ChoiceField(choices=["enabled", "disabled"], required=False)


class EndpointSerializer(serializers.Serializer[Any]):
    """A webhook endpoint."""

    id = serializers.CharField(help_text="`we_…`")
    object = serializers.CharField(default="webhook_endpoint")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(choices=["enabled", "disabled"])
    disabled_reason = serializers.CharField(
        allow_null=True,
        help_text="`by_user`, `gone` (it answered 410) or `failures` (ten in a row over two days).",
    )
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    last_success_at = serializers.DateTimeField(allow_null=True)
    failures_in_row = serializers.IntegerField()
    previous_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secret before the last rotation signs too."
    )


class EndpointWithSecretSerializer(EndpointSerializer):
    """As above, with the secret: only here, and in the repetition of the very same request."""

    secret = serializers.CharField(help_text="`whsec_…` (Standard Webhooks).")


class EndpointDeletedSerializer(EndpointSerializer):
    """The endpoint as it was, disabled now."""

    deleted = serializers.BooleanField()


class EndpointListSerializer(serializers.Serializer[Any]):
    items = EndpointSerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class AttemptSerializer(serializers.Serializer[Any]):
    """One HTTP exchange."""

    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status; null: no answer.")
    error = serializers.CharField(allow_blank=True)
    response_excerpt = serializers.CharField(allow_blank=True, help_text="First 1,000 characters.")

    class Meta:
        ref_name = "DeliveryAttempt"


class DeliverySerializer(serializers.Serializer[Any]):
    """One event on its way to one endpoint."""

    id = serializers.CharField(help_text="`whd_…`")
    object = serializers.CharField(default="webhook_delivery")
    event = serializers.CharField(help_text="`evt_…`")
    event_type = EventTypeField()
    endpoint = serializers.CharField(help_text="`we_…`")
    trigger = serializers.ChoiceField(
        choices=["event", "resend", "replay"], help_text="Why it was made."
    )
    state = serializers.ChoiceField(
        choices=["pending", "delivered", "failed", "canceled"],
        help_text="`failed`: ten attempts were in vain. `canceled`: the endpoint was disabled.",
    )
    attempts = serializers.IntegerField(help_text="How many were made, ten at most.")
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(allow_null=True, help_text="While it is pending.")
    delivered_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(
        allow_null=True, help_text="HTTP status of the last attempt; null: no answer."
    )
    last_error = serializers.CharField(
        allow_blank=True, help_text="What was wrong at the last attempt, in words."
    )


class DeliveryDetailSerializer(DeliverySerializer):
    attempt_log = AttemptSerializer(many=True, help_text="First to last.")


class DeliveryListSerializer(serializers.Serializer[Any]):
    items = DeliverySerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class ResendRequestSerializer(StrictSerializer):
    endpoint = IdField(
        "we",
        required=False,
        help_text="Only to this one (`we_…`); else to all that want the event.",
    )


class ResentSerializer(serializers.Serializer[Any]):
    deliveries = DeliverySerializer(many=True)


class ReplayRequestSerializer(StrictSerializer):
    created_from = serializers.DateTimeField(help_text="Events from this time on.")
    created_to = serializers.DateTimeField(required=False, help_text="And before this one.")
    only_missing = serializers.BooleanField(default=True, help_text="Leave out what was delivered.")


class ReplayedSerializer(serializers.Serializer[Any]):
    events = serializers.IntegerField(help_text="How many are on their way, 10,000 at most.")
    has_more = serializers.BooleanField(help_text="Whether the span holds more of them.")


class RollRequestSerializer(StrictSerializer):
    overlap_hours = serializers.IntegerField(
        default=24, min_value=0, max_value=168, help_text="How long the old secret signs too."
    )
