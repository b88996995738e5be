"""Slots are shared out among tenants: each waits for its turn, and for nobody's slow server."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from core.errors import Unavailable
from core.serving.slots import FairPool, PoolBusy, charge, waiting
from tests.core.support import eventually

#: Ends what hangs; nothing here takes a second.
LIMIT_S = 60


class Gate:
    """Jobs that stay until they are let go, and a record of who has begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._changed = threading.Condition()
        self._open: Counter[str] = Counter()

    def job(self, name: str, inside: Callable[[], None] = lambda: None) -> Callable[[], None]:
        def run() -> None:
            inside()
            with self._changed:
                self.begun.append(name)
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self._open[name] > 0, LIMIT_S)
                self._open[name] -= 1

        return run

    def note(self, name: str) -> None:
        with self._changed:
            self.begun.append(name)
            self._changed.notify_all()

    def let_go(self, name: str, times: int = 1) -> None:
        with self._changed:
            self._open[name] += times
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        wanted = Counter(names)
        with self._changed:
            assert self._changed.wait_for(lambda: not wanted - Counter(self.begun), LIMIT_S), (
                f"waited for {names}, begun were {self.begun}"
            )


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    for name in ("greedy", "other", "third"):
        made.let_go(name, 1_000)


def test_a_key_alone_holds_every_slot_and_the_next_one_runs_at_once(gate: Gate) -> None:
    pool = FairPool(slots=4, share=3)
    for _ in range(10):
        pool.submit("greedy", gate.job("greedy"))
    gate.wait_for(*["greedy"] * 4)
    pool.submit("other", gate.job("other"))

    gate.wait_for("other")

    assert Counter(gate.begun) == {"greedy": 4, "other": 1}
    assert pool.figures() == {"running": 5, "queued": 6, "parked": 0, "threads": 5}


def test_a_key_holds_no_more_than_its_share_while_others_are_about(gate: Gate) -> None:
    pool = FairPool(slots=4, share=3)
    pool.submit("other", gate.job("other"))
    gate.wait_for("other")
    for _ in range(10):
        pool.submit("greedy", gate.job("greedy"))
    gate.wait_for("greedy", "greedy", "greedy")

    assert pool.figures() == {"running": 4, "queued": 7, "parked": 0, "threads": 4}

    # What ran beyond the share is not followed by more of it.
    gate.let_go("greedy")
    gate.wait_for(*["greedy"] * 4)

    assert pool.figures() == {"running": 4, "queued": 6, "parked": 0, "threads": 4}


def test_a_free_slot_goes_to_the_key_that_runs_the_fewest(gate: Gate) -> None:
    pool = FairPool(slots=2, share=2)
    for _ in range(50):
        pool.submit("greedy", gate.job("greedy"))
    gate.wait_for("greedy", "greedy")
    pool.submit("other", gate.job("other"))
    pool.submit("third", gate.job("third"))

    gate.let_go("greedy")
    gate.wait_for("other")
    assert Counter(gate.begun) == {"greedy": 2, "other": 1}
    gate.let_go("other")
    gate.wait_for("third")

    assert Counter(gate.begun) == {"greedy": 2, "other": 1, "third": 1}


def test_who_waits_for_an_outside_server_holds_no_slot(gate: Gate) -> None:
    pool = FairPool(slots=1, parked=2)
    answer = threading.Event()

    def ask() -> None:
        with waiting():
            gate.note("asks")
            assert answer.wait(LIMIT_S)

    pool.submit("greedy", gate.job("greedy", inside=ask))
    pool.submit("greedy", gate.job("greedy", inside=ask))
    gate.wait_for("asks", "asks")
    pool.submit("other", gate.job("other"))

    gate.wait_for("other")
    assert pool.figures()["parked"] == 2
    answer.set()
    gate.wait_for("greedy", "greedy")
    assert pool.figures()["parked"] == 0


def test_where_no_more_may_be_parked_a_job_keeps_its_slot(gate: Gate) -> None:
    pool = FairPool(slots=1, parked=0)
    inside = threading.Event()
    answer = threading.Event()

    def ask() -> None:
        with waiting():
            inside.set()
            assert answer.wait(LIMIT_S)

    pool.submit("greedy", gate.job("greedy", inside=ask))
    pool.submit("other", gate.job("other"))
    assert inside.wait(LIMIT_S)
    assert pool.figures() == {"running": 1, "queued": 1, "parked": 0, "threads": 1}
    answer.set()
    gate.let_go("greedy")
    gate.wait_for("other")


def test_a_job_counts_to_whom_it_was_charged(gate: Gate) -> None:
    pool = FairPool(slots=3, share=1)
    pool.submit("address:1", gate.job("greedy", inside=lambda: charge("tenant", wait_s=LIMIT_S)))
    gate.wait_for("greedy")

    # The address has its share again, the tenant has not.
    pool.submit("address:1", gate.job("other"))
    gate.wait_for("other")
    pool.submit("tenant", gate.job("third"))
    assert pool.figures() == {"running": 2, "queued": 1, "parked": 0, "threads": 2}
    gate.let_go("greedy")
    gate.wait_for("third")


def test_jobs_that_turn_out_to_be_one_tenants_wait_for_its_turn(gate: Gate) -> None:
    """Twenty requests of one address that all show the same tenant are that tenant's."""
    pool = FairPool(slots=4, share=2)
    pool.submit("other", gate.job("other"))
    gate.wait_for("other")
    for _ in range(20):
        pool.submit(
            "address:1", gate.job("greedy", inside=lambda: charge("tenant", wait_s=LIMIT_S))
        )
    eventually(lambda: pool.figures()["parked"] == 18)

    assert pool.figures() == {"running": 3, "queued": 18, "parked": 18, "threads": 21}
    assert Counter(gate.begun) == {"other": 1, "greedy": 2}

    pool.submit("third", gate.job("third"))
    gate.wait_for("third")
    gate.let_go("greedy", 20)
    gate.wait_for(*["greedy"] * 20)


