"""What trusted service callers send to `/v1/intents`."""

from __future__ import annotations

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
