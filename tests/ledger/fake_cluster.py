"""As much of TigerBeetle's client as our backend speaks to, in memory.

What it answers, and in which order, follows `CreateTransferStatus` of tigerbeetle 0.17.8 in the
order of precedence of its documentation; amounts of zero are taken, as the cluster takes them.
"""

from __future__ import annotations

import copy
import enum
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

REQUEST_MAX = 8189
ALL = 2**128 - 1


class AccountFlags(enum.IntFlag):
    NONE = 0


class TransferFlags(enum.IntFlag):
    NONE = 0


@dataclass
class Account:
    id: int = 0
    user_data_128: int = 0
    ledger: int = 0
    code: int = 0
    flags: Any = 0
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0


@dataclass
class Transfer:
    id: int = 0
    debit_account_id: int = 0
    credit_account_id: int = 0
    amount: int = 0
    pending_id: int = 0
    user_data_128: int = 0
    user_data_32: int = 0
    timeout: int = 0
    ledger: int = 0
    code: int = 0
    flags: Any = 0
    timestamp: int = 0


class _Refused(Exception):
    pass


class ClientEvictedError(Exception):
    pass


class ClientClosedError(Exception):
    pass


class ClientReleaseTooLowError(Exception):
    pass


class ClientReleaseTooHighError(Exception):
    pass


class TooMuchDataError(Exception):
    pass


class InitError(Exception):
    pass


class Client:
    """One session, as `ClientSync` is one: refused once it was evicted, and for ever after."""

    def __init__(self, cluster: FakeCluster, addresses: str) -> None:
        self.cluster = cluster
        self.addresses = addresses
        self.pid = os.getpid()
        self.refused_with: Exception | None = None

    def close(self) -> None:
        self.refused_with = ClientClosedError("Client was closed.")

    def create_accounts(self, accounts: Sequence[Account]) -> list[Any]:
        return self._ask(accounts, self.cluster.create_accounts)

    def create_transfers(self, transfers: Sequence[Transfer]) -> list[Any]:
        return self._ask(transfers, self.cluster.create_transfers)

    def lookup_accounts(self, ids: Sequence[int]) -> list[Any]:
        return self._ask(ids, self.cluster.lookup_accounts)

    def lookup_transfers(self, ids: Sequence[int]) -> list[Any]:
        return self._ask(ids, self.cluster.lookup_transfers)

    def _ask(self, values: Any, answer: Callable[[Any], list[Any]]) -> list[Any]:
        assert self.pid == os.getpid(), "the client's thread is not in this process"
        refused = self.refused_with
        if refused is not None:
            # Of a client that was refused nothing is left to say why.
            self.refused_with = ClientClosedError("Client was closed.")
            raise refused
        if len(values) > self.cluster.request_max:
            raise TooMuchDataError
        while not self.cluster.up.wait(0.01):
            if self.refused_with is not None:
                raise self.refused_with
        return answer(values)


