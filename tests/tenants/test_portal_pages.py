"""Pages of the tenants room in the portal: machine clients, and a reseller's agents."""

from __future__ import annotations

import re

import pytest

from core.db import tenant_atomic
from tenants.models import Invitation, MachineClient, Membership, Merchant
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
    answer = client.post("/developers/keys/clients/create", form)
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
    client.post(f"/developers/keys/clients/{row.public_id}/revoke")
    assert call("POST", "/v1/client/session", body)[0] == 401


def test_a_client_without_permissions_is_refused_in_its_dialog() -> None:
    t = make_tenants(totp=True)
    answer = signed_in(t).post("/developers/keys/clients/create", {"name": "Export"})
    assert answer.status_code == 400
    assert "needs at least one scope" in text_of(answer)
    assert 'value="Export"' in answer.content.decode()
    assert clients_of(t) == []


def test_a_foreign_client_does_not_exist() -> None:
    t, other = make_tenants(totp=True), make_tenants(totp=True)
    signed_in(other).post(
        "/developers/keys/clients/create", {"name": "Theirs", "scopes": ["keys.read"]}
    )
    (row,) = clients_of(other)
    assert signed_in(t).post(f"/developers/keys/clients/{row.public_id}/revoke").status_code == 404
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


SHOP = {"name": "Corner shop", "country": "de", "default_currency": "eur"}


def merchants_of(t: Tenants) -> list[Merchant]:
    with tenant_atomic(t.reseller_scope):
        return list(Merchant.objects.exclude(id=t.merchant.id))


def test_a_reseller_signs_up_a_merchant_and_invites_its_owner() -> None:
    t = make_tenants(totp=True)
    client, email = signed_in(t, "reseller.admin"), f"shop.{t.merchant.id.hex}@example.test"
    assert "Sign up a merchant" in text_of(client.get("/merchants"))
    answer = client.post("/merchants/create", {**SHOP, "owner_email": email})
    (row,) = merchants_of(t)
    assert answer.headers["Location"] == f"/merchants/{row.public_id}"
    assert (row.status, row.country, row.default_currency) == ("pending", "DE", "EUR")
    with tenant_atomic(t.reseller_scope):
        invitation = Invitation.objects.get(email=email)
    assert (invitation.role, invitation.merchant_id) == ("owner", row.id)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"country": "QQ"}, "ISO 3166-1"),
        ({"default_currency": "XXXX"}, "currency"),
        ({"owner_email": "nonsense"}, "not an e-mail address"),
    ],
)
def test_a_merchant_that_is_refused_is_not_made(change: dict[str, str], said: str) -> None:
    t = make_tenants(totp=True)
    answer = signed_in(t, "reseller.admin").post("/merchants/create", {**SHOP, **change})
    assert answer.status_code == 400
    assert said in text_of(answer)
    assert 'value="Corner shop"' in answer.content.decode()
    assert merchants_of(t) == []


def test_a_reseller_edits_its_merchant() -> None:
    t, other = make_tenants(totp=True), make_tenants()
    client = signed_in(t, "reseller.admin")
    path = f"/merchants/{t.merchant.public_id}/edit"
    form = {"name": "New name", "website": "https://shop.example", "statement_descriptor": ""}
    assert client.post(path, form).status_code == 302
    refused = client.post(path, {**form, "website": "javascript:alert(1)"})
    assert refused.status_code == 400
    assert "begins with https://" in text_of(refused)
    assert client.post(f"/merchants/{other.merchant.public_id}/edit", form).status_code == 404
    with tenant_atomic(t.reseller_scope):
        row = Merchant.objects.get(id=t.merchant.id)
    assert (row.name, row.website, row.statement_descriptor) == (
        "New name",
        "https://shop.example",
        "",
    )


def test_a_reseller_reads_what_its_merchant_pays_and_what_of_it_is_its_own() -> None:
    t = make_tenants(totp=True, fee_bps=300, fee_fixed_minor=25, reseller_share_bps=2_500)
    page = text_of(signed_in(t, "reseller.viewer").get(f"/merchants/{t.merchant.public_id}"))
    assert (
        "The merchant pays 3 % + $0.25 Your share of the fee 25 % About, of the volume 0.75 %"
    ) in page


def test_the_owner_is_invited_where_there_is_none() -> None:
    t = make_tenants(totp=True)
    second, client = make_merchant(t), signed_in(t, "reseller.admin")
    email = f"late.{t.merchant.id.hex}@example.test"
    for merchant, offered in ((t.merchant, False), (second.merchant, True)):
        path = f"/merchants/{merchant.public_id}"
        assert ("Invite the owner" in text_of(client.get(path))) is offered
        client.post(f"{path}/owner", {"email": email})
        with tenant_atomic(t.reseller_scope):
            assert Invitation.objects.filter(merchant=merchant, email=email).exists() is offered
