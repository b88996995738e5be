"""How Stripe's objects and errors are read, beyond what localstripe shows."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NoReturn

import pytest
import stripe

from payments.providers.adapters.stripe import calling, reading
from payments.providers.adapters.stripe.amounts import from_stripe, to_stripe
from payments.providers.adapters.stripe.reading import GarbledError
from payments.providers.base import (
    CardDetails,
    Decline,
    DisputeMovement,
    EventKind,
    LineKind,
    NotTaken,
    ProviderError,
    RefundTotal,
    Status,
)
from tests.listening import listening
from tests.providers.asking import Payments, capture_of, refund_of
from tests.providers.rigs import SECRET, StripeRig

INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "succeeded",
    "amount": 1000,
    "amount_received": 1000,
    "currency": "usd",
    "client_secret": "pi_1_secret_x",
    "metadata": {"reference": "int_1"},
    "receipt_email": "payer@example.test",
    "payment_method": "pm_1",
    "latest_charge": {
        "id": "ch_1",
        "amount": 1000,
        "amount_captured": 1000,
        "amount_refunded": 250,
        "balance_transaction": {"id": "txn_1", "fee": 59, "currency": "usd"},
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "last4": "4242",
                "exp_month": 1,
                "exp_year": 2031,
                "fingerprint": "fp",
                "funding": "debit",
                "country": "US",
            }
        },
    },
}


def intent(**changes: Any) -> dict[str, Any]:
    return {**INTENT, **changes}


def test_a_succeeded_intent_is_read_whole() -> None:
    answer = reading.read_payment(INTENT)
    assert answer.status is Status.SUCCEEDED
    assert (answer.provider_id, answer.reference) == ("pi_1", "int_1")
    assert (answer.amount_captured_minor, answer.amount_refunded_minor) == (1000, 250)
    assert answer.fee_minor == 59
    assert answer.card == CardDetails(
        brand="visa",
        last4="4242",
        exp_month=1,
        exp_year=2031,
        fingerprint="fp",
        funding="debit",
        country="US",
    )


def test_what_is_kept_holds_neither_secrets_nor_persons() -> None:
    kept = str(reading.read_payment(INTENT).raw)
    assert "secret" not in kept
    assert "example.test" not in kept


def test_a_fee_in_another_currency_is_not_this_payments_fee() -> None:
    charge = {**INTENT["latest_charge"], "balance_transaction": {"fee": 59, "currency": "eur"}}  # type: ignore[dict-item]
    assert reading.read_payment(intent(latest_charge=charge)).fee_minor is None


def test_the_released_rest_of_a_partial_capture_is_no_refund() -> None:
    charge = {"id": "ch_1", "amount": 1000, "amount_captured": 400, "amount_refunded": 700}
    answer = reading.read_payment(intent(amount_received=400, latest_charge=charge))
    assert (answer.amount_captured_minor, answer.amount_refunded_minor) == (400, 100)


@pytest.mark.parametrize(
    ("state", "status", "canceled"),
    [
        ("requires_confirmation", Status.PENDING, False),
        ("requires_action", Status.REQUIRES_ACTION, False),
        ("processing", Status.PENDING, False),
        ("requires_capture", Status.SUCCEEDED, False),
        ("succeeded", Status.SUCCEEDED, False),
        ("requires_payment_method", Status.PENDING, False),
        ("canceled", Status.FAILED, True),
    ],
)
def test_every_state_has_its_answer(state: str, status: Status, canceled: bool) -> None:
    answer = reading.read_payment(intent(status=state))
    assert (answer.status, answer.canceled) == (status, canceled)
    assert answer.amount_captured_minor == (1000 if state == "succeeded" else 0)


def test_a_payment_without_a_method_has_failed_only_where_an_error_says_so() -> None:
    declined = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "No."}

    fresh = reading.read_payment(intent(status="requires_payment_method", last_payment_error=None))
    failed = reading.read_payment(
        intent(status="requires_payment_method", last_payment_error=declined)
    )

    assert (fresh.status, fresh.decline) == (Status.PENDING, None)
    assert failed.status is Status.FAILED
    assert failed.decline == Decline(code="insufficient_funds", message="No.")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "brand_new_state"},
        {"status": None},
        {"object": "charge"},
        {"amount": "1000"},
        {"amount": True},
        {"amount": 10.5},
        {"amount_received": None},
        {"currency": None},
        {"id": 7},
    ],
)
def test_what_stripe_does_not_document_is_not_guessed_at(changes: dict[str, Any]) -> None:
    with pytest.raises(GarbledError):
        reading.read_payment(intent(**changes))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "insufficient_funds"),
        ({"code": "card_declined", "decline_code": "lost_card"}, "lost_card"),
        ({"code": "card_declined", "decline_code": "generic_decline"}, "card_declined"),
        ({"code": "card_declined"}, "card_declined"),
        ({"code": "expired_card", "decline_code": "expired_card"}, "expired_card"),
        ({"code": "incorrect_cvc"}, "incorrect_cvc"),
        ({"code": "authentication_required"}, "authentication_required"),
        ({"code": "processing_error"}, "processing_error"),
        ({}, "card_declined"),
        ({"code": 7, "decline_code": []}, "card_declined"),
    ],
)
def test_a_decline_carries_its_most_telling_code(error: dict[str, Any], code: str) -> None:
    assert reading.read_decline({**error, "message": "No."}) == Decline(code=code, message="No.")


@pytest.mark.parametrize(
    ("currency", "minor", "theirs"),
    [
        ("USD", 1999, 1999),
        ("JPY", 500, 500),
        ("ISK", 500, 50_000),
        ("UGX", 500, 50_000),
        ("MGA", 50_000, 500),
        ("KWD", 1230, 1230),
    ],
)
def test_amounts_are_counted_as_stripe_counts(currency: str, minor: int, theirs: int) -> None:
    assert to_stripe(minor, currency) == theirs
    assert from_stripe(theirs, currency) == minor


@pytest.mark.parametrize(("currency", "minor"), [("KWD", 1234), ("MGA", 50_001)])
def test_amounts_that_stripe_can_not_take_are_refused(currency: str, minor: int) -> None:
    with pytest.raises(ProviderError) as refused:
        to_stripe(minor, currency)
    assert (refused.value.permanent, refused.value.code) == (True, "invalid_amount")


def event(type_name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": "evt_1", "type": type_name, "created": 1_800_000_000, "data": {"object": data}}


def test_refund_events_name_the_payment_they_undo() -> None:
    refund = {
        "id": "re_1",
        "object": "refund",
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "amount": 300,
        "currency": "usd",
        "payment_intent": "pi_1",
        "metadata": {"reference": "ref_1"},
    }
    read = reading.read_event(event("refund.failed", refund))
    assert (read.kind, read.provider_id, read.reference) == (EventKind.REFUND, "pi_1", "ref_1")
    assert read.refund is not None
    assert read.refund.status is Status.FAILED
    assert read.refund.failure is not None
    assert read.refund.failure.code == "expired_or_canceled_card"


def test_dispute_events_are_read() -> None:
    dispute = {
        "id": "dp_1",
        "amount": 1000,
        "currency": "usd",
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
        "evidence_details": {"due_by": 1_800_600_000},
    }
    read = reading.read_event(event("charge.dispute.created", dispute))
    assert (read.kind, read.provider_id) == (EventKind.DISPUTE, "pi_1")
    assert read.dispute is not None
    assert read.dispute.evidence_due_by is not None
    assert read.dispute.movements == ()


def test_what_stripe_moved_for_a_dispute_is_read() -> None:
    dispute = {
        "id": "dp_1",
        "amount": 1000,
        "currency": "usd",
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "won",
        "balance_transactions": [
            {"id": "txn_1", "amount": -930, "fee": 1500, "currency": "eur"},
            {"id": "txn_2", "amount": 930, "fee": -1500, "currency": "eur"},
        ],
    }
    read = reading.read_event(event("charge.dispute.funds_reinstated", dispute))
    assert read.dispute is not None
    assert read.dispute.occurred_at == read.occurred_at
    assert read.dispute.movements == (
        DisputeMovement(id="txn_1", amount_minor=-930, fee_minor=1500, currency="EUR"),
        DisputeMovement(id="txn_2", amount_minor=930, fee_minor=-1500, currency="EUR"),
    )


def test_the_total_that_was_refunded_is_without_what_was_never_captured() -> None:
    charge = {
        "id": "ch_1",
        "payment_intent": "pi_1",
        "amount": 1000,
        "amount_captured": 600,
        "amount_refunded": 900,
        "currency": "usd",
    }
    read = reading.read_event(event("charge.refunded", charge))
    assert (read.kind, read.provider_id) == (EventKind.REFUND_TOTAL, "pi_1")
    assert read.refunded == RefundTotal(amount_minor=500, currency="USD")


@pytest.mark.parametrize(
    "type_name",
    ["charge.updated", "customer.created", "payout.paid", "payment_intent.created"],
)
def test_other_events_are_ignored_but_known(type_name: str) -> None:
    read = reading.read_event(event(type_name, {"id": "x"}))
    assert (read.kind, read.event_id, read.type) == (EventKind.IGNORED, "evt_1", type_name)


def test_a_dispute_on_the_statement_is_one() -> None:
    line = {
        "id": "txn_2",
        "type": "adjustment",
        "reporting_category": "dispute",
        "amount": -1000,
        "fee": 1500,
        "currency": "usd",
        "created": 1_800_000_000,
        "available_on": 1_800_000_000,
        "source": {"id": "dp_1", "payment_intent": "pi_1"},
    }
    read = reading.read_line(line)
    assert (read.kind, read.net_minor, read.provider_id) == (LineKind.DISPUTE, -2500, "dp_1")


# Over the wire


def _without_search(rig: StripeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe offers search in some countries only."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise stripe.InvalidRequestError("Search is not offered.", param=None)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(type(rig.adapter._client.v1.payment_intents), "search", refuse)


@pytest.mark.parametrize(
    ("said", "seconds"), [("3", 3), ("7200", 3_600), ("9" * 400, 3_600), ("soon", 0), ("", 0)]
)
def test_when_to_come_back_is_an_hour_away_at_most(said: str, seconds: int) -> None:
    def limited() -> NoReturn:
        raise stripe.RateLimitError("", headers={"Retry-After": said})

    with pytest.raises(NotTaken) as refused:
        calling.ask(limited)
    assert refused.value.retry_after_s == seconds


@pytest.fixture
def rig(localstripe: str) -> Iterator[StripeRig]:
    with StripeRig(localstripe) as rig:
        yield rig


@pytest.mark.xdist_group("localstripe")
class TestOverTheWire:
    @pytest.mark.parametrize("kind", ["time_out", "server_error"])
    def test_a_timeout_and_a_500_are_unknown(self, rig: StripeRig, kind: str) -> None:
        payments = Payments(rig)
        request = payments.request()
        rig.fault(kind)
        started = time.monotonic()
        assert rig.adapter.create_payment(request).status is Status.UNKNOWN
        assert time.monotonic() - started < 20, "localstripe hangs for longer"
        assert payments.status(request.reference).status is Status.SUCCEEDED
        assert rig.charges(request.reference) == 1

    @pytest.mark.parametrize(
        ("kind", "permanent", "code"),
        [
            ("rate_limit", False, "provider_rate_limited"),
            ("bad_key", True, "provider_credentials"),
        ],
    )
    def test_what_was_surely_not_done_is_an_error(
        self, rig: StripeRig, kind: str, permanent: bool, code: str
    ) -> None:
        request = Payments(rig).request()
        rig.fault(kind)
        with pytest.raises(ProviderError) as refused:
            rig.adapter.create_payment(request)
        assert (refused.value.permanent, refused.value.code) == (permanent, code)
        assert rig.charges(request.reference) == 0

    @pytest.mark.parametrize("kind", ["rate_limit", "bad_key"])
    def test_a_refused_question_says_nothing_about_the_payment(
        self, rig: StripeRig, kind: str
    ) -> None:
        payments = Payments(rig)
        done = payments.captured()
        rig.fault(kind)
        answer = payments.status(done.reference)
        assert (answer.status, answer.found) == (Status.UNKNOWN, True)

    def test_a_decline_comes_with_the_payment_that_failed(self, rig: StripeRig) -> None:
        answer = rig.adapter.create_payment(Payments(rig).request("declined"))
        assert answer.provider_id.startswith("pi_")
        assert answer.card is not None
        assert answer.card.last4 == "0341"

    def test_a_payment_is_looked_for_page_by_page_where_search_is_not_offered(
        self, rig: StripeRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payments = Payments(rig)
        made = [payments.captured() for _ in range(3)]
        _without_search(rig, monkeypatch)
        monkeypatch.setattr(calling, "_PAGE", 2)
        monkeypatch.setattr(calling, "_PAGES_MAX", 1_000)

        found = [payments.status(each.reference).provider_id for each in made]
        missing = payments.status("int_never_sent")

        assert found == [each.provider_id for each in made]
        assert (missing.status, missing.found) == (Status.UNKNOWN, False)

    def test_a_look_that_did_not_see_everything_does_not_say_that_nothing_is_there(
        self, rig: StripeRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payments = Payments(rig)
        done = payments.captured()
        for _ in range(2):
            payments.captured()
            rig.adapter.refund_payment(refund_of(done, 1))
        _without_search(rig, monkeypatch)
        monkeypatch.setattr(calling, "_PAGE", 1)
        monkeypatch.setattr(calling, "_PAGES_MAX", 1)

        payment = payments.status("int_never_sent")
        refund = rig.adapter.get_refund_status(
            reference="int_never_sent", provider_id=None, payment_provider_id=done.provider_id
        )

        assert (payment.status, payment.found) == (Status.UNKNOWN, True)
        assert (refund.status, refund.found) == (Status.UNKNOWN, True)

    def test_a_look_goes_back_to_when_the_payment_was_made_and_no_further(
        self, rig: StripeRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        intents = type(rig.adapter._client.v1.payment_intents)
        genuine = intents.list

        def listing(service: Any, params: Any, *rest: Any) -> Any:
            asked.append(params.get("created"))
            return genuine(service, params, *rest)

        monkeypatch.setattr(intents, "list", listing)
        since = datetime(2026, 1, 1, tzinfo=UTC)
        rig.adapter.get_payment_status(reference="int_never", provider_id=None, since=since)

        assert asked == [{"gte": int(since.timestamp()) - 300}]

    def test_no_more_metadata_is_sent_than_stripe_takes(self, rig: StripeRig) -> None:
        metadata = {f"key-{number}": "x" for number in range(50)}
        answer = rig.adapter.create_payment(Payments(rig).request(metadata=metadata))
        kept = rig.ask("GET", f"/v1/payment_intents/{answer.provider_id}")["metadata"]
        assert (len(kept), kept["reference"]) == (50, answer.reference)

    def test_nothing_is_sent_twice_by_the_sdk(self) -> None:
        # Given a Stripe that hangs up on everybody
        seen: list[str] = []

        class HangsUp(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append(self.path)
                self.connection.close()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        with (
            listening(HTTPServer(("127.0.0.1", 0), HangsUp)) as address,
            StripeRig(address) as lonely,
        ):
            request = Payments(lonely).request(source="pm_card_visa")
            answer = lonely.adapter.create_payment(request)
        # Then one request went out, and its fate is not known
        assert answer.status is Status.UNKNOWN
        assert seen == ["/v1/payment_intents"]

    def test_where_no_server_listens_nothing_was_sent(self) -> None:
        with StripeRig("http://127.0.0.1:9") as alone:
            request = Payments(alone).request(source="pm_card_visa")
            with pytest.raises(NotTaken) as refused:
                alone.adapter.create_payment(request)
            assert refused.value.code == "provider_unreachable"
            assert not alone.adapter.health().ok

    def test_an_amount_of_another_counting_reaches_stripe_so(self, rig: StripeRig) -> None:
        request = Payments(rig).request(amount_minor=500, currency="ISK")
        answer = rig.adapter.create_payment(request)
        assert (answer.amount_minor, answer.amount_captured_minor) == (500, 500)
        theirs = rig.ask("GET", f"/v1/payment_intents/{answer.provider_id}")
        assert theirs["amount"] == 50_000

    def test_the_providers_own_webhook_is_accepted(self, rig: StripeRig) -> None:
        # Given a registered receiver
        received: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                received.put((self.rfile.read(length), dict(self.headers)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        with listening(HTTPServer(("127.0.0.1", 0), Receiver)) as address:
            hook = {"url": f"{address}/hook", "secret": SECRET}
            response = rig._http.post("/_config/webhooks/contract", json=hook)
            assert response.status_code == 200
            # When a payment is captured
            payments = Payments(rig)
            held = payments.authorized()
            rig.adapter.capture_payment(capture_of(held, 1500))
            # Other tests' events come to the same receiver.
            raw, headers = received.get(timeout=60)
            while held.reference.encode() not in raw:
                raw, headers = received.get(timeout=60)
        # Then its event verifies and says so
        rig.adapter.verify_webhook_signature(raw, headers)
        read = rig.adapter.parse_webhook_event(raw)
        assert (read.kind, read.reference) == (EventKind.PAYMENT, held.reference)
        assert read.payment is not None
        assert read.payment.amount_captured_minor == 1500
