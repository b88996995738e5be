"""The session with a cluster: lost, silent, moved, forked, and with smaller requests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from django.core.management import CommandError, call_command

from core import deadline, names
from core.errors import InvalidRequest, Unavailable
from core.ids import new_id
from devtools.home import ROOT
from ledger.backends import get_ledger
from ledger.backends.base import AccountSpec, TransferSpec, linked
from ledger.backends.cluster_client import REQUEST_MAX, ClusterClient
from ledger.backends.tigerbeetle import TigerBeetleLedger
from ledger.status import TransferStatus as S
from tests.core.support import eventually
from tests.ledger import fake_cluster
from tests.ledger.fake_cluster import FakeCluster
from tests.ledger.test_cluster import OnAStandIn

USD = 8400
LOST = [
    (fake_cluster.ClientEvictedError("Client was evicted."), "ended this process's session"),
    (fake_cluster.ClientClosedError("Client was closed."), "ended this process's session"),
    (fake_cluster.ClientReleaseTooLowError("release too old"), "does not take this version"),
    (fake_cluster.ClientReleaseTooHighError("release too new"), "does not take this version"),
]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def ledger(cluster: FakeCluster) -> Iterator[TigerBeetleLedger]:
    found = OnAStandIn(cluster)
    yield found
    found.close()


def moves(ledger: TigerBeetleLedger, count: int) -> list[TransferSpec]:
    """As many transfers between two new accounts."""
    one, other = (AccountSpec(new_id(), str(new_id()), 1020, USD) for _ in range(2))
    ledger.open([one, other])
    return [
        TransferSpec(
            id=new_id(), debit=one.id, credit=other.id, amount_minor=1, code=10, ledger=USD
        )
        for _ in range(count)
    ]


def statuses(ledger: TigerBeetleLedger, transfers: Sequence[TransferSpec]) -> set[S]:
    return {result.status for result in ledger.post(transfers)}


@pytest.mark.parametrize(("error", "said"), LOST)
def test_a_session_that_was_lost_is_opened_again(
    cluster: FakeCluster, ledger: TigerBeetleLedger, error: Exception, said: str
) -> None:
    first, second = moves(ledger, 2)
    assert statuses(ledger, [first]) == {S.CREATED}
    cluster.evict(error)
    with pytest.raises(Unavailable, match=said):
        ledger.post([second])
    assert statuses(ledger, [first]) == {S.EXISTS}
    assert statuses(ledger, [second]) == {S.CREATED}
    assert len(cluster.sessions) == 2


def test_a_session_that_is_lost_while_it_is_opened_is_opened_again(
    cluster: FakeCluster, ledger: TigerBeetleLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = fake_cluster.ClientEvictedError()
    with monkeypatch.context() as patch:
        patch.setattr(fake_cluster.Client, "refused_with", refused, raising=False)
        opened = fake_cluster.Client.__init__

        def evicted(self: fake_cluster.Client, cluster: FakeCluster, addresses: str) -> None:
            opened(self, cluster, addresses)
            self.refused_with = refused

        patch.setattr(fake_cluster.Client, "__init__", evicted)
        with pytest.raises(Unavailable):
            ledger.accounts([new_id()])
    assert ledger.accounts([new_id()]) == []
    assert len(cluster.sessions) == 2


def test_a_client_that_cannot_be_made_is_unavailable(
    cluster: FakeCluster, ledger: TigerBeetleLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise fake_cluster.InitError("out of memory")

    monkeypatch.setattr(cluster, "ClientSync", refuse)
    with pytest.raises(Unavailable, match="could be made: out of memory"):
        ledger.accounts([new_id()])


def test_a_fault_of_ours_is_not_hidden(ledger: TigerBeetleLedger) -> None:
    def wrong(_: object) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        ledger._cluster.call(wrong)


def test_the_nearer_of_the_limits_counts(cluster: FakeCluster) -> None:
    cluster.up.clear()
    with deadline.within(0.05), pytest.raises(Unavailable):
        OnAStandIn(cluster, timeout_s=600).accounts([new_id()])


AWAY = """
from core.errors import Unavailable
from ledger.backends.cluster_client import ClusterClient
from tests.ledger.fake_cluster import FakeCluster

cluster = FakeCluster()
cluster.up.clear()
client = ClusterClient(cluster, "3001", cluster_id=0, timeout_s=0.1, in_flight=4)
try:
    client.request_max()
except Unavailable as error:
    print(error.message)
