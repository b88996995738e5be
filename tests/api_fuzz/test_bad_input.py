"""Bad input gets a clear answer and changes nothing."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from core.db import tenant_atomic
from core.models import IdempotencyRecord, OutboxEvent
from payments.acceptance.models import Payment, Refund
from tests.api import CARD_OK, Api, new_api
from tests.factories import make_tenants


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def counts(api: Api) -> tuple[int, int, int]:
    """How many payments, refunds and events the merchant has."""
    with tenant_atomic(api.tenants.scope):
        return Payment.objects.count(), Refund.objects.count(), OutboxEvent.objects.count()


def error_of(answer: Any) -> dict[str, Any]:
    body = answer.json()
    assert body["success"] is False
    assert body["meta"]["requestId"] == answer["X-Request-Id"]
    error: dict[str, Any] = body["error"]
    assert error["message"]
    return error


# ---- amounts and currencies -----------------------------------------------------------------

AMOUNTS = [
    ("-1", "amount_too_small"),
    ("0", "amount_too_small"),
    ("-0", "amount_too_small"),
    ("12.5", "amount_not_integer"),
    ("100.0", "amount_not_integer"),
    ("1e2", "amount_not_integer"),
    ("1e30", "amount_not_integer"),
    ("1e400", "amount_not_integer"),
    ("NaN", "json_invalid"),
    ("Infinity", "json_invalid"),
    ("-Infinity", "json_invalid"),
    ('"100"', "amount_not_integer"),
    ('"1e2"', "amount_not_integer"),
    ("true", "amount_not_integer"),
    ("null", "parameter_null"),
    ("[100]", "amount_not_integer"),
    ('{"amount": 100}', "amount_not_integer"),
    ("1000000000000", "amount_too_large"),
    ("9223372036854775808", "amount_too_large"),
    ("1" + "0" * 400, "amount_too_large"),
    ("1" + "0" * 5_000, "json_invalid"),
]


@pytest.mark.parametrize(("amount", "code"), AMOUNTS, ids=[a[:20] for a, _ in AMOUNTS])
def test_an_amount_is_a_positive_integer_in_minor_units(api: Api, amount: str, code: str) -> None:
    before = counts(api)
    body = f'{{"amount": {amount}, "currency": "EUR"}}'.encode()
    answer = api.call("POST", "/v1/payments", raw=body)
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["code"] == code
    assert counts(api) == before


@pytest.mark.parametrize("amount", [-1, 0, 1.5, "50", True, 10**20])
def test_captures_and_refunds_take_the_same_amounts(api: Api, amount: Any) -> None:
    held = api.pay(amount=1_000, capture_method="manual").json()["data"]
    before = counts(api)
    captured = api.post(f"/v1/payments/{held['id']}/capture", {"amount": amount})
    assert captured.status_code == 400, captured.content
    assert error_of(captured)["param"] == "amount"
    refunded = api.post("/v1/refunds", {"payment": held["id"], "amount": amount})
    assert refunded.status_code == 400, refunded.content
    assert counts(api) == before
    after = api.get(f"/v1/payments/{held['id']}").json()["data"]
    assert (after["status"], after["amount_captured"]) == ("processing", 0)


def test_the_exponent_is_the_currencys_own(api: Api) -> None:
    """¥4,890 is 4890 and not 489000; 48.90 is refused in every currency."""
    yen = api.post("/v1/payments", {"amount": 4890, "currency": "JPY"})
    assert yen.status_code == 201
    assert yen.json()["data"]["amount"] == 4890
    for code in ("JPY", "EUR", "KWD"):
        answer = api.post("/v1/payments", {"amount": 48.90, "currency": code})
        assert answer.status_code == 400
        assert error_of(answer)["code"] == "amount_not_integer"


@pytest.mark.parametrize(
    "currency",
    ["XXX", "XAU", "ZZZ", "EU", "EURO", "", "€", "EUR\n", "978", 978, None, ["EUR"], "ЕUR"],
)
def test_an_unknown_currency_is_named(api: Api, currency: Any) -> None:
    before = counts(api)
    answer = api.post("/v1/payments", {"amount": 100, "currency": currency})
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["param"] == "currency"
    assert counts(api) == before


# ---- card numbers where none belong ---------------------------------------------------------

HIDDEN = [
    {"metadata": {"note": CARD_OK}},
    {"metadata": {"note": "4242 4242 4242 4242"}},
    {"metadata": {"note": "pays with 4242-4242-4242-4242, 12/29"}},
    {"metadata": {CARD_OK: "key"}},
    {"description": CARD_OK},
    {"description": "card 4242 4242 4242 4242"},
    {"description": "378282246310005"},
    {"reference": "5555 5555 5555 4444"},
    {"reference": "4242\u00a04242\u00a04242\u00a04242"},
    {"reference": "４２４２４２４２４２４２４２４２"},
    {"statement_descriptor": "4242424242424242"},
]


@pytest.mark.parametrize("fields", HIDDEN, ids=[str(i) for i in range(len(HIDDEN))])
def test_a_card_number_in_free_text_is_refused_and_never_repeated(
    api: Api, fields: dict[str, Any]
) -> None:
    before = counts(api)
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", **fields})
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["code"] == "card_number_refused"
    for number in (b"4242", b"5555", b"3782"):
        assert number not in answer.content
    assert counts(api) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/refunds", {"reason": CARD_OK}),
        ("/v1/refunds", {"metadata": {"n": "4242 4242 4242 4242"}}),
        ("/v1/customers", {"name": CARD_OK}),
        ("/v1/customers", {"metadata": {"n": CARD_OK}}),
        ("/v1/customers", {"reference": "4242 4242 4242 4242"}),
    ],
)
def test_no_other_object_takes_a_card_number_either(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    if path == "/v1/refunds":
        body = {"payment": api.pay(amount=500).json()["data"]["id"], **body}
    before = counts(api)
    answer = api.post(path, body)
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["code"] == "card_number_refused"
    assert counts(api) == before


# ---- bodies ---------------------------------------------------------------------------------

_GOOD = '"amount": 100, "currency": "EUR"'
BODIES = [
    (b"{" + _GOOD.encode() + b', "amount": 200}', "json_duplicate_key"),
    (b'{"metadata": {"a": "1", "a": "2"}, ' + _GOOD.encode() + b"}", "json_duplicate_key"),
    (b"{" + _GOOD.encode() + b', "description": "a\\u0000b"}', "json_invalid"),
    (b"{" + _GOOD.encode() + b', "description": "a\x00b"}', "json_invalid"),
    (b"{" + _GOOD.encode() + b', "description": "\\ud800"}', "json_invalid"),
    (b"{" + _GOOD.encode() + b', "metadata": {"\\udc00": "x"}}', "json_invalid"),
    (b"{" + _GOOD.encode() + b', "description": "\xed\xa0\x80"}', "json_invalid"),
    (b"{" + _GOOD.encode() + b', "description": "\xff"}', "json_invalid"),
    (b"[" * 100_000, "json_invalid"),
    (b'{"metadata": ' + b'{"a": ' * 40 + b"1" + b"}" * 41, "json_invalid"),
    (b'{"metadata": {"a": {"b": {"c": 1}}}, ' + _GOOD.encode() + b"}", "metadata_invalid"),
    (b"[]", "json_invalid"),
    (b'"text"', "json_invalid"),
    (b"null", "json_invalid"),
    (b"{", "json_invalid"),
    (b"{'amount': 100}", "json_invalid"),
    (b"amount=100&currency=EUR", "json_invalid"),
    (b"\xef\xbb\xbf{" + _GOOD.encode() + b"}", "json_invalid"),
    (b"{" + _GOOD.encode() + b', "amout": 1}', "parameter_unknown"),
    (b"", "parameter_required"),
]


@pytest.mark.parametrize(("raw", "code"), BODIES, ids=[str(i) for i in range(len(BODIES))])
def test_a_body_has_one_meaning_or_none(api: Api, raw: bytes, code: str) -> None:
    before = counts(api)
    answer = api.call("POST", "/v1/payments", raw=raw)
    assert answer.status_code == 400, answer.content
    expected = {"parameter_required": "parameter_missing"}.get(code, code)
    assert error_of(answer)["code"] == expected
    assert counts(api) == before


def test_fifty_megabytes_are_not_read(api: Api) -> None:
    before = counts(api)
    raw = b'{"description": "' + b"a" * 50_000_000 + b'"}'
    answer = api.call("POST", "/v1/payments", raw=raw)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "payload_too_large"
    assert counts(api) == before


def test_a_body_just_above_the_limit_is_refused(api: Api) -> None:
    raw = b'{"description": "' + b"a" * 262_144 + b'"}'
    answer = api.call("POST", "/v1/payments", raw=raw)
    assert answer.status_code == 413


# ---- query strings, paths, headers ----------------------------------------------------------

QUERIES = [
    "limit=0", "limit=-1", "limit=101", "limit=1e1", "limit=99999999999999999999", "limit=%00",
    "limit=%D9%A1", "cursor=%00", "cursor=nonsense", "cursor=" + "A" * 4_000, "amount_min=1e30",
    "amount_min=" + "9" * 400, "amount_max=-5", "amount_min=%00", "created_from=yesterday",
    "created_from=9999-99-99", "created_from=%00", "created_to=0000-00-00T00:00:00Z",
    "status=paid", "status=%00", "reference=%00", "email=%00", "last4=%00", "currency=%00",
    "search=%00", "reference=%ED%A0%80", "email=%FF",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=[q[:30] for q in QUERIES])
def test_a_filter_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/v1/payments?{query}")
    if query.split("=")[1] in ("%ED%A0%80", "%FF"):
        # Not UTF-8: read as the replacement character, which matches nothing.
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == 400, answer.content
    assert error_of(answer)["param"] == query.split("=")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/payments/%00", "/v1/payments/pay_", "/v1/payments/pay_" + "z" * 26,
        "/v1/payments/" + "a" * 5_000, "/v1/payments/%ED%A0%80", "/v1/payments/pay_%F0%9F%92%B3",
        "/v1/payments/../../etc/passwd", "/v1/payments/1%27%20OR%20%271%27=%271",
        "/v1/refunds/pay_01kah8q3v5e0trz5b2m8x1c9dn", "/v1/nothing", "/v1/payments/",
    ],
    ids=range(11),
)  # fmt: skip
def test_an_address_that_names_nothing_is_a_404_in_the_envelope(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404, answer.content
    assert error_of(answer)["code"] == "resource_missing"


def test_a_choice_that_there_is_not_names_those_that_there_are(api: Api) -> None:
    body = {"amount": 100, "currency": "EUR", "capture_method": "later"}
    error = error_of(api.post("/v1/payments", body))
    assert (error["code"], error["param"]) == ("parameter_invalid_choice", "capture_method")
    assert error["message"] == "This takes one of: automatic, manual."


def test_a_host_that_is_not_served_is_told_so(api: Api, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["served.example"]
    answer = api.get("/v1/payments", Host="other.example")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "bad_request")
    assert "host that is not served here" in error_of(answer)["message"]
    assert "other.example" not in error_of(answer)["message"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_a_method_that_is_not_offered_is_a_405(api: Api, method: str) -> None:
    answer = api.call(method, "/v1/payments", {})
    assert answer.status_code == 405
    assert "POST" in answer["Allow"]
    assert error_of(answer)["code"] == "method_not_allowed"
    message = error_of(answer)["message"]
    assert message == f"{method} is not taken at this address; send GET or POST."


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer x", "Bearer mk_sk_test_nope", "Basic !!!", "Basic /w==",
     "Digest a", "Bearer \u00ff", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + "a" * 8_000],
    ids=range(11),
)  # fmt: skip
def test_a_wrong_credential_is_a_401(api: Api, value: str) -> None:
    before = counts(api)
    answer = api.client.generic(
        "POST",
        "/v1/payments",
        b'{"amount": 100, "currency": "EUR"}',
        content_type="application/json",
        headers={"Authorization": value, "Idempotency-Key": "any"} if value else {},
    )
    assert answer.status_code == 401, answer.content
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert error_of(answer)["type"] == "authentication_error"
    assert counts(api) == before


# ---- other people's things ------------------------------------------------------------------


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
    assert api.get(f"/v1/events?object={payment['id']}").json()["data"]["items"] == []
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


# ---- idempotency ----------------------------------------------------------------------------


def test_money_does_not_move_without_a_key(api: Api) -> None:
    payment = api.pay(amount=300).json()["data"]
    before = counts(api)
    for path, body in (
        ("/v1/payments", {"amount": 100, "currency": "EUR"}),
        ("/v1/refunds", {"payment": payment["id"]}),
        (f"/v1/payments/{payment['id']}/capture", {}),
        (f"/v1/payments/{payment['id']}/cancel", {}),
    ):
        answer = api.post(path, body, key=None)
        assert answer.status_code == 400, (path, answer.content)
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("idempotency_key_missing", "Idempotency-Key")
    assert counts(api) == before


@pytest.mark.parametrize("key", ["a" * 256, "clé", "a\tb"])
def test_a_key_is_short_printable_text(api: Api, key: str) -> None:
    before = counts(api)
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR"}, key=key)
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "idempotency_key_invalid"
    assert counts(api) == before


def test_the_same_request_replays_and_another_is_refused(api: Api) -> None:
    body = {
        "amount": 1_234,
        "currency": "EUR",
        "payment_method_token": api.token(),
        "confirm": True,
    }
    first = api.post("/v1/payments", body, key="once-only")
    assert first.status_code == 201
    before = counts(api)
    again = api.post("/v1/payments", body, key="once-only")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replayed"] == "true"
    assert not first.has_header("Idempotent-Replayed")
    other = api.post("/v1/payments", {**body, "amount": 1_235}, key="once-only")
    assert other.status_code == 422
    assert error_of(other)["code"] == "idempotency_key_reused"
    elsewhere = api.post("/v1/refunds", {"payment": first.json()["data"]["id"]}, key="once-only")
    assert elsewhere.status_code == 422
    assert counts(api) == before


def test_a_key_belongs_to_its_merchant_and_mode(api: Api) -> None:
    body = {"amount": 100, "currency": "EUR"}
    mine = api.post("/v1/payments", body, key="shared-name").json()["data"]["id"]
    theirs = new_api().post("/v1/payments", body, key="shared-name")
    assert theirs.status_code == 201
    assert theirs.json()["data"]["id"] != mine


def test_a_validation_error_stores_nothing_under_the_key(api: Api) -> None:
    bad = api.post("/v1/payments", {"amount": -1, "currency": "EUR"}, key="try-again")
    assert bad.status_code == 400
    with tenant_atomic(api.tenants.scope):
        assert not IdempotencyRecord.objects.filter(key="try-again").exists()
    good = api.post("/v1/payments", {"amount": 1, "currency": "EUR"}, key="try-again")
    assert good.status_code == 201


def test_fifty_at_once_under_one_key_are_one_payment(database: str) -> None:
    api = Api(make_tenants(users=False))
    body = {
        "amount": 5_000,
        "currency": "EUR",
        "payment_method_token": api.token(),
        "confirm": True,
    }
    answers: list[tuple[int, bytes, bool]] = []
    start = threading.Barrier(50)

    def send() -> None:
        client = Api(api.tenants)
        start.wait()
        try:
            got = client.post("/v1/payments", body, key="fifty-at-once")
            answers.append((got.status_code, got.content, got.has_header("Idempotent-Replayed")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    statuses = Counter(status for status, _, _ in answers)
    assert sum(statuses.values()) == 50
    assert set(statuses) <= {201, 409}, statuses
    assert sum(1 for status, _, replayed in answers if status == 201 and not replayed) == 1
    assert len({body for status, body, _ in answers if status == 201}) == 1
    codes = {json.loads(body)["error"]["code"] for status, body, _ in answers if status == 409}
    assert codes <= {"idempotency_key_in_flight"}
    with tenant_atomic(api.tenants.scope):
        assert [payment.status for payment in Payment.objects.all()] == ["completed"]
    later = api.post("/v1/payments", body, key="fifty-at-once")
    assert (later.status_code, later["Idempotent-Replayed"]) == (201, "true")
