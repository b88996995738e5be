"""The ledger on a TigerBeetle cluster, through its official client.

For those who outgrow one PostgreSQL (docs/ledger.md says when, and how to move). Balances and
transfers live in the cluster, which is the truth; what it has no field for (names, corrections)
stays in PostgreSQL as a note that is written first and confirmed after the cluster's answer, so
that a crash between the two leaves a note that `sweep_notes` settles.

The package `tigerbeetle` is imported when the backend is built, and needed by nobody else.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.errors import Unavailable
from ledger.backends.base import (
    AccountSpec,
    BalancePoint,
    Balances,
    BookedTransfer,
    Result,
    TransferSpec,
)
from ledger.backends.wire import check_batch, references
from ledger.chart import BY_CODE, AccountRef
from ledger.flags import CALLER_FLAGS, AccountFlags, TransferFlags
from ledger.models import ClusterNote
from ledger.status import AccountStatus, TransferStatus

if TYPE_CHECKING:
    import tigerbeetle

T = TypeVar("T")

_ALL: Final = 2**128 - 1
_DAY_ZERO: Final = date(1970, 1, 1)
#: A bit that no version of TigerBeetle knows: makes it refuse a transfer that our rules refuse, and
#: with it the linked set that the transfer stands in.
_REFUSED_HERE: Final = 1 << 15
_SETTLES: Final = TransferFlags.POST_PENDING | TransferFlags.VOID_PENDING
_CLOSES: Final = TransferFlags.CLOSING_DEBIT | TransferFlags.CLOSING_CREDIT
_BALANCES: Final = TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT
#: The flags of ours that the cluster has a bit for.
_CLUSTER_FLAGS: Final = ~int(AccountFlags.TRANSIT)


class TigerBeetleLedger:
    """The ledger on a cluster.

    Args:
        addresses: "127.0.0.1:3000,127.0.0.1:3001,…", as the client takes them.
        cluster_id: the number the cluster was formatted with.
        timeout_s: how long a call may take; past it the outcome is unknown, and the same call with
            the same ids is right whatever became of the first.
    """

    def __init__(self, addresses: str, *, cluster_id: int = 0, timeout_s: float = 10.0) -> None:
        import tigerbeetle

        self._tb = tigerbeetle
        self._client = tigerbeetle.ClientSync(cluster_id=cluster_id, replica_addresses=addresses)
        self._timeout_s = timeout_s
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max_workers=8, thread_name_prefix="tigerbeetle"
        )

    def close(self) -> None:
        self._client.close()
        self._threads.shutdown(wait=False)

    def open(self, accounts: Sequence[AccountRef | AccountSpec]) -> list[AccountStatus]:
        notes = {
            a.id: {"name": a.name, "flags": int(self._flags_of(a)), **_owners(a)} for a in accounts
        }
        _note("account", notes)
        answers = self._call(
            lambda: self._client.create_accounts(
                [
                    self._tb.Account(
                        id=a.id.int,
                        user_data_128=a.user_data.int if a.user_data else 0,
                        ledger=a.ledger,
                        code=a.code,
                        flags=self._tb.AccountFlags(int(self._flags_of(a)) & _CLUSTER_FLAGS),
                    )
                    for a in accounts
                ]
            )
        )
        found = [_account_status(answer.status) for answer in answers]
        _confirm([a.id for a in accounts])
        return found

    def post(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        check_batch(transfers)
        if not transfers:
            return []
        unopened = references(transfers)
        if unopened:
            self.open(unopened)
        noted = {spec.id: {"corrects": str(spec.corrects)} for spec in transfers if spec.corrects}
        _note("transfer", noted)
        own = [_refused_here(spec) for spec in transfers]
        batch = [self._transfer(spec, own[i]) for i, spec in enumerate(transfers)]
        answers = self._call(lambda: self._client.create_transfers(batch))
        statuses = [_transfer_status(answer.status, own[i]) for i, answer in enumerate(answers)]
        _confirm(list(noted))
        moved = self._moved(transfers, statuses)
        return [
            Result(spec.id, status, moved.get(spec.id, spec.amount_minor))
            if status is TransferStatus.CREATED
            else Result(spec.id, status)
            for spec, status in zip(transfers, statuses, strict=True)
        ]

    def accounts(self, ids: Sequence[UUID]) -> list[Balances]:
        found = self._call(lambda: self._client.lookup_accounts([i.int for i in ids]))
        return [
            Balances(
                id=UUID(int=a.id),
                ledger=a.ledger,
                code=a.code,
                flags=AccountFlags(int(a.flags)),
                debits_pending=a.debits_pending,
                debits_posted=a.debits_posted,
                credits_pending=a.credits_pending,
                credits_posted=a.credits_posted,
            )
            for a in found
        ]

    def transfers(self, ids: Sequence[UUID]) -> list[BookedTransfer]:
        found = self._call(lambda: self._client.lookup_transfers([i.int for i in ids]))
        return [
            BookedTransfer(
                id=UUID(int=t.id),
                debit_account_id=UUID(int=t.debit_account_id),
                credit_account_id=UUID(int=t.credit_account_id),
                amount_minor=t.amount,
                pending_id=UUID(int=t.pending_id) if t.pending_id else None,
                document_id=UUID(int=t.user_data_128) if t.user_data_128 else None,
                ledger=t.ledger,
                code=t.code,
                flags=TransferFlags(int(t.flags)),
                timeout_s=t.timeout,
                timestamp=t.timestamp,
            )
            for t in found
        ]

    def history(self, account_id: UUID, *, limit: int = 100) -> list[BalancePoint]:
        wanted = self._tb.AccountFilter(
            account_id=account_id.int,
            user_data_128=0,
            user_data_64=0,
            user_data_32=0,
            code=0,
            timestamp_min=0,
            timestamp_max=0,
            limit=limit,
            flags=self._tb.AccountFilterFlags.DEBITS
            | self._tb.AccountFilterFlags.CREDITS
            | self._tb.AccountFilterFlags.REVERSED,
        )
        return [
            BalancePoint(
                at=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=b.timestamp // 1000),
                debits_pending=b.debits_pending,
                debits_posted=b.debits_posted,
                credits_pending=b.credits_pending,
                credits_posted=b.credits_posted,
            )
            for b in self._call(lambda: self._client.get_account_balances(wanted))
        ]

    def expire(self, *, limit: int = 8190) -> int:
        """Nothing to do: the cluster expires what is pending by itself."""
        return 0

    def sweep_notes(self, *, older_than_s: float = 60.0) -> int:
        """Settle notes whose writer died: confirm what the cluster has, drop what it never got."""
        before = timezone.now() - timedelta(seconds=older_than_s)
        with tenant_atomic(Scope.worker()):
            rows = ClusterNote.objects.filter(confirmed_at__isnull=True, noted_at__lt=before)
            notes = list(rows.order_by("noted_at")[:1000])
        accounts = [n.id for n in notes if n.kind == "account"]
        transfers = [n.id for n in notes if n.kind == "transfer"]
        known = {a.id for a in self.accounts(accounts)} if accounts else set()
        known |= {t.id for t in self.transfers(transfers)} if transfers else set()
        _confirm([n.id for n in notes if n.id in known])
        with tenant_atomic(Scope.worker()):
            lost = [n.id for n in notes if n.id not in known]
            ClusterNote.objects.filter(id__in=lost, confirmed_at__isnull=True).delete()
        return len(notes)

    # ---- conversion

    def _transfer(self, spec: TransferSpec, refused: TransferStatus | None) -> tigerbeetle.Transfer:
        flags = int(spec.flags) | (_REFUSED_HERE if refused else 0)
        amount = spec.amount_minor
        if amount is None:
            amount = 0 if spec.flags & TransferFlags.VOID_PENDING else _ALL
        day = spec.effective_on
        return self._tb.Transfer(
            id=spec.id.int,
            debit_account_id=spec.debit_id.int if spec.debit_id else 0,
            credit_account_id=spec.credit_id.int if spec.credit_id else 0,
            amount=max(amount, 0),
            pending_id=spec.pending_id.int if spec.pending_id else 0,
            user_data_128=spec.document_id.int if spec.document_id else 0,
            user_data_32=(day - _DAY_ZERO).days if day else 0,
            timeout=spec.timeout_s or 0,
            ledger=spec.ledger_number or 0,
            code=spec.code,
            flags=self._tb.TransferFlags(flags),
        )

    def _flags_of(self, account: AccountRef | AccountSpec) -> AccountFlags:
        return BY_CODE[account.code].flags if account.flags is None else account.flags

    def _moved(
        self, transfers: Sequence[TransferSpec], statuses: Sequence[TransferStatus]
    ) -> dict[UUID, int]:
        """What transfers without an amount of their own have moved."""
        wanted = [
            spec.id
            for spec, status in zip(transfers, statuses, strict=True)
            if status is TransferStatus.CREATED
            and (spec.flags & (_BALANCES | _SETTLES) or spec.amount_minor is None)
        ]
        return {t.id: t.amount_minor for t in self.transfers(wanted)} if wanted else {}

    def _call(self, ask: Callable[[], T]) -> T:
        """Ask the cluster; the client itself would wait for ever."""
        future = self._threads.submit(ask)
        try:
            return future.result(self._timeout_s)
        except concurrent.futures.TimeoutError as error:
            raise Unavailable(
                "The ledger's cluster did not answer in time. Send the same again."
            ) from error


def _refused_here(spec: TransferSpec) -> TransferStatus | None:
    """What our rules refuse and the cluster would take: it allows zero, and knows no sign."""
    if int(spec.flags) & ~int(CALLER_FLAGS):
        return TransferStatus.RESERVED_FLAG
    amount = spec.amount_minor
    if amount is not None and amount < 0:
        return TransferStatus.AMOUNT_MUST_NOT_BE_NEGATIVE
    may_be_zero = spec.flags & (_CLOSES | TransferFlags.VOID_PENDING)
    if amount == 0 and not may_be_zero:
        return TransferStatus.AMOUNT_MUST_NOT_BE_ZERO
    if amount is None and not spec.flags & (_SETTLES | _BALANCES):
        return TransferStatus.AMOUNT_MUST_NOT_BE_ZERO
    return None


def _transfer_status(answer: Any, refused: TransferStatus | None) -> TransferStatus:
    if answer.name == "CREATED":
        return TransferStatus.CREATED
    if answer.name == "RESERVED_FLAG" and refused:
        return refused
    return TransferStatus[answer.name]


def _account_status(answer: Any) -> AccountStatus:
    if answer.name.startswith("EXISTS_WITH_DIFFERENT_USER_DATA"):
        return AccountStatus.EXISTS_WITH_DIFFERENT_OWNER
    return AccountStatus[answer.name]


def _owners(account: AccountRef | AccountSpec) -> dict[str, str]:
    if not isinstance(account, AccountRef):
        return {}
    owners = {"merchant": account.merchant_id, "reseller": account.reseller_id}
    return {what: str(whose) for what, whose in owners.items() if whose}


def _note(kind: str, bodies: dict[UUID, dict[str, Any]]) -> None:
    if not bodies:
        return
    now = timezone.now()
    with tenant_atomic(Scope.worker()):
        ClusterNote.objects.bulk_create(
            [ClusterNote(id=i, kind=kind, body=body, noted_at=now) for i, body in bodies.items()],
            ignore_conflicts=True,
        )


def _confirm(ids: Sequence[UUID]) -> None:
    if not ids:
        return
    with tenant_atomic(Scope.worker()):
        ClusterNote.objects.filter(id__in=ids, confirmed_at__isnull=True).update(
            confirmed_at=timezone.now()
        )
