"""Rows made without Model.__init__ are those that it would make."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model

from core.ids import new_id
from core.models import AuditRecord, IdempotencyRecord, OutboxEvent, RequestLog
from core.rows import new_row
from payments.acceptance.models import Payment, PaymentEvent
from payments.intents.models import Intent

_MADE_EACH_TIME = {"id", "created_at", "updated_at"}


def _columns(row: Model) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


@pytest.mark.parametrize(
    "model",
    [AuditRecord, IdempotencyRecord, Intent, OutboxEvent, Payment, PaymentEvent, RequestLog],
)
def test_a_row_has_the_defaults_of_its_model(model: type[Model]) -> None:
    made, usual = _columns(new_row(model)), _columns(model())
    assert made.keys() == usual.keys()
    differs = {name for name in made if made[name] != usual[name]}
    assert differs <= _MADE_EACH_TIME
    assert {name: type(made[name]) for name in differs} == {
        name: type(usual[name]) for name in differs
    }


def test_a_row_is_new_and_has_its_own_defaults() -> None:
    first, second = new_row(PaymentEvent), new_row(PaymentEvent)
    assert first._state.adding
    assert first._state.db is None
    assert first.id != second.id
    assert first.data == {}
    assert first.data is not second.data


def test_a_row_takes_the_values_that_are_given() -> None:
    payment = new_id()
    row = new_row(PaymentEvent, payment_id=payment, type="payment.created", id=payment)
    assert (row.id, row.payment_id, row.type) == (payment, payment, "payment.created")


def test_a_column_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"PaymentEvent has no payment$"):
        new_row(PaymentEvent, payment=None)
