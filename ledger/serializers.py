"""The ledger on the wire; also what the OpenAPI document shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from core.ids import encode
from core.times import iso
from ledger.chart import BY_CODE, TransferCode
from ledger.documents import document_name
from ledger.flags import TransferFlags
from ledger.models import Account, Transfer
from ledger.selectors import CurrencyBalance, StatementLine, currency_of, normal_side

_TRANSFER_STATES = ["pending", "posted", "voided", "expired"]
_CODES = {int(code): code.name.lower() for code in TransferCode}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "balance",
            value={"currency": "USD", "pending": 9680, "available": 125000, "reserved": 5000},
        )
    ]
)
class CurrencyBalanceSerializer(serializers.Serializer[Any]):
    """Money of one currency, in minor units."""

    currency = serializers.CharField()
    pending = serializers.IntegerField(help_text="Taken, not yet available.")
    available = serializers.IntegerField(help_text="Can be paid out; negative when owed to us.")
    reserved = serializers.IntegerField(help_text="Held back against disputes.")


class BalanceSerializer(serializers.Serializer[Any]):
    """The balance in every currency that has seen money."""

    object = serializers.CharField(default="balance")
    livemode = serializers.BooleanField()
    balances = CurrencyBalanceSerializer(many=True)


class AccountSerializer(serializers.Serializer[Any]):
    """A ledger account; all amounts in minor units of `currency`."""

    id = serializers.CharField(help_text="`acc_…`")
    object = serializers.CharField(default="ledger_account")
    code = serializers.IntegerField(help_text="Its line in the chart of accounts.")
    type = serializers.CharField(help_text="For example `merchant_pending`.")
    title = serializers.CharField()
    normal_side = serializers.ChoiceField(choices=["debit", "credit"])
    currency = serializers.CharField()
    livemode = serializers.BooleanField()
    balance = serializers.IntegerField(help_text="Posted, positive on the normal side.")
    debits_pending = serializers.IntegerField()
    debits_posted = serializers.IntegerField()
    credits_pending = serializers.IntegerField()
    credits_posted = serializers.IntegerField()
    closed = serializers.BooleanField()
    opened_at = serializers.DateTimeField()


class AccountListSerializer(serializers.Serializer[Any]):
    items = AccountSerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class TransferSerializer(serializers.Serializer[Any]):
    """A movement between two accounts; immutable once booked."""

    id = serializers.CharField(help_text="`trf_…`")
    object = serializers.CharField(default="ledger_transfer")
    debit_account = serializers.CharField()
    credit_account = serializers.CharField()
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    code = serializers.CharField(help_text="Why, for example `payment` or `platform_fee`.")
    state = serializers.ChoiceField(choices=_TRANSFER_STATES)
    pending_transfer = serializers.CharField(allow_null=True, help_text="What it settles.")
    corrects = serializers.CharField(allow_null=True, help_text="The transfer it corrects.")
    document = serializers.CharField(
        allow_null=True,
        help_text="What it belongs to: `pay_…`, `ref_…`, or the UUID of one of the platform's own.",
    )
    effective_on = serializers.DateField()
    livemode = serializers.BooleanField()
    booked_at = serializers.DateTimeField()


class TransferListSerializer(serializers.Serializer[Any]):
    items = TransferSerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class StatementLineSerializer(serializers.Serializer[Any]):
    """One transfer seen from the account, with the account's balance after it."""

    transfer = serializers.CharField()
    direction = serializers.ChoiceField(choices=["debit", "credit"])
    amount = serializers.IntegerField(help_text="Minor units.")
    code = serializers.CharField()
    state = serializers.ChoiceField(choices=["posted", "reserved", "released"])
    counterpart = serializers.CharField()
    document = serializers.CharField(allow_null=True, help_text="As in a transfer.")
    balance = serializers.IntegerField(
        allow_null=True,
        help_text="Posted, after it; positive on the normal side. Null where the account keeps no"
        " history.",
    )
    booked_at = serializers.DateTimeField()
    effective_on = serializers.DateField()


class StatementSerializer(serializers.Serializer[Any]):
    items = StatementLineSerializer(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


def code_name(code: int) -> str:
    return _CODES.get(code, str(code))


def balance_json(balances: list[CurrencyBalance], *, livemode: bool) -> dict[str, Any]:
    return {
        "object": "balance",
        "livemode": livemode,
        "balances": [
            {
                "currency": b.currency,
                "pending": b.pending_minor,
                "available": b.available_minor,
                "reserved": b.reserved_minor,
            }
            for b in balances
        ],
    }


def account_json(account: Account) -> dict[str, Any]:
    line = BY_CODE.get(account.code)
    side = normal_side(account.code)
    net = account.credits_posted - account.debits_posted
    return {
        "id": account.public_id,
        "object": "ledger_account",
        "code": account.code,
        "type": line.name if line else str(account.code),
        "title": line.title if line else account.name,
        "normal_side": side,
        "currency": account.currency,
        "livemode": account.livemode,
        "balance": net if side == "credit" else -net,
        "debits_pending": account.debits_pending,
        "debits_posted": account.debits_posted,
        "credits_pending": account.credits_pending,
        "credits_posted": account.credits_posted,
        "closed": account.closed,
        "opened_at": iso(account.opened_at),
    }


def transfer_json(transfer: Transfer, states: Mapping[UUID, str]) -> dict[str, Any]:
    def name(prefix: str, value: UUID | None) -> str | None:
        return encode(prefix, value) if value else None

    return {
        "id": transfer.public_id,
        "object": "ledger_transfer",
        "debit_account": name(Account.PREFIX, transfer.debit_account_id),
        "credit_account": name(Account.PREFIX, transfer.credit_account_id),
        "amount": transfer.amount,
        "currency": currency_of(transfer.ledger),
        "code": code_name(transfer.code),
        "state": states[transfer.id],
        "pending_transfer": name(Transfer.PREFIX, transfer.pending_id),
        "corrects": name(Transfer.PREFIX, transfer.corrects_id),
        "document": document_name(transfer.code, transfer.document_id),
        "effective_on": (transfer.effective_on or transfer.booked_at.date()).isoformat(),
        "livemode": transfer.ledger % 10 == 1,
        "booked_at": iso(transfer.booked_at),
    }


def statement_json(line: StatementLine, *, side: str) -> dict[str, Any]:
    return {
        "transfer": encode(Transfer.PREFIX, line.transfer),
        "direction": line.direction,
        "amount": line.amount_minor,
        "code": code_name(line.code),
        "state": line_state(line.flags),
        "counterpart": encode(Account.PREFIX, line.counterpart),
        "document": document_name(line.code, line.document_id),
        "balance": line.balance.posted(normal_side=side) if line.balance else None,
        "booked_at": iso(line.booked_at),
        "effective_on": (line.effective_on or line.booked_at.date()).isoformat(),
    }


def line_state(flags: TransferFlags) -> str:
    """What a line does to the balance: a reservation and its release leave what is posted."""
    if flags & TransferFlags.PENDING:
        return "reserved"
    if flags & (TransferFlags.VOID_PENDING | TransferFlags.EXPIRED):
        return "released"
    return "posted"
