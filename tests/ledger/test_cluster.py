"""The backend for a cluster, tried on a stand-in for the client: requests, faults of ours, notes.

What a real cluster answers is tried by `test_semantics.py` where one is given.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.db import Scope, tenant_atomic
from core.errors import InvalidRequest, Unavailable
from core.ids import new_id
from ledger.backends.base import AccountSpec, TransferSpec, linked, post_pending, void_pending
from ledger.backends.cluster_client import ClusterClient
from ledger.backends.tigerbeetle import TigerBeetleLedger
from ledger.chart import account_ref
from ledger.flags import AccountFlags
from ledger.flags import TransferFlags as F
from ledger.lock_objects import lock_open_notes
from ledger.models import ClusterNote
from ledger.status import AccountStatus
from ledger.status import TransferStatus as S
from tests.core.support import eventually
from tests.ledger.fake_cluster import REQUEST_MAX, FakeCluster

USD = 8400


class OnAStandIn(TigerBeetleLedger):
    def __init__(
        self,
        cluster: FakeCluster,
        addresses: str = "127.0.0.1:3001",
        *,
        timeout_s: float = 5.0,
        threads: int = 4,
    ) -> None:
        self._use(
            cluster,
            ClusterClient(cluster, addresses, cluster_id=0, timeout_s=timeout_s, in_flight=threads),
            place=f"stand-in {new_id()}",
        )


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def ledger(cluster: FakeCluster) -> Iterator[TigerBeetleLedger]:
    found = OnAStandIn(cluster)
    yield found
    found.close()


@pytest.fixture
def accounts(ledger: TigerBeetleLedger) -> tuple[UUID, UUID]:
    specs = [AccountSpec(new_id(), str(new_id()), 1020, USD) for _ in range(2)]
    assert ledger.open(specs) == [AccountStatus.CREATED] * 2
    return specs[0].id, specs[1].id


def move(accounts: tuple[UUID, UUID], amount: int | None = 1, **more: Any) -> TransferSpec:
    values: dict[str, Any] = {"id": new_id(), "code": 10, "ledger": USD} | more
    return TransferSpec(debit=accounts[0], credit=accounts[1], amount_minor=amount, **values)


def statuses(ledger: TigerBeetleLedger, *transfers: TransferSpec) -> list[S]:
    return [result.status for result in ledger.post(transfers)]


def test_a_full_batch_takes_two_requests(
    ledger: TigerBeetleLedger, cluster: FakeCluster, accounts: tuple[UUID, UUID]
) -> None:
    cluster.requests.clear()
    assert set(statuses(ledger, *(move(accounts) for _ in range(8190)))) == {S.CREATED}
    assert cluster.requests == [REQUEST_MAX, 1]
    found = ledger.transfers([UUID(int=i) for i in cluster.booked])
    assert len(found) == 8190


def test_no_linked_set_is_in_two_requests(
    ledger: TigerBeetleLedger, cluster: FakeCluster, accounts: tuple[UUID, UUID]
) -> None:
    singles = [move(accounts) for _ in range(REQUEST_MAX - 1)]
    sound = linked([move(accounts), move(accounts)])
    cluster.requests.clear()
    assert set(statuses(ledger, *singles[:-1], *sound)) == {S.CREATED}
    broken = linked([move(accounts), move(accounts, code=0)])
    again = [replace(spec, id=new_id()) for spec in singles]
    assert statuses(ledger, *again, *broken)[-2:] == [
        S.LINKED_EVENT_FAILED,
        S.CODE_MUST_NOT_BE_ZERO,
    ]
    assert cluster.requests == [REQUEST_MAX - 2 + 2, REQUEST_MAX - 1, 2]


def test_a_linked_set_longer_than_a_request_is_refused_before_it_is_sent(
    ledger: TigerBeetleLedger, cluster: FakeCluster, accounts: tuple[UUID, UUID]
) -> None:
    cluster.requests.clear()
    with pytest.raises(InvalidRequest, match="at most 8189"):
        ledger.post(linked([move(accounts) for _ in range(8190)]))
    assert (cluster.requests, cluster.booked) == ([], {})


def test_accounts_are_opened_in_requests_and_once(
    ledger: TigerBeetleLedger, cluster: FakeCluster
) -> None:
    specs = [AccountSpec(new_id(), str(new_id()), 1020, USD) for _ in range(REQUEST_MAX + 1)]
    assert ledger.accounts([new_id()]) == []
    cluster.requests.clear()
    assert set(ledger.open(specs)) == {AccountStatus.CREATED}
    assert cluster.requests == [REQUEST_MAX, 1]

    bank = account_ref("bank", new_id(), currency="USD", livemode=False)
    shop = account_ref("wallet", new_id(), currency="USD", livemode=False)
    named = [
        TransferSpec(id=new_id(), debit=bank, credit=shop, amount_minor=1, code=61)
        for _ in range(2)
    ]
    cluster.requests.clear()
    assert statuses(ledger, named[0]) == [S.CREATED]
    assert statuses(ledger, named[1]) == [S.CREATED]
    # Two accounts, one transfer, and then the transfer alone.
    assert cluster.requests == [2, 1, 1]


def test_accounts_that_cannot_be_opened_say_why_and_leave_no_confirmed_note(
    ledger: TigerBeetleLedger,
) -> None:
    specs = [
        AccountSpec(new_id(), str(new_id()), 999, USD),
        AccountSpec(new_id(), str(new_id()), 1020, 0),
        AccountSpec(new_id(), str(new_id()), 0, USD),
        AccountSpec(new_id(), str(new_id()), 1020, USD),
        # To the cluster it says that the next account is linked to this one.
        AccountSpec(new_id(), str(new_id()), 1020, USD, AccountFlags(1)),
    ]
    assert ledger.open(specs) == [
        AccountStatus.CODE_UNKNOWN,
        AccountStatus.LEDGER_MUST_NOT_BE_ZERO,
        AccountStatus.CODE_MUST_NOT_BE_ZERO,
        AccountStatus.CREATED,
        AccountStatus.RESERVED_FLAG,
    ]
    assert confirmed(*(s.id for s in specs)) == {specs[3].id}


def confirmed(*ids: UUID) -> set[UUID]:
    with tenant_atomic(Scope.worker()):
        rows = ClusterNote.objects.filter(id__in=ids, confirmed_at__isnull=False)
        return set(rows.values_list("id", flat=True))


def test_only_what_is_booked_is_confirmed(
    ledger: TigerBeetleLedger, accounts: tuple[UUID, UUID]
) -> None:
    good = move(accounts, corrects=new_id())
    bad = move(accounts, corrects=new_id(), code=0)
    assert statuses(ledger, good, bad) == [S.CREATED, S.CODE_MUST_NOT_BE_ZERO]
    assert confirmed(good.id, bad.id) == {good.id}


@pytest.mark.parametrize("amount", [0, -3, None])
def test_an_amount_of_nothing_is_refused_in_its_place_of_the_order(
    ledger: TigerBeetleLedger, cluster: FakeCluster, accounts: tuple[UUID, UUID], amount: int | None
) -> None:
    refused = S.AMOUNT_MUST_NOT_BE_NEGATIVE if amount == -3 else S.AMOUNT_MUST_NOT_BE_ZERO
    assert statuses(ledger, move(accounts, amount)) == [refused]
    # Before what comes later in the order: ledger, code, accounts.
    assert statuses(ledger, move(accounts, amount, ledger=0)) == [refused]
    assert statuses(ledger, move((accounts[0], new_id()), amount, code=0)) == [refused]
    # After what comes earlier.
    twice = (accounts[0], accounts[0])
    assert statuses(ledger, move(twice, amount)) == [S.ACCOUNTS_MUST_BE_DIFFERENT]
    late = move(accounts, amount, timeout_s=5)
    assert statuses(ledger, late) == [S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER]
    booked = move(accounts, 1, document_id=new_id())
    assert statuses(ledger, booked) == [S.CREATED]
    again = replace(booked, amount_minor=amount, document_id=new_id(), ledger=9780)
    assert statuses(ledger, again) == [S.EXISTS_WITH_DIFFERENT_AMOUNT]
    # And it takes its linked set with it.
    assert statuses(ledger, *linked([move(accounts), move(accounts, amount)])) == [
        S.LINKED_EVENT_FAILED,
        refused,
    ]
    assert list(cluster.booked) == [booked.id.int]


@pytest.mark.parametrize("amount", [0, -3])
def test_a_post_of_nothing_is_refused_in_its_place(
    ledger: TigerBeetleLedger, accounts: tuple[UUID, UUID], amount: int
) -> None:
    refused = S.AMOUNT_MUST_NOT_BE_NEGATIVE if amount == -3 else S.AMOUNT_MUST_NOT_BE_ZERO
    reserved = move(accounts, 5, flags=F.PENDING)
    assert statuses(ledger, reserved) == [S.CREATED]
    post = post_pending(new_id(), reserved.id, amount)
    assert statuses(ledger, post) == [refused]
    assert statuses(ledger, replace(post, pending_id=new_id())) == [refused]
    assert statuses(ledger, replace(post, pending_id=None)) == [S.PENDING_ID_MUST_NOT_BE_ZERO]
    assert statuses(ledger, replace(post, timeout_s=3)) == [S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER]
    assert statuses(ledger, replace(post, amount_minor=4)) == [S.CREATED]
    assert statuses(ledger, post) == [S.EXISTS_WITH_DIFFERENT_AMOUNT]


def test_a_flag_that_callers_may_not_set_is_refused_before_anything_else(
    ledger: TigerBeetleLedger, accounts: tuple[UUID, UUID]
) -> None:
    booked = move(accounts)
    assert statuses(ledger, booked) == [S.CREATED]
    for flag in (1 << 8, 1 << 9, 1 << 12):
        assert statuses(ledger, replace(booked, flags=F(flag))) == [S.RESERVED_FLAG]


def test_a_call_that_was_given_up_before_it_was_sent_is_never_sent(
    cluster: FakeCluster, accounts: tuple[UUID, UUID]
) -> None:
    ledger = OnAStandIn(cluster, timeout_s=0.2, threads=1)
    held = threading.Event()
    cluster.before = lambda: held.wait(60)
    first, second = move(accounts), move(accounts)
    with pytest.raises(Unavailable):
        ledger.post([first])
    with pytest.raises(Unavailable):
        ledger.post([second])
    held.set()
    third = move(accounts)
    assert statuses(OnAStandIn(cluster), third) == [S.CREATED]
    # The first was with the client already, which goes on: sent again it answers `exists`.
    eventually(lambda: first.id.int in cluster.booked)
    assert statuses(ledger, third) == [S.EXISTS]
    assert set(cluster.booked) == {first.id.int, third.id.int}


def test_only_what_has_no_amount_of_its_own_is_looked_up(
    ledger: TigerBeetleLedger, cluster: FakeCluster, accounts: tuple[UUID, UUID]
) -> None:
    held = [move(accounts, amount, flags=F.PENDING) for amount in (5, 6, 7, 8)]
    assert set(statuses(ledger, *held)) == {S.CREATED}
    cluster.requests.clear()
    same = move(accounts, 9, flags=F.PENDING)
    found = ledger.post([
        move(accounts, 3),
        post_pending(new_id(), held[0].id, 4),
        void_pending(new_id(), held[1].id, 6),
        # The reservation is in the same request.
        same,
        post_pending(new_id(), same.id),
    ])  # fmt: skip
    assert [result.amount_minor for result in found] == [3, 4, 6, 9, 9]
    assert cluster.requests == [5]

    cluster.requests.clear()
    found = ledger.post([
        post_pending(new_id(), held[2].id),
        void_pending(new_id(), held[3].id, 0),
        move(accounts, 2),
    ])  # fmt: skip
    assert [result.amount_minor for result in found] == [7, 8, 2]
    assert cluster.requests == [3, 2]


def test_notes_are_written_in_the_order_of_their_ids(
    admin_dsn: str, ledger: TigerBeetleLedger, accounts: tuple[UUID, UUID]
) -> None:
    """Two processes that note the same ids in opposite orders would wait for each other."""
    small, large = sorted([new_id(), new_id()])
    noted = "INSERT INTO ledger_clusternote (id, kind, body, noted_at) VALUES (%s, %s, %s, now())"
    done: list[object] = []

    def post() -> None:
        try:
            corrects = (move(accounts, id=i, corrects=new_id()) for i in (large, small))
            done.append(statuses(ledger, *corrects))
        finally:
            connection.close()

    thread = threading.Thread(target=post)
    with psycopg.connect(admin_dsn, autocommit=True) as admin, psycopg.connect(admin_dsn) as other:
        other.execute(noted, [small, "transfer", "{}"])
        thread.start()
        eventually(lambda: _waiting(admin) == 1)
        # Not one that the thread has written before it waits.
        other.execute(noted, [large, "transfer", "{}"])
    thread.join()
    assert done == [[S.CREATED, S.CREATED]]
    assert confirmed(small, large) == {small, large}


def test_notes_are_confirmed_in_the_order_of_their_ids(
    admin_dsn: str, ledger: TigerBeetleLedger
) -> None:
    specs = [AccountSpec(new_id(), str(new_id()), 1020, USD) for _ in range(2)]
    ledger.open(specs)
    small, large = sorted(spec.id for spec in specs)
    with tenant_atomic(Scope.worker()):
        ClusterNote.objects.filter(id__in=[small, large]).update(confirmed_at=None)
    with tenant_atomic(Scope.worker()), CaptureQueriesContext(connection) as captured:
        assert lock_open_notes([large, small]) == [small, large]
    [lock] = [q["sql"] for q in captured.captured_queries if "FOR UPDATE" in q["sql"]]
    assert re.search(r"ORDER BY 1 ASC FOR UPDATE$", lock)


def _waiting(admin: psycopg.Connection) -> int:
    row = admin.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return int(row[0]) if row else 0
