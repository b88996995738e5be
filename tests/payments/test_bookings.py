"""What an intent books, to the cent: amounts, accounts, and what is linked with what."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from core.ids import new_id
from ledger.chart import TransferCode
from ledger.flags import TransferFlags
from payments.intents import bookings
from payments.intents.models import Intent, Operation
from payments.intents.states import IntentState

ACCOUNT = new_id()
POST, VOID, LINKED = TransferFlags.POST_PENDING, TransferFlags.VOID_PENDING, TransferFlags.LINKED


def an_intent(**given: Any) -> Intent:
    """A payment of 100.00 that was captured whole, at 2.90 % and 0.30, a fifth the reseller's."""
    return Intent(
        **{
            "id": new_id(),
            "merchant_id": new_id(),
            "reseller_id": new_id(),
            "livemode": False,
            "currency": "EUR",
            "operation": Operation.PAYMENT,
            "document_id": new_id(),
            "provider_account_id": ACCOUNT,
            "state": IntentState.SETTLED,
            "amount_minor": 10_000,
            "settled_amount_minor": 10_000,
            "fee_bps": 290,
            "fee_fixed_minor": 30,
            "reseller_share_bps": 2_000,
            **given,
        }
    )


@pytest.mark.parametrize(
    ("captured", "bps", "fixed", "share", "fees"),
    [
        (10_000, 290, 30, 2_000, (320, 64)),
        (10_000, 290, 30, 0, (320, 0)),
        (10_000, 290, 30, 10_000, (320, 320)),
        (10_000, 0, 0, 2_000, (0, 0)),
        (1_050, 100, 0, 0, (11, 0)),  # 10.5 is rounded up, before
        (1_050, 100, 30, 5_000, (41, 21)),  # the fixed part; of 41 a half is 20.5
        (1_049, 100, 0, 0, (10, 0)),
    ],
)
def test_the_fee_and_the_resellers_part_of_it(
    captured: int, bps: int, fixed: int, share: int, fees: tuple[int, int]
) -> None:
    intent = an_intent(
        settled_amount_minor=captured, fee_bps=bps, fee_fixed_minor=fixed, reseller_share_bps=share
    )
    assert bookings.fee_of(intent) == fees


@pytest.mark.parametrize(
    ("captured", "fees"), [(32, (31, 6)), (31, (31, 6)), (30, (30, 6)), (1, (1, 0))]
)
def test_a_fee_is_never_more_than_what_was_captured(captured: int, fees: tuple[int, int]) -> None:
    assert bookings.fee_of(an_intent(settled_amount_minor=captured)) == fees


def test_the_fee_is_on_what_was_captured_not_on_what_was_asked_for() -> None:
    assert bookings.fee_of(an_intent(amount_minor=10_000, settled_amount_minor=4_000)) == (146, 29)


Leg = tuple[UUID, UUID | None, UUID | None, int | None, int, TransferFlags]


def booked(intent: Intent) -> list[Leg]:
    return [
        (each.id, each.debit_id, each.credit_id, each.amount_minor, each.code, each.flags)
        for each in bookings.legs(intent, before=IntentState.VALIDATED)
    ]


def test_a_settled_payment_posts_the_capture_and_one_fee_that_is_shared_in_one_linked_set() -> None:
    intent = an_intent(settled_amount_minor=4_000)
    book = bookings.book_of(intent)
    settle, fee, residual = (
        bookings.transfer_id(intent, leg) for leg in ("settle", "fee", "residual")
    )

    assert booked(intent) == [
        (settle, None, None, 4_000, 0, POST | LINKED),
        (fee, book.pending.id, book.platform_fee.id, 146, TransferCode.PLATFORM_FEE, LINKED),
        (
            residual,
            book.platform_fee.id,
            book.reseller_residual.id,
            29,
            TransferCode.RESELLER_RESIDUAL,
            TransferFlags.NONE,
        ),
    ]
    assert (intent.fee_minor, intent.reseller_fee_minor) == (146, 29)


@pytest.mark.parametrize(
    ("price", "fees"),
    [
        ({"reseller_share_bps": 0}, [("fee", 320, TransferFlags.NONE)]),
        (
            {"reseller_share_bps": 10_000},
            [("fee", 320, LINKED), ("residual", 320, TransferFlags.NONE)],
        ),
        ({"fee_bps": 0, "fee_fixed_minor": 0}, []),
    ],
)
def test_a_part_of_nothing_is_not_booked(
    price: dict[str, int], fees: list[tuple[str, int, TransferFlags]]
) -> None:
    intent = an_intent(**price)
    settle, *found = booked(intent)
    assert settle[3:] == (10_000, 0, POST | LINKED if fees else POST)
    assert [(leg[0], leg[3], leg[5]) for leg in found] == [
        (bookings.transfer_id(intent, name), amount, flags) for name, amount, flags in fees
    ]


def test_a_settled_refund_takes_no_fee() -> None:
    intent = an_intent(operation=Operation.REFUND)
    assert booked(intent) == [(bookings.transfer_id(intent, "settle"), None, None, 10_000, 0, POST)]
    assert (intent.fee_minor, intent.reseller_fee_minor) == (0, 0)


@pytest.mark.parametrize("state", [IntentState.FAILED, IntentState.CANCELED, IntentState.EXPIRED])
def test_an_attempt_that_comes_to_nothing_gives_the_reservation_back(state: IntentState) -> None:
    intent = an_intent(state=state)
    [void] = bookings.legs(intent, before=IntentState.AUTHORIZED)
    assert (void.id, void.pending_id, void.flags) == (
        bookings.transfer_id(intent, "void"),
        bookings.transfer_id(intent, "reserve"),
        VOID,
    )


@pytest.mark.parametrize("state", [IntentState.VALIDATED, IntentState.AUTHORIZED])
def test_a_move_that_is_no_end_books_nothing(state: IntentState) -> None:
    assert bookings.legs(an_intent(state=state), before=IntentState.CREATED) == []


@pytest.mark.parametrize("state", [IntentState.SETTLED, IntentState.FAILED])
def test_an_end_is_booked_when_it_is_reached_and_not_again(state: IntentState) -> None:
    assert bookings.legs(an_intent(state=state), before=state) == []


def reserved(intent: Intent, *, refund_from_available: bool | None = None) -> tuple[Any, ...]:
    [spec] = (
        bookings.reservation(intent)
        if refund_from_available is None
        else bookings.refund_reservation(intent, from_available=refund_from_available)
    )
    assert (spec.id, spec.flags) == (
        bookings.transfer_id(intent, "reserve"),
        TransferFlags.PENDING,
    )
    return spec.debit, spec.credit, spec.amount_minor, spec.code


def test_a_payment_reserves_what_the_provider_will_owe() -> None:
    intent = an_intent(settled_amount_minor=0)
    book = bookings.book_of(intent)
    clearing = book.provider_clearing(ACCOUNT)
    assert reserved(intent) == (clearing, book.pending, 10_000, TransferCode.PAYMENT)


def test_a_refund_reserves_where_the_payments_money_is_now() -> None:
    intent = an_intent(operation=Operation.REFUND, settled_amount_minor=0)
    book = bookings.book_of(intent)
    clearing = book.provider_clearing(ACCOUNT)
    before, after = (
        reserved(intent, refund_from_available=available) for available in (False, True)
    )
    assert before == (book.pending, clearing, 10_000, TransferCode.REFUND)
    assert after == (book.available, clearing, 10_000, TransferCode.REFUND)
