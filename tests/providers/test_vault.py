"""The sandbox's vault: test cards only, one use, one merchant, and never a number kept."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.db import Scope, ScopeError, tenant_atomic
from core.errors import InvalidRequest
from payments.providers.adapters.sandbox.vault import CardInput, Token, tokenize
from payments.providers.base import ProviderError, SaveMethod
from tests.providers.asking import Payments
from tests.providers.rigs import SandboxRig

NUMBER = "4242424242424242"


def card(**changes: Any) -> CardInput:
    given: dict[str, Any] = {
        "number": NUMBER,
        "exp_month": 12,
        "exp_year": 2034,
        "cvc": "123",
    } | changes
    return CardInput(**given)


def token(merchant_key: str = "m", **changes: Any) -> Token:
    return tokenize(card=card(**changes), merchant_key=merchant_key)


@pytest.fixture
def rig(admin_dsn: str) -> SandboxRig:
    return SandboxRig(admin_dsn)


def tokens_of(rig: SandboxRig, merchant_key: str) -> int:
    return rig.count(
        "select count(*) from providers_sandboxsource where merchant_key = %s", merchant_key
    )


def test_a_token_says_what_may_be_known() -> None:
    made = token(number="3782 822463 10005", cvc="1234", exp_year=34)
    assert made.id.startswith("tok_")
    assert (made.brand, made.last4, made.exp_month, made.exp_year) == ("amex", "0005", 12, 2034)
    left = made.expires_at - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


def test_the_fingerprint_is_the_cards_and_not_the_tokens() -> None:
    first, again = token("a"), token("b", exp_year=2033)
    assert first.fingerprint == again.fingerprint
    assert first.id != again.id
    assert token(number="5555555555554444").fingerprint != first.fingerprint
    assert NUMBER not in first.fingerprint


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"number": "4242424242424241"}, "invalid_number", "card.number"),
        ({"number": "4242"}, "invalid_number", "card.number"),
        ({"number": ""}, "invalid_number", "card.number"),
        ({"number": "４２４２４２４２４２４２４２４２"}, "invalid_number", "card.number"),
        ({"number": "4242424242424242\x00"}, "invalid_number", "card.number"),
        ({"number": "4111111111111111"}, "test_card_required", "card.number"),
        ({"exp_month": 0}, "invalid_expiry_month", "card.exp_month"),
        ({"exp_month": 13}, "invalid_expiry_month", "card.exp_month"),
        ({"exp_year": 2020}, "invalid_expiry_year", "card.exp_year"),
        ({"exp_year": 20}, "invalid_expiry_year", "card.exp_year"),
        ({"exp_year": 2999}, "invalid_expiry_year", "card.exp_year"),
        ({"exp_year": -1}, "invalid_expiry_year", "card.exp_year"),
        ({"cvc": "12"}, "invalid_cvc", "card.cvc"),
        ({"cvc": "1234"}, "invalid_cvc", "card.cvc"),
        ({"cvc": "12a"}, "invalid_cvc", "card.cvc"),
        ({"cvc": ""}, "invalid_cvc", "card.cvc"),
        ({"number": "378282246310005", "cvc": "123"}, "invalid_cvc", "card.cvc"),
    ],
)
def test_what_is_no_test_card_is_refused_and_not_kept(
    rig: SandboxRig, changes: dict[str, Any], code: str, param: str
) -> None:
    merchant_key = secrets.token_hex(8)
    with pytest.raises(InvalidRequest) as refused:
        token(merchant_key, **changes)
    assert (refused.value.code, refused.value.param) == (code, param)
    if changes.get("number"):
        assert changes["number"] not in str(refused.value)
    assert tokens_of(rig, merchant_key) == 0


def test_a_card_is_good_until_its_last_month_ends() -> None:
    today = datetime.now(UTC).date()
    assert token(exp_month=today.month, exp_year=today.year).exp_year == today.year


def test_the_number_and_the_code_are_nowhere(rig: SandboxRig, admin_dsn: str) -> None:
    number, cvc = "5555555555554444", "867"
    made = token(rig.merchant_key, number=number, cvc=cvc)
    rig.adapter.create_payment(Payments(rig).request(source=made.id))
    with psycopg.connect(admin_dsn) as conn:
        names = conn.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'public' and table_name like 'providers\\_%'"
        ).fetchall()
        assert len(names) >= 8
        for (name,) in names:
            rows = conn.execute(f"select t::text from {name} t").fetchall()
            assert not [row for row in rows if number in row[0]]
    assert number not in repr(card(number=number))
    assert cvc not in repr(card(cvc=cvc))


def test_a_token_is_made_in_one_statement_outside_any_transaction() -> None:
    with CaptureQueriesContext(connection) as queries:
        token()
    assert len(queries) == 1
    with pytest.raises(ScopeError), tenant_atomic(Scope.merchant(uuid.uuid4())):
        token()


def test_a_token_is_good_for_one_use(rig: SandboxRig) -> None:
    payments = Payments(rig)
    source = rig.token()
    payments.captured(source=source)
    request = payments.request(source=source)
    with pytest.raises(ProviderError) as refused:
        rig.adapter.create_payment(request)
    assert (refused.value.code, refused.value.permanent) == ("token_already_used", True)
    assert rig.charges(request.reference) == 0


def test_a_token_is_good_for_fifteen_minutes(rig: SandboxRig, settings: Settings) -> None:
    settings.SANDBOX_TOKEN_TTL_S = 0
    request = Payments(rig).request(source=rig.token())
    with pytest.raises(ProviderError) as refused:
        rig.adapter.create_payment(request)
    assert (refused.value.code, refused.value.permanent) == ("token_expired", True)
    assert rig.charges(request.reference) == 0


def test_another_merchants_token_does_not_exist(rig: SandboxRig) -> None:
    foreign = token("somebody else")
    request = Payments(rig).request(source=foreign.id)
    with pytest.raises(ProviderError) as refused:
        rig.adapter.create_payment(request)
    assert refused.value.code == "resource_missing"
    assert rig.charges(request.reference) == 0


def test_another_merchants_saved_card_does_not_exist(rig: SandboxRig, admin_dsn: str) -> None:
    saved = rig.adapter.save_method(
        SaveMethod(
            reference="pm",
            idempotency_key=secrets.token_hex(8),
            token=rig.token(),
            merchant_key=rig.merchant_key,
        )
    )
    other = SandboxRig(admin_dsn)
    request = Payments(other).request(source=saved.method)
    with pytest.raises(ProviderError) as refused:
        other.adapter.create_payment(request)
    assert refused.value.code == "resource_missing"
    assert other.charges(request.reference) == 0


def test_saving_a_card_uses_its_token_up(rig: SandboxRig) -> None:
    made = rig.token()
    request = SaveMethod(
        reference="pm",
        idempotency_key=secrets.token_hex(8),
        token=made,
        merchant_key=rig.merchant_key,
    )
    first = rig.adapter.save_method(request)
    assert rig.adapter.save_method(request) == first
    charge = Payments(rig).request(source=made)
    with pytest.raises(ProviderError) as refused:
        rig.adapter.create_payment(charge)
    assert refused.value.code == "token_already_used"
    assert rig.charges(charge.reference) == 0
