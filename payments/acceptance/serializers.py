"""What the API accepts for payments; requests are strict, amounts are minor units."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from core.api.fields import (
    AmountField,
    CurrencyField,
    GuardedEmailField,
    HttpUrlField,
    IdField,
    MetadataChangesField,
    MetadataField,
    StatementDescriptorField,
    StrictBooleanField,
    StrictSerializer,
    TextField,
)
from core.errors import InvalidRequest


class PaymentCreate(StrictSerializer):
    amount = AmountField(help_text="Minor units: 4890 is 48.90 EUR, 4890 JPY is ¥4,890.")
    currency = CurrencyField(help_text="ISO 4217 code.")
    customer = IdField("cus", required=False)
    payment_method = IdField("pm", required=False, help_text="A saved method.")
    payment_method_token = TextField(
        required=False,
        max_length=100,
        help_text="A one-use token from POST /v1/tokens.",
    )
    confirm = StrictBooleanField(required=False, default=False)
    capture_method = serializers.ChoiceField(
        choices=["automatic", "manual"], required=False, default="automatic"
    )
    return_url = HttpUrlField(required=False, help_text="Where the payer goes after a challenge.")
    description = TextField(required=False, max_length=500)
    reference = TextField(required=False, max_length=100, help_text="Your own id.")
    statement_descriptor = StatementDescriptorField(required=False)
    metadata = MetadataField(required=False)


class PaymentUpdate(StrictSerializer):
    """What may be changed of a payment in every state; a field that is left out stays."""

    description = TextField(required=False, max_length=500)
    reference = TextField(required=False, max_length=100, help_text="Your own id.")
    metadata = MetadataChangesField(
        required=False,
        help_text="Merged by key: a key that is left out stays, and null deletes one.",
    )


class PaymentConfirm(StrictSerializer):
    payment_method = IdField("pm", required=False)
    payment_method_token = TextField(required=False, max_length=100)
    return_url = HttpUrlField(required=False)


class PaymentCapture(StrictSerializer):
    amount = AmountField(required=False, help_text="Less than authorised releases the remainder.")


class PaymentCancel(StrictSerializer):
    pass


class RefundCreate(StrictSerializer):
    payment = IdField("pay")
    amount = AmountField(required=False, help_text="All that is left when not given.")
    reason = TextField(required=False, max_length=100)
    metadata = MetadataField(required=False)


class CustomerCreate(StrictSerializer):
    """What may be said of a customer at first."""

    email = GuardedEmailField(required=False, allow_blank=True, max_length=254)
    name = TextField(required=False, max_length=120)
    reference = TextField(required=False, max_length=100)
    metadata = MetadataField(required=False)

    class Meta:
        ref_name = "Customer"


class CustomerUpdate(StrictSerializer):
    """What may be changed of a customer; a field that is left out stays."""

    email = GuardedEmailField(required=False, allow_blank=True, max_length=254)
    name = TextField(required=False, max_length=120)
    reference = TextField(required=False, max_length=100)
    metadata = MetadataChangesField(
        required=False,
        help_text="Merged by key: a key that is left out stays, and null deletes one.",
    )

    class Meta:
        ref_name = "CustomerUpdate"


@extend_schema_serializer(deprecate_fields=["token"])
class PaymentMethodAttach(StrictSerializer):
    customer = IdField("cus")
    payment_method_token = TextField(
        required=False,
        max_length=100,
        allow_blank=False,
        help_text="A one-use token from POST /v1/tokens; required.",
    )
    token = TextField(
        required=False,
        max_length=100,
        allow_blank=False,
        help_text="`payment_method_token` by its earlier name.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The token under its present name."""
        given = [name for name in ("payment_method_token", "token") if name in attrs]
        if len(given) != 1:
            raise InvalidRequest(
                "Send payment_method_token alone; token is its earlier name."
                if given
                else "payment_method_token is missing; POST /v1/tokens makes one.",
                code="payment_method_ambiguous" if given else "parameter_missing",
                param="payment_method_token",
            )
        return {"customer": attrs["customer"], "payment_method_token": attrs[given[0]]}


class CardNumberField(serializers.CharField):
    """Digits with optional spaces or dashes; its value never appears in a message."""


class CardInputFields(StrictSerializer):
    number = CardNumberField(min_length=12, max_length=30, help_text="Never stored.")
    exp_month = serializers.IntegerField(min_value=1, max_value=12)
    exp_year = serializers.IntegerField(min_value=0, max_value=2200)
    cvc = serializers.CharField(min_length=3, max_length=4)


class TokenCreate(StrictSerializer):
    card = CardInputFields()
