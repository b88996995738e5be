"""What every ledger backend can do, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol, TypedDict, Unpack
from uuid import UUID, uuid5

from ledger.chart import AccountRef, TransferCode
from ledger.flags import AccountFlags, TransferFlags
from ledger.status import AccountStatus, TransferStatus

#: More in one call is refused; what TigerBeetle takes in one message.
BATCH_MAX = 8190
#: Amounts and balances are 64-bit, signed.
AMOUNT_MAX = 2**63 - 1
#: A transfer's code is a smallint.
CODE_MAX = 2**15 - 1
#: A cluster keeps the effective date as seconds since 1970, and zero says that there is none.
EFFECTIVE_MIN = date(1971, 1, 1)


@dataclass(frozen=True, slots=True)
class TransferSpec:
    """One transfer to book.

    Args:
        id: made by the caller, derived from what it books (so that a retry has the same).
        debit, credit: the accounts; a reference opens the account on first use. Null in a post or
            void, which takes them from the pending transfer.
        amount_minor: more than zero. Null means all of it: in a post or void what was pending, in a
            balancing transfer whatever is there.
        code: why (`ledger.chart.TransferCode`); zero in a post or void.
        pending_id: the pending transfer that a post or void settles.
        timeout_s: seconds until a pending transfer expires.
        document_id: the payment, refund, payout … that it belongs to.
        effective_on: the day it counts for, when not the day it is booked.
        corrects: the transfer that it corrects.
        ledger: the currency and mode; that of the debit account when null.
    """

    id: UUID
    debit: AccountRef | UUID | None = None
    credit: AccountRef | UUID | None = None
    amount_minor: int | None = None
    code: int = 0
    pending_id: UUID | None = None
    timeout_s: int | None = None
    flags: TransferFlags = TransferFlags.NONE
    document_id: UUID | None = None
    effective_on: date | None = None
    corrects: UUID | None = None
    ledger: int | None = None

    @property
    def debit_id(self) -> UUID | None:
        return self.debit.id if isinstance(self.debit, AccountRef) else self.debit

    @property
    def credit_id(self) -> UUID | None:
        return self.credit.id if isinstance(self.credit, AccountRef) else self.credit

    @property
    def ledger_number(self) -> int | None:
        if self.ledger is not None:
            return self.ledger
        return self.debit.ledger if isinstance(self.debit, AccountRef) else None


class _More(TypedDict, total=False):
    """What else a post or void may say; all of it must agree with the pending transfer."""

    debit: AccountRef | UUID
    credit: AccountRef | UUID
    document_id: UUID
    code: int
    ledger: int


def post_pending(
    transfer_id: UUID, pending_id: UUID, amount_minor: int | None = None, **more: Unpack[_More]
) -> TransferSpec:
    """Settle a pending transfer, in full or in part; the rest of it is released."""
    return TransferSpec(
        id=transfer_id,
        pending_id=pending_id,
        amount_minor=amount_minor,
        flags=TransferFlags.POST_PENDING,
        **more,
    )


def void_pending(
    transfer_id: UUID, pending_id: UUID, amount_minor: int | None = None, **more: Unpack[_More]
) -> TransferSpec:
    """Release a pending transfer."""
    return TransferSpec(
        id=transfer_id,
        pending_id=pending_id,
        amount_minor=amount_minor,
        flags=TransferFlags.VOID_PENDING,
        **more,
    )


def linked(transfers: Sequence[TransferSpec]) -> list[TransferSpec]:
    """The same transfers as one set that succeeds or fails whole."""
    last = len(transfers) - 1
    return [
        spec if i == last else replace(spec, flags=spec.flags | TransferFlags.LINKED)
        for i, spec in enumerate(transfers)
    ]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one transfer; `amount_minor` is what it moved (null unless just booked)."""

    id: UUID
    status: TransferStatus
    amount_minor: int | None = None

    @property
    def ok(self) -> bool:
        return self.status.ok


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account to open with explicit flags (staff and workers)."""

    id: UUID
    name: str
    code: int
    ledger: int
    flags: AccountFlags = AccountFlags.HISTORY
    user_data: UUID | None = None


@dataclass(frozen=True, slots=True)
class Balances:
    """An account's four balances, in minor units, with its ledger, code and flags."""

    id: UUID
    ledger: int
    code: int
    flags: AccountFlags
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


@dataclass(frozen=True, slots=True)
class BookedTransfer:
    """A transfer as the ledger stores it."""

    id: UUID
    debit_account_id: UUID
    credit_account_id: UUID
    amount_minor: int
    pending_id: UUID | None
    document_id: UUID | None
    ledger: int
    code: int
    flags: TransferFlags
    timeout_s: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class BalancePoint:
    """An account's balances after one transfer, and when it was booked."""

    at: datetime
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


class Ledger(Protocol):
    """A ledger that commits on its own: every call is one transaction of its own.

    A caller's own transaction posts through `ledger.services.post` instead, which only the
    PostgreSQL backend can do.
    """

    def open(self, accounts: Sequence[AccountRef | AccountSpec]) -> list[AccountStatus]:
        """Open accounts; each gets an answer."""

    def post(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        """Book a batch of up to `BATCH_MAX`; each transfer gets an answer once all is durable."""

    def accounts(self, ids: Sequence[UUID]) -> list[Balances]:
        """The balances now of those of the accounts that exist, in the order asked."""

    def transfers(self, ids: Sequence[UUID]) -> list[BookedTransfer]:
        """Those of the transfers that were booked, in the order asked."""

    def history(self, account_id: UUID, *, limit: int = 100) -> list[BalancePoint]:
        """The newest balances of an account that keeps its history, newest first."""

    def expire(self, *, limit: int = 8190) -> int:
        """Release all pending transfers whose time is up, `limit` at a time; how many were."""


def covered_by(
    account: AccountRef, control: AccountRef, amount_minor: int, *, transfer_id: UUID
) -> list[TransferSpec]:
    """Two transfers to put before a third in one linked set, on an account without a limit.

    The set fails (`exceeds_credits`) when the account's credits less debits, pending ones
    included, do not cover the amount. `transfer_id` is that of the transfer they guard; their
    own ids are derived from it. (TigerBeetle's recipe "balance-conditional transfers".)
    """
    return [
        TransferSpec(
            id=uuid5(transfer_id, "condition"),
            debit=account,
            credit=control,
            amount_minor=amount_minor,
            code=TransferCode.CONDITION,
            flags=TransferFlags.BALANCING_DEBIT,
        ),
        TransferSpec(
            id=uuid5(transfer_id, "condition met"),
            debit=control,
            credit=account,
            amount_minor=amount_minor,
            code=TransferCode.CONDITION,
        ),
    ]
