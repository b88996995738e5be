"""Nothing in a query string, and nothing that a header says of a body, is ignored in silence."""

from __future__ import annotations

import datetime as dt
import gzip
import re
from typing import Any

import orjson
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from core.api.renderers import dump
from core.api.views import ApiView
from tests.api import Api, new_api
from tests.api_fuzz.world import World
from tests.factories import make_tenants

ABSENT = "01kah8q3v5e0trz5b2m8x1c9dn"


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def error_of(answer: Any) -> tuple[int, str, str | None]:
    assert answer.status_code >= 400, answer.content
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def message_of(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("status=completed&status=failed", "status"),
        ("limit=1&limit=2", "limit"),
        ("reference=a&reference=a", "reference"),
    ],
)
def test_a_parameter_stands_once(api: Api, query: str, param: str) -> None:
    answer = api.get(f"/v1/payments?{query}")
    assert error_of(answer) == (400, "parameter_invalid", param)
    assert "commas" in message_of(answer)


def test_expand_takes_several_values_in_one_parameter(api: Api) -> None:
    one = f"/v1/payments/{api.pay(amount=500).json()['data']['id']}"
    assert error_of(api.get(f"{one}?expand=events&expand=ledger")) == (
        400,
        "parameter_invalid",
        "expand",
    )
    shown = api.get(f"{one}?expand=events,ledger").json()["data"]
    assert shown["events"]
    assert shown["ledger"]


@pytest.mark.parametrize("query", ["foo=1", "expand[]=events", "Expand=events", "limit=1"])
def test_a_payment_takes_only_expand(api: Api, query: str) -> None:
    one = api.pay(amount=500).json()["data"]["id"]
    answer = api.get(f"/v1/payments/{one}?{query}")
    assert error_of(answer) == (400, "parameter_unknown", query.partition("=")[0])
    assert "Known: expand" in message_of(answer)


def _routes(resolver: URLResolver, prefix: str = "") -> list[tuple[str, type[ApiView]]]:
    found = []
    for each in resolver.url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            found += _routes(each, path)
        elif isinstance(each, URLPattern):
            view = getattr(each.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, ApiView):
                found.append((path, view))
    return found


def test_no_address_of_the_api_ignores_a_parameter(database: str) -> None:
    world = World()
    ignored, asked = [], 0
    for path, view in _routes(get_resolver()):
        if view.public or not path.startswith("v1/"):
            continue
        address = "/" + re.sub(r"<[^>]*>", "x", path) + "?nobody_knows=1"
        level = "reseller" if "merchants" in path else "merchant"
        for method in view.permissions:
            if getattr(view, "tag", "") == "Intents":
                continue  # signed; the same code
            asked += 1
            answer = world.api.call(method, address, {}, secret=world.person("owner", level))
            if answer.status_code == 403:  # a merchant's key, where no person may
                answer = world.api.call(method, address, {})
            code = answer.json()["error"]["code"] if answer.status_code >= 400 else "none"
            if code != "parameter_unknown":
                ignored.append((method, address, answer.status_code, code))
    assert asked > 30
    assert ignored == []


