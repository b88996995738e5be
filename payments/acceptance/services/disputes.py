"""What a dispute does to a payment: the amount is held at opening, and goes or comes back.

The status comes from the provider's updates, in the order of when they happened there. Money comes
from the movements on the provider's account alone, where the provider names them in the payment's
currency: what a dispute is over is not what was debited. An update that contradicts what has been
booked corrects it where the rule is plain (a lost dispute that was reinstated and won, and the
reverse); else the payment goes into the exceptions inbox, which also keeps its net from becoming
available.

Evidence, deadlines and the dispute as a document of its own belong to the disputes room; here only
the payment and the books follow the provider's word.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from core.db import Scope, tenant_atomic
from core.events import EventSpec
from core.unit import Writes
from ledger.chart import AccountRef, TransferCode
from ledger.services import TransferSpec, post_or_raise
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment, PaymentEvent
from payments.acceptance.services.recording import PROVIDER, record_payment, save_payment
from payments.intents.bookings import book_of
from payments.intents.models import Intent
from payments.intents.services.exceptions import exception_add
from payments.providers.base import DisputeNotice

#: An inquiry (`warning_…`) moves no money; `prevented` was stopped before it did.
_OPENED: Final = {"needs_response", "under_review"}
_END: Final = {"won": events.PAYMENT_DISPUTE_WON, "lost": events.PAYMENT_DISPUTE_LOST}
_CODES: Final = {"won": TransferCode.DISPUTE_WON, "lost": TransferCode.DISPUTE_LOST}
_STATUS_OF: Final = {event.name: status for status, event in _END.items()}


@dataclass(slots=True)
class _Known:
    """What the payment's history says of one dispute."""

    held_minor: int | None = None
    end: str = ""
    ended_at: dt.datetime | None = None
    ends: int = 0
    movements: set[str] = field(default_factory=set)


def dispute_notice(intent: Intent, notice: DisputeNotice) -> None:
    """Apply a provider's dispute update; repeated and late updates change nothing.

    Raises:
        ValueError: the dispute is of something that is no payment; a person must look at it.
    """
    if intent.document_type != "payment" or intent.document_id is None:
        raise ValueError(
            f"dispute {notice.provider_id} is about {intent.public_id}, which is no payment"
        )
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        payment = lock_payment(intent.document_id)
        doubt = _Dispute(payment, intent, notice).apply()
    if doubt:
        code, message = doubt
        exception_add(intent_id=intent.id, code=code, message=message, actor=PROVIDER)


