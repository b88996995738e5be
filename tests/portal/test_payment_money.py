"""A payment's page when money has gone back: the sum, disputes in words, and refused refunds."""

from __future__ import annotations

from core.money import format_money
from tests.factories import make_tenants
from tests.portal.support import dispute, payments_of, signed_in, take_payment, text_of
from tests.portal.test_payment_pages import refund


def test_the_net_counts_fees_refunds_and_disputes() -> None:
    tenants = make_tenants(totp=True)
    payment_id = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    refund(client, payment_id, "8.90", reason="requested_by_customer")
    dispute(tenants, "needs_response", amount=1000)
    payment = payments_of(tenants)[0]
    page = text_of(client.get(f"/payments/{payment_id}"))
    net = format_money(4890 - payment.fee_minor - 890 - 1000, "USD")
    assert f"Net {net}" in page
    assert "Available on" in page
    assert "Of it yours" not in page
    dispute(tenants, "lost", amount=1000)
    page = text_of(client.get(f"/payments/{payment_id}"))
    assert "Lost to a dispute − $10.00" in page
    assert f"Net {net}" in page


def test_a_payment_of_which_nothing_is_left_becomes_available_on_no_day() -> None:
    tenants = make_tenants(totp=True)
    payment_id = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    refund(client, payment_id, "48.90")
    fee = format_money(payments_of(tenants)[0].fee_minor, "USD")
    page = text_of(client.get(f"/payments/{payment_id}"))
    assert f"Net −{fee}" in page
    assert "Available on" not in page


def test_a_reseller_reads_its_share_below_the_total() -> None:
    tenants = make_tenants(totp=True)
    payment_id = take_payment(tenants, amount=4890)["id"]
    reseller = signed_in(tenants, "reseller.owner")
    page = text_of(reseller.get(f"/payments/{payment_id}"))
    # 2.9 % of $48.90 and $0.30 are $1.72; a fifth of it is the reseller's.
    assert page.index("Net $47.18") < page.index("Your share of the fee $0.34")
    assert "Your earnings $0.34" in text_of(reseller.get("/balance"))


def test_a_dispute_says_how_much_why_and_what_comes_next() -> None:
    tenants = make_tenants(totp=True)
    payment_id = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    dispute(tenants, "needs_response", amount=1000)
    page = text_of(client.get(f"/payments/{payment_id}"))
    assert "$10.00 is held: the payer says that they did not make this payment." in page
    assert "Answer it in the dashboard of your payment provider" in page
    assert "Disputed by the payer" in page
    dispute(tenants, "won", amount=1000)
    page = text_of(client.get(f"/payments/{payment_id}"))
    assert "Dispute won, the amount came back" in page
    assert "Answer it in the dashboard" not in page


def test_a_refund_of_disputed_money_says_that_it_is_disputed() -> None:
    tenants = make_tenants(totp=True)
    payment_id = take_payment(tenants, amount=4890)["id"]
    client = signed_in(tenants)
    dispute(tenants, "needs_response", amount=4000)
    part = text_of(refund(client, payment_id, "48.90", "a"))
    assert "At most $8.90 is left." in part
    assert "$40.00 is disputed" in part
    refund(client, payment_id, "8.90", "b", reason="requested_by_customer")
    rest = text_of(refund(client, payment_id, "1.00", "c"))
    assert "Nothing of this payment is left. $40.00 is disputed" in rest
    assert "The customer asked for it" in rest
    assert "requested_by_customer" not in rest.lower().replace(" ", "_")
    assert payments_of(tenants)[0].amount_refunded_minor == 890
