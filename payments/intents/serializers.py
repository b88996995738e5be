"""What trusted service callers send to `/v1/intents`, and what they get."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from core.api.fields import (
    AmountField,
    CurrencyField,
    HttpUrlField,
    IdField,
    StrictSerializer,
    TextField,
)
from payments.intents.models import Operation
from payments.intents.states import IntentState


class Facts(StrictSerializer):
    """Facts that the caller vouches for; rules decide by them without reading personal data."""

    tags = serializers.ListField(
        child=TextField(allow_blank=False, validators=[RegexValidator(r"^[a-z0-9_]{1,40}$")]),
        max_length=20,
        required=False,
    )


class IntentCreate(StrictSerializer):
    merchant = IdField("mer", help_text="Whose money it is.")
    operation = serializers.ChoiceField(choices=[Operation.PAYMENT.value])
    amount = AmountField(help_text="Minor units.")
    currency = CurrencyField()
    payment_method_token = TextField(max_length=100, allow_blank=False)
    capture_method = serializers.ChoiceField(
        choices=["automatic", "manual"], required=False, default="automatic"
    )
    return_url = HttpUrlField(required=False)
    metadata = Facts(required=False)


class IntentOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="intent")
    merchant = serializers.CharField()
    operation = serializers.ChoiceField(choices=Operation.choices)
    state = serializers.ChoiceField(choices=IntentState.choices)
    step = serializers.CharField(allow_null=True)
    amount = serializers.IntegerField()
    amount_settled = serializers.IntegerField()
    currency = serializers.CharField()
    fee = serializers.IntegerField()
    channel = serializers.CharField()
    document = serializers.CharField(allow_null=True)
    next_action = serializers.DictField(allow_null=True)
    failure = serializers.DictField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
