"""What can go wrong, in words that a caller can act on.

Services raise these; the faces (API envelope, portal pages, admin messages) render them. `type`
and `status` follow the API conventions; `code` is stable and machine-readable.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AppError(Exception):
    """Base of every error that a caller may see.

    Args:
        message: one sentence that says what is wrong and, where possible, what to do.
        code: stable machine-readable code; by default the class's own.
        param: the request field at fault.
        details: further JSON-serialisable facts.
    """

    type: ClassVar[str] = "api_error"
    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.details = details


class InvalidRequest(AppError):
    type = "invalid_request_error"
    status = 400
    default_code = "invalid_request"


class AuthenticationFailed(AppError):
    type = "authentication_error"
    status = 401
    default_code = "authentication_required"


class CardError(AppError):
    type = "card_error"
    status = 402
    default_code = "card_declined"


class PermissionDenied(AppError):
    type = "permission_error"
    status = 403
    default_code = "permission_denied"


class NotFound(AppError):
    type = "invalid_request_error"
    status = 404
    default_code = "resource_missing"


class Conflict(AppError):
    type = "conflict_error"
    status = 409
    default_code = "conflict"


class PayloadTooLarge(AppError):
    type = "invalid_request_error"
    status = 413
    default_code = "payload_too_large"


class Unprocessable(AppError):
    type = "idempotency_error"
    status = 422
    default_code = "idempotency_key_reused"


class RateLimited(AppError):
    type = "rate_limit_error"
    status = 429
    default_code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(AppError):
    """Something that we stand on is away for a moment; nothing was done."""

    type = "api_error"
    status = 503
    default_code = "service_unavailable"
    #: When it is worth asking again.
    retry_after_s = 2
