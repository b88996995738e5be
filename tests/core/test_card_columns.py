"""No column of the database takes a card number, whatever way it is written."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import models
from django.db.models import Case, F, Value, When

from core.card_columns import Exempt, Masked, check_of, holds_text, text_fields, treatment
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import InvalidRequest
from core.models import AuditRecord, InboxMessage, OutboxEvent, RequestLog
from core.unit import Writes
from payments.acceptance.models import Customer
from tests.core.support import Thing, happen
from tests.factories import Given, Tenants, make_tenants

ROOT = Path(__file__).resolve().parent.parent.parent
CARD = "4242 4242 4242 4242"
MASKED = "[card number]"
#: Columns without a model: what the framework keeps of its own work.
_NO_MODEL = {"django_migrations"}
#: The text columns that SQL of ours writes past the ORM and `Writes`, and what is written there.
_RAW_SQL = {
    "core/attempts.py": "digests and windows",
    "core/audit.py": "the chain: digests",
    "core/crypto.py": "wrapped keys",
    "core/hmac_auth.py": "nonces, digested where they read like a number",
    "core/inbox.py": "states, and errors that are masked",
    "core/relay.py": "states, and errors that core.outbox masks",
    "core/rotation.py": "sealed text",
    "core/unit.py": "what an event says of a deleted customer: ids and times",
    "ledger/backends/tigerbeetle.py": "names and sums of accounts and transfers",
    "ledger/lock_objects.py": "nothing but a number",
    "ledger/services/integrity.py": "sums",
    "notifications/lock_objects.py": "times, and which sender holds a delivery",
    "notifications/services/delivery.py": "states, and errors worded by us",
    "notifications/services/lanes.py": "times, and which sender holds a delivery",
    "notifications/services/webhooks.py": "states",
    "payments/acceptance/services/customers.py": "times",
    "payments/intents/lock_objects.py": "times",
    "payments/providers/services.py": "states, and a provider's words, masked",
    "tenants/lock_objects.py": "times and attempts",
    "tenants/services/second_factor.py": "steps and times",
    "tenants/services/login_guard.py": "digests and times",
    "tenants/services/passwords.py": "times",
    "tenants/services/sessions.py": "times",
    "tenants/services/sign_in_links.py": "times",
}


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(users=False)


def all_models() -> list[type[models.Model]]:
    return list(apps.get_models(include_auto_created=True))


def test_every_text_column_is_guarded_or_says_why_not() -> None:
    found = {
        f"{model._meta.label}.{field.name}": (check_of(field), treatment(field))
        for model in all_models()
        for field in text_fields(model)
    }
    open_ones = sorted(
        name
        for name, (check, stated) in found.items()
        if check is None and not (isinstance(stated, Exempt) and len(stated.reason) >= 8)
    )

    assert open_ones == []
    assert len(found) > 100


def test_nothing_is_stated_about_columns_that_do_not_exist() -> None:
    unknown = [
        f"{model._meta.label}.{name}"
        for model in all_models()
        for name in getattr(model, "CARD_NUMBERS", {})
        if not holds_text(model._meta.get_field(name))  # type: ignore[arg-type]
    ]
    assert unknown == []


def test_every_text_column_of_the_database_belongs_to_a_model(admin_dsn: str) -> None:
    known = {
        (model._meta.db_table, field.column)
        for model in all_models()
        for field in model._meta.local_concrete_fields
    }
    with psycopg.connect(admin_dsn) as admin:
        columns = admin.execute(
            "SELECT c.relname, a.attname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
            " JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem"
            " WHERE a.attnum > 0 AND NOT a.attisdropped AND ("
            " t.typcategory = 'S' OR t.typname IN ('json', 'jsonb', 'bytea', 'xml', 'hstore')"
            " OR e.typcategory = 'S')"
        ).fetchall()

    without = {row for row in columns if row[0] not in _NO_MODEL} - known
    assert without == set()


def test_sql_that_writes_past_the_guard_is_known() -> None:
    rooms = ("core", "tenants", "ledger", "notifications", "payments", "portal", "developers")
    writers = {
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "migrations" not in path.parts and any(map(_writes_rows, _strings(path)))
    }
    assert writers == set(_RAW_SQL)


def _writes_rows(text: str) -> bool:
    words = text.upper().split()
    return any(
        (words[i : i + 2] == ["INSERT", "INTO"] or (words[i] == "UPDATE" and "SET" in words[i:]))
        for i in range(len(words) - 1)
    )


def _strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield " ".join(str(getattr(part, "value", "x")) for part in node.values)


def a_customer(tenants: Tenants, **values: Any) -> Customer:
    return Customer(
        merchant_id=tenants.merchant.id, reseller_id=tenants.reseller.id, **{"name": "A", **values}
    )


def _save(tenants: Tenants) -> None:
    a_customer(tenants, name=CARD).save()


def _bulk_create(tenants: Tenants) -> None:
    Customer.objects.bulk_create([a_customer(tenants), a_customer(tenants, name=CARD)])


def _update(tenants: Tenants) -> None:
    Customer.objects.filter(merchant_id=tenants.merchant.id).update(name=CARD)


def _bulk_update(tenants: Tenants) -> None:
    row = a_customer(tenants)
    row.save()
    row.name = CARD
    Customer.objects.bulk_update([row], ["name"])


def _expression(tenants: Tenants) -> None:
    Customer.objects.filter(merchant_id=tenants.merchant.id).update(
        name=Case(When(id=F("id"), then=Value(CARD)), default=Value(""))
    )


def _writes_insert(tenants: Tenants) -> None:
    writes = Given()
    writes.insert(a_customer(tenants, name=CARD))
    writes.flush()


def _writes_update(tenants: Tenants) -> None:
    row = a_customer(tenants)
    row.save()
    row.name = CARD
    writes = Given()
    writes.update(row, "name")
    writes.flush()


@pytest.mark.parametrize(
    "write",
    [_save, _bulk_create, _update, _bulk_update, _expression, _writes_insert, _writes_update],
)
def test_no_way_of_writing_takes_a_card_number(
    tenants: Tenants, write: Callable[[Tenants], None]
) -> None:
    with pytest.raises(InvalidRequest) as refused, tenant_atomic(tenants.scope):
        write(tenants)

    assert (refused.value.code, refused.value.param) == ("card_number_refused", "name")
    assert "4242" not in refused.value.message
    with tenant_atomic(tenants.scope):
        assert not Customer.objects.filter(merchant_id=tenants.merchant.id).exists()


def test_a_number_deep_in_json_is_named_by_its_place(tenants: Tenants) -> None:
    with pytest.raises(InvalidRequest) as refused, tenant_atomic(tenants.scope):
        a_customer(tenants, metadata={"a": {"b": ["x", "4242\n4242\n4242\n4242"]}}).save()
    assert refused.value.param == "metadata.a.b[1]"


def test_an_audit_record_never_fails_and_masks(tenants: Tenants) -> None:
    with tenant_atomic(tenants.scope):
        writes = Writes()
        writes.record(
            Thing.of(tenants, CARD),
            action="thing.do",
            event=None,
            actor=Actor.system("t"),
            before={"note": f"pay {CARD} now", CARD: 1},
            after={"deep": [{"email": "4242424242424242@shop.example"}], "sum": 4242424242424242},
        )
        writes.flush()
        stored = AuditRecord.objects.get(merchant_id=tenants.merchant.id, action="thing.do")

    assert stored.target == MASKED
    assert stored.before == {"note": f"pay {MASKED} now", MASKED: 1}
    assert stored.after == {
        "deep": [{"email": f"{MASKED}@shop.example"}],
        "sum": 4242424242424242,
    }


def test_an_event_masks_what_a_provider_said(tenants: Tenants) -> None:
    with tenant_atomic(tenants.scope):
        said = {"failure_message": f"No such card {CARD}", "amount": 900}
        happen(Thing.of(tenants, "pay_x"), "test.done", payload=said)
        stored = OutboxEvent.objects.get(merchant_id=tenants.merchant.id, aggregate="pay_x")
    assert stored.payload == {"failure_message": f"No such card {MASKED}", "amount": 900}


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (b'{"note":"4242-4242-4242-4242","n":4242424242424242,"id":7}',
         b'{"note":"[card number]","n":"[card number]","id":7}'),
        (b'{"note": "\\u0034242424242424242"}', b'{"note":"[card number]"}'),
        (b"card=4242424242424242&x=1", b"card=[card number]&x=1"),
        (b'{ "order" : "A", "at": 1763715000005 }', b'{ "order" : "A", "at": 1763715000005 }'),
    ],
)  # fmt: skip
def test_a_providers_message_is_stored_without_numbers_else_as_it_came(
    tenants: Tenants, raw: bytes, stored: bytes
) -> None:
    owner = tenants.merchant.id
    message = InboxMessage(provider="x", account_id=owner, lane_id=owner, event_id="e", raw=raw)
    with tenant_atomic(Scope.worker()):
        message.save()
        found = InboxMessage.objects.get(id=message.id)
        assert bytes(found.raw) == stored


def test_every_masked_column_takes_its_masked_text() -> None:
    too_narrow = [
        f"{model._meta.label}.{field.name}"
        for model in all_models()
        for field in text_fields(model)
        if isinstance(treatment(field), Masked)
        and field.max_length is not None
        and field.max_length < len(MASKED)
    ]
    assert too_narrow == []


def test_a_log_of_requests_masks(tenants: Tenants) -> None:
    row = RequestLog(
        merchant_id=tenants.merchant.id, request_id="r", method="GET", path=f"/v1/x/{CARD}",
        status=404, duration_ms=1, actor_id="k", error_code="", idempotency_key=CARD,
    )  # fmt: skip
    with tenant_atomic(Scope.worker()):
        RequestLog.objects.bulk_create([row])
        found = RequestLog.objects.get(id=row.id)
    assert (found.path, found.idempotency_key) == (f"/v1/x/{MASKED}", MASKED)
