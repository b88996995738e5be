"""A merchant sees one fee on every face; how it is shared, the reseller and the platform alone."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from core.db import Scope, tenant_atomic
from ledger.models import Account, Transfer
from payments.intents.models import Intent
from tests.api import Api
from tests.factories import Tenants, make_tenants
from tests.pdf_reading import text_of as pdf_text
from tests.permission_table import TABLE
from tests.portal.support import payments_of, signed_in, take_payment, text_of
from tests.tenants.test_permission_table import path_of

#: 2.9 % and $0.30 are $212.61, of which a fifth is the reseller's: numbers that are nothing else.
PAID = 732_100
FEE, RESELLER = "212.61", "42.52"
#: What no page, answer or file of a merchant may hold.
SPLIT = re.compile(
    r"residual|reseller.?share|share of the fee|reseller.?fee"
    r"|\b42\.52\b|\b4252\b|\b170\.09\b|\b17009\b",
    re.IGNORECASE,
)
#: Addresses that say the same to everyone.
SAME_FOR_ALL = {"v1/openapi.json", "docs", "docs/api", "docs/events", "styleguide"}


@pytest.fixture(scope="module")
def tenants() -> Tenants:
    made = make_tenants(totp=True)
    take_payment(made, amount=PAID)
    return made


def known_ids(tenants: Tenants) -> dict[str, list[str]]:
    """By the name of an address's part, the ids that the merchant has."""
    api = Api(tenants)
    lists = {
        "payment_id": "payments",
        "account_id": "ledger/accounts",
        "transfer_id": "ledger/transfers",
        "event_id": "events",
    }
    found = {
        part: [row["id"] for row in api.get(f"/v1/{path}?limit=100").json()["data"]["items"]]
        for part, path in lists.items()
    }
    assert all(found.values())
    return {**found, "merchant_id": [tenants.merchant.public_id], "kind": ["csv", "pdf"]}


def paths(tenants: Tenants) -> Iterator[str]:
    """Every address with each of the merchant's ids, and the queries that show more."""
    known = known_ids(tenants)
    for route in sorted(set(TABLE) - SAME_FOR_ALL):
        parts = re.findall(r"<\w+:(\w+)>", route)
        if parts and not all(part in known for part in parts):
            yield path_of(route)
            continue
        for values in itertools.product(*(known[part] for part in parts)):
            path = "/" + route
            for part, value in zip(parts, values, strict=True):
                path = re.sub(rf"<\w+:{part}>", value, path)
            yield path
            if route == "v1/payments/<str:payment_id>":
                yield path + "?expand=events,attempts,ledger"
            if "accounts/" in route and not route.startswith("v1"):
                yield path + "?holds=1"
            if route == "v1/ledger/transfers":
                yield from (f"{path}?document={each}" for each in known["payment_id"])


def seen(answer: Any) -> str:
    """What a person or program reads in an answer, addresses and marks of pages included."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    if answer.get("Content-Type", "") == "application/pdf":
        return pdf_text(body)
    return html.unescape(body.decode(errors="replace"))


@pytest.mark.parametrize("who", ["merchant.owner", "merchant.viewer", "key"])
def test_no_face_of_a_merchant_shows_how_its_fee_is_shared(tenants: Tenants, who: str) -> None:
    browser = Api(tenants) if who == "key" else signed_in(tenants, who)
    read, with_fee = 0, set()
    for path in paths(tenants):
        answer = browser.get(path)
        if answer.status_code >= 300:
            continue
        text = seen(answer)
        read += 1
        if FEE in text or FEE.replace(".", "") in text:
            with_fee.add(re.sub(r"\w+_\w{20,}", "…", path))
        found = SPLIT.search(text)
        assert found is None, f"{path} shows {text[found.start() - 80 : found.end() + 40]!r}"
    assert read > 20
    face = (
        {"/v1/payments/…", "/v1/ledger/transfers/…", "/v1/ledger/accounts/…/statement"}
        if who == "key"
        else {"/payments/…", "/balance/accounts/…", "/balance/accounts/…/statement.csv"}
        | {"/balance/accounts/…/statement.pdf", "/payments/export.csv"}
    )
    assert face <= with_fee


def test_the_reseller_and_the_platform_see_the_split_and_the_sums_are_exact(
    tenants: Tenants,
) -> None:
    payment = payments_of(tenants)[0]
    page = text_of(signed_in(tenants, "reseller.owner").get(f"/payments/{payment.public_id}"))
    assert f"Your share of the fee ${RESELLER}" in page
    assert re.search(rf"Platform fee .*\${FEE} .*Reseller residual .*\${RESELLER}", page)
    with tenant_atomic(Scope.staff()):
        moved = {
            row.code: row.amount
            for row in Transfer.objects.filter(document_id=payment.id, code__in=(11, 12))
        }
        fees = Account.objects.get(
            name__startswith=f"platform_fee/{tenants.merchant.id}/", livemode=False
        )
        intent = Intent.objects.get(document_id=payment.id)
    assert moved == {11: 21_261, 12: 4_252}
    assert fees.credits_posted - fees.debits_posted == 17_009
    assert (intent.fee_minor, intent.reseller_fee_minor) == (21_261, 4_252)
