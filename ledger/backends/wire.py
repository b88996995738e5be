"""Transfers and accounts as the arrays that the SQL functions take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from core.errors import InvalidRequest
from ledger.backends.base import (
    AMOUNT_MAX,
    BATCH_MAX,
    CODE_MAX,
    EFFECTIVE_MIN,
    AccountSpec,
    Result,
    TransferSpec,
)
from ledger.chart import AccountRef, ledger_currency
from ledger.status import BY_NUMBER, TransferStatus

POST_TYPES = (
    "uuid", "uuid", "uuid", "bigint", "int", "int", "int", "uuid", "int", "uuid", "date", "uuid",
)  # fmt: skip
OPEN_TYPES = (
    "uuid", "text", "int", "int", "text", "boolean", "uuid", "uuid", "uuid", "int", "uuid",
)  # fmt: skip

_PLACES_POST = ", ".join(f"%s::{name}[]" for name in POST_TYPES)
_PLACES_OPEN = ", ".join(f"%s::{name}[]" for name in OPEN_TYPES)
POST_SQL = f"ledger_post({_PLACES_POST})"
KNOWN_SQL = f"ledger_known({_PLACES_POST})"
OPEN_SQL = f"ledger_open({_PLACES_OPEN})"


def _column(values: list[Any]) -> list[Any] | None:
    """The column, or null when it holds no value (the function then reads nulls)."""
    return values if any(values) else None


def check_batch(transfers: Sequence[TransferSpec]) -> None:
    """Refuse what no backend can take.

    Raises:
        InvalidRequest: more than a batch holds, or a value beyond its width.
    """
    if len(transfers) > BATCH_MAX:
        raise InvalidRequest(
            f"A batch holds at most {BATCH_MAX} transfers, not {len(transfers)}. Send several.",
            code="batch_too_large",
        )
    for spec in transfers:
        amount = spec.amount_minor
        if amount is not None and not -AMOUNT_MAX <= amount <= AMOUNT_MAX:
            raise InvalidRequest(
                f"The amount of transfer {spec.id} does not fit 64 bits.", code="amount_too_large"
            )
        if not (
            0 <= spec.code <= CODE_MAX
            and 0 <= spec.flags < 2**31
            and 0 <= (spec.ledger_number or 0) < 2**31
            and 0 <= (spec.timeout_s or 0) < 2**31
            and (spec.effective_on is None or spec.effective_on >= EFFECTIVE_MIN)
        ):
            raise InvalidRequest(
                f"A value of transfer {spec.id} does not fit its field: code 0 to {CODE_MAX};"
                " flags, ledger and timeout (seconds) 0 to 2^31 - 1; effective date from"
                f" {EFFECTIVE_MIN} on.",
                code="value_out_of_range",
            )


def transfer_columns(transfers: Sequence[TransferSpec]) -> list[list[Any] | None]:
    """The twelve arrays of `ledger_post`, in its order."""
    return [
        [spec.id for spec in transfers],
        [spec.debit_id for spec in transfers],
        [spec.credit_id for spec in transfers],
        [spec.amount_minor for spec in transfers],
        [spec.ledger_number for spec in transfers],
        [spec.code for spec in transfers],
        _column([int(spec.flags) for spec in transfers]),
        _column([spec.pending_id for spec in transfers]),
        _column([spec.timeout_s for spec in transfers]),
        _column([spec.document_id for spec in transfers]),
        _column([spec.effective_on for spec in transfers]),
        _column([spec.corrects for spec in transfers]),
    ]


def account_columns(accounts: Sequence[AccountRef | AccountSpec]) -> list[list[Any] | None]:
    """The eleven arrays of `ledger_open`, in its order."""

    def of(read: Callable[[AccountRef], UUID | None]) -> list[UUID | None]:
        return [read(a) if isinstance(a, AccountRef) else None for a in accounts]

    flags = [None if a.flags is None else int(a.flags) for a in accounts]
    # A ledger that is none gets its answer from the function, like every other fault.
    modes = [ledger_currency(a.ledger) if a.ledger > 0 else ("", False) for a in accounts]
    return [
        [a.id for a in accounts],
        [a.name for a in accounts],
        [a.code for a in accounts],
        [a.ledger for a in accounts],
        [code for code, _ in modes],
        [live for _, live in modes],
        of(lambda a: a.merchant_id),
        of(lambda a: a.reseller_id),
        of(lambda a: a.scope_id),
        flags if any(f is not None for f in flags) else None,
        _column([a.user_data for a in accounts]),
    ]


def references(transfers: Sequence[TransferSpec]) -> list[AccountRef]:
    """The account references in a batch, once each."""
    found: dict[str, AccountRef] = {}
    for spec in transfers:
        if isinstance(spec.debit, AccountRef):
            found[spec.debit.name] = spec.debit
        if isinstance(spec.credit, AccountRef):
            found[spec.credit.name] = spec.credit
    return list(found.values())


def results(transfers: Sequence[TransferSpec], answer: Sequence[int]) -> list[Result]:
    """What `ledger_post` answered: an amount where it is not negative, else a negated code."""
    created = TransferStatus.CREATED
    return [
        Result(spec.id, created, value) if value >= 0 else Result(spec.id, BY_NUMBER[-value])
        for spec, value in zip(transfers, answer, strict=True)
    ]
