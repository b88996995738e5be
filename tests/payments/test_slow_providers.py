"""Providers that answer late or not at all: whom that holds up, and what becomes of the money."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core import deadline
from core.context import Actor
from core.db import Scope, fetch_all, tenant_atomic
from core.serving import slots
from payments.intents.models import Intent
from payments.intents.services import recovery
from payments.intents.services.recovery import SEND_WITHIN, intent_check
from payments.providers import calls
from payments.providers.base import Health, ProviderError
from payments.providers.calls import ProviderBusy, ProviderSilent, forget_calls, provider_call
from payments.providers.selectors import forget_accounts
from payments.providers.services import account_create, health_check, rule_create
from tests.api import Api, new_api
from tests.payments.slow_provider import SlowProvider, slow_provider
from tests.payments.support import books
from tests.threads import no_more_threads

STAFF = Actor(kind="user", id="usr_staff", label="staff", platform=True)
#: A limit that only ends what hangs.
HANGS_S = 60.0


@pytest.fixture
def provider() -> Iterator[SlowProvider]:
    with slow_provider() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_known(database: str) -> Iterator[None]:
    forget_calls()
    forget_accounts()
    yield
    forget_calls()


@dataclass
class Shop:
    """A merchant whose payments go to the provider's account, which it may share with others."""

    api: Api
    account_id: uuid.UUID

    @property
    def merchant_id(self) -> uuid.UUID:
        return self.api.tenants.merchant.id

    def pay(self, **fields: Any) -> Any:
        try:
            return self.api.pay(token="tok_visa", amount=1_000, **fields)
        finally:
            connection.close()

    def intents(self) -> list[Intent]:
        with tenant_atomic(Scope.merchant(self.merchant_id)):
            return list(Intent.objects.order_by("id"))

    def status(self, payment_id: str) -> str:
        return str(self.api.get(f"/v1/payments/{payment_id}").json()["data"]["status"])


def shops(provider: SlowProvider, count: int, *, timeout_s: int = 40) -> list[Shop]:
    """So many merchants that share one account at the provider."""
    account = account_create(
        actor=STAFF,
        provider="stripe",
        label="Slow",
        livemode=False,
        credentials={"secret_key": "sk_test_slow"},
        api_base=provider.url,
        timeout_s=timeout_s,
    )
    made = []
    for _ in range(count):
        api = new_api()
        rule_create(
            actor=STAFF,
            account_id=account.id,
            merchant_id=api.tenants.merchant.id,
            reseller_id=api.tenants.reseller.id,
            priority=1,
        )
        made.append(Shop(api, account.id))
    return made


def sent(shop: Shop) -> str:
    """Call the provider for a shop; what is called does nothing."""
    return provider_call(
        account_id=shop.account_id, merchant_id=shop.merchant_id, send=lambda _: "sent"
    )


def until(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + HANGS_S
    while not condition():
        assert time.monotonic() < ends_at, "it did not come to that"
        time.sleep(0.02)


@contextmanager
def paying(shop: Shop, count: int, provider: SlowProvider) -> Iterator[list[Future[Any]]]:
    """So many payments of a shop wait at the provider during the block."""
    before = provider.waiting
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(shop.pay) for _ in range(count)]
        until(lambda: provider.waiting == before + count)
        try:
            yield futures
        finally:
            provider.let_go()


def test_past_its_share_a_merchant_gets_202_and_a_worker_goes_on(
    provider: SlowProvider, settings, admin_dsn: str
) -> None:
    settings.PROVIDER_CALLS_MAX, settings.PROVIDER_BUDGET_S = 4, 40
    settings.REQUEST_DEADLINE_S = 50
    (shop,) = shops(provider, 1)
    assert shop.pay().status_code == 201

    provider.hold()
    with paying(shop, 2, provider) as futures:
        asked = provider.asked
        answer = shop.pay(key="once")
        assert answer.status_code == 202, answer.content
        payment = answer.json()["data"]
        assert payment["status"] == "processing"
        assert provider.asked == asked, "nothing was sent"
        again = shop.pay(key="once")
        assert (again.status_code, again.json()["data"]) == (202, payment)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert [each.result().status_code for each in futures] == [201, 201]

    intent = shop.intents()[-1]
    assert (intent.state, intent.step, intent.unsent) == ("VALIDATED", "authorize", True)
    assert (intent.version, intent.holder) == (2, None)  # opened, and handed over
    assert intent.next_check_at is not None
    assert intent.next_check_at <= timezone.now(), "the sweep would find it now"
    intent_check(intent_id=intent.id)
    assert shop.status(payment["id"]) == "completed"
    assert provider.charges(intent.public_id) == 1
    intent_check(intent_id=intent.id)
    assert provider.charges(intent.public_id) == 1
    found = books(admin_dsn, shop.merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-4_000, 0, 0)


