"""What the ledger holds of a payment: its transfers and those of its refunds."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.ids import encode
from ledger.chart import MerchantBook, TransferCode
from ledger.flags import TransferFlags
from ledger.models import Transfer
from payments.acceptance.models import Payment
from payments.acceptance.shapes import LedgerLineOut
from payments.intents.models import Intent

_RESOLVING = TransferFlags.POST_PENDING | TransferFlags.VOID_PENDING | TransferFlags.EXPIRED


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One movement: which account was debited, which credited; minor units.

    `state` is posted, pending, voided or expired. A reservation that was posted shows as the
    posting alone, so that the lines add up to the balances in the books.
    """

    id: UUID
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str
    code: str
    state: str
    booked_at: object


def ledger_line_out(line: LedgerLine) -> LedgerLineOut:
    """A ledger line, with `expand=ledger`."""
    return {
        "id": encode(Transfer.PREFIX, line.id),
        "debit_account": line.debit_account,
        "credit_account": line.credit_account,
        "amount": line.amount_minor,
        "currency": line.currency,
        "code": line.code,
        "state": line.state,
    }


def payment_ledger(payment: Payment) -> list[LedgerLine]:
    """The ledger lines of a payment and its refunds, in the order of booking."""
    documents = [payment.id, *payment.refunds.values_list("id", flat=True)]
    transfers = list(Transfer.objects.filter(document_id__in=documents).order_by("timestamp"))
    accounts = _account_names(payment)
    resolved: dict[UUID, str] = {}
    for transfer in transfers:
        if transfer.pending_id is not None and transfer.flags & _RESOLVING:
            resolved[transfer.pending_id] = _resolution(transfer)
    lines = []
    for transfer in transfers:
        state = _state(transfer, resolved)
        if state is not None:
            lines.append(
                LedgerLine(
                    id=transfer.id,
                    debit_account=accounts.get(transfer.debit_account_id, "other"),
                    credit_account=accounts.get(transfer.credit_account_id, "other"),
                    amount_minor=transfer.amount,
                    currency=payment.currency,
                    code=TransferCode(transfer.code).name.lower(),
                    state=state,
                    booked_at=transfer.booked_at,
                )
            )
    return lines


def _resolution(transfer: Transfer) -> str:
    if transfer.flags & TransferFlags.POST_PENDING:
        return "posted"
    return "expired" if transfer.flags & TransferFlags.EXPIRED else "voided"


def _state(transfer: Transfer, resolved: dict[UUID, str]) -> str | None:
    if transfer.flags & TransferFlags.PENDING:
        became = resolved.get(transfer.id, "pending")
        return None if became == "posted" else became
    if transfer.flags & (TransferFlags.VOID_PENDING | TransferFlags.EXPIRED):
        return None
    return "posted"


def _account_names(payment: Payment) -> dict[UUID, str]:
    """Ids are derived from names, so the accounts need not be read (nor be visible) to be named."""
    book = MerchantBook(
        merchant_id=payment.merchant_id,
        reseller_id=payment.reseller_id,
        currency=payment.currency,
        livemode=payment.livemode,
    )
    names = {
        "merchant_pending": book.pending,
        "merchant_available": book.available,
        "merchant_reserve": book.reserve,
        "platform_fee": book.platform_fee,
        "reseller_residual": book.reseller_residual,
        "disputes": book.disputes,
        "dispute_fee": book.dispute_fee,
        "dispute_loss": book.dispute_loss,
    }
    found = {ref.id: name for name, ref in names.items()}
    attempts = Intent.objects.filter(document_id=payment.id, document_type="payment")
    for account_id in attempts.values_list("provider_account_id", flat=True):
        if account_id is not None:
            found[book.provider_clearing(account_id).id] = "provider_clearing"
    return found
