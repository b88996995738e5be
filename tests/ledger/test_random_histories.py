"""Random histories: the ledger and the model give the same answers, error by error.

`LEDGER_HISTORIES` says how many. Time passes by moving the past of a history's accounts back, all
of it alike, so that reservations run out without anybody waiting.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from psycopg.conninfo import make_conninfo

from core.db import Scope, tenant_atomic
from core.ids import new_id
from ledger import selectors
from ledger.backends.base import AMOUNT_MAX, AccountSpec, TransferSpec
from ledger.backends.postgres import PostgresLedger
from ledger.chart import account_id, ledger_number
from ledger.flags import AccountFlags as A
from ledger.flags import TransferFlags as F
from ledger.models import Account
from tests.ledger.model import ONES, ZERO, Model, ModelAccount

LEDGER = PostgresLedger()
USD, EUR = ledger_number("USD", False), ledger_number("EUR", False)
_FLAGS = [A.HISTORY, A.HISTORY | A.DEBITS_MUST_NOT_EXCEED_CREDITS, A.CREDITS_MUST_NOT_EXCEED_DEBITS]
_USUAL_FLAGS = [F.NONE, F.NONE, F.PENDING, F.POST_PENDING, F.VOID_PENDING, F.BALANCING_DEBIT]
_RARE_FLAGS = [
    F.BALANCING_CREDIT, F.BALANCING_DEBIT | F.BALANCING_CREDIT, F.BALANCING_DEBIT | F.PENDING,
    F.PENDING | F.CLOSING_DEBIT, F.PENDING | F.CLOSING_CREDIT, F.CLOSING_DEBIT,
    F.POST_PENDING | F.VOID_PENDING, F.POST_PENDING | F.PENDING, F(512),
]  # fmt: skip


_TOUCHED: Final = "debit_account_id = ANY (%(ids)s) OR credit_account_id = ANY (%(ids)s)"
_TIMEOUTS_BACK: Final = f"""
    UPDATE ledger_pendingtimeout SET expires_at = expires_at - %(by)s
     WHERE transfer_id IN (SELECT id FROM ledger_transfer WHERE {_TOUCHED})
"""
_TRANSFERS_BACK: Final = f"""
    UPDATE ledger_transfer SET booked_at = booked_at - %(by)s WHERE {_TOUCHED}
"""
_ACCOUNTS_BACK: Final = """
    UPDATE ledger_account SET last_booked_at = last_booked_at - %(by)s WHERE id = ANY (%(ids)s)
