"""`/v1/intents`: the way in for trusted services of ours, which sign their requests (HMAC)."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.renderers import dump, success
from core.api.views import ApiView
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import NotFound, PermissionDenied
from core.idempotency import Claim
from core.unit import Writes
from payments.intents import serializers, shapes
from payments.intents.documents import service_document
from payments.intents.models import Intent, Operation
from payments.intents.selectors import intent_get, intent_merchant
from payments.intents.services import Accepted, Draft, IntentClaim, Price, intent_submit
from payments.intents.services.recovery import bring_forward
from tenants.authentication import MerchantFacts, merchant_facts


class IntentsView(ApiView):
    """Submit intents."""

    tag = "Intents"
    permissions: ClassVar = {"POST": "intents.create"}
    idempotency = "required"
    claim_type = IntentClaim

    @extend_schema(
        operation_id="intents_create",
        request=serializers.IntentCreate,
        responses={201: shapes.IntentOut, 202: shapes.IntentOut},
    )
    def post(self, request: Request) -> Response:
        """Submit an attempt to move money.

        States: `CREATED` → `VALIDATED` → `AUTHORIZED` → `SETTLED`, or `FAILED`, `CANCELLED`,
        `EXPIRED`. A declined attempt is an intent that is `FAILED`, not an error. 202 is an attempt
        that a worker goes on with, as the provider cannot be called at the moment. `document`
        names the merchant's payment, over which the money is captured, refunded and disputed.
        """
        values = serializers.IntentCreate.parse(self.body)
        facts, actor = self._on_behalf_of(values)

        document_type, open_document = service_document(Operation(values["operation"]))

        def submitted(writes: Writes, intent: Intent) -> None:
            open_document(writes, intent, actor)
            writes.record(intent, action="intent.submitted", event=None, actor=actor)

        def operation(claim: Claim | None) -> Intent:
            return intent_submit(
                draft=_draft(values, facts, actor, document_type),
                actor=actor,
                document=submitted,
                claim=claim,
            )

        return self.once_outside(
            operation,
            resume=lambda key: self._read(key, Scope.merchant(facts.merchant_id)),
            render=_rendered,
            advance=lambda key: bring_forward(key, merchant_id=facts.merchant_id),
            actor=actor,
        )

    def _on_behalf_of(self, values: dict[str, Any]) -> tuple[MerchantFacts, Actor]:
        """The merchant that the service names, and the service acting inside that merchant."""
        actor = self.actor
        if actor.merchant_id is not None and actor.merchant_id != values["merchant"]:
            raise NotFound("There is no such merchant.", param="merchant")
        facts = merchant_facts(values["merchant"])
        if facts is None:
            raise NotFound("There is no such merchant.", param="merchant")
        if actor.livemode and not facts.is_active:
            raise PermissionDenied(
                "This merchant cannot take live payments yet.", code="merchant_not_active"
            )
        bound = dataclasses.replace(
            actor, merchant_id=facts.merchant_id, reseller_id=facts.reseller_id
        )
        return facts, bound

    def _read(self, key: uuid.UUID, scope: Scope) -> Intent:
        with tenant_atomic(scope):
            return intent_get(intent_id=key, livemode=self.actor.livemode)


class IntentView(ApiView):
    """One intent."""

    tag = "Intents"
    permissions: ClassVar = {"GET": "intents.read"}

    @extend_schema(operation_id="intents_retrieve", responses={200: shapes.IntentOut})
    def get(self, request: Request, intent_id: str) -> Response:
        """Retrieve an intent."""
        key = ids.decode(Intent.PREFIX, intent_id)
        scope = self.actor.scope
        if scope == Scope.intake():
            with tenant_atomic(scope):
                scope = Scope.merchant(intent_merchant(intent_id=key))
        with tenant_atomic(scope):
            found = intent_get(intent_id=key, livemode=self.actor.livemode)
        return Response(shapes.intent_out(found))


def _rendered(made: Intent | Accepted[Intent]) -> tuple[int, bytes]:
    """The answer about an intent: 202 where a worker goes on with it."""
    if isinstance(made, Accepted):
        return 202, dump(success(shapes.intent_out(made.shown)))
    return 201, dump(success(shapes.intent_out(made)))


def _draft(values: dict[str, Any], facts: MerchantFacts, actor: Actor, document_type: str) -> Draft:
    same_currency = values["currency"] == facts.default_currency
    return Draft(
        merchant_id=facts.merchant_id,
        reseller_id=facts.reseller_id,
        livemode=actor.livemode,
        operation=Operation(values["operation"]),
        amount_minor=values["amount"],
        currency=values["currency"],
        source=values["payment_method_token"],
        document_type=document_type,
        manual_capture=values["capture_method"] == "manual",
        return_url=values.get("return_url", ""),
        price=Price(
            fee_bps=facts.fee_bps,
            fee_fixed_minor=facts.fee_fixed_minor if same_currency else 0,
            reseller_share_bps=facts.reseller_share_bps,
        ),
        tags=tuple(values.get("metadata", {}).get("tags", ())),
    )
