"""A conversion: exact to the minor unit, with its rate booked beside it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.db import Scope, tenant_atomic
from core.errors import Conflict, InvalidRequest
from core.ids import new_id
from core.money import currency
from ledger.chart import MerchantBook
from ledger.models import FxConversion, Transfer
from ledger.selectors import balance_now
from ledger.services import LedgerRefused, TransferCode
from ledger.services.fx import FxAccounts, FxDeal, fx_book, fx_transfers
from tests.ledger.test_post import held


def books(sold: str, bought: str, *, live: bool = False) -> tuple[MerchantBook, MerchantBook]:
    merchant, reseller = new_id(), new_id()
    return (
        MerchantBook(merchant, reseller, sold, False),
        MerchantBook(merchant, reseller, bought, live),
    )


def deal(sold: str, bought: str, sold_minor: int, rate: str) -> FxDeal:
    return fx_transfers(
        conversion_id=new_id(),
        accounts=FxAccounts.between(*books(sold, bought)),
        sold_minor=sold_minor,
        rate=Decimal(rate),
    )


@pytest.mark.parametrize(
    ("sold", "bought", "sold_minor", "rate", "bought_minor", "residual_minor"),
    [
        ("USD", "EUR", 10_000, "0.91235", 9_123, 1),  # 91.235: down for the customer, half is up
        ("USD", "EUR", 10_000, "0.912349", 9_123, 0),  # 91.2349
        ("USD", "EUR", 10_000, "0.9123", 9_123, 0),  # exact
        ("USD", "JPY", 10_000, "149.995", 14_999, 1),  # a yen has no minor unit
        ("JPY", "USD", 1, "0.0067", 0, 0),
        ("JPY", "KWD", 1_000, "0.0020567", 2_056, 1),  # from none to three decimals
        ("USD", "USDT", 1, "0.9999999", 9_999, 1),
        ("BTC", "USD", 1, "97531.2468", 0, 0),
    ],
)
def test_what_a_conversion_comes_to(
    sold: str, bought: str, sold_minor: int, rate: str, bought_minor: int, residual_minor: int
) -> None:
    if bought_minor == 0:
        with pytest.raises(InvalidRequest, match="buys nothing"):
            deal(sold, bought, sold_minor, rate)
        return
    found = deal(sold, bought, sold_minor, rate)
    assert (found.bought_minor, found.residual_minor) == (bought_minor, residual_minor)
    amounts = {spec.code: spec.amount_minor for spec in found.transfers}
    assert amounts == {TransferCode.FX_SOLD: sold_minor, TransferCode.FX_BOUGHT: bought_minor} | (
        {TransferCode.FX_RESIDUAL: 1} if residual_minor else {}
    )


@given(
    st.integers(1, 10**12),
    st.decimals(Decimal("0.0001"), Decimal(10_000), places=10),
    st.sampled_from([("USD", "EUR"), ("USD", "JPY"), ("JPY", "KWD"), ("ETH", "USD")]),
)
def test_rounding_is_never_off_by_more_than_half_a_minor_unit(
    sold_minor: int, rate: Decimal, pair: tuple[str, str]
) -> None:
    try:
        found = deal(*pair, sold_minor, str(rate))
    except InvalidRequest:
        return
    shift = currency(pair[1]).exponent - currency(pair[0]).exponent
    exact = Fraction(sold_minor) * Fraction(rate) * Fraction(10) ** shift
    assert 0 <= exact - found.bought_minor < 1
    assert abs(exact - (found.bought_minor + found.residual_minor)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": Decimal(0)}, "more than zero"),
        ({"rate": Decimal("NaN")}, "more than zero"),
        ({"rate": Decimal("0.1234567890123456")}, "at most 15 digits"),
        ({"rate": Decimal(10) ** 15}, "at most 15 digits"),
        ({"sold_minor": 0}, "more than zero"),
        ({"sold_minor": 2**63 - 1, "rate": Decimal(2)}, "more than fits"),
        ({"accounts": FxAccounts.between(*books("USD", "USD"))}, "two currencies"),
    ],
)
def test_what_no_conversion_is(change: dict[str, Any], said: str) -> None:
    given = {
        "conversion_id": new_id(),
        "accounts": FxAccounts.between(*books("USD", "EUR")),
        "sold_minor": 100,
        "rate": Decimal("0.9"),
    }
    with pytest.raises(InvalidRequest, match=said):
        fx_transfers(**(given | change))  # type: ignore[arg-type]


def test_a_float_is_no_rate() -> None:
    with pytest.raises(TypeError):
        fx_transfers(
            conversion_id=new_id(),
            accounts=FxAccounts.between(*books("USD", "EUR")),
            sold_minor=100,
            rate=0.9,  # type: ignore[arg-type]
        )


def booked(
    pair: tuple[MerchantBook, MerchantBook], conversion_id: UUID, sold_minor: int, rate: str
) -> FxConversion:
    with tenant_atomic(Scope.merchant(pair[0].merchant_id)):
        return fx_book(
            conversion_id=conversion_id,
            accounts=FxAccounts.between(*pair),
            sold_minor=sold_minor,
            rate=Decimal(rate),
        )


def test_a_conversion_is_booked_once_with_its_rate(admin_dsn: str) -> None:
    pair, one = books("USD", "EUR"), new_id()
    first = booked(pair, one, 10_000, "0.91235")
    again = booked(pair, one, 10_000, "0.91235")
    assert again.booked_at == first.booked_at
    for sold_minor, rate in ((10_000, "0.912351"), (9_999, "0.91235")):
        with pytest.raises(Conflict, match="other terms"):
            booked(pair, one, sold_minor, rate)

    assert held(pair[1], "available") == (9_123, 0)
    with tenant_atomic(Scope.merchant(pair[0].merchant_id)):
        # The merchant sees its rate and its sides; the residual is the platform's own.
        assert FxConversion.objects.get(id=one).rate == Decimal("0.91235")
        assert Transfer.objects.filter(document_id=one).count() == 2
    with tenant_atomic(Scope.merchant(new_id())):
        assert not FxConversion.objects.filter(id=one).exists()
    with (
        psycopg.connect(admin_dsn, autocommit=True) as conn,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        conn.execute("UPDATE ledger_fxconversion SET rate = 1")


def test_a_conversion_that_is_refused_leaves_no_rate() -> None:
    pair, one = books("USD", "EUR"), new_id()
    accounts = FxAccounts.between(*pair)
    funded = FxAccounts(
        seller=pair[0].reserve,
        position_sold=accounts.position_sold,
        position_bought=accounts.position_bought,
        buyer=accounts.buyer,
        residual=accounts.residual,
    )
    with pytest.raises(LedgerRefused), tenant_atomic(Scope.merchant(pair[0].merchant_id)):
        fx_book(conversion_id=one, accounts=funded, sold_minor=5, rate=Decimal("0.9"))
    with tenant_atomic(Scope.worker()):
        assert not FxConversion.objects.filter(id=one).exists()
        assert balance_now(pair[0].fx_position.id).credits_posted == 0
