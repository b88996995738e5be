"""A Valkey that is stopped, not dead: broker, cache and limits at once, and no answer waits for it.

Before, each provider event took 16 to 21 s and an export six.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from celery import current_app
from django.core.cache import cache

from core import enqueue as door
from core import ratelimit
from core.breaker import Breaker
from core.inbox import sweep
from notifications.services import wake_senders
from tests.api import Api
from tests.factories import Tenants, make_tenants
from tests.frozen import Frozen, own_valkey
from tests.portal.support import signed_in
from tests.providers.test_webhook_door import body, send, stored

#: A limit that only ends what hangs.
HANGS_S = 5.0


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Frozen]:
    """The platform stands on a Valkey that has been in use and is then stopped."""
    with own_valkey() as server:
        door._producers.close()
        monkeypatch.setattr(current_app.conf, "broker_write_url", server.url)
        monkeypatch.setattr(door, "_breaker", Breaker("broker", open_s=0.5))
        settings.CACHE_URL = server.url
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        ratelimit._script.cache_clear()
        cache.set("in-use", 1, 60)
        assert door.enqueue("core.sweep_inbox")
        server.freeze()
        yield server
        server.thaw()
        door._producers.close()
        ratelimit._script.cache_clear()


@pytest.fixture
def shop(database: str) -> Tenants:
    return make_tenants(totp=True)


def _took_s(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return time.monotonic() - began


def test_a_provider_event_is_taken_and_found_by_the_sweep(
    frozen: Frozen, sandbox_account: uuid.UUID, admin_dsn: str
) -> None:
    events = [body() for _ in range(3)]
    answers: list[Any] = []
    for event in events:
        assert _took_s(lambda event=event: answers.append(send(sandbox_account, event))) < HANGS_S
    assert [answer.status_code for answer in answers] == [200] * 3
    rows = [stored(admin_dsn, event["id"])[0] for event in events]
    assert {state for _, state, *_ in rows} == {"received"}

    _age(admin_dsn, [row[0] for row in rows])
    assert {row[0] for row in rows} <= set(sweep(limit=10_000))


def _age(admin_dsn: str, ids: list[uuid.UUID]) -> None:
    """As if ten seconds had passed."""
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute(
            "update core_inboxmessage set received_at = received_at - interval '11 s'"
            " where id = any(%s)",
            [ids],
        )


def test_an_export_is_made(frozen: Frozen, shop: Tenants) -> None:
    client = signed_in(shop)
    answers: list[Any] = []

    def export() -> None:
        answer: Any = client.get("/payments/export.csv")
        answers.append((answer.status_code, b"".join(answer.streaming_content)[:2]))

    assert _took_s(export) < HANGS_S
    assert _took_s(export) < HANGS_S
    assert [status for status, _ in answers] == [200, 200]


def test_the_api_is_answered(frozen: Frozen, shop: Tenants) -> None:
    api = Api(shop)
    answers: list[Any] = []
    assert _took_s(lambda: answers.append(api.get("/v1/balance"))) < HANGS_S
    for _ in range(20):
        assert _took_s(lambda: answers.append(api.get("/v1/balance"))) < HANGS_S
    assert {answer.status_code for answer in answers} == {200}


def test_a_payment_is_taken(frozen: Frozen, shop: Tenants) -> None:
    api = Api(shop)
    answers: list[Any] = []
    for _ in range(3):
        assert _took_s(lambda: answers.append(api.pay())) < HANGS_S
    assert [answer.status_code for answer in answers] == [201] * 3


def test_webhooks_are_enqueued_without_waiting(frozen: Frozen) -> None:
    assert _took_s(lambda: [wake_senders() for _ in range(100)]) < HANGS_S


def test_the_home_page_is_drawn(frozen: Frozen, shop: Tenants) -> None:
    client = signed_in(shop)
    answers: list[Any] = []
    assert _took_s(lambda: answers.append(client.get("/"))) < HANGS_S
    assert [answer.status_code for answer in answers] == [200]
