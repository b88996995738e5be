"""Stripe's objects, as plain JSON, read into our answers. Makes no network calls.

Whatever does not look as Stripe documents it raises GarbledError, which the adapter turns into
``unknown``: a half-understood answer about money is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from payments.providers.adapters.stripe.amounts import from_stripe
from payments.providers.base import (
    CardDetails,
    Decline,
    DisputeMovement,
    DisputeNotice,
    EventKind,
    LineKind,
    ProviderAnswer,
    ProviderEvent,
    RefundAnswer,
    RefundTotal,
    SettlementLine,
    Status,
)

Json = Mapping[str, object]

# The metadata key under which our reference travels.
REFERENCE: Final = "reference"

_PAYMENT_STATUS: Final = {
    "requires_payment_method": Status.PENDING,
    "requires_confirmation": Status.PENDING,
    "requires_action": Status.REQUIRES_ACTION,
    "processing": Status.PENDING,
    "requires_capture": Status.SUCCEEDED,
    "succeeded": Status.SUCCEEDED,
    "canceled": Status.FAILED,
}

_REFUND_STATUS: Final = {
    "pending": Status.PENDING,
    "requires_action": Status.PENDING,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}

_LINE_KIND: Final = {
    "charge": LineKind.CHARGE,
    "payment": LineKind.CHARGE,
    "refund": LineKind.REFUND,
    "payment_refund": LineKind.REFUND,
    "refund_failure": LineKind.REFUND,
    "payment_failure_refund": LineKind.REFUND,
    "stripe_fee": LineKind.FEE,
    "stripe_fx_fee": LineKind.FEE,
    "tax_fee": LineKind.FEE,
    "network_cost": LineKind.FEE,
    "payout": LineKind.PAYOUT,
    "payout_cancel": LineKind.PAYOUT,
    "payout_failure": LineKind.PAYOUT,
}

# What of a payment intent may be kept: no client secret, no name, no address.
_KEPT_OF_PAYMENT: Final = (
    "id",
    "object",
    "status",
    "amount",
    "amount_capturable",
    "amount_received",
    "currency",
    "capture_method",
    "cancellation_reason",
    "created",
    "livemode",
)
_KEPT_OF_REFUND: Final = (
    "id",
    "object",
    "status",
    "amount",
    "currency",
    "created",
    "failure_reason",
    "reason",
)


class GarbledError(Exception):
    """An answer that is not what Stripe documents."""


def read_payment(intent: Json) -> ProviderAnswer:
    """Read a PaymentIntent, with or without its charge and method expanded."""
    state = text(intent, "status")
    if text(intent, "object") != "payment_intent" or state not in _PAYMENT_STATUS:
        raise GarbledError(f"not a payment intent in a known state: {state[:40]!r}")
    # A payment that was only just made is in this state too: without an error it is not
    # refused, and its confirmation may be under way.
    refused = state == "requires_payment_method" and bool(child(intent, "last_payment_error"))
    status = Status.FAILED if refused else _PAYMENT_STATUS[state]
    currency = text(intent, "currency").upper()
    captured = whole(intent, "amount_received") if state == "succeeded" else 0
    charge = child(intent, "latest_charge")
    return ProviderAnswer(
        status=status,
        provider_id=text(intent, "id"),
        reference=_reference(intent),
        amount_minor=from_stripe(whole(intent, "amount"), currency),
        amount_captured_minor=from_stripe(captured, currency),
        amount_refunded_minor=_refunded(charge, state, currency),
        currency=currency,
        canceled=state == "canceled",
        decline=read_decline(child(intent, "last_payment_error")) if refused else None,
        next_action_url=_redirect_url(intent) if state == "requires_action" else "",
        card=_card(intent, charge),
        fee_minor=_fee(charge, currency),
        raw=_kept(intent, _KEPT_OF_PAYMENT),
    )


def read_decline(error: Json) -> Decline:
    """Read an error or ``last_payment_error``: the most telling code, the payer's message."""
    code, decline_code = error.get("code"), error.get("decline_code")
    telling = code if isinstance(code, str) and code else "card_declined"
    # "Declined" says less than the issuer's own reason, and "generic" less than nothing.
    if telling == "card_declined" and isinstance(decline_code, str):
        telling = decline_code if decline_code not in ("", "generic_decline") else telling
    message = error.get("message")
    return Decline(
        code=telling, message=message if isinstance(message, str) else "Your card was declined."
    )


