"""The few addresses that a page of another origin may call (Fetch standard, "CORS protocol")."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.views import ApiView
from core.ratelimit import Rate

# Every origin, because a publishable key may stand in any page; without credentials, so that a
# cookie of ours says nothing here.
_ALWAYS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
    ),
}
_PREFLIGHT: Final = {
    # The last three are what tracing scripts add to each request of a page.
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, X-Request-Id, "
        "traceparent, baggage, sentry-trace"
    ),
    "Access-Control-Max-Age": "7200",
}


class CrossOriginView(ApiView):
    """A view that browsers let any page call: it answers the preflight, which bears no key.

    Errors carry the headers too, or the page could not read them. Its key is in every payer's
    browser, so one visitor must not spend the allowance of all.
    """

    shared_rate: ClassVar[Rate] = Rate(limit=10_000, period_s=10)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS":
            super().initial(request, *args, **kwargs)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The preflight: which methods and headers a page may send."""
        return Response(
            status=204,
            headers={**_PREFLIGHT, "Access-Control-Allow-Methods": ", ".join(self.permissions)},
        )

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in _ALWAYS.items():
            response[name] = value
        return response
