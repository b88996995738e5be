"""A running ledger moves: the journal replayed, cut short, gone on with, finished and compared."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from core.db import Scope, fetch_one, tenant_atomic
from core.ids import new_id
from ledger import replay
from ledger.chart import MerchantBook, TransferCode
from ledger.flags import AccountFlags
from ledger.management.commands import ledger_migrate
from ledger.replay import ReplayRefused
from ledger.services import (
    TransferFlags,
    TransferSpec,
    expire_pending,
    linked,
    post_or_raise,
    post_pending,
    void_pending,
)
from tests.core.support import eventually
from tests.ledger.fake_cluster import FakeCluster
from tests.ledger.test_cluster import OnAStandIn
from tests.ledger.test_post import a_book

#: A replay moves a whole database.
pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def newest() -> int:
    """The newest timestamp that was booked."""
    with tenant_atomic(Scope.worker()):
        row = fetch_one('SELECT coalesce(max("timestamp"), 0) FROM ledger_transfer')
    assert row is not None
    return int(row[0])


def book(b: MerchantBook, *transfers: TransferSpec) -> list[TransferSpec]:
    with tenant_atomic(Scope.merchant(b.merchant_id)):
        post_or_raise(list(transfers))
    return list(transfers)


def reserve(b: MerchantBook, amount: int, timeout_s: int | None = None) -> TransferSpec:
    [spec] = book(
        b,
        TransferSpec(
            id=new_id(),
            debit=b.provider_clearing(b.merchant_id),
            credit=b.pending,
            amount_minor=amount,
            code=TransferCode.PAYMENT,
            flags=TransferFlags.PENDING,
            timeout_s=timeout_s,
        ),
    )
    return spec


def standing(cluster: FakeCluster, account: UUID) -> tuple[int, int, int, int]:
    a = cluster.held[account.int]
    return a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted


def test_a_journal_is_replayed_in_parts_and_ends_as_it_stands(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "CHUNK", 3)
    b, target = a_book(), OnAStandIn(cluster)
    captured, late = reserve(b, 100, 900), reserve(b, 70, 1)
    voided, waiting, kept = reserve(b, 50, 900), reserve(b, 30, 900), reserve(b, 20)
    book(b, *linked([
        post_pending(new_id(), captured.id, 80),
        TransferSpec(id=new_id(), debit=b.pending, credit=b.platform_fee, amount_minor=5, code=11),
    ]))  # fmt: skip

    up_to = replay.replay(target)

    # The reservation without a timeout stands; those with one wait for what becomes of them.
    assert standing(cluster, b.pending.id) == (0, 5, 20, 80)
    assert waiting.id.int not in cluster.booked
    book(b, void_pending(new_id(), voided.id))
    eventually(lambda: expire_pending() == 1)

    assert replay.replay(target, after=up_to) == newest()
    assert late.id.int in cluster.booked
    # Once more from the beginning changes nothing.
    before = len(cluster.booked)
    up_to = replay.replay(target)
    assert len(cluster.booked) == before

    replay.finish(target, after=up_to)
    assert standing(cluster, b.pending.id) == (0, 5, 50, 80)
    assert 0 < cluster.booked[waiting.id.int].timeout <= 900
    assert cluster.booked[kept.id.int].timeout == 0


def close(b: MerchantBook) -> TransferSpec:
    [spec] = book(
        b,
        TransferSpec(
            id=new_id(),
            debit=b.provider_clearing(b.merchant_id),
            credit=b.pending,
            amount_minor=0,
            code=TransferCode.CLOSING,
            flags=TransferFlags.PENDING | TransferFlags.CLOSING_CREDIT,
        ),
    )
    return spec


def test_an_account_closes_there_when_nothing_waits_for_it_any_more(cluster: FakeCluster) -> None:
    # Reservations that are replayed with what settles them must still find the account open.
    b, target = a_book(), OnAStandIn(cluster)
    voided, waiting = reserve(b, 50, 900), reserve(b, 30, 900)
    first = close(b)
    book(b, void_pending(new_id(), voided.id))
    reopened = book(b, void_pending(new_id(), first.id))
    taken = reserve(b, 20)
    last = close(b)

    up_to = replay.replay(target)

    assert {first.id.int, reopened[0].id.int, taken.id.int} <= cluster.booked.keys()
    assert last.id.int not in cluster.booked
    replay.finish(target, after=up_to)
    assert {waiting.id.int, last.id.int} <= cluster.booked.keys()
    assert standing(cluster, b.pending.id) == (0, 0, 50, 0)
    assert cluster.held[b.pending.id.int].flags & AccountFlags.CLOSED
    assert not cluster.held[b.provider_clearing(b.merchant_id).id.int].flags & AccountFlags.CLOSED


def test_the_end_compares_every_account(cluster: FakeCluster) -> None:
    reserve(a_book(), 100, 900)
    target = OnAStandIn(cluster)
    said: list[str] = []
    replay.finish(target, progress=said.append)
    assert said[-1] == "all 2 accounts that have moved agree in both ledgers"
    # An end that was called off is come to once more, with less time left.
    time.sleep(1.1)
    replay.finish(target, after=newest())
    account = next(iter(cluster.held.values()))
    account.debits_posted += 1
    with pytest.raises(ReplayRefused, match=str(UUID(int=account.id))):
        replay.finish(target, after=newest())


def test_an_end_that_was_called_off_is_come_to_after_its_reservations_ran_out(
    cluster: FakeCluster,
) -> None:
    b, target = a_book(), OnAStandIn(cluster)
    captured, late, voided = reserve(b, 100, 900), reserve(b, 70, 1), reserve(b, 50, 900)
    up_to = replay.finish(target)
    assert standing(cluster, b.pending.id) == (0, 0, 220, 0)

    # Called off: the platform goes on, and what ran out there is captured here.
    cluster.pass_time(901)
    [capture] = book(b, post_pending(new_id(), captured.id, 80))
    # Paid out of the capture, in an account that cannot be overdrawn.
    [fee] = book(b, TransferSpec(
        id=new_id(), debit=b.pending, credit=b.platform_fee, amount_minor=80, code=11
    ))  # fmt: skip
    book(b, void_pending(new_id(), voided.id))
    eventually(lambda: expire_pending() == 1)

    replay.finish(target, after=up_to)
    assert standing(cluster, b.pending.id) == (0, 80, 0, 80)
    assert {capture.id.int, fee.id.int} <= cluster.booked.keys()
    assert cluster.booked[capture.id.int].amount == 80
    assert late.id.int in cluster.booked

    # And once more, from there and from the beginning.
    booked = len(cluster.booked)
    replay.finish(target, after=newest())
    replay.finish(target)
    assert len(cluster.booked) == booked


def test_an_end_that_was_called_off_is_come_to_before_its_reservations_run_out(
    cluster: FakeCluster,
) -> None:
    b, target = a_book(), OnAStandIn(cluster)
    captured = reserve(b, 100, 900)
    replay.finish(target)
    [capture] = book(b, post_pending(new_id(), captured.id, 80))

    replay.finish(target)
    replay.finish(target)
    assert cluster.booked[capture.id.int].pending_id == captured.id.int
    assert standing(cluster, b.pending.id) == (0, 0, 0, 80)


def test_each_account_is_opened_once_in_a_run(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    b, target = a_book(), OnAStandIn(cluster)
    for _ in range(6):
        reserve(b, 1)
    assert target.transfers([new_id()]) == []
    cluster.requests.clear()
    replay.replay(target)
    # Its two accounts, and three times two transfers: nothing was looked up.
    assert cluster.requests == [2, 2, 2, 2]


def test_what_the_other_side_refuses_ends_the_replay(cluster: FakeCluster) -> None:
    b = a_book()
    kept = reserve(b, 20)
    target = OnAStandIn(cluster)
    replay.replay(target)
    cluster.booked[kept.id.int].amount = 19
    with pytest.raises(ReplayRefused, match=str(kept.id)):
        replay.replay(target)


def test_the_command_needs_a_cluster() -> None:
    with pytest.raises(CommandError, match="no cluster to replay onto"):
        call_command("ledger_migrate")


@pytest.mark.parametrize("option", [(), ("--final",)])
def test_the_command_says_that_the_cluster_is_away(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    reserve(a_book(), 100, 900)
    reserve(a_book(), 100)
    target = OnAStandIn(cluster, timeout_s=0.2)
    monkeypatch.setattr(ledger_migrate, "get_ledger", lambda: target)
    cluster.up.clear()
    with pytest.raises(CommandError, match=r"did not answer within 0\.2 s.*run it again"):
        call_command("ledger_migrate", *option)
