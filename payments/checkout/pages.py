"""The payer's page and what its script asks: the one web face without a login.

The address is the credential: session id and secret. Every call but the page itself speaks JSON in
the API's envelope; a POST needs the page's CSRF token, so that no other site can pay as the payer.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csrf import ensure_csrf_cookie
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.views import ApiView
from core.errors import InvalidRequest, NotFound, PermissionDenied
from core.idempotency import check_key
from core.proxies import client_ip
from core.ratelimit import Rate
from core.serving.callers import note_tenant
from payments.acceptance.serializers import TokenCreate
from payments.checkout import serializers, shapes
from payments.checkout.selectors import Door, PayerView, payer_view, session_door, takes_cards
from payments.checkout.services import (
    session_give_up,
    session_pay,
    session_refresh,
    session_tokenise,
)
from payments.checkout.states import SessionStateConflict
from payments.providers.adapters.sandbox.vault import CardInput
from tenants.authentication import MerchantFacts, merchant_facts
from tenants.models import TenantStatus

_MAX_KEY: Final = 64
#: Long enough to read the receipt's first lines; the page has a button that ends the wait.
_GOES_ON_AFTER_S: Final = 5
#: The page's own address must not go to the shop it links to: it would carry the secret along.
_REFERRER_POLICY: Final = "same-origin"


def _hide_secret(request: HttpRequest, secret: str) -> None:
    """Keep the secret out of the request's log line, which is written after the view."""
    if secret:
        request.path = request.path.replace(secret, "-")


def _facts(door: Door) -> MerchantFacts:
    """The merchant behind the page.

    Raises:
        NotFound: the merchant is gone; so is its page.
    """
    facts = merchant_facts(door.merchant_id)
    if facts is None or TenantStatus.CLOSED in (facts.status, facts.reseller_status):
        raise NotFound("There is no such checkout session.")
    note_tenant(facts.merchant_id)
    return facts


@method_decorator([ensure_csrf_cookie, csp_replace({"connect-src": ["'self'"]})], name="dispatch")
class CheckoutPageView(View):
    """The page: what is paid, to whom, and the form or the state that the session is in."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, session_id: str, secret: str) -> HttpResponse:
        _hide_secret(request, secret)
        try:
            door = session_door(session_id=session_id, secret=secret)
            facts = _facts(door)
        except NotFound:
            return render(request, "checkout/missing.html", status=404)
        view = payer_view(door)
        response = render(request, "checkout/pay.html", _context(view, facts, secret))
        response["Referrer-Policy"] = _REFERRER_POLICY
        return response


def _context(view: PayerView, facts: MerchantFacts, secret: str) -> dict[str, Any]:
    session = view.session
    answer = shapes.payer_out(view)
    status = answer["status"]
    if status in ("open", "failed") and not takes_cards(session):
        status = "unavailable"
    where = {"session_id": session.public_id, "secret": secret}
    return {
        "state": status,
        "merchant_name": facts.name,
        "amount_minor": session.amount_minor,
        "currency": session.currency,
        "description": session.description,
        "reference": session.reference,
        "livemode": session.livemode,
        "receipt": answer.get("receipt", {}),
        "return_url": shapes.way_back(session, session.success_url),
        "goes_on_after_s": _GOES_ON_AFTER_S,
        "return_host": session.return_origin.partition("://")[2],
        "cancel_url": shapes.way_back(session, session.cancel_url),
        # While the outcome is unknown, neither the success nor the cancel page is right.
        "shop_url": session.return_origin,
        "expires_at": session.expires_at,
        "tokens_url": reverse("checkout-tokens", kwargs=where),
        "pay_url": reverse("checkout-payment", kwargs=where),
        "session_url": reverse("checkout-status", kwargs=where),
        "cancel_action_url": reverse("checkout-cancel", kwargs=where),
    }


@method_decorator(
    [xframe_options_sameorigin, csp_replace({"frame-ancestors": ["'self'"]})],
    name="dispatch",
)
class CheckoutReturnedView(View):
    """Where a challenge ends inside its frame: tells the page around it to ask us."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "checkout/returned.html")


class _PayerEndpoint(ApiView):
    """A call of the page's script. Counted by session; the caller is the payer."""

    public: ClassVar[bool] = True
    authentication_classes = []
    schema = None
    rate: ClassVar[Rate] = Rate(limit=20, period_s=60)

    door: Door

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        secret = kwargs["secret"]
        _hide_secret(request._request, secret)
        super().initial(request, *args, **kwargs)
        self.door = session_door(session_id=kwargs["session_id"], secret=secret)
        self.limit(key=kwargs["session_id"], rate=self.rate)
        if request.method == "POST":
            _check_csrf(request)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Referrer-Policy"] = _REFERRER_POLICY
        return response

    @property
    def payer_ip(self) -> str | None:
        return client_ip(self.request._request)

    def shown(self, view: PayerView) -> Response:
        """The state of the page. A decline is an answer like others: the page expects it."""
        return Response(shapes.payer_out(view))


class CheckoutStatusView(_PayerEndpoint):
    """What has become of the session."""

    rate: ClassVar[Rate] = Rate(limit=240, period_s=60)

    def get(self, request: Request, session_id: str, secret: str) -> Response:
        return self.shown(session_refresh(door=self.door, actor=self.door.payer(self.payer_ip)))


class CheckoutTokensView(_PayerEndpoint):
    """The vault's door for this page: a card goes in, a one-use token comes out.

    The number is read from the body, handed to the vault and forgotten; it is in no message, no log
    line and no row of ours.
    """

    def post(self, request: Request, session_id: str, secret: str) -> Response:
        card = TokenCreate.parse(self.body)["card"]
        try:
            token = session_tokenise(
                door=self.door,
                card=CardInput(
                    number=card["number"],
                    exp_month=card["exp_month"],
                    exp_year=card["exp_year"],
                    cvc=card["cvc"],
                ),
            )
        except SessionStateConflict:
            # Another tab was first: this one shows what has become of the session.
            actor = self.door.payer(self.payer_ip)
            return self.shown(session_refresh(door=self.door, actor=actor))
        return Response({"id": token.id, "card": {"brand": token.brand, "last4": token.last4}})


class CheckoutPaymentView(_PayerEndpoint):
    """Pay with a token. The amount is the session's; the body names none."""

    def post(self, request: Request, session_id: str, secret: str) -> Response:
        values = serializers.PayerPay.parse(self.body)
        key = check_key(request.headers.get("Idempotency-Key"), required=True) or ""
        if len(key) > _MAX_KEY:
            raise InvalidRequest(
                f"The key of an attempt has at most {_MAX_KEY} characters.",
                code="idempotency_key_invalid",
                param="Idempotency-Key",
            )
        view = session_pay(
            door=self.door,
            seller=_facts(self.door),
            actor=self.door.payer(self.payer_ip),
            token=values["payment_method_token"],
            key=key,
        )
        return self.shown(view)


class CheckoutCancelView(_PayerEndpoint):
    """The payer closed the bank's challenge."""

    def post(self, request: Request, session_id: str, secret: str) -> Response:
        serializers.PayerEmpty.parse(self.body)
        return self.shown(session_give_up(door=self.door, actor=self.door.payer(self.payer_ip)))


def _check_csrf(request: Request) -> None:
    try:
        SessionAuthentication().enforce_csrf(request)
    except exceptions.PermissionDenied as error:
        raise PermissionDenied(
            "Your browser did not send this page's cookie, so nothing was charged. Allow cookies "
            "for this page, reload it and try again.",
            code="csrf_failed",
        ) from error
