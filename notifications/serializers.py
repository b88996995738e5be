"""What the API accepts for events and webhooks; requests are strict."""

from __future__ import annotations

from rest_framework import serializers

from core.api.fields import IdField, StrictSerializer, TextField


class EndpointCreate(StrictSerializer):
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

    class Meta:
        ref_name = "Endpoint"


class EndpointUpdate(StrictSerializer):
    """What may be changed; a field that is left out stays."""

    url = TextField(max_length=2048, required=False, allow_blank=False)
    events = serializers.ListField(
        child=TextField(max_length=64, allow_blank=False), required=False
    )
    description = TextField(max_length=200, required=False)
    status = serializers.ChoiceField(choices=["enabled", "disabled"], required=False)


class Resend(StrictSerializer):
    endpoint = IdField(
        "we",
        required=False,
        help_text="Only to this one (`we_…`); else to all that want the event.",
    )


class Replay(StrictSerializer):
    created_from = serializers.CharField(help_text="Events from this date or time on.")
    created_before = serializers.CharField(
        required=False, help_text="And before this one, which is not included; until now without."
    )
    only_missing = serializers.BooleanField(default=True, help_text="Leave out what was delivered.")


class Roll(StrictSerializer):
    overlap_hours = serializers.IntegerField(
        default=24, min_value=0, max_value=168, help_text="How long the old secret signs too."
    )
