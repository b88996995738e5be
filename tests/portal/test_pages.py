"""The portal's pages over HTTP, as people of each role meet them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from core.api import request_log
from core.db import Scope, tenant_atomic
from core.models import RequestLog
from core.money import format_money
from tenants.models import ApiKey, Membership
from tests.api import Api
from tests.factories import Given, Tenants, make_merchant, make_tenants
from tests.portal.support import payments_of, signed_in, take_payment, text_of

MERCHANT_PAGES = (
    "/", "/payments", "/developers/keys", "/developers/webhooks", "/developers/events",
    "/developers/requests", "/team", "/settings",
)  # fmt: skip
ENDPOINT = re.compile(r'data-replace-url="(/developers/webhooks/we_[a-z0-9]+)"')
RESELLER_PAGES = ("/", "/payments", "/merchants", "/team", "/settings")


@pytest.fixture(scope="module")
def shop(database: str) -> Tenants:
    """One merchant with some payments; tests of this module only read it."""
    tenants = make_tenants(totp=True)
    take_payment(tenants, amount=1500, reference="A-1")
    take_payment(tenants, amount=2500, reference="=SUM(A1)", description="Two bags")
    take_payment(tenants, amount=3500, number="4000000000000002")
    return tenants


# ---- every page ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MERCHANT_PAGES)
def test_a_merchants_pages_open_full_and_empty(shop: Tenants, path: str) -> None:
    for tenants in (shop, make_tenants(totp=True)):
        response = signed_in(tenants).get(path)
        assert response.status_code == 200
        html = response.content.decode()
        assert 'aria-current="page"' in html
        assert "{%" not in html
        assert "{#" not in html
        assert "style=" not in html
        assert "unsafe" not in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", RESELLER_PAGES)
def test_a_resellers_pages_open_full_and_empty(shop: Tenants, path: str) -> None:
    for tenants in (shop, make_tenants(totp=True)):
        response = signed_in(tenants, "reseller.owner").get(path)
        assert response.status_code == 200


def test_pages_send_a_stranger_to_the_login() -> None:
    for path in (*MERCHANT_PAGES, "/merchants", "/payments/export.csv"):
        response = Client().get(path)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/login?")


def test_the_sidebar_offers_what_the_role_may_open() -> None:
    tenants = make_tenants(totp=True)
    viewer = text_of(signed_in(tenants, "merchant.viewer").get("/"))
    assert "API keys" not in viewer
    assert "Webhooks" in viewer
    assert signed_in(tenants, "merchant.viewer").get("/developers/keys").status_code == 403
    reseller = text_of(signed_in(tenants, "reseller.owner").get("/"))
    assert "Merchants" in reseller
    assert "Request log" not in reseller


# ---- home and switches -----------------------------------------------------------------------


def test_home_shows_todays_volume_and_the_newest_payments(shop: Tenants) -> None:
    page = text_of(signed_in(shop).get("/"))
    assert "Volume today $40.00" in page
    assert "Payments today 2" in page
    assert "Available balance $0.00" in page
    net_minor = sum(row.amount_captured_minor - row.fee_minor for row in payments_of(shop))
    assert f"{format_money(net_minor, 'USD')} on its way" in page
    assert "66.6 %" in page
    assert "$35.00" in page


def test_test_and_live_data_never_mix(shop: Tenants) -> None:
    client = signed_in(shop)
    assert "no real money moves" in text_of(client.get("/"))
    client.post("/settings/mode", {"mode": "live", "next": "/payments"})
    live = text_of(client.get("/payments"))
    assert "no real money moves" not in live
    assert "No payments yet" in live


def test_a_developer_stays_in_test_mode() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants, "merchant.developer")
    client.post("/settings/mode", {"mode": "live"})
    assert "no real money moves" in text_of(client.get("/payments"))


def test_leaving_a_payment_by_the_mode_switch_leads_to_the_list(shop: Tenants) -> None:
    client = signed_in(shop)
    payment = payments_of(shop)[0].public_id
    response = client.post("/settings/mode", {"mode": "live", "next": f"/payments/{payment}"})
    assert response.headers["Location"] == "/payments"


def test_the_theme_is_kept_in_a_cookie_and_drawn_by_the_server() -> None:
    client = Client()
    assert 'data-theme="system"' in client.get("/login").content.decode()
    client.post("/settings/theme", {"theme": "dark", "next": "/login"})
    assert 'data-theme="dark"' in client.get("/login").content.decode()
    assert client.post("/settings/theme", {"theme": "pink"}).status_code == 400


def test_a_switch_never_leads_to_another_host() -> None:
    client = Client()
    response = client.post("/settings/theme", {"theme": "dark", "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_another_tenant_cannot_be_chosen() -> None:
    tenants, other = make_tenants(totp=True), make_tenants()
    client = signed_in(tenants)
    foreign = f"{other.memberships['merchant.owner'].id}.{other.merchant.id}"
    client.post("/settings/account", {"membership": foreign})
    page = text_of(client.get("/"))
    assert tenants.merchant.name in page
    assert other.merchant.name not in page


# ---- keys, webhooks, team --------------------------------------------------------------------


def test_a_key_is_shown_once_and_works() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    made = client.post("/developers/keys/create", {"name": "Till", "kind": "sk"})
    assert made.status_code == 200
    assert "no-store" in made.headers["Cache-Control"]
    found = re.search(r"mk_sk_test_[0-9A-Za-z_]{40,}", made.content.decode())
    assert found is not None
    answer = Client().get("/v1/payments", headers={"Authorization": f"Bearer {found[0]}"})
    assert answer.status_code == 200
    again = client.get("/developers/keys").content.decode()
    assert found[0] not in again
    assert "Till" in again


def test_a_restricted_key_without_scopes_is_refused_and_not_made() -> None:
    tenants = make_tenants(totp=True)
    response = signed_in(tenants).post("/developers/keys/create", {"name": "X", "kind": "rk"})
    assert response.status_code == 400
    assert "at least one scope" in text_of(response)
    with tenant_atomic(tenants.scope):
        assert not ApiKey.objects.filter(merchant_id=tenants.merchant.id, name="X").exists()


def test_a_revoked_key_is_refused_at_once() -> None:
    tenants = make_tenants(totp=True)
    key = tenants.key_rows["sk", False].public_id
    assert signed_in(tenants).post(f"/developers/keys/{key}/revoke").status_code == 302
    assert Client().get("/v1/payments", headers=tenants.headers()).status_code == 401


def test_another_tenants_key_does_not_exist() -> None:
    tenants, other = make_tenants(totp=True), make_tenants()
    key = other.key_rows["sk", False].public_id
    for act in ("rotate", "revoke"):
        response = signed_in(tenants).post(f"/developers/keys/{key}/{act}", {"overlap": "24"})
        assert response.status_code == 404
    assert Client().get("/v1/payments", headers=other.headers()).status_code == 200


def add_endpoint(client: Client, **more: Any) -> Any:
    data = {"url": "https://93.184.215.14/hooks", "all": "on", **more}
    return client.post("/developers/webhooks/create", data)


def test_an_endpoints_secret_is_shown_once() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    made = add_endpoint(client, description="Shop")
    assert "no-store" in made.headers["Cache-Control"]
    secret = re.search(r"whsec_[0-9A-Za-z+/=]{20,}", made.content.decode())
    page = ENDPOINT.search(made.content.decode())
    assert secret is not None
    assert page is not None
    again = client.get(page[1]).content.decode()
    assert secret[0] not in again
    rolled = client.post(f"{page[1]}/roll").content.decode()
    assert "whsec_" in rolled
    assert secret[0] not in rolled


def test_an_endpoint_that_points_inside_is_refused_with_its_reason() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    response = add_endpoint(client, url="https://169.254.169.254/latest")
    assert response.status_code == 400
    assert 'aria-invalid="true"' in response.content.decode()
    assert "No endpoints yet" in text_of(client.get("/developers/webhooks"))


def test_another_tenants_endpoint_does_not_exist() -> None:
    tenants, other = make_tenants(totp=True), make_tenants(totp=True)
    made = add_endpoint(signed_in(tenants)).content.decode()
    found = ENDPOINT.search(made)
    assert found is not None
    client = signed_in(other)
    assert client.get(found[1]).status_code == 404
    for act in ("delete", "roll", "status", "update", "replay"):
        data = {"url": "https://93.184.215.14/", "all": "on", "from": "2026-01-01"}
        assert client.post(f"{found[1]}/{act}", data).status_code == 404
    assert "Enabled" in text_of(signed_in(tenants).get(found[1]))


def test_an_invitation_appears_and_can_be_withdrawn() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    assert (
        client.post("/team/invite", {"email": "new@example.test", "role": "viewer"}).status_code
        == 302
    )
    html = client.get("/team").content.decode()
    assert "new@example.test" in html
    found = re.search(r"/team/invitations/inv_[a-z0-9]+/revoke", html)
    assert found is not None
    client.post(found[0])
    left = text_of(client.get("/team"))
    assert "Withdrawn" in left[left.index("new@example.test") :]
    assert found[0] not in client.get("/team").content.decode()


def test_a_wrong_address_keeps_what_was_typed() -> None:
    tenants = make_tenants(totp=True)
    response = signed_in(tenants).post("/team/invite", {"email": "no address", "role": "admin"})
    assert response.status_code == 400
    html = response.content.decode()
    assert 'value="no address"' in html
    assert re.search(r'<dialog[^>]*id="invite"[^>]*data-open-now', html)


def test_the_last_owner_cannot_be_removed() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    owner = tenants.memberships["merchant.owner"].public_id
    client.post(f"/team/{owner}/remove")
    assert "Team" in text_of(client.get("/team"))


def test_merchants_are_the_resellers_own() -> None:
    tenants, other = make_tenants(totp=True), make_tenants()
    second = make_merchant(tenants)
    client = signed_in(tenants, "reseller.owner")
    page = text_of(client.get("/merchants"))
    assert tenants.merchant.name in page
    assert second.merchant.name in page
    assert other.merchant.name not in page
    assert client.get(f"/merchants/{second.merchant.public_id}").status_code == 200
    assert client.get(f"/merchants/{other.merchant.public_id}").status_code == 404


def test_the_request_log_finds_a_call_by_its_id(shop: Tenants) -> None:
    request_log.flush()
    with tenant_atomic(shop.scope):
        row = RequestLog.objects.filter(merchant_id=shop.merchant.id).order_by("-id").first()
    assert row is not None
    client = signed_in(shop)
    assert row.request_id in client.get(f"/developers/requests?q={row.request_id}").content.decode()
    assert "No request fits" in text_of(client.get("/developers/requests?q=req_none"))
    other = signed_in(make_tenants(totp=True))
    found = other.get(f"/developers/requests?q={row.request_id}")
    assert "No request fits" in text_of(found)


def test_the_request_log_says_why_a_payment_was_declined(shop: Tenants) -> None:
    api = Api(shop)
    body = {
        "amount": 1_000,
        "currency": "EUR",
        "confirm": True,
        "payment_method_token": api.token("4000000000000002"),
    }
    answers = [api.post("/v1/payments", body, key="declined-once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [402, 402]
    request_log.flush()
    with tenant_atomic(shop.scope):
        asked = [answer.headers["X-Request-Id"] for answer in answers]
        rows = RequestLog.objects.filter(request_id__in=asked)
        # The second is the kept answer of the first, and says the same.
        assert [row.error_code for row in rows] == ["card_declined", "card_declined"]
    client = signed_in(shop)
    page = text_of(client.get("/developers/requests?q=card_declined"))
    assert "POST/v1/payments" in page.replace(" ", "")


def test_many_accounts_are_found_by_name_and_not_drawn_on_every_page() -> None:
    tenants = make_tenants(totp=True)
    user, writes = tenants.users["merchant.owner"], Given()
    shops = [make_merchant(tenants, name=f"Shop {number:02} 50%") for number in range(12)]
    for shop in shops:
        writes.insert(
            Membership(
                user=user,
                level="merchant",
                role="viewer",
                reseller=tenants.reseller,
                merchant=shop.merchant,
            )
        )
    with tenant_atomic(Scope.staff()):
        writes.flush()
    client = signed_in(tenants)

    def offered(path: str) -> list[str]:
        return re.findall(r'name="membership" value="([^"]+)"', client.get(path).content.decode())

    assert len(offered("/team")) == 8
    assert 'action="/settings/accounts"' in client.get("/team").content.decode()
    assert len(set(offered("/settings/accounts"))) == 13
    page = client.get("/settings/accounts?q=sHoP 07 50%25").content.decode()
    (wanted,) = re.findall(r'class="task"[^>]*name="membership" value="([^"]+)"', page)
    client.post("/settings/account", {"membership": wanted})
    assert "Who works in Shop 07 50%" in text_of(client.get("/team"))
    assert "No account fits" in text_of(client.get("/settings/accounts?q=nothing_"))


def test_a_person_of_two_tenants_changes_between_them() -> None:
    tenants, other = make_tenants(totp=True), make_tenants()
    user = tenants.users["merchant.owner"]
    with tenant_atomic(Scope.staff()):
        writes = Given()
        membership = Membership(
            user=user,
            level="merchant",
            role="viewer",
            reseller=other.reseller,
            merchant=other.merchant,
        )
        writes.insert(membership)
        writes.flush()
    client = signed_in(tenants)
    offered = client.get("/").content.decode()
    value = f"{membership.id}.{other.merchant.id}"
    assert f'value="{value}"' in offered
    client.post("/settings/account", {"membership": value})
    page = client.get("/team")
    assert f"Who works in {other.merchant.name}" in text_of(page)
    assert 'data-dialog-open="invite"' not in page.content.decode()
