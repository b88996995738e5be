"""Payments, refunds and customers: the same in answers, events and the documents.

Amounts are integers in minor units of the `currency` beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from core import ids
from core.shapes import (
    Amount,
    CaptureMethod,
    Currency,
    LaterTime,
    Metadata,
    PageOf,
    Time,
    an_id,
    example_id,
    one_of,
    open_list,
    shown,
)
from core.times import iso
from ledger.shapes import TransferCodeName
from payments.acceptance.models import Customer, Payment, PaymentEvent, PaymentMethod, Refund
from payments.acceptance.states import SALES_CHANNELS, PaymentStatus, RefundStatus
from payments.intents.models import Intent
from payments.intents.shapes import Failure, NextAction, intent_failure_out
from payments.intents.states import IntentState
from payments.providers.adapters.sandbox.vault import Token

#: What the lines of a payment call the accounts; `other` is one that is not the payment's own.
_ACCOUNTS: Final = (
    "provider_clearing",
    "merchant_pending",
    "merchant_available",
    "merchant_reserve",
    "platform_fee",
    "reseller_residual",
    "disputes",
    "dispute_fee",
    "dispute_loss",
    "other",
)


class CardOut(TypedDict):
    """What may be shown of a card: never its number."""

    brand: Annotated[str, shown(example="visa")]
    last4: Annotated[str, shown(example="4242")]
    exp_month: Annotated[int, shown(example=12)]
    exp_year: Annotated[int, shown(example=2034)]
    funding: NotRequired[Annotated[str | None, shown("Not of a saved card.", example="credit")]]


def card_out(card: Mapping[str, Any]) -> CardOut | None:
    """The card of a payment; None before one is known."""
    if not card:
        return None
    return {
        "brand": card["brand"],
        "last4": card["last4"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "funding": card.get("funding"),
    }


class TokenOut(TypedDict):
    """A card in the vault, good for one use."""

    id: Annotated[str, an_id("tok")]
    object: Literal["token"]
    card: CardOut
    livemode: bool
    expires_at: Annotated[Time, shown(example="2026-11-21T09:45:00.000Z")]


def token_out(token: Token) -> TokenOut:
    """A token of the sandbox's vault."""
    return {
        "id": token.id,
        "object": "token",
        "card": {
            "brand": token.brand,
            "last4": token.last4,
            "exp_month": token.exp_month,
            "exp_year": token.exp_year,
            "funding": token.funding,
        },
        "livemode": False,
        "expires_at": iso(token.expires_at),
    }


class HistoryLineOut(TypedDict):
    """A line of a payment's history."""

    id: Annotated[str, an_id("pev")]
    type: Annotated[str, shown("The event, as webhooks name it.", example="payment.completed")]
    status: Annotated[str, one_of(PaymentStatus.values, example="completed")]
    amount: Annotated[int | None, shown("Minor units.", example=4890)]
    actor: Annotated[
        dict[str, str],
        shown("Its `kind` and `label`.", example={"kind": "api_key", "label": "Server"}),
    ]
    message: str | None
    created_at: LaterTime


def history_line_out(event: PaymentEvent) -> HistoryLineOut:
    """A line of the history, with `expand=events`."""
    return {
        "id": event.public_id,
        "type": event.type,
        "status": event.status,
        "amount": event.amount_minor,
        "actor": {"kind": event.actor_kind, "label": event.actor_label},
        "message": event.message or None,
        "created_at": iso(event.created_at),
    }


class AttemptOut(TypedDict):
    """One attempt at a provider."""

    id: Annotated[str, an_id("int")]
    state: Annotated[str, one_of(IntentState.values, example="SETTLED")]
    provider_id: Annotated[str | None, shown("The provider's own id.", example="sbx_9f2c")]
    failure: Failure
    created_at: Time