class _Dispute:
    """One dispute of a locked payment, and the provider's latest word of it."""

    def __init__(self, payment: Payment, intent: Intent, notice: DisputeNotice) -> None:
        self.payment, self.intent, self.notice = payment, intent, notice
        self.book = book_of(intent)
        self.known = _known(payment, notice.provider_id)

    def apply(self) -> tuple[str, str] | None:
        """Book what the notice changes; returns what a person must look at: a code and why."""
        status, known = self.notice.status, self.known
        if status in _END and status == known.end:
            self._charge_fees()
            return None
        if status not in _OPENED and status not in _END:
            return None
        if known.held_minor is None:
            amount_minor = self._withdrawn_minor()
            if amount_minor is None:
                return self._doubt("disputed_in_another_currency", "its amount cannot be held")
            self._open(amount_minor)
        self._charge_fees()
        if status in _END and not known.end:
            self._end(status)
        elif known.end and self._is_later():
            if status not in _END:
                return self._doubt("dispute_reopened", "it had ended, and is open again")
            self._reverse(status)
        return None

    def _is_later(self) -> bool:
        """Whether the notice is of something that happened after the end that was booked."""
        return self.known.ended_at is None or self.notice.occurred_at > self.known.ended_at

    def _withdrawn_minor(self) -> int | None:
        """What the provider took for the dispute; None where nothing says so in our currency."""
        moved = [each for each in self.notice.movements if each.currency == self.intent.currency]
        taken = -sum(min(0, each.amount_minor) for each in moved)
        if taken:
            return taken
        ours = self.notice.currency.upper() == self.intent.currency
        return self.notice.amount_minor if ours else None

    def _open(self, amount_minor: int) -> None:
        self.payment.amount_disputed_minor += amount_minor
        self.known.held_minor = amount_minor
        self._write(
            events.PAYMENT_DISPUTE_OPENED,
            amount_minor,
            debit=self.book.available if self.payment.released_at else self.book.pending,
            credit=self.book.disputes,
            code=TransferCode.DISPUTE_OPENED,
        )

    def _end(self, status: str) -> None:
        # What ends is what was held at opening, whatever amount the last update names.
        held_minor = self.known.held_minor or 0
        self.payment.amount_disputed_minor -= held_minor
        if status == "lost":
            self.payment.amount_lost_minor += held_minor
        self._write(
            _END[status],
            held_minor,
            debit=self.book.disputes,
            credit=self.book.available if status == "won" else self._clearing,
            code=_CODES[status],
        )

    def _reverse(self, status: str) -> None:
        """The provider decided again: what went to the payer comes back, or the reverse."""
        held_minor = self.known.held_minor or 0
        won = status == "won"
        self.payment.amount_lost_minor += -held_minor if won else held_minor
        self._write(
            _END[status],
            held_minor,
            debit=self._clearing if won else self.book.available,
            credit=self.book.available if won else self._clearing,
            code=_CODES[status],
        )

    def _charge_fees(self) -> None:
        """Take each fee that the provider took for the dispute, and give back what it gave back."""
        for each in self.notice.movements:
            if each.id in self.known.movements or each.currency != self.intent.currency:
                continue
            if not each.fee_minor:
                continue
            self.payment.dispute_fee_minor += each.fee_minor
            taken = each.fee_minor > 0
            self._write(
                events.PAYMENT_DISPUTE_FEE,
                abs(each.fee_minor),
                debit=self.book.available if taken else self.book.dispute_fee,
                credit=self.book.dispute_fee if taken else self.book.available,
                code=TransferCode.DISPUTE_FEE,
                movement=each.id,
            )

    @property
    def _clearing(self) -> AccountRef:
        assert self.intent.provider_account_id is not None
        return self.book.provider_clearing(self.intent.provider_account_id)

    def _doubt(self, code: str, why: str) -> tuple[str, str]:
        notice = self.notice
        return code, (
            f"Dispute {notice.provider_id} ({notice.amount_minor} {notice.currency} minor units,"
            f" {notice.status}): {why}. Compare it with the provider's console, book what is"
            " missing as a correction, and note it here."
        )

    def _write(
        self,
        event: EventSpec,
        amount_minor: int,
        *,
        debit: AccountRef,
        credit: AccountRef,
        code: TransferCode,
        movement: str = "",
    ) -> None:
        notice, payment = self.notice, self.payment
        data: dict[str, Any] = {
            "dispute": notice.provider_id, "at": notice.occurred_at.isoformat()
        }  # fmt: skip
        name = f"{event.name}/{movement or notice.provider_id}"
        if movement:
            data["movement"] = movement
        elif self.known.ends > 1:  # ended before in each way: a name of its own for each after it
            name += f"/{self.known.ends}"
        writes = Writes()
        record_payment(
            writes,
            payment,
            event,
            actor=PROVIDER,
            amount_minor=amount_minor,
            message=notice.reason,
            data=data,
        )
        save_payment(
            writes, payment, "amount_disputed_minor", "amount_lost_minor", "dispute_fee_minor"
        )
        writes.flush()
        post_or_raise(
            [
                TransferSpec(
                    id=uuid.uuid5(payment.id, name),
                    debit=debit,
                    credit=credit,
                    amount_minor=amount_minor,
                    code=code,
                    document_id=payment.id,
                )
            ]
        )


def _known(payment: Payment, dispute: str) -> _Known:
    known = _Known()
    rows = PaymentEvent.objects.filter(payment=payment, data__dispute=dispute).order_by("id")
    for row in rows:
        if row.type == events.PAYMENT_DISPUTE_OPENED.name:
            known.held_minor = row.amount_minor or 0
        elif row.type in _STATUS_OF:
            known.end, known.ends = _STATUS_OF[row.type], known.ends + 1
            # An end that an earlier version wrote has our time alone.
            at = row.data.get("at")
            known.ended_at = dt.datetime.fromisoformat(at) if at else row.created_at
        elif "movement" in row.data:
            known.movements.add(row.data["movement"])
    return known