def read_refund(refund: Json) -> RefundAnswer:
    """Read a Refund."""
    state = text(refund, "status")
    if text(refund, "object") != "refund" or state not in _REFUND_STATUS:
        raise GarbledError(f"not a refund in a known state: {state[:40]!r}")
    currency = text(refund, "currency").upper()
    status = _REFUND_STATUS[state]
    reason = refund.get("failure_reason")
    failure = Decline(
        code=reason if isinstance(reason, str) else f"refund_{state}",
        message="The bank did not take the refund back.",
    )
    return RefundAnswer(
        status=status,
        provider_id=text(refund, "id"),
        reference=_reference(refund),
        payment_provider_id=identifier(refund, "payment_intent"),
        amount_minor=from_stripe(whole(refund, "amount"), currency),
        currency=currency,
        failure=failure if status is Status.FAILED else None,
        raw=_kept(refund, _KEPT_OF_REFUND),
    )


def read_event(event: Json) -> ProviderEvent:
    """Read an Event; types that we do not handle come back as ``ignored``."""
    type_name = text(event, "type")
    data = mapping(mapping(event.get("data")).get("object"))
    kind, payment, refund, refunded, dispute = EventKind.IGNORED, None, None, None, None
    provider_id = reference = ""
    if type_name == "payment_intent.created":
        # It reports our own request before its outcome, which the answer to the request reports.
        pass
    elif type_name.startswith("payment_intent."):
        kind, payment = EventKind.PAYMENT, read_payment(data)
        provider_id, reference = payment.provider_id, payment.reference
    elif type_name.startswith("refund.") or type_name == "charge.refund.updated":
        kind, refund = EventKind.REFUND, read_refund(data)
        provider_id, reference = refund.payment_provider_id, refund.reference
    elif type_name == "charge.refunded":
        kind, refunded = EventKind.REFUND_TOTAL, _refund_total(data)
        provider_id = identifier(data, "payment_intent")
    elif type_name.startswith("charge.dispute."):
        kind, dispute = EventKind.DISPUTE, _dispute(data, moment(event, "created"))
        provider_id = dispute.payment_provider_id
    return ProviderEvent(
        event_id=text(event, "id"),
        kind=kind,
        type=type_name,
        occurred_at=moment(event, "created"),
        provider_id=provider_id,
        reference=reference,
        payment=payment,
        refund=refund,
        refunded=refunded,
        dispute=dispute,
    )


def read_line(line: Json) -> SettlementLine:
    """Read a BalanceTransaction whose source is expanded."""
    currency = text(line, "currency").upper()
    source = child(line, "source")
    kind = _LINE_KIND.get(text(line, "type"), LineKind.ADJUSTMENT)
    if text(line, "reporting_category").startswith("dispute"):
        kind = LineKind.DISPUTE
    payment = identifier(source, "payment_intent")
    gross_minor = from_stripe(whole(line, "amount"), currency)
    fee_minor = from_stripe(whole(line, "fee"), currency)
    return SettlementLine(
        line_id=text(line, "id"),
        kind=kind,
        provider_id=payment if kind is LineKind.CHARGE and payment else identifier(line, "source"),
        reference=_reference(source),
        gross_minor=gross_minor,
        fee_minor=fee_minor,
        net_minor=gross_minor - fee_minor,
        currency=currency,
        occurred_at=moment(line, "created"),
        available_at=moment(line, "available_on"),
    )


def reference_of(found: Json) -> str:
    """Our reference in an object's metadata, or an empty text."""
    return _reference(found)


def _dispute(data: Json, occurred_at: datetime) -> DisputeNotice:
    currency = text(data, "currency").upper()
    due = child(data, "evidence_details").get("due_by")
    return DisputeNotice(
        provider_id=text(data, "id"),
        payment_provider_id=identifier(data, "payment_intent"),
        amount_minor=from_stripe(whole(data, "amount"), currency),
        currency=currency,
        reason=text(data, "reason"),
        status=text(data, "status"),
        occurred_at=occurred_at,
        movements=_movements(data),
        evidence_due_by=datetime.fromtimestamp(due, UTC) if isinstance(due, int) else None,
    )