"""


def _admin() -> psycopg.Connection[Any]:
    """One transaction of an administrator, who alone may touch what was booked."""
    url = os.environ["DATABASE_ADMIN_URL"]
    return psycopg.connect(make_conninfo(url, dbname=connection.settings_dict["NAME"]))


class Histories(RuleBasedStateMachine):
    """Batches of transfers, sensible and senseless, on a handful of accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.accounts: list[UUID] = []
        self.sent: list[TransferSpec] = []

    @initialize()
    def some_accounts(self) -> None:
        run = new_id()
        specs = [
            AccountSpec(account_id(name := f"history/{run}/{i}"), name, 2080, ledger, flags)
            for i, (ledger, flags) in enumerate(
                [*((USD, flags) for flags in _FLAGS), (USD, A.HISTORY), (EUR, A.HISTORY)]
            )
        ]
        LEDGER.open(specs)
        for spec in specs:
            self.model.open(ModelAccount(spec.id, spec.ledger, spec.code, spec.flags))
        self.accounts = [spec.id for spec in specs]

    @rule(seed=st.integers(0, 2**32), size=st.integers(1, 12))
    def a_batch(self, seed: int, size: int) -> None:
        self._send(random.Random(seed), size)

    @rule(seed=st.integers(0, 2**32))
    def a_large_batch(self, seed: int) -> None:
        self._send(random.Random(seed), 40)

    @rule(seed=st.integers(0, 2**32))
    def one_alone(self, seed: int) -> None:
        self._send(random.Random(seed), 1)

    @rule(seed=st.integers(0, 2**32), seconds=st.sampled_from([350, 400]))
    def time_passes(self, seed: int, seconds: int) -> None:
        """Some reservations run out: settled then, they have expired, swept or not."""
        with _admin() as conn:
            conn.execute("SET session_replication_role = replica")
            for statement in (_TIMEOUTS_BACK, _TRANSFERS_BACK, _ACCOUNTS_BACK):
                conn.execute(statement, {"by": timedelta(seconds=seconds), "ids": self.accounts})
        self.model.now += seconds
        self._send(random.Random(seed), 6)

    @rule()
    def a_sweep(self) -> None:
        LEDGER.expire()
        self.model.expire()

    @invariant()
    def the_balances_agree(self) -> None:
        for found in LEDGER.accounts(self.accounts):
            assert found == self.model.balances(found.id)

    def teardown(self) -> None:
        """The history kept with the transfers ends where the account stands."""
        with tenant_atomic(Scope.worker()):
            for account in Account.objects.filter(id__in=self.accounts):
                if not account.flags & A.HISTORY:
                    continue
                lines = list(selectors.statement_stream(account=account, scope=Scope.worker()))
                if lines:
                    last = lines[-1].balance
                    assert last is not None
                    now = selectors.balance_now(account.id)
                    assert (last.debits_posted, last.credits_posted) == (
                        now.debits_posted,
                        now.credits_posted,
                    )
                    assert (last.debits_pending, last.credits_pending) == (
                        now.debits_pending,
                        now.credits_pending,
                    )

    def _send(self, r: random.Random, size: int) -> None:
        batch: list[TransferSpec] = []
        for _ in range(size):
            batch.append(self._transfer(r, batch))
        expected = self.model.post(batch)
        found = LEDGER.post(batch)
        assert found == expected, [
            (spec, got.status.name, want.status.name)
            for spec, got, want in zip(batch, found, expected, strict=True)
            if got != want
        ]
        self.sent += batch

    def _transfer(self, r: random.Random, batch: list[TransferSpec]) -> TransferSpec:  # noqa: C901
        known = self.sent + batch
        booked = list(self.model.state.transfers.values())
        if known and r.random() < 0.12:
            pick = [t.spec for t in booked] if booked and r.random() < 0.8 else known
            return self._again(r, r.choice(pick))
        flags = r.choice(_USUAL_FLAGS if r.random() < 0.85 else _RARE_FLAGS)
        debit, credit = r.sample(self.accounts[:4], 2)
        if r.random() < 0.03:
            debit = r.choice([ZERO, ONES, new_id(), credit, *self.accounts[4:]])
        if r.random() < 0.03:
            credit = r.choice([ZERO, ONES, new_id(), *self.accounts[4:]])
        amount: int | None = r.choice([1, 5, 10, 10, 50, 100, 1000])
        if r.random() < 0.05:
            amount = r.choice([0, -3, None, AMOUNT_MAX, AMOUNT_MAX // 2 + 1])
        pending: UUID | None = None
        d: UUID | None = debit
        c: UUID | None = credit
        code, ledger = r.choice([10, 10, 11]), USD
        if flags & (F.POST_PENDING | F.VOID_PENDING):
            waiting = [t.spec for t in booked if t.spec.flags & F.PENDING and not t.settled]
            waiting += [s for s in batch if s.flags & F.PENDING]
            if r.random() < 0.25 or not waiting:
                waiting = [s for s in known if s.flags & F.PENDING] or waiting
            pending = r.choice(waiting).id if waiting else None
            if r.random() < 0.08:
                odd = [known[0].id] if known else []
                pending = r.choice([None, ZERO, ONES, new_id(), *odd])
            if r.random() < 0.8:
                d = c = None
                ledger, code = 0, 0
                amount = r.choice([None, None, amount])
        elif r.random() < 0.03:
            pending = r.choice([ZERO, new_id()])
        if r.random() < 0.03:
            ledger = r.choice([0, EUR])
        if r.random() < 0.03:
            code = 0
        if r.random() < 0.15:
            flags |= F.LINKED
        if pending and r.random() < 0.02:
            return TransferSpec(id=pending, pending_id=pending, flags=flags)
        return TransferSpec(
            id=r.choice([ZERO, ONES]) if r.random() < 0.01 else new_id(),
            debit=d,
            credit=c,
            amount_minor=amount,
            code=code,
            pending_id=pending,
            # Sums of the seconds that pass are never just below one of these.
            timeout_s=r.choice([None, 300, 1000])
            if flags & F.PENDING or r.random() < 0.02
            else None,
            flags=flags,
            document_id=r.choice([None, UUID(int=7)]),
            effective_on=r.choice([None, None, date(2026, 1, 2)]),
            ledger=ledger,
        )

    def _again(self, r: random.Random, spec: TransferSpec) -> TransferSpec:
        """The same id, mostly with the same content."""
        match r.randrange(22):
            case 0:
                return replace(spec, amount_minor=7)
            case 1:
                return replace(spec, document_id=UUID(int=9))
            case 2:
                return replace(spec, flags=spec.flags ^ F.PENDING)
            case 3:
                return replace(spec, code=12)
            case 4:
                return replace(spec, debit=self.accounts[0])
            case 5:
                return replace(spec, effective_on=date(2026, 3, 4))
            case 6:
                return replace(spec, ledger=EUR)
            case 7:
                return replace(spec, corrects=UUID(int=3))
            case 8:
                return replace(spec, credit=self.accounts[0])
            case 9:
                return replace(spec, timeout_s=900)
            case 10:
                return replace(spec, pending_id=new_id())
            case _:
                return spec


Histories.TestCase.settings = settings(
    max_examples=int(os.environ.get("LEDGER_HISTORIES", "40")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
#: The sweep of a history expires every reservation that is due.
TestHistories = pytest.mark.usefixtures("own_database")(Histories.TestCase)
