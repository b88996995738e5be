"""A small ledger in plain Python: what the real ones are compared with, error by error."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from uuid import UUID

from ledger.backends.base import AMOUNT_MAX, Balances, Result, TransferSpec
from ledger.flags import AccountFlags as A
from ledger.flags import TransferFlags as F
from ledger.status import TransferStatus as S

ZERO, ONES = UUID(int=0), UUID(int=2**128 - 1)


@dataclass
class ModelAccount:
    id: UUID
    ledger: int
    code: int
    flags: A
    merchant_id: UUID | None = None
    dp: int = 0
    d: int = 0
    cp: int = 0
    c: int = 0


@dataclass
class Booked:
    spec: TransferSpec
    debit: UUID
    credit: UUID
    amount: int
    ledger: int
    code: int
    document_id: UUID | None
    at: float
    settled: F | None = None


@dataclass
class State:
    accounts: dict[UUID, ModelAccount] = field(default_factory=dict)
    transfers: dict[UUID, Booked] = field(default_factory=dict)


class Refused(Exception):
    def __init__(self, status: S) -> None:
        self.status = status


def refuse_if(condition: object, status: S) -> None:
    if condition:
        raise Refused(status)


def _given(value: UUID | None) -> UUID | None:
    return None if value == ZERO else value


class Model:
    """The rules of ledger.status, one after the other."""

    def __init__(self) -> None:
        self.state = State()
        self.failed: set[UUID] = set()
        self.now = 0.0

    def open(self, account: ModelAccount) -> None:
        self.state.accounts[account.id] = account

    def post(self, transfers: list[TransferSpec]) -> list[Result]:
        results: list[Result] = []
        start: int | None = None
        saved = State()
        broken = False
        for i, spec in enumerate(transfers):
            is_linked = bool(spec.flags & F.LINKED)
            if is_linked and start is None:
                start, broken, saved = i, False, copy.deepcopy(self.state)
            try:
                refuse_if(is_linked and i == len(transfers) - 1, S.LINKED_EVENT_CHAIN_OPEN)
                refuse_if(start is not None and broken, S.LINKED_EVENT_FAILED)
                results.append(Result(spec.id, S.CREATED, self._one(spec)))
                status = S.CREATED
            except Refused as refused:
                status = refused.status
                results.append(Result(spec.id, status))
                if status.transient:
                    self.failed.add(spec.id)
                if start is not None and not broken:
                    broken = True
                    self.state = saved
                    for k in range(start, i):
                        results[k] = Result(transfers[k].id, S.LINKED_EVENT_FAILED)
            if start is not None and (not is_linked or status is S.LINKED_EVENT_CHAIN_OPEN):
                start = None
        return results

    def balances(self, account_id: UUID) -> Balances:
        a = self.state.accounts[account_id]
        return Balances(a.id, a.ledger, a.code, a.flags, a.dp, a.d, a.cp, a.c)

    def expire(self) -> None:
        for t in self.state.transfers.values():
            timeout = t.spec.timeout_s
            waits = t.spec.flags & F.PENDING and t.settled is None
            if waits and timeout and t.at + timeout <= self.now:
                t.settled = F.EXPIRED
                self._release(t)
                self._reopen(t)

    # ---- one transfer

    def _one(self, t: TransferSpec) -> int:
        refuse_if(int(t.flags) & ~0xFF, S.RESERVED_FLAG)
        refuse_if(t.id == ZERO, S.ID_MUST_NOT_BE_ZERO)
        refuse_if(t.id == ONES, S.ID_MUST_NOT_BE_INT_MAX)
        if t.id in self.state.transfers:
            raise Refused(self._known(t, self.state.transfers[t.id]))
        refuse_if(t.id in self.failed, S.ID_ALREADY_FAILED)
        if t.flags & (F.POST_PENDING | F.VOID_PENDING):
            return self._settle(t)
        return self._move(t)

    def _known(self, t: TransferSpec, e: Booked) -> S:  # noqa: C901 - one rule a line
        debit, credit, ledger = t.debit_id, t.credit_id, t.ledger_number
        settles = bool(t.flags & (F.POST_PENDING | F.VOID_PENDING))
        amount, document = t.amount_minor, t.document_id
        if t.flags != e.spec.flags:
            return S.EXISTS_WITH_DIFFERENT_FLAGS
        if _given(t.pending_id) != _given(e.spec.pending_id):
            return S.EXISTS_WITH_DIFFERENT_PENDING_ID
        if (t.timeout_s or 0) != (e.spec.timeout_s or 0):
            return S.EXISTS_WITH_DIFFERENT_TIMEOUT
        if settles:
            assert e.spec.pending_id is not None
            p = self.state.transfers[e.spec.pending_id]
            if amount is None or (amount == 0 and t.flags & F.VOID_PENDING):
                amount = p.amount
            document = document or p.document_id
            debit, credit = _given(debit) or e.debit, _given(credit) or e.credit
            ledger = ledger or e.ledger
        if debit != e.debit:
            return S.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
        if credit != e.credit:
            return S.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
        if t.flags & (F.BALANCING_DEBIT | F.BALANCING_CREDIT):
            if amount is not None and amount < e.amount:
                return S.EXISTS_WITH_DIFFERENT_AMOUNT
        elif amount != e.amount:
            return S.EXISTS_WITH_DIFFERENT_AMOUNT
        if document != e.document_id:
            return S.EXISTS_WITH_DIFFERENT_USER_DATA_128
        if t.effective_on != e.spec.effective_on:
            return S.EXISTS_WITH_DIFFERENT_USER_DATA_32
        if t.corrects != e.spec.corrects:
            return S.EXISTS_WITH_DIFFERENT_CORRECTS
        if ledger != e.ledger:
            return S.EXISTS_WITH_DIFFERENT_LEDGER
        if (t.code or (e.code if settles else 0)) != e.code:
            return S.EXISTS_WITH_DIFFERENT_CODE
        return S.EXISTS

    def _settle(self, t: TransferSpec) -> int:
        both = F.POST_PENDING | F.VOID_PENDING
        others = F.PENDING | F.BALANCING_DEBIT | F.BALANCING_CREDIT
        others |= F.CLOSING_DEBIT | F.CLOSING_CREDIT
        refuse_if(t.flags & both == both or t.flags & others, S.FLAGS_ARE_MUTUALLY_EXCLUSIVE)
        refuse_if(t.pending_id in (None, ZERO), S.PENDING_ID_MUST_NOT_BE_ZERO)
        refuse_if(t.pending_id == ONES, S.PENDING_ID_MUST_NOT_BE_INT_MAX)
        refuse_if(t.pending_id == t.id, S.PENDING_ID_MUST_BE_DIFFERENT)
        refuse_if(t.timeout_s, S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER)
        amount = t.amount_minor
        refuse_if(amount == 0 and t.flags & F.POST_PENDING, S.AMOUNT_MUST_NOT_BE_ZERO)
        refuse_if(amount is not None and amount < 0, S.AMOUNT_MUST_NOT_BE_NEGATIVE)
        assert t.pending_id is not None
        p = self.state.transfers.get(t.pending_id)
        if p is None:
            raise Refused(S.PENDING_TRANSFER_NOT_FOUND)
        refuse_if(not p.spec.flags & F.PENDING, S.PENDING_TRANSFER_NOT_PENDING)
        refuse_if(
            t.debit_id not in (None, ZERO, p.debit),
            S.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID,
        )
        refuse_if(
            t.credit_id not in (None, ZERO, p.credit),
            S.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID,
        )
        refuse_if(
            t.ledger_number not in (None, 0, p.ledger), S.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
        )
        refuse_if(t.code not in (0, p.code), S.PENDING_TRANSFER_HAS_DIFFERENT_CODE)
        if amount is None or (amount == 0 and t.flags & F.VOID_PENDING):
            amount = p.amount
        refuse_if(amount > p.amount, S.EXCEEDS_PENDING_TRANSFER_AMOUNT)
        refuse_if(
            t.flags & F.VOID_PENDING and amount < p.amount, S.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
        )
        refuse_if(p.settled is F.POST_PENDING, S.PENDING_TRANSFER_ALREADY_POSTED)
        refuse_if(p.settled is F.VOID_PENDING, S.PENDING_TRANSFER_ALREADY_VOIDED)
        late = p.spec.timeout_s and p.at + p.spec.timeout_s <= self.now
        refuse_if(p.settled is F.EXPIRED or late, S.PENDING_TRANSFER_EXPIRED)
        debit, credit = self.state.accounts[p.debit], self.state.accounts[p.credit]
        if t.flags & F.POST_PENDING:
            refuse_if(debit.flags & A.CLOSED, S.DEBIT_ACCOUNT_ALREADY_CLOSED)
            refuse_if(credit.flags & A.CLOSED, S.CREDIT_ACCOUNT_ALREADY_CLOSED)
            debit.d += amount
            credit.c += amount
            p.settled = F.POST_PENDING
        else:
            self._reopen(p)
            p.settled = F.VOID_PENDING
        self._release(p)
        self.state.transfers[t.id] = Booked(
            t, p.debit, p.credit, amount, p.ledger, p.code, t.document_id or p.document_id, self.now
        )
        return amount

    def _release(self, p: Booked) -> None:
        self.state.accounts[p.debit].dp -= p.amount
        self.state.accounts[p.credit].cp -= p.amount

    def _reopen(self, p: Booked) -> None:
        for flag, account in ((F.CLOSING_DEBIT, p.debit), (F.CLOSING_CREDIT, p.credit)):
            if p.spec.flags & flag:
                self.state.accounts[account].flags &= ~A.CLOSED

    def _move(self, t: TransferSpec) -> int:
        debit_id, credit_id = t.debit_id, t.credit_id
        refuse_if(debit_id in (None, ZERO), S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO)
        refuse_if(debit_id == ONES, S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX)
        refuse_if(credit_id in (None, ZERO), S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO)
        refuse_if(credit_id == ONES, S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX)
        refuse_if(debit_id == credit_id, S.ACCOUNTS_MUST_BE_DIFFERENT)
        refuse_if(t.pending_id not in (None, ZERO), S.PENDING_ID_MUST_BE_ZERO)
        closing = t.flags & (F.CLOSING_DEBIT | F.CLOSING_CREDIT)
        if not t.flags & F.PENDING:
            refuse_if(t.timeout_s, S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER)
            refuse_if(closing, S.CLOSING_TRANSFER_MUST_BE_PENDING)
        balancing = t.flags & (F.BALANCING_DEBIT | F.BALANCING_CREDIT)
        amount = t.amount_minor
        refuse_if(amount is None and not balancing, S.AMOUNT_MUST_NOT_BE_ZERO)
        refuse_if(amount == 0 and not closing, S.AMOUNT_MUST_NOT_BE_ZERO)
        refuse_if(amount is not None and amount < 0, S.AMOUNT_MUST_NOT_BE_NEGATIVE)
        refuse_if(not t.ledger_number, S.LEDGER_MUST_NOT_BE_ZERO)
        refuse_if(not t.code, S.CODE_MUST_NOT_BE_ZERO)
        assert debit_id is not None
        assert credit_id is not None
        debit, credit = self.state.accounts.get(debit_id), self.state.accounts.get(credit_id)
        if debit is None:
            raise Refused(S.DEBIT_ACCOUNT_NOT_FOUND)
        if credit is None:
            raise Refused(S.CREDIT_ACCOUNT_NOT_FOUND)
        refuse_if(debit.ledger != credit.ledger, S.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER)
        refuse_if(debit.ledger != t.ledger_number, S.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS)
        refuse_if(
            debit.merchant_id and credit.merchant_id and debit.merchant_id != credit.merchant_id,
            S.ACCOUNTS_MUST_HAVE_THE_SAME_MERCHANT,
        )
        refuse_if(debit.flags & A.CLOSED, S.DEBIT_ACCOUNT_ALREADY_CLOSED)
        refuse_if(credit.flags & A.CLOSED, S.CREDIT_ACCOUNT_ALREADY_CLOSED)
        moved = self._balanced(t, debit, credit)
        if t.flags & F.PENDING:
            refuse_if(debit.dp + moved > AMOUNT_MAX, S.OVERFLOWS_DEBITS_PENDING)
            refuse_if(credit.cp + moved > AMOUNT_MAX, S.OVERFLOWS_CREDITS_PENDING)
        refuse_if(debit.d + moved > AMOUNT_MAX, S.OVERFLOWS_DEBITS_POSTED)
        refuse_if(credit.c + moved > AMOUNT_MAX, S.OVERFLOWS_CREDITS_POSTED)
        refuse_if(debit.d + debit.dp + moved > AMOUNT_MAX, S.OVERFLOWS_DEBITS)
        refuse_if(credit.c + credit.cp + moved > AMOUNT_MAX, S.OVERFLOWS_CREDITS)
        limited = debit.flags & A.DEBITS_MUST_NOT_EXCEED_CREDITS
        refuse_if(limited and debit.d + debit.dp + moved > debit.c, S.EXCEEDS_CREDITS)
        limited = credit.flags & A.CREDITS_MUST_NOT_EXCEED_DEBITS
        refuse_if(limited and credit.c + credit.cp + moved > credit.d, S.EXCEEDS_DEBITS)
        if t.flags & F.PENDING:
            debit.dp += moved
            credit.cp += moved
            if t.flags & F.CLOSING_DEBIT:
                debit.flags |= A.CLOSED
            if t.flags & F.CLOSING_CREDIT:
                credit.flags |= A.CLOSED
        else:
            debit.d += moved
            credit.c += moved
        self.state.transfers[t.id] = Booked(
            t, debit_id, credit_id, moved, debit.ledger, t.code, t.document_id, self.now
        )
        return moved

    def _balanced(self, t: TransferSpec, debit: ModelAccount, credit: ModelAccount) -> int:
        amount = AMOUNT_MAX if t.amount_minor is None else t.amount_minor
        wanted = amount
        nothing_to_debit = False
        if t.flags & F.BALANCING_DEBIT:
            there = debit.c - debit.d - debit.dp
            amount, nothing_to_debit = min(amount, max(there, 0)), there <= 0
        if t.flags & F.BALANCING_CREDIT:
            amount = min(amount, max(credit.d - credit.c - credit.cp, 0))
        if amount == 0 and wanted > 0 and not t.flags & (F.CLOSING_DEBIT | F.CLOSING_CREDIT):
            raise Refused(S.EXCEEDS_CREDITS if nothing_to_debit else S.EXCEEDS_DEBITS)
        return amount
