"""What the ledger books for an intent: one linked set when it is reserved, one when it ends.

Transfer ids derive from the intent's id, so a step that is repeated after a crash books nothing
twice (`exists`).
"""

from __future__ import annotations

import uuid

from core.money import share_bps
from ledger.chart import AccountRef, MerchantBook, TransferCode
from ledger.flags import TransferFlags
from ledger.services import TransferSpec
from payments.intents.models import Intent, Operation
from payments.intents.states import IntentState


def transfer_id(intent: Intent, leg: str) -> uuid.UUID:
    """The id of one leg, derived from the intent's id."""
    return uuid.uuid5(intent.id, leg)


def reservation(intent: Intent) -> list[TransferSpec]:
    """The pending transfer of a payment: the provider will owe us, and we the merchant."""
    book = book_of(intent)
    return [
        _pending(
            intent,
            debit=book.provider_clearing(_account(intent)),
            credit=book.pending,
            code=TransferCode.PAYMENT,
        )
    ]


def refund_reservation(intent: Intent, *, from_available: bool) -> list[TransferSpec]:
    """The pending transfer of a refund, out of where the payment's money is now."""
    book = book_of(intent)
    return [
        _pending(
            intent,
            debit=book.available if from_available else book.pending,
            credit=book.provider_clearing(_account(intent)),
            code=TransferCode.REFUND,
        )
    ]


def legs(intent: Intent, *, before: IntentState) -> list[TransferSpec]:
    """The transfers that belong to the intent's move from `before`; fixes the fee when it settles.

    A settled payment posts the reservation (in part, when less was captured) and takes the fee, in
    the same linked set. The merchant pays one fee; the reseller's share of it moves between two
    accounts that the merchant does not see (ADR 0040).
    """
    if intent.state == before:
        return []
    if intent.state == IntentState.SETTLED:
        return _settlement(intent)
    if intent.state in (IntentState.FAILED, IntentState.CANCELED, IntentState.EXPIRED):
        return [
            TransferSpec(
                id=transfer_id(intent, "void"),
                pending_id=transfer_id(intent, "reserve"),
                flags=TransferFlags.VOID_PENDING,
                document_id=intent.document_id,
            )
        ]
    return []


def book_of(intent: Intent) -> MerchantBook:
    """The accounts that the intent's merchant moves, in its currency and mode."""
    return MerchantBook(
        merchant_id=intent.merchant_id,
        reseller_id=intent.reseller_id,
        currency=intent.currency,
        livemode=intent.livemode,
    )


def _settlement(intent: Intent) -> list[TransferSpec]:
    book = book_of(intent)
    fees: list[tuple[str, AccountRef, AccountRef, int, TransferCode]] = []
    if intent.operation == Operation.PAYMENT:
        intent.fee_minor, intent.reseller_fee_minor = fee_of(intent)
        fees = [
            ("fee", book.pending, book.platform_fee, intent.fee_minor, TransferCode.PLATFORM_FEE),
            (
                "residual",
                book.platform_fee,
                book.reseller_residual,
                intent.reseller_fee_minor,
                TransferCode.RESELLER_RESIDUAL,
            ),
        ]
    due = [fee for fee in fees if fee[3] > 0]
    linked = TransferFlags.LINKED if due else TransferFlags(0)
    transfers = [
        TransferSpec(
            id=transfer_id(intent, "settle"),
            pending_id=transfer_id(intent, "reserve"),
            amount_minor=intent.settled_amount_minor,
            flags=TransferFlags.POST_PENDING | linked,
            document_id=intent.document_id,
        )
    ]
    for index, (leg, debit, credit, amount_minor, code) in enumerate(due):
        last = index == len(due) - 1
        transfers.append(
            TransferSpec(
                id=transfer_id(intent, leg),
                debit=debit,
                credit=credit,
                amount_minor=amount_minor,
                code=code,
                flags=TransferFlags(0) if last else TransferFlags.LINKED,
                document_id=intent.document_id,
            )
        )
    return transfers


def fee_of(intent: Intent) -> tuple[int, int]:
    """The fee on what was captured, and the reseller's part of it; never more than the capture."""
    captured_minor = intent.settled_amount_minor
    fee_minor = min(
        captured_minor, share_bps(captured_minor, intent.fee_bps) + intent.fee_fixed_minor
    )
    return fee_minor, share_bps(fee_minor, intent.reseller_share_bps)


def _pending(
    intent: Intent, *, debit: AccountRef, credit: AccountRef, code: TransferCode
) -> TransferSpec:
    return TransferSpec(
        id=transfer_id(intent, "reserve"),
        debit=debit,
        credit=credit,
        amount_minor=intent.amount_minor,
        code=code,
        flags=TransferFlags.PENDING,
        document_id=intent.document_id,
    )


def _account(intent: Intent) -> uuid.UUID:
    assert intent.provider_account_id is not None
    return intent.provider_account_id
