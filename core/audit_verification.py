"""The verifier of the audit log: compares chains with their seals, their heads and the anchor.

It names the first bad row of each chain, and what was done to it: an edit, a deletion, a cut at the
end (fewer records than anchored, or than the head says), or a chain computed again by who has the
database and not the key. Where the anchor attests times (an object lock's, a time stamp's), it also
names a record that nothing attests within a day of its making: who has the key and the anchor too
can compute all again, and not on an earlier day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.audit import signed_heads
from core.audit_anchor import audit_anchor
from core.audit_anchor_lines import Anchored, AnchorUnavailable
from core.audit_seal import GENESIS, Head, record_mac, same, unkeyed_hash
from core.crypto import CannotOpen
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.models import AuditRecord

UNSEALED_LIMIT_S: Final = 300
#: An anchor that attests times must have a record within this; it is written hourly.
ATTESTED_WITHIN: Final = timedelta(days=1)
_PAGE: Final = 2_000


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
    """What a verification found: chains and records read, and the first fault of each chain.

    Attributes:
        anchor_faults: what is wrong with the anchor itself.
        anchor_checked: what was checked of it, in sentences.
        anchored_at: when a head was anchored last; None when none ever was.
        unkeyed: records from before there was a key, which are held by the signed heads alone.
    """

    chains: int
    records: int
    faults: tuple[Fault, ...]
    anchor_faults: tuple[str, ...] = ()
    anchor_checked: tuple[str, ...] = ()
    anchored_at: datetime | None = None
    unkeyed: int = 0


def verify_audit_log(*, chain: UUID | None = None, now: datetime | None = None) -> Verdict:
    """Recompute every chain (or one) and compare; stops at the first fault of each chain.

    Finds a changed, removed, inserted or reordered record, a chain that was cut off or computed
    again, a head that is not ours, and records that were left unsealed for more than five minutes
    or, where the anchor attests times, unattested for more than a day.
    """
    now = now or datetime.now(UTC)
    held = _held(now)
    faults: list[Fault] = []
    records = unkeyed = 0
    with tenant_atomic(Scope.worker()):
        heads, forged = signed_heads({chain} if chain else None)
        seen = {chain} if chain else set(heads) | set(held.by_chain) | set(_chains_with_records())
        for tenant in sorted(seen):
            reading = _Reading(tenant, heads.get(tenant), tenant in forged, held)
            fault = reading.fault()
            records += reading.count
            unkeyed += reading.unkeyed
            if fault:
                faults.append(fault)
        faults += _left_unsealed(chain, now)
    return Verdict(
        len(seen), records, tuple(faults), held.faults, held.checked, held.anchored_at, unkeyed
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What is anchored, by chain and sequence, and what that says of a record's age.

    Attributes:
        attests: whether a record without an attested anchor is a fault. Not while the anchor
            itself is broken, for then that is the fault.
    """

    now: datetime
    by_chain: dict[UUID, dict[int, Anchored]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    anchored_at: datetime | None = None
    attests: bool = False
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)

    def problem(self, created_at: datetime, anchored: Anchored | None) -> str:
        """What is wrong with the time at which a record was anchored first; empty for nothing."""
        if not self.attests:
            return ""
        ends = [end for start, end in self.gaps if start <= created_at < end]
        due = max([created_at, *ends]) + ATTESTED_WITHIN
        attested_at = anchored.attested_at if anchored else None
        if (attested_at or self.now) <= due:
            return ""
        said = (
            f"is of {created_at:%F %T} and was anchored first at {attested_at:%F %T}"
            if attested_at
            else f"is of {created_at:%F %T} and nothing attests that it was anchored"
        )
        return (
            f"{said}: the chain was computed again, or the anchor cut, unless nothing was anchored"
            " at that time (AUDIT_ANCHOR_GAPS)"
        )


