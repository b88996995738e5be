"""What strangers write into the API: card numbers, addresses, descriptors, nested places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework import serializers

from core.api.fields import StrictSerializer
from core.errors import AppError
from core.hmac_auth import sign_headers
from core.web_address import web_origin
from tests.api import CARD_OK, Api, new_api
from tests.api_fuzz.world import World
from tests.factories import make_tenants

#: Fields that may take a card number, and why it is never kept there.
KEEPS_NOTHING = {
    "CardInputFields.number": "what the vault is for",
    "Login.password": "compared with a digest",
    "Login.otp": "compared with a code or a digest",
    "Refresh.refresh_token": "compared with a digest",
    "ClientSession.client_secret": "compared with a digest",
    "ApiKeyCreate.ip_allowlist": "its service keeps networks alone",
    "Replay.created_from": "read as a time",
    "Replay.created_before": "read as a time",
}
PROBES = (
    CARD_OK,
    "4242 4242 4242 4242",
    "4242_4242_4242_4242",
    f"{CARD_OK}@example.com",
    f"https://shop.example/{CARD_OK}",
)


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def error_of(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def written_fields() -> Iterator[tuple[str, Any]]:
    """Every field of a body, with its serializer's name; lists by their item."""
    import config.urls  # noqa: F401 - imports every room's serializers

    seen, todo = set(), [StrictSerializer]
    while todo:
        for shape in todo.pop().__subclasses__():
            todo.append(shape)
            if shape.__module__.startswith("tests.") or shape in seen:
                continue
            seen.add(shape)
            for name, field in shape().fields.items():
                while isinstance(field, serializers.ListField):
                    field = field.child
                if not isinstance(field, serializers.Serializer):
                    yield f"{shape.__name__}.{name}", field


@pytest.mark.usefixtures("database")
def test_no_field_of_any_body_takes_a_card_number() -> None:
    taken, looked_at = set(), 0
    for name, field in written_fields():
        looked_at += 1
        for probe in PROBES:
            try:
                field.run_validation(probe)
            except (serializers.ValidationError, AppError):
                continue
            taken.add(name)
    assert looked_at > 50
    assert taken == set(KEEPS_NOTHING)


@pytest.mark.parametrize(
    ("path", "body", "param", "level"),
    [
        ("/v1/api_keys", {"name": f"key {CARD_OK}"}, "name", "merchant"),
        (
            "/v1/merchants",
            {"name": CARD_OK, "country": "US", "default_currency": "USD"},
            "name",
            "reseller",
        ),
        (
            "/v1/webhook_endpoints",
            {"url": f"https://93.184.216.34/{CARD_OK}", "events": ["*"]},
            "url",
            "",
        ),
        (
            "/v1/webhook_endpoints",
            {"url": "https://93.184.216.34/%34242424242424242", "events": ["*"]},
            "url",
            "",
        ),
    ],
)
def test_a_card_number_is_refused_over_the_wire(
    path: str, body: dict[str, Any], param: str, level: str, world: World
) -> None:
    secret = world.person("owner", level) if level else ""
    answer = world.api.post(path, body, secret=secret)
    assert error_of(answer) == (400, "card_number_refused", param)
    assert b"4242" not in answer.content


@pytest.fixture(scope="module")
def world(database: str) -> World:
    return World()


def test_a_card_number_is_found_behind_percent_signs(api: Api) -> None:
    address = "https://shop.example/%34242424242424242"
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "return_url": address})
    assert error_of(answer) == (400, "card_number_refused", "return_url")


def test_a_tag_of_an_intent_is_no_card_number(database: str) -> None:
    tenants = make_tenants(service_caller=True)
    body = {
        "merchant": tenants.merchant.public_id,
        "operation": "payment",
        "amount": 100,
        "currency": "EUR",
        "payment_method_token": Api(tenants).token(),
        "metadata": {"tags": [CARD_OK]},
    }
    raw = json.dumps(body).encode()
    headers = sign_headers(
        key_id=tenants.service_key_id,
        secret=tenants.service_secret.encode(),
        method="POST",
        url="http://testserver/v1/intents",
        body=raw,
        content_type="application/json",
        idempotency_key="card-in-a-tag",
    )
    answer = Client().post(
        "/v1/intents",
        raw,
        content_type="application/json",
        headers={**headers, "Idempotency-Key": "card-in-a-tag"},
    )
    assert error_of(answer) == (400, "card_number_refused", "metadata.tags")


