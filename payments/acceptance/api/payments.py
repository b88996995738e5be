"""`/v1/payments`."""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import (
    PAGE,
    amount_of,
    email_of,
    id_of,
    span_names,
    span_of,
    span_parameters,
)
from core.api.views import ApiView
from core.context import Actor
from core.db import tenant_atomic
from core.errors import InvalidRequest, NotFound
from core.idempotency import Claim
from core.money import iso_currency
from core.pagination import PageRequest, paginate
from payments.acceptance import serializers, shapes
from payments.acceptance.api.base import MoneyView, expansions
from payments.acceptance.models import Payment
from payments.acceptance.selectors import (
    PaymentFilter,
    customer_get,
    ledger_line_out,
    payment_attempts,
    payment_events,
    payment_get,
    payment_ledger,
    payments,
)
from payments.acceptance.services import (
    PaymentDraft,
    payment_cancel,
    payment_capture,
    payment_confirm,
    payment_create,
    payment_update,
)
from payments.acceptance.states import PaymentStatus
from tenants.authentication import merchant_facts

#: What a list of payments can be narrowed by, and its pages.
FILTERS = (
    "status",
    *span_names("created_"),
    "amount_min",
    "amount_max",
    "customer",
    "merchant",
    "reference",
    "last4",
    "email",
    "currency",
    "search",
    "limit",
    "cursor",
)
_LAST4 = re.compile(r"[0-9]{4}")
_EXPANDABLE = {"events", "attempts", "ledger"}


def _filters() -> list[OpenApiParameter]:
    texts = {
        "status": "One or several statuses, separated by commas.",
        "customer": "A customer's id.",
        "reference": "Your own reference, exactly.",
        "last4": "The last four digits of the card.",
        "email": "The customer's e-mail.",
        "currency": "ISO 4217 code.",
        "merchant": "One merchant's payments (for callers that see several).",
        "search": "An id, a reference, the last four digits or an e-mail.",
    }
    parameters = [OpenApiParameter(name, str, description=text) for name, text in texts.items()]
    parameters += [
        OpenApiParameter(name, int, description="Minor units.")
        for name in ("amount_min", "amount_max")
    ]
    return [*parameters, *span_parameters("Created", "created_"), *PAGE]


class _PaymentOperation(MoneyView):
    tag = "Payments"

    def _resume(self, payment_id: Any) -> Payment:
        with tenant_atomic(self.actor.scope):
            return payment_get(payment_id=payment_id, livemode=self.actor.livemode)


class PaymentsView(_PaymentOperation):
    """Create and list payments."""

    permissions: ClassVar = {"GET": "payments.read", "POST": "payments.create"}
    filters: ClassVar = FILTERS

    @extend_schema(
        operation_id="payments_list",
        parameters=_filters(),
        responses={200: shapes.PaymentPage},
    )
    def get(self, request: Request) -> Response:
        """List payments, newest first."""
        query = self.query
        wanted = payment_filter(query, livemode=self.actor.livemode)
        page = PageRequest.from_query(query)
        if wanted.merchant_id is not None:
            _require_visible(self.actor, wanted.merchant_id)
        with tenant_atomic(self.actor.scope):
            if wanted.customer_id is not None:
                # The payments of a deleted customer stay, and so does the way to them.
                customer_get(
                    customer_id=wanted.customer_id, livemode=wanted.livemode, with_deleted=True
                )
            return Response(paginate(payments(wanted), page).render(shapes.payment_out))

    @extend_schema(
        operation_id="payments_create",
        request=serializers.PaymentCreate,
        responses={201: shapes.PaymentOut, 202: shapes.PaymentOut},
    )
    def post(self, request: Request) -> Response:
        """Create a payment and, with `confirm`, charge it.

        States: `pending` → `processing` → `completed`, `failed` or `requires_action`. A decline is
        402 with `error.type` `card_error`, the decline code in `error.code` and the failed payment
        in `error.details.payment`. A fault on our side of the provider that is not about the card
        is 402 too, with `error.type` `api_error` and code `provider_unavailable`: the payment has
        failed permanently, nothing was charged, and a new attempt is a new payment. A token that
        does not exist is 404 (`resource_missing`), one that was used or is too old 400
        (`token_already_used`, `token_expired`), with the failed payment beside it. A payment that
        needs the payer carries `next_action: {"type": "redirect", "url"}`. No answer from the
        provider leaves it `processing`: never charge again, we find out. 202 is a payment that
        waits as `processing` because the provider cannot be called at the moment: we send it as
        soon as it can, within an hour, or it fails and nothing was charged; until then it can be
        canceled. An amount that the provider cannot charge is 400 on `amount`, with nothing stored.
        """
        values = serializers.PaymentCreate.parse(self.body)
        seller, actor = self.seller(), self.actor
        draft = PaymentDraft(
            amount_minor=values["amount"],
            currency=values["currency"],
            token=values.get("payment_method_token", ""),
            customer_id=values.get("customer"),
            payment_method_id=values.get("payment_method"),
            manual_capture=values["capture_method"] == "manual",
            return_url=values.get("return_url", ""),
            description=values.get("description", ""),
            reference=values.get("reference", ""),
            statement_descriptor=values.get("statement_descriptor", ""),
            metadata=values.get("metadata", {}),
        )

        def operation(claim: Claim | None) -> Payment:
            return payment_create(
                draft=draft, seller=seller, actor=actor, confirm=values["confirm"], claim=claim
            )

        return self.run(operation, resume=self._resume, status=201)


