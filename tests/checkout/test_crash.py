"""A process really killed while a payer pays: one charge at most, and the session follows."""

from __future__ import annotations

import json

import pytest

from core import relay
from tests.api import Api, new_api
from tests.checkout.payer import Payer, new_session, payments_of, session_row
from tests.crashing import crash
from tests.payments.support import books, charges, later, recover


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _pay_and_die(payer: Payer, at: str, *, token: str, key: str) -> None:
    """Submit the page in a process of its own that is killed (-9) at `at`."""
    # A client of its own without CSRF checks: what is tested is the charge, not the page's cookie.
    body = json.dumps({"payment_method_token": token})
    crash(at, "POST", f"{payer.path}/payment", body, {"Idempotency-Key": key})


@pytest.mark.parametrize("at", ["intent.reserved", "intent.authorize.answered", "intent.committed"])
def test_killed_while_a_payer_pays(api: Api, admin_dsn: str, at: str) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    token = payer.token()
    _pay_and_die(payer, at, token=token, key="submit-1")

    # The payer presses the button again, with the same key and with a new one.
    for key in ("submit-1", "submit-2"):
        assert payer.pay(token=token, key=key).status_code == 200
    merchant_id = api.tenants.merchant.id
    later(admin_dsn, merchant_id)
    (intent,) = recover(admin_dsn, merchant_id)
    while relay.relay_once():
        pass

    assert intent.state == "SETTLED"
    assert charges(admin_dsn, merchant_id) == [(4890, 0)]
    found = books(admin_dsn, merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-4890, 0, 0)
    assert [each.status for each in payments_of(api)] == ["completed"]
    assert session_row(api, made["id"]).status == "complete"
    assert payer.status()["status"] == "completed"


def test_killed_between_the_attempt_and_its_charge(api: Api, admin_dsn: str) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    token = payer.token()
    _pay_and_die(payer, "checkout.attempt_made", token=token, key="submit-1")
    assert [each.status for each in payments_of(api)] == ["pending"]
    assert charges(admin_dsn, api.tenants.merchant.id) == []

    assert payer.paid(token=token, key="submit-1")["status"] == "completed"

    assert [each.status for each in payments_of(api)] == ["completed"]
    assert charges(admin_dsn, api.tenants.merchant.id) == [(4890, 0)]
