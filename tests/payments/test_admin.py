"""Payments in the admin: whose they are, how they are found, and what their lists cost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core import ids
from core.admin import ReadOnlyAdmin
from core.db import tenant_atomic
from payments.acceptance.models import Customer, Payment, Refund
from payments.acceptance.services.customers import customer_create
from payments.intents.models import Intent
from tenants.models import Level
from tests.api import Api
from tests.factories import Tenants, make_merchant, make_tenants
from tests.tenants.test_permission_table import browser_for

EMAIL = "ida.lindqvist@example.test"


@pytest.fixture(scope="module")
def t(database: str) -> Tenants:
    """A merchant with a customer, two payments and a refund, and another one with a payment."""
    found = make_tenants(totp=True, name="Lindqvist Coffee")
    with tenant_atomic(found.scope):
        customer_create(actor=found.actor(), email=EMAIL)
        customer = Customer.objects.get(merchant_id=found.merchant.id)
    api = Api(found)
    paid = pay(api, customer=customer.public_id, reference="order-17", currency="USD")
    assert api.post("/v1/refunds", {"payment": paid, "amount": 100}).status_code == 201
    pay(api, currency="EUR")
    other = make_merchant(found, name="Somebody Else")
    pay(Api(other), currency="USD")
    return found


def pay(api: Api, **more: Any) -> str:
    body = {
        "amount": 1_000,
        "confirm": True,
        "payment_method_token": api.token("4242424242424242"),
        **more,
    }
    made = api.post("/v1/payments", body)
    assert made.status_code == 201, made.content
    return str(made.json()["data"]["id"])


@pytest.fixture(scope="module")
def staff(t: Tenants) -> Client:
    return browser_for(t, Level.PLATFORM, "support")


def listed(client: Client, model: type, **query: str) -> set[str]:
    """The public ids in a list."""
    name = model._meta.label_lower.replace(".", "_")  # type: ignore[attr-defined]
    html = client.get(reverse(f"admin:{name}_changelist"), query).content.decode()
    body = re.search(r"<tbody.*</tbody>", html, flags=re.S)
    prefix = model.PREFIX  # type: ignore[attr-defined]
    return set(re.findall(rf">\s*({prefix}_[0-9a-z]+)\s*<", body[0])) if body else set()


def mine(t: Tenants, model: Any, **more: Any) -> list[str]:
    with tenant_atomic(t.scope):
        rows = model.objects.filter(merchant_id=t.merchant.id, **more).order_by("id")
        return [row.public_id for row in rows]


@pytest.mark.parametrize("model", [Payment, Refund, Customer, Intent])
def test_a_list_names_the_merchant_and_narrows_to_it(t: Tenants, staff: Client, model: Any) -> None:
    name = model._meta.label_lower.replace(".", "_")
    page = staff.get(reverse(f"admin:{name}_changelist")).content.decode()
    assert reverse("admin:tenants_merchant_change", args=[t.merchant.id]) in page
    assert "Lindqvist Coffee" in page
    expected = set(mine(t, model))
    assert expected
    for query in ({"q": t.merchant.public_id}, {"merchant_id": t.merchant.public_id}):
        assert listed(staff, model, **query) == expected
    assert listed(staff, model, merchant_id="nonsense") == set()
    assert listed(staff, model, q=ids.encode("mer", t.reseller.id)) == set()


def lines(client: Client, model: Any, pk: Any) -> dict[str, str]:
    """A page's lines: what stands beside each label, without the markup."""
    name = model._meta.label_lower.replace(".", "_")
    html = client.get(reverse(f"admin:{name}_change", args=[pk])).content.decode()
    found = re.split(r"<label[^>]*>", html)[1:]
    plain = (re.sub(r"<[^>]+>", " ", part).split("Close")[0].split() for part in found)
    return {
        re.sub(r"<[^>]+>", "", part.split("</label>")[0]).strip(): " ".join(words)
        for part, words in zip(found, plain, strict=True)
    }


def test_a_page_shows_money_names_and_modes_in_words(t: Tenants, staff: Client) -> None:
    with tenant_atomic(t.scope):
        payment = Payment.objects.filter(merchant_id=t.merchant.id, currency="USD").get()
        rows = {
            Payment: payment.id,
            Refund: payment.refunds.get().id,
            Intent: payment.intent_id,
        }
    expected = {
        Payment: {"Amount": "$10.00", "Amount refunded": "$1.00", "Manual capture": "No"},
        Refund: {"Amount": "$1.00"},
        Intent: {"Amount": "$10.00", "Settled amount": "$10.00", "Manual capture": "No"},
    }
    for model, pk in rows.items():
        shown = lines(staff, model, pk)
        wanted = expected[model] | {
            "Merchant": t.merchant.name,
            "Reseller": t.reseller.name,
            "Mode": "Test",
        }
        assert {label: shown[label].removeprefix(label).strip() for label in wanted} == wanted
        assert not {label for label in shown if "minor" in label.lower()} - {"Minor"}


def test_payments_and_refunds_are_found_by_what_people_have(t: Tenants, staff: Client) -> None:
    first, second = mine(t, Payment)
    (refund,), (customer,) = mine(t, Refund), mine(t, Customer)
    found = {
        (Payment, first): {first},
        (Payment, refund): {first},
        (Payment, customer): {first},
        (Payment, EMAIL.upper()): {first},
        (Payment, "order-17"): {first},
        (Payment, f"{t.merchant.public_id} order-17"): {first},
        (Payment, f"{second} order-17"): set(),
        (Refund, first): {refund},
        (Refund, second): set(),
        (Refund, EMAIL): {refund},
        (Customer, EMAIL): {customer},
        (Customer, first): {customer},
    }
    for (model, text), expected in found.items():
        assert listed(staff, model, q=text) == expected, (model, text)
    assert len(listed(staff, Intent, q=first)) == 1
    assert first in staff.get(reverse("admin:acceptance_refund_changelist")).content.decode()


def test_a_currency_and_a_channel_narrow(t: Tenants, staff: Client) -> None:
    first, second = mine(t, Payment)
    merchant = {"merchant_id": t.merchant.public_id}
    assert listed(staff, Payment, currency="eur", **merchant) == {second}
    assert listed(staff, Payment, sales_channel="api", **merchant) == {first, second}
    assert listed(staff, Payment, sales_channel="checkout", **merchant) == set()


def test_no_list_counts_its_table_or_looks_for_its_values(t: Tenants, staff: Client) -> None:
    growing = {
        "acceptance.payment", "acceptance.refund", "acceptance.customer", "intents.intent",
        "checkout.checkoutsession", "core.auditrecord", "core.outboxevent", "core.inboxmessage",
    }  # fmt: skip
    for model, model_admin in admin.site._registry.items():
        if isinstance(model_admin, ReadOnlyAdmin):
            label = model._meta.label_lower
            with CaptureQueriesContext(connection) as captured:
                page = staff.get(reverse(f"admin:{label.replace('.', '_')}_changelist"))
            assert page.status_code == 200
            table = f'FROM "{model._meta.db_table}"'
            asked = [row["sql"] for row in captured.captured_queries if table in row["sql"]]
            assert not [sql for sql in asked if "COUNT(" in sql], label
            if label in growing:
                assert not [sql for sql in asked if "DISTINCT" in sql], label
                assert len(asked) <= 1, (label, asked)
