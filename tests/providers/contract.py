"""The contract that every provider's adapter keeps. One suite; a rig per provider runs it.

A rig gives the suite an adapter and the other side's view: what really happened there. Subclass
`AdapterContract` in a test module and provide a fixture named ``rig``.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payments.providers.base import (
    SOURCE_REFUSED,
    CancelPayment,
    EventKind,
    LineKind,
    NotTaken,
    PayloadInvalid,
    ProviderError,
    SaveMethod,
    SettlementLine,
    SignatureExpired,
    SignatureInvalid,
    Status,
)
from payments.providers.registry import provider_spec
from tests.providers.asking import Payments, Rig, capture_of, refund_of


class AdapterContract:
    """What every adapter does, whatever the provider."""

    @pytest.fixture
    def payments(self, rig: Rig) -> Payments:
        return Payments(rig)

    # Creating

    def test_an_automatic_payment_is_charged_and_captured(
        self, rig: Rig, payments: Payments
    ) -> None:
        request = payments.request()
        answer = rig.adapter.create_payment(request)
        assert answer.status is Status.SUCCEEDED
        assert answer.reference == request.reference
        assert (answer.amount_minor, answer.amount_captured_minor) == (1999, 1999)
        assert answer.currency == "USD"
        assert not answer.authorized
        assert answer.decline is None
        assert answer.card is not None
        assert (answer.card.brand, answer.card.last4) == ("visa", "4242")
        assert "4242424242424242" not in json.dumps(answer.raw)
        assert rig.charges(request.reference) == 1

    def test_a_decline_is_an_answer_with_its_code(self, rig: Rig, payments: Payments) -> None:
        request = payments.request("declined")
        answer = rig.adapter.create_payment(request)
        assert answer.status is Status.FAILED
        assert answer.decline is not None
        assert answer.decline.code == "card_declined"
        assert answer.decline.message == "Your card was declined."
        assert answer.amount_captured_minor == 0
        assert payments.status(request.reference).status is Status.FAILED

    def test_the_same_key_has_one_effect(self, rig: Rig, payments: Payments) -> None:
        request = payments.request()
        first = rig.adapter.create_payment(request)
        again = rig.adapter.create_payment(request)
        assert again.provider_id == first.provider_id
        assert again.status is Status.SUCCEEDED
        assert rig.charges(request.reference) == 1

    def test_the_same_key_with_another_amount_is_refused(
        self, rig: Rig, payments: Payments
    ) -> None:
        request = payments.request()
        rig.adapter.create_payment(request)
        with pytest.raises(ProviderError) as refused:
            rig.adapter.create_payment(replace(request, amount_minor=5))
        assert refused.value.permanent
        assert refused.value.code == "idempotency_key_reused"
        assert rig.charges(request.reference) == 1
        assert payments.status(request.reference).amount_minor == 1999

    def test_an_unknown_source_is_refused_for_good(self, rig: Rig, payments: Payments) -> None:
        request = payments.request(source="pm_doesnotexist")
        with pytest.raises(ProviderError) as refused:
            rig.adapter.create_payment(request)
        assert refused.value.permanent
        assert rig.charges(request.reference) == 0

    def test_looking_at_a_source_does_not_use_it(self, rig: Rig, payments: Payments) -> None:
        source = rig.token()
        for _ in range(2):
            rig.adapter.check_source(source=source, merchant_key=rig.merchant_key)
        assert payments.captured(source=source).amount_captured_minor == 1999

    def test_looking_at_an_unknown_source_says_so(self, rig: Rig) -> None:
        with pytest.raises(ProviderError) as refused:
            rig.adapter.check_source(source="pm_doesnotexist", merchant_key=rig.merchant_key)
        assert (refused.value.code, refused.value.permanent) == ("resource_missing", True)

    def test_a_look_that_is_lost_says_nothing_of_the_source(self, rig: Rig) -> None:
        source = rig.token()
        rig.fault("lose_request")
        with pytest.raises(ProviderError) as lost:
            rig.adapter.check_source(source=source, merchant_key=rig.merchant_key)
        assert not lost.value.permanent
        assert lost.value.code not in SOURCE_REFUSED

    # Capturing and cancelling

    def test_a_manual_payment_waits_for_its_capture(self, payments: Payments) -> None:
        answer = payments.authorized()
        assert answer.authorized
        assert answer.amount_captured_minor == 0
        assert payments.status(answer.reference).authorized

    def test_a_capture_in_part_releases_the_rest(self, rig: Rig, payments: Payments) -> None:
        held = payments.authorized()
        request = capture_of(held, 1500)
        answer = rig.adapter.capture_payment(request)
        again = rig.adapter.capture_payment(request)
        assert (answer.status, answer.amount_captured_minor) == (Status.SUCCEEDED, 1500)
        assert again.amount_captured_minor == 1500
        truth = payments.status(held.reference)
        assert (truth.amount_captured_minor, truth.amount_refunded_minor) == (1500, 0)

    def test_a_second_capture_is_refused(self, rig: Rig, payments: Payments) -> None:
        held = payments.authorized()
        rig.adapter.capture_payment(capture_of(held, 1000))
        with pytest.raises(ProviderError) as refused:
            rig.adapter.capture_payment(capture_of(held, 999))
        assert refused.value.permanent
        assert payments.status(held.reference).amount_captured_minor == 1000

    def test_a_capture_above_the_authorisation_is_refused(
        self, rig: Rig, payments: Payments
    ) -> None:
        held = payments.authorized()
        with pytest.raises(ProviderError) as refused:
            rig.adapter.capture_payment(capture_of(held, 2000))
        assert refused.value.permanent
        assert payments.status(held.reference).authorized

    def test_a_canceled_authorisation_can_not_be_captured(
        self, rig: Rig, payments: Payments
    ) -> None:
        held = payments.authorized()
        request = CancelPayment(
            reference=held.reference, idempotency_key="c" + held.reference, provider_id=""
        )
        answer = rig.adapter.cancel_payment(request)
        assert (answer.status, answer.canceled) == (Status.FAILED, True)
        assert rig.adapter.cancel_payment(request).canceled
        with pytest.raises(ProviderError):
            rig.adapter.capture_payment(capture_of(held, 1999))
        assert payments.status(held.reference).canceled

    def test_a_captured_payment_can_not_be_canceled(self, rig: Rig, payments: Payments) -> None:
        done = payments.captured()
        with pytest.raises(ProviderError) as refused:
            rig.adapter.cancel_payment(
                CancelPayment(
                    reference=done.reference,
                    idempotency_key="c" + done.reference,
                    provider_id=done.provider_id,
                )
            )
        assert refused.value.permanent
        assert payments.status(done.reference).amount_captured_minor == 1999

    def test_cancelling_what_never_arrived_is_refused(self, rig: Rig) -> None:
        mark = secrets.token_hex(8)
        with pytest.raises(ProviderError) as refused:
            rig.adapter.cancel_payment(CancelPayment(reference=mark, idempotency_key=mark))
        assert refused.value.permanent

    # 3-D Secure

    @pytest.mark.parametrize("return_url", ["https://shop.example/return", ""])
    def test_a_challenge_that_is_passed_ends_in_a_charge(
        self, rig: Rig, payments: Payments, return_url: str
    ) -> None:
        answer = rig.adapter.create_payment(payments.request("challenge", return_url=return_url))
        assert answer.status is Status.REQUIRES_ACTION
        assert answer.next_action_url.startswith(("https://", "http://"))
        assert answer.amount_captured_minor == 0
        rig.answer_challenge(answer, passed=True)
        truth = payments.status(answer.reference)
        assert (truth.status, truth.amount_captured_minor) == (Status.SUCCEEDED, 1999)

    def test_a_challenge_that_is_failed_ends_without_a_charge(
        self, rig: Rig, payments: Payments
    ) -> None:
        answer = rig.adapter.create_payment(payments.request("challenge"))
        rig.answer_challenge(answer, passed=False)
        truth = payments.status(answer.reference)
        assert truth.status is Status.FAILED
        assert truth.decline is not None
        assert truth.decline.code == "payment_intent_authentication_failure"
        assert truth.amount_captured_minor == 0

    def test_a_challenge_may_be_passed_and_the_card_still_declined(
        self, rig: Rig, payments: Payments
    ) -> None:
        answer = rig.adapter.create_payment(payments.request("challenge_declined"))
        assert answer.status is Status.REQUIRES_ACTION
        rig.answer_challenge(answer, passed=True)
        truth = payments.status(answer.reference)
        assert truth.status is Status.FAILED
        assert truth.decline is not None
        assert truth.decline.code == "card_declined"

    def test_an_open_challenge_can_be_canceled(self, rig: Rig, payments: Payments) -> None:
        answer = rig.adapter.create_payment(payments.request("challenge"))
        canceled = rig.adapter.cancel_payment(
            CancelPayment(
                reference=answer.reference,
                idempotency_key="c" + answer.reference,
                provider_id=answer.provider_id,
            )
        )
        assert canceled.canceled

    # Refunds

    def test_refunds_in_parts_and_no_further(self, rig: Rig, payments: Payments) -> None:
        done = payments.captured()
        request = refund_of(done, 999)
        first = rig.adapter.refund_payment(request)
        assert (first.status, first.amount_minor) == (Status.SUCCEEDED, 999)
        assert first.payment_provider_id == done.provider_id
        assert rig.adapter.refund_payment(request).provider_id == first.provider_id
        rig.adapter.refund_payment(refund_of(done, 1000))
        with pytest.raises(ProviderError) as refused:
            rig.adapter.refund_payment(refund_of(done, 1))
        assert refused.value.permanent
        assert rig.refunds(done.provider_id) == 2
        assert payments.status(done.reference).amount_refunded_minor == 1999

    def test_a_refund_is_found_by_our_reference(self, rig: Rig, payments: Payments) -> None:
        done = payments.captured()
        made = rig.adapter.refund_payment(refund_of(done, 700))
        for provider_id in (None, made.provider_id):
            found = rig.adapter.get_refund_status(
                reference=made.reference,
                provider_id=provider_id,
                payment_provider_id=done.provider_id,
            )
            assert (found.provider_id, found.status) == (made.provider_id, Status.SUCCEEDED)

    def test_a_refund_that_never_arrived_is_not_found(self, rig: Rig, payments: Payments) -> None:
        done = payments.captured()
        request = refund_of(done, 700)
        rig.fault("lose_request")
        assert rig.adapter.refund_payment(request).status is Status.UNKNOWN
        found = rig.adapter.get_refund_status(
            reference=request.reference, provider_id=None, payment_provider_id=done.provider_id
        )
        assert (found.status, found.found) == (Status.UNKNOWN, False)
        assert rig.adapter.refund_payment(request).status is Status.SUCCEEDED
        assert rig.refunds(done.provider_id) == 1

    # Broken lines

    @pytest.mark.parametrize("kind", ["lose_answer", "garble", "wrong_shape"])
    def test_an_answer_that_does_not_arrive_is_unknown_and_can_be_asked_for(
        self, rig: Rig, payments: Payments, kind: str
    ) -> None:
        request = payments.request()
        rig.fault(kind)
        lost = rig.adapter.create_payment(request)
        assert (lost.status, lost.found) == (Status.UNKNOWN, True)
        truth = payments.status(request.reference)
        assert (truth.status, truth.amount_captured_minor) == (Status.SUCCEEDED, 1999)
        assert rig.adapter.create_payment(request).provider_id == truth.provider_id
        assert rig.charges(request.reference) == 1

    def test_a_request_that_does_not_arrive_is_unknown_and_can_be_repeated(
        self, rig: Rig, payments: Payments
    ) -> None:
        request = payments.request()
        rig.fault("lose_request")
        assert rig.adapter.create_payment(request).status is Status.UNKNOWN
        truth = payments.status(request.reference)
        assert (truth.status, truth.found) == (Status.UNKNOWN, False)
        assert rig.charges(request.reference) == 0
        assert rig.adapter.create_payment(request).status is Status.SUCCEEDED
        assert rig.charges(request.reference) == 1

    def test_every_error_that_means_nothing_happened_is_in_the_table(self, rig: Rig) -> None:
        table = rig.adapter.nothing_happened
        assert all(each.code and each.message and each.why for each in table)
        assert "provider_rate_limited" in {each.code for each in table}
        # Whatever is not recognised is unknown.
        strange = (TimeoutError(), ConnectionResetError(), ValueError("garbled"), KeyError("id"))
        assert not [each for each in table for error in strange if each.proves(error)]

    def test_a_request_that_was_limited_did_nothing_and_can_be_repeated(
        self, rig: Rig, payments: Payments
    ) -> None:
        request = payments.request()
        rig.fault("rate_limit")
        with pytest.raises(NotTaken) as limited:
            rig.adapter.create_payment(request)
        assert limited.value.code in {each.code for each in rig.adapter.nothing_happened}
        assert not limited.value.permanent
        assert rig.charges(request.reference) == 0
        assert rig.adapter.create_payment(request).status is Status.SUCCEEDED
        assert rig.charges(request.reference) == 1

    @pytest.mark.parametrize("kind", ["lose_answer", "garble"])
    def test_a_capture_without_an_answer_is_unknown_and_happens_once(
        self, rig: Rig, payments: Payments, kind: str
    ) -> None:
        held = payments.authorized()
        request = capture_of(held, 1200)
        rig.fault(kind)
        assert rig.adapter.capture_payment(request).status is Status.UNKNOWN
        assert payments.status(held.reference).amount_captured_minor == 1200
        assert rig.adapter.capture_payment(request).amount_captured_minor == 1200

    @pytest.mark.parametrize("kind", ["lose_answer", "garble"])
    def test_a_refund_without_an_answer_is_unknown_and_happens_once(
        self, rig: Rig, payments: Payments, kind: str
    ) -> None:
        done = payments.captured()
        request = refund_of(done, 300)
        rig.fault(kind)
        assert rig.adapter.refund_payment(request).status is Status.UNKNOWN
        assert rig.adapter.refund_payment(request).status is Status.SUCCEEDED
        assert rig.refunds(done.provider_id) == 1

    def test_a_payment_that_was_never_sent_is_not_found(self, rig: Rig) -> None:
        for provider_id in (None, "pi_doesnotexist"):
            answer = rig.adapter.get_payment_status(
                reference=f"int_{secrets.token_hex(8)}", provider_id=provider_id
            )
            assert (answer.status, answer.found) == (Status.UNKNOWN, False)

    @pytest.mark.parametrize("kind", ["lose_request", "garble"])
    def test_a_question_without_an_answer_says_nothing_about_the_payment(
        self, rig: Rig, payments: Payments, kind: str
    ) -> None:
        done = payments.captured()
        rig.fault(kind)
        answer = rig.adapter.get_payment_status(
            reference=done.reference, provider_id=done.provider_id
        )
        assert (answer.status, answer.found) == (Status.UNKNOWN, True)

    # Saved methods

    def test_a_saved_method_is_charged_many_times(self, rig: Rig, payments: Payments) -> None:
        request = SaveMethod(
            reference="pm_" + secrets.token_hex(8),
            idempotency_key=secrets.token_hex(8),
            token=rig.token(),
            merchant_key=rig.merchant_key,
        )
        saved = rig.adapter.save_method(request)
        again = rig.adapter.save_method(replace(request, reference="another attempt"))
        assert again.method == saved.method
        assert saved.card is not None
        assert saved.card.last4 == "4242"
        for _ in range(2):
            payments.captured(source=saved.method)

    # Webhooks

    def test_an_event_is_verified_and_read(self, rig: Rig, payments: Payments) -> None:
        done = payments.captured()
        raw = json.dumps(rig.event(done)).encode()
        rig.adapter.verify_webhook_signature(raw, rig.sign(raw, timestamp_s=int(time.time())))
        event = rig.adapter.parse_webhook_event(raw)
        assert event.kind is EventKind.PAYMENT
        assert event.event_id
        assert (event.provider_id, event.reference) == (done.provider_id, done.reference)
        assert event.payment is not None
        assert event.payment.status is Status.SUCCEEDED
        assert event.payment.amount_captured_minor == 1999

    def test_the_headers_that_are_kept_with_an_event_prove_it(
        self, rig: Rig, payments: Payments
    ) -> None:
        raw = json.dumps(rig.event(payments.captured())).encode()
        kept = {name.lower() for name in provider_spec(rig.adapter.name).signature_headers}
        sent = rig.sign(raw, timestamp_s=int(time.time())) | {"user-agent": "provider"}
        headers = {name: value for name, value in sent.items() if name.lower() in kept}
        rig.adapter.verify_webhook_signature(raw, headers)

    def test_a_changed_body_or_missing_signature_is_refused(
        self, rig: Rig, payments: Payments
    ) -> None:
        raw = json.dumps(rig.event(payments.captured())).encode()
        headers = rig.sign(raw, timestamp_s=int(time.time()))
        for body, sent in [
            (raw.replace(b"1999", b"1998"), headers),
            (raw + b" ", headers),
            (raw, {}),
            (raw, dict.fromkeys(headers, "t=1,v1=")),
            (raw, dict.fromkeys(headers, "garbage")),
            (b"\xff\xfe" + raw, headers),
        ]:
            with pytest.raises(SignatureInvalid):
                rig.adapter.verify_webhook_signature(body, sent)

    def test_an_event_signed_long_ago_is_refused(self, rig: Rig, payments: Payments) -> None:
        raw = json.dumps(rig.event(payments.captured())).encode()
        headers = rig.sign(raw, timestamp_s=int(time.time()) - 301)
        with pytest.raises(SignatureExpired):
            rig.adapter.verify_webhook_signature(raw, headers)

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"', b"{}", b"\xff", b'{"id": 7}'])
    def test_a_body_that_is_no_event_is_refused(self, rig: Rig, raw: bytes) -> None:
        with pytest.raises(PayloadInvalid):
            rig.adapter.parse_webhook_event(raw)

    # The provider's own books

    def test_the_settlement_report_holds_charges_and_refunds(
        self, rig: Rig, payments: Payments
    ) -> None:
        done = payments.captured()
        refund = rig.adapter.refund_payment(refund_of(done, 300))
        now = datetime.now(UTC)
        found: list[SettlementLine] = []
        cursor = ""
        while True:
            page = rig.adapter.list_settlement_lines(
                since=now - timedelta(minutes=5),
                until=now + timedelta(minutes=5),
                cursor=cursor,
                limit=2,
            )
            found += page.lines
            cursor = page.next_cursor
            if not cursor:
                break
        assert len({line.line_id for line in found}) == len(found)
        charge = next(line for line in found if line.provider_id == done.provider_id)
        back = next(line for line in found if line.provider_id == refund.provider_id)
        assert (charge.kind, charge.gross_minor, charge.currency) == (LineKind.CHARGE, 1999, "USD")
        assert charge.net_minor == 1999 - charge.fee_minor
        assert (back.kind, back.gross_minor) == (LineKind.REFUND, -300)

    def test_health_tells_whether_the_provider_answers(self, rig: Rig) -> None:
        assert rig.adapter.health().ok
        rig.fault("lose_request")
        sick = rig.adapter.health()
        assert not sick.ok
        assert sick.message
