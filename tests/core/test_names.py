"""Looking up names within a limit, and going on with what was found before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection
from redis.asyncio.connection import ConnectionPool, UnixDomainSocketConnection

from core import channel_layer, names, valkey
from core.channel_layer import ChannelLayer
from core.enqueue import enqueue
from core.postgres.base import BoundedConnection, resolved
from tests.core.support import eventually
from tests.frozen import Frozen, own_broker, own_valkey
from tests.resolver import Resolver, resolving
from tests.threads import no_more_threads

#: A limit that only ends what hangs: the resolver keeps its answer back for a minute.
HANGS_S = 20.0
SOON_S = 0.05
LONG_S = 60.0


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    names.forget_names()
    with resolving(monkeypatch) as found:
        yield found
    names.forget_names()


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is old at once."""
    monkeypatch.setattr(names, "FRESH_S", 0.0)
    monkeypatch.setattr(names, "FAILED_FOR_S", 0.0)


@pytest.fixture
def server() -> Iterator[Frozen]:
    with own_valkey() as started:
        yield started


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    with own_broker(monkeypatch) as started:
        yield started


class _NoThreads(ThreadPoolExecutor):
    """An executor whose threads hang already."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a thread of the executor was taken")


def _made(url: str) -> Any:
    pool: Any = ConnectionPool(**channel_layer.options_of(url))
    return pool.make_connection()


def found(host: str = "db.test", timeout_s: float = LONG_S) -> names.Addresses:
    return names.addresses_of(host, timeout_s=timeout_s)


def by_name(server: Frozen, name: str) -> str:
    return server.url.replace("127.0.0.1", name)


@pytest.mark.parametrize("ask", [names.addresses_of, names.look_up])
def test_a_resolver_that_does_not_answer_is_given_up(ask, resolver: Resolver) -> None:
    resolver.hold()
    began = time.monotonic()
    with pytest.raises(names.NotResolvedInTime):
        ask("db.test", timeout_s=SOON_S)
    assert time.monotonic() - began < HANGS_S


@pytest.mark.parametrize("host", ["localhost", "10.1.2.3", "::1", "fe80::1%eth0"])
def test_what_is_no_name_is_not_asked_for(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_ask", None)
    assert found(host) == (("127.0.0.1", "::1") if host == "localhost" else (host,))


def test_a_fresh_answer_is_not_asked_for_again(resolver: Resolver) -> None:
    assert [found(), found()] == [("127.0.0.1",)] * 2
    assert resolver.asked == ["db.test"]


def test_at_most_three_addresses_of_a_server_are_kept(resolver: Resolver) -> None:
    resolver.addresses = [f"127.0.0.{last}" for last in range(1, 6)]
    assert found() == ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.mark.usefixtures("stale")
def test_old_addresses_are_served_while_the_resolver_is_silent(resolver: Resolver) -> None:
    found()
    resolver.hold()
    eventually(lambda: found(timeout_s=0) and len(resolver.asked) == 2)
    assert [found(timeout_s=0) for _ in range(10)] == [("127.0.0.1",)] * 10
    assert len(resolver.asked) == 2


@pytest.mark.usefixtures("stale")
def test_old_addresses_are_served_while_the_name_is_unknown(resolver: Resolver) -> None:
    found()
    resolver.addresses = []
    eventually(lambda: found() and len(resolver.asked) >= 3)
    assert found() == ("127.0.0.1",)


@pytest.mark.usefixtures("stale")
def test_a_server_that_moved_is_found(resolver: Resolver) -> None:
    found()
    resolver.addresses = ["127.0.0.9"]
    eventually(lambda: found() == ("127.0.0.9",))


def test_an_unknown_name_is_asked_for_once_a_moment(resolver: Resolver) -> None:
    resolver.addresses = []
    for _ in range(3):
        with pytest.raises(names.NotResolved):
            found()
    assert resolver.asked == ["db.test"]


def test_all_who_wait_for_a_name_share_one_thread(resolver: Resolver) -> None:
    resolver.hold()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(found) for _ in range(8)]
        eventually(lambda: resolver.asked)
        resolver.let_go()
        assert [each.result() for each in waiting] == [("127.0.0.1",)] * 8
    assert resolver.asked == ["db.test"]


def test_names_looked_up_at_once_are_limited(resolver: Resolver) -> None:
    lookups = names.Lookups(2)
    resolver.hold()
    first, _ = lookups.begin("a.test"), lookups.begin("b.test")
    assert lookups.begin("a.test") is first
    with pytest.raises(names.NotResolved, match="Too many"):
        lookups.begin("c.test")
    resolver.let_go()
    assert first.result(LONG_S) == ("127.0.0.1",)
    eventually(lambda: not lookups._under_way)
    assert lookups.begin("c.test").result(LONG_S) == ("127.0.0.1",)


def test_others_names_take_no_look_up_of_our_servers(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_others", names.Lookups(0))
    with pytest.raises(names.NotResolved, match="Too many"):
        names.look_up("shop.test", timeout_s=LONG_S)
    assert found() == ("127.0.0.1",)


@pytest.mark.usefixtures("stale")
def test_known_addresses_are_served_without_a_thread_for_asking() -> None:
    with no_more_threads(), pytest.raises(names.NotResolved):
        found()
    found()
    with no_more_threads():
        assert found() == ("127.0.0.1",)


def test_a_client_of_valkey_waits_for_a_name_no_longer_than_its_limit(resolver: Resolver) -> None:
    resolver.hold()
    began = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        valkey.client("redis://cache.test:6379/0").ping()
    assert time.monotonic() - began < HANGS_S


@pytest.mark.usefixtures("stale")
def test_a_client_connects_again_while_the_resolver_is_silent(
    server: Frozen, resolver: Resolver
) -> None:
    url = by_name(server, "cache.test")
    assert valkey.client(url).ping()
    resolver.hold()
    assert valkey.client(url).ping()


def test_a_client_tries_the_next_address(server: Frozen, resolver: Resolver) -> None:
    resolver.addresses = ["127.0.0.77", "127.0.0.1"]
    assert valkey.client(by_name(server, "cache.test")).ping()


def test_a_connection_keeps_the_name_that_tls_compares(server: Frozen, resolver: Resolver) -> None:
    link = valkey.client(by_name(server, "cache.test")).connection_pool.get_connection()
    assert (link.host, link.socket_connect_timeout) == ("cache.test", valkey.TIMEOUT_S)
    joined = link._get_socket()
    assert joined is not None
    assert joined.getpeername()[0] == "127.0.0.1"


def test_tls_connections_look_names_up_in_the_same_way() -> None:
    pool = valkey.client("rediss://cache.test:6379/0").connection_pool
    assert pool.connection_class is valkey.TlsConnection
    assert valkey.TlsConnection.__mro__[1:3] == (redis.SSLConnection, valkey.Connection)


def test_the_channel_layer_waits_for_a_name_without_a_thread_of_the_executor(
    server: Frozen, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_layer, "CONNECT_WITHIN_S", SOON_S)

    async def push() -> None:
        asyncio.get_running_loop().set_default_executor(_NoThreads())
        layer = ChannelLayer(url=by_name(server, "cache.test"), prefix="t")
        resolver.hold()
        with pytest.raises(redis.RedisError):
            await layer.group_send("g", {"type": "t"})
        resolver.let_go()
        names.addresses_of("cache.test", timeout_s=LONG_S)
        await layer.group_send("g", {"type": "t"})
        await layer.flush()

    asyncio.run(push())


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://cache.test:6379/0", channel_layer.Connection),
        ("rediss://cache.test:6379/0", channel_layer.TlsConnection),
        ("unix:///run/valkey.sock", UnixDomainSocketConnection),
    ],
)
def test_the_channel_layer_has_connections_for_every_kind_of_address(url: str, kind: type) -> None:
    made: Any = _made(url)
    assert made.socket_timeout == channel_layer.ANSWER_WITHIN_S
    assert type(made) is kind


def test_the_tls_of_the_channel_layer_compares_the_name() -> None:
    made = _made("rediss://cache.test:6379/0")
    made._address = "127.0.0.1"
    found = made._connection_arguments()
    assert (found["host"], found["server_hostname"]) == ("127.0.0.1", "cache.test")
    assert "ssl" in found


def test_enqueueing_waits_for_a_name_no_longer_than_its_limit(
    broker: Frozen, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import current_app

    url = by_name(broker, "broker.test")
    monkeypatch.setattr(current_app.conf, "broker_write_url", url)
    resolver.hold()
    began = time.monotonic()
    assert not enqueue("core.sweep_inbox")
    assert time.monotonic() - began < HANGS_S
    resolver.let_go()
    eventually(lambda: enqueue("core.sweep_inbox"))
    assert set(resolver.asked) == {"broker.test"}


def _params(**more: str) -> dict[str, object]:
    params = dict(connection.get_connection_params())
    for own in ("context", "cursor_factory"):
        params.pop(own, None)
    return {**params, **more}


def test_the_database_is_waited_for_no_longer_than_its_limit(
    database: str, resolver: Resolver
) -> None:
    resolver.hold()
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="in time"):
        resolved(_params(host="db.test"), limit_s=SOON_S)
    assert time.monotonic() - began < HANGS_S


@pytest.mark.usefixtures("stale")
def test_the_database_is_connected_to_while_the_resolver_is_silent(
    database: str, resolver: Resolver
) -> None:
    found()
    resolver.hold()
    with BoundedConnection.connect(**resolved(_params(host="db.test"), limit_s=30)) as conn:
        assert (conn.info.host, conn.info.hostaddr) == ("db.test", "127.0.0.1")
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_each_address_of_each_host_is_tried_within_the_limit(resolver: Resolver) -> None:
    resolver.addresses = ["127.0.0.2", "127.0.0.3"]
    assert resolved({"host": "a.test,10.0.0.9", "port": "5432,6432", "dbname": "d"}, limit_s=9) == {
        "host": "a.test,a.test,10.0.0.9",
        "hostaddr": "127.0.0.2,127.0.0.3,10.0.0.9",
        "port": "5432,5432,6432",
        "dbname": "d",
        "connect_timeout": 3,
    }


def test_a_socket_in_the_file_system_has_no_name(resolver: Resolver) -> None:
    given = {"host": "/run/postgresql", "port": "5432"}
    assert resolved(given, limit_s=4.2) == {**given, "connect_timeout": 5}
    assert resolver.asked == []


def test_a_host_that_the_environment_names_is_looked_up_too(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "db.test")
    monkeypatch.setenv("PGPORT", "6432")
    found_for = resolved({"dbname": "d"}, limit_s=9)
    assert (found_for["host"], found_for["hostaddr"], found_for["port"]) == (
        "db.test",
        "127.0.0.1",
        "6432",
    )
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.9")
    assert resolved({"dbname": "d"}, limit_s=9) == {"dbname": "d", "connect_timeout": 9}
    assert resolver.asked == ["db.test"]
