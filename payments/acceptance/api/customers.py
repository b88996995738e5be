"""`/v1/customers` and `/v1/payment_methods`."""

from __future__ import annotations

from typing import ClassVar

from django.db import IntegrityError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import PAGE, email_of, id_of
from core.api.renderers import dump, success
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import AppError, InvalidRequest
from core.idempotency import Answer
from core.pagination import PageRequest, paginate
from payments.acceptance import serializers, shapes
from payments.acceptance.models import Customer, PaymentMethod
from payments.acceptance.selectors import (
    customer_get,
    customers,
    payment_method_get,
    payment_methods,
)
from payments.acceptance.services import (
    customer_create,
    customer_delete,
    customer_update,
    payment_method_attach,
    payment_method_detach,
)
from tenants.authentication import merchant_facts


class CustomersView(ApiView):
    """Create and list customers."""

    tag = "Customers"
    permissions: ClassVar = {"GET": "customers.read", "POST": "customers.write"}
    filters: ClassVar = ("email", "reference", "limit", "cursor")

    @extend_schema(
        operation_id="customers_list",
        parameters=[
            OpenApiParameter("email", str),
            OpenApiParameter("reference", str),
            *PAGE,
        ],
        responses={200: shapes.CustomerPage},
    )
    def get(self, request: Request) -> Response:
        """List customers, newest first."""
        query = self.query
        page = PageRequest.from_query(query)
        with tenant_atomic(self.actor.scope):
            rows = customers(
                livemode=self.actor.livemode,
                email=email_of(query, "email"),
                reference=query.get("reference", ""),
                merchant_id=self.actor.merchant_id,
            )
            return Response(paginate(rows, page).render(shapes.customer_out))

    @extend_schema(
        operation_id="customers_create",
        request=serializers.CustomerCreate,
        responses={201: shapes.CustomerOut},
    )
    def post(self, request: Request) -> Response:
        """Create a customer."""
        values = serializers.CustomerCreate.parse(self.body)
        _require_merchant(self)
        return self.once(
            lambda: customer_create(actor=self.actor, **values), render=shapes.customer_out
        )


class CustomerView(ApiView):
    """One customer."""

    tag = "Customers"
    permissions: ClassVar = {
        "GET": "customers.read",
        "PATCH": "customers.write",
        "DELETE": "customers.write",
    }

    @extend_schema(operation_id="customers_retrieve", responses={200: shapes.CustomerOut})
    def get(self, request: Request, customer_id: str) -> Response:
        """Retrieve a customer."""
        key = ids.decode(Customer.PREFIX, customer_id)
        with tenant_atomic(self.actor.scope):
            found = customer_get(customer_id=key, livemode=self.actor.livemode)
            return Response(shapes.customer_out(found))

    @extend_schema(
        operation_id="customers_update",
        request=serializers.CustomerUpdate,
        responses={200: shapes.CustomerOut},
    )
    def patch(self, request: Request, customer_id: str) -> Response:
        """Change a customer. Metadata is merged by key; a key whose value is null is deleted."""
        values = serializers.CustomerUpdate.parse(self.body)
        key = ids.decode(Customer.PREFIX, customer_id)
        with tenant_atomic(self.actor.scope):
            changed = customer_update(customer_id=key, actor=self.actor, changes=values)
        return Response(shapes.customer_out(changed))

    @extend_schema(operation_id="customers_delete", responses={200: shapes.CustomerOut})
    def delete(self, request: Request, customer_id: str) -> Response:
        """Forget a customer's personal data and detach the saved methods; payments stay."""
        key = ids.decode(Customer.PREFIX, customer_id)
        with tenant_atomic(self.actor.scope):
            return Response(shapes.customer_out(customer_delete(customer_id=key, actor=self.actor)))


