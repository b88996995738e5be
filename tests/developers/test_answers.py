"""The check that all answers of the API pass in the tests fails for each kind of drift."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse

from core.shapes import example
from developers.document import document
from payments.acceptance.shapes import PaymentOut
from tests.answers import check_answer, complaints, validator

PAYMENT = example(PaymentOut)
PATH = f"/v1/payments/{PAYMENT['id']}"


def answer(data: Any, *, status: int = 200) -> HttpResponse:
    meta = {"requestId": "req_12345678", "timestamp": PAYMENT["created_at"]}
    body = {"success": True, "data": data, "meta": meta}
    return HttpResponse(json.dumps(body), content_type="application/json", status=status)


def test_an_answer_as_declared_passes() -> None:
    check_answer("GET", PATH, answer(PAYMENT))


@pytest.mark.parametrize(
    ("drift", "wrong"),
    [
        ({"channel": "gateway"}, 'data.channel: "gateway" is not one of'),
        ({"status": "paid"}, 'data.status: "paid" is not one of'),
        ({"amount": "4890"}, 'data.amount: "4890" is not of type "integer"'),
        ({"merchant": "pay_01kah8q3v5e0trz5b2m8x1c9dn"}, "data.merchant: "),
        ({"created_at": "yesterday"}, 'data.created_at: "yesterday" is not a "date-time"'),
        ({"fee_minor": 1}, "data: Additional properties are not allowed ('fee_minor' was"),
    ],
)
def test_a_drift_fails(drift: dict[str, Any], wrong: str) -> None:
    with pytest.raises(AssertionError) as failed:
        check_answer("GET", PATH, answer({**PAYMENT, **drift}))
    assert wrong in str(failed.value)


def test_a_missing_field_fails() -> None:
    less = {name: value for name, value in PAYMENT.items() if name != "net"}
    with pytest.raises(AssertionError, match='data: "net" is a required property'):
        check_answer("GET", PATH, answer(less))


def test_an_expanded_line_of_another_account_fails() -> None:
    media = document()["paths"]["/v1/payments/{payment_id}"]["get"]["responses"]["200"]
    [shown] = media["content"]["application/json"]["examples"].values()
    line = shown["value"]["data"]["ledger"][0]
    found = validator({"$ref": "#/components/schemas/LedgerLine"})
    assert complaints(found, line) == []
    [wrong] = complaints(found, {**line, "credit_account": "merchant:pending"})
    assert wrong.startswith('credit_account: "merchant:pending" is not one of')


def test_what_is_not_documented_is_not_checked() -> None:
    check_answer("GET", "/v1/nothing", answer({"anything": 1}))
