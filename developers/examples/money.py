"""Examples of money in and of the books."""

from __future__ import annotations

from typing import Final

from developers.examples.shapes import (
    ACCOUNT,
    CARD,
    CUSTOMER,
    EXPANDED,
    INTENT,
    LATER,
    METHOD,
    REFUND,
    SESSION,
    STATEMENT_LINE,
    TRANSFER,
    Example,
    page,
    payment,
    public_id,
)

MONEY: Final[dict[str, Example]] = {
    "tokens_create": Example(
        "A test card",
        {
            "card": {
                "number": "4242 4242 4242 4242",
                "exp_month": 12,
                "exp_year": 2034,
                "cvc": "123",
            }
        },
        {
            "id": public_id("tok"),
            "object": "token",
            "card": CARD,
            "livemode": False,
            "expires_at": "2026-11-21T09:45:00.000Z",
        },
    ),
    "payments_create": Example(
        "Create, confirm and capture",
        {
            "amount": 4890,
            "currency": "EUR",
            "payment_method_token": public_id("tok"),
            "confirm": True,
            "return_url": "https://shop.example/thanks",
            "reference": "order-1042",
            "metadata": {"cart": "8841"},
        },
        payment(),
    ),
    "payments_list": Example("One page", None, page(payment())),
    "payments_retrieve": Example("With everything expanded", None, {**payment(), **EXPANDED}),
    "payments_confirm": Example(
        "The payer must act",
        {"payment_method_token": public_id("tok"), "return_url": "https://shop.example/thanks"},
        payment(
            status="requires_action",
            amount_captured=0,
            fee=0,
            net=0,
            completed_at=None,
            next_action={
                "type": "redirect",
                "url": "https://merchantry.example/sandbox/3ds/019aa28b-8ec5-7035-af94-c0a83d8613b5",
            },
        ),
    ),
    "payments_capture": Example(
        "A part",
        {"amount": 4000},
        payment(capture_method="manual", amount_captured=4000, fee=146, net=3854),
    ),
    "payments_cancel": Example(
        "Release an authorization",
        {},
        payment(
            status="canceled",
            capture_method="manual",
            amount_captured=0,
            fee=0,
            net=0,
            completed_at=None,
        ),
    ),
    "refunds_create": Example(
        "A part",
        {"payment": public_id("pay"), "amount": 1500, "reason": "requested_by_customer"},
        REFUND,
    ),
    "refunds_list": Example("One page", None, page(REFUND)),
    "refunds_retrieve": Example("A refund", None, REFUND),
    "checkout_sessions_create": Example(
        "A page for one order",
        {
            "amount": 4890,
            "currency": "EUR",
            "description": "Two tickets",
            "reference": "order-1042",
            "success_url": "https://shop.example/thanks",
            "cancel_url": "https://shop.example/cart",
        },
        SESSION,
    ),
    "checkout_sessions_list": Example("One page", None, page({**SESSION, "url": None})),
    "balance_retrieve": Example(
        "Two currencies",
        None,
        {
            "object": "balance",
            "livemode": False,
            "balances": [
                {"currency": "EUR", "pending": 4718, "available": 120050, "reserved": 0},
                {"currency": "USD", "pending": 0, "available": 8800, "reserved": 2500},
            ],
        },
    ),
    "customers_create": Example(
        "A customer",
        {"email": "ada@example.com", "name": "Ada Lovelace", "reference": "customer-17"},
        CUSTOMER,
    ),
    "customers_list": Example("One page", None, page(CUSTOMER)),
    "customers_retrieve": Example("A customer", None, CUSTOMER),
    "customers_update": Example(
        "A new name", {"name": "Ada King"}, {**CUSTOMER, "name": "Ada King"}
    ),
    "payment_methods_create": Example(
        "Save a card", {"customer": public_id("cus"), "token": public_id("tok")}, METHOD
    ),
    "payment_methods_list": Example("One page", None, page(METHOD)),
    "payment_methods_retrieve": Example("A saved card", None, METHOD),
    "checkout_sessions_retrieve": Example(
        "After it was paid",
        None,
        {
            **SESSION,
            "url": None,
            "status": "complete",
            "payment": public_id("pay"),
            "completed_at": LATER,
            "payments": [public_id("pay")],
        },
    ),
    "checkout_sessions_expire": Example(
        "It can no longer be paid",
        {},
        {**SESSION, "url": None, "status": "expired", "canceled_at": LATER},
    ),
    "customers_delete": Example(
        "What is left",
        None,
        {**CUSTOMER, "email": None, "name": None, "reference": None},
    ),
    "payment_methods_detach": Example("A saved card", None, METHOD),
    "ledger_accounts_list": Example("One page", None, page(ACCOUNT)),
    "ledger_accounts_retrieve": Example("What is not yet available", None, ACCOUNT),
    "ledger_accounts_statement": Example("The fee of a payment", None, page(STATEMENT_LINE)),
    "ledger_transfers_list": Example("One page", None, page(TRANSFER)),
    "ledger_transfers_retrieve": Example("A payment's", None, TRANSFER),
    "intents_create": Example(
        "A payment",
        {
            "merchant": public_id("mer"),
            "operation": "payment",
            "amount": 4890,
            "currency": "EUR",
            "payment_method_token": public_id("tok"),
        },
        INTENT,
    ),
    "intents_retrieve": Example("A settled payment", None, INTENT),
}
