"""The floor that `./dev bench payments` measures against; exists only with BENCH_FLOOR=1.

What any authenticated endpoint that writes one row costs here: the same authentication, rate
limit, parser, serializer, transaction and renderer as a payment, and one INSERT by the ORM.
"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.fields import AmountField, CurrencyField, StrictSerializer
from core.api.views import ApiView
from core.db import tenant_atomic
from payments.acceptance.models import Customer


class FloorBody(StrictSerializer):
    amount = AmountField()
    currency = CurrencyField()


class FloorView(ApiView):
    permissions: ClassVar = {"POST": "payments.create"}
    idempotency = "none"

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Insert one row."""
        values = FloorBody.parse(self.body)
        actor = self.actor
        assert actor.merchant_id is not None
        assert actor.reseller_id is not None
        with tenant_atomic(actor.scope):
            row = Customer.objects.create(
                merchant_id=actor.merchant_id,
                reseller_id=actor.reseller_id,
                livemode=actor.livemode,
                reference="floor",
            )
        return Response({"id": row.public_id, **values}, status=201)