@pytest.mark.parametrize(
    ("query", "code", "param", "words"),
    [
        ("last4=abcd", "parameter_invalid", "last4", "last four digits"),
        ("last4=42", "parameter_invalid", "last4", "last four digits"),
        ("last4=%D9%A1%D9%A1%D9%A1%D9%A1", "parameter_invalid", "last4", "last four digits"),
        ("currency=ZZZ", "currency_unknown", "currency", "Unknown currency"),
        ("email=jane", "parameter_invalid", "email", "whole e-mail address"),
        (
            "created_from=2026-02-02&created_to=2026-02-01",
            "parameter_invalid",
            "created_from",
            "created_from lies after created_to",
        ),
        ("amount_min=5&amount_max=4", "parameter_invalid", "amount_min", "above amount_max"),
        ("amount_min=-5", "amount_too_small", "amount_min", "amount_min must be 0 or more"),
        (
            "amount_max=1000000000000",
            "amount_too_large",
            "amount_max",
            "amount_max must be 999999999999 at most",
        ),
        ("amount_max=" + "9" * 5_000, "amount_too_large", "amount_max", "999999999999 at most"),
        ("amount_min=1.5", "amount_not_integer", "amount_min", "amount_min must be a whole number"),
        ("amount_min=--5", "amount_not_integer", "amount_min", "amount_min must be a whole number"),
        ("created_from=1969-12-31", "parameter_invalid", "created_from", "1970 to 9998"),
        ("created_to=9999-01-01", "parameter_invalid", "created_to", "1970 to 9998"),
        ("created_to=soon", "parameter_invalid", "created_to", "must be a date"),
        ("created_to=", "parameter_invalid", "created_to", "is empty"),
        ("reference=", "parameter_invalid", "reference", "is empty"),
        (
            "created_from=2026-02-02&created_before=2026-02-02",
            "parameter_invalid",
            "created_from",
            "created_from does not lie before created_before",
        ),
        (
            "created_before=2026-02-03&created_to=2026-02-02",
            "parameter_invalid",
            "created_to",
            "Send created_before alone",
        ),
    ],
)
def test_a_filter_that_matches_nothing_ever_says_so(
    api: Api, query: str, code: str, param: str, words: str
) -> None:
    answer = api.get(f"/v1/payments?{query}")
    assert error_of(answer) == (400, code, param)
    assert words in message_of(answer)


def test_filters_that_fit_find(api: Api) -> None:
    made = api.pay(amount=4_711, reference="fits").json()["data"]["id"]
    today = dt.datetime.now(dt.UTC).date().isoformat()
    for query in (
        "reference=fits&amount_min=004711&amount_max=4711",
        f"reference=fits&created_from={today}&created_to={today}",
        "reference=fits&currency=eur&last4=4242&status=completed,failed",
        "reference=fits&amount_min=-0",
    ):
        items = api.get(f"/v1/payments?{query}").json()["data"]["items"]
        assert [item["id"] for item in items] == [made], query


@pytest.mark.parametrize("place", ["/v1/payments", "/v1/events"])
def test_a_time_that_an_answer_shows_finds_what_shows_it(api: Api, place: str) -> None:
    api.pay(amount=1_000)
    shown = api.get(place).json()["data"]["items"][0]
    at = shown["created_at"]

    def found(query: str) -> list[str]:
        items = api.get(f"{place}?{query}").json()["data"]["items"]
        return [item["id"] for item in items]

    assert shown["id"] in found(f"created_from={at}&created_to={at}")
    assert shown["id"] not in found(f"created_before={at}")
    today, tomorrow = at[:10], str(dt.date.fromisoformat(at[:10]) + dt.timedelta(days=1))
    for span in (f"created_from={today}&created_to={today}", f"created_before={tomorrow}"):
        assert shown["id"] in found(span), span


def test_a_statement_is_asked_by_the_same_times(api: Api) -> None:
    api.pay(amount=500)
    account = api.get("/v1/ledger/accounts").json()["data"]["items"][0]["id"]
    place = f"/v1/ledger/accounts/{account}/statement"
    lines = api.get(place).json()["data"]["items"]
    at = lines[0]["booked_at"]
    assert api.get(f"{place}?from={at}&to={at}").json()["data"]["items"][0] == lines[0]
    assert lines[0] not in api.get(f"{place}?before={at}").json()["data"]["items"]
    today = at[:10]
    assert api.get(f"{place}?from={today}&to={today}").json()["data"]["items"] == lines


@pytest.mark.parametrize(
    ("address", "param"),
    [
        ("/v1/events?created_from=2026-02-02&created_to=2026-02-01", "created_from"),
        ("/v1/customers?email=jane", "email"),
    ],
)
def test_other_lists_say_so_too(api: Api, address: str, param: str) -> None:
    assert error_of(api.get(address)) == (400, "parameter_invalid", param)