def test_a_tenant_alone_has_no_more_than_every_slot_by_whatever_name(gate: Gate) -> None:
    pool = FairPool(slots=4, share=3, parked=8)
    for _ in range(30):
        pool.submit(
            "address:1", gate.job("greedy", inside=lambda: charge("tenant", wait_s=LIMIT_S))
        )
    gate.wait_for(*["greedy"] * 4)
    eventually(lambda: pool.figures()["parked"] == 8)

    # Those for whom no thread may be parked keep the slot that they began in.
    figures = pool.figures()
    assert figures["running"] + figures["queued"] == 30
    assert figures["running"] <= 5
    assert figures["threads"] <= 13
    gate.let_go("greedy", 30)
    gate.wait_for(*["greedy"] * 30)


def test_however_many_slots_a_key_took_alone_few_run_beyond_them(gate: Gate) -> None:
    pool = FairPool(slots=4, share=3)
    for _ in range(40):
        pool.submit("greedy", gate.job("greedy"))
    gate.wait_for(*["greedy"] * 4)
    gate.let_go("greedy", 12)
    gate.wait_for(*["greedy"] * 16)
    for number in range(8):
        pool.submit(f"other:{number}", gate.job("other"))
    gate.wait_for("other")

    assert pool.figures() == {"running": 5, "queued": 31, "parked": 0, "threads": 5}


def test_one_whose_turn_does_not_come_in_time_is_told_so(gate: Gate) -> None:
    pool = FairPool(slots=3, share=1)
    refused = threading.Event()

    def ask() -> None:
        with pytest.raises(Unavailable):
            charge("tenant", wait_s=0.05)
        refused.set()

    pool.submit("tenant", gate.job("greedy"))
    pool.submit("other", gate.job("other"))
    gate.wait_for("greedy", "other")
    pool.submit("address:1", ask)

    assert refused.wait(LIMIT_S)
    eventually(partial(_runs, pool, 2))
    assert pool.figures() == {"running": 2, "queued": 0, "parked": 0, "threads": 3}


def test_a_thread_that_cannot_be_started_costs_no_slot(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = FairPool(slots=2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(PoolBusy):
            pool.submit("greedy", gate.job("greedy"))
    assert pool.figures() == {"running": 0, "queued": 0, "parked": 0, "threads": 0}

    pool.submit("greedy", gate.job("greedy"))
    gate.wait_for("greedy")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        pool.submit("other", gate.job("other"))
        assert pool.figures() == {"running": 1, "queued": 1, "parked": 0, "threads": 1}
    gate.let_go("greedy")
    gate.wait_for("other")


def test_what_ends_a_job_with_more_than_an_error_leaves_its_slot_too(gate: Gate) -> None:
    pool = FairPool(slots=1)
    pool.submit("greedy", sys.exit)
    pool.submit("other", gate.job("other"))
    gate.wait_for("other")


def test_a_full_queue_is_said_at_once_and_is_of_one_key_alone(gate: Gate) -> None:
    pool = FairPool(slots=2, share=1, queued_per_key=2)
    for _ in range(2):
        pool.submit("greedy", gate.job("greedy"))
    gate.wait_for("greedy", "greedy")
    pool.submit("greedy", gate.job("greedy"))
    pool.submit("greedy", gate.job("greedy"))

    with pytest.raises(PoolBusy):
        pool.submit("greedy", gate.job("greedy"))

    pool.submit("other", gate.job("other"))
    gate.wait_for("other")


@pytest.mark.parametrize("error", [ValueError("planned"), SystemExit(1)])
def test_a_job_that_raises_leaves_its_slot_and_its_thread(gate: Gate, error: BaseException) -> None:
    def fail() -> None:
        raise error

    pool = FairPool(slots=1)
    pool.submit("greedy", fail)
    pool.submit("other", gate.job("other"))
    gate.wait_for("other")
    assert pool.figures()["threads"] == 1
    gate.let_go("other")
    assert pool.drain(within_s=LIMIT_S)
    assert pool.figures() == {"running": 0, "queued": 0, "parked": 0, "threads": 1}


def _runs(pool: FairPool, number: int) -> bool:
    return pool.figures()["running"] == number


def test_the_thread_that_worked_last_works_next(gate: Gate) -> None:
    """It has the warm connection; the others may end."""
    pool = FairPool(slots=3)
    worked: list[int] = []
    for name in ("greedy", "other", "third"):
        pool.submit(name, gate.job(name, inside=lambda: worked.append(threading.get_ident())))
        gate.wait_for(name)
    for still_running, name in zip((2, 1, 0), ("other", "third", "greedy"), strict=True):
        gate.let_go(name)
        eventually(partial(_runs, pool, still_running))
    last = worked[0]

    for _ in range(5):
        pool.submit("other", lambda: worked.append(threading.get_ident()))
        assert pool.drain(within_s=LIMIT_S)

    assert set(worked[3:]) == {last}


def test_draining_waits_for_what_runs(gate: Gate) -> None:
    pool = FairPool(slots=1)
    pool.submit("other", gate.job("other"))
    gate.wait_for("other")
    assert not pool.drain(within_s=0.01)
    gate.let_go("other")
    assert pool.drain(within_s=LIMIT_S)
