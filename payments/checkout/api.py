"""`/v1/checkout/sessions`: the merchant's face of checkout."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import PAGE, id_of
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import InvalidRequest
from core.pagination import PageRequest, paginate
from payments.checkout import serializers, shapes
from payments.checkout.models import CheckoutSession
from payments.checkout.selectors import session_get, session_payments, sessions
from payments.checkout.services import SessionDraft, session_create, session_expire
from payments.checkout.states import SessionStatus
from tenants.authentication import seller_of


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
            return Response(paginate(rows, page).render(shapes.session_out))

    @extend_schema(
        operation_id="checkout_sessions_create",
        request=serializers.SessionCreate,
        responses={201: shapes.SessionOut},
    )
    def post(self, request: Request) -> Response:
        """Create a checkout session and send the payer to its `url`.

        The page takes the card, runs the bank's challenge and lets a declined payer try again; each
        try is a payment of its own. The session is good for 24 hours. Learn the outcome from
        `checkout_session.completed`, never from the payer's arrival at `success_url`.
        """
        values = serializers.SessionCreate.parse(self.body)
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

        def render(made: tuple[CheckoutSession, str]) -> shapes.SessionOut:
            return shapes.session_out(made[0], url=page_url(*made))

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
            data = shapes.session_out(session)
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
        request=serializers.SessionExpire,
        responses={200: shapes.SessionOut},
    )
    def post(self, request: Request, session_id: str) -> Response:
        """Expire an open session, so that it can no longer be paid.

        A session with a payment under way is 409: it may be paid at this very moment.
        """
        serializers.SessionExpire.parse(self.body)
        key = ids.decode(CheckoutSession.PREFIX, session_id)

        def operation() -> CheckoutSession:
            session_get(session_id=key, livemode=self.actor.livemode)
            return session_expire(session_id=key, actor=self.actor)

        return self.once(operation, render=shapes.session_out, status=200)
