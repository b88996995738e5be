"""Payments over Stripe: PaymentIntents, Refunds and balance transactions.

The SDK never retries by itself: whether a request may be sent again is the saga's decision, and it
sends the same idempotency key. Every payment and refund carries our reference in its metadata.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, cast

import stripe

from payments.providers.adapters.stripe import reading
from payments.providers.adapters.stripe.amounts import to_stripe
from payments.providers.adapters.stripe.asking import EXPAND, create_params
from payments.providers.adapters.stripe.calling import (
    NOTHING_HAPPENED,
    LostError,
    as_json,
    ask,
    error_body,
    looked_through,
    request_options,
    rows_of,
    warm_session,
)
from payments.providers.adapters.stripe.reading import REFERENCE, GarbledError, Json
from payments.providers.base import (
    UNREACHABLE,
    WEBHOOK_TOLERANCE_S,
    AccountConfig,
    Adapter,
    CancelPayment,
    CapturePayment,
    CardDetails,
    CreatePayment,
    Health,
    PayloadInvalid,
    ProviderAnswer,
    ProviderError,
    ProviderEvent,
    RefundAnswer,
    RefundPayment,
    SavedMethod,
    SaveMethod,
    SettlementPage,
    SignatureExpired,
    SignatureInvalid,
    Status,
    header,
)
from payments.providers.declared import Harmless

SIGNATURE_HEADER: Final = "Stripe-Signature"

_CONNECT_TIMEOUT_S: Final = 5
_REFUND_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
# Stripe's clock and ours may differ by so much.
_CLOCKS_APART_S: Final = 300

_HOLDING: Final = ("succeeded", "requires_capture")


class StripeAdapter(Adapter):
    """One Stripe account. Needs the credential ``secret_key``."""

    name: ClassVar[str] = "stripe"
    nothing_happened: ClassVar[tuple[Harmless, ...]] = NOTHING_HAPPENED

    def __init__(self, config: AccountConfig) -> None:
        super().__init__(config)
        base = config.api_base or stripe.DEFAULT_API_BASE
        self._client = stripe.StripeClient(
            config.credentials.get("secret_key", ""),
            base_addresses={"api": base},
            max_network_retries=0,
            http_client=stripe.RequestsClient(
                timeout=(_CONNECT_TIMEOUT_S, config.timeout_s), session=warm_session()
            ),
        )

    def create_payment(self, request: CreatePayment) -> ProviderAnswer:
        params = create_params(request, self.config.return_url)
        intents = self._client.v1.payment_intents

        def send() -> ProviderAnswer:
            options = request_options(request.idempotency_key)
            return _payment(intents.create(cast("Any", params), options))

        return self._payment(request.reference, send)

    def capture_payment(self, request: CapturePayment) -> ProviderAnswer:
        amount = to_stripe(request.amount_minor, request.currency)

        def send() -> ProviderAnswer:
            intent = self._client.v1.payment_intents.capture(
                request.provider_id,
                {"amount_to_capture": amount, "expand": EXPAND},
                request_options(request.idempotency_key),
            )
            return _payment(intent)

        return self._payment(request.reference, send)

    def cancel_payment(self, request: CancelPayment) -> ProviderAnswer:
        def send() -> ProviderAnswer:
            provider_id = request.provider_id or self._find_payment(request.reference)
            if not provider_id:
                raise ProviderError(
                    "Stripe has no payment under this reference.",
                    permanent=True,
                    code="resource_missing",
                )
            intent = self._client.v1.payment_intents.cancel(
                provider_id, {"expand": EXPAND}, request_options(request.idempotency_key)
            )
            return _payment(intent)

        return self._payment(request.reference, send)

    def get_payment_status(
        self, *, reference: str, provider_id: str | None, since: datetime | None = None
    ) -> ProviderAnswer:
        missing = ProviderAnswer(status=Status.UNKNOWN, reference=reference, found=False)

        def send() -> ProviderAnswer:
            known_id = provider_id or self._find_payment(reference, since)
            if not known_id:
                return missing
            return _payment(self._client.v1.payment_intents.retrieve(known_id, {"expand": EXPAND}))

        try:
            return self._payment(reference, send)
        except ProviderError as refused:
            # Bad credentials or a limit say nothing about the payment.
            unknown = ProviderAnswer(status=Status.UNKNOWN, reference=reference)
            return missing if refused.code == "resource_missing" else unknown

    def refund_payment(self, request: RefundPayment) -> RefundAnswer:
        params: dict[str, object] = {
            "payment_intent": request.provider_id,
            "amount": to_stripe(request.amount_minor, request.currency),
            "metadata": {REFERENCE: request.reference},
        }
        if request.reason in _REFUND_REASONS:
            params["reason"] = request.reason

        def send() -> RefundAnswer:
            options = request_options(request.idempotency_key)
            return _refund(self._client.v1.refunds.create(cast("Any", params), options))

        return self._refund(request.reference, send)

    def get_refund_status(
        self, *, reference: str, provider_id: str | None, payment_provider_id: str
    ) -> RefundAnswer:
        missing = RefundAnswer(status=Status.UNKNOWN, reference=reference, found=False)

        def send() -> RefundAnswer:
            if provider_id:
                return _refund(self._client.v1.refunds.retrieve(provider_id))
            params = {"payment_intent": payment_provider_id}
            found = looked_through(self._client.v1.refunds.list, params, reference)
            return reading.read_refund(found[0]) if found else missing

        try:
            return self._refund(reference, send)
        except ProviderError as refused:
            unknown = RefundAnswer(status=Status.UNKNOWN, reference=reference)
            return missing if refused.code == "resource_missing" else unknown

    def save_method(self, request: SaveMethod) -> SavedMethod:
        try:
            return ask(lambda: self._save(request))
        except (LostError, GarbledError) as lost:
            raise ProviderError(
                "Stripe did not say whether the card was saved; send it again.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost
        except stripe.CardError as declined:
            decline = reading.read_decline(error_body(declined))
            raise ProviderError(decline.message, permanent=True, code=decline.code) from declined

    def check_source(self, *, source: str, merchant_key: str = "") -> None:
        method = source.rpartition("/")[2]
        if method.startswith("tok_") and not method[4:5].isdigit():
            # The names of test cards (tok_visa) can be charged, but are no objects to be read.
            return
        try:
            if not method.startswith("tok_"):
                ask(lambda: self._client.v1.payment_methods.retrieve(method))
                return
            token = as_json(ask(lambda: self._client.v1.tokens.retrieve(method)))
        except (LostError, GarbledError) as lost:
            raise ProviderError(
                "Stripe did not say whether the card can be charged.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost
        if token.get("used") is True:
            raise ProviderError(
                "This token was used before. A token is good for one use; make a new one.",
                permanent=True,
                code="token_already_used",
            )

    def verify_webhook_signature(self, raw_body: bytes, headers: Mapping[str, str]) -> None:
        signature = header(headers, SIGNATURE_HEADER)
        matching = next(
            (
                secret
                for secret in self.config.webhook_secrets
                if _signed(raw_body, signature, secret, tolerance_s=None)
            ),
            None,
        )
        if matching is None:
            raise SignatureInvalid(
                "The signature is missing or does not match the body and this account's secret."
            )
        if not _signed(raw_body, signature, matching, tolerance_s=WEBHOOK_TOLERANCE_S):
            raise SignatureExpired(
                f"The event was signed more than {WEBHOOK_TOLERANCE_S} seconds ago; send it again."
            )

    def parse_webhook_event(self, raw_body: bytes) -> ProviderEvent:
        try:
            return reading.read_event(reading.mapping(json.loads(raw_body)))
        except (ValueError, RecursionError, GarbledError) as error:
            raise PayloadInvalid(f"This is not an event of Stripe: {error}") from error

    def list_settlement_lines(
        self, *, since: datetime, until: datetime, cursor: str = "", limit: int = 100
    ) -> SettlementPage:
        params: dict[str, object] = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": limit,
            "expand": ["data.source"],
        }
        if cursor:
            params["starting_after"] = cursor

        def send() -> SettlementPage:
            listed = self._client.v1.balance_transactions.list(cast("Any", params))
            lines = tuple(reading.read_line(row) for row in rows_of(listed))
            more = as_json(listed).get("has_more") is True and bool(lines)
            return SettlementPage(lines=lines, next_cursor=lines[-1].line_id if more else "")

        try:
            return ask(send)
        except (LostError, GarbledError) as lost:
            raise ProviderError(
                "Stripe did not send its balance transactions; ask again.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost

    def health(self) -> Health:
        started = time.monotonic()
        try:
            ask(self._client.v1.balance.retrieve)
        except ProviderError as refused:
            return Health(ok=False, latency_ms=_elapsed_ms(started), message=refused.message)
        except LostError:
            message = "Stripe did not answer."
            return Health(ok=False, latency_ms=_elapsed_ms(started), message=message)
        return Health(ok=True, latency_ms=_elapsed_ms(started))

    def _payment(self, reference: str, send: Callable[[], ProviderAnswer]) -> ProviderAnswer:
        try:
            return ask(send)
        except stripe.CardError as declined:
            return _declined(reference, declined)
        except (LostError, GarbledError):
            return ProviderAnswer(status=Status.UNKNOWN, reference=reference)

    def _refund(self, reference: str, send: Callable[[], RefundAnswer]) -> RefundAnswer:
        try:
            return ask(send)
        except stripe.CardError as declined:
            failure = reading.read_decline(error_body(declined))
            return RefundAnswer(status=Status.FAILED, reference=reference, failure=failure)
        except (LostError, GarbledError):
            return RefundAnswer(status=Status.UNKNOWN, reference=reference)

    def _find_payment(self, reference: str, since: datetime | None = None) -> str:
        """The id of the payment that carries our reference, or an empty text.

        Search lags behind by a minute, in bad hours by more, so the payments are looked through as
        well. Of several, one that holds money wins.
        """
        quoted = reference.replace("\\", "\\\\").replace("'", "\\'")
        intents = self._client.v1.payment_intents
        found: list[Json] = []
        try:
            query = f"metadata['{REFERENCE}']:'{quoted}'"
            found = rows_of(intents.search({"query": query, "limit": 10}))
        except stripe.InvalidRequestError:
            # Search is not offered to accounts in every country.
            found = []
        if not found:
            created = {"gte": int(since.timestamp()) - _CLOCKS_APART_S} if since else None
            found = looked_through(intents.list, {"created": created}, reference)
        holding = [each for each in found if each.get("status") in _HOLDING]
        best = next(iter(holding or found), None)
        return reading.text(best, "id") if best else ""

    def _save(self, request: SaveMethod) -> SavedMethod:
        methods = self._client.v1.payment_methods
        key = request.idempotency_key
        customer = request.customer
        if not customer:
            # Nothing of this attempt's own goes along: a retry must say the same under this key.
            created = self._client.v1.customers.create({}, request_options(f"{key}:customer"))
            customer = reading.text(as_json(created), "id")
        method = request.token
        if not method.startswith("pm_"):
            made = methods.create(
                {"type": "card", "card": {"token": request.token}}, request_options(f"{key}:method")
            )
            method = reading.text(as_json(made), "id")
        attached = as_json(
            methods.attach(method, {"customer": customer}, request_options(f"{key}:attach"))
        )
        # Stripe charges an attached method only together with its customer.
        return SavedMethod(
            method=f"{customer}/{reading.text(attached, 'id')}",
            customer=customer,
            card=_saved_card(attached),
        )


def _declined(reference: str, declined: stripe.CardError) -> ProviderAnswer:
    """A decline. Stripe sends the failed payment along; without it only the reason is known."""
    body = error_body(declined)
    decline = reading.read_decline(body)
    try:
        answer = reading.read_payment(reading.mapping(body.get("payment_intent")))
    except GarbledError:
        return ProviderAnswer(status=Status.FAILED, reference=reference, decline=decline)
    if answer.status is Status.SUCCEEDED:
        # The error is about a call that changed nothing: the payment is as it was.
        return answer
    return ProviderAnswer(
        status=Status.FAILED,
        provider_id=answer.provider_id,
        reference=answer.reference or reference,
        amount_minor=answer.amount_minor,
        currency=answer.currency,
        canceled=answer.canceled,
        decline=decline,
        card=answer.card,
        raw=answer.raw,
    )


def _payment(intent: object) -> ProviderAnswer:
    return reading.read_payment(as_json(intent))


def _refund(refund: object) -> RefundAnswer:
    return reading.read_refund(as_json(refund))


def _saved_card(method: Json) -> CardDetails | None:
    card = reading.child(method, "card")
    if not card:
        return None
    return CardDetails(
        brand=reading.text(card, "brand"),
        last4=reading.text(card, "last4"),
        exp_month=reading.whole(card, "exp_month"),
        exp_year=reading.whole(card, "exp_year"),
        fingerprint=str(card.get("fingerprint") or ""),
        funding=str(card.get("funding") or "unknown"),
        country=str(card.get("country") or ""),
    )


def _signed(raw_body: bytes, signature: str, secret: str, *, tolerance_s: int | None) -> bool:
    try:
        stripe.WebhookSignature.verify_header(raw_body, signature, secret, tolerance_s)
    except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
        # The SDK reads the body as UTF-8 and compares ASCII only.
        return False
    return True


def _elapsed_ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
