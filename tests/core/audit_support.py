"""What the tests of the audit log's verification share: an attacker's tools."""

from __future__ import annotations

import psycopg
import pytest
from django.core.management import CommandError, call_command

from core.audit import seal_audit_records, signed_heads
from core.audit_anchor import anchor_audit_heads
from core.audit_seal import GENESIS, Head, head_signature, newest_key_version, record_mac
from core.audit_verification import Fault, verify_audit_log
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tests.core.support import audit
from tests.factories import Tenants, make_tenants


def merchant_with_sealed_records() -> Tenants:
    """A merchant with five sealed records."""
    made = make_tenants(users=False)
    for number in range(5):
        audit(made, "thing.do", n=number)
    seal_all()
    return made


def seal_another(tenants: Tenants) -> None:
    """One more record of the merchant, sealed."""
    audit(tenants, "thing.after")
    seal_all()


def seal_all() -> None:
    while seal_audit_records():
        pass


def tamper(admin_dsn: str, sql: str, *params: object) -> None:
    """What a superuser can do: triggers switched off."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(sql, params)


def chain_records(tenants: Tenants) -> list[AuditRecord]:
    with tenant_atomic(Scope.worker()):
        return list(
            AuditRecord.objects.filter(
                merchant_id=tenants.merchant.id, sequence__isnull=False
            ).order_by("sequence")
        )


def signed_head(tenants: Tenants) -> Head:
    """The head of the merchant's chain, as an anchor takes it."""
    with tenant_atomic(Scope.worker()):
        heads, _ = signed_heads({tenants.merchant.id})
    return heads[tenants.merchant.id]


def compute_again_with_the_key(admin_dsn: str, tenants: Tenants) -> None:
    """Seal the whole chain and sign its head as the sealer does, which has the key."""
    version = newest_key_version()
    previous, sequence = GENESIS, 0
    for sequence, record in enumerate(chain_records(tenants), start=1):
        mac = record_mac(previous, sequence, record, key_version=version)
        tamper(
            admin_dsn,
            "UPDATE core_auditrecord SET sequence = %s, previous_hash = %s, hash = %s,"
            " key_version = %s WHERE id = %s",
            sequence, previous, mac, version, record.id,
        )  # fmt: skip
        previous = mac
    head = Head(tenants.merchant.id, sequence, previous)
    tamper(
        admin_dsn,
        "UPDATE core_auditchain SET sequence = %s, hash = %s, keyed_from = 1, key_version = %s,"
        " signature = %s WHERE tenant_id = %s",
        sequence, previous, version, head_signature(head, key_version=version),
        tenants.merchant.id,
    )  # fmt: skip


def head_row(admin_dsn: str, tenants: Tenants) -> tuple[int, bytes, bytes]:
    """Sequence, hash and signature, to be put back later."""
    with psycopg.connect(admin_dsn) as admin:
        row = admin.execute(
            "SELECT sequence, hash, signature FROM core_auditchain WHERE tenant_id = %s",
            [tenants.merchant.id],
        ).fetchone()
    assert row is not None
    return row


def cut_to(admin_dsn: str, tenants: Tenants, head: tuple[int, bytes, bytes]) -> None:
    """Put an earlier state of a chain back, its head signed by us."""
    tamper(
        admin_dsn,
        "DELETE FROM core_auditrecord WHERE merchant_id = %s AND sequence > %s",
        tenants.merchant.id, head[0],
    )  # fmt: skip
    tamper(
        admin_dsn,
        "UPDATE core_auditchain SET sequence = %s, hash = %s, signature = %s WHERE tenant_id = %s",
        *head, tenants.merchant.id,
    )  # fmt: skip


def the_fault(tenants: Tenants) -> Fault:
    [fault] = verify_audit_log(chain=tenants.merchant.id).faults
    with pytest.raises(CommandError, match="1 bad of"):
        call_command("audit_verify", tenant=tenants.merchant.id)
    return fault


def assert_named_when_computed_again_and_anchored(admin_dsn: str, tenants: Tenants) -> None:
    """With the key, an anchored chain is computed again and anchored: the first anchor counts."""
    assert anchor_audit_heads() >= 1
    first = chain_records(tenants)[0]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", first.id)
    compute_again_with_the_key(admin_dsn, tenants)
    assert anchor_audit_heads() >= 1

    fault = the_fault(tenants)

    assert fault.sequence == 5
    assert fault.problem.startswith("differs from the anchor of ")
    assert fault.problem.endswith("the chain was computed again")
