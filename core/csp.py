"""The content security policy of every answer: django-csp's, put together once."""

from __future__ import annotations

from typing import Any, Final

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.http import HttpRequest, HttpResponseBase

#: By which a view, or one of django-csp's decorators, asks for another policy or none.
_OWN: Final = frozenset(
    f"_csp_{what}{mode}"
    for what in ("config", "exempt", "replace", "update")
    for mode in ("", "_ro")
)


class PolicyMiddleware(CSPMiddleware):
    """Sets the settings' policy on each answer that asks for no other.

    django-csp puts the text together for each answer again. It still does so for those that ask for
    a policy of their own, and for a page that read its nonce (`request.csp_nonce`).
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._policy = build_policy()

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Django's hook."""
        if getattr(request, "_csp_nonce", None) or not _OWN.isdisjoint(vars(response)):
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self._policy)
        return response
