"""The admin's lists find what is pasted by an index; their filters ask the database nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from django.contrib import admin
from django.db import connection, models
from django.db.models import Model, QuerySet
from django.test import RequestFactory

from core import ids
from core.admin_search import FoundById
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, InboxMessage, OutboxEvent, RequestLog
from ledger.models import Account, CorrectionProposal, FxConversion, Transfer
from payments.acceptance.models import Customer, Payment, Refund
from payments.checkout.models import CheckoutSession
from payments.intents.models import Intent
from tenants.models import Merchant, Reseller
from tests.factories import make_tenants

ROWS: Final = 20_000

_FILL: Final = (
    """
    INSERT INTO acceptance_customer
      (id, created_at, merchant_id, reseller_id, livemode, email, name, reference, metadata)
    SELECT gen_random_uuid(), now(), %(m)s, %(r)s, false, 'buyer' || n || '@example.test', '',
           'buyer-' || n, '{}'
      FROM generate_series(1, %(n)s) AS n
    """,
    """
    INSERT INTO acceptance_payment
      (id, created_at, merchant_id, reseller_id, livemode, amount_minor, currency, status, version,
       manual_capture, amount_capturable_minor, amount_captured_minor, amount_refunded_minor,
       amount_disputed_minor, fee_minor, customer_id, token, channel, card, last4, description,
       reference, statement_descriptor, metadata, return_url, next_action_url, failure_code,
       failure_message, updated_at)
    SELECT gen_random_uuid(), now(), merchant_id, reseller_id, false, 100, 'USD', 'pending', 1,
           false, 0, 0, 0, 0, 0, id, '', 'api', '{}', lpad((row_number() OVER () %% 5000)::text,
           4, '0'), '', 'order-' || row_number() OVER (), '', '{}', '', '', '', '', now()
      FROM acceptance_customer WHERE merchant_id = %(m)s
    """,
    """
    INSERT INTO acceptance_refund
      (id, created_at, merchant_id, reseller_id, livemode, payment_id, amount_minor, currency,
       status, reason, failure_code, failure_message, metadata, updated_at)
    SELECT gen_random_uuid(), now(), merchant_id, reseller_id, false, id, 100, 'USD', 'failed', '',
           '', '', '{}', now()
      FROM acceptance_payment WHERE merchant_id = %(m)s
    """,
)


@pytest.fixture(scope="module")
def long_tables(worker_admin_dsn: str) -> Iterator[None]:
    tenants = make_tenants(users=False)
    with psycopg.connect(worker_admin_dsn, autocommit=True) as owner:
        place = {"m": tenants.merchant.id, "r": tenants.reseller.id, "n": ROWS}
        for sql in _FILL:
            owner.execute(sql, place)
        owner.execute("ANALYZE acceptance_customer, acceptance_payment, acceptance_refund")
        yield
        for table in ("refund", "payment", "customer"):
            owner.execute(f"DELETE FROM acceptance_{table} WHERE merchant_id = %(m)s", place)


def found(model: type[Model], text: str) -> QuerySet[Any]:
    """A list that is searched."""
    model_admin = admin.site._registry[model]
    rows = model_admin.model._default_manager.order_by("-id")
    request = RequestFactory().get("/admin/")
    return model_admin.get_search_results(request, rows, text)[0]


def plan_of(rows: QuerySet[Any], *, seqscan: bool = True) -> str:
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        if not seqscan:
            # The tables are short here: only how they would be read when they are long counts.
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        return json.dumps(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("model", "text", "index", "count"),
    [
        (Payment, "Buyer77@example.test", "customer_any_email", 1),
        (Payment, "0077", "payment_last4", 4),
        (Payment, "order-77", "payment_reference", 1),
        (Refund, "buyer77@example.test", "customer_any_email", 1),
        (Refund, "order-77", "payment_reference", 1),
        (Customer, "buyer77@example.test", "customer_any_email", 1),
        (Customer, "buyer-77", "customer_reference", 1),
    ],
)
def test_what_people_have_is_found_among_many_by_an_index(
    long_tables: None, model: type[Model], text: str, index: str, count: int
) -> None:
    with tenant_atomic(Scope.staff()):
        rows = found(model, text)[:51]
        assert len(rows) == count
        plan = plan_of(rows)
    assert index in plan
    assert "Seq Scan" not in plan


_ANY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def _id(prefix: str) -> str:
    return ids.encode(prefix, _ANY)


@pytest.mark.parametrize(
    ("model", "text", "indexes"),
    [
        (OutboxEvent, _id("pay"), {"outbox_object", "outbox_aggregate"}),
        (OutboxEvent, _id("evt"), {"core_outboxevent_pkey"}),
        (OutboxEvent, _id("mer"), {"outbox_merchant_newest"}),
        (OutboxEvent, _id("req"), {"core_outboxevent_pkey"}),
        (AuditRecord, _id("pay"), {"audit_target_time"}),
        (AuditRecord, _id("usr"), {"audit_target_time", "audit_person"}),
        (AuditRecord, _id("req"), {"core_auditrecord_pkey"}),
        (InboxMessage, "evt_of_theirs", {"inbox_once_per_event", "inbox_reference"}),
        (Intent, "pi_of_theirs", {"intent_external"}),
        (CheckoutSession, "order-1", {"checkout_session_reference"}),
        (Account, "merchant_pending/", {"ledger_account_name"}),
        (Account, _id("mer"), {"ledger_account_merchant"}),
        (FxConversion, _id("mer"), {"ledger_fx_merchant"}),
        (Transfer, _id("pay"), {"ledger_transfer_document"}),
        (
            Transfer,
            _id("acc"),
            {"ledger_transfer_debits", "ledger_transfer_credits"},
        ),
    ],
)
def test_the_prefix_of_an_id_picks_the_column_and_its_index(
    database: str, model: type[Model], text: str, indexes: set[str]
) -> None:
    with tenant_atomic(Scope.staff()):
        # Without the order, which an empty table is read by.
        plan = plan_of(found(model, text).order_by()[:51], seqscan=False)
    assert [name for name in indexes if name not in plan] == [], plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("text", ["req_7" + "z" * 25, "req_" + "0" * 26, "req_nonsense", "pay_"])
def test_an_id_of_no_time_that_ever_was_finds_nothing(database: str, text: str) -> None:
    with tenant_atomic(Scope.staff()):
        for model in (AuditRecord, OutboxEvent, InboxMessage, RequestLog, Payment, Transfer):
            assert list(found(model, text)) == []


@pytest.mark.parametrize("model", [FxConversion, CorrectionProposal, Merchant, Reseller])
def test_an_id_is_found_as_the_lists_show_it(database: str, model: Any) -> None:
    for text in (_id(model.PREFIX), str(_ANY)):
        conditions: list[Any] = found(model, text).query.where.children
        assert [(one.lookup_name, one.rhs) for one in conditions] == [("exact", _ANY)]


def _admins() -> list[tuple[type[Model], Any]]:
    ours = ("core", "tenants", "ledger", "payments", "notifications")
    return [
        (model, one)
        for model, one in admin.site._registry.items()
        if type(one).__module__.partition(".")[0] in ours
    ]


def test_no_filter_looks_for_its_values_in_the_table() -> None:
    """Django asks for a plain column's values by SELECT DISTINCT, whenever the list opens."""
    wrong = []
    for model, one in _admins():
        for name in one.list_filter:
            if not isinstance(name, str):
                continue
            field = model._meta.get_field(name)
            known = isinstance(field, models.BooleanField | models.DateField)
            if not (known or field.is_relation or getattr(field, "choices", None)):
                wrong.append(f"{model._meta.label}.{name}")
    assert len(_admins()) > 20
    assert wrong == []


def test_every_search_is_the_one_by_ids_and_says_what_it_takes() -> None:
    for model, one in _admins():
        assert isinstance(one, FoundById), model
        assert not [name for name in one.search_fields if name[0] in "=^@" or name == "id"], model
        assert bool(one.search_help_text) == bool(
            one.id_columns or one.search_fields or type(one).matching is not FoundById.matching
        ), model
