"""What the checkout's API and page accept and show; requests are strict, amounts minor units."""

from __future__ import annotations

from typing import Any

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
from payments.acceptance.serializers import PageOf
from payments.checkout.states import SessionStatus


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
        help_text="Where the payer continues after paying. Reaching it does not prove a payment.",
    )
    cancel_url = HttpUrlField(required=False, help_text="Where a payer who cancels is sent.")
    metadata = MetadataField(required=False, help_text="Copied to each payment of the session.")


class SessionExpire(StrictSerializer):
    pass


class SessionOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="checkout_session")
    merchant = serializers.CharField()
    url = serializers.CharField(
        allow_null=True,
        help_text="The payer's page. Only in the answer that creates the session (and its "
        "repetitions under the same Idempotency-Key): it holds a secret of which only a digest "
        "is kept.",
    )
    status = serializers.ChoiceField(
        choices=SessionStatus.choices,
        help_text="open → processing → complete; back to open after a decline; expired after "
        "24 hours or by request.",
    )
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    capture_method = serializers.ChoiceField(choices=["automatic", "manual"])
    payment = serializers.CharField(allow_null=True, help_text="The attempt that counts.")
    customer = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    statement_descriptor = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    success_url = serializers.CharField(allow_null=True)
    cancel_url = serializers.CharField(allow_null=True)
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    canceled_at = serializers.DateTimeField(allow_null=True)
    payments = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Every attempt, oldest first; when one session is retrieved.",
    )


class SessionPage(PageOf):
    items = SessionOut(many=True)


class PayerPay(StrictSerializer):
    """What the payer's page sends: never an amount, never a card."""

    payment_method_token = TextField(max_length=100, allow_blank=False)


class PayerEmpty(StrictSerializer):
    pass
