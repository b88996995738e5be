"""What each published test card does, and what the sandbox's bank does of itself afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.db import Scope, ScopeError, tenant_atomic
from payments.providers.adapters.sandbox import server
from payments.providers.adapters.sandbox.cards import TEST_CARDS
from payments.providers.base import (
    CapturePayment,
    EventKind,
    LineKind,
    ProviderAnswer,
    ProviderError,
    Status,
)
from tests.providers.asking import Payments, capture_of, refund_of
from tests.providers.rigs import SandboxRig


@pytest.fixture
def rig(admin_dsn: str) -> SandboxRig:
    return SandboxRig(admin_dsn)


@pytest.fixture
def payments(rig: SandboxRig) -> Payments:
    return Payments(rig)


def pay(rig: SandboxRig, payments: Payments, number: str, **changes: Any) -> ProviderAnswer:
    return rig.adapter.create_payment(payments.request(source=rig.card(number), **changes))


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", "visa"),
        ("5555555555554444", "mastercard"),
        ("378282246310005", "amex"),
        ("4000000000000259", "visa"),
        ("4000000000000077", "visa"),
    ],
)
def test_these_cards_are_charged(
    rig: SandboxRig, payments: Payments, number: str, brand: str
) -> None:
    answer = pay(rig, payments, number)
    assert (answer.status, answer.amount_captured_minor) == (Status.SUCCEEDED, 1999)
    assert answer.card is not None
    assert (answer.card.brand, answer.card.last4) == (brand, number[-4:])
    assert answer.fee_minor == 30


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        ("4000000000000002", "card_declined", "Your card was declined."),
        ("4000000000009995", "insufficient_funds", "Your card has insufficient funds."),
        ("4000000000009987", "lost_card", "Your card was declined."),
        ("4000000000009979", "stolen_card", "Your card was declined."),
        ("4000000000000069", "expired_card", "Your card has expired."),
        ("4000000000000127", "incorrect_cvc", "Your card's security code is incorrect."),
    ],
)
def test_these_cards_are_declined(
    rig: SandboxRig, payments: Payments, number: str, code: str, message: str
) -> None:
    answer = pay(rig, payments, number)
    assert answer.status is Status.FAILED
    assert answer.decline is not None
    assert (answer.decline.code, answer.decline.message) == (code, message)
    assert answer.amount_captured_minor == 0


def test_every_published_number_has_its_check_digit() -> None:
    from core.pan import luhn_valid

    assert all(luhn_valid(number) for number in TEST_CARDS)


def test_a_payer_who_is_away_can_not_answer_a_challenge(
    rig: SandboxRig, payments: Payments
) -> None:
    answer = pay(rig, payments, "4000000000003220", off_session=True)
    assert answer.status is Status.FAILED
    assert answer.decline is not None
    assert answer.decline.code == "authentication_required"


def test_a_challenge_keeps_its_first_answer(rig: SandboxRig, payments: Payments) -> None:
    answer = pay(rig, payments, "4000000000003220")
    rig.answer_challenge(answer, passed=False)
    rig.answer_challenge(answer, passed=True)
    assert payments.status(answer.reference).status is Status.FAILED


def test_a_processing_payment_settles_when_it_is_asked_about(
    rig: SandboxRig, payments: Payments, settings: Settings
) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 3600
    waiting = pay(rig, payments, "4000000000000119")
    assert waiting.status is Status.PENDING
    assert payments.status(waiting.reference).status is Status.PENDING

    settings.SANDBOX_SETTLE_AFTER_S = 0
    due = pay(rig, payments, "4000000000000119")
    assert due.status is Status.PENDING
    settled = payments.status(due.reference)
    assert (settled.status, settled.amount_captured_minor) == (Status.SUCCEEDED, 1999)


def test_a_processing_payment_settles_by_itself_and_says_so_once(
    rig: SandboxRig, payments: Payments, settings: Settings
) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 0
    waiting = pay(rig, payments, "4000000000000119")
    events = server.claim_events(limit=10, account_id=rig.account_id)
    assert [event["event"]["type"] for event in events] == ["payment.captured"]  # type: ignore[index]
    assert server.claim_events(limit=10, account_id=rig.account_id) == []
    assert payments.status(waiting.reference).status is Status.SUCCEEDED


def test_a_disputed_card_sends_a_dispute_after_the_capture(
    rig: SandboxRig, payments: Payments, settings: Settings
) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 0
    done = pay(rig, payments, "4000000000000259")
    [leased] = server.claim_events(limit=10, account_id=rig.account_id)
    event = rig.adapter.parse_webhook_event(json.dumps(leased["event"]).encode())
    assert (event.kind, event.provider_id) == (EventKind.DISPUTE, done.provider_id)
    assert event.dispute is not None
    assert (event.dispute.amount_minor, event.dispute.status) == (1999, "needs_response")
    assert event.reference == done.reference


@pytest.mark.parametrize(("refunded", "disputed"), [(700, 1299), (1999, 0)])
def test_what_was_refunded_is_not_disputed_too(
    rig: SandboxRig, payments: Payments, settings: Settings, refunded: int, disputed: int
) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 3600
    done = pay(rig, payments, "4000000000000259")
    rig.adapter.refund_payment(refund_of(done, refunded))
    rig.let_pass(3600)

    notices = server.claim_events(limit=10, account_id=rig.account_id)
    events = [
        rig.adapter.parse_webhook_event(json.dumps(leased["event"]).encode()) for leased in notices
    ]

    assert [event.dispute.amount_minor for event in events if event.dispute] == [
        amount for amount in (disputed,) if amount
    ]
    now = datetime.now(UTC)
    page = rig.adapter.list_settlement_lines(since=now - timedelta(minutes=5), until=now)
    taken = [line.gross_minor for line in page.lines if line.kind is LineKind.DISPUTE]
    assert taken == [-amount for amount in (disputed,) if amount]


def test_the_card_that_times_out_after_charging_has_charged_once(
    rig: SandboxRig, payments: Payments
) -> None:
    request = payments.request(source=rig.card("4000000000005043"))
    assert rig.adapter.create_payment(request).status is Status.UNKNOWN
    assert payments.status(request.reference).amount_captured_minor == 1999
    assert rig.adapter.create_payment(request).status is Status.SUCCEEDED
    assert rig.charges(request.reference) == 1


def test_the_card_that_times_out_before_charging_never_charges(
    rig: SandboxRig, payments: Payments
) -> None:
    request = payments.request(source=rig.card("4000000000004087"))
    for _ in range(2):
        assert rig.adapter.create_payment(request).status is Status.UNKNOWN
        assert not payments.status(request.reference).found
    assert rig.charges(request.reference) == 0


def test_a_payment_is_one_statement_and_survives_the_caller(
    rig: SandboxRig, payments: Payments
) -> None:
    request = payments.request()
    with CaptureQueriesContext(connection) as queries:
        rig.adapter.create_payment(request)
    assert len(queries) == 1
    assert rig.charges(request.reference) == 1


def test_the_bank_is_not_called_inside_a_transaction(rig: SandboxRig, payments: Payments) -> None:
    request = payments.request()
    with pytest.raises(ScopeError), tenant_atomic(Scope.worker()):
        rig.adapter.create_payment(request)
    assert rig.charges(request.reference) == 0


def test_nobody_else_reads_the_banks_tables() -> None:
    for scope in (Scope.merchant(uuid.uuid4()), Scope.reseller(uuid.uuid4()), Scope.worker()):
        for table in ("sandboxsource", "sandboxcharge", "sandboxrefund", "sandboxevent"):
            with (
                pytest.raises(Exception, match="permission denied"),
                tenant_atomic(scope),
                connection.cursor() as cursor,
            ):
                cursor.execute(f"select * from providers_{table}")


def test_a_merchant_can_not_act_as_the_bank() -> None:
    with (
        pytest.raises(Exception, match="permission denied"),
        tenant_atomic(Scope.merchant(uuid.uuid4())),
        connection.cursor() as cursor,
    ):
        cursor.execute("select sandbox_challenge(%s, true)", [uuid.uuid4()])


def test_a_broken_database_connection_is_an_unknown(
    rig: SandboxRig, payments: Payments, admin_dsn: str
) -> None:
    request = payments.request()
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
    assert rig.adapter.create_payment(request).status is Status.UNKNOWN
    assert not payments.status(request.reference).found
    assert rig.adapter.create_payment(request).status is Status.SUCCEEDED


# Races


def together(calls: int, work: Callable[[int], Any]) -> list[Any]:
    """The same call from several connections at once; errors come back as values."""

    def run(index: int) -> Any:
        try:
            return work(index)
        except ProviderError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(run, range(calls)))


def test_fifty_at_once_under_one_key_charge_once(rig: SandboxRig, payments: Payments) -> None:
    request = payments.request()
    answers = together(50, lambda _: rig.adapter.create_payment(request))
    assert {answer.provider_id for answer in answers} == {
        payments.status(request.reference).provider_id
    }
    assert rig.charges(request.reference) == 1


def test_a_token_is_used_once_whoever_comes_first(rig: SandboxRig, payments: Payments) -> None:
    request = payments.request()
    answers = together(
        8,
        lambda i: rig.adapter.create_payment(
            replace(request, idempotency_key=f"{i}{request}"[:200])
        ),
    )
    refused = [answer for answer in answers if isinstance(answer, ProviderError)]
    assert len(refused) == 7
    assert {error.code for error in refused} == {"token_already_used"}
    assert rig.charges(request.reference) == 1


def test_refunds_at_once_never_exceed_the_capture(rig: SandboxRig, payments: Payments) -> None:
    done = payments.captured()
    answers = together(8, lambda _: rig.adapter.refund_payment(refund_of(done, 500)))
    refused = [answer for answer in answers if isinstance(answer, ProviderError)]
    assert len(refused) == 5
    assert rig.refunds(done.provider_id) == 3
    assert payments.status(done.reference).amount_refunded_minor == 1500


def test_captures_at_once_capture_once(rig: SandboxRig, payments: Payments) -> None:
    held = payments.authorized()
    requests: list[CapturePayment] = [capture_of(held, 100 + index) for index in range(6)]
    answers = together(6, lambda i: rig.adapter.capture_payment(requests[i]))
    assert len([answer for answer in answers if isinstance(answer, ProviderError)]) == 5
    [captured] = [answer for answer in answers if isinstance(answer, ProviderAnswer)]
    truth = payments.status(held.reference)
    assert truth.amount_captured_minor == captured.amount_captured_minor


def test_sweeps_at_once_lease_each_event_once(
    rig: SandboxRig, payments: Payments, settings: Settings
) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 0
    for _ in range(10):
        pay(rig, payments, "4000000000000119")
    taken = together(4, lambda _: server.claim_events(limit=5, account_id=rig.account_id))
    rows = [event["row"] for batch in taken for event in batch]
    assert len(rows) == len(set(rows))
