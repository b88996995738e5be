"""The ledger on a TigerBeetle cluster, through its official client.

For those who outgrow one PostgreSQL (docs/ledger.md says when, and how to move). Balances and
transfers live in the cluster, which is the truth; what it has no field for (names, corrections)
stays in PostgreSQL as a note that is written first and confirmed after the cluster's answer, so
that a crash between the two leaves a note that `sweep_notes` settles.

What the cluster would take and our rules refuse (an amount of nothing) is sent with a fault of its
own, so that the linked set fails with it, and so that whatever comes before in the order of
precedence is answered first (`_transfer`).

The package `tigerbeetle` is imported when the backend is built; nothing else needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from core.db import Scope, fetch_all, tenant_atomic
from core.errors import InvalidRequest
from ledger.backends.base import (
    AccountSpec,
    BalancePoint,
    Balances,
    BookedTransfer,
    Result,
    TransferSpec,
)
from ledger.backends.cluster_client import ClusterClient
from ledger.backends.opened import OPENED
from ledger.backends.wire import check_batch, references
from ledger.chart import BY_CODE, AccountRef
from ledger.flags import ACCOUNT_FLAGS, CALLER_FLAGS, AccountFlags, TransferFlags
from ledger.lock_objects import lock_open_notes
from ledger.models import ClusterNote
from ledger.status import AccountStatus, TransferStatus

if TYPE_CHECKING:
    import tigerbeetle

T = TypeVar("T")

_ALL: Final = 2**128 - 1
_DAY_ZERO: Final = date(1970, 1, 1)
#: A bit that no version of TigerBeetle knows: it refuses a transfer with it before anything else.
_UNKNOWN_FLAG: Final = 1 << 15
#: How long a note is kept whose transfer the cluster does not have.
_KEEP_NOTES: Final = timedelta(days=7)
#: How many of them a sweep looks at.
_ASK_FOR: Final = 1000
# Numbers, and compared with numbers: of flags each operation takes a microsecond, and a batch of
# 8,189 would make ten of them for each transfer.
_LINKED: Final = int(TransferFlags.LINKED)
_VOIDS: Final = int(TransferFlags.VOID_PENDING)
_SETTLES: Final = int(TransferFlags.POST_PENDING | TransferFlags.VOID_PENDING)
_CLOSES: Final = int(TransferFlags.CLOSING_DEBIT | TransferFlags.CLOSING_CREDIT)
_BALANCES: Final = int(TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT)
_CALLER_FLAGS: Final = int(CALLER_FLAGS)
#: The flags of ours that the cluster has a bit for.
_CLUSTER_FLAGS: Final = ~int(AccountFlags.TRANSIT)


class TigerBeetleLedger:
    """The ledger on a cluster.

    Args:
        addresses: "ledger-0.internal:3001,10.0.0.8:3001,…", in the order of the replicas.
        cluster_id: the number the cluster was formatted with.
        timeout_s: how long a call may take; past it the outcome is unknown, and the same call with
            the same ids is right whatever became of the first.
        in_flight: the most requests with the client at once. It merges waiting requests into one
            message, so concurrent small posts travel as a few large ones.
    """

    def __init__(
        self,
        addresses: str,
        *,
        cluster_id: int = 0,
        timeout_s: float = 10.0,
        in_flight: int = 64,
    ) -> None:
        import tigerbeetle

        self._use(
            tigerbeetle,
            ClusterClient(
                tigerbeetle,
                addresses,
                cluster_id=cluster_id,
                timeout_s=timeout_s,
                in_flight=in_flight,
            ),
            place=f"cluster {cluster_id} at {addresses}",
        )

    def _use(self, package: Any, cluster: ClusterClient, *, place: str) -> None:
        self._tb = package
        self._cluster = cluster
        self._place = place
        self._flags_made: dict[int, Any] = {}

    def close(self) -> None:
        self._cluster.close()

    def open(self, accounts: Sequence[AccountRef | AccountSpec]) -> list[AccountStatus]:
        refused = [self._account_refused_here(a) for a in accounts]
        sent = [a for a, status in zip(accounts, refused, strict=True) if status is None]
        found: list[AccountStatus] = []
        for some in self._batched(sent):
            _note(
                "account",
                {
                    a.id: {"name": a.name, "flags": int(self._flags_of(a)), **_owners(a)}
                    for a in some
                },
            )
            batch = [self._account(a) for a in some]
            answers = self._asked("create_accounts", batch)
            statuses = [_account_status(answer.status) for answer in answers]
            _confirm([a.id for a, status in zip(some, statuses, strict=True) if status.ok])
            found += statuses
        opened = iter(found)
        return [next(opened) if status is None else status for status in refused]

    def post(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        check_batch(transfers)
        requests = split_at_chains(transfers, self._cluster.request_max())
        self._open_named(transfers)
        answers: list[Result] = []
        for request in requests:
            answers += self._post_request(request)
        return answers

    def _open_named(self, transfers: Sequence[TransferSpec]) -> None:
        """Open the accounts given by reference that this process has not seen open."""
        unopened = [r for r in references(transfers) if not OPENED.holds(self._place, r.id)]
        if unopened:
            statuses = self.open(unopened)
            opened = [r.id for r, status in zip(unopened, statuses, strict=True) if status.ok]
            OPENED.add(self._place, opened)

    def _post_request(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        noted = {spec.id: {"corrects": str(spec.corrects)} for spec in transfers if spec.corrects}
        _note("transfer", noted)
        own = [_refused_here(spec) for spec in transfers]
        batch = [self._transfer(spec, own[i]) for i, spec in enumerate(transfers)]
        answers = self._asked("create_transfers", batch)
        statuses = [
            _transfer_status(answer.status, transfers[i], own[i])
            for i, answer in enumerate(answers)
        ]
        booked = {s.id for s, status in zip(transfers, statuses, strict=True) if status.ok}
        _confirm([i for i in noted if i in booked])
        moved = self._moved(transfers, statuses)
        return [
            Result(spec.id, status, moved[spec.id])
            if status is TransferStatus.CREATED
            else Result(spec.id, status)
            for spec, status in zip(transfers, statuses, strict=True)
        ]

    def accounts(self, ids: Sequence[UUID]) -> list[Balances]:
        found = self._looked_up("lookup_accounts", ids)
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
        found = self._looked_up("lookup_transfers", ids)
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
            limit=min(limit, self._cluster.request_max()),
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
            for b in self._asked("get_account_balances", wanted)
        ]

    def expire(self, *, limit: int = 8190) -> int:
        """Nothing to do: the cluster expires what is pending by itself."""
        return 0

    def sweep_notes(self, *, older_than_s: float = 60.0) -> int:
        """Settle notes whose writer died: confirm what the cluster has; how many were looked at.

        What it does not have may be on its way still (the client goes on sending a request that we
        gave up), or be sent again: its note is kept for a week and asked for in turn.
        """
        now = timezone.now()
        before = now - timedelta(seconds=older_than_s)
        with tenant_atomic(Scope.worker()):
            rows = ClusterNote.objects.filter(confirmed_at__isnull=True, noted_at__lt=before)
            in_turn = F("asked_at").asc(nulls_first=True)
            notes = list(rows.order_by(in_turn, "noted_at")[:_ASK_FOR])
        accounts = [n.id for n in notes if n.kind == "account"]
        transfers = [n.id for n in notes if n.kind == "transfer"]
        known = {a.id for a in self.accounts(accounts)} if accounts else set()
        known |= {t.id for t in self.transfers(transfers)} if transfers else set()
        _confirm([n.id for n in notes if n.id in known])
        with tenant_atomic(Scope.worker()):
            open_ones = lock_open_notes([n.id for n in notes if n.id not in known])
            missed = ClusterNote.objects.filter(id__in=open_ones)
            missed.update(asked_at=now)
            missed.filter(noted_at__lt=now - _KEEP_NOTES).delete()
        return len(notes)

    # ---- conversion

    def _account(self, account: AccountRef | AccountSpec) -> tigerbeetle.Account:
        made: tigerbeetle.Account = self._tb.Account(
            id=account.id.int,
            user_data_128=account.user_data.int if account.user_data else 0,
            ledger=account.ledger,
            code=account.code,
            flags=self._tb.AccountFlags(int(self._flags_of(account)) & _CLUSTER_FLAGS),
        )
        return made

    def _transfer(self, spec: TransferSpec, refused: TransferStatus | None) -> tigerbeetle.Transfer:
        """The transfer for the cluster; one that our rules refuse gets a fault that it refuses.

        A flag that callers may not set is answered before anything else, so an unknown one is sent
        in its place. An amount of nothing comes after the id, the accounts and the flags: there a
        ledger of zero makes the very next answer in the order, and in a post or void a timeout.
        """
        flags, timeout, ledger = int(spec.flags), spec.timeout_s or 0, spec.ledger_number or 0
        asked = flags
        if refused is TransferStatus.RESERVED_FLAG:
            flags = flags & _CALLER_FLAGS | _UNKNOWN_FLAG
        elif refused and flags & _SETTLES:
            timeout = timeout or 1
        elif refused:
            ledger = 0
        amount = spec.amount_minor
        if refused:
            # No amount that one with the same id can have: `exists` would be wrong.
            amount = 0 if asked & (_SETTLES | _BALANCES) else _ALL
        elif amount is None:
            amount = 0 if asked & _VOIDS else _ALL
        day = spec.effective_on
        made: tigerbeetle.Transfer = self._tb.Transfer(
            id=spec.id.int,
            debit_account_id=spec.debit_id.int if spec.debit_id else 0,
            credit_account_id=spec.credit_id.int if spec.credit_id else 0,
            amount=amount,
            pending_id=spec.pending_id.int if spec.pending_id else 0,
            user_data_128=spec.document_id.int if spec.document_id else 0,
            user_data_32=(day - _DAY_ZERO).days if day else 0,
            timeout=timeout,
            ledger=ledger,
            code=spec.code,
            flags=self._flags(flags),
        )
        return made

    def _flags(self, flags: int) -> Any:
        """The client's flags, made once for each number: making them takes longer than the rest."""
        found = self._flags_made.get(flags)
        if found is None:
            found = self._flags_made[flags] = self._tb.TransferFlags(flags)
        return found

    def _account_refused_here(self, account: AccountRef | AccountSpec) -> AccountStatus | None:
        """What the cluster would take: bits that mean something else to it, and codes not ours."""
        if self._flags_of(account) & ~ACCOUNT_FLAGS:
            return AccountStatus.RESERVED_FLAG
        known = account.code == 0 or account.code in BY_CODE
        return None if known else AccountStatus.CODE_UNKNOWN

    def _flags_of(self, account: AccountRef | AccountSpec) -> AccountFlags:
        if account.flags is not None:
            return account.flags
        line = BY_CODE.get(account.code)
        return line.flags if line else AccountFlags.NONE

    def _moved(
        self, transfers: Sequence[TransferSpec], statuses: Sequence[TransferStatus]
    ) -> dict[UUID, int]:
        """What transfers without an amount of their own have moved; asks only where it must."""
        moved: dict[UUID, int] = {}
        unknown: list[UUID] = []
        for spec, status in zip(transfers, statuses, strict=True):
            if status is not TransferStatus.CREATED:
                continue
            amount = spec.amount_minor
            flags = int(spec.flags)
            whole = flags & _SETTLES and (amount is None or (not amount and flags & _VOIDS))
            if whole and spec.pending_id in moved:
                moved[spec.id] = moved[spec.pending_id]
            elif amount is None or whole or flags & _BALANCES:
                unknown.append(spec.id)
            else:
                moved[spec.id] = amount
        return moved | {t.id: t.amount_minor for t in self.transfers(unknown)}

    def _looked_up(self, look_up: str, ids: Sequence[UUID]) -> list[Any]:
        found: list[Any] = []
        for some in self._batched(ids):
            found += self._asked(look_up, [i.int for i in some])
        return found

    def _asked(self, operation: str, what: Any) -> list[Any]:
        answers: list[Any] = self._cluster.call(lambda client: getattr(client, operation)(what))
        return answers

    def _batched(self, values: Sequence[T]) -> Iterator[Sequence[T]]:
        most = self._cluster.request_max() if values else 1
        for start in range(0, len(values), most):
            yield values[start : start + most]


