"""Every exception becomes an envelope; none becomes a stack trace."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from core.api.renderers import failure
from core.errors import (
    AppError,
    AuthenticationFailed,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Unavailable,
)

log = structlog.get_logger(__name__)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: render `exc`, or return None for a defect of ours (500, logged by Django)."""
    if isinstance(exc, exceptions.MethodNotAllowed):
        error: AppError | None = _method_not_allowed(context)
    else:
        error = _translate(exc)
    if error is None:
        return None
    response = Response(render_error(error), status=error.status)
    if isinstance(error, RateLimited):
        response["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, Unavailable):
        response["Retry-After"] = str(error.retry_after_s)
        log.error("api.unavailable", error=type(exc).__name__)
    if error.status == 409 and error.code == "idempotency_key_in_flight":
        response["Retry-After"] = "1"
    if isinstance(error, AuthenticationFailed):
        response["WWW-Authenticate"] = 'Bearer realm="api"'
    return response


def render_error(error: AppError) -> dict[str, Any]:
    """The envelope of an error."""
    return failure(
        type=error.type,
        code=error.code,
        message=error.message,
        param=error.param,
        details=error.details,
    )


def _translate(exc: Exception) -> AppError | None:
    if isinstance(exc, AppError):
        return exc
    if isinstance(exc, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed)):
        return AuthenticationFailed("Send an API key: Authorization: Bearer mk_sk_test_…")
    if isinstance(exc, RequestDataTooBig):
        return PayloadTooLarge("The body is larger than this address takes.")
    if isinstance(exc, Http404):
        return NotFound("There is no such object.")
    if isinstance(exc, (exceptions.PermissionDenied, DjangoPermissionDenied)):
        return PermissionDenied("You do not have permission to do this.")
    if isinstance(exc, exceptions.ValidationError):
        return _validation(exc.detail)
    if isinstance(exc, exceptions.APIException):
        return InvalidRequest(str(exc.detail))
    if isinstance(exc, (OperationalError, InterfaceError)):
        return Unavailable(
            "The database is away for a moment. Nothing was lost: send the request again with the"
            " same Idempotency-Key.",
            code="database_unavailable",
        )
    if isinstance(exc, DataError):
        return InvalidRequest("A value does not fit its field.", code="value_out_of_range")
    return None


def _method_not_allowed(context: dict[str, Any]) -> MethodNotAllowed:
    """Which methods there are instead, as the Allow header says too."""
    view, request = context["view"], context["request"]
    allowed = [method for method in view.allowed_methods if method not in ("HEAD", "OPTIONS")]
    return MethodNotAllowed(
        f"{request.method} is not taken at this address; send {' or '.join(allowed)}."
    )


class MethodNotAllowed(InvalidRequest):
    status = 405
    default_code = "method_not_allowed"


def _validation(detail: Any, path: str = "") -> InvalidRequest:
    """The first fault of a serializer, named by its path (`card.exp_year`)."""
    while isinstance(detail, dict) and detail:
        key, detail = next(iter(detail.items()))
        if key != "non_field_errors":
            path = f"{path}.{key}" if path else str(key)
        if isinstance(detail, list) and detail and isinstance(detail[0], dict):
            index, detail = next((i, d) for i, d in enumerate(detail) if d)
            path = f"{path}.{index}"
    first = detail[0] if isinstance(detail, list) and detail else detail
    code = getattr(first, "code", "invalid")
    known = {"required": "parameter_missing", "invalid": "parameter_invalid"}
    return InvalidRequest(str(first), code=known.get(code, f"parameter_{code}"), param=path or None)
