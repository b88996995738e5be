"""The audit log: append-only, chained per tenant, and a verifier that names the first bad row."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection

from core.audit import seal_audit_records
from core.audit_verification import verify_audit_log
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, Tenancy
from tests.core.support import Thing, audit, worker_sql
from tests.factories import Tenants, make_tenants


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(users=False)


def seal_all() -> None:
    while seal_audit_records():
        pass


def records(tenants: Tenants) -> list[AuditRecord]:
    with tenant_atomic(tenants.scope):
        return list(
            AuditRecord.objects.filter(merchant_id=tenants.merchant.id).order_by("sequence", "id")
        )


def tamper(admin_dsn: str, sql: str, *params: object) -> None:
    """What only somebody with the server in hand can do: triggers switched off."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(sql, params)


def test_seals_records_in_a_chain_per_tenant(tenants: Tenants) -> None:
    other = make_tenants(users=False)
    for number in range(3):
        audit(tenants, "thing.do", n=number, text="ü☂", nested={"b": 1, "a": [1, 2]})
        audit(other, "thing.do", n=number)
    seal_all()

    chain = records(tenants)
    sealed = [r for r in chain if r.action == "thing.do"]
    assert [r.sequence for r in chain] == list(range(1, len(chain) + 1))
    for before, after in pairwise(chain):
        assert bytes(after.previous_hash or b"") == bytes(before.hash or b"x")
    assert [(r.after or {})["n"] for r in sealed] == [0, 1, 2]
    assert (sealed[0].actor_id, sealed[0].ip) == ("key_test", "203.0.113.9")
    verdict = verify_audit_log(chain=tenants.merchant.id)
    assert (verdict.records, verdict.faults) == (len(chain), ())


def test_a_record_that_commits_late_is_sealed_later(tenants: Tenants) -> None:
    from core.context import Actor
    from core.unit import Writes

    written, commit = threading.Event(), threading.Event()

    def slow() -> None:
        with tenant_atomic(tenants.scope):
            writes = Writes()
            late = Thing("x", Tenancy(tenants.merchant.id))
            writes.record(late, action="thing.late", event=None, actor=Actor.system("t"))
            writes.flush()
            written.set()
            commit.wait(60)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(60)
    audit(tenants, "thing.quick")
    seal_all()
    commit.set()
    thread.join()
    seal_all()

    assert [r.action for r in records(tenants)][-2:] == ["thing.quick", "thing.late"]
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()


def test_sealers_that_run_at_once_make_one_chain(tenants: Tenants) -> None:
    for number in range(60):
        audit(tenants, "thing.do", n=number)

    def work(_: int) -> int:
        try:
            return sum(seal_audit_records(limit=7) for _ in range(15))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    seal_all()

    chain = records(tenants)
    assert [r.sequence for r in chain] == list(range(1, len(chain) + 1))
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE core_auditrecord SET actor_id = 'somebody' WHERE id = %s",
        "UPDATE core_auditrecord SET hash = NULL, sealed_at = NULL WHERE id = %s",
        "DELETE FROM core_auditrecord WHERE id = %s",
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_nobody_changes_a_record(tenants: Tenants, owner_dsn: str, sql: str, sealed: bool) -> None:
    audit(tenants, "thing.do")
    if sealed:
        seal_all()
    record = records(tenants)[-1]

    for scope in (tenants.scope, Scope.staff(), Scope.worker()):
        with (
            pytest.raises((ProgrammingError, IntegrityError)),
            tenant_atomic(scope),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, [record.id])
    after = records(tenants)[-1]
    assert after.actor_id == "key_test"
    assert (after.sealed_at is not None) is sealed


def test_not_even_the_owner_truncates(tenants: Tenants, owner_dsn: str) -> None:
    audit(tenants, "thing.do")
    with (
        psycopg.connect(owner_dsn, autocommit=True) as owner,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"),
    ):
        owner.execute("TRUNCATE core_auditrecord")
    assert records(tenants)


def test_a_record_cannot_come_with_a_place_of_its_own(tenants: Tenants) -> None:
    with pytest.raises(IntegrityError, match="sealer alone"), tenant_atomic(tenants.scope):
        AuditRecord.objects.create(
            merchant_id=tenants.merchant.id,
            actor_kind="user",
            actor_id="x",
            action="a",
            target="t",
            sequence=1,
        )


@pytest.mark.parametrize(
    ("sql", "problem", "at"),
    [
        ("UPDATE core_auditrecord SET ip = '198.51.100.1' WHERE id = %s", "was changed", 3),
        ("UPDATE core_auditrecord SET after = '{\"n\": 99}' WHERE id = %s", "was changed", 3),
        ("UPDATE core_auditrecord SET created_at = now() WHERE id = %s", "was changed", 3),
        ("DELETE FROM core_auditrecord WHERE id = %s", "is missing", 3),
        (
            "UPDATE core_auditrecord SET previous_hash = sha256('x') WHERE id = %s",
            "does not follow",
            3,
        ),
    ],
)
def test_the_verifier_names_the_first_bad_row(
    tenants: Tenants, admin_dsn: str, sql: str, problem: str, at: int
) -> None:
    for number in range(5):
        audit(tenants, "thing.do", n=number)
    seal_all()
    victim = next(r for r in records(tenants) if r.sequence == at)
    tamper(admin_dsn, sql, victim.id)

    [fault] = verify_audit_log(chain=tenants.merchant.id).faults

    assert (fault.chain, fault.sequence) == (tenants.merchant.id, at)
    assert problem in str(fault)
    assert fault.record_id in (victim.id, None)
    with pytest.raises(CommandError, match="1 bad"):
        call_command("audit_verify", tenant=tenants.merchant.id)


def test_the_verifier_misses_no_record_cut_off_at_the_end(tenants: Tenants, admin_dsn: str) -> None:
    for number in range(3):
        audit(tenants, "thing.do", n=number)
    seal_all()
    last = records(tenants)[-1]
    tamper(admin_dsn, "DELETE FROM core_auditrecord WHERE id = %s", last.id)

    [fault] = verify_audit_log(chain=tenants.merchant.id).faults

    assert fault.sequence == last.sequence
    assert "cut off" in fault.problem


def test_the_verifier_reports_what_was_never_sealed(tenants: Tenants, admin_dsn: str) -> None:
    audit(tenants, "thing.do")
    record = records(tenants)[-1]
    tamper(
        admin_dsn,
        "UPDATE core_auditrecord SET created_at = now() - interval '1 hour' WHERE id = %s",
        record.id,
    )

    [fault] = verify_audit_log(chain=tenants.merchant.id).faults

    assert fault.record_id == record.id
    assert "never sealed" in fault.problem
    seal_all()
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()


def test_records_are_seen_by_their_own_tenant_alone(tenants: Tenants) -> None:
    audit(tenants, "thing.do")
    other = make_tenants(users=False)
    with tenant_atomic(other.scope):
        assert not AuditRecord.objects.filter(merchant_id=tenants.merchant.id).exists()
    with pytest.raises(ProgrammingError), tenant_atomic(other.scope):
        AuditRecord.objects.create(
            merchant_id=tenants.merchant.id, actor_kind="user", actor_id="x", action="a", target="t"
        )
    assert worker_sql(
        "SELECT count(*) FROM core_auditrecord WHERE merchant_id = %s AND actor_id = 'x'",
        [tenants.merchant.id],
    ) == [(0,)]
