"""Bad input gets a clear answer and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.api import CARD_OK, Api, new_api
from tests.api_fuzz.support import counts, error_of


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


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
    "reference", ["20261130271764", "738902353240694486", "order-20261130-3178552"]
)
def test_an_order_number_is_taken_everywhere(api: Api, reference: str) -> None:
    fields = {"reference": reference, "metadata": {reference: reference}, "description": reference}
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", **fields}, key=reference)
    assert answer.status_code == 201, answer.content
    stored = answer.json()["data"]
    assert {name: stored[name] for name in fields} == fields


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
    (b"{" + _GOOD.encode() + b', "metadata": {"a\\\\\\u0000": "b"}}', "json_invalid"),
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