def test_one_merchants_calls_leave_room_for_anothers(provider: SlowProvider, settings) -> None:
    """The account is shared: eight payments of one merchant wait, the other one's is sent."""
    settings.PROVIDER_CALLS_MAX, settings.PROVIDER_BUDGET_S = 16, 40
    settings.REQUEST_DEADLINE_S = 50
    greedy, other = shops(provider, 2)
    provider.hold()
    with paying(greedy, 8, provider), ThreadPoolExecutor(1) as pool:
        assert greedy.pay().status_code == 202
        theirs = pool.submit(other.pay)
        until(lambda: provider.waiting == 9)
        assert other.api.get("/v1/balance").status_code == 200
        provider.let_go()
        assert theirs.result().json()["data"]["status"] == "completed"


def test_a_merchant_with_several_slow_accounts_has_one_share_of_the_process(
    provider: SlowProvider, settings
) -> None:
    """Each wait keeps a thread of the web process, whichever account it is for."""
    settings.PROVIDER_WAITS_MAX, settings.PROVIDER_BUDGET_S = 4, 40
    settings.REQUEST_DEADLINE_S = 50
    greedy, other = shops(provider, 1)[0], shops(provider, 1)[0]
    provider.hold()
    with paying(greedy, 2, provider), ThreadPoolExecutor(1) as pool:
        assert greedy.pay().status_code == 202
        theirs = pool.submit(other.pay)
        until(lambda: provider.waiting == 3)
        provider.let_go()
        assert theirs.result().json()["data"]["status"] == "completed"


def test_two_workers_send_a_step_once(provider: SlowProvider, settings) -> None:
    settings.PROVIDER_CALLS_MAX = 0
    (shop,) = shops(provider, 1)
    assert shop.pay().status_code == 202
    settings.PROVIDER_CALLS_MAX = 16
    # Each has read that nothing was sent before any of them says that it sends.
    found = [intent for _ in range(4) for intent in shop.intents()]
    start = threading.Barrier(4)

    def work(intent: Intent) -> None:
        start.wait(30)
        try:
            recovery._check(intent)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(work, intent) for intent in found]:
            each.result()
    (intent,) = shop.intents()
    assert (intent.state, intent.unsent) == ("SETTLED", False)
    assert provider.charges(intent.public_id) == 1
    assert len(provider.keys) == 1, "nobody else even asked"


@pytest.mark.usefixtures("own_database")
def test_a_worker_that_finds_no_place_comes_back(provider: SlowProvider, settings) -> None:
    settings.PROVIDER_CALLS_MAX = 0
    (shop,) = shops(provider, 1)
    assert shop.pay().status_code == 202
    (intent,) = shop.intents()
    intent_check(intent_id=intent.id)
    (intent,) = shop.intents()
    assert (intent.unsent, intent.checks) == (True, 0)
    assert intent.next_check_at is not None
    assert 0 < (intent.next_check_at - timezone.now()).total_seconds() <= 3
    assert provider.asked == 0

    settings.PROVIDER_CALLS_MAX = 16
    due_at = intent.next_check_at
    until(lambda: due_at <= timezone.now())
    intent_check(intent_id=intent.id)
    assert [each.state for each in shop.intents()] == ["SETTLED"]


def test_what_could_not_be_sent_for_an_hour_ends_without_a_charge(
    provider: SlowProvider, settings, admin_dsn: str
) -> None:
    settings.PROVIDER_CALLS_MAX = 0
    (shop,) = shops(provider, 1)
    payment_id = shop.pay().json()["data"]["id"]
    (intent,) = shop.intents()
    with tenant_atomic(Scope.worker()):
        fetch_all(
            "UPDATE intents_intent SET created_at = created_at - %s WHERE id = %s RETURNING 1",
            [SEND_WITHIN, intent.id],
        )
    settings.PROVIDER_CALLS_MAX = 16
    intent_check(intent_id=intent.id)
    intent_check(intent_id=intent.id)
    assert shop.status(payment_id) == "failed"
    assert provider.payments == {}
    found = books(admin_dsn, shop.merchant_id)
    assert (found["pending"], found["sum"]) == (0, 0)


def test_a_provider_that_is_silent_is_unknown_and_found_out(
    provider: SlowProvider, settings
) -> None:
    """The answer that comes too late has the poller look; the charge is booked, once."""
    settings.PROVIDER_BUDGET_S = 0.6
    (shop,) = shops(provider, 1)
    provider.hold()
    began = time.monotonic()
    answer = shop.pay()
    assert time.monotonic() - began < 20
    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "processing")
    provider.let_go()
    (intent,) = shop.intents()
    assert (intent.step, intent.unsent, intent.checks) == ("authorize", False, 1)
    intent_check(intent_id=intent.id)
    assert [each.state for each in shop.intents()] == ["SETTLED"]
    assert provider.charges(intent.public_id) == 1


def test_a_late_answer_calls_the_poller(provider: SlowProvider, settings) -> None:
    settings.PROVIDER_BUDGET_S = 0.6
    (shop,) = shops(provider, 1)
    heard = threading.Event()
    provider.hold()
    with pytest.raises(ProviderSilent):
        provider_call(
            account_id=shop.account_id,
            merchant_id=shop.merchant_id,
            send=lambda adapter: adapter.health(),
            on_late=heard.set,
        )
    assert not heard.is_set()
    provider.let_go()
    assert heard.wait(HANGS_S)


