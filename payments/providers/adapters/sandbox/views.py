"""The sandbox bank's page where a payer confirms, or fails to confirm, a payment.

It represents a page of the card's issuer: another company's, shown in a frame or visited. It knows
nothing of our sessions, and its address is the only key to it.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.clickjacking import xframe_options_sameorigin

from core.enqueue import enqueue
from core.money import format_money
from core.web_address import web_origin
from payments.providers.adapters.sandbox import server
from payments.providers.adapters.sandbox.wire import Json, ServerTimeoutError
from payments.providers.services import payer_returned

_ANSWERS: Final = {"complete": True, "fail": False}


@method_decorator(xframe_options_sameorigin, name="dispatch")
class ChallengeView(View):
    """Shows the challenge; the form's two buttons answer it, once."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, challenge_id: uuid.UUID) -> HttpResponse:
        return _page(request, _found(server.challenge_look(challenge_id)))

    def post(self, request: HttpRequest, challenge_id: uuid.UUID) -> HttpResponse:
        passed = _ANSWERS.get(request.POST.get("answer", ""))
        if passed is None:
            return _page(request, _found(server.challenge_look(challenge_id)), status=400)
        try:
            charge = _found(server.challenge_answer(challenge_id, passed=passed))
        except ServerTimeoutError:
            return _page(request, _found(server.challenge_look(challenge_id)), status=503)
        _announce()
        payer_returned(str(charge.get("reference") or ""))
        address = _return_url(charge)
        return HttpResponseRedirect(address) if address else _page(request, charge)


def _page(request: HttpRequest, charge: Json, *, status: int = 200) -> HttpResponse:
    card: Any = charge.get("card") or {}
    address = _return_url(charge)
    response = render(
        request,
        "sandbox/challenge.html",
        {
            "amount": format_money(_whole(charge.get("amount")), str(charge.get("currency"))),
            "brand": str(card.get("brand", "")).capitalize(),
            "last4": card.get("last4", ""),
            "open": charge.get("state") == "requires_action",
            "return_url": address,
        },
        status=status,
    )
    # Browsers hold a form's redirect to form-action too, so the way back must be allowed.
    origin = web_origin(address) if address else ""
    setattr(  # noqa: B010 - django-csp reads this name; the response's type has none
        response,
        "_csp_config",
        {
            "default-src": ["'none'"],
            "style-src": ["'self'"],
            "font-src": ["'self'"],
            "img-src": ["'self'"],
            "form-action": ["'self'", *([origin] if origin else [])],
            "frame-ancestors": ["'self'"],
            "base-uri": ["'none'"],
        },
    )
    return response


def _announce() -> None:
    """Have the webhook sent now; should the broker be away, the sweep sends it."""
    enqueue("providers.deliver_sandbox_events")


def _found(charge: Json | None) -> Json:
    if charge is None:
        raise Http404
    return charge


def _return_url(charge: Json) -> str:
    """Where the payer came from, or nothing; charges hold whatever our own callers sent."""
    address = str(charge.get("return_url") or "")
    try:
        web_origin(address)
    except ValueError:
        return ""
    return address


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
