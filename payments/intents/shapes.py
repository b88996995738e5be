"""What the API shows of intents, and of what every attempt may end with; minor units."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from core import ids
from core.shapes import Amount, Currency, LaterTime, Time, an_id, example_id, one_of, shown
from core.times import iso
from payments.intents.failures import shown_failure
from payments.intents.models import Intent, Operation
from payments.intents.states import IntentState


class NextActionOut(TypedDict):
    """What the payer must do next."""

    type: Literal["redirect"]
    url: Annotated[str, shown(example="https://bank.example/3ds/9f2c")]


class FailureOut(TypedDict):
    """Why it failed."""

    code: Annotated[str, shown(example="insufficient_funds")]
    message: Annotated[str, shown(example="The card has insufficient funds.")]


NextAction = Annotated[NextActionOut | None, shown(example=None)]
Failure = Annotated[FailureOut | None, shown(example=None)]


class IntentOut(TypedDict):
    """One attempt to move money."""

    id: Annotated[str, an_id("int")]
    object: Literal["intent"]
    merchant: Annotated[str, an_id("mer")]
    operation: Annotated[str, one_of(Operation.values, example="payment")]
    state: Annotated[str, one_of(IntentState.values, example="SETTLED")]
    step: Annotated[str | None, shown("The call to the provider that is under way.")]
    amount: Amount
    amount_settled: Amount
    currency: Currency
    fee: Annotated[Amount, shown(example=172)]
    channel: Annotated[str, shown("What moves the money.", example="gateway")]
    document: Annotated[str | None, shown("The payment or refund.", example=example_id("pay"))]
    next_action: NextAction
    failure: Failure
    tags: Annotated[list[str], shown(example=[])]
    livemode: bool
    created_at: Time
    updated_at: LaterTime


def intent_out(intent: Intent) -> IntentOut:
    """An intent as the API shows it."""
    return {
        "id": intent.public_id,
        "object": "intent",
        "merchant": ids.encode("mer", intent.merchant_id),
        "operation": intent.operation,
        "state": intent.state,
        "step": intent.step or None,
        "amount": intent.amount_minor,
        "amount_settled": intent.settled_amount_minor,
        "currency": intent.currency,
        "fee": intent.fee_minor,
        "channel": intent.channel,
        "document": _document(intent),
        "next_action": (
            {"type": "redirect", "url": intent.next_action_url} if intent.next_action_url else None
        ),
        "failure": intent_failure_out(intent),
        "tags": intent.tags,
        "livemode": intent.livemode,
        "created_at": iso(intent.created_at),
        "updated_at": iso(intent.updated_at),
    }


def intent_failure_out(intent: Intent) -> FailureOut | None:
    """Why an intent failed, without what is for staff alone."""
    if not intent.failure_code:
        return None
    code, message = shown_failure(intent.failure_code, intent.failure_message)
    return {"code": code, "message": message}


def _document(intent: Intent) -> str | None:
    prefixes = {"payment": "pay", "refund": "ref"}
    prefix = prefixes.get(intent.document_type)
    return ids.encode_or_none(prefix, intent.document_id) if prefix else None