def test_a_statement_ends_after_it_begins(api: Api) -> None:
    api.pay(amount=500)
    account = api.get("/v1/ledger/accounts").json()["data"]["items"][0]["id"]
    answer = api.get(f"/v1/ledger/accounts/{account}/statement?from=2026-02-02&to=2026-02-01")
    assert error_of(answer) == (400, "parameter_invalid", "from")


@pytest.mark.parametrize(
    ("path", "param", "prefix"),
    [
        ("/v1/payments", "customer", "cus"),
        ("/v1/refunds", "payment", "pay"),
        ("/v1/payment_methods", "customer", "cus"),
        ("/v1/checkout/sessions", "customer", "cus"),
        ("/v1/ledger/transfers", "account", "acc"),
        ("/v1/webhook_deliveries", "endpoint", "we"),
        ("/v1/webhook_deliveries", "event", "evt"),
    ],
)
def test_an_id_that_names_nothing_is_named_by_its_parameter(
    api: Api, path: str, param: str, prefix: str
) -> None:
    for value in ("xyz", f"{prefix}_{ABSENT}"):
        status, _, named = error_of(api.get(f"{path}?{param}={value}"))
        assert (status, named) == (404, param), value
    assert error_of(api.get("/v1/payments?merchant=xyz"))[::2] == (404, "merchant")


# ---- what headers say of a body -------------------------------------------------------------

BODY = b'{"amount": 100, "currency": "EUR"}'


def sent(api: Api, content_type: str, raw: bytes = BODY, coding: str = "") -> Any:
    return api.client.generic(
        "POST",
        "/v1/payments",
        raw,
        content_type=content_type,
        headers={
            "Authorization": f"Bearer {api.tenants.keys['sk', False]}",
            "Idempotency-Key": f"headers-{content_type}-{coding}",
            **({"Content-Encoding": coding} if coding else {}),
        },
    )


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
def test_a_body_that_says_it_is_no_json_is_not_read_as_json(api: Api, content_type: str) -> None:
    answer = sent(api, content_type)
    assert error_of(answer) == (400, "content_type_unsupported", "Content-Type")
    assert "application/json" in message_of(answer)


@pytest.mark.parametrize(
    "content_type", ["", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_read_with_and_without_its_name(api: Api, content_type: str) -> None:
    assert sent(api, content_type).status_code == 201


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_is_refused_by_name(api: Api, coding: str) -> None:
    answer = sent(api, "application/json", gzip.compress(BODY), coding)
    assert error_of(answer) == (400, "content_encoding_unsupported", "Content-Encoding")
    assert coding in message_of(answer)


def test_identity_is_no_compression(api: Api) -> None:
    answer = sent(api, "application/json", coding="Identity")
    assert answer.status_code == 201


# ---- times ----------------------------------------------------------------------------------

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<fraction>[^Z]*)Z?")


def _times(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [time for each in value.values() for time in _times(each)]
    if isinstance(value, list):
        return [time for each in value for time in _times(each)]
    return [value] if isinstance(value, str) and _TIME.fullmatch(value) else []


def test_every_time_of_the_api_has_milliseconds(database: str) -> None:
    tenants = make_tenants(service_caller=True)
    api = Api(tenants)
    made = api.pay(amount=900).json()["data"]
    account = api.get("/v1/ledger/accounts").json()["data"]["items"][0]["id"]
    seen = []
    for path in (
        f"/v1/payments/{made['id']}?expand=events,attempts,ledger",
        "/v1/ledger/accounts",
        f"/v1/ledger/accounts/{account}/statement",
        "/v1/ledger/transfers",
        "/v1/events",
    ):
        times = _times(api.get(path).json())
        assert len(times) > 1, path
        seen += times
    assert [time for time in seen if not re.fullmatch(r"\S{19}\.\d{3}Z", time)] == []


def test_a_moment_that_nobody_formatted_has_milliseconds_too() -> None:
    moment = dt.datetime(2026, 11, 21, 9, 30, 0, 123456, dt.timezone(dt.timedelta(hours=1)))
    written = orjson.loads(dump({"at": moment, "on": moment.date()}))
    assert written == {"at": "2026-11-21T08:30:00.123Z", "on": "2026-11-21"}
