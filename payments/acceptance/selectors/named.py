"""Payments and refunds by name, for pages and exports that know their ids alone."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from core import ids
from ledger.documents import DocumentName
from payments.acceptance.models import Payment, Refund


def payments_named(document_ids: Collection[UUID]) -> dict[UUID, DocumentName]:
    """The names of the payments among these that the scope sees."""
    rows = Payment.objects.filter(id__in=document_ids).values_list("id", "reference")
    return {row: _named(Payment.PREFIX, row, row, reference) for row, reference in rows}


def refunds_named(document_ids: Collection[UUID]) -> dict[UUID, DocumentName]:
    """The names of the refunds among these that the scope sees; the payment's page shows them."""
    rows = Refund.objects.filter(id__in=document_ids).values_list(
        "id", "payment_id", "payment__reference"
    )
    return {
        row: _named(Refund.PREFIX, row, payment_id, reference)
        for row, payment_id, reference in rows
    }


def _named(prefix: str, document_id: UUID, payment_id: UUID, reference: str) -> DocumentName:
    return DocumentName(
        public_id=ids.encode(prefix, document_id),
        url_name="portal:payment",
        url_arg=ids.encode(Payment.PREFIX, payment_id),
        reference=reference,
    )