class PaymentView(ApiView):
    """One payment."""

    tag = "Payments"
    permissions: ClassVar = {"GET": "payments.read", "PATCH": "payments.create"}
    filters: ClassVar = ("expand",)

    @extend_schema(
        operation_id="payments_retrieve",
        parameters=[
            OpenApiParameter("expand", str, description="Any of events, attempts, ledger.")
        ],
        responses={200: shapes.PaymentOut},
    )
    def get(self, request: Request, payment_id: str) -> Response:
        """Retrieve a payment."""
        wanted = expansions(self.query, _EXPANDABLE)
        key = ids.decode(Payment.PREFIX, payment_id)
        with tenant_atomic(self.actor.scope):
            payment = payment_get(payment_id=key, livemode=self.actor.livemode)
            data = shapes.payment_out(payment)
            if "events" in wanted:
                data["events"] = [
                    shapes.history_line_out(event) for event in payment_events(payment_id=key)
                ]
            if "attempts" in wanted:
                data["attempts"] = [
                    shapes.attempt_out(each) for each in payment_attempts(payment_id=key)
                ]
            if "ledger" in wanted:
                data["ledger"] = [ledger_line_out(line) for line in payment_ledger(payment)]
        return Response(data)

    @extend_schema(
        operation_id="payments_update",
        request=serializers.PaymentUpdate,
        responses={200: shapes.PaymentOut},
    )
    def patch(self, request: Request, payment_id: str) -> Response:
        """Change what a payment says: description, reference and metadata, in every state.

        Metadata is merged by key; a key whose value is null is deleted. What the provider was given
        with the charge stays there as it was.
        """
        values = serializers.PaymentUpdate.parse(self.body)
        key = ids.decode(Payment.PREFIX, payment_id)
        with tenant_atomic(self.actor.scope):
            changed = payment_update(payment_id=key, actor=self.actor, changes=values)
            return Response(shapes.payment_out(changed))


class PaymentConfirmView(_PaymentOperation):
    permissions: ClassVar = {"POST": "payments.create"}

    @extend_schema(
        operation_id="payments_confirm",
        request=serializers.PaymentConfirm,
        responses={200: shapes.PaymentOut, 202: shapes.PaymentOut},
    )
    def post(self, request: Request, payment_id: str) -> Response:
        """Charge a payment that was created without `confirm`.

        A token that does not exist (404), was used or is too old (400) is refused before anything
        is charged: the payment stays `pending` and can be confirmed with another one. 202 as for a
        payment that is created with `confirm`.
        """
        values = serializers.PaymentConfirm.parse(self.body)
        key = ids.decode(Payment.PREFIX, payment_id)
        seller, actor = self.seller(), self.actor

        def operation(claim: Claim | None) -> Payment:
            return payment_confirm(
                payment_id=key,
                seller=seller,
                actor=actor,
                token=values.get("payment_method_token", ""),
                payment_method_id=values.get("payment_method"),
                return_url=values.get("return_url", ""),
                claim=claim,
            )

        return self.run(operation, resume=self._resume)


