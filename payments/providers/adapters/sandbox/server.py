"""The sandbox's server: its bank is a set of SQL functions in our own database.

Each request is one statement that commits by itself, as a call to another company's API would: it
is on the disk before it is answered, whatever becomes of the caller. The functions, and nothing
else, may touch the bank's tables (``../sql/sandbox_*.sql``); why they are SQL: ADR 0034.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection

from core.db import assert_outside_transaction, execute_prepared, numbered
from core.errors import NotFound
from core.ids import decode, new_id
from payments.providers.adapters.sandbox.vault import TOKEN_PREFIX
from payments.providers.adapters.sandbox.wire import Json, ServerRefusedError, ServerTimeoutError

METHOD_PREFIX: Final = "sbpm_"
PAYMENT_PREFIX: Final = "sbpay_"
REFUND_PREFIX: Final = "sbre_"
CHALLENGE_PATH: Final = "/sandbox/3ds/"
SETTLE_AFTER_S: Final = 5


class DatabaseServer:
    """Answers for one account. Stateless, and safe to call from any thread."""

    def __init__(self, account_id: uuid.UUID, *, base_url: str = "") -> None:
        self._account_id = account_id
        self._base_url = base_url.rstrip("/")

    def create_payment(
        self,
        *,
        reference: str,
        idempotency_key: str,
        amount_minor: int,
        currency: str,
        source: str,
        merchant_key: str,
        manual_capture: bool,
        off_session: bool,
        return_url: str,
    ) -> Json:
        request_hash = _hash(
            "create", reference, amount_minor, currency, source, merchant_key, manual_capture
        )
        return self._charge(
            "select sandbox_create_payment(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self._account_id,
                new_id(),
                idempotency_key,
                request_hash,
                reference,
                _source_id(source),
                merchant_key,
                amount_minor,
                currency,
                manual_capture,
                off_session,
                return_url,
                settle_after_s(),
            ],
        )

    def capture_payment(
        self, *, idempotency_key: str, payment: str, amount_minor: int, currency: str
    ) -> Json:
        return self._charge(
            "select sandbox_capture(%s, %s, %s, %s, %s, %s)",
            [
                self._account_id,
                _own_id(PAYMENT_PREFIX, payment),
                idempotency_key,
                _hash("capture", payment, amount_minor, currency),
                amount_minor,
                currency,
            ],
        )

    def cancel_payment(self, *, idempotency_key: str, payment: str, reference: str) -> Json:
        return self._charge(
            "select sandbox_cancel(%s, %s, %s, %s, %s)",
            [
                self._account_id,
                _own_id(PAYMENT_PREFIX, payment) if payment else None,
                reference,
                idempotency_key,
                _hash("cancel", payment, reference),
            ],
        )

    def get_payment(self, *, payment: str, reference: str) -> Json | None:
        try:
            charge_id = _own_id(PAYMENT_PREFIX, payment) if payment else None
        except ServerRefusedError:
            return None
        answer = _call(
            "select sandbox_get_payment(%s, %s, %s)", [self._account_id, charge_id, reference]
        )
        return None if answer is None else self._with_challenge_url(answer)

    def refund_payment(
        self,
        *,
        reference: str,
        idempotency_key: str,
        payment: str,
        amount_minor: int,
        currency: str,
        reason: str,
    ) -> Json:
        answer = _call(
            "select sandbox_refund(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self._account_id,
                new_id(),
                _own_id(PAYMENT_PREFIX, payment),
                idempotency_key,
                _hash("refund", payment, reference, amount_minor, currency),
                reference,
                amount_minor,
                currency,
                reason,
            ],
        )
        return _answered(answer)

    def get_refund(self, *, refund: str, reference: str) -> Json | None:
        try:
            refund_id = _own_id(REFUND_PREFIX, refund) if refund else None
        except ServerRefusedError:
            return None
        return _call(
            "select sandbox_get_refund(%s, %s, %s)", [self._account_id, refund_id, reference]
        )

    def check_source(self, *, source: str, merchant_key: str) -> Json:
        return _answered(
            _call("select sandbox_check_source(%s, %s)", [_source_id(source), merchant_key])
        )

    def attach(self, *, token: str, merchant_key: str, idempotency_key: str) -> Json:
        answer = _call(
            "select sandbox_attach(%s, %s, %s, %s)",
            [new_id(), _source_id(token), merchant_key, f"{self._account_id}:{idempotency_key}"],
        )
        return _answered(answer)

    def list_balance_lines(
        self, *, since: datetime, until: datetime, after: str, limit: int
    ) -> list[Json]:
        return _call_many(
            "select * from sandbox_lines(%s, %s, %s, %s, %s)",
            [self._account_id, since, until, after, limit],
        )

    def ping(self) -> None:
        # The cheapest question that goes through the same door as a payment.
        _call("select sandbox_get_refund(%s, %s, '')", [self._account_id, None])

    def _charge(self, sql: str, params: Sequence[Any]) -> Json:
        return self._with_challenge_url(_answered(_call(sql, params)))

    def _with_challenge_url(self, charge: Json) -> Json:
        answer = dict(charge)
        challenge = answer.pop("challenge", None)
        if challenge is not None:
            answer["challenge_url"] = f"{self._base_url}{CHALLENGE_PATH}{challenge}"
        return answer


def settle_after_s() -> int:
    """How long a payment that stays processing takes to settle (and a dispute to arrive)."""
    return int(getattr(settings, "SANDBOX_SETTLE_AFTER_S", SETTLE_AFTER_S))


def challenge_look(challenge_id: uuid.UUID) -> Json | None:
    """The charge behind a challenge, with its ``return_url``; None where there is none.

    Raises ServerTimeoutError.
    """
    return _call("select sandbox_challenge(%s, null)", [challenge_id])


def challenge_answer(challenge_id: uuid.UUID, *, passed: bool) -> Json | None:
    """Answer a challenge; the first answer counts. Raises ServerTimeoutError."""
    return _call("select sandbox_challenge(%s, %s)", [challenge_id, passed])


def claim_events(*, limit: int, account_id: uuid.UUID | None = None) -> list[Json]:
    """Settle what is due and lease due webhooks: ``{row, account, event}``."""
    return _call_many("select * from sandbox_claim_events(%s, %s)", [limit, account_id])


def event_delivered(row_id: uuid.UUID) -> None:
    """Note that a leased webhook was answered with 200."""
    _call("select sandbox_event_delivered(%s)", [row_id])


def _answered(answer: Json | None) -> Json:
    if answer is None:
        raise ServerTimeoutError("The sandbox's bank gave no answer.")
    if answer.get("lost"):
        # A card whose behaviour is to lose the connection; waiting for real would prove no more.
        raise ServerTimeoutError("The connection was lost before the answer came.")
    error = answer.get("error")
    if isinstance(error, Mapping):
        raise ServerRefusedError(code=str(error.get("code")), message=str(error.get("message")))
    return answer


def _call(sql: str, params: Sequence[Any]) -> Json | None:
    rows = _call_many(sql, params)
    return rows[0] if rows else None


def _call_many(sql: str, params: Sequence[Any]) -> list[Json]:
    assert_outside_transaction("a call to the sandbox")
    try:
        rows = execute_prepared(numbered(sql), params)
        return [_decoded(row[0]) for row in rows if row[0] is not None]
    except IntegrityError as error:
        raise ServerRefusedError(
            code="invalid_request", message="The sandbox cannot book this request."
        ) from error
    except (OperationalError, InterfaceError) as error:
        # A connection that broke may have broken after the commit.
        connection.close()
        raise ServerTimeoutError("The sandbox's bank did not answer.") from error
    except DatabaseError as error:
        raise ServerRefusedError(
            code="invalid_request", message="The sandbox does not understand this request."
        ) from error


def _decoded(value: object) -> Json:
    # Django hands jsonb from a raw cursor over as text.
    answer = json.loads(value) if isinstance(value, str | bytes) else value
    return answer if isinstance(answer, Mapping) else {}


def _source_id(source: str) -> uuid.UUID:
    if source.startswith(METHOD_PREFIX):
        return _own_id(METHOD_PREFIX, source)
    try:
        return decode(TOKEN_PREFIX, source)
    except NotFound:
        raise ServerRefusedError(
            code="resource_missing", message="No such token. Make one with POST /v1/tokens."
        ) from None


def _own_id(prefix: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(hex=text.removeprefix(prefix) if text.startswith(prefix) else "")
    except ValueError:
        raise _missing() from None


def _missing() -> ServerRefusedError:
    return ServerRefusedError(
        code="resource_missing", message="The sandbox knows nothing under this id."
    )


def _hash(*parts: object) -> str:
    """A digest of what a request says, to tell a repetition from another request."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()
