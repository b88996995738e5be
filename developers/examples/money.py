"""Examples of money in and of the books."""

from __future__ import annotations

from typing import Final

from core.shapes import LATER, example, example_id
from developers.examples.example import Example
from ledger.shapes import (
    AccountList,
    AccountOut,
    BalanceOut,
    CurrencyBalanceOut,
    Statement,
    TransferList,
    TransferOut,
)
from payments.acceptance.shapes import (
    AttemptOut,
    CustomerOut,
    CustomerPage,
    HistoryLineOut,
    LedgerLineOut,
    PaymentMethodOut,
    PaymentMethodPage,
    PaymentOut,
    PaymentPage,
    RefundOut,
    RefundPage,
    TokenOut,
)
from payments.checkout.shapes import SessionOut, SessionPage
from payments.intents.shapes import IntentOut, NextActionOut

#: A payment of which nothing was captured.
NOTHING_TAKEN: Final = {
    "amount_captured": 0,
    "fee": 0,
    "net": 0,
    "completed_at": None,
    "available_at": None,
}
#: What is left of a customer that was deleted.
FORGOTTEN: Final = {"email": None, "name": None, "reference": None}
#: A session that was paid.
PAID: Final = {"status": "complete", "payment": example_id("pay"), "completed_at": LATER}

_TOKEN: Final = example_id("tok")
_RETURN_URL: Final = "https://shop.example/thanks"

MONEY: Final[dict[str, Example]] = {
    "tokens_create": Example(
        "A test card",
        example(TokenOut),
        request={
            "card": {
                "number": "4242 4242 4242 4242",
                "exp_month": 12,
                "exp_year": 2034,
                "cvc": "123",
            }
        },
    ),
    "payments_create": Example(
        "Create, confirm and capture",
        example(PaymentOut),
        request={
            "amount": 4890,
            "currency": "EUR",
            "payment_method_token": _TOKEN,
            "confirm": True,
            "return_url": _RETURN_URL,
            "reference": "order-1042",
            "metadata": {"cart": "8841"},
        },
    ),
    "payments_list": Example("One page", example(PaymentPage)),
    "payments_retrieve": Example(
        "With everything expanded",
        example(
            PaymentOut,
            events=[example(HistoryLineOut)],
            attempts=[example(AttemptOut)],
            ledger=[example(LedgerLineOut)],
        ),
    ),
    "payments_update": Example(
        "Another reference",
        example(PaymentOut, reference="order-1043"),
        request={"reference": "order-1043"},
    ),
    "payments_confirm": Example(
        "The payer must act",
        example(
            PaymentOut,
            **NOTHING_TAKEN,
            status="requires_action",
            next_action=example(NextActionOut),
        ),
        request={"payment_method_token": _TOKEN, "return_url": _RETURN_URL},
    ),
    "payments_capture": Example(
        "A part",
        example(PaymentOut, capture_method="manual", amount_captured=4000, fee=146, net=3854),
        request={"amount": 4000},
    ),
    "payments_cancel": Example(
        "Release an authorization",
        example(PaymentOut, **NOTHING_TAKEN, status="canceled", capture_method="manual"),
        request={},
    ),
    "refunds_create": Example(
        "A part",
        example(RefundOut),
        request={
            "payment": example_id("pay"),
            "amount": 1500,
            "reason": "requested_by_customer",
        },
    ),
    "refunds_list": Example("One page", example(RefundPage)),
    "refunds_retrieve": Example("A refund", example(RefundOut)),
    "checkout_sessions_create": Example(
        "A page for one order",
        example(SessionOut, url=f"https://merchantry.example/pay/{example_id('cs')}/9f2c6b1e"),
        request={
            "amount": 4890,
            "currency": "EUR",
            "description": "Two tickets",
            "reference": "order-1042",
            "success_url": _RETURN_URL,
            "cancel_url": "https://shop.example/cart",
        },
    ),
    "checkout_sessions_list": Example("One page", example(SessionPage)),
    "checkout_sessions_retrieve": Example(
        "After it was paid", example(SessionOut, **PAID, payments=[example_id("pay")])
    ),
    "checkout_sessions_expire": Example(
        "It can no longer be paid",
        example(SessionOut, status="expired", canceled_at=LATER),
        request={},
    ),
    "balance_retrieve": Example(
        "Two currencies",
        example(
            BalanceOut,
            balances=[
                example(CurrencyBalanceOut),
                example(
                    CurrencyBalanceOut, currency="USD", pending=0, available=8800, reserved=2500
                ),
            ],
        ),
    ),
    "customers_create": Example(
        "A customer",
        example(CustomerOut),
        request={
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "reference": "customer-17",
        },
    ),
    "customers_list": Example("One page", example(CustomerPage)),
    "customers_retrieve": Example("A customer", example(CustomerOut)),
    "customers_update": Example(
        "A new name", example(CustomerOut, name="Ada King"), request={"name": "Ada King"}
    ),
    "customers_delete": Example("What is left", example(CustomerOut, **FORGOTTEN)),
    "payment_methods_create": Example(
        "Save a card",
        example(PaymentMethodOut),
        request={"customer": example_id("cus"), "payment_method_token": _TOKEN},
    ),
    "payment_methods_list": Example("One page", example(PaymentMethodPage)),
    "payment_methods_retrieve": Example("A saved card", example(PaymentMethodOut)),
    "payment_methods_detach": Example("A saved card", example(PaymentMethodOut)),
    "ledger_accounts_list": Example("One page", example(AccountList)),
    "ledger_accounts_retrieve": Example("What is not yet available", example(AccountOut)),
    "ledger_accounts_statement": Example("The fee of a payment", example(Statement)),
    "ledger_transfers_list": Example("One page", example(TransferList)),
    "ledger_transfers_retrieve": Example("A payment's", example(TransferOut)),
    "intents_create": Example(
        "A payment",
        example(IntentOut),
        request={
            "merchant": example_id("mer"),
            "operation": "payment",
            "amount": 4890,
            "currency": "EUR",
            "payment_method_token": _TOKEN,
            "metadata": {"tags": ["kyc_verified"]},
        },
    ),
    "intents_retrieve": Example("A settled payment", example(IntentOut)),
}