def _movements(dispute: Json) -> tuple[DisputeMovement, ...]:
    """The balance transactions of a dispute; Stripe leaves them out of some events."""
    found = dispute.get("balance_transactions")
    return tuple(_movement(mapping(each)) for each in found) if isinstance(found, list) else ()


def _movement(line: Json) -> DisputeMovement:
    currency = text(line, "currency").upper()
    return DisputeMovement(
        id=text(line, "id"),
        amount_minor=from_stripe(whole(line, "amount"), currency),
        fee_minor=from_stripe(whole(line, "fee"), currency),
        currency=currency,
    )


def _card(intent: Json, charge: Json) -> CardDetails | None:
    """The card from wherever Stripe put it: the charge, the method, or the last failure."""
    details = child(child(charge, "payment_method_details"), "card")
    method = child(child(intent, "payment_method"), "card")
    failed = child(child(child(intent, "last_payment_error"), "payment_method"), "card")
    card = details or method or failed
    if not card:
        return None
    return CardDetails(
        brand=_optional(card, "brand"),
        last4=_optional(card, "last4"),
        exp_month=whole(card, "exp_month"),
        exp_year=whole(card, "exp_year"),
        fingerprint=_optional(card, "fingerprint"),
        funding=_optional(card, "funding") or "unknown",
        country=_optional(card, "country"),
    )


def _fee(charge: Json, currency: str) -> int | None:
    booked = child(charge, "balance_transaction")
    # Stripe takes its fee in the currency it settles in; another one says nothing about this sum.
    if not booked or _optional(booked, "currency").upper() != currency:
        return None
    return from_stripe(whole(booked, "fee"), currency)


def _refunded(charge: Json, state: str, currency: str) -> int:
    if state != "succeeded" or "amount_captured" not in charge:
        return 0
    # Stripe books the uncaptured rest of a partial capture as refunded; it was never ours.
    released = whole(charge, "amount") - whole(charge, "amount_captured")
    return from_stripe(max(0, whole(charge, "amount_refunded") - released), currency)


def _refund_total(charge: Json) -> RefundTotal:
    currency = text(charge, "currency").upper()
    whole(charge, "amount_captured")
    return RefundTotal(amount_minor=_refunded(charge, "succeeded", currency), currency=currency)


def _redirect_url(intent: Json) -> str:
    return _optional(child(child(intent, "next_action"), "redirect_to_url"), "url")


def _reference(found: Json) -> str:
    return _optional(child(found, "metadata"), REFERENCE)


def _kept(found: Json, keys: tuple[str, ...]) -> dict[str, object]:
    return {key: found[key] for key in keys if key in found}


def mapping(value: object) -> Json:
    """A JSON object. Raises GarbledError."""
    if not isinstance(value, Mapping):
        raise GarbledError("an object was expected")
    return value


def child(found: Json, key: str) -> Json:
    """An expanded child; an empty object where it is absent, null or only an id."""
    value = found.get(key)
    return value if isinstance(value, Mapping) else {}


def identifier(found: Json, key: str) -> str:
    """The id of a child, expanded or not; empty where there is none."""
    value = found.get(key)
    return _optional(value, "id") if isinstance(value, Mapping) else _optional(found, key)


def text(found: Json, key: str) -> str:
    """A text. Raises GarbledError."""
    value = found.get(key)
    if not isinstance(value, str):
        raise GarbledError(f"{key} is not a text")
    return value


def whole(found: Json, key: str) -> int:
    """A whole number. Raises GarbledError."""
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise GarbledError(f"{key} is not a whole number")
    return value


def moment(found: Json, key: str) -> datetime:
    """A UNIX time as UTC. Raises GarbledError."""
    try:
        return datetime.fromtimestamp(whole(found, key), UTC)
    except (OverflowError, OSError, ValueError):
        raise GarbledError(f"{key} is not a time") from None


def _optional(found: Json, key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