def _refused_here(spec: TransferSpec) -> TransferStatus | None:
    """What our rules refuse and the cluster would take: it allows zero, and knows no sign."""
    flags = int(spec.flags)
    if flags & ~_CALLER_FLAGS:
        return TransferStatus.RESERVED_FLAG
    amount = spec.amount_minor
    if amount is None:
        takes_all = flags & (_SETTLES | _BALANCES)
        return None if takes_all else TransferStatus.AMOUNT_MUST_NOT_BE_ZERO
    if amount < 0:
        return TransferStatus.AMOUNT_MUST_NOT_BE_NEGATIVE
    may_be_zero = amount or flags & (_CLOSES | _VOIDS)
    return None if may_be_zero else TransferStatus.AMOUNT_MUST_NOT_BE_ZERO


def _transfer_status(
    answer: Any, spec: TransferSpec, refused: TransferStatus | None
) -> TransferStatus:
    """The cluster's status as ours; `refused` where it reports the fault that we added."""
    status = TransferStatus[answer.name]
    if refused is None or refused is TransferStatus.RESERVED_FLAG:
        return status
    if not spec.flags & _SETTLES:
        return refused if status is TransferStatus.LEDGER_MUST_NOT_BE_ZERO else status
    if spec.timeout_s:
        return status
    if status is TransferStatus.EXISTS_WITH_DIFFERENT_TIMEOUT:
        # What exists has no timeout and some amount, which this one has not.
        return TransferStatus.EXISTS_WITH_DIFFERENT_AMOUNT
    return refused if status is TransferStatus.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER else status