class _Reading:
    """One pass over a chain, up to its first fault."""

    def __init__(self, chain: UUID, head: Head | None, forged: bool, held: _Held) -> None:
        self.chain = chain
        self.head = head or Head(chain, 0, GENESIS)
        self.has_head = head is not None
        self.forged = forged
        self.held = held
        self.anchors = held.by_chain.get(chain, {})
        # Those that attest a time, highest first; each attests all records before it.
        self._attested = sorted(
            (n for n, anchored in self.anchors.items() if anchored.attested_at), reverse=True
        )
        self.count = 0
        self.unkeyed = 0

    def fault(self) -> Fault | None:
        """The chain's first fault, or None."""
        previous = GENESIS
        for record in _records_of(self.chain):
            sequence = self.count + 1
            if record.sequence != sequence:
                return self._missing("is missing: it was deleted")
            problem = self._problem(record, sequence, previous)
            if problem:
                return Fault(self.chain, sequence, record.id, problem)
            self.count, previous = sequence, bytes(record.hash or b"")
        return self._end()

    def _problem(self, record: AuditRecord, sequence: int, previous: bytes) -> str:
        """What is wrong with a record at its place; empty when nothing is."""
        found = bytes(record.hash or b"")
        unkeyed = unkeyed_hash(previous, sequence, record)
        if bytes(record.previous_hash or b"") != previous:
            return "does not follow the record before it"
        if self._may_be_unkeyed(sequence) and not record.key_version:
            self.unkeyed += 1
            if not same(found, unkeyed):
                return "was changed after it was sealed"
        elif not record.key_version or same(found, unkeyed):
            return "was sealed again without the key: the chain was computed again from here"
        else:
            try:
                mac = record_mac(previous, sequence, record, key_version=record.key_version)
            except CannotOpen as error:
                return f"cannot be verified: {error}"
            if not same(found, mac):
                return "was changed after it was sealed"
        anchored = self.anchors.get(sequence)
        if anchored is not None and not same(found, anchored.head.hash):
            return f"differs from the anchor of {anchored.at:%F %T}: the chain was computed again"
        if sequence == self.head.sequence and not same(found, self.head.hash):
            return "differs from the chain's head: the chain was computed again"
        while self._attested and self._attested[-1] < sequence:
            self._attested.pop()
        first = self.anchors[self._attested[-1]] if self._attested else None
        return self.held.problem(record.created_at, first)

    def _may_be_unkeyed(self, sequence: int) -> bool:
        """Whether a record comes from before there was a key, as head and anchors have it."""
        known = [anchored.head.keyed_from for anchored in self.anchors.values()]
        return sequence < min([self.head.keyed_from, *known])

    def _end(self) -> Fault | None:
        """What shows when all records are in order: too few of them, or a head that is not ours."""
        longest = max(self.anchors, default=0)
        if self.count < longest:
            at = self.anchors[longest].at
            return self._missing(
                f"is missing: the chain was cut off (the anchor of {at:%F %T} has {longest})"
            )
        if self.count < self.head.sequence:
            return self._missing("is missing: the chain was cut off")
        # The sealer may have gone on while we read; then the head has moved along.
        if self.count > self.head.sequence:
            heads, forged = signed_heads({self.chain})
            self.head = heads.get(self.chain) or self.head
            self.has_head, self.forged = self.chain in heads, bool(forged)
        if self.forged or (self.count and not self.has_head):
            return self._missing(
                "follows a head that our key did not sign: the chain was computed again"
            )
        if self.count > self.head.sequence:
            self.count = self.head.sequence
            return self._missing("was added behind the chain's head")
        return None

    def _missing(self, problem: str) -> Fault:
        return Fault(self.chain, self.count + 1, None, problem)


def _held(now: datetime) -> _Held:
    try:
        holding = audit_anchor().read()
        gaps = _gaps()
    except (AnchorUnavailable, ImproperlyConfigured, OSError) as error:
        return _Held(now=now, faults=(str(error),))
    found: dict[UUID, dict[int, Anchored]] = {}
    for anchored in holding.anchored:
        # The first one counts: a chain computed again is anchored again, under the same numbers.
        found.setdefault(anchored.head.chain, {}).setdefault(anchored.head.sequence, anchored)
    return _Held(
        by_chain=found,
        faults=tuple(holding.faults),
        checked=tuple(holding.checked),
        anchored_at=holding.anchored[-1].at if holding.anchored else None,
        attests=holding.attests and not holding.faults,
        now=now,
        gaps=gaps,
    )


def _gaps() -> list[tuple[datetime, datetime]]:
    """The times of AUDIT_ANCHOR_GAPS, in UTC where they name no zone."""
    found = []
    for text in settings.AUDIT_ANCHOR_GAPS:
        try:
            start, end = (datetime.fromisoformat(part) for part in text.split("/"))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"AUDIT_ANCHOR_GAPS is 2026-01-01T00:00/2026-01-02T00:00, by commas; not {text}"
            ) from error
        found.append(tuple(at if at.tzinfo else at.replace(tzinfo=UTC) for at in (start, end)))
    return [(start, end) for start, end in found]


def _records_of(tenant: UUID) -> Iterator[AuditRecord]:
    after = 0
    while True:
        page = list(
            AuditRecord.objects.raw(
                "SELECT * FROM core_auditrecord WHERE core_audit_chain(merchant_id, reseller_id)"
                " = %s AND sequence > %s ORDER BY sequence LIMIT %s",
                [tenant, after, _PAGE],
            )
        )
        yield from page
        if len(page) < _PAGE:
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
