"""Pages of the tenants room in the portal: machine clients, and a reseller's agents."""

from __future__ import annotations

import re

import pytest

from core.db import tenant_atomic
from tenants.models import MachineClient, Membership
from tenants.seats import seats_of
from tests.factories import Tenants, make_merchant, make_tenants
from tests.portal.support import signed_in, text_of
from tests.tenants.test_api import call


def clients_of(t: Tenants) -> list[MachineClient]:
    with tenant_atomic(t.scope):
        return list(MachineClient.objects.order_by("id"))


def test_a_machine_client_is_made_shown_once_works_and_is_revoked() -> None:
    t = make_tenants(totp=True)
    client = signed_in(t)
    assert "No machine clients in this mode" in text_of(client.get("/developers/keys"))
    form = {"name": "Nightly export", "scopes": ["keys.read"]}
    answer = client.post("/developers/clients/create", form)
    (row,) = clients_of(t)
    shown = answer.content.decode()
    found = re.search(r"<code[^>]*>([A-Za-z0-9_-]{43})</code>", shown)
    assert found is not None
    assert "no-store" in answer.headers["Cache-Control"]
    body = {"client_id": row.client_id, "client_secret": found[1]}
    assert call("POST", "/v1/client/session", body)[0] == 200
    again = client.get("/developers/keys").content.decode()
    assert row.client_id in again
    assert found[1] not in again
    client.post(f"/developers/clients/{row.public_id}/revoke")
    assert call("POST", "/v1/client/session", body)[0] == 401


def test_a_client_without_permissions_is_refused_in_its_dialog() -> None:
    t = make_tenants(totp=True)
    answer = signed_in(t).post("/developers/clients/create", {"name": "Export"})
    assert answer.status_code == 400
    assert "needs at least one scope" in text_of(answer)
    assert 'value="Export"' in answer.content.decode()
    assert clients_of(t) == []


def test_a_foreign_client_does_not_exist() -> None:
    t, other = make_tenants(totp=True), make_tenants(totp=True)
    signed_in(other).post("/developers/clients/create", {"name": "Theirs", "scopes": ["keys.read"]})
    (row,) = clients_of(other)
    assert signed_in(t).post(f"/developers/clients/{row.public_id}/revoke").status_code == 404
    assert clients_of(other)[0].revoked_at is None


def levels(t: Tenants) -> list[tuple[str, object]]:
    return [
        (seat.level, seat.merchant_id) for seat in seats_of(user_id=t.users["reseller.viewer"].id)
    ]


def test_a_reseller_binds_a_member_to_single_merchants_and_frees_them() -> None:
    t = make_tenants(totp=True)
    second = make_merchant(t, name="Second shop")
    client = signed_in(t, "reseller.admin")
    member = t.memberships["reseller.viewer"].public_id
    assert f"/team/{member}/merchants" in client.get("/team").content.decode()
    page = text_of(client.get(f"/team/{member}/merchants"))
    assert "Second shop" in page
    chosen = {"access": "only", "merchants": [second.merchant.public_id]}
    assert client.post(f"/team/{member}/agent", chosen).status_code == 302
    assert levels(t) == [("merchant", second.merchant.id)]
    assert "checked" in client.get(f"/team/{member}/merchants").content.decode()
    client.post(f"/team/{member}/agent", {"access": "all"})
    assert levels(t) == [("reseller", None)]


def test_single_merchants_without_any_are_refused() -> None:
    t = make_tenants(totp=True)
    member = t.memberships["reseller.viewer"].public_id
    client = signed_in(t, "reseller.admin")
    client.post(f"/team/{member}/agent", {"access": "only", "merchants": [t.merchant.public_id]})
    answer = client.post(f"/team/{member}/agent", {"access": "only"})
    assert answer.status_code == 400
    assert "Tick at least one merchant" in text_of(answer)
    assert levels(t) == [("merchant", t.merchant.id)]


@pytest.mark.parametrize("whose", ["foreign merchant", "member of a merchant"])
def test_an_agent_of_what_is_not_ours_is_not_made(whose: str) -> None:
    t, other = make_tenants(totp=True), make_tenants()
    member, merchant = t.memberships["reseller.viewer"], other.merchant
    if whose == "member of a merchant":
        member, merchant = t.memberships["merchant.viewer"], t.merchant
    answer = signed_in(t, "reseller.admin").post(
        f"/team/{member.public_id}/agent", {"access": "only", "merchants": [merchant.public_id]}
    )
    assert answer.status_code == 404
    with tenant_atomic(t.reseller_scope):
        assert not Membership.objects.filter(only_granted=True).exists()
