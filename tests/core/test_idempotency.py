"""A claim shows what has committed, and nothing else."""

from __future__ import annotations

import uuid
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from core.db import Scope, tenant_atomic
from core.errors import Conflict, Unprocessable
from core.idempotency import LOCK, Answer, Claim
from core.ids import new_id
from core.models import IdempotencyRecord
from core.unit import Writes
from payments.providers.models import ProviderAccount
from tests.factories import Tenants, make_merchant, make_tenants


@pytest.fixture
def tenants(database: str) -> Tenants:
    return make_tenants(users=False)


def a_claim(tenants: Tenants, key: str = "k-1", *, body: bytes = b"{}", actor: Any = None) -> Claim:
    return Claim(
        actor=actor or tenants.key_actor(),
        key=key,
        request=("POST", "/v1/x", body),
        render=lambda made: (201, b"made"),
    )


def finish(claim: Claim, scope: Scope, *, then: Exception | None = None) -> None:
    """Store an answer in a transaction of its own, which may come to a bad end."""
    with tenant_atomic(scope):
        writes = Writes()
        claim.finish(writes, SimpleNamespace(id=new_id()))
        writes.flush()
        assert claim.answer is None, "nothing has committed"
        if then is not None:
            raise then


def test_an_answer_that_was_rolled_back_is_no_answer(tenants: Tenants) -> None:
    claim = a_claim(tenants)
    with pytest.raises(RuntimeError):
        finish(claim, tenants.scope, then=RuntimeError())
    assert (claim.answer, claim.record) == (None, None)
    assert claim.previous() is None

    finish(claim, tenants.scope)
    assert claim.answer == Answer(201, b"made")
    assert a_claim(tenants).previous() == Answer(201, b"made", replayed=True)


def begin(claim: Claim, scope: Scope, resource: uuid.UUID, *, fails: bool = False) -> None:
    with tenant_atomic(scope):
        writes = Writes()
        claim.begin(writes, resource)
        writes.flush()
        if fails:
            raise RuntimeError


def test_a_claim_that_was_rolled_back_is_free_again(tenants: Tenants) -> None:
    claim = a_claim(tenants)
    with pytest.raises(RuntimeError):
        begin(claim, tenants.scope, new_id(), fails=True)
    assert claim.record is None
    assert claim.previous() is None


def test_a_claim_that_was_begun_is_finished_in_its_own_row(tenants: Tenants) -> None:
    claim, resource = a_claim(tenants), new_id()
    begin(claim, tenants.scope, resource)
    finish(claim, tenants.scope)
    with tenant_atomic(tenants.scope):
        [row] = IdempotencyRecord.objects.filter(key="k-1")
    assert (row.resource_id, row.status, row.locked_until) == (resource, 201, None)


def test_a_services_key_is_found_whichever_merchant_it_was_used_for(tenants: Tenants) -> None:
    other, service, key = make_merchant(tenants), f"svc_{uuid.uuid4().hex}", "two-merchants"

    def acting_for(merchant: Tenants, body: bytes) -> Claim:
        actor = replace(
            tenants.service_actor(),
            id=service,
            merchant_id=merchant.merchant.id,
            reseller_id=merchant.reseller.id,
        )
        return a_claim(merchant, key, body=body, actor=actor)

    finish(acting_for(tenants, b"first"), tenants.scope)
    with pytest.raises(Unprocessable):
        acting_for(other, b"second").previous()


FIRST = ("POST", "/v1/payments/pay_1/capture", b'{"amount":1}')


def claim_of(tenants: Tenants, request: tuple[str, str, bytes], **more: Any) -> Claim:
    actor = more.pop("actor", tenants.key_actor())
    made = (201, b'{"made":1}')
    return Claim(actor=actor, key="k-1", request=request, render=lambda _: made, **more)


@pytest.mark.parametrize(
    "other",
    [
        ("PATCH", *FIRST[1:]),
        (FIRST[0], "/v1/payments/pay_2/capture", FIRST[2]),
        (FIRST[0], FIRST[1] + "?expand=events", FIRST[2]),
        (*FIRST[:2], b'{"amount":2}'),
        # Together they read as the first.
        (FIRST[0], FIRST[1] + FIRST[2].decode(), b""),
    ],
    ids=["method", "path", "query", "body", "moved border"],
)
def test_a_used_key_takes_no_other_request(tenants: Tenants, other: tuple[str, str, bytes]) -> None:
    finish(claim_of(tenants, FIRST), tenants.scope)

    with pytest.raises(Unprocessable) as refused:
        claim_of(tenants, other).previous()
    assert refused.value.param == "Idempotency-Key"
    replayed = claim_of(tenants, FIRST).previous()
    assert replayed == Answer(201, b'{"made":1}', replayed=True)


def test_a_key_used_in_test_mode_is_free_in_live_mode(tenants: Tenants) -> None:
    finish(claim_of(tenants, FIRST), tenants.scope)
    live = claim_of(tenants, FIRST, actor=tenants.key_actor(livemode=True))
    assert live.previous() is None


def test_a_sealed_answer_is_stored_encrypted_and_given_to_its_caller_alone(
    tenants: Tenants,
) -> None:
    finish(claim_of(tenants, FIRST, sealed=True), tenants.scope)

    with tenant_atomic(tenants.scope):
        [row] = IdempotencyRecord.objects.filter(key="k-1")
    assert b"made" not in bytes(row.body or b"")
    again = claim_of(tenants, FIRST, sealed=True).previous()
    assert again == Answer(201, b'{"made":1}', replayed=True)
    another = replace(tenants.key_actor(), id="key_of_a_colleague")
    with pytest.raises(Unprocessable):
        claim_of(tenants, FIRST, sealed=True, actor=another).previous()


def test_a_claim_at_work_is_in_flight_until_it_is_let_go(tenants: Tenants) -> None:
    claim, resource = a_claim(tenants), new_id()
    begin(claim, tenants.scope, resource)

    with pytest.raises(Conflict) as refused:
        a_claim(tenants).previous()
    assert refused.value.code == "idempotency_key_in_flight"
    claim.let_go()
    assert a_claim(tenants).previous() == resource


def test_a_claim_whose_request_hangs_is_taken_over_after_its_time(
    tenants: Tenants, admin_dsn: str
) -> None:
    resource = new_id()
    begin(a_claim(tenants), tenants.scope, resource)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update core_idempotencyrecord set locked_until = now() where merchant_id = %s",
            [tenants.merchant.id],
        )

    assert a_claim(tenants).previous() == resource


def test_the_first_answer_counts_when_a_claim_was_taken_over_too_soon(tenants: Tenants) -> None:
    first, second = a_claim(tenants), a_claim(tenants)
    begin(first, tenants.scope, new_id())
    first.let_go()
    second.previous()
    finish(first, tenants.scope)

    second.keep(409, b"later")

    assert a_claim(tenants).previous() == Answer(201, b"made", replayed=True)


def test_a_claim_outlives_the_slowest_provider() -> None:
    """A retry within the time-out would find a claim that looks dead, and its caller no 409."""
    [check] = [
        constraint
        for constraint in ProviderAccount._meta.constraints
        if constraint.name == "provideraccount_timeout_sane"
    ]
    slowest = max(value for _, value in check.condition.children)  # type: ignore[attr-defined]
    assert LOCK.total_seconds() > slowest + 10
