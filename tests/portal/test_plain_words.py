"""What pages say to people: fees, countries, live mode, webhooks' health, dates."""

from __future__ import annotations

import psycopg
import pytest
from django.template import Context, Template

from core.db import tenant_atomic
from core.outbound import OutboundFailedError, _said
from developers.guide import test_cards as published_cards
from notifications.models import WebhookEndpoint
from payments.acceptance.models import Refund
from portal.views.settings import country_name
from tenants.models import Invitation
from tests.factories import Tenants, make_tenants
from tests.portal.support import payments_of, signed_in, take_payment, text_of


@pytest.fixture(scope="module")
def t(database: str) -> Tenants:
    return make_tenants(totp=True)


def test_settings_name_the_country_and_where_the_fixed_fee_applies(t: Tenants) -> None:
    page = text_of(signed_in(t).get("/settings"))
    assert country_name("DE") == "Germany"
    assert country_name(t.merchant.country) in page
    currency = t.merchant.default_currency
    assert f"On {currency} payments" in page
    assert "in every currency" in page


def test_a_whole_id_in_the_search_opens_what_it_names() -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants)["id"]
    client = signed_in(tenants)
    client.post(f"/payments/{payment}/refund", {"amount": "1.00", "nonce": "n"})
    with tenant_atomic(tenants.scope):
        refund = Refund.objects.get(merchant_id=tenants.merchant.id).public_id
    for wanted in (payment, refund):
        answer = client.get("/payments", {"q": wanted})
        assert (answer.status_code, answer["Location"]) == (302, f"/payments/{payment}")
    narrowed = client.get("/payments", {"q": payment, "status": "failed"})
    assert narrowed.status_code == 200
    stranger = signed_in(make_tenants(totp=True))
    for wanted in (payment, refund):
        assert "Nothing matches" in text_of(stranger.get("/payments", {"q": wanted}))


def test_home_shows_no_description_where_it_says_customer() -> None:
    tenants = make_tenants(totp=True)
    take_payment(tenants, description="Two bags of beans")
    assert payments_of(tenants)[0].description == "Two bags of beans"
    assert "Two bags of beans" not in text_of(signed_in(tenants).get("/"))


def test_an_invitation_says_until_which_day_it_can_be_accepted(t: Tenants) -> None:
    client = signed_in(t)
    page = client.post(
        "/team/invite", {"email": "new@person.example", "role": "viewer"}, follow=True
    )
    with tenant_atomic(t.scope):
        until = Invitation.objects.get(email="new@person.example").expires_at
    assert f"accepted until {until.day} {until:%B %Y}." in text_of(page)


def test_an_endpoint_that_keeps_failing_is_marked_so(t: Tenants, admin_dsn: str) -> None:
    client = signed_in(t)
    client.post("/developers/webhooks/create", {"url": "https://shop.example/hook", "all": "on"})
    with tenant_atomic(t.scope):
        endpoint = WebhookEndpoint.objects.get(merchant_id=t.merchant.id)
    assert "never" in text_of(client.get("/developers/webhooks"))
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute(
            "UPDATE notifications_webhookendpoint SET failures_in_row = 1234 WHERE id = %s",
            [endpoint.id],
        )
    for path in ("/developers/webhooks", f"/developers/webhooks/{endpoint.public_id}"):
        page = text_of(client.get(path))
        assert "Failing" in page
        assert "1,234 failed in a row" in page


def test_code_in_the_text_of_an_event_is_shown_as_code(t: Tenants) -> None:
    assert "`" not in text_of(signed_in(t).get("/docs/events"))
    drawn = Template("{% load docs %}{{ text|prose }}").render(Context({"text": "see `a<b`"}))
    assert drawn == "see <code>a&lt;b</code>"


def test_errors_of_a_connection_carry_no_numbers() -> None:
    assert _said(OSError(111, "Connection refused")) == "Connection refused"
    failed = OutboundFailedError(f"Could not connect: {_said(OSError(-2, 'x'))}", reason="connect")
    assert str(failed) == "Could not connect: x"


def test_american_express_is_written_in_4_6_5() -> None:
    shown = {card.brand.lower(): card.number for card in published_cards()}
    assert shown["amex"] == "3782 822463 10005"
    assert shown["visa"].count(" ") == 3