def attempt_out(intent: Intent) -> AttemptOut:
    """An attempt, with `expand=attempts`."""
    return {
        "id": intent.public_id,
        "state": intent.state,
        "provider_id": intent.external_id or None,
        "failure": intent_failure_out(intent),
        "created_at": iso(intent.created_at),
    }


class LedgerLineOut(TypedDict):
    """A movement in the books that belongs to the payment or its refunds."""

    id: Annotated[str, an_id("trf")]
    debit_account: Annotated[str, open_list(_ACCOUNTS, example="provider_clearing")]
    credit_account: Annotated[str, open_list(_ACCOUNTS, example="merchant_pending")]
    amount: Amount
    currency: Currency
    code: TransferCodeName
    state: Annotated[str, one_of(["pending", "posted", "voided", "expired"], example="posted")]


class PaymentOut(TypedDict):
    """Money that a payer pays."""

    id: Annotated[str, an_id("pay")]
    object: Literal["payment"]
    merchant: Annotated[str, an_id("mer")]
    amount: Amount
    currency: Currency
    status: Annotated[str, one_of(PaymentStatus.values, example="completed")]
    capture_method: CaptureMethod
    amount_capturable: Annotated[int, shown("Held on the card and not yet taken.")]
    capture_before: Annotated[
        LaterTime | None, shown("When a hold that waits for its capture is given up.")
    ]
    amount_captured: Amount
    amount_refunded: int
    amount_disputed: Annotated[int, shown("Held, until the payers' banks have decided.", example=0)]
    amount_lost: Annotated[int, shown("Taken back by payers' banks in disputes.", example=0)]
    dispute_fee: Annotated[int, shown("What the provider charged for disputes.", example=0)]
    fee: Annotated[int, shown("Our fee, taken from what is captured.", example=172)]
    net: Annotated[
        int,
        shown(
            "What is left of what was captured: without the fees and what was refunded, is "
            "disputed or was lost to a dispute; below 0 where that is more.",
            example=4718,
        ),
    ]
    customer: str | None
    payment_method: Annotated[str | None, shown("The saved method that was charged.")]
    card: CardOut | None
    sales_channel: Annotated[str, open_list(SALES_CHANNELS, "Where it was sold.", example="api")]
    channel: Annotated[
        str,
        open_list(SALES_CHANNELS, "`sales_channel` by its earlier name.", example="api"),
        shown(deprecated=True),
    ]
    description: str | None
    reference: Annotated[str | None, shown("Your own id.", example="order-1042")]
    statement_descriptor: str | None
    metadata: Annotated[Metadata, shown(example={"cart": "8841"})]
    return_url: Annotated[str | None, shown(example="https://shop.example/thanks")]
    next_action: NextAction
    failure: Failure
    livemode: bool
    created_at: Time
    updated_at: LaterTime
    completed_at: LaterTime | None
    available_at: Annotated[
        Time | None, shown("When it can be paid out.", example="2026-11-23T09:30:02.140Z")
    ]
    events: NotRequired[Annotated[list[HistoryLineOut], shown("With expand=events.")]]
    attempts: NotRequired[Annotated[list[AttemptOut], shown("With expand=attempts.")]]
    ledger: NotRequired[Annotated[list[LedgerLineOut], shown("With expand=ledger.")]]


