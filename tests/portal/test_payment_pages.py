"""Payments in the portal: the list with its filters and export, and what can be done to one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from core import downloads, ids
from core.db import fetch_all, tenant_atomic
from payments.acceptance.models import NET_MINOR, Payment, Refund
from payments.acceptance.portal import pages
from payments.acceptance.shapes import payment_out
from tests.factories import Tenants, make_merchant, make_tenants
from tests.portal.support import dispute, payments_of, signed_in, take_payment, text_of


@pytest.fixture(scope="module")
def shop(database: str) -> Tenants:
    """One merchant with some payments; tests of this module only read it."""
    tenants = make_tenants(totp=True)
    take_payment(tenants, amount=1500, reference="A-1")
    take_payment(tenants, amount=2500, reference="=SUM(A1)", description="Two bags")
    take_payment(tenants, amount=3500, number="4000000000000002")
    return tenants


def listed(client: Client, query: str) -> set[str]:
    response = client.get(f"/payments?{query}")
    assert response.status_code == 200
    return set(re.findall(r'data-key="(pay_[a-z0-9]+)"', response.content.decode()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", (0, 1, 2)), ("status=failed", (2,)), ("q=A-1", (0,)), ("reference=A-1", (0,)),
     ("last4=0002", (2,)), ("min=20&max=30", (1,)), ("min=20", (1, 2)),
     ("from=2020-01-01", (0, 1, 2)),
          ("to=2020-01-01", ()), ("currency=EUR", ()), ("email=nobody@example.test", ())],
)  # fmt: skip
def test_filters_and_export_agree(shop: Tenants, query: str, expected: tuple[int, ...]) -> None:
    client = signed_in(shop)
    wanted = {payments_of(shop)[index].public_id for index in expected}
    assert listed(client, query) == wanted
    assert {row["id"] for row in exported(client, query)} == wanted


def test_the_export_has_exact_amounts_and_runs_no_formula(shop: Tenants) -> None:
    (row,) = exported(signed_in(shop), "min=25&max=25")
    assert (row["amount"], row["currency"], row["status"]) == ("25.00", "USD", "completed")
    assert row["reference"] == "'=SUM(A1)"


def test_a_net_is_one_sum_on_every_face() -> None:
    shop = make_tenants(totp=True)
    made = take_payment(shop, amount=4_890)
    client = signed_in(shop)
    assert refund(client, made["id"], "48.90", "all of it").status_code == 302
    with tenant_atomic(shop.scope):
        payment = Payment.objects.get(pk=ids.decode("pay", made["id"]))
        (found,) = Payment.objects.filter(pk=payment.pk).values_list(NET_MINOR, flat=True)

    assert (payment.fee_minor, payment.net_minor, found) == (172, -172, -172)
    assert payment_out(payment)["net"] == -172
    (row,) = [row for row in exported(client) if row["id"] == made["id"]]
    assert (row["amount_refunded"], row["fee"], row["net"]) == ("48.90", "1.72", "-1.72")
    page = text_of(client.get(f"/payments/{made['id']}"))
    assert "Net −$1.72" in page or "Net -$1.72" in page, page


def test_an_export_tells_disputes_availability_and_metadata() -> None:
    shop = make_tenants(totp=True)
    made = take_payment(shop, amount=4_890, metadata={"cart": "=A1"})
    dispute(shop, "needs_response", amount=1_000)
    (row,) = [row for row in exported(signed_in(shop)) if row["id"] == made["id"]]
    sums = row["amount_disputed"], row["amount_lost"], row["dispute_fee"]
    assert sums == ("10.00", "0.00", "0.00")
    assert (row["available"], row["available_at"][:2]) == ("no", "20")
    assert row["metadata"] == '{"cart":"=A1"}'


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    response: Any = client.get(f"/payments/export.csv?{query}")
    assert response.status_code == 200, response.content
    return list(csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig"))))


def test_each_state_that_a_pill_tells_can_be_listed_and_exported() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    made = {
        "completed": take_payment(tenants)["id"],
        "requires_capture": take_payment(tenants, capture_method="manual")["id"],
        "failed": take_payment(tenants, number="4000000000000002")["id"],
        "requires_action": take_payment(tenants, number="4000000000003220")["id"],
        "pending": take_payment(tenants, confirm=False)["id"],
    }
    for state, amount in (("refunded", "48.90"), ("partially_refunded", "8.90")):
        made[state] = take_payment(tenants)["id"]
        assert refund(client, made[state], amount, state).status_code == 302
    made["disputed"] = take_payment(tenants)["id"]
    dispute(tenants, "needs_response", amount=1000)
    for state, payment in made.items():
        assert listed(client, f"status={state}") == {payment}, state
        assert [row["id"] for row in exported(client, f"status={state}")] == [payment], state
        assert f'href="?status={state}"' in client.get("/payments").content.decode()
    for state in ("processing", "canceled"):
        assert listed(client, f"status={state}") == set()
    assert listed(client, "") == set(made.values())


def test_a_currency_alone_is_a_filter(shop: Tenants) -> None:
    client = signed_in(shop)
    assert listed(client, "currency=JPY") == set()
    page = client.get("/payments?currency=JPY")
    assert "Nothing matches these filters" in text_of(page)
    assert "Clear all" in text_of(page)


def test_a_reseller_lists_the_payments_of_one_merchant() -> None:
    tenants = make_tenants(totp=True, name="Nord & Söhne")
    second = make_merchant(tenants, name="Nord & Söhne Wien")
    mine, theirs = take_payment(tenants)["id"], take_payment(second)["id"]
    client = signed_in(tenants, "reseller.owner")
    page = client.get("/payments").content.decode()
    assert '<option value="Nord &amp; Söhne Wien">' in page
    assert listed(client, "") == {mine, theirs}
    for typed in (tenants.merchant.public_id, "Nord %26 Söhne", "nord %26 söhne"):
        assert listed(client, f"merchant={typed}") == {mine}
    assert listed(client, "merchant=wien") == {theirs}
    chip = text_of(client.get(f"/payments?merchant={second.merchant.public_id}"))
    assert "Merchant: Nord & Söhne Wien" in chip.replace("&amp;", "&")
    names = {row["id"]: row["merchant_name"] for row in exported(client)}
    assert names == {mine: "Nord & Söhne", theirs: "Nord & Söhne Wien"}


def test_a_merchant_that_is_not_the_resellers_is_told_and_lists_nothing() -> None:
    tenants, other = make_tenants(totp=True, name="Nord Ost"), make_tenants()
    make_merchant(tenants, name="Nord West")
    take_payment(tenants)
    client = signed_in(tenants, "reseller.owner")
    for typed in (other.merchant.public_id, other.merchant.name, "mer_nonsense"):
        page = client.get("/payments", {"merchant": typed})
        assert "None of your merchants is called so." in text_of(page)
        assert "data-key" not in page.content.decode()
    assert "Several of your merchants fit." in text_of(client.get("/payments?merchant=nord"))
    merchant = signed_in(tenants)
    assert "Name or ID" not in text_of(merchant.get("/payments"))
    assert listed(merchant, f"merchant={other.merchant.public_id}") == {
        payments_of(tenants)[0].public_id
    }


def test_an_export_ends_its_transaction_before_the_first_byte_leaves(shop: Tenants) -> None:
    response: Any = signed_in(shop).get("/payments/export.csv")
    sending = iter(response.streaming_content)
    assert next(sending).startswith(b"\xef\xbb\xbfid,created_at,")
    assert not connection.in_atomic_block
    response.close()


def test_a_person_exports_once_at_a_time(shop: Tenants) -> None:
    client, other = signed_in(shop), signed_in(shop, "merchant.admin")
    first: Any = client.get("/payments/export.csv")
    second = client.get("/payments/export.csv")
    assert second.status_code == 429
    assert "Your last export is still being made or downloaded." in text_of(second)
    assert len(exported(other)) == 3
    first.close()  # the reader went away
    assert len(exported(client)) == 3
    assert len(exported(client)) == 3


def test_the_people_of_one_account_share_its_exports(
    shop: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TENANT_SHARE", 1)
    first: Any = signed_in(shop).get("/payments/export.csv")
    second = signed_in(shop, "merchant.admin").get("/payments/export.csv")
    assert second.status_code == 429
    assert "Other people of this account are exporting" in text_of(second)
    assert exported(signed_in(make_tenants(totp=True))) == []
    first.close()
    assert len(exported(signed_in(shop, "merchant.admin"))) == 3


def test_an_export_that_takes_too_long_says_so_and_leaves_the_turn(
    shop: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(shop)
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "DEADLINE_S", 0)
        refused = client.get("/payments/export.csv")
    assert refused.status_code == 503
    assert "Narrow the filter" in text_of(refused)
    assert len(exported(client)) == 3


def test_a_single_read_does_not_outlast_the_deadline_of_an_export(
    shop: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(**_: Any) -> Iterator[str]:
        yield str(fetch_all("SELECT pg_sleep(20)"))

    monkeypatch.setattr(downloads, "DEADLINE_S", 1)
    monkeypatch.setattr(pages, "csv_lines", slowly)
    refused = signed_in(shop).get("/payments/export.csv")
    assert refused.status_code == 503
    assert "Narrow the filter" in text_of(refused)


def test_a_filter_that_cannot_be_read_lists_and_exports_nothing(shop: Tenants) -> None:
    client = signed_in(shop)
    page = client.get("/payments?from=tomorrow")
    assert "The filter could not be read" in text_of(page)
    assert listed(client, "from=tomorrow") == set()
    assert client.get("/payments/export.csv?from=tomorrow").status_code == 400


def test_pages_go_on_where_the_one_before_ended() -> None:
    tenants = make_tenants(totp=True)
    for _ in range(3):
        take_payment(tenants)
    client = signed_in(tenants)
    first = client.get("/payments?limit=2").content.decode()
    older = re.search(r'href="(\?[^"]*cursor=[^"]*)"[^>]*rel="next"', first)
    assert older is not None
    second = listed(client, older[1].replace("&amp;", "&").lstrip("?"))
    assert len(second) == 1
    assert second.isdisjoint(listed(client, "limit=2"))


def test_a_payments_page_tells_fees_books_and_history(shop: Tenants) -> None:
    payment = payments_of(shop)[1]
    page = text_of(signed_in(shop).get(f"/payments/{payment.public_id}"))
    for part in ("$25.00", "Payment completed", "Provider clearing", "Merchant pending", "2.9 %"):
        assert part in page
    failed = text_of(signed_in(shop).get(f"/payments/{payments_of(shop)[2].public_id}"))
    assert "Not charged" in failed
    assert "card_declined" in failed


def test_another_tenants_payment_does_not_exist(shop: Tenants) -> None:
    other = make_tenants(totp=True)
    client = signed_in(other)
    payment = payments_of(shop)[0]
    assert client.get(f"/payments/{payment.public_id}").status_code == 404
    answer = client.post(f"/payments/{payment.public_id}/refund", {"amount": "1.00"})
    assert answer.status_code == 404
    assert payments_of(shop)[0].amount_refunded_minor == 0
    assert listed(client, f"q={payment.public_id}") == set()
    assert client.get("/payments/pay_nonsense").status_code == 404


def test_a_reseller_sees_the_payments_of_its_merchants_and_acts_on_none(shop: Tenants) -> None:
    client = signed_in(shop, "reseller.owner")
    payment = payments_of(shop)[0]
    page = client.get(f"/payments/{payment.public_id}")
    assert shop.merchant.name in text_of(page)
    assert 'data-dialog-open="refund"' not in page.content.decode()
    answer = client.post(f"/payments/{payment.public_id}/refund", {"amount": "1.00"})
    assert answer.status_code == 404
    assert payments_of(shop)[0].amount_refunded_minor == 0


# ---- refunds ---------------------------------------------------------------------------------


def refund(client: Client, payment: str, amount: str, nonce: str = "n1", **more: Any) -> Any:
    return client.post(f"/payments/{payment}/refund", {"amount": amount, "nonce": nonce, **more})


def test_a_refund_in_part_and_then_the_rest() -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    assert refund(client, payment, "8.90", "a", reason="duplicate").status_code == 302
    assert "Partly refunded" in text_of(client.get(f"/payments/{payment}"))
    assert refund(client, payment, "40.00", "b").status_code == 302
    assert payments_of(tenants)[0].amount_refunded_minor == 4890
    page = client.get(f"/payments/{payment}")
    assert 'data-dialog-open="refund"' not in page.content.decode()


def test_a_doubled_click_refunds_once() -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    for _ in range(3):
        assert refund(client, payment, "8.90", "same").status_code == 302
    with tenant_atomic(tenants.scope):
        assert Refund.objects.filter(merchant_id=tenants.merchant.id).count() == 1
    assert payments_of(tenants)[0].amount_refunded_minor == 890


@pytest.mark.parametrize("amount", ["48.91", "0", "-1", "1.234", "12,50", "a lot", ""])
def test_an_impossible_refund_is_refused_in_the_dialog_and_changes_nothing(amount: str) -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    response = refund(signed_in(tenants), payment, amount)
    assert response.status_code == 400
    html = response.content.decode()
    assert re.search(r'<dialog[^>]*id="refund"[^>]*data-open-now', html)
    assert 'aria-invalid="true"' in html
    assert payments_of(tenants)[0].amount_refunded_minor == 0


def test_a_refund_that_the_provider_refuses_is_not_said_to_be_on_its_way(admin_dsn: str) -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update providers_sandboxcharge set refunded_minor = captured_minor"
            " where merchant_key = %s",
            [tenants.merchant.public_id],
        )
    client = signed_in(tenants)
    for _ in range(2):  # the second click on the same form hears the same
        assert refund(client, payment, "8.90").status_code == 302
        page = client.get(f"/payments/{payment}")
        assert "on its way" not in text_of(page)
        assert "Nothing was refunded." in text_of(page)
        assert "toast-bad" in page.content.decode()
    assert payments_of(tenants)[0].amount_refunded_minor == 0


@pytest.mark.parametrize("end", ["", "lost"])
def test_what_a_dispute_holds_or_took_is_not_offered_for_a_refund(end: str) -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    for status in ("needs_response", *([end] if end else [])):
        dispute(tenants, status, amount=4000)
    client = signed_in(tenants)
    html = client.get(f"/payments/{payment}").content.decode()
    assert "At most $8.90, all that is left." in html
    assert re.search(r'id="refund-amount"[^>]*value="8.90"', html)
    too_much = refund(client, payment, "8.91")
    assert too_much.status_code == 400
    assert "At most $8.90 is left." in text_of(too_much)
    assert refund(client, payment, "8.90", "b").status_code == 302
    assert payments_of(tenants)[0].amount_refunded_minor == 890
    assert 'data-dialog-open="refund"' not in client.get(f"/payments/{payment}").content.decode()


def test_what_answers_a_form_takes_the_address_of_the_page() -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    refused = refund(client, payment, "50.00").content.decode()
    assert f'data-replace-url="/payments/{payment}"' in refused
    assert f'name="next" value="/payments/{payment}"' in refused
    wrong = client.post("/team/invite", {"email": "no address", "role": "admin"})
    assert 'data-replace-url="/team"' in wrong.content.decode()
    assert "data-replace-url" not in client.get(f"/payments/{payment}").content.decode()


@pytest.mark.parametrize(
    ("form", "page"),
    [("/payments/pay_x/refund", "/payments/pay_x"), ("/payments/pay_x/capture", "/payments/pay_x"),
     ("/payments/pay_x/cancel", "/payments/pay_x"), ("/team/invite", "/team"),
     ("/team/mem_x/role", "/team"), ("/developers/keys/create", "/developers/keys"),
     ("/developers/keys/key_x/rotate", "/developers/keys"),
     ("/developers/webhooks/create", "/developers/webhooks"),
     ("/developers/webhooks/we_x/roll", "/developers/webhooks/we_x"),
     ("/developers/events/evt_x/resend", "/developers/events/evt_x"), ("/settings/mode", "/")],
)  # fmt: skip
def test_the_address_of_a_form_leads_to_its_page(shop: Tenants, form: str, page: str) -> None:
    response = signed_in(shop).get(form)
    assert (response.status_code, response.headers.get("Location")) == (302, page)


def test_a_page_and_its_forms_name_the_account_and_mode(shop: Tenants) -> None:
    client = signed_in(shop)
    payment = payments_of(shop)[0].public_id
    html = client.get(f"/payments/{payment}").content.decode()
    found = re.search(r'<html[^>]* data-seat="([^"]+\.test)"', html)
    assert found is not None
    # The switches of the frame, and the refund.
    assert html.count(f'<input type="hidden" name="seat" value="{found[1]}">') >= 2
    client.post("/settings/mode", {"mode": "live"})
    gone = client.get(f"/payments/{payment}")
    assert gone.status_code == 404
    assert f'data-seat="{found[1].removesuffix("test")}live"' in gone.content.decode()


def test_a_viewer_may_not_refund() -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants)["id"]
    client = signed_in(tenants, "merchant.viewer")
    assert 'data-dialog-open="refund"' not in client.get(f"/payments/{payment}").content.decode()
    assert refund(client, payment, "1.00").status_code == 403
    assert payments_of(tenants)[0].amount_refunded_minor == 0


def test_an_authorisation_is_captured_in_part_or_canceled() -> None:
    tenants = make_tenants(totp=True)
    first = take_payment(tenants, amount=5000, capture_method="manual")["id"]
    second = take_payment(tenants, amount=5000, capture_method="manual")["id"]
    client = signed_in(tenants)
    assert "Uncaptured" in text_of(client.get(f"/payments/{first}"))
    too_much = client.post(f"/payments/{first}/capture", {"amount": "50.01"})
    assert too_much.status_code == 400
    assert client.post(f"/payments/{first}/capture", {"amount": "20.00"}).status_code == 302
    assert client.post(f"/payments/{second}/cancel").status_code == 302
    captured, canceled = payments_of(tenants)
    assert (captured.status, captured.amount_captured_minor) == ("completed", 2000)
    assert (canceled.status, canceled.amount_captured_minor) == ("canceled", 0)
