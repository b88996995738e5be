"""A unit of work records every change that it writes, or writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent, Tenancy
from core.unit import UnrecordedChange, Writes
from payments.acceptance.models import Customer, Payment
from tenants.models import Merchant, Reseller
from tests.core.support import Thing, spec_of
from tests.factories import Tenants, make_tenants

SYSTEM: Final = Actor.system("test")
FLUSHES: Final = pytest.mark.parametrize("flush", [Writes.flush, Writes.flush_with_commit])


@pytest.fixture
def tenants(database: str) -> Tenants:
    return make_tenants()


def a_customer(tenants: Tenants) -> Customer:
    return Customer(merchant_id=tenants.merchant.id, reseller_id=tenants.reseller.id, name="Ada")


def names(tenants: Tenants) -> list[str]:
    with tenant_atomic(tenants.scope):
        found = Customer.objects.filter(merchant_id=tenants.merchant.id)
        return list(found.values_list("name", flat=True))


def record(writes: Writes, row: Any, **more: Any) -> None:
    writes.record(row, action="customer.touched", event=None, actor=SYSTEM, **more)


def recorded(tenants: Tenants, row: Any, actor: Actor) -> tuple[Tenancy, Tenancy]:
    """Whose the audit record and the event of a change are."""
    with tenant_atomic(Scope.worker()):
        writes = Writes()
        writes.record(row, action="test.done", event=spec_of("test.done"), actor=actor)
        writes.flush()
        written = AuditRecord.objects.filter(target=row.public_id).latest("id")
        event = OutboxEvent.objects.filter(object_id=row.public_id).latest("id")
    return (
        Tenancy(written.merchant_id, written.reseller_id, written.livemode),
        Tenancy(event.merchant_id, event.reseller_id, event.livemode),
    )


@FLUSHES
def test_a_new_row_without_a_record_is_refused(
    tenants: Tenants, flush: Callable[[Writes], None]
) -> None:
    writes = Writes()
    writes.insert(a_customer(tenants))
    with pytest.raises(UnrecordedChange, match="Customer"), tenant_atomic(tenants.scope):
        flush(writes)
    assert names(tenants) == []


@FLUSHES
def test_a_changed_row_without_a_record_is_refused(
    tenants: Tenants, flush: Callable[[Writes], None]
) -> None:
    customer = a_customer(tenants)
    with tenant_atomic(tenants.scope):
        customer.save()
    customer.name = "Bob"
    writes = Writes()
    writes.update(customer, "name")
    with pytest.raises(UnrecordedChange, match="Customer"), tenant_atomic(tenants.scope):
        flush(writes)
    assert names(tenants) == ["Ada"]


def test_a_record_of_one_row_covers_no_other(tenants: Tenants) -> None:
    one, other = a_customer(tenants), a_customer(tenants)
    writes = Writes()
    writes.insert(one, other)
    record(writes, one)
    with pytest.raises(UnrecordedChange), tenant_atomic(tenants.scope):
        writes.flush()
    assert names(tenants) == []


def test_a_record_covers_the_rows_that_it_names(tenants: Tenants) -> None:
    one, other = a_customer(tenants), a_customer(tenants)
    writes = Writes()
    writes.insert(one, other)
    record(writes, one, also=(other,))
    with tenant_atomic(tenants.scope):
        writes.flush()
    assert names(tenants) == ["Ada", "Ada"]


def test_a_record_covers_one_flush(tenants: Tenants) -> None:
    customer = a_customer(tenants)
    writes = Writes()
    writes.insert(customer)
    record(writes, customer)
    with tenant_atomic(tenants.scope):
        writes.flush()
    writes.update(customer, "name")
    with pytest.raises(UnrecordedChange), tenant_atomic(tenants.scope):
        writes.flush()


@pytest.mark.parametrize(
    ("columns", "refused"), [(("card", "last4"), False), (("card", "status"), True)]
)
def test_columns_that_need_no_record_are_written_alone(
    columns: tuple[str, ...], refused: bool
) -> None:
    writes = Writes()
    writes.update(Payment(), *columns)
    assert bool(writes._written) is refused


def test_a_record_is_of_the_rows_tenant_and_mode(tenants: Tenants) -> None:
    own = Tenancy(tenants.merchant.id, tenants.reseller.id, livemode=True)
    actor = Actor(kind="user", id="usr_1", reseller_id=tenants.reseller.id)
    assert recorded(tenants, Thing("obj_own", own), actor) == (own, own)


def test_a_record_of_no_tenants_row_is_the_actors(tenants: Tenants) -> None:
    actor = Actor(
        kind="user",
        id="usr_1",
        merchant_id=tenants.merchant.id,
        reseller_id=tenants.reseller.id,
        livemode=True,
    )
    assert recorded(tenants, Thing("obj_none"), actor) == (
        Tenancy(tenants.merchant.id, tenants.reseller.id, livemode=True),
        Tenancy(None, None, livemode=False),
    )


def test_a_record_of_a_resellers_row_names_no_merchant(tenants: Tenants) -> None:
    actor = Actor(kind="user", id="usr_1", merchant_id=tenants.merchant.id)
    own = Tenancy(None, tenants.reseller.id, livemode=False)
    assert recorded(tenants, Thing("obj_reseller", own), actor) == (own, own)


def test_tenants_are_their_own() -> None:
    reseller = Reseller()
    merchant = Merchant(reseller=reseller)
    assert reseller.tenancy() == Tenancy(None, reseller.id, None)
    assert merchant.tenancy() == Tenancy(merchant.id, reseller.id, None)
