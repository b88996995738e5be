"""The audit log's hash chain: sealed after commit, one chain per tenant (ADR 0010).

`Writes.audit` inserts records unchained, in the transaction they belong to. The sealer, which the
relay runs every second, gives each committed record its place: `hash = SHA-256(previous_hash,
sequence, canonical record)`. A record that commits late is simply sealed later, for the sealer asks
for what is unsealed and keeps no high-water mark. A trigger lets nobody change a record otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from core import metrics
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.models import AuditRecord

PLATFORM_CHAIN: Final = UUID(int=0)
GENESIS: Final = bytes(32)
SEAL_BATCH: Final = 2_000
UNSEALED_LIMIT_S: Final = 300

_SEAL_LOCK: Final = 727_412
_VERIFY_PAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Fault:
    """The first bad place of a chain; `record_id` is None where a record is missing."""

    chain: UUID
    sequence: int
    record_id: UUID | None
    problem: str

    def __str__(self) -> str:
        where = f"record {self.record_id}" if self.record_id else "the record"
        return f"chain {self.chain}: {where} at sequence {self.sequence}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: chains and records read, and the first fault of each chain."""

    chains: int
    records: int
    faults: tuple[Fault, ...]


def canonical(record: AuditRecord) -> bytes:
    """The bytes of a record that its hash covers: sorted JSON, times in UTC to the microsecond."""
    content = {
        "id": str(record.id),
        "created_at": record.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "merchant_id": _text(record.merchant_id),
        "reseller_id": _text(record.reseller_id),
        "livemode": record.livemode,
        "actor_kind": record.actor_kind,
        "actor_id": record.actor_id,
        "actor_label": record.actor_label,
        "ip": _text(record.ip),
        "request_id": record.request_id,
        "action": record.action,
        "target": record.target,
        "before": record.before,
        "after": record.after,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def link_hash(previous_hash: bytes, sequence: int, record: AuditRecord) -> bytes:
    """The hash of a record at its place in the chain."""
    return hashlib.sha256(previous_hash + sequence.to_bytes(8, "big") + canonical(record)).digest()


def chain_of(record: AuditRecord) -> UUID:
    """Whose chain a record belongs to: the merchant's, else the reseller's, else the platform's."""
    chain: UUID = record.merchant_id or record.reseller_id or PLATFORM_CHAIN
    return chain


def seal_audit_records(*, limit: int = SEAL_BATCH) -> int:
    """Chain up to `limit` committed records; return how many. One sealer works at a time."""
    with tenant_atomic(Scope.worker()):
        if not fetch_all("SELECT 1 WHERE pg_try_advisory_xact_lock(%s)", [_SEAL_LOCK]):
            return 0
        records = list(AuditRecord.objects.filter(sealed_at__isnull=True).order_by("id")[:limit])
        if not records:
            return 0
        heads = _heads({chain_of(record) for record in records})
        links: list[tuple[UUID, int, bytes, bytes]] = []
        for record in records:
            chain = chain_of(record)
            sequence, previous = heads.get(chain, (0, GENESIS))
            sequence += 1
            digest = link_hash(previous, sequence, record)
            links.append((record.id, sequence, previous, digest))
            heads[chain] = (sequence, digest)
        _write_links(links)
        _write_heads(heads)
        return len(records)


def verify_audit_log(*, chain: UUID | None = None, now: datetime | None = None) -> Verdict:
    """Recompute every chain (or one) and compare; stops at the first fault of each chain.

    Finds a changed, removed, inserted or reordered record, a chain cut off at its end (the head
    knows its length), and records that were left unsealed for more than five minutes.
    """
    faults: list[Fault] = []
    records = 0
    with tenant_atomic(Scope.worker()):
        heads = _heads({chain} if chain else None)
        seen = set(heads)
        for known in _chains_with_records() if chain is None else ():
            seen.add(known)
        for tenant in sorted(seen):
            fault, count = _verify_chain(tenant, heads.get(tenant, (0, GENESIS)))
            records += count
            if fault:
                faults.append(fault)
        faults += _left_unsealed(chain, now or datetime.now(UTC))
    return Verdict(chains=len(seen), records=records, faults=tuple(faults))


def unsealed_lag_s() -> float:
    """Age in seconds of the oldest record that is not chained yet."""
    with tenant_atomic(Scope.intake()):
        row = fetch_one(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8"
            " FROM core_auditrecord WHERE sealed_at IS NULL"
        )
    return float(row[0]) if row else 0.0


def _verify_chain(tenant: UUID, head: tuple[int, bytes]) -> tuple[Fault | None, int]:
    head_sequence, head_hash = head
    expected, previous = 1, GENESIS
    for record in _records_of(tenant):
        if record.sequence != expected:
            return Fault(tenant, expected, None, "is missing"), expected - 1
        if bytes(record.previous_hash or b"") != previous:
            problem = "does not follow the record before it"
            return Fault(tenant, expected, record.id, problem), expected
        digest = link_hash(previous, expected, record)
        if bytes(record.hash or b"") != digest:
            return Fault(tenant, expected, record.id, "was changed after it was sealed"), expected
        if expected == head_sequence and digest != head_hash:
            return Fault(tenant, expected, record.id, "differs from the chain's head"), expected
        expected, previous = expected + 1, digest
    last = expected - 1
    if last < head_sequence:
        return Fault(tenant, expected, None, "is missing: the chain was cut off"), last
    # The sealer may have gone on while we read; then the head has moved along with the records.
    if last > head_sequence and _heads({tenant}).get(tenant, (0, GENESIS))[0] < last:
        return Fault(tenant, head_sequence + 1, None, "was added behind the chain's head"), last
    return None, last


def _records_of(tenant: UUID) -> Iterator[AuditRecord]:
    after = 0
    while True:
        page = list(
            AuditRecord.objects.raw(
                "SELECT * FROM core_auditrecord WHERE core_audit_chain(merchant_id, reseller_id)"
                " = %s AND sequence > %s ORDER BY sequence LIMIT %s",
                [tenant, after, _VERIFY_PAGE],
            )
        )
        yield from page
        if len(page) < _VERIFY_PAGE:
            return
        after = page[-1].sequence or 0


def _chains_with_records() -> list[UUID]:
    rows = fetch_all(
        "SELECT DISTINCT core_audit_chain(merchant_id, reseller_id) FROM core_auditrecord"
        " WHERE sealed_at IS NOT NULL"
    )
    return [row[0] for row in rows]


def _left_unsealed(chain: UUID | None, now: datetime) -> list[Fault]:
    row = fetch_one(
        "SELECT core_audit_chain(merchant_id, reseller_id), id FROM core_auditrecord"
        " WHERE sealed_at IS NULL AND created_at < %s - make_interval(secs => %s)"
        " AND (%s::uuid IS NULL OR core_audit_chain(merchant_id, reseller_id) = %s::uuid)"
        " ORDER BY id LIMIT 1",
        [now, UNSEALED_LIMIT_S, chain, chain],
    )
    if row is None:
        return []
    return [Fault(row[0], 0, row[1], "was never sealed; is the relay running?")]


def _heads(chains: set[UUID] | None) -> dict[UUID, tuple[int, bytes]]:
    sql = "SELECT tenant_id, sequence, hash FROM core_auditchain"
    rows = (
        fetch_all(sql)
        if chains is None
        else fetch_all(f"{sql} WHERE tenant_id = ANY(%s)", [list(chains)])
    )
    return {tenant: (sequence, bytes(digest)) for tenant, sequence, digest in rows}


def _write_links(links: list[tuple[UUID, int, bytes, bytes]]) -> None:
    columns: list[list[Any]] = [list(column) for column in zip(*links, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_auditrecord AS r SET sequence = l.sequence,"
            " previous_hash = l.previous_hash, hash = l.hash, sealed_at = clock_timestamp()"
            " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[])"
            " AS l(id, sequence, previous_hash, hash) WHERE r.id = l.id",
            columns,
        )


def _write_heads(heads: dict[UUID, tuple[int, bytes]]) -> None:
    rows = [(chain, sequence, digest) for chain, (sequence, digest) in heads.items()]
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_auditchain (tenant_id, sequence, hash, sealed_at)"
            " SELECT h.*, clock_timestamp() FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[])"
            " AS h(tenant_id, sequence, hash)"
            " ON CONFLICT (tenant_id) DO UPDATE SET sequence = excluded.sequence,"
            " hash = excluded.hash, sealed_at = excluded.sealed_at",
            columns,
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


metrics.register_gauge(
    "merchantry_audit_unsealed_seconds", "Age of the oldest unsealed record.", unsealed_lag_s
)
