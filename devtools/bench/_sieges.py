"""What besieges the platform in `./dev bench siege`: each a context manager around a measured load.

All of them speak to loopback alone, hold a bounded number of connections, and end with the block.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from devtools import say, stack
from devtools.bench._api import ask
from devtools.bench._receiver import receiver
from devtools.bench._stack import Platform
from devtools.ports import HOST

SLOW_BODIES, SLOW_HEADERS, SLOW_RECEIVERS, GREEDY_CLIENTS = 400, 2_000, 200, 64
#: As many as a merchant may have (notifications.services.MAX_ENDPOINTS).
ENDPOINTS_EACH = 16
#: A receiver of webhooks that still answers in time (15 s), and a provider that does not (8 s).
RECEIVER_AFTER_S, PROVIDER_AFTER_S = 14.0, 12.0
FROZEN_S = 20.0


@contextlib.contextmanager
def _connections(port: int, count: int, words: bytes) -> Iterator[None]:
    """`count` connections that send `words` and no more, opened again when they are ended."""
    over = threading.Event()

    def hold(share: int) -> None:
        open_ones: list[socket.socket] = []
        while not over.is_set():
            with contextlib.suppress(OSError):
                while len(open_ones) < share and not over.is_set():
                    sock = socket.create_connection((HOST, port), timeout=5)
                    sock.sendall(words)
                    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
                    open_ones.append(sock)
            over.wait(0.5)
            open_ones = [sock for sock in open_ones if not _ended(sock)]
        for sock in open_ones:
            sock.close()

    threads = [threading.Thread(target=hold, args=(count // 4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ended(sock: socket.socket) -> bool:
    try:
        if sock.recv(4_096):
            sock.close()
            return True
    except BlockingIOError:
        return False
    except OSError:
        pass
    sock.close()
    return True


@contextlib.contextmanager
def nothing(running: Platform) -> Iterator[None]:
    """No siege: what the load alone takes."""
    yield


@contextlib.contextmanager
def slow_bodies(running: Platform) -> Iterator[None]:
    words = (
        f"POST /v1/auth/login HTTP/1.1\r\nHost: {HOST}:{running.port}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with _connections(running.port, SLOW_BODIES, words.encode()):
        yield


@contextlib.contextmanager
def slow_headers(running: Platform) -> Iterator[None]:
    words = f"GET /login HTTP/1.1\r\nHost: {HOST}:{running.port}\r\nX-Slow: "
    with _connections(running.port, SLOW_HEADERS, words.encode()):
        yield


@contextlib.contextmanager
def _repeating(work: Any, clients: int) -> Iterator[None]:
    """`clients` threads that repeat `work` until the block ends."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, ValueError):
                work()

    threads = [threading.Thread(target=repeat) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def slow_receivers(running: Platform) -> Iterator[None]:
    """Other merchants' endpoints take their time, each with events that wait for it."""
    with receiver(RECEIVER_AFTER_S) as late:
        keys = _merchants(running, -(-SLOW_RECEIVERS // ENDPOINTS_EACH))
        for number in range(SLOW_RECEIVERS):
            status, refusal = ask(
                running, "POST", "/v1/webhook_endpoints", keys[number // ENDPOINTS_EACH],
                {"url": f"{late.url}/{number}", "events": ["*"]},
            )  # fmt: skip
            if status != 201:
                raise RuntimeError(f"Endpoint {number} was refused: {status} {refusal!r}")
        say.line(f"  {SLOW_RECEIVERS} endpoints of {len(keys)} merchants")

        def happen() -> None:
            for key in keys:
                ask(running, "POST", "/v1/payments", key, {"amount": 500, "currency": "USD"})
            time.sleep(1)

        with _repeating(happen, 1):
            # Each endpoint has something to wait for before the measurement begins.
            time.sleep(2)
            yield
        say.line(f"  {len(late.asked)} of the endpoints were sent to")


_MERCHANTS = """
import json
from core import ids
from core.context import Actor
from tenants.services.api_keys import api_key_create
from tenants.services.merchants import merchant_create
bench = dict(kind="system", id="bench", reseller_id=ids.decode("res", {reseller!r}))
keys = []
for number in range({count}):
    merchant = merchant_create(
        actor=Actor(**bench), name=f"Slow {{number}}", country="US", default_currency="USD")
    _, text = api_key_create(actor=Actor(**bench, merchant_id=merchant.id), name="bench")
    keys.append(text)
print(json.dumps(keys))
"""


def _merchants(running: Platform, count: int) -> list[str]:
    """Sign up `count` merchants with a demo reseller; their secret keys of the test mode."""
    reseller = running.demo["resellers"][0]["id"]
    done = stack.run_manage(
        ["shell", "--no-imports", "-c", _MERCHANTS.format(reseller=reseller, count=count)],
        running.env,
    )
    if done.returncode:
        raise RuntimeError(f"The merchants could not be made:\n{done.stderr[-2000:]}")
    keys: list[str] = json.loads(done.stdout)
    return keys


@contextlib.contextmanager
def slow_provider(running: Platform) -> Iterator[None]:
    """Another merchant's provider answers after longer than any request waits."""
    merchant = running.demo["merchants"][1]
    with receiver(PROVIDER_AFTER_S) as provider:
        _route_to(running, merchant["id"], provider.url)
        body = {
            "amount": 700,
            "currency": "USD",
            "payment_method_token": "tok_visa",
            "confirm": True,
        }
        key = merchant["secret_key_test"]
        with _repeating(lambda: ask(running, "POST", "/v1/payments", key, body), 16):
            time.sleep(2)
            yield


_ROUTE = """
from core import ids
from core.context import Actor
from payments.providers.services import account_create, rule_create
from tenants.authentication import merchant_facts
from core.db import Scope, tenant_atomic
merchant = ids.decode("mer", {merchant!r})
facts = merchant_facts(merchant)
actor = Actor(kind="user", id="usr_bench", label="bench", platform=True)
account = account_create(actor=actor, provider="stripe", label="Slow", livemode=False,
    credentials={{"secret_key": "sk_test_slow"}}, api_base={url!r}, timeout_s=40)
rule_create(actor=actor, account_id=account.id, merchant_id=merchant,
    reseller_id=facts.reseller_id, priority=1)
"""


def _route_to(running: Platform, merchant: str, url: str) -> None:
    done = stack.run_manage(
        ["shell", "--no-imports", "-c", _ROUTE.format(merchant=merchant, url=url)], running.env
    )
    if done.returncode:
        raise RuntimeError(f"The slow provider could not be set up:\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def frozen_valkey(running: Platform) -> Iterator[None]:
    """Valkey keeps its connections and answers nothing, for twenty seconds or to the end."""
    pid = running.pids["valkey"]
    os.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(FROZEN_S, os.kill, (pid, signal.SIGCONT))
    thaw.start()
    try:
        yield
    finally:
        thaw.cancel()
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def greedy_tenant(running: Platform) -> Iterator[None]:
    """Another merchant asks for its heaviest answers over 64 connections, without a pause."""
    key = running.demo["merchants"][1]["secret_key_test"]
    with _repeating(lambda: ask(running, "GET", "/v1/payments?limit=100", key), GREEDY_CLIENTS):
        yield


SIEGES = {
    "none": nothing,
    "slow_bodies": slow_bodies,
    "slow_headers": slow_headers,
    "slow_receivers": slow_receivers,
    "slow_provider": slow_provider,
    "frozen_valkey": frozen_valkey,
    "greedy_tenant": greedy_tenant,
}
