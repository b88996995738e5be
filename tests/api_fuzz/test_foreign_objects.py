"""Other people's things: another merchant's objects do not exist, and the modes never mix."""

from __future__ import annotations

import pytest

from tests.api import Api, new_api
from tests.api_fuzz.support import counts, error_of


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def test_another_merchants_objects_do_not_exist(api: Api) -> None:
    """In the path, in the body, in a filter, whoever the neighbour is."""
    foreign = new_api()
    payment = foreign.pay(amount=1_000, capture_method="manual").json()["data"]
    paid = foreign.pay(amount=1_000).json()["data"]
    refund = foreign.post("/v1/refunds", {"payment": paid["id"], "amount": 10}).json()["data"]
    customer = foreign.post("/v1/customers", {"email": "eve@example.com"}).json()["data"]
    method = foreign.post(
        "/v1/payment_methods", {"customer": customer["id"], "token": foreign.token()}
    ).json()["data"]
    token = foreign.token()
    before, theirs = counts(api), counts(foreign)
    probes = [
        api.get(f"/v1/payments/{payment['id']}"),
        api.get(f"/v1/payments/{payment['id']}?expand=events,attempts,ledger"),
        api.post(f"/v1/payments/{payment['id']}/capture"),
        api.post(f"/v1/payments/{payment['id']}/cancel"),
        api.post(f"/v1/payments/{payment['id']}/confirm", {"payment_method_token": api.token()}),
        api.post("/v1/refunds", {"payment": paid["id"]}),
        api.get(f"/v1/refunds/{refund['id']}"),
        api.get(f"/v1/customers/{customer['id']}"),
        api.call("PATCH", f"/v1/customers/{customer['id']}", {"name": "Mallory"}),
        api.call("DELETE", f"/v1/customers/{customer['id']}"),
        api.get(f"/v1/payment_methods/{method['id']}"),
        api.call("DELETE", f"/v1/payment_methods/{method['id']}"),
        api.get(f"/v1/payment_methods?customer={customer['id']}"),
        api.get(f"/v1/payments?customer={customer['id']}"),
        api.get(f"/v1/refunds?payment={paid['id']}"),
        api.post("/v1/payment_methods", {"customer": customer["id"], "token": api.token()}),
        api.post("/v1/payments", {"amount": 100, "currency": "EUR", "customer": customer["id"]}),
        api.post(
            "/v1/payments",
            {"amount": 100, "currency": "EUR", "payment_method": method["id"], "confirm": True},
        ),
    ]
    statuses = [answer.status_code for answer in probes]
    assert statuses == [404] * len(probes), [
        (answer.request["PATH_INFO"], answer.status_code) for answer in probes
    ]
    stolen = api.pay(token=token)
    assert stolen.status_code in (400, 402, 404), stolen.content
    assert error_of(stolen)["code"] == "resource_missing"
    assert counts(foreign) == theirs
    assert counts(api)[1] == before[1]
    still = foreign.get(f"/v1/payments/{payment['id']}").json()["data"]
    assert (still["status"], still["amount_capturable"]) == ("processing", 1_000)
    assert foreign.get(f"/v1/customers/{customer['id']}").json()["data"]["email"]


def test_another_merchants_settings_and_books_do_not_exist(api: Api) -> None:
    """Webhooks, events, keys, checkout sessions and ledger accounts of a neighbour."""
    foreign = new_api()
    payment = foreign.pay(amount=1_000).json()["data"]
    endpoint = foreign.post(
        "/v1/webhook_endpoints", {"url": "https://93.184.215.14/hook", "events": ["*"]}
    ).json()["data"]
    event = foreign.get("/v1/events").json()["data"]["items"][0]
    session = foreign.post("/v1/checkout/sessions", {"amount": 100, "currency": "EUR"})
    session_id = session.json()["data"]["id"]
    customer = foreign.post("/v1/customers", {"email": "eve@example.com"}).json()["data"]["id"]
    account = foreign.get("/v1/ledger/accounts").json()["data"]["items"][0]
    transfer = foreign.get("/v1/ledger/transfers").json()["data"]["items"][0]
    mine = api.post(
        "/v1/webhook_endpoints", {"url": "https://93.184.215.14/mine", "events": ["*"]}
    ).json()["data"]
    before, theirs = counts(api), counts(foreign)
    one = f"/v1/webhook_endpoints/{endpoint['id']}"
    probes = [
        api.get(one),
        api.call("PATCH", one, {"events": ["payment.*"]}),
        api.call("DELETE", one),
        api.post(f"{one}/roll_secret"),
        api.post(f"{one}/replay", {"created_from": "2026-01-01T00:00:00Z"}),
        api.get(f"/v1/events/{event['id']}"),
        api.post(f"/v1/events/{event['id']}/resend"),
        api.post(f"/v1/events/{event['id']}/resend", {"endpoint": mine["id"]}),
        foreign.post(f"/v1/events/{event['id']}/resend", {"endpoint": mine["id"]}),
        api.get(f"/v1/webhook_deliveries?endpoint={endpoint['id']}"),
        api.get(f"/v1/webhook_deliveries?event={event['id']}"),
        api.get(f"/v1/checkout/sessions/{session_id}"),
        api.post(f"/v1/checkout/sessions/{session_id}/expire"),
        api.post("/v1/checkout/sessions", {"amount": 100, "currency": "EUR", "customer": customer}),
        api.get(f"/v1/checkout/sessions?customer={customer}"),
        api.get(f"/v1/ledger/accounts/{account['id']}"),
        api.get(f"/v1/ledger/accounts/{account['id']}/statement"),
        api.get(f"/v1/ledger/transfers/{transfer['id']}"),
        api.get(f"/v1/ledger/transfers?account={account['id']}"),
    ]
    wrong = [
        (
            answer.request["REQUEST_METHOD"],
            answer.request["PATH_INFO"],
            answer.request["QUERY_STRING"],
            answer.status_code,
        )
        for answer in probes
        if answer.status_code != 404
    ]
    assert wrong == []
    for unknown in (payment["id"], "pay_1", "x"):
        answer = api.get(f"/v1/events?object={unknown}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "object")
    assert (counts(api), counts(foreign)) == (before, theirs)
    still = foreign.get(one).json()["data"]
    assert (still["status"], still["events"]) == ("enabled", ["*"])


def test_test_and_live_mode_never_mix(api: Api) -> None:
    made = api.pay(amount=700).json()["data"]
    live = Api(api.tenants, livemode=True)
    assert live.get(f"/v1/payments/{made['id']}").status_code == 404
    assert live.post("/v1/refunds", {"payment": made["id"]}).status_code == 404
    listed = live.get("/v1/payments").json()["data"]["items"]
    assert made["id"] not in [item["id"] for item in listed]
