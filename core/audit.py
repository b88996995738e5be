"""The audit log's chain: sealed after commit, one chain per tenant (ADR 0010, ADR 0028).

`Writes.record` inserts records unchained, in the transaction they belong to. The sealer, which the
relay runs every second, gives each committed record its place and its MAC (`core.audit_seal`). A
record that commits late is simply sealed later, for the sealer asks for what is unsealed and keeps
no high-water mark. A trigger refuses any other change of a record.

The sealer goes on only behind a head that it signed itself: a head put in its place is reported,
and its tenant's records stay unsealed until a person has looked (`manage.py audit_verify`).
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection

from core import metrics
from core.audit_seal import (
    GENESIS,
    Head,
    head_signature,
    newest_key_version,
    record_mac,
    same,
)
from core.crypto import CannotOpen
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.models import AuditRecord

log = structlog.get_logger(__name__)

PLATFORM_CHAIN: Final = UUID(int=0)
SEAL_BATCH: Final = 2_000

_SEAL_LOCK: Final = 727_412
_UNSEALED: Final = """
SELECT * FROM core_auditrecord
 WHERE sealed_at IS NULL AND core_audit_chain(merchant_id, reseller_id) <> ALL(%s)
 ORDER BY id LIMIT %s
"""


def chain_of(record: AuditRecord) -> UUID:
    """Whose chain a record belongs to: the merchant's, else the reseller's, else the platform's."""
    chain: UUID = record.merchant_id or record.reseller_id or PLATFORM_CHAIN
    return chain


def seal_audit_records(*, limit: int = SEAL_BATCH) -> int:
    """Chain up to `limit` committed records; return how many. One sealer works at a time."""
    with tenant_atomic(Scope.worker()):
        if not fetch_all("SELECT 1 WHERE pg_try_advisory_xact_lock(%s)", [_SEAL_LOCK]):
            return 0
        records = list(AuditRecord.objects.raw(_UNSEALED, [[], limit]))
        if not records:
            return 0
        heads, forged = signed_heads({chain_of(record) for record in records})
        if forged:
            for chain in forged:
                log.error("audit.head_not_ours", record_id=str(chain))
            # A chain that waits for a person keeps no other from its seals.
            records = list(AuditRecord.objects.raw(_UNSEALED, [list(forged), limit]))
            heads, _ = signed_heads({chain_of(record) for record in records})
        if records:
            _seal(records, heads)
        return len(records)


def _seal(records: list[AuditRecord], heads: dict[UUID, Head]) -> None:
    version = newest_key_version()
    links: list[tuple[UUID, int, bytes, bytes]] = []
    for record in records:
        chain = chain_of(record)
        head = heads.get(chain) or Head(chain, 0, GENESIS)
        sequence = head.sequence + 1
        mac = record_mac(head.hash, sequence, record, key_version=version)
        links.append((record.id, sequence, head.hash, mac))
        heads[chain] = Head(chain, sequence, mac, head.keyed_from)
    _write_links(links, version)
    _write_heads(heads, version)


def signed_heads(chains: set[UUID] | None) -> tuple[dict[UUID, Head], set[UUID]]:
    """The heads of these chains (of all by None), and the chains whose head is not ours."""
    heads: dict[UUID, Head] = {}
    forged: set[UUID] = set()
    # Sealed records without a head had one that was taken away.
    begun = set(chains or ())
    for chain, sequence, mac, keyed_from, version, signature in _head_rows(chains):
        head = Head(chain, sequence, bytes(mac), keyed_from)
        try:
            signed = bool(signature) and same(
                bytes(signature), head_signature(head, key_version=version)
            )
        except CannotOpen:
            signed = False
        heads[chain] = head
        begun.discard(chain)
        if not signed:
            forged.add(chain)
    return heads, forged | _with_sealed_records(begun)


def _with_sealed_records(chains: set[UUID]) -> set[UUID]:
    if not chains:
        return set()
    rows = fetch_all(
        "SELECT c FROM unnest(%s::uuid[]) c WHERE EXISTS (SELECT 1 FROM core_auditrecord"
        " WHERE core_audit_chain(merchant_id, reseller_id) = c AND sequence IS NOT NULL)",
        [list(chains)],
    )
    return {row[0] for row in rows}


def unsealed_lag_s() -> float:
    """Age in seconds of the oldest record that is not chained yet."""
    with tenant_atomic(Scope.intake()):
        row = fetch_one(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8"
            " FROM core_auditrecord WHERE sealed_at IS NULL"
        )
    return float(row[0]) if row else 0.0


def _head_rows(chains: set[UUID] | None) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT tenant_id, sequence, hash, keyed_from, key_version, signature FROM core_auditchain"
    )
    if chains is None:
        return fetch_all(sql)
    return fetch_all(f"{sql} WHERE tenant_id = ANY(%s)", [list(chains)])


def _write_links(links: list[tuple[UUID, int, bytes, bytes]], version: str) -> None:
    columns: list[list[Any]] = [list(column) for column in zip(*links, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_auditrecord AS r SET sequence = l.sequence,"
            " previous_hash = l.previous_hash, hash = l.hash, key_version = %s,"
            " sealed_at = clock_timestamp()"
            " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[])"
            " AS l(id, sequence, previous_hash, hash) WHERE r.id = l.id",
            [version, *columns],
        )


def _write_heads(heads: dict[UUID, Head], version: str) -> None:
    rows = [
        (head.chain, head.sequence, head.hash, head.keyed_from,
         head_signature(head, key_version=version))
        for head in heads.values()
    ]  # fmt: skip
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_auditchain"
            " (tenant_id, sequence, hash, keyed_from, signature, key_version, sealed_at)"
            " SELECT h.*, %s, clock_timestamp() FROM"
            " unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bigint[], %s::bytea[])"
            " AS h(tenant_id, sequence, hash, keyed_from, signature)"
            " ON CONFLICT (tenant_id) DO UPDATE SET sequence = excluded.sequence,"
            " hash = excluded.hash, signature = excluded.signature,"
            " key_version = excluded.key_version, sealed_at = excluded.sealed_at",
            [version, *columns],
        )


metrics.register_gauge(
    "merchantry_audit_unsealed_seconds", "Age of the oldest unsealed record.", unsealed_lag_s
)
