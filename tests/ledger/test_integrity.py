"""Verification of the books, expiry, and what the database itself refuses."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError
from psycopg import sql

from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.ids import new_id
from core.pagination import PageRequest
from ledger import selectors, tasks
from ledger.backends.postgres import PostgresLedger
from ledger.chart import MerchantBook, TransferCode, account_ref
from ledger.models import Account, PendingTimeout, Transfer
from ledger.services import (
    TransferFlags,
    TransferSpec,
    TransferStatus,
    expire_pending,
    integrity,
    open_accounts,
    post,
    post_or_raise,
    post_pending,
)
from ledger.services.integrity import verify
from tests.core.support import eventually
from tests.ledger.test_post import a_book, authorize, held
from tests.ledger.test_races import at_once


@pytest.mark.usefixtures("own_database")
def test_books_that_agree_are_sound_and_the_next_run_looks_at_what_is_new_alone() -> None:
    book, provider = a_book(), new_id()
    pending = authorize(book, 900, provider)
    first = verify()
    with tenant_atomic(Scope.worker()):
        post_or_raise([post_pending(new_id(), pending, 400)])
    second = verify()

    assert (first.fault, second.fault) == ("", "")
    assert second.transfers == 1


@pytest.mark.usefixtures("own_database")
def test_a_tampered_balance_is_named(admin_dsn: str) -> None:
    book = a_book()
    authorize(book, 900, new_id())
    verify()
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        change = "UPDATE ledger_account SET credits_pending = credits_pending + %s WHERE id = %s"
        conn.execute(change, [5, book.pending.id])
        run = verify()
        conn.execute(change, [-5, book.pending.id])

    assert run.fault.startswith(f"Account {book.pending.name} ({book.pending.id}): credits_pending")
    assert integrity.off_gauge() == 1.0
    assert verify(full=True).fault == ""
    assert integrity.off_gauge() == 0.0


@contextlib.contextmanager
def tampered(admin_dsn: str, column: str, transfer: UUID) -> Iterator[None]:
    """A transfer's figure is one off meanwhile, which only whoever stops the triggers can do."""
    change = sql.SQL("UPDATE ledger_transfer SET {0} = {0} + %s WHERE id = %s").format(
        sql.Identifier(column)
    )
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(change, [1, transfer])
        try:
            yield
        finally:
            conn.execute(change, [-1, transfer])


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("amount", "pending 900, the transfers up to it say 901."),
        ("credit_credits_pending", "pending 901, the transfers up to it say 900."),
    ],
)
def test_an_old_transfer_that_was_tampered_with_is_found_by_the_weekly_run(
    admin_dsn: str, monkeypatch: pytest.MonkeyPatch, column: str, said: str
) -> None:
    # The sample may well find it earlier; here it never looks.
    monkeypatch.setattr(integrity, "SAMPLE_SPANS", 0)
    book = a_book()
    old = authorize(book, 900, new_id())
    authorize(book, 50, new_id())
    assert verify(full=True).fault == ""
    with tampered(admin_dsn, column, old):
        # Within the week a run looks at what is new alone.
        assert not integrity.full_is_due()
        tasks.verify_books()
        assert integrity.off_gauge() == 0.0
        with psycopg.connect(admin_dsn, autocommit=True) as conn:
            conn.execute(
                "UPDATE ledger_integrityrun SET finished_at = finished_at - '8 days'::interval"
            )
        tasks.verify_books()
        with tenant_atomic(Scope.worker()):
            run = integrity.last_run()
        assert run is not None
        assert run.full
        assert str(old) in run.fault
        assert run.fault.endswith(said)
        # The alarm stays until the books are put right, though the runs after it are short.
        assert verify().fault == run.fault
        assert integrity.off_gauge() == 1.0
    assert verify().fault == ""
    assert integrity.off_gauge() == 0.0


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("amount", "pending 900, the transfers up to it say 901."),
        ("credit_credits_pending", "pending 901, the transfers up to it say 900."),
    ],
)
def test_an_old_transfer_that_was_tampered_with_is_found_where_the_sample_falls_on_it(
    admin_dsn: str, monkeypatch: pytest.MonkeyPatch, column: str, said: str
) -> None:
    old = authorize(a_book(), 900, new_id())
    authorize(a_book(), 50, new_id())
    first = verify(full=True)
    assert (first.fault, first.sampled) == ("", 0)
    with tenant_atomic(Scope.worker()):
        before = Transfer.objects.get(id=old).timestamp - 1
    # `randbelow` answers below the checkpoint, and one is added.
    monkeypatch.setattr(secrets, "randbelow", lambda below: min(before, below - 1))
    with tampered(admin_dsn, column, old):
        run = verify()
        assert run.sampled >= 1
        assert str(old) in run.fault
        assert run.fault.endswith(said)
        # Wherever later samples fall, the fault is not forgotten.
        monkeypatch.setattr(integrity, "SAMPLE_SPANS", 0)
        assert verify().fault == run.fault
    assert verify().fault == ""


@pytest.mark.usefixtures("own_database")
def test_a_sound_journal_passes_every_sample() -> None:
    verify()
    for _ in range(10):
        assert verify().fault == ""


