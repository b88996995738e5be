"""What the API accepts and shows of payments; requests are strict, amounts are minor units."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.api.fields import (
    AmountField,
    CurrencyField,
    GuardedEmailField,
    HttpUrlField,
    IdField,
    MetadataField,
    StatementDescriptorField,
    StrictBooleanField,
    StrictSerializer,
    TextField,
)
from payments.acceptance.states import PaymentStatus, RefundStatus


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


class CustomerWrite(StrictSerializer):
    email = GuardedEmailField(required=False, allow_blank=True, max_length=254)
    name = TextField(required=False, max_length=120)
    reference = TextField(required=False, max_length=100)
    metadata = MetadataField(required=False)


class PaymentMethodAttach(StrictSerializer):
    customer = IdField("cus")
    token = TextField(max_length=100, allow_blank=False)


class CardNumberField(serializers.CharField):
    """Digits with optional spaces or dashes; its value never appears in a message."""


class CardInputFields(StrictSerializer):
    number = CardNumberField(min_length=12, max_length=30, help_text="Never stored.")
    exp_month = serializers.IntegerField(min_value=1, max_value=12)
    exp_year = serializers.IntegerField(min_value=0, max_value=2200)
    cvc = serializers.CharField(min_length=3, max_length=4)


class TokenCreate(StrictSerializer):
    card = CardInputFields()


class Card(serializers.Serializer[Any]):
    brand = serializers.CharField()
    last4 = serializers.CharField()
    exp_month = serializers.IntegerField()
    exp_year = serializers.IntegerField()
    funding = serializers.CharField(required=False, allow_null=True)


class Token(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="token")
    card = Card()
    livemode = serializers.BooleanField()
    expires_at = serializers.DateTimeField()


class NextAction(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=["redirect"])
    url = serializers.CharField()


class Failure(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class HistoryLine(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    status = serializers.CharField()
    amount = serializers.IntegerField(allow_null=True)
    actor = serializers.DictField()
    message = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class Attempt(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.CharField()
    provider_id = serializers.CharField(allow_null=True)
    failure = Failure(allow_null=True)
    created_at = serializers.DateTimeField()


class LedgerLine(serializers.Serializer[Any]):
    id = serializers.CharField()
    debit_account = serializers.CharField()
    credit_account = serializers.CharField()
    amount = serializers.IntegerField()
    currency = serializers.CharField()
    code = serializers.CharField()
    state = serializers.CharField(help_text="pending, posted, voided or expired.")


class PaymentOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="payment")
    merchant = serializers.CharField()
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=PaymentStatus.choices)
    capture_method = serializers.ChoiceField(choices=["automatic", "manual"])
    amount_capturable = serializers.IntegerField()
    amount_captured = serializers.IntegerField()
    amount_refunded = serializers.IntegerField()
    amount_disputed = serializers.IntegerField()
    fee = serializers.IntegerField()
    net = serializers.IntegerField()
    customer = serializers.CharField(allow_null=True)
    payment_method = serializers.CharField(allow_null=True)
    card = Card(allow_null=True)
    channel = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    statement_descriptor = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    return_url = serializers.CharField(allow_null=True)
    next_action = NextAction(allow_null=True)
    failure = Failure(allow_null=True)
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    available_at = serializers.DateTimeField(allow_null=True)
    events = HistoryLine(many=True, required=False, help_text="With expand=events.")
    attempts = Attempt(many=True, required=False, help_text="With expand=attempts.")
    ledger = LedgerLine(many=True, required=False, help_text="With expand=ledger.")


class RefundOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="refund")
    payment = serializers.CharField()
    amount = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=RefundStatus.choices)
    reason = serializers.CharField(allow_null=True)
    failure = Failure(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CustomerOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="customer")
    email = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    reference = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class PaymentMethodOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField(default="payment_method")
    customer = serializers.CharField(allow_null=True)
    card = Card()
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class PageOf(serializers.Serializer[Any]):
    """The frame of a list; each resource names its own items."""

    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class PaymentPage(PageOf):
    items = PaymentOut(many=True)


class RefundPage(PageOf):
    items = RefundOut(many=True)


class CustomerPage(PageOf):
    items = CustomerOut(many=True)


class PaymentMethodPage(PageOf):
    items = PaymentMethodOut(many=True)
