"""Pending becomes available, once, and exactly what is left of the payment."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from payments.acceptance.services import release, release_due
from payments.acceptance.services.disputes import dispute_notice
from payments.intents.models import Intent
from payments.intents.services.exceptions import exception_add, exception_resolve
from payments.providers.base import DisputeNotice
from tests.api import Api, new_api
from tests.payments.support import books

#: A release looks at all payments.
pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _two_days_later(admin_dsn: str, api: Api) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update acceptance_payment set available_at = now() where merchant_id = %s"
            " and available_at is not null",
            [api.tenants.merchant.id],
        )


def _book(admin_dsn: str, api: Api) -> tuple[int, int]:
    found = books(admin_dsn, api.tenants.merchant.id)
    return found["merchant_pending"], found.get("merchant_available", 0)


def _dispute(api: Api, payment_id: str, *statuses: str, amount: int = 1_000) -> None:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        intent = Intent.objects.get(document_id=ids.decode("pay", payment_id))
    for status in statuses:
        dispute_notice(
            intent,
            DisputeNotice(
                provider_id="dp_1",
                payment_provider_id=intent.external_id,
                amount_minor=amount,
                currency="EUR",
                reason="fraudulent",
                status=status,
                occurred_at=timezone.now(),
            ),
        )


def test_the_net_is_released_once_and_only_when_due(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    release_due()
    assert _book(admin_dsn, api) == (made["net"], 0)

    _two_days_later(admin_dsn, api)
    release_due()
    release_due()

    assert _book(admin_dsn, api) == (0, made["net"])
    balance = api.get("/v1/balance").json()["data"]
    assert [(each["pending"], each["available"]) for each in balance["balances"]] == [
        (0, made["net"])
    ]


def test_a_release_is_audited_for_each_payment(api: Api, admin_dsn: str) -> None:
    made = [api.pay(amount=1_000).json()["data"]["id"] for _ in range(2)]
    _two_days_later(admin_dsn, api)

    release_due()
    release_due()

    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        rows = AuditRecord.objects.filter(action="payment.available").order_by("id")
        found = [
            (row.target, row.actor_kind, row.actor_label, row.reseller_id, row.livemode)
            for row in rows
        ]
    of = ("system", "release", api.tenants.reseller.id, False)
    assert sorted(found) == sorted((payment_id, *of) for payment_id in made)


def test_a_refund_before_the_release_leaves_the_rest(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    api.post("/v1/refunds", {"payment": made["id"], "amount": 300})
    _two_days_later(admin_dsn, api)

    release_due()

    assert _book(admin_dsn, api) == (0, made["net"] - 300)
    api.post("/v1/refunds", {"payment": made["id"], "amount": 200})
    assert _book(admin_dsn, api) == (0, made["net"] - 500)


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (["needs_response", "won"], [], 1_000),
        (["needs_response", "lost"], [], 0),
        (["needs_response"], ["won"], 1_000),
        (["needs_response"], ["lost"], 0),
        ([], ["needs_response", "won"], 1_000),
        ([], ["needs_response", "lost"], 0),
    ],
)
def test_a_dispute_around_the_release_ends_in_the_same_books(
    api: Api, admin_dsn: str, before: list[str], after: list[str], left: int
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    _dispute(api, made["id"], *before)
    _two_days_later(admin_dsn, api)

    release_due()
    _dispute(api, made["id"], *after)

    assert _book(admin_dsn, api) == (0, left - made["fee"])
    assert books(admin_dsn, api.tenants.merchant.id)["sum"] == 0


def test_a_refund_that_begins_beside_the_release_delays_it(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    _two_days_later(admin_dsn, api)
    one_by_one = release._release

    def beside(merchant_id: Any, payment_ids: Any) -> int:
        if merchant_id == api.tenants.merchant.id:
            api.post("/v1/refunds", {"payment": made["id"], "amount": 300})
            with psycopg.connect(admin_dsn, autocommit=True) as admin:
                # As if the provider had not answered yet.
                admin.execute(
                    "update acceptance_refund set status = 'processing' where merchant_id = %s",
                    [merchant_id],
                )
        return one_by_one(merchant_id, payment_ids)

    monkeypatch.setattr(release, "_release", beside)
    release_due()

    assert _book(admin_dsn, api) == (made["net"] - 300, 0)


def test_a_merchant_whose_books_refuse_does_not_hold_up_the_others(
    api: Api, admin_dsn: str, database: str
) -> None:
    refused = new_api()
    refused.pay(amount=1_000)
    made = api.pay(amount=1_000).json()["data"]
    _two_days_later(admin_dsn, refused)
    _two_days_later(admin_dsn, api)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Its pending account has been closed: nothing may move there.
        admin.execute(
            "update ledger_account set flags = flags | 32 where name like %s",
            [f"merchant_pending/{refused.tenants.merchant.id}/%"],
        )

    release_due()

    assert _book(admin_dsn, api) == (0, made["net"])
    assert _book(admin_dsn, refused)[1] == 0


def test_releases_at_once_release_once(api: Api, admin_dsn: str) -> None:
    made = [api.pay(amount=1_000).json()["data"]["net"] for _ in range(3)]
    _two_days_later(admin_dsn, api)

    def run() -> None:
        try:
            release_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert _book(admin_dsn, api) == (0, sum(made))


def test_a_second_release_of_the_same_payments_does_nothing(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    _two_days_later(admin_dsn, api)
    payment_id = ids.decode("pay", made["id"])

    counts = [release._release(api.tenants.merchant.id, [payment_id]) for _ in range(2)]

    assert counts == [1, 0]
    events = api.get(f"/v1/payments/{made['id']}?expand=events,ledger").json()["data"]
    assert [each["type"] for each in events["events"]].count("payment.available") == 1
    assert [each["code"] for each in events["ledger"]].count("available") == 1


def test_a_run_goes_on_behind_what_it_cannot_release(api: Api, admin_dsn: str) -> None:
    refused = new_api()
    refused.pay(amount=1_000)
    made = api.pay(amount=1_000).json()["data"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update ledger_account set flags = flags | 32 where name like %s",
            [f"merchant_pending/{refused.tenants.merchant.id}/%"],
        )
        # The one that is refused has waited longer than all others.
        admin.execute(
            "update acceptance_payment set available_at = '2001-01-01' where merchant_id = %s",
            [refused.tenants.merchant.id],
        )
    _two_days_later(admin_dsn, api)

    release_due(batch=1)

    assert _book(admin_dsn, api) == (0, made["net"])


def test_what_waits_for_a_person_is_not_released(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        intent = Intent.objects.get(document_id=ids.decode("pay", made["id"]))
    exception_add(
        intent_id=intent.id,
        code="in_doubt",
        message="It may be worth less.",
        actor=Actor.system("test"),
    )
    _two_days_later(admin_dsn, api)

    release_due()
    assert _book(admin_dsn, api) == (made["net"], 0)

    with tenant_atomic(Scope.staff()):
        exception_resolve(intent_id=intent.id, note="It is not.", actor=Actor.system("test"))
    release_due()
    assert _book(admin_dsn, api) == (0, made["net"])