class FakeCluster:
    """Stands for the package `tigerbeetle` and its cluster at once."""

    ClientEvictedError = ClientEvictedError
    ClientClosedError = ClientClosedError
    ClientReleaseTooLowError = ClientReleaseTooLowError
    ClientReleaseTooHighError = ClientReleaseTooHighError
    TooMuchDataError = TooMuchDataError
    client = SimpleNamespace(InitError=InitError)

    def __init__(self, *, request_max: int = REQUEST_MAX) -> None:
        self.request_max = request_max
        self.sessions: list[Client] = []
        self.up = threading.Event()
        self.up.set()
        self.Account: Any = Account
        self.Transfer: Any = Transfer
        self.AccountFlags: Any = AccountFlags
        self.TransferFlags: Any = TransferFlags
        self.held: dict[int, Account] = {}
        self.booked: dict[int, Transfer] = {}
        self.requests: list[int] = []
        #: In seconds; `pass_time` moves it, and nothing else does.
        self.clock = 0
        self.waiting: dict[int, int] = {}
        self.resolved: dict[int, str] = {}
        #: Runs before each request of transfers is looked at.
        self.before: Callable[[], object] = lambda: None

    def ClientSync(self, *, cluster_id: int, replica_addresses: str) -> Client:  # noqa: N802
        self.sessions.append(Client(self, replica_addresses))
        return self.sessions[-1]

    def evict(self, error: Exception | None = None) -> None:
        """End every session, as more than 64 of them do."""
        for session in self.sessions:
            session.refused_with = error or ClientEvictedError("Client was evicted.")

    def pass_time(self, seconds: int) -> None:
        """Let reservations run out."""
        self.clock += seconds
        for key in [key for key, ends in self.waiting.items() if ends <= self.clock]:
            pending = self.booked[key]
            self.held[pending.debit_account_id].debits_pending -= pending.amount
            self.held[pending.credit_account_id].credits_pending -= pending.amount
            self.resolved[key] = "PENDING_TRANSFER_EXPIRED"
            del self.waiting[key]

    def create_accounts(self, accounts: Sequence[Account]) -> list[Any]:
        self._count(accounts)
        answers = []
        for account in accounts:
            name = "EXISTS" if account.id in self.held else "CREATED"
            if account.ledger == 0:
                name = "LEDGER_MUST_NOT_BE_ZERO"
            elif account.code == 0:
                name = "CODE_MUST_NOT_BE_ZERO"
            else:
                self.held.setdefault(account.id, account)
            answers.append(_answer(name))
        return answers

    def create_transfers(self, transfers: Sequence[Transfer]) -> list[Any]:
        self.before()
        self._count(transfers)
        names: list[str] = []
        start: int | None = None
        broken, saved = False, self._state()
        for place, transfer in enumerate(transfers):
            is_linked = bool(transfer.flags & 1)
            if is_linked and start is None:
                start, broken = place, False
                saved = copy.deepcopy(self._state())
            try:
                if is_linked and place == len(transfers) - 1:
                    raise _Refused("LINKED_EVENT_CHAIN_OPEN")
                if broken:
                    raise _Refused("LINKED_EVENT_FAILED")
                self._one(transfer)
                names.append("CREATED")
            except _Refused as refused:
                names.append(str(refused))
                if start is not None and not broken:
                    broken = True
                    self.held, self.booked, self.waiting, self.resolved = saved
                    names[start:place] = ["LINKED_EVENT_FAILED"] * (place - start)
            if not is_linked:
                start, broken = None, False
        return [_answer(name) for name in names]

    def lookup_accounts(self, ids: Sequence[int]) -> list[Account]:
        self._count(ids)
        return [self.held[i] for i in ids if i in self.held]

    def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer]:
        self._count(ids)
        return [self.booked[i] for i in ids if i in self.booked]

    def _state(self) -> Any:
        return self.held, self.booked, self.waiting, self.resolved

    def _count(self, values: Sequence[Any]) -> None:
        self.requests.append(len(values))

    def _one(self, t: Transfer) -> None:
        flags = int(t.flags)
        settles = bool(flags & 12)
        _check(flags & ~0x1FF == 0, "RESERVED_FLAG")
        if t.id in self.booked:
            raise _Refused(self._known(t, self.booked[t.id]))
        if settles:
            _check(t.pending_id != 0, "PENDING_ID_MUST_NOT_BE_ZERO")
            _check(t.timeout == 0, "TIMEOUT_RESERVED_FOR_PENDING_TRANSFER")
            pending = self.booked.get(t.pending_id)
            if pending is None:
                raise _Refused("PENDING_TRANSFER_NOT_FOUND")
            if pending.id in self.resolved:
                raise _Refused(self.resolved[pending.id])
            debit = self.held[pending.debit_account_id]
            credit = self.held[pending.credit_account_id]
            closed = int(debit.flags) & 32 or int(credit.flags) & 32
            _check(flags & 8 or not closed, "DEBIT_ACCOUNT_ALREADY_CLOSED")
            if flags & 8:
                debit.flags = int(debit.flags) & ~(32 if pending.flags & 64 else 0)
                credit.flags = int(credit.flags) & ~(32 if pending.flags & 128 else 0)
            t.debit_account_id, t.credit_account_id = debit.id, credit.id
            whole = t.amount == ALL or (t.amount == 0 and flags & 8)
            t.amount = pending.amount if whole else t.amount
            debit.debits_pending -= pending.amount
            credit.credits_pending -= pending.amount
            t.ledger, t.code = pending.ledger, pending.code
            self.waiting.pop(pending.id, None)
            self.resolved[pending.id] = (
                "PENDING_TRANSFER_ALREADY_VOIDED"
                if flags & 8
                else "PENDING_TRANSFER_ALREADY_POSTED"
            )
        else:
            _check(t.debit_account_id != 0, "DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO")
            _check(t.credit_account_id != 0, "CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO")
            _check(t.debit_account_id != t.credit_account_id, "ACCOUNTS_MUST_BE_DIFFERENT")
            _check(t.timeout == 0 or flags & 2, "TIMEOUT_RESERVED_FOR_PENDING_TRANSFER")
            _check(t.ledger != 0, "LEDGER_MUST_NOT_BE_ZERO")
            _check(t.code != 0, "CODE_MUST_NOT_BE_ZERO")
            _check(t.debit_account_id in self.held, "DEBIT_ACCOUNT_NOT_FOUND")
            _check(t.credit_account_id in self.held, "CREDIT_ACCOUNT_NOT_FOUND")
            debit, credit = self.held[t.debit_account_id], self.held[t.credit_account_id]
            _check(not int(debit.flags) & 32, "DEBIT_ACCOUNT_ALREADY_CLOSED")
            _check(not int(credit.flags) & 32, "CREDIT_ACCOUNT_ALREADY_CLOSED")
            debit.flags = int(debit.flags) | (32 if flags & 64 else 0)
            credit.flags = int(credit.flags) | (32 if flags & 128 else 0)
        if flags & 2:
            debit.debits_pending += t.amount
            credit.credits_pending += t.amount
            if t.timeout:
                self.waiting[t.id] = self.clock + t.timeout
        elif not flags & 8:
            debit.debits_posted += t.amount
            credit.credits_posted += t.amount
        t.timestamp = len(self.booked) + 1
        self.booked[t.id] = t

    def _known(self, t: Transfer, e: Transfer) -> str:
        given = bool(t.flags & 12)
        fields = [
            ("FLAGS", int(t.flags) != int(e.flags)),
            ("PENDING_ID", t.pending_id != e.pending_id),
            ("TIMEOUT", t.timeout != e.timeout),
            ("DEBIT_ACCOUNT_ID", t.debit_account_id != e.debit_account_id and not given),
            ("CREDIT_ACCOUNT_ID", t.credit_account_id != e.credit_account_id and not given),
            ("AMOUNT", t.amount != e.amount and not (given and t.amount == ALL)),
            ("USER_DATA_128", t.user_data_128 != e.user_data_128),
            ("USER_DATA_32", t.user_data_32 != e.user_data_32),
            ("LEDGER", t.ledger != e.ledger and not given),
            ("CODE", t.code != e.code and not given),
        ]
        for name, differs in fields:
            if differs:
                return f"EXISTS_WITH_DIFFERENT_{name}"
        return "EXISTS"


def _check(holds: object, name: str) -> None:
    if not holds:
        raise _Refused(name)


def _answer(name: str) -> Any:
    return SimpleNamespace(status=SimpleNamespace(name=name))
