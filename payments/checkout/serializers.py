"""What the checkout's API and page accept; requests are strict, amounts minor units."""

from __future__ import annotations

from rest_framework import serializers

from core.api.fields import (
    AmountField,
    CurrencyField,
    HttpUrlField,
    IdField,
    MetadataField,
    StatementDescriptorField,
    StrictSerializer,
    TextField,
)


class SessionCreate(StrictSerializer):
    amount = AmountField(help_text="Minor units: 4890 is 48.90 EUR, 4890 JPY is ¥4,890.")
    currency = CurrencyField(help_text="ISO 4217 code.")
    description = TextField(required=False, max_length=500, help_text="Shown to the payer.")
    reference = TextField(
        required=False,
        max_length=100,
        help_text="Your own id, such as an order number; shown on the payer's receipt.",
    )
    customer = IdField("cus", required=False)
    capture_method = serializers.ChoiceField(
        choices=["automatic", "manual"], required=False, default="automatic"
    )
    statement_descriptor = StatementDescriptorField(required=False)
    success_url = HttpUrlField(
        required=False,
        help_text="Where the payer continues after paying. Reaching it does not prove a payment. "
        "`{CHECKOUT_SESSION_ID}` in it becomes the session's id.",
    )
    cancel_url = HttpUrlField(
        required=False,
        help_text="Where a payer who cancels is sent. `{CHECKOUT_SESSION_ID}` as in `success_url`.",
    )
    metadata = MetadataField(required=False, help_text="Copied to each payment of the session.")


class SessionExpire(StrictSerializer):
    pass


class PayerPay(StrictSerializer):
    """What the payer's page sends: never an amount, never a card."""

    payment_method_token = TextField(max_length=100, allow_blank=False)


class PayerEmpty(StrictSerializer):
    pass