"""


def test_a_process_ends_though_the_cluster_never_answers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AWAY], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "The ledger's cluster did not answer within 0.1 s. Send the same again.\n"
    )


def test_a_fork_opens_a_session_of_its_own(cluster: FakeCluster, ledger: TigerBeetleLedger) -> None:
    ledger.accounts([new_id()])
    child = os.fork()
    if not child:
        # The stand-in refuses to be used in a process that did not make it.
        answered = ledger._cluster.call(lambda client: client.pid == os.getpid())
        os._exit(0 if answered and len(cluster.sessions) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.accounts([new_id()]) == []
    assert len(cluster.sessions) == 1


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("localhost:3002", "127.0.0.1:3002"),
        ("3000, 10.0.0.8", "127.0.0.1:3000,10.0.0.8:3001"),
        ("[::1]:3002,[fe80::2]", "[::1]:3002,[fe80::2]:3001"),
    ],
)
def test_names_are_looked_up(cluster: FakeCluster, given: str, used: str) -> None:
    OnAStandIn(cluster, given).accounts([new_id()])
    assert cluster.sessions[0].addresses == used


@pytest.mark.parametrize("given", ["", "a:b", "a:0", "a:65536", "a,,b", ":3000"])
def test_what_is_no_address_is_refused(cluster: FakeCluster, given: str) -> None:
    with pytest.raises(ValueError, match="no address of a replica"):
        OnAStandIn(cluster, given)


def test_a_name_without_an_address_is_unavailable(cluster: FakeCluster) -> None:
    with pytest.raises(Unavailable, match="was not found"):
        OnAStandIn(cluster, "ledger.invalid:3001").accounts([new_id()])
    assert cluster.sessions == []


def test_a_replica_that_moved_is_found(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ["10.0.0.1"]
    monkeypatch.setattr(names, "addresses_of", lambda host, timeout_s: tuple(at))
    cluster.request_max = 10
    ledger = OnAStandIn(cluster, "ledger-0.internal:3001", timeout_s=0.5)
    assert ledger.accounts([new_id()]) == []
    cluster.up.clear()
    for _ in range(2):
        with pytest.raises(Unavailable):
            ledger.accounts([new_id()])
    assert [s.addresses for s in cluster.sessions] == ["10.0.0.1:3001"]
    at[:] = ["10.0.0.2"]
    with pytest.raises(Unavailable):
        ledger.accounts([new_id()])
    cluster.up.set()

    def answers() -> bool:
        try:
            return ledger.accounts([new_id()]) == []
        except Unavailable:
            return False

    assert eventually(answers)
    assert [s.addresses for s in cluster.sessions] == ["10.0.0.1:3001", "10.0.0.2:3001"]


@pytest.mark.parametrize("size", [1, 2, 253, 254, 4095, REQUEST_MAX - 1, REQUEST_MAX])
def test_requests_are_as_large_as_the_server_takes(size: int) -> None:
    cluster = FakeCluster(request_max=size)
    client = ClusterClient(cluster, "3001", cluster_id=0, timeout_s=60, in_flight=4)
    assert client.request_max() == size
    asked = len(cluster.requests)
    assert asked == 1 if size == REQUEST_MAX else asked <= 13
    # It is asked once a session.
    assert client.request_max() == size
    assert len(cluster.requests) == asked


def test_batches_are_cut_to_the_servers_requests() -> None:
    cluster = FakeCluster(request_max=253)
    ledger = OnAStandIn(cluster)
    singles, longest = moves(ledger, 600), linked(moves(ledger, 253))
    cluster.requests.clear()
    assert statuses(ledger, singles) == {S.CREATED}
    assert cluster.requests == [253, 253, 94]
    assert len(ledger.transfers([spec.id for spec in singles])) == 600
    assert statuses(ledger, longest) == {S.CREATED}
    booked = len(cluster.booked)
    with pytest.raises(InvalidRequest, match="at most 253"):
        ledger.post([*moves(ledger, 1), *linked(moves(ledger, 254))])
    assert len(cluster.booked) == booked


def test_a_server_that_takes_less_than_before_is_asked_again(
    cluster: FakeCluster, ledger: TigerBeetleLedger
) -> None:
    transfers = moves(ledger, 20)
    cluster.request_max = 15
    with pytest.raises(Unavailable, match="smaller requests"):
        ledger.post(transfers)
    assert statuses(ledger, transfers) == {S.CREATED}


@pytest.mark.parametrize(
    ("addresses", "said"), [("", "needs TIGERBEETLE_ADDRESSES"), ("a:b", "no address|its client")]
)
def test_the_command_says_which_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, addresses: str, said: str
) -> None:
    monkeypatch.setenv("LEDGER_BACKEND", "tigerbeetle")
    monkeypatch.setenv("TIGERBEETLE_ADDRESSES", addresses)
    get_ledger.cache_clear()
    with pytest.raises(CommandError, match=said):
        call_command("ledger_migrate")
    get_ledger.cache_clear()
