"""Payments as CSV: exactly the rows of the filter, from one snapshot, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from core import ids
from core.cells import Sheet
from core.money import to_plain
from core.times import iso
from payments.acceptance.models import NET_MINOR
from payments.acceptance.selectors import PaymentFilter, payments
from tenants.models import Merchant

ROWS_A_TRIP: Final = 1_000
HEADER: Final = (
    "id", "created_at", "status", "currency", "amount", "amount_captured", "amount_refunded",
    "amount_disputed", "amount_lost", "dispute_fee", "fee", "net", "available_at", "available",
    "customer", "customer_email", "reference", "description", "card_brand", "last4",
    "failure_code", "channel", "metadata", "merchant", "merchant_name",
)  # fmt: skip


def csv_lines(*, wanted: PaymentFilter) -> Iterator[str]:
    """The file line by line, newest payment first; amounts in major units of their currency.

    One SELECT behind one server-side cursor: PostgreSQL answers it from the snapshot of its start.
    Call it inside the scope; `core.downloads` reads it to its end before anything is sent.
    """
    sheet = Sheet(HEADER)
    yield sheet.first_line
    rows = (
        payments(wanted)
        .order_by("-id")
        .annotate(
            email=Coalesce("customer__email", Value(""), output_field=TextField()),
            brand=Coalesce(KT("card__brand"), Value(""), output_field=TextField()),
            net=NET_MINOR,
        )
        .values_list(
            "id", "created_at", "status", "currency", "amount_minor", "amount_captured_minor",
            "amount_refunded_minor", "amount_disputed_minor", "amount_lost_minor",
            "dispute_fee_minor", "fee_minor", "net", "available_at", "released_at", "customer_id",
            "email", "reference", "description", "brand", "last4", "failure_code", "sales_channel",
            "metadata", "merchant_id",
        )
    )  # fmt: skip
    names: dict[UUID, str] = {}
    sql, params = rows.query.sql_with_params()
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while batch := cursor.fetchmany(ROWS_A_TRIP):
            names = _merchant_names(batch, names)
            yield "".join(sheet.line([*_cells(row), names[row[-1]]]) for row in batch)


def _merchant_names(batch: list[tuple[Any, ...]], known: dict[UUID, str]) -> dict[UUID, str]:
    """The names of the merchants in a batch; whose is remembered from the batch before is kept."""
    wanted = {row[-1] for row in batch}
    missing = wanted - known.keys()
    kept = {merchant_id: known[merchant_id] for merchant_id in wanted - missing}
    if missing:
        found = dict(Merchant.objects.filter(id__in=missing).values_list("id", "name"))
        kept |= {merchant_id: found.get(merchant_id, "") for merchant_id in missing}
    return kept


def _cells(row: tuple[Any, ...]) -> list[str]:
    (
        payment_id, created_at, status, code, amount, captured, refunded, disputed, lost,
        dispute_fee, fee, net, available_at, released_at, customer_id, email, reference,
        description, brand, last4, failure, sales_channel, metadata, merchant_id,
    ) = row  # fmt: skip
    sums = (amount, captured, refunded, disputed, lost, dispute_fee, fee, net)
    amounts = [to_plain(value, code) for value in sums]
    words = [email, reference, description, brand, last4, failure, sales_channel]
    return [
        ids.encode("pay", payment_id),
        iso(created_at),
        status,
        code,
        *amounts,
        iso(available_at) or "",
        "yes" if released_at else "no",
        ids.encode("cus", customer_id) if customer_id else "",
        *words,
        _as_json(metadata),
        ids.encode("mer", merchant_id),
    ]


def _as_json(metadata: Any) -> str:
    """Metadata as the API shows it; from a cursor of our own it arrives as text."""
    found = orjson.loads(metadata) if isinstance(metadata, str) else metadata
    return orjson.dumps(found).decode() if found else ""
