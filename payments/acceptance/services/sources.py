"""Tokens and saved cards that a provider does not take: the caller's fault, and no decline."""

from __future__ import annotations

from typing import Any

from core import ids
from core.errors import AppError, InvalidRequest, NotFound
from payments.acceptance.models import Payment
from payments.providers.base import SOURCE_REFUSED, ProviderError
from payments.providers.calls import ProviderBusy, provider_call
from payments.providers.selectors import route


def refused_source(
    code: str, message: str, *, param: str, details: dict[str, Any] | None = None
) -> AppError:
    """The caller's error for a source that was refused with `code`; `param` carried it."""
    kind = NotFound if code == "resource_missing" else InvalidRequest
    return kind(message, code=code, param=param, details=details)


def check_token(payment: Payment) -> None:
    """Ask the provider whether the payment's token can be charged, before the attempt begins.

    An attempt that ends ends its payment too: a mistyped token would spoil a payment that waits
    to be confirmed. Called outside any transaction. A provider that does not say lets it pass, for
    the attempt itself has an answer to that.

    Raises:
        NotFound: there is no such token.
        InvalidRequest: it was used or is too old; or no account takes the payment.
    """
    account = route(
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        merchant_id=payment.merchant_id,
        livemode=payment.livemode,
    )
    try:
        provider_call(
            account_id=account.id,
            merchant_id=payment.merchant_id,
            send=lambda adapter: adapter.check_source(
                source=payment.token, merchant_key=ids.encode("mer", payment.merchant_id)
            ),
            # The time is the attempt's.
            repeat=False,
        )
    except ProviderBusy:
        return
    except ProviderError as error:
        if error.code in SOURCE_REFUSED:
            raise refused_source(error.code, error.message, param="payment_method_token") from error
