"""How a payment is asked of Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from payments.providers.adapters.stripe.amounts import to_stripe
from payments.providers.adapters.stripe.reading import REFERENCE
from payments.providers.base import CreatePayment

EXPAND: Final = ["latest_charge.balance_transaction", "payment_method"]

_METADATA_MAX: Final = 50


def create_params(request: CreatePayment, default_return_url: str) -> dict[str, object]:
    """The parameters of a PaymentIntent that is confirmed at once."""
    params: dict[str, object] = {
        "amount": to_stripe(request.amount_minor, request.currency),
        "currency": request.currency.lower(),
        "capture_method": request.capture_method.value,
        "payment_method_types": ["card"],
        "confirm": True,
        "metadata": {**_fitting(request.metadata), REFERENCE: request.reference},
        "expand": EXPAND,
    }
    customer, _, method = request.source.rpartition("/")
    if method.startswith("tok_"):
        params["payment_method_data"] = {"type": "card", "card": {"token": method}}
    else:
        params["payment_method"] = method
    if customer:
        params["customer"] = customer
    if request.off_session:
        params["off_session"] = True
    elif return_url := request.return_url or default_return_url:
        # With it the challenge is a page to visit, without it a call of Stripe's script that our
        # callers cannot make. Stripe refuses one for a payer who is away.
        params["return_url"] = return_url
    if request.description:
        params["description"] = request.description
    if request.statement_descriptor:
        # Cards take a suffix only; the account's own name comes before it.
        params["statement_descriptor_suffix"] = request.statement_descriptor
    return params


def _fitting(metadata: Mapping[str, str]) -> dict[str, str]:
    """As much of the merchant's metadata as Stripe takes beside our reference (50 keys in all)."""
    return dict(islice(metadata.items(), _METADATA_MAX - 1))
