"""What the payment views share: filters out of query strings, and answers of money operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.response import Response

from core.api.errors import render_error
from core.api.renderers import dump, success
from core.api.views import ApiView
from core.errors import AppError, CardError, InvalidRequest
from core.idempotency import Claim
from payments.acceptance.models import Payment, Refund
from payments.acceptance.representations import payment_json, refund_json
from payments.acceptance.services.sources import refused_source
from payments.acceptance.states import PaymentStatus, RefundStatus
from payments.intents.failures import PROVIDER_UNAVAILABLE
from payments.intents.services import Accepted
from payments.intents.services.recovery import bring_forward
from payments.providers.base import SOURCE_REFUSED
from tenants.authentication import MerchantFacts, seller_of


class MoneyView(ApiView):
    """An operation that may call a provider: its answer is kept with the provider's."""

    idempotency = "required"
    answers_card_errors = True

    def seller(self) -> MerchantFacts:
        """The merchant that the key belongs to; read with the key, in the same statement."""
        return seller_of(self.request)

    def run(
        self,
        operation: Callable[[Claim | None], Any],
        *,
        resume: Callable[[Any], Any],
        status: int = 200,
    ) -> Response:
        """Run a money operation once per Idempotency-Key; a decline is a 402."""
        return self.once_outside(
            operation,
            resume=resume,
            render=lambda made: outcome(made, status),
            advance=lambda key: bring_forward(key, merchant_id=self.seller().merchant_id),
        )


def outcome(made: Any, status: int) -> tuple[int, bytes]:
    """The answer for what an operation made: a failed payment is an error with the payment in it.

    It is a 402, or a 400 or 404 where the token could not be charged. A 402 also where the fault is
    ours: the payment exists and has ended, so the stored answer must not be a 503, which asks for
    the same request again. What a worker goes on with is a 202.
    """
    if isinstance(made, Accepted):
        return outcome(made.shown, 202)
    if isinstance(made, AppError):
        return made.status, dump(render_error(made))
    if isinstance(made, Payment) and made.status == PaymentStatus.FAILED:
        error = declined(made)
        return error.status, dump(render_error(error))
    if isinstance(made, Refund) and made.status == RefundStatus.FAILED:
        return 402, dump(render_error(refund_failed(made)))
    render = refund_json if isinstance(made, Refund) else payment_json
    return status, dump(success(render(made)))


class NotProcessed(AppError):
    """A payment or refund failed for a reason that is not about the card, and not the caller's."""

    status = 402
    default_code = PROVIDER_UNAVAILABLE


def declined(payment: Payment) -> AppError:
    """The error of a payment that the provider or the issuer declined.

    A token or method that could not be charged is no decline but a fault of the request.
    """
    if payment.failure_code in SOURCE_REFUSED:
        return refused_source(
            payment.failure_code,
            payment.failure_message,
            param="payment_method" if payment.payment_method_id else "payment_method_token",
            details={"payment": payment_json(payment)},
        )
    return _failed(
        payment.failure_code or "card_declined",
        payment.failure_message or "The card was declined.",
        {"payment": payment_json(payment)},
    )


def refund_failed(refund: Refund) -> AppError:
    return _failed(
        refund.failure_code or "refund_failed",
        refund.failure_message or "The provider refused the refund.",
        {"refund": refund_json(refund)},
    )


def _failed(code: str, message: str, details: dict[str, Any]) -> AppError:
    kind = NotProcessed if code == PROVIDER_UNAVAILABLE else CardError
    return kind(message, code=code, details=details)


def expansions(query: Mapping[str, str], allowed: set[str]) -> set[str]:
    """The comma-separated `expand` parameter.

    Raises:
        InvalidRequest: something that cannot be expanded.
    """
    wanted = {part.strip() for part in query.get("expand", "").split(",") if part.strip()}
    if wanted - allowed:
        raise InvalidRequest(
            f"expand takes {', '.join(sorted(allowed))}.", code="parameter_invalid", param="expand"
        )
    return wanted
