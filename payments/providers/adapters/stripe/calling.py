"""Calls to Stripe's SDK: within the time left, faults distinguished, answers as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn, TypeVar

import requests
import requests.adapters
import stripe
import urllib3.exceptions
from django.conf import settings

from core import deadline
from payments.providers.adapters.stripe import reading
from payments.providers.adapters.stripe.reading import GarbledError, Json
from payments.providers.base import KEY_REUSED, UNREACHABLE, NotTaken, ProviderError
from payments.providers.declared import Harmless

# Where search finds nothing, payments are looked through newest first, `_PAGE` at a time and
# `_PAGES_MAX` times; beyond that we cannot say that a payment is not there.
_PAGE: Final = 100
_PAGES_MAX: Final = 20

_Read = TypeVar("_Read")


# A step is not put off for longer, whatever the provider says.
_RETRY_AFTER_MAX_S: Final = 3600.0

# Answers 429 too, but comes from inside a request that had begun.
_BEGUN: Final = frozenset({"lock_timeout", "idempotency_key_in_use"})


class LostError(Exception):
    """It is not known whether a request took effect."""


class _Transport(requests.adapters.HTTPAdapter):
    """Sends each request within what is left: an operation of ours may be several of them."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        connect_s, read_s = timeout
        try:
            limits = (deadline.cap_s(connect_s), deadline.cap_s(read_s))
        except deadline.DeadlineExceeded as error:
            raise requests.exceptions.Timeout(str(error), request=request) from error
        return super().send(request, stream, limits, verify, cert, proxies)


def warm_session() -> requests.Session:
    """One for all threads: each call has a thread of its own, and connections must stay warm."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Transport(pool_maxsize=settings.PROVIDER_CALLS_MAX))
    return session


def looked_through(
    fetch: Callable[[Any], object], params: Mapping[str, object], reference: str
) -> list[Json]:
    """The rows of the first page that carry our reference; empty where no page does.

    Raises LostError when there is more than we are ready to look through.
    """
    query = {name: value for name, value in params.items() if value is not None}
    query["limit"] = _PAGE
    for _ in range(_PAGES_MAX):
        page = fetch(query)
        rows = rows_of(page)
        found = [row for row in rows if reading.reference_of(row) == reference]
        if found or not rows or as_json(page).get("has_more") is not True:
            return found
        query["starting_after"] = reading.text(rows[-1], "id")
    raise LostError("too much to look through")


def ask(send: Callable[[], _Read]) -> _Read:
    """Call the SDK. CardError passes; other faults become ProviderError or LostError."""
    try:
        return send()
    except stripe.CardError:
        raise
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise ProviderError(
            "Stripe does not accept this account's key; renew it in the provider account.",
            permanent=True,
            code="provider_credentials",
        ) from error
    except stripe.IdempotencyError as error:
        raise ProviderError(
            "Stripe has seen this idempotency key with another request.",
            permanent=True,
            code=KEY_REUSED,
        ) from error
    except stripe.InvalidRequestError as error:
        _refuse(error)
    except (stripe.StripeError, ValueError, TypeError, AttributeError) as error:
        # No connection, a 5xx, a conflict with a request under way, or a body that the SDK could
        # not take apart: the request may have taken effect, unless the table knows better.
        proof = next((each for each in NOTHING_HAPPENED if each.proves(error)), None)
        if proof is None:
            raise LostError(type(error).__name__) from error
        raise NotTaken(
            proof.message, code=proof.code, retry_after_s=_retry_after_s(error)
        ) from error


def _is_limited(error: BaseException) -> bool:
    return isinstance(error, stripe.RateLimitError) and error_body(error).get("code") not in _BEGUN


def _was_not_connected(error: BaseException) -> bool:
    """Whether no connection was made. One that broke, a kept one included, may have carried it."""
    cause = error.__cause__
    if not isinstance(error, stripe.APIConnectionError):
        return False
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    if not isinstance(cause, requests.exceptions.ConnectionError) or not cause.args:
        return False
    reason = getattr(cause.args[0], "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


NOTHING_HAPPENED: Final = (
    Harmless(
        code="provider_rate_limited",
        message="The provider is limiting our requests at the moment.",
        why="429: the rate limiter answers before the idempotency layer and the request itself"
        " (https://docs.stripe.com/rate-limits)",
        proves=_is_limited,
    ),
    Harmless(
        code=UNREACHABLE,
        message="The provider cannot be reached at the moment.",
        why="no connection was made, so no byte was sent",
        proves=_was_not_connected,
    ),
)


def _retry_after_s(error: BaseException) -> float:
    """What `Retry-After` says, in seconds from now, an hour at most; 0 where it cannot be read."""
    headers = getattr(error, "headers", None) or {}
    said = next((str(v) for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    try:
        after_s = (
            float(said)
            if said.isdecimal()
            else (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError):
        return 0.0
    return min(max(0.0, after_s), _RETRY_AFTER_MAX_S)


def _refuse(error: stripe.InvalidRequestError) -> NoReturn:
    code = error.code or ("resource_missing" if error.http_status == 404 else "invalid_request")
    if code in ("lock_timeout", "idempotency_key_in_use"):
        raise LostError(code) from error
    raise ProviderError(
        error.user_message or "Stripe refused the request.",
        permanent=True,
        code=code,
        param=error.param or "",
    ) from error


def error_body(error: stripe.StripeError) -> Json:
    """What Stripe says of an error; empty where it says nothing."""
    body = error.json_body
    found = body.get("error") if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def as_json(found: object) -> Json:
    """An SDK object as plain JSON (since version 13 they are no dicts). Raises GarbledError."""
    if not isinstance(found, stripe.StripeObject):
        raise GarbledError("not an object")
    plain: dict[str, object] = found.to_dict()
    return plain


def rows_of(listing: object) -> list[Json]:
    """The rows of one page. Raises GarbledError."""
    rows = as_json(listing).get("data")
    if not isinstance(rows, list):
        raise GarbledError("not a list")
    return [reading.mapping(row) for row in rows]


def request_options(idempotency_key: str) -> stripe.RequestOptions:
    """What goes along with a request that makes or moves something."""
    return {"idempotency_key": idempotency_key}