def test_an_allow_list_holds_networks_alone(world: World) -> None:
    answer = world.api.post(
        "/v1/api_keys", {"name": "n", "ip_allowlist": [CARD_OK]}, secret=world.person("owner")
    )
    assert error_of(answer) == (400, "network_invalid", "ip_allowlist")


# ---- addresses ------------------------------------------------------------------------------

UNUSABLE = [
    ("https://bücher.example/", "xn--"),
    ("https://user@shop.example/", "user name"),
    ("https://user:pw@shop.example/", "user name"),
    ("https://shop.example/a b", "spaces"),
    (" https://shop.example/", "spaces"),
    ("https://shop.example/\u00a0", "spaces"),
    ("https://a;script-src *", "spaces"),
    ("https://a;script-src/", "host"),
    ("https://-a.example/", "host"),
    ("https://a..example/", "host"),
    ("https://a_b.example/", "host"),
    ("https://1.2.3/", "host"),
    ("https://1.2.3.999/", "host"),
    ("https://[::g]/", "host"),
    ("https://[fe80::1%25eth0]/", "host"),
    ("https://" + "a" * 64 + ".example/", "host"),
    ("https://shop.example:0/", "port"),
    ("https://shop.example:65536/", "port"),
    ("https://shop.example:/", "host"),
    ("https://shop.example\\@evil.example/", "user name"),
    ("ftp://shop.example/", "https:// or http://"),
    ("javascript:alert(1)", "https:// or http://"),
    ("//shop.example/", "https:// or http://"),
    ("https:///path", "https:// or http://"),
    ("https://shop.example/" + "a" * 500, "500"),
    (5, "https:// or http://"),
]


@pytest.mark.parametrize(("address", "why"), UNUSABLE, ids=[str(u)[:30] for u, _ in UNUSABLE])
def test_a_way_back_that_no_browser_can_take_is_refused(api: Api, address: Any, why: str) -> None:
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "return_url": address})
    assert error_of(answer) == (400, "url_invalid", "return_url")
    assert why in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://shop.example/back?order=1#paid", "https://shop.example"),
        ("http://localhost:8000/back", "http://localhost:8000"),
        ("https://xn--bcher-kva.example./", "https://xn--bcher-kva.example."),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://192.0.2.1/größe", "https://192.0.2.1"),
        ("https://shop.example", "https://shop.example"),
    ],
)
def test_a_way_back_that_works_is_taken(api: Api, address: str, origin: str) -> None:
    assert web_origin(address) == origin
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "return_url": address})
    assert answer.status_code == 201, answer.content
    assert answer.json()["data"]["return_url"] == address


# ---- texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/checkout/sessions"])
@pytest.mark.parametrize(
    "descriptor", ["<script>", "日本", "123456", "O'NEIL", 'A"B', "A*B", "A\\B", "A\tB", "Ä"]
)
def test_a_descriptor_that_no_bank_prints_is_refused(api: Api, path: str, descriptor: str) -> None:
    answer = api.post(path, {"amount": 100, "currency": "EUR", "statement_descriptor": descriptor})
    assert error_of(answer) == (400, "parameter_invalid", "statement_descriptor")


@pytest.mark.parametrize("descriptor", ["ACME STORES, #42", "A", "", "24/7 & CO. (NYC) +1=?[]~"])
def test_a_descriptor_that_banks_print_is_taken(api: Api, descriptor: str) -> None:
    body = {"amount": 100, "currency": "EUR", "statement_descriptor": descriptor[:22]}
    assert api.post("/v1/payments", body).status_code == 201


@pytest.mark.parametrize("text", ["a\x07b", "a\x1b[31mb", "a\x7fb", "a\x85b"])
def test_control_characters_are_no_text(api: Api, text: str) -> None:
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "description": text})
    assert error_of(answer) == (400, "parameter_invalid", "description")


def test_lines_and_tabs_are_text(api: Api) -> None:
    text = "one\ttwo\r\nthree"
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "description": text})
    assert answer.json()["data"]["description"] == text


def test_a_key_of_metadata_has_a_name(api: Api) -> None:
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR", "metadata": {"": "x"}})
    assert error_of(answer) == (400, "metadata_invalid", "metadata")


def test_an_unknown_nested_field_is_named_by_its_path(api: Api) -> None:
    card = {"number": CARD_OK, "exp_month": 12, "exp_year": 2034, "cvc": "123", "name": "J"}
    answer = api.post("/v1/tokens", {"card": card}, secret=api.tenants.keys["pk", False])
    assert error_of(answer) == (400, "parameter_unknown", "card.name")
