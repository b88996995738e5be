"""The statement on paper: every line with its balance, and whose it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.db import tenant_atomic
from core.ids import encode, new_id
from core.spans import ALWAYS
from ledger import portal
from ledger.chart import TransferCode
from ledger.models import Account
from ledger.portal import pdf_pieces
from ledger.statement_filter import StatementFilter
from ledger.statement_paper import PaperLine, statement_data
from tests.factories import Tenants, make_tenants
from tests.ledger.test_faces import book_of, fill
from tests.pdf_reading import text_of
from tests.tenants.test_permission_table import browser_for

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LINE = PaperLine(
    booked_at=NOON,
    what="Payment",
    about="pay_1",
    state="posted",
    amount_minor=123_456,
    balance_minor=200_000,
    posted=True,
)
FEE = replace(LINE, what="Platform fee", amount_minor=-3_456, balance_minor=196_544)
HOLD = replace(LINE, state="reserved", amount_minor=500, posted=False)


def printed(*lines: PaperLine, currency: str = "USD", kind: str = "") -> dict[str, Any]:
    return statement_data(
        account=Account(id=new_id(), currency=currency, opened_at=NOON, livemode=True),
        title="Pending",
        holder="Corner Shop",
        kind=kind,
        lines=lines,
        span=ALWAYS,
        issued_at=NOON,
    )


def test_a_line_is_printed_with_the_decimals_of_its_currency() -> None:
    assert printed(LINE)["lines"] == [
        ("2026-01-31 12:00:00", "Payment", "pay_1", "posted", "1,234.56", "2,000.00")
    ]
    assert printed(LINE, currency="JPY")["lines"][0][-2:] == ("123,456", "200,000")
    assert printed(LINE, currency="BTC")["lines"][0][-2:] == ("0.00123456", "0.00200000")


def test_the_figures_lead_from_the_first_balance_to_the_last() -> None:
    assert printed(LINE, FEE)["figures"] == [
        ("Opening balance", "765.44"),
        ("Money in", "1,234.56"),
        ("Money out", "-34.56"),
        ("Closing balance", "1,965.44"),
    ]


def test_a_reservation_moves_no_balance() -> None:
    assert printed(HOLD)["figures"][:2] == [("Opening balance", "2,000.00"), ("Money in", "0.00")]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [((), ""), ((LINE,), "Payment"), ((replace(LINE, balance_minor=None), LINE), "")],
)
def test_figures_that_are_not_known_are_not_printed(
    lines: tuple[PaperLine, ...], kind: str
) -> None:
    assert printed(*lines, kind=kind)["figures"] == []


def test_an_account_without_history_prints_no_balance() -> None:
    assert printed(replace(LINE, balance_minor=None))["lines"][0][-1] == "-"


@pytest.fixture(scope="module")
def t() -> Tenants:
    found = make_tenants(totp=True)
    fill(found)
    return found


def test_the_pdf_names_every_line_with_its_balance(t: Tenants) -> None:
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book_of(t).pending.id)
    pieces = pdf_pieces(t.scope, account, holder="Corner Shop", issued_at=NOON)
    text = text_of(b"".join(pieces))
    for words in (
        "Statement: Pending, USD",
        "Corner Shop",
        account.public_id,
        "posted 100.00 100.00",
        "posted -3.20 96.80",
        "posted -50.00 46.80",
        "46.80",
    ):
        assert words in text


def test_the_pdf_of_one_kind_holds_no_other(t: Tenants) -> None:
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book_of(t).pending.id)
    wanted = StatementFilter(code=TransferCode.PLATFORM_FEE)
    pieces = pdf_pieces(t.scope, account, wanted=wanted, holder="x", issued_at=NOON)
    text = text_of(b"".join(pieces))
    assert "posted -3.20 96.80" in text
    assert "1, Platform fee only" in text
    assert "100.00" not in text


def test_a_merchant_downloads_the_statement_in_its_own_name(t: Tenants) -> None:
    client: Any = browser_for(t, "merchant", "owner")
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}/statement.pdf"
    answer = client.get(address)
    assert answer["Content-Type"] == "application/pdf"
    assert t.merchant.name in text_of(b"".join(answer.streaming_content))


def test_a_statement_that_is_too_long_for_a_pdf_is_refused(
    t: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal, "PDF_LINES", 2)
    client = browser_for(t, "merchant", "owner")
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}/statement.pdf"
    answer = client.get(address)
    assert answer.status_code == 413
    assert "more than 2 lines" in answer.content.decode()
    monkeypatch.setattr(portal, "PDF_LINES", 3)
    second = client.get(address)
    assert second.status_code == 200  # the turn was given back
    second.close()
