"""`/v1/checkout/sessions`: the merchant's face of checkout."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import PAGE, id_of
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import InvalidRequest
from core.pagination import PageRequest, paginate
from payments.checkout import serializers as shapes
from payments.checkout.models import CheckoutSession
from payments.checkout.representations import session_json
from payments.checkout.selectors import session_get, session_payments, sessions
from payments.checkout.services import SessionDraft, session_create, session_expire
from payments.checkout.states import SessionStatus
from tenants.authentication import seller_of

_REQUEST: Final = {
    "amount": 4890,
    "currency": "EUR",
    "description": "Two tickets, Saturday 19:30",
    "reference": "order-1042",
    "success_url": "https://shop.example/thanks?order=1042",
    "cancel_url": "https://shop.example/basket",
}
_ANSWER: Final = {
    "id": "cs_01kah8q3v5e0trz5b2m8x1c9dn",
    "object": "checkout_session",
    "merchant": "mer_01kah8p9v2f6t8m3e4n0w5q7bz",
    "url": "https://pay.example/pay/cs_01kah8q3v5e0trz5b2m8x1c9dn/k3hV0mXb2QpVb0m5J1t7Ag",
    "status": "open",
    "amount": 4890,
    "currency": "EUR",
    "capture_method": "automatic",
    "payment": None,
    "customer": None,
    "description": "Two tickets, Saturday 19:30",
    "reference": "order-1042",
    "statement_descriptor": None,
    "metadata": {},
    "success_url": "https://shop.example/thanks?order=1042",
    "cancel_url": "https://shop.example/basket",
    "livemode": False,
    "created_at": "2026-11-21T09:30:00.000Z",
    "expires_at": "2026-11-22T09:30:00.000Z",
    "completed_at": None,
    "canceled_at": None,
}
_EXAMPLES: Final = [
    OpenApiExample("An order of €48.90", request_only=True, value=_REQUEST),
    OpenApiExample("An open session", response_only=True, status_codes=["201"], value=_ANSWER),
]


def page_url(session: CheckoutSession, secret: str) -> str:
    """The absolute address of the payer's page."""
    path = reverse("checkout-page", kwargs={"session_id": session.public_id, "secret": secret})
    return f"{settings.BASE_URL}{path}"


class CheckoutSessionsView(ApiView):
    """Create and list checkout sessions."""

    tag = "Checkout"
    permissions: ClassVar = {"GET": "checkout.read", "POST": "checkout.write"}
    filters: ClassVar = ("status", "reference", "customer", "limit", "cursor")
    # The page's address holds its secret.
    seals_answers = True

    @extend_schema(
        operation_id="checkout_sessions_list",
        parameters=[
            OpenApiParameter("status", str, enum=SessionStatus.values),
            OpenApiParameter("reference", str),
            OpenApiParameter("customer", str),
            *PAGE,
        ],
        responses={200: shapes.SessionPage},
    )
    def get(self, request: Request) -> Response:
        """List checkout sessions, newest first."""
        query = self.query
        status = query.get("status", "")
        if status and status not in SessionStatus.values:
            raise InvalidRequest(
                f"status takes {', '.join(SessionStatus.values)}.",
                code="parameter_invalid",
                param="status",
            )
        page = PageRequest.from_query(query)
        customer_id = id_of(query, "customer", "cus")
        with tenant_atomic(self.actor.scope):
            rows = sessions(
                livemode=self.actor.livemode,
                status=status,
                reference=query.get("reference", ""),
                customer_id=customer_id,
            )
            return Response(paginate(rows, page).render(session_json))

    @extend_schema(
        operation_id="checkout_sessions_create",
        request=shapes.SessionCreate,
        responses={201: shapes.SessionOut},
        examples=_EXAMPLES,
    )
    def post(self, request: Request) -> Response:
        """Create a checkout session and send the payer to its `url`.

        The page takes the card, runs the bank's challenge and lets a declined payer try again; each
        try is a payment of its own. The session is good for 24 hours. Learn the outcome from
        `checkout_session.completed`, never from the payer's arrival at `success_url`.
        """
        values = shapes.SessionCreate.parse(self.body)
        seller = seller_of(self.request)
        draft = SessionDraft(
            amount_minor=values["amount"],
            currency=values["currency"],
            customer_id=values.get("customer"),
            manual_capture=values["capture_method"] == "manual",
            description=values.get("description", ""),
            reference=values.get("reference", ""),
            statement_descriptor=values.get("statement_descriptor", ""),
            success_url=values.get("success_url", ""),
            cancel_url=values.get("cancel_url", ""),
            metadata=values.get("metadata", {}),
        )

        def render(made: tuple[CheckoutSession, str]) -> dict[str, Any]:
            return session_json(made[0], url=page_url(*made))

        return self.once(
            lambda: session_create(draft=draft, seller=seller, actor=self.actor), render=render
        )


class CheckoutSessionView(ApiView):
    """One checkout session."""

    tag = "Checkout"
    permissions: ClassVar = {"GET": "checkout.read"}

    @extend_schema(operation_id="checkout_sessions_retrieve", responses={200: shapes.SessionOut})
    def get(self, request: Request, session_id: str) -> Response:
        """Retrieve a checkout session with the payments of its attempts."""
        key = ids.decode(CheckoutSession.PREFIX, session_id)
        with tenant_atomic(self.actor.scope):
            session = session_get(session_id=key, livemode=self.actor.livemode)
            data = session_json(session)
            data["payments"] = [
                ids.encode("pay", payment) for payment in session_payments(session_id=key)
            ]
        return Response(data)


class CheckoutSessionExpireView(ApiView):
    """Close a session."""

    tag = "Checkout"
    permissions: ClassVar = {"POST": "checkout.write"}

    @extend_schema(
        operation_id="checkout_sessions_expire",
        request=shapes.SessionExpire,
        responses={200: shapes.SessionOut},
    )
    def post(self, request: Request, session_id: str) -> Response:
        """Expire an open session: nobody can pay it any more.

        A session with a payment under way is 409: it may be paid at this very moment.
        """
        shapes.SessionExpire.parse(self.body)
        key = ids.decode(CheckoutSession.PREFIX, session_id)

        def operation() -> CheckoutSession:
            session_get(session_id=key, livemode=self.actor.livemode)
            return session_expire(session_id=key, actor=self.actor)

        return self.once(operation, render=session_json, status=200)
