"""What a shop reads as soon as its payer comes back from the challenge."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from payments.providers.calls import forget_calls
from payments.providers.selectors import forget_accounts
from tests.api import Api, new_api
from tests.payments.slow_provider import slow_provider
from tests.payments.support import books, charges
from tests.payments.test_slow_providers import shops

RETURN_URL = "https://shop.example/thanks"


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def answered(payment: dict[str, Any], button: str) -> str:
    """The payer's answer to the challenge; returns where the page sends them."""
    client = Client()
    path = "/" + payment["next_action"]["url"].split("/", 3)[3]
    response = client.post(path, {"answer": button})
    assert response.status_code == 302
    return response.headers["Location"]


@pytest.mark.parametrize(
    ("number", "button", "status"),
    [
        ("4000000000003220", "complete", "completed"),
        ("4000000000003220", "fail", "failed"),
        ("4000008400001629", "complete", "failed"),
    ],
)
def test_the_first_read_after_the_return_says_what_the_challenge_came_to(
    api: Api, number: str, button: str, status: str
) -> None:
    for _ in range(8):
        made = api.pay(number, amount=700, return_url=RETURN_URL).json()["data"]
        assert made["status"] == "requires_action"
        assert answered(made, button) == RETURN_URL
        read = api.get(f"/v1/payments/{made['id']}").json()["data"]
        assert (read["status"], read["next_action"]) == (status, None)


def test_a_manual_payment_waits_for_its_capture_after_the_return(api: Api) -> None:
    made = api.pay(
        "4000000000003220", amount=700, return_url=RETURN_URL, capture_method="manual"
    ).json()["data"]
    answered(made, "complete")
    read = api.get(f"/v1/payments/{made['id']}").json()["data"]
    assert (read["next_action"], read["amount_capturable"]) == (None, 700)


def test_the_providers_own_event_afterwards_changes_nothing(api: Api, admin_dsn: str) -> None:
    made = api.pay("4000000000003220", amount=700, return_url=RETURN_URL).json()["data"]
    answered(made, "complete")
    before = api.get(f"/v1/payments/{made['id']}?expand=events").json()["data"]
    answered_again = Client().post(
        "/" + made["next_action"]["url"].split("/", 3)[3], {"answer": "fail"}
    )
    assert answered_again.status_code == 302
    assert api.get(f"/v1/payments/{made['id']}?expand=events").json()["data"] == before
    assert charges(admin_dsn, api.tenants.merchant.id) == [(700, 0)]
    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-700, 0, 0)


def test_a_provider_outside_sends_the_payer_back_over_us(database: str) -> None:
    forget_calls()
    forget_accounts()
    with slow_provider() as provider:
        (shop,) = shops(provider, 1)
        provider.challenge()
        made = shop.pay(return_url=RETURN_URL).json()["data"]
        assert made["status"] == "requires_action"
        address = provider.return_urls[-1]
        assert address.startswith(f"{settings.BASE_URL}/payer-return/int_")
        provider.pass_challenges()

        path = "/" + address.split("/", 3)[3]
        back = Client().get(path + "?payment_intent=pi_1&redirect_status=succeeded")
        assert (back.status_code, back.headers["Location"]) == (302, RETURN_URL)
        read = shop.api.get(f"/v1/payments/{made['id']}").json()["data"]
        assert (read["status"], read["next_action"]) == ("completed", None)
        assert Client().get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404


def test_a_provider_that_does_not_answer_keeps_no_payer(database: str) -> None:
    forget_calls()
    forget_accounts()
    with slow_provider() as provider:
        (shop,) = shops(provider, 1)
        provider.challenge()
        made = shop.pay(return_url=RETURN_URL).json()["data"]
        provider.break_down()
        back = Client().get("/" + provider.return_urls[-1].split("/", 3)[3])
        assert (back.status_code, back.headers["Location"]) == (302, RETURN_URL)
        assert shop.status(made["id"]) == "requires_action"
    forget_calls()
