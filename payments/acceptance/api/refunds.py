"""`/v1/refunds`."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import PAGE, id_of, naming
from core.api.views import ApiView
from core.db import tenant_atomic
from core.idempotency import Claim
from core.pagination import PageRequest, paginate
from payments.acceptance import serializers, shapes
from payments.acceptance.api.base import MoneyView
from payments.acceptance.models import Refund
from payments.acceptance.selectors import payment_get, refund_get, refunds
from payments.acceptance.services import refund_create


class RefundsView(MoneyView):
    """Create and list refunds."""

    tag = "Refunds"
    permissions: ClassVar = {"GET": "refunds.read", "POST": "payments.refund"}
    filters: ClassVar = ("payment", "limit", "cursor")

    @extend_schema(
        operation_id="refunds_list",
        parameters=[
            OpenApiParameter("payment", str, description="The refunds of one payment."),
            *PAGE,
        ],
        responses={200: shapes.RefundPage},
    )
    def get(self, request: Request) -> Response:
        """List refunds, newest first."""
        query = self.query
        page = PageRequest.from_query(query)
        payment_id = id_of(query, "payment", "pay")
        with tenant_atomic(self.actor.scope), naming("payment"):
            if payment_id is not None:
                payment_get(payment_id=payment_id, livemode=self.actor.livemode)
            rows = refunds(livemode=self.actor.livemode, payment_id=payment_id)
            return Response(paginate(rows, page).render(shapes.refund_out))

    @extend_schema(
        operation_id="refunds_create",
        request=serializers.RefundCreate,
        responses={201: shapes.RefundOut, 202: shapes.RefundOut},
    )
    def post(self, request: Request) -> Response:
        """Refund a payment, in part or whole.

        States: `processing` → `completed` or `failed`. The amount counts at once: refunds sent
        at the same time can never exceed what was captured. 202: the provider cannot be called
        at the moment; we send it as soon as it can.
        """
        values = serializers.RefundCreate.parse(self.body)
        merchant_id, actor = self.seller().merchant_id, self.actor

        def operation(claim: Claim | None) -> Refund:
            return refund_create(
                payment_id=values["payment"],
                merchant_id=merchant_id,
                actor=actor,
                amount_minor=values.get("amount"),
                reason=values.get("reason", ""),
                metadata=values.get("metadata"),
                claim=claim,
            )

        return self.run(operation, resume=self._resume, status=201)

    def _resume(self, refund_id: Any) -> Refund:
        with tenant_atomic(self.actor.scope):
            return refund_get(refund_id=refund_id, livemode=self.actor.livemode)


class RefundView(ApiView):
    """One refund."""

    tag = "Refunds"
    permissions: ClassVar = {"GET": "refunds.read"}

    @extend_schema(operation_id="refunds_retrieve", responses={200: shapes.RefundOut})
    def get(self, request: Request, refund_id: str) -> Response:
        """Retrieve a refund."""
        key = ids.decode(Refund.PREFIX, refund_id)
        with tenant_atomic(self.actor.scope):
            return Response(
                shapes.refund_out(refund_get(refund_id=key, livemode=self.actor.livemode))
            )