class PaymentCaptureView(_PaymentOperation):
    permissions: ClassVar = {"POST": "payments.capture"}

    @extend_schema(
        operation_id="payments_capture",
        request=serializers.PaymentCapture,
        responses={200: shapes.PaymentOut, 202: shapes.PaymentOut},
    )
    def post(self, request: Request, payment_id: str) -> Response:
        """Capture an authorised payment, in full or in part; the remainder is released.

        202: the provider cannot be called at the moment; we capture it as soon as it can. Until
        then another capture or a cancellation takes its place.
        """
        values = serializers.PaymentCapture.parse(self.body)
        key = ids.decode(Payment.PREFIX, payment_id)
        merchant_id, actor = self.seller().merchant_id, self.actor

        def operation(claim: Claim | None) -> Payment:
            return payment_capture(
                payment_id=key,
                actor=actor,
                merchant_id=merchant_id,
                amount_minor=values.get("amount"),
                claim=claim,
            )

        return self.run(operation, resume=self._resume)


class PaymentCancelView(_PaymentOperation):
    permissions: ClassVar = {"POST": "payments.cancel"}

    @extend_schema(
        operation_id="payments_cancel",
        request=serializers.PaymentCancel,
        responses={200: shapes.PaymentOut, 202: shapes.PaymentOut},
    )
    def post(self, request: Request, payment_id: str) -> Response:
        """Cancel a payment that has not been captured; an authorisation is released.

        202: the provider cannot be called at the moment; we cancel it as soon as it can.
        """
        serializers.PaymentCancel.parse(self.body)
        key = ids.decode(Payment.PREFIX, payment_id)
        merchant_id, actor = self.seller().merchant_id, self.actor

        def operation(claim: Claim | None) -> Payment:
            return payment_cancel(payment_id=key, actor=actor, merchant_id=merchant_id, claim=claim)

        return self.run(operation, resume=self._resume)


def payment_filter(query: dict[str, str], *, livemode: bool) -> PaymentFilter:
    """The filters of a payment list, from a query string.

    Raises:
        InvalidRequest: a value that no payment can have: an unknown status, a malformed time, a
            span that ends before it begins.
        NotFound: an id that is none.
    """
    statuses = tuple(part for part in query.get("status", "").split(",") if part)
    unknown = set(statuses) - set(PaymentStatus.values)
    if unknown:
        raise InvalidRequest(
            f"status takes {', '.join(PaymentStatus.values)}.",
            code="parameter_invalid",
            param="status",
        )
    last4 = query.get("last4", "")
    if last4 and not _LAST4.fullmatch(last4):
        raise InvalidRequest(
            "last4 takes the last four digits of a card.", code="parameter_invalid", param="last4"
        )
    amount_min, amount_max = amount_of(query, "amount_min"), amount_of(query, "amount_max")
    if amount_min is not None and amount_max is not None and amount_min > amount_max:
        raise InvalidRequest(
            "amount_min is above amount_max: nothing can be found in between.",
            code="parameter_invalid",
            param="amount_min",
        )
    currency = query.get("currency")
    return PaymentFilter(
        livemode=livemode,
        statuses=statuses,
        created=span_of(query, "created_"),
        amount_min_minor=amount_min,
        amount_max_minor=amount_max,
        currency=iso_currency(currency).code if currency else "",
        customer_id=id_of(query, "customer", "cus"),
        merchant_id=id_of(query, "merchant", "mer"),
        reference=query.get("reference", ""),
        last4=last4,
        email=email_of(query, "email"),
        search=query.get("search", ""),
    )


def _require_visible(actor: Actor, merchant_id: uuid.UUID) -> None:
    """Refuse a filter by a merchant that the caller does not see, as every other foreign id."""
    facts = merchant_facts(merchant_id)
    if facts is not None:
        if actor.merchant_id is not None:
            visible = facts.merchant_id == actor.merchant_id
        elif actor.reseller_id is not None:
            visible = facts.reseller_id == actor.reseller_id
        else:
            visible = actor.platform
        if visible:
            return
    raise NotFound("There is no such merchant.", param="merchant")