class PaymentMethodsView(ApiView):
    """Save and list a customer's payment methods."""

    tag = "Customers"
    permissions: ClassVar = {"GET": "payment_methods.read", "POST": "payment_methods.write"}
    filters: ClassVar = ("customer", "limit", "cursor")

    @extend_schema(
        operation_id="payment_methods_list",
        parameters=[OpenApiParameter("customer", str, required=True), *PAGE],
        responses={200: shapes.PaymentMethodPage},
    )
    def get(self, request: Request) -> Response:
        """List a customer's saved methods, newest first."""
        query = self.query
        key = id_of(query, "customer", Customer.PREFIX)
        if key is None:
            raise InvalidRequest(
                "Name the customer: ?customer=cus_…", code="parameter_missing", param="customer"
            )
        page = PageRequest.from_query(query)
        with tenant_atomic(self.actor.scope):
            customer_get(customer_id=key, livemode=self.actor.livemode)
            rows = payment_methods(customer_id=key, livemode=self.actor.livemode)
            return Response(paginate(rows, page).render(shapes.payment_method_out))

    @extend_schema(
        operation_id="payment_methods_create",
        request=serializers.PaymentMethodAttach,
        responses={201: shapes.PaymentMethodOut},
    )
    def post(self, request: Request) -> Response:
        """Save a card for a customer: exchange a one-use token for a reusable method."""
        values = serializers.PaymentMethodAttach.parse(self.body)
        _require_merchant(self)
        claim = self.claim(lambda made: (201, dump(success(shapes.payment_method_out(made)))))
        if claim is not None:
            previous = claim.previous()
            if isinstance(previous, Answer):
                return self.replay(previous)
        try:
            method = payment_method_attach(
                customer_id=values["customer"],
                payment_method_token=values["payment_method_token"],
                actor=self.actor,
                currency=_default_currency(self),
                claim=claim,
            )
        except AppError as error:
            if error.param == "payment_method_token" and "token" in self.body:
                # Who sends the earlier name reads it in errors too.
                error.param = "token"
            raise
        except IntegrityError as error:
            if claim is None:
                raise
            return self.lost_race(claim, error)
        if claim is not None and claim.answer is not None:
            return self.replay(claim.answer)
        return Response(shapes.payment_method_out(method), status=201)


class PaymentMethodView(ApiView):
    """One saved method."""

    tag = "Customers"
    permissions: ClassVar = {"GET": "payment_methods.read", "DELETE": "payment_methods.write"}

    @extend_schema(
        operation_id="payment_methods_retrieve", responses={200: shapes.PaymentMethodOut}
    )
    def get(self, request: Request, payment_method_id: str) -> Response:
        """Retrieve a saved method."""
        key = ids.decode(PaymentMethod.PREFIX, payment_method_id)
        with tenant_atomic(self.actor.scope):
            found = payment_method_get(payment_method_id=key, livemode=self.actor.livemode)
            return Response(shapes.payment_method_out(found))

    @extend_schema(operation_id="payment_methods_detach", responses={200: shapes.PaymentMethodOut})
    def delete(self, request: Request, payment_method_id: str) -> Response:
        """Detach a saved method: it can no longer be charged."""
        key = ids.decode(PaymentMethod.PREFIX, payment_method_id)
        with tenant_atomic(self.actor.scope):
            gone = payment_method_detach(payment_method_id=key, actor=self.actor)
            return Response(shapes.payment_method_out(gone))


def _require_merchant(view: ApiView) -> None:
    if view.actor.merchant_id is None:
        raise InvalidRequest("Use a merchant's key.", code="merchant_required")


def _default_currency(view: ApiView) -> str:
    # An API key's merchant was read with the key; a person's has to be looked up.
    facts = getattr(view.request._request, "merchant", None)
    if facts is None and view.actor.merchant_id is not None:
        facts = merchant_facts(view.actor.merchant_id)
    if facts is None:
        raise InvalidRequest("Use a merchant's key.", code="merchant_required")
    return str(facts.default_currency)