def _account_status(answer: Any) -> AccountStatus:
    if answer.name.startswith("EXISTS_WITH_DIFFERENT_USER_DATA"):
        return AccountStatus.EXISTS_WITH_DIFFERENT_OWNER
    return AccountStatus[answer.name]


def _owners(account: AccountRef | AccountSpec) -> dict[str, str]:
    if not isinstance(account, AccountRef):
        return {}
    owners = {"merchant": account.merchant_id, "reseller": account.reseller_id}
    return {what: str(whose) for what, whose in owners.items() if whose}


def split_at_chains(transfers: Sequence[TransferSpec], most: int) -> list[list[TransferSpec]]:
    """Split transfers into requests of at most `most`, no linked set across two of them.

    Raises:
        InvalidRequest: a linked set that is longer than a request.
    """
    requests: list[list[TransferSpec]] = []
    chain: list[TransferSpec] = []
    for place, spec in enumerate(transfers, start=1):
        chain.append(spec)
        if int(spec.flags) & _LINKED and place < len(transfers):
            continue
        if len(chain) > most:
            raise InvalidRequest(
                f"A linked set holds at most {most} transfers on a cluster, not {len(chain)}."
                " Book it in several sets.",
                code="batch_too_large",
            )
        if not requests or len(requests[-1]) + len(chain) > most:
            requests.append([])
        requests[-1] += chain
        chain = []
    return requests


def _note(kind: str, bodies: dict[UUID, dict[str, Any]]) -> None:
    """Write down what the cluster will not hold, over a note that was never confirmed."""
    if not bodies:
        return
    with tenant_atomic(Scope.worker()):
        fetch_all(
            """
            INSERT INTO ledger_clusternote AS n (id, kind, body, noted_at)
            SELECT u.id, %s, u.body::jsonb, now()
              FROM unnest(%s::uuid[], %s::text[]) AS u (id, body)
             ORDER BY u.id
                ON CONFLICT (id) DO UPDATE SET body = excluded.body, noted_at = excluded.noted_at
             WHERE n.confirmed_at IS NULL
            RETURNING 1
            """,
            [kind, list(bodies), [json.dumps(body) for body in bodies.values()]],
        )


def _confirm(ids: Sequence[UUID]) -> None:
    if not ids:
        return
    with tenant_atomic(Scope.worker()):
        open_ones = lock_open_notes(ids)
        ClusterNote.objects.filter(id__in=open_ones).update(confirmed_at=timezone.now())
