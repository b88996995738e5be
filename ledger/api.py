"""REST: `/v1/balance`, `/v1/ledger/accounts`, `/v1/ledger/transfers`."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.query import PAGE, moment_of, naming, span_names, span_of, span_parameters
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import InvalidRequest
from core.money import currency as known_currency
from core.pagination import PageRequest
from ledger import selectors, shapes
from ledger.chart import BY_NAME
from ledger.documents import document_of

_READ: dict[str, str] = {"GET": "ledger.read"}


class BalanceView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"GET": "balance.read"}

    @extend_schema(
        operation_id="balance_retrieve",
        summary="Retrieve the balance",
        tags=["Ledger"],
        responses=shapes.BalanceOut,
    )
    def get(self, request: Request) -> Response:
        """Pending, available and reserved money of the key's mode, by currency, in minor units."""
        actor = self.actor
        with tenant_atomic(actor.scope):
            balances = selectors.balance_by_currency(actor=actor)
        return Response(shapes.balance_out(balances, livemode=actor.livemode))


class AccountsView(ApiView):
    filters: ClassVar = ("limit", "cursor", "currency", "type")
    permissions: ClassVar[dict[str, str]] = _READ

    @extend_schema(
        operation_id="ledger_accounts_list",
        summary="List ledger accounts",
        tags=["Ledger"],
        parameters=[
            *PAGE,
            OpenApiParameter("currency", str, description="ISO 4217 code."),
            OpenApiParameter("type", str, description="For example `merchant_pending`."),
        ],
        responses=shapes.AccountList,
    )
    def get(self, request: Request) -> Response:
        """Your accounts in the key's mode, with their balances."""
        query = self.query
        currency = query.get("currency")
        kind = query.get("type")
        if kind is not None and kind not in BY_NAME:
            raise InvalidRequest(
                "type must be a line of the chart of accounts, such as merchant_pending.",
                code="parameter_invalid",
                param="type",
            )
        with tenant_atomic(self.actor.scope):
            page = selectors.accounts_page(
                actor=self.actor,
                page=PageRequest.from_query(query),
                currency=known_currency(currency).code if currency else None,
                code=BY_NAME[kind].code if kind else None,
            )
        return Response(page.render(shapes.account_out))


class AccountView(ApiView):
    filters: ClassVar = ("as_of",)
    permissions: ClassVar[dict[str, str]] = _READ

    @extend_schema(
        operation_id="ledger_accounts_retrieve",
        summary="Retrieve a ledger account",
        tags=["Ledger"],
        parameters=[
            OpenApiParameter("as_of", datetime, description="The balances as of this time.")
        ],
        responses=shapes.AccountOut,
    )
    def get(self, request: Request, account_id: str) -> Response:
        """An account with its balances, now or as of a past time."""
        as_of = moment_of(self.query, "as_of")
        with tenant_atomic(self.actor.scope):
            account = selectors.account_get(actor=self.actor, account_id=account_id)
            if as_of is not None:
                then = selectors.balance_as_of(account.id, as_of)
                account.debits_pending = then.debits_pending
                account.debits_posted = then.debits_posted
                account.credits_pending = then.credits_pending
                account.credits_posted = then.credits_posted
        return Response(shapes.account_out(account))


class StatementView(ApiView):
    filters: ClassVar = ("limit", "cursor", *span_names())
    permissions: ClassVar[dict[str, str]] = _READ

    @extend_schema(
        operation_id="ledger_accounts_statement",
        summary="Read an account's statement",
        tags=["Ledger"],
        parameters=[
            *PAGE,
            *span_parameters("Booked"),
        ],
        responses=shapes.Statement,
    )
    def get(self, request: Request, account_id: str) -> Response:
        """The account's transfers with the balance after each, newest first."""
        query = self.query
        span = span_of(query)
        with tenant_atomic(self.actor.scope):
            account = selectors.account_get(actor=self.actor, account_id=account_id)
            page = selectors.statement_page(
                account=account,
                page=PageRequest.from_query(query),
                span=span,
            )
        side = selectors.normal_side(account.code)
        return Response(page.render(lambda line: shapes.statement_line_out(line, side=side)))


class TransfersView(ApiView):
    filters: ClassVar = ("limit", "cursor", "account", "document")
    permissions: ClassVar[dict[str, str]] = _READ

    @extend_schema(
        operation_id="ledger_transfers_list",
        summary="List transfers",
        tags=["Ledger"],
        parameters=[
            *PAGE,
            OpenApiParameter("account", str, description="Only this account's (`acc_…`)."),
            OpenApiParameter(
                "document",
                str,
                description="Only this document's (`pay_…`, `ref_…`, or its UUID), oldest first.",
            ),
        ],
        responses=shapes.TransferList,
    )
    def get(self, request: Request) -> Response:
        """Transfers on your accounts, newest first."""
        query = self.query
        wanted, document = query.get("account"), query.get("document")
        with tenant_atomic(self.actor.scope), naming("account" if wanted else "document"):
            page = selectors.transfers_page(
                actor=self.actor,
                page=PageRequest.from_query(query),
                account=selectors.account_get(actor=self.actor, account_id=wanted)
                if wanted
                else None,
                document_id=document_of(document) if document is not None else None,
            )
            states = selectors.states_of(page.items)
        return Response(page.render(lambda t: shapes.transfer_out(t, states)))


class TransferView(ApiView):
    permissions: ClassVar[dict[str, str]] = _READ

    @extend_schema(
        operation_id="ledger_transfers_retrieve",
        summary="Retrieve a transfer",
        tags=["Ledger"],
        responses=shapes.TransferOut,
    )
    def get(self, request: Request, transfer_id: str) -> Response:
        """One transfer by its id."""
        with tenant_atomic(self.actor.scope):
            found = selectors.transfer_get(actor=self.actor, transfer_id=transfer_id)
            states = selectors.states_of([found])
        return Response(shapes.transfer_out(found, states))
