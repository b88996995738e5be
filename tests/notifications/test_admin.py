"""Support looks at webhooks and API calls, and sends an event again."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from config.admin import NAVIGATION, _navigation
from core.api import request_log
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, RequestLog
from core.requests import ACTOR
from notifications.models import WebhookDelivery, WebhookEndpoint
from tests.api import Api
from tests.factories import Tenants, make_tenants
from tests.notifications.receiver import Receiver
from tests.notifications.support import deliveries, endpoint, happen, send
from tests.tenants.test_permission_table import browser_for

LISTS = {
    "webhooks.read": "admin:notifications_webhookdelivery_changelist",
    "requests.read": "admin:core_requestlog_changelist",
}


@pytest.fixture(scope="module")
def tenants(database: str) -> Tenants:
    return make_tenants(totp=True)


def staff(tenants: Tenants, role: str) -> Client:
    return browser_for(tenants, "platform", role)


def page_of(row: WebhookDelivery, action: str = "change") -> str:
    return reverse(f"admin:notifications_webhookdelivery_{action}", args=[row.id])


def test_the_sidebar_has_an_entry_for_every_list_and_each_leads_somewhere() -> None:
    names = [name for _, entries in NAVIGATION for _, _, name in entries]
    lists = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        for model in admin.site._registry
    }

    assert lists - set(names) == set()
    assert all(reverse(name).startswith("/admin/") for name in names)


@pytest.mark.parametrize("name", LISTS.values())
def test_support_opens_the_list_and_finance_does_not(tenants: Tenants, name: str) -> None:
    assert staff(tenants, "support").get(reverse(name)).status_code == 200
    assert staff(tenants, "finance").get(reverse(name)).status_code == 403


def test_the_sidebar_offers_what_the_person_may_open(tenants: Tenants) -> None:
    request = RequestFactory().get("/admin/")
    offered = {}
    for role in ("support", "finance"):
        ACTOR.set(request, tenants.actor(role, level="platform"))
        groups = _navigation(request)
        offered[role] = {item["link"] for group in groups for item in group["items"]}
    hidden = {reverse(name) for name in LISTS.values()}
    assert hidden <= offered["support"]
    assert not hidden & offered["finance"]


def test_a_delivery_is_shown_with_its_attempts_and_found_by_any_id(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    receiver.answer_next(503)
    event = happen(tenants)
    send()
    [row] = deliveries(target)
    client = staff(tenants, "support")

    shown = client.get(page_of(row)).content.decode()
    for words in (row.public_id, event.public_id, target.public_id, "503", "answered 503"):
        assert words in shown
    address = reverse("admin:notifications_webhookendpoint_change", args=[target.id])
    shown = client.get(address).content.decode()
    assert receiver.url in shown
    assert secret not in shown
    assert target.secret_sealed not in shown
    for term in (row.public_id, event.public_id, target.public_id, tenants.merchant.public_id):
        found = client.get(reverse(LISTS["webhooks.read"]), {"q": term}).content.decode()
        assert page_of(row) in found, term
    for term in ("whd_nonsense", "nonsense", make_tenants(users=False).merchant.public_id):
        found = client.get(reverse(LISTS["webhooks.read"]), {"q": term}).content.decode()
        assert page_of(row) not in found, term


def test_support_sends_an_event_again(tenants: Tenants, receiver: Receiver) -> None:
    target, secret = endpoint(tenants, receiver.url)
    event = happen(tenants)
    send()
    [row] = deliveries(target)
    address = page_of(row, "resend")

    for role in ("finance", "compliance"):
        assert staff(tenants, role).post(address).status_code == 403
    client = staff(tenants, "support")
    assert "under the same webhook-id" in client.get(address).content.decode()
    assert len(deliveries(target)) == 1

    assert client.post(address).status_code == 302
    send()
    first, second = receiver.verified(secret)
    assert first == second
    assert [d.trigger for d in deliveries(target)] == ["event", "resend"]
    with tenant_atomic(tenants.scope):
        record = AuditRecord.objects.get(action="event.resend", target=event.public_id)
    assert record.actor_id == tenants.users["platform.support"].public_id
    assert record.merchant_id == tenants.merchant.id


def test_nothing_is_sent_again_to_a_disabled_endpoint(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants)
    with tenant_atomic(Scope.worker()):
        WebhookEndpoint.objects.filter(id=target.id).update(status="disabled")
    client = staff(tenants, "support")
    [row] = deliveries(target)
    answer = client.post(page_of(row, "resend"), headers={"Referer": page_of(row)}, follow=True)
    assert "The endpoint is disabled. Enable it first." in answer.content.decode()
    assert len(deliveries(target)) == 1


def test_a_request_is_found_by_its_id(tenants: Tenants) -> None:
    ours = Api(tenants).get("/v1/payments?limit=0")
    theirs = Api(tenants).get("/v1/events", X_Request_Id="shop-request-0042")
    request_log.flush()
    with tenant_atomic(Scope.worker()):
        ids = {row.request_id: row.id for row in RequestLog.objects.all()}
    client = staff(tenants, "support")
    for answer in (ours, theirs):
        request_id = answer["X-Request-Id"]
        found = client.get(reverse(LISTS["requests.read"]), {"q": request_id}).content.decode()
        assert reverse("admin:core_requestlog_change", args=[ids[request_id]]) in found
        assert found.count("core/requestlog/0") == 1
