"""Tenant-bound transactions: what a block that goes on after a database error ends in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from django.db import DataError, connection, transaction

from core.db import Scope, ScopeError, after_commit, execute_prepared, fetch_all, tenant_atomic
from core.models import AuditRecord
from core.unit import Writes
from tests.factories import make_tenants

BY_ZERO = "SELECT 1 / $1::int"


@pytest.mark.parametrize(
    "fail",
    [lambda: execute_prepared(BY_ZERO, [0]), lambda: fetch_all("SELECT 1 / %s::int", [0])],
    ids=["prepared", "cursor"],
)
def test_an_error_that_a_block_swallows_is_not_taken_for_a_commit(
    fail: Callable[[], object],
) -> None:
    tenants = make_tenants()
    hooks: list[int] = []

    def go_on_after_an_error() -> None:
        with tenant_atomic(Scope.worker()):
            writes = Writes()
            actor = tenants.actor("owner")
            writes.record(None, action="test.swallowed", event=None, actor=actor)
            writes.flush()
            after_commit(lambda: hooks.append(1))
            with contextlib.suppress(DataError):
                fail()

    with pytest.raises(ScopeError, match="nothing of it was kept"):
        go_on_after_an_error()

    assert hooks == []
    with tenant_atomic(Scope.worker()):
        merchant_id = tenants.merchant.id
        assert not AuditRecord.objects.filter(
            merchant_id=merchant_id, action="test.swallowed"
        ).exists()
    assert not connection.in_atomic_block


def test_an_error_inside_a_savepoint_of_its_own_may_be_swallowed() -> None:
    kept: list[int] = []
    with tenant_atomic(Scope.worker()):
        with contextlib.suppress(DataError), transaction.atomic():
            execute_prepared(BY_ZERO, [0])
        after_commit(lambda: kept.append(1))
    assert kept == [1]
