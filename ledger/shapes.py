"""The ledger on the wire: balances, accounts, transfers and statement lines; minor units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypedDict
from uuid import UUID

from core.ids import encode, encode_or_none
from core.shapes import (
    Amount,
    Currency,
    Day,
    LaterTime,
    PageOf,
    Time,
    an_id,
    example_id,
    one_of,
    open_list,
    shown,
)
from core.times import iso
from ledger.chart import BY_CODE, TransferCode
from ledger.documents import document_name
from ledger.flags import TransferFlags
from ledger.models import Account, Transfer
from ledger.selectors import CurrencyBalance, StatementLine, currency_of, normal_side

_CODES = {int(code): code.name.lower() for code in TransferCode}
_ACCOUNT = "acc_7nep45zprtasnrgmtepsa1mhsy"
_OTHER_ACCOUNT = "acc_0p4ccnfj2zawfsg6zhxvb1svcq"

TransferCodeName = Annotated[
    str, open_list(_CODES.values(), "Why it was booked.", example="payment")
]
Document = Annotated[
    str | None,
    shown(
        "What it belongs to: `pay_…`, `ref_…`, or the UUID of one of the platform's own.",
        example=example_id("pay"),
    ),
]


class CurrencyBalanceOut(TypedDict):
    """Money of one currency, in minor units."""

    currency: Currency
    pending: Annotated[int, shown("Taken, not yet available.", example=4718)]
    available: Annotated[int, shown("Can be paid out; negative when owed to us.", example=120_050)]
    reserved: Annotated[int, shown("Held back against disputes.")]


class BalanceOut(TypedDict):
    """The balance in every currency that has seen money."""

    object: Literal["balance"]
    livemode: bool
    balances: list[CurrencyBalanceOut]


def balance_out(balances: list[CurrencyBalance], *, livemode: bool) -> BalanceOut:
    """The balance of a merchant in one mode."""
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


class AccountOut(TypedDict):
    """A ledger account; all amounts in minor units of `currency`."""

    id: Annotated[str, an_id("acc"), shown(example=_ACCOUNT)]
    object: Literal["ledger_account"]
    code: Annotated[int, shown("Its line in the chart of accounts.", example=2010)]
    type: Annotated[str, shown("For example `merchant_pending`.", example="merchant_pending")]
    title: Annotated[str, shown(example="Merchant, not yet available")]
    normal_side: Annotated[str, one_of(["debit", "credit"], example="credit")]
    currency: Currency
    livemode: bool
    balance: Annotated[int, shown("Posted, positive on the normal side.", example=4718)]
    debits_pending: int
    debits_posted: Annotated[int, shown(example=172)]
    credits_pending: int
    credits_posted: Annotated[int, shown(example=4890)]
    closed: bool
    opened_at: Time


def account_out(account: Account) -> AccountOut:
    """An account as the API shows it."""
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


class TransferOut(TypedDict):
    """A movement between two accounts; immutable once booked."""

    id: Annotated[str, an_id("trf"), shown(example="trf_5n67r6hxysany83n7p4v7r381t")]
    object: Literal["ledger_transfer"]
    debit_account: Annotated[str, an_id("acc"), shown(example=_OTHER_ACCOUNT)]
    credit_account: Annotated[str, an_id("acc"), shown(example=_ACCOUNT)]
    amount: Amount
    currency: Currency
    code: TransferCodeName
    state: Annotated[str, one_of(["pending", "posted", "voided", "expired"], example="posted")]
    pending_transfer: Annotated[
        str | None, shown("What it settles.", example="trf_7hj8p57zvfb99bmnr3qha10ze6")
    ]
    corrects: Annotated[str | None, shown("The transfer it corrects.")]
    document: Document
    effective_on: Day
    livemode: bool
    booked_at: LaterTime


def transfer_out(transfer: Transfer, states: Mapping[UUID, str]) -> TransferOut:
    """A transfer; `states` holds the state of each, by id."""
    return {
        "id": transfer.public_id,
        "object": "ledger_transfer",
        "debit_account": encode(Account.PREFIX, transfer.debit_account_id),
        "credit_account": encode(Account.PREFIX, transfer.credit_account_id),
        "amount": transfer.amount,
        "currency": currency_of(transfer.ledger),
        "code": code_name(transfer.code),
        "state": states[transfer.id],
        "pending_transfer": encode_or_none(Transfer.PREFIX, transfer.pending_id),
        "corrects": encode_or_none(Transfer.PREFIX, transfer.corrects_id),
        "document": document_name(transfer.code, transfer.document_id),
        "effective_on": (transfer.effective_on or transfer.booked_at.date()).isoformat(),
        "livemode": transfer.ledger % 10 == 1,
        "booked_at": iso(transfer.booked_at),
    }


class StatementLineOut(TypedDict):
    """One transfer seen from the account, with the account's balance after it."""

    transfer: Annotated[str, an_id("trf"), shown(example="trf_6ps4rwdsydarbt913cvsjg0ga7")]
    direction: Annotated[str, one_of(["debit", "credit"], example="debit")]
    amount: Annotated[Amount, shown(example=172)]
    code: Annotated[TransferCodeName, shown(example="platform_fee")]
    state: Annotated[str, one_of(["posted", "reserved", "released"], example="posted")]
    counterpart: Annotated[str, an_id("acc"), shown(example="acc_5c8wf1cp57b8s8k1ahq0nwhcgt")]
    document: Document
    balance: Annotated[
        int | None,
        shown(
            "Posted, after it; positive on the normal side. Null where the account keeps no "
            "history.",
            example=4718,
        ),
    ]
    booked_at: LaterTime
    effective_on: Day


def statement_line_out(line: StatementLine, *, side: str) -> StatementLineOut:
    """A line of the statement of an account with this normal side."""
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


class AccountList(PageOf):
    items: list[AccountOut]


class TransferList(PageOf):
    items: list[TransferOut]


class Statement(PageOf):
    items: list[StatementLineOut]


def code_name(code: int) -> str:
    """The name of a transfer code, such as `platform_fee`."""
    return _CODES.get(code, str(code))


def line_state(flags: TransferFlags) -> str:
    """What a line does to the balance: a reservation and its release leave what is posted."""
    if flags & TransferFlags.PENDING:
        return "reserved"
    if flags & (TransferFlags.VOID_PENDING | TransferFlags.EXPIRED):
        return "released"
    return "posted"
