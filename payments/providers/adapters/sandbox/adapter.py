"""Our side of the sandbox: requests in, the server's JSON answers out, read with suspicion."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, TypeVar

from payments.providers import signing
from payments.providers.adapters.sandbox.wire import (
    Json,
    SandboxServer,
    ServerRefusedError,
    ServerTimeoutError,
)
from payments.providers.base import (
    UNREACHABLE,
    AccountConfig,
    Adapter,
    CancelPayment,
    CaptureMethod,
    CapturePayment,
    CardDetails,
    CreatePayment,
    Decline,
    DisputeNotice,
    EventKind,
    Health,
    LineKind,
    NotTaken,
    PayloadInvalid,
    ProviderAnswer,
    ProviderError,
    ProviderEvent,
    RefundAnswer,
    RefundPayment,
    SavedMethod,
    SaveMethod,
    SettlementLine,
    SettlementPage,
    Status,
    header,
)
from payments.providers.declared import Harmless

SIGNATURE_HEADER = "Sandbox-Signature"

_REASON_MAX = 60

_STATUS = {
    "requires_action": Status.REQUIRES_ACTION,
    "processing": Status.PENDING,
    "authorized": Status.SUCCEEDED,
    "captured": Status.SUCCEEDED,
    "declined": Status.FAILED,
    "canceled": Status.FAILED,
}

_EVENT_KINDS = {kind.value: kind for kind in EventKind}
_LINE_KINDS = {kind.value: kind for kind in LineKind}

_Answer = TypeVar("_Answer", ProviderAnswer, RefundAnswer)


class GarbledError(Exception):
    """The server sent something that is not what it documents."""


class SandboxAdapter(Adapter):
    """Speaks to a `SandboxServer`, which is the database here and anything else in tests."""

    name: ClassVar[str] = "sandbox"
    is_remote: ClassVar[bool] = False
    nothing_happened: ClassVar[tuple[Harmless, ...]] = (
        Harmless(
            code="provider_rate_limited",
            message="The sandbox is limiting requests at the moment.",
            why="the server refused the request before it looked at it",
            proves=lambda error: isinstance(error, ServerRefusedError) and error.retryable,
        ),
    )

    def __init__(self, config: AccountConfig, server: SandboxServer) -> None:
        super().__init__(config)
        self._server = server

    def create_payment(self, request: CreatePayment) -> ProviderAnswer:
        return self._payment(
            request.reference,
            lambda: self._server.create_payment(
                reference=request.reference,
                idempotency_key=request.idempotency_key,
                amount_minor=request.amount_minor,
                currency=request.currency,
                source=request.source,
                merchant_key=request.merchant_key,
                manual_capture=request.capture_method is CaptureMethod.MANUAL,
                off_session=request.off_session,
                return_url=request.return_url,
            ),
        )

    def capture_payment(self, request: CapturePayment) -> ProviderAnswer:
        return self._payment(
            request.reference,
            lambda: self._server.capture_payment(
                idempotency_key=request.idempotency_key,
                payment=request.provider_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
            ),
        )

    def cancel_payment(self, request: CancelPayment) -> ProviderAnswer:
        return self._payment(
            request.reference,
            lambda: self._server.cancel_payment(
                idempotency_key=request.idempotency_key,
                payment=request.provider_id,
                reference=request.reference,
            ),
        )

    def get_payment_status(
        self, *, reference: str, provider_id: str | None, since: datetime | None = None
    ) -> ProviderAnswer:
        return self._payment(
            reference,
            lambda: self._server.get_payment(payment=provider_id or "", reference=reference),
        )

    def refund_payment(self, request: RefundPayment) -> RefundAnswer:
        return self._refund(
            request.reference,
            lambda: self._server.refund_payment(
                reference=request.reference,
                idempotency_key=request.idempotency_key,
                payment=request.provider_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
                # The bank's column is short; it is there to be read, not to decide by.
                reason=request.reason[:_REASON_MAX],
            ),
        )

    def get_refund_status(
        self, *, reference: str, provider_id: str | None, payment_provider_id: str
    ) -> RefundAnswer:
        return self._refund(
            reference,
            lambda: self._server.get_refund(refund=provider_id or "", reference=reference),
        )

    def save_method(self, request: SaveMethod) -> SavedMethod:
        try:
            answer = self._server.attach(
                token=request.token,
                merchant_key=request.merchant_key,
                idempotency_key=request.idempotency_key,
            )
            return SavedMethod(method=_text(answer, "id"), card=_card(answer.get("card")))
        except ServerRefusedError as refused:
            raise _provider_error(refused) from refused
        except (ServerTimeoutError, GarbledError) as lost:
            raise ProviderError(
                "The sandbox did not say whether the card was saved; send it again.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost

    def check_source(self, *, source: str, merchant_key: str = "") -> None:
        try:
            self._server.check_source(source=source, merchant_key=merchant_key)
        except ServerRefusedError as refused:
            raise _provider_error(refused) from refused
        except ServerTimeoutError as lost:
            raise ProviderError(
                "The sandbox did not say whether the token can be charged.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost

    def verify_webhook_signature(self, raw_body: bytes, headers: Mapping[str, str]) -> None:
        signing.verify(
            signature=header(headers, SIGNATURE_HEADER),
            raw_body=raw_body,
            secrets=self.config.webhook_secrets,
            now_s=int(time.time()),
        )

    def parse_webhook_event(self, raw_body: bytes) -> ProviderEvent:
        try:
            return _event(json.loads(raw_body))
        except (ValueError, RecursionError, GarbledError) as error:
            raise PayloadInvalid(f"This is not an event of the sandbox: {error}") from error

    def list_settlement_lines(
        self, *, since: datetime, until: datetime, cursor: str = "", limit: int = 100
    ) -> SettlementPage:
        try:
            # One more than asked for says whether there is another page.
            rows = self._server.list_balance_lines(
                since=since, until=until, after=cursor, limit=limit + 1
            )
            lines = tuple(_line(row) for row in rows[:limit])
        except (ServerTimeoutError, GarbledError) as lost:
            raise ProviderError(
                "The sandbox did not send its settlement lines; ask again.",
                permanent=False,
                code=UNREACHABLE,
            ) from lost
        return SettlementPage(
            lines=lines, next_cursor=lines[-1].line_id if len(rows) > limit else ""
        )

    def health(self) -> Health:
        started = time.monotonic()
        try:
            self._server.ping()
        except (ServerTimeoutError, ServerRefusedError) as error:
            return Health(ok=False, latency_ms=_elapsed_ms(started), message=str(error))
        return Health(ok=True, latency_ms=_elapsed_ms(started))

    def _payment(self, reference: str, call: Callable[[], Json | None]) -> ProviderAnswer:
        unknown = ProviderAnswer(status=Status.UNKNOWN, reference=reference)
        missing = ProviderAnswer(status=Status.UNKNOWN, reference=reference, found=False)
        return _ask(call, _read_payment, unknown=unknown, missing=missing)

    def _refund(self, reference: str, call: Callable[[], Json | None]) -> RefundAnswer:
        unknown = RefundAnswer(status=Status.UNKNOWN, reference=reference)
        missing = RefundAnswer(status=Status.UNKNOWN, reference=reference, found=False)
        return _ask(call, _read_refund, unknown=unknown, missing=missing)


def _ask(
    call: Callable[[], Json | None],
    read: Callable[[Json], _Answer],
    *,
    unknown: _Answer,
    missing: _Answer,
) -> _Answer:
    try:
        answer = call()
        return missing if answer is None else read(answer)
    except (ServerTimeoutError, GarbledError):
        return unknown
    except ServerRefusedError as refused:
        raise _provider_error(refused) from refused


def _provider_error(refused: ServerRefusedError) -> ProviderError:
    proof = next((each for each in SandboxAdapter.nothing_happened if each.proves(refused)), None)
    if proof is not None:
        return NotTaken(proof.message, code=proof.code)
    return ProviderError(refused.message, permanent=True, code=refused.code)


def _read_payment(answer: Json) -> ProviderAnswer:
    state = _text(answer, "state")
    if state not in _STATUS:
        raise GarbledError(f"unknown state {state!r}")
    status = _STATUS[state]
    return ProviderAnswer(
        status=status,
        provider_id=_text(answer, "id"),
        reference=_text(answer, "reference"),
        amount_minor=_whole(answer, "amount"),
        amount_captured_minor=_whole(answer, "captured"),
        amount_refunded_minor=_whole(answer, "refunded"),
        currency=_text(answer, "currency"),
        canceled=state == "canceled",
        decline=_decline(answer) if state == "declined" else None,
        next_action_url=_text(answer, "challenge_url") if state == "requires_action" else "",
        card=_card(answer.get("card")),
        fee_minor=None if answer.get("fee") is None else _whole(answer, "fee"),
        raw=dict(answer),
    )


def _read_refund(answer: Json) -> RefundAnswer:
    if _text(answer, "state") != "succeeded":
        raise GarbledError("unknown state of a refund")
    return RefundAnswer(
        status=Status.SUCCEEDED,
        provider_id=_text(answer, "id"),
        reference=_text(answer, "reference"),
        payment_provider_id=_text(answer, "payment"),
        amount_minor=_whole(answer, "amount"),
        currency=_text(answer, "currency"),
        raw=dict(answer),
    )


def _decline(answer: Json) -> Decline:
    return Decline(code=_text(answer, "decline_code"), message=_text(answer, "decline_message"))


def _card(value: object) -> CardDetails | None:
    if value is None:
        return None
    card = _mapping(value)
    return CardDetails(
        brand=_text(card, "brand"),
        last4=_text(card, "last4"),
        exp_month=_whole(card, "exp_month"),
        exp_year=_whole(card, "exp_year"),
        fingerprint=_text(card, "fingerprint"),
        funding=_text(card, "funding"),
    )


def _event(value: object) -> ProviderEvent:
    event = _mapping(value)
    kind = _EVENT_KINDS.get(_text(event, "type").partition(".")[0], EventKind.IGNORED)
    data = _mapping(event.get("data"))
    payment = _read_payment(data) if kind is EventKind.PAYMENT else None
    refund = _read_refund(data) if kind is EventKind.REFUND else None
    occurred_at = _time(event, "created")
    dispute = _read_dispute(data, occurred_at) if kind is EventKind.DISPUTE else None
    provider_id = ""
    if payment:
        provider_id = payment.provider_id
    elif refund:
        provider_id = refund.payment_provider_id
    elif dispute:
        provider_id = dispute.payment_provider_id
    return ProviderEvent(
        event_id=_text(event, "id"),
        kind=kind,
        type=_text(event, "type"),
        occurred_at=occurred_at,
        provider_id=provider_id,
        reference=_text(data, "reference") if "reference" in data else "",
        payment=payment,
        refund=refund,
        dispute=dispute,
    )


def _read_dispute(data: Json, occurred_at: datetime) -> DisputeNotice:
    return DisputeNotice(
        provider_id=_text(data, "id"),
        payment_provider_id=_text(data, "payment"),
        amount_minor=_whole(data, "amount"),
        currency=_text(data, "currency"),
        reason=_text(data, "reason"),
        status=_text(data, "status"),
        occurred_at=occurred_at,
        evidence_due_by=_time(data, "evidence_due_by"),
    )


def _line(row: Json) -> SettlementLine:
    kind = _LINE_KINDS.get(_text(row, "kind"))
    if kind is None:
        raise GarbledError("unknown kind of line")
    gross_minor, fee_minor = _whole(row, "gross"), _whole(row, "fee")
    return SettlementLine(
        line_id=_text(row, "id"),
        kind=kind,
        provider_id=_text(row, "provider_id"),
        reference=_text(row, "reference"),
        gross_minor=gross_minor,
        fee_minor=fee_minor,
        net_minor=gross_minor - fee_minor,
        currency=_text(row, "currency"),
        occurred_at=_time(row, "created"),
        available_at=_time(row, "available"),
    )


def _mapping(value: object) -> Json:
    if not isinstance(value, Mapping):
        raise GarbledError("an object was expected")
    return value


def _text(answer: Json, key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        raise GarbledError(f"{key} is not a text")
    return value


def _whole(answer: Json, key: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise GarbledError(f"{key} is not a whole number")
    return value


def _time(answer: Json, key: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(answer, key))
    except ValueError:
        raise GarbledError(f"{key} is not a time") from None
    if moment.tzinfo is None:
        raise GarbledError(f"{key} has no time zone")
    return moment


def _elapsed_ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
