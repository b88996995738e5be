"""Checkout sessions in the admin: shown to staff, changed by nobody."""

from __future__ import annotations

from django.urls import reverse

from tests.api import Api
from tests.checkout.payer import Payer, new_session, payments_of, session_row
from tests.factories import make_tenants
from tests.tenants.test_permission_table import browser_for


def test_staff_reads_a_session_and_changes_nothing(database: str) -> None:
    tenants = make_tenants(totp=True)
    api = Api(tenants)
    made = new_session(api, reference="order-9")
    Payer(made["url"]).paid()
    row = session_row(api, made["id"])
    client = browser_for(tenants, "platform", "support")

    listed = client.get(reverse("admin:checkout_checkoutsession_changelist") + "?q=order-9")
    assert listed.status_code == 200
    assert made["id"] in listed.content.decode()
    address = reverse("admin:checkout_checkoutsession_change", args=[row.pk])
    shown = client.get(address).content.decode()
    assert "€48.90" in shown
    assert payments_of(api)[0].public_id in shown
    assert bytes(row.secret_digest).hex() not in shown

    assert client.post(address, {"description": "changed"}).status_code == 403
    assert client.get(reverse("admin:checkout_checkoutsession_add")).status_code == 403
    assert session_row(api, made["id"]).description == ""