@pytest.mark.usefixtures("own_database")
def test_a_run_says_what_it_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    authorize(a_book(), 900, new_id())
    call_command("ledger_verify", full=True)
    assert "against all transfers;" in capsys.readouterr().out
    authorize(a_book(), 900, new_id())

    call_command("ledger_verify")

    with tenant_atomic(Scope.worker()):
        run = integrity.last_run()
    assert run is not None
    assert run.sampled >= 1
    assert (
        f"the 1 transfers since checkpoint {run.since:,} and a random sample of {run.sampled:,} "
        "older ones; only --full looks at all"
    ) in capsys.readouterr().out


@pytest.mark.usefixtures("own_database")
def test_a_full_run_that_is_cut_short_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    authorize(a_book(), 900, new_id())

    def cut(_: str) -> None:
        raise TimeoutError

    monkeypatch.setattr(integrity, "CHUNK", 1)
    with pytest.raises(TimeoutError):
        verify(full=True, progress=cut)
    monkeypatch.undo()
    assert not integrity.full_is_due()

    run = verify()

    assert (run.full, run.fault) == (True, "")
    assert not verify().full


@pytest.mark.usefixtures("own_database")
def test_runs_beside_each_other_and_beside_postings_raise_no_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A full run takes about ten chunks, between which the others come.
    with tenant_atomic(Scope.worker()):
        newest = fetch_one("SELECT last_value FROM ledger_timestamp")
    assert newest is not None
    monkeypatch.setattr(integrity, "CHUNK", max(40, newest[0] // 10))
    ledger = PostgresLedger()
    until = time.monotonic() + 4

    def work(number: int) -> list[str]:
        if number < 3:
            bank, shop = (
                account_ref("bank", new_id(), currency="USD", livemode=False) for _ in range(2)
            )
            while time.monotonic() < until:
                spec = TransferSpec(
                    id=new_id(),
                    debit=bank,
                    credit=shop,
                    amount_minor=3,
                    code=TransferCode.TOP_UP,
                    flags=TransferFlags.PENDING,
                )
                ledger.post([spec])
                ledger.post([post_pending(new_id(), spec.id, 2)])
            ledger.close()
            return []
        faults = []
        while time.monotonic() < until:
            faults.append(verify(full=number == 3).fault)
        return faults

    found = at_once(6, work)

    assert [fault for faults in found for fault in faults if fault] == []
    assert all(faults for faults in found[3:])


def overdue() -> int:
    """How many timeouts are over and not yet swept."""
    with tenant_atomic(Scope.worker()):
        row = fetch_one(
            "SELECT count(*) FROM ledger_pendingtimeout WHERE expires_at <= clock_timestamp()"
        )
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("own_database")
def test_a_reservation_expires_and_cannot_be_posted_any_more() -> None:
    book = a_book()
    pending = new_id()
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise(
            [
                TransferSpec(
                    id=pending,
                    debit=book.provider_clearing(new_id()),
                    credit=book.pending,
                    amount_minor=700,
                    code=TransferCode.PAYMENT,
                    flags=TransferFlags.PENDING,
                    timeout_s=1,
                )
            ]
        )
    eventually(lambda: overdue() == 1)
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        late = post([post_pending(new_id(), pending)])
    assert held(book, "pending") == (0, 700)

    assert expire_pending() == 1
    assert expire_pending() == 0

    assert [r.status for r in late] == [TransferStatus.PENDING_TRANSFER_EXPIRED]
    assert held(book, "pending") == (0, 0)
    with tenant_atomic(Scope.worker()):
        release = Transfer.objects.get(pending_id=pending)
        assert release.flags == TransferFlags.EXPIRED
        assert selectors.states_of([Transfer.objects.get(id=pending)]) == {pending: "expired"}
        assert selectors.balance_as_of(book.pending.id, datetime.now(UTC)).credits_pending == 0
    assert verify().fault == ""


@pytest.mark.usefixtures("own_database")
def test_captured_reservations_in_front_do_not_hold_up_expiry() -> None:
    book, provider = a_book(), new_id()
    reserved = [
        TransferSpec(
            id=new_id(),
            debit=book.provider_clearing(provider),
            credit=book.pending,
            amount_minor=7,
            code=TransferCode.PAYMENT,
            flags=TransferFlags.PENDING,
            timeout_s=1,
        )
        for _ in range(13)
    ]
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise([*reserved, *(post_pending(new_id(), r.id) for r in reserved[:12])])
    eventually(lambda: overdue() == 13)

    assert expire_pending(limit=5) == 1

    assert held(book, "pending") == (84, 0)
    with tenant_atomic(Scope.worker()):
        due = PendingTimeout.objects.filter(transfer_id__in=[r.id for r in reserved])
        assert not due.exists()


def test_transfers_cannot_be_changed_or_deleted_even_by_a_superuser(admin_dsn: str) -> None:
    pending = authorize(a_book(), 5, new_id())
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        for statement in (
            "UPDATE ledger_transfer SET amount = 6",
            "DELETE FROM ledger_transfer",
            "TRUNCATE ledger_transfer CASCADE",
            "DELETE FROM ledger_account",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                conn.execute(statement)
    with tenant_atomic(Scope.worker()):
        assert Transfer.objects.get(id=pending).amount == 5


@pytest.mark.parametrize("role", ["merchant", "reseller", "staff", "worker"])
def test_no_scope_writes_rows_itself(role: str) -> None:
    book = a_book()
    authorize(book, 5, new_id())
    scope = {
        "merchant": Scope.merchant(book.merchant_id),
        "reseller": Scope.reseller(book.reseller_id),
        "staff": Scope.staff(),
        "worker": Scope.worker(),
    }[role]
    for statement in (
        "UPDATE ledger_account SET credits_posted = 1",
        "INSERT INTO ledger_transfer (id) VALUES (gen_random_uuid())",
        "DELETE FROM ledger_transfer",
    ):
        with pytest.raises(DatabaseError, match="permission denied"), tenant_atomic(scope):
            fetch_all(statement)
    assert held(book, "pending") == (0, 5)


def test_a_transit_account_that_is_not_zero_refuses_the_commit() -> None:
    book, provider = a_book(), new_id()

    def into_transit(amount: int) -> TransferSpec:
        return TransferSpec(
            id=new_id(),
            debit=book.provider_clearing(provider),
            credit=book.settlement_transit,
            amount_minor=amount,
            code=TransferCode.PROVIDER_SETTLEMENT,
        )

    def out_of_transit(amount: int) -> TransferSpec:
        return TransferSpec(
            id=new_id(),
            debit=book.settlement_transit,
            credit=book.available,
            amount_minor=amount,
            code=TransferCode.PROVIDER_SETTLEMENT,
        )

    with tenant_atomic(Scope.worker()):
        post_or_raise([into_transit(10)])
        post_or_raise([out_of_transit(10)])
    with pytest.raises(DatabaseError, match="transit account"), tenant_atomic(Scope.worker()):
        post_or_raise([into_transit(10), out_of_transit(9)])

    assert held(book, "available") == (10, 0)
    assert held(book, "settlement_transit") == (0, 0)


def test_the_database_itself_refuses_an_overdraft(admin_dsn: str) -> None:
    ref = account_ref("wallet", new_id(), currency="USD", livemode=False)
    with tenant_atomic(Scope.worker()):
        open_accounts([ref])
    with (
        psycopg.connect(admin_dsn, autocommit=True) as conn,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        conn.execute("UPDATE ledger_account SET debits_posted = 1 WHERE id = %s", [ref.id])


def test_balances_as_of_a_past_time_and_statement_with_running_balance() -> None:
    book, provider = a_book(), new_id()
    moments: list[datetime] = []
    for amount in (100, 250, 50):
        with tenant_atomic(Scope.merchant(book.merchant_id)):
            post_or_raise(
                [
                    TransferSpec(
                        id=new_id(),
                        debit=book.provider_clearing(provider),
                        credit=book.available,
                        amount_minor=amount,
                        code=TransferCode.AVAILABLE,
                    )
                ]
            )
        with tenant_atomic(Scope.worker()):
            newest = fetch_one("SELECT clock_timestamp()")
        assert newest is not None
        moments.append(newest[0])

    with tenant_atomic(Scope.merchant(book.merchant_id)):
        then = [selectors.balance_as_of(book.available.id, at).credits_posted for at in moments]
        before = selectors.balance_as_of(book.available.id, moments[0] - timedelta(days=1))
        account = Account.objects.get(id=book.available.id)
        page = selectors.statement_page(account=account, page=PageRequest(limit=2))
        rest = selectors.statement_page(
            account=account, page=PageRequest(limit=2, cursor=page.next_cursor)
        )
        streamed = [
            line.amount_minor
            for line in selectors.statement_stream(
                account=account, scope=Scope.merchant(book.merchant_id)
            )
        ]

    assert then == [100, 350, 400]
    assert before.credits_posted == 0
    assert [line.balance and line.balance.credits_posted for line in page.items] == [400, 350]
    assert [line.balance and line.balance.credits_posted for line in rest.items] == [100]
    assert (page.has_more, rest.has_more) == (True, False)
    assert streamed == [100, 250, 50]


@pytest.mark.usefixtures("own_database")
def test_every_ledger_sums_to_zero() -> None:
    book: MerchantBook = a_book("JPY")
    authorize(book, 5, new_id())
    with tenant_atomic(Scope.staff()):
        sums: dict[int, int] = {}
        for line in selectors.trial_balance(livemode=False):
            net = line.debits_posted - line.credits_posted
            sums[line.ledger] = sums.get(line.ledger, 0) + net
    assert book.pending.ledger in sums
    assert set(sums.values()) == {0}


def test_timestamps_increase_strictly() -> None:
    book, provider = a_book(), new_id()
    made: list[UUID] = [authorize(book, 1, provider) for _ in range(3)]
    with tenant_atomic(Scope.worker()):
        stamps = [Transfer.objects.get(id=one).timestamp for one in made]
    assert stamps == sorted(set(stamps))