def payment_out(payment: Payment) -> PaymentOut:
    """A payment as the API shows it."""
    action = payment.next_action_url
    return {
        "id": payment.public_id,
        "object": "payment",
        "merchant": ids.encode("mer", payment.merchant_id),
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status,
        "capture_method": "manual" if payment.manual_capture else "automatic",
        "amount_capturable": payment.amount_capturable_minor,
        "capture_before": iso(payment.capture_before) if payment.amount_capturable_minor else None,
        "amount_captured": payment.amount_captured_minor,
        "amount_refunded": payment.amount_refunded_minor,
        "amount_disputed": payment.amount_disputed_minor,
        "amount_lost": payment.amount_lost_minor,
        "dispute_fee": payment.dispute_fee_minor,
        "fee": payment.fee_minor,
        "net": payment.net_minor,
        "customer": ids.encode_or_none("cus", payment.customer_id),
        "payment_method": ids.encode_or_none("pm", payment.payment_method_id),
        "card": card_out(payment.card),
        "sales_channel": payment.sales_channel,
        "channel": payment.sales_channel,
        "description": payment.description or None,
        "reference": payment.reference or None,
        "statement_descriptor": payment.statement_descriptor or None,
        "metadata": payment.metadata,
        "return_url": payment.return_url or None,
        "next_action": {"type": "redirect", "url": action} if action else None,
        "failure": (
            {"code": payment.failure_code, "message": payment.failure_message}
            if payment.failure_code
            else None
        ),
        "livemode": payment.livemode,
        "created_at": iso(payment.created_at),
        "updated_at": iso(payment.updated_at),
        "completed_at": iso(payment.completed_at),
        "available_at": iso(payment.available_at),
    }


class RefundOut(TypedDict):
    """Money that goes back to the payer."""

    id: Annotated[str, an_id("ref")]
    object: Literal["refund"]
    payment: Annotated[str, an_id("pay")]
    amount: Annotated[Amount, shown(example=1500)]
    currency: Currency
    status: Annotated[str, one_of(RefundStatus.values, example="completed")]
    reason: Annotated[str | None, shown(example="requested_by_customer")]
    failure: Failure
    metadata: Metadata
    livemode: bool
    created_at: Time
    updated_at: LaterTime


def refund_out(refund: Refund) -> RefundOut:
    """A refund as the API shows it."""
    return {
        "id": refund.public_id,
        "object": "refund",
        "payment": ids.encode("pay", refund.payment_id),
        "amount": refund.amount_minor,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason or None,
        "failure": (
            {"code": refund.failure_code, "message": refund.failure_message}
            if refund.failure_code
            else None
        ),
        "metadata": refund.metadata,
        "livemode": refund.livemode,
        "created_at": iso(refund.created_at),
        "updated_at": iso(refund.updated_at),
    }


class CustomerOut(TypedDict):
    """A payer that you know."""

    id: Annotated[str, an_id("cus")]
    object: Literal["customer"]
    email: Annotated[str | None, shown(example="ada@example.com")]
    name: Annotated[str | None, shown(example="Ada Lovelace")]
    reference: Annotated[str | None, shown("Your own id.", example="customer-17")]
    metadata: Metadata
    livemode: bool
    created_at: Time


def customer_out(customer: Customer) -> CustomerOut:
    """A customer as the API shows it."""
    return {
        "id": customer.public_id,
        "object": "customer",
        "email": customer.email or None,
        "name": customer.name or None,
        "reference": customer.reference or None,
        "metadata": customer.metadata,
        "livemode": customer.livemode,
        "created_at": iso(customer.created_at),
    }


class PaymentMethodOut(TypedDict):
    """A card that a customer lets you charge again."""

    id: Annotated[str, an_id("pm")]
    object: Literal["payment_method"]
    customer: Annotated[str | None, shown(example=example_id("cus"))]
    card: CardOut
    livemode: bool
    created_at: Time


def payment_method_out(method: PaymentMethod) -> PaymentMethodOut:
    """A saved method as the API shows it."""
    return {
        "id": method.public_id,
        "object": "payment_method",
        "customer": ids.encode_or_none("cus", method.customer_id),
        "card": {
            "brand": method.brand,
            "last4": method.last4,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
        },
        "livemode": method.livemode,
        "created_at": iso(method.created_at),
    }


class PaymentPage(PageOf):
    items: list[PaymentOut]


class RefundPage(PageOf):
    items: list[RefundOut]


class CustomerPage(PageOf):
    items: list[CustomerOut]


class PaymentMethodPage(PageOf):
    items: list[PaymentMethodOut]