def test_a_call_keeps_its_place_until_it_is_really_over(provider: SlowProvider, settings) -> None:
    settings.PROVIDER_BUDGET_S, settings.PROVIDER_CALLS_MAX = 0.6, 2
    (shop,) = shops(provider, 1)
    provider.hold()
    assert shop.pay().status_code == 201, "given up, and unknown"
    assert shop.pay().status_code == 202
    provider.let_go()

    def has_room() -> bool:
        places = calls._account(shop.account_id).places
        if not places.enter(shop.merchant_id):
            return False
        places.leave(shop.merchant_id)
        return True

    until(has_room)
    settings.PROVIDER_BUDGET_S = 40
    assert shop.pay().json()["data"]["status"] == "completed"


def test_the_breaker_opens_and_closes(
    provider: SlowProvider, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "OPEN_S", 1.5)
    (shop,) = shops(provider, 1)
    provider.break_down()
    unknown = [shop.pay() for _ in range(calls.FAILURES)]
    assert {answer.status_code for answer in unknown} == {201}
    asked = provider.asked
    waits = shop.pay()
    assert (waits.status_code, waits.json()["data"]["status"]) == (202, "processing")
    assert provider.asked == asked

    provider.mend()
    breaker = calls._account(shop.account_id).breaker
    until(lambda: not breaker.is_open)
    intent = shop.intents()[-1]
    intent_check(intent_id=intent.id)
    assert shop.status(waits.json()["data"]["id"]) == "completed"
    assert provider.charges(intent.public_id) == 1
    assert shop.pay().json()["data"]["status"] == "completed"


def test_a_decline_does_not_open_it(provider: SlowProvider) -> None:
    (shop,) = shops(provider, 1)
    shop.pay()
    for _ in range(calls.FAILURES * 2):
        with pytest.raises(ProviderError):
            provider_call(
                account_id=shop.account_id,
                merchant_id=shop.merchant_id,
                send=lambda adapter: adapter.check_source(source="tok_1missing"),
            )
    assert not calls._account(shop.account_id).breaker.is_open


def test_a_provider_that_is_busy_is_503_where_nothing_can_wait(
    provider: SlowProvider, settings
) -> None:
    (shop,) = shops(provider, 1)
    customer = shop.api.post("/v1/customers", {"email": "a@example.test"}).json()["data"]["id"]
    settings.PROVIDER_CALLS_MAX = 0
    answer = shop.api.post("/v1/payment_methods", {"customer": customer, "token": "tok_visa"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_busy")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_health_check_of_an_account_that_is_left_alone_fails(
    provider: SlowProvider, settings
) -> None:
    (shop,) = shops(provider, 1)
    settings.PROVIDER_CALLS_MAX = 0
    health = health_check(account_id=shop.account_id)
    assert isinstance(health, Health)
    assert not health.ok


def test_a_call_is_not_begun_without_time_to_commit_its_answer(provider: SlowProvider) -> None:
    (shop,) = shops(provider, 1)
    with deadline.within(2.1), pytest.raises(ProviderBusy):
        provider_call(
            account_id=shop.account_id,
            merchant_id=shop.merchant_id,
            send=lambda adapter: adapter.health(),
        )
    assert provider.asked == 0


def test_a_call_that_gets_no_thread_gives_its_place_back(provider: SlowProvider, settings) -> None:
    settings.PROVIDER_CALLS_MAX = 2
    (shop,) = shops(provider, 1)

    for _ in range(2):
        with no_more_threads(), pytest.raises(ProviderBusy):
            sent(shop)
    assert sent(shop) == "sent"


def test_a_probe_that_gets_no_thread_leaves_its_turn_to_the_next(
    provider: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "OPEN_S", 0.1)
    (shop,) = shops(provider, 1)

    breaker = calls._account(shop.account_id).breaker
    for _ in range(calls.FAILURES):
        breaker.failed()
    until(lambda: not breaker.is_open)
    with no_more_threads(), pytest.raises(ProviderBusy):
        sent(shop)
    assert sent(shop) == "sent"


def test_a_request_gives_its_slot_back_while_it_waits(
    provider: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop,) = shops(provider, 1)
    seen: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        seen.append("out")
        yield
        seen.append("back")

    monkeypatch.setattr(slots, "waiting", waiting)
    assert shop.pay().status_code == 201
    assert seen == ["out", "back"]


def test_the_answer_is_committed_though_the_time_is_over(
    provider: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request's deadline passes while the answer is on its way to the books."""
    (shop,) = shops(provider, 1)
    real = calls._judged

    def late(*args: Any) -> Any:
        answer = real(*args)
        deadline._ends_at.set(time.monotonic() - 1)
        return answer

    monkeypatch.setattr(calls, "_judged", late)
    with deadline.within(60):
        assert shop.pay().json()["data"]["status"] == "completed"
