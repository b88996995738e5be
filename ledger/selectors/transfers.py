"""Transfers: the lists of a tenant, a document's journal, and the state of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from core.context import Actor
from core.db import fetch_all
from core.errors import NotFound
from core.ids import decode
from core.pagination import Page, PageRequest
from ledger.flags import TransferFlags
from ledger.models import Account, Transfer
from ledger.selectors.accounts import accounts_visible
from ledger.selectors.cursors import decode_place, decode_timestamp, encode_place, encode_timestamp
from ledger.selectors.statements import BEGINNING, END

_ID_END: Final = UUID(int=2**128 - 1)
_NEWEST: Final = """
SELECT DISTINCT t.booked_at, t.id FROM unnest(%(ids)s::uuid[]) AS a (id), LATERAL (
    (SELECT booked_at, id FROM ledger_transfer
      WHERE debit_account_id = a.id AND booked_at <= %(before)s
        AND (booked_at, id) < (%(before)s, %(before_id)s)
      ORDER BY booked_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT booked_at, id FROM ledger_transfer
      WHERE credit_account_id = a.id AND booked_at <= %(before)s
        AND (booked_at, id) < (%(before)s, %(before_id)s)
      ORDER BY booked_at DESC LIMIT %(limit)s)) t
ORDER BY t.booked_at DESC, t.id DESC LIMIT %(limit)s
"""


def transfers_visible(actor: Actor) -> QuerySet[Transfer]:
    """The transfers that the actor may see, in its mode."""
    rows = Transfer.objects.annotate(mode=F("ledger") % 10).filter(mode=int(actor.livemode))
    if actor.merchant_id is not None:
        rows = rows.filter(merchant_id=actor.merchant_id)
    elif actor.reseller_id is not None:
        rows = rows.filter(reseller_id=actor.reseller_id)
    return rows


def transfers_page(
    *,
    actor: Actor,
    page: PageRequest,
    account: Account | None = None,
    document_id: UUID | None = None,
) -> Page[Transfer]:
    """Transfers that the actor may see: newest first, or a document's in the order of booking.

    Raises:
        InvalidRequest: a cursor that we did not make for such a list.
    """
    if document_id is not None:
        return _of_document(actor, page, account, document_id)
    before = decode_place(page.cursor) if page.cursor else (END, _ID_END)
    found = (
        _newest([account.id], before, page.limit + 1)
        if account is not None
        else _newest_of_all(actor, before, page.limit + 1)
    )
    shown = found[: page.limit]
    # Never joined with the accounts: the other side is often the platform's, which row-level
    # security hides from a merchant, and the join would drop the transfer with it.
    rows = transfers_visible(actor).filter(id__in=[row[1] for row in shown])
    more = len(found) > page.limit
    return Page(
        items=list(rows.order_by("-booked_at", "-id")),
        next_cursor=encode_place(*shown[-1]) if more else None,
    )


def _newest_of_all(
    actor: Actor, before: tuple[datetime, UUID], wanted: int
) -> list[tuple[datetime, UUID]]:
    """The places of the newest transfers on all of the actor's accounts.

    No transfer of an account is later than its `last_booked_at` (after an expiry, or a linked set
    that failed, all are earlier). So the accounts that moved last are looked through first, twice
    as many as transfers are wanted, for each is on two; the others only where these leave a
    doubt. What moved after the page is always among them: only its indexes know what it holds
    below. A page costs about what was paged through so far, not all accounts ever opened.
    """
    accounts = accounts_visible(actor).filter(last_booked_at__isnull=False)
    lasts = accounts.filter(last_booked_at__lt=before[0]).order_by("-last_booked_at")
    edge = lasts.values_list("last_booked_at", flat=True)[2 * wanted - 1 : 2 * wanted]
    since = next((at for at in edge if at is not None), BEGINNING)
    while True:
        ids = accounts.filter(last_booked_at__gte=since).values_list("id", flat=True)
        found = _newest(list(ids), before, wanted)
        reached = found[-1][0] if len(found) == wanted else BEGINNING
        if since <= reached:
            return found
        since = reached


def _newest(
    accounts: list[UUID], before: tuple[datetime, UUID], wanted: int
) -> list[tuple[datetime, UUID]]:
    """When the newest transfers on these accounts before a place were booked, and their ids.

    Each account's two indexes give its newest, and these are merged: no third index on tenants has
    to be kept up with every transfer. Booking times are unique within an account alone, so the id
    decides between accounts.
    """
    return [
        (booked_at, transfer_id)
        for booked_at, transfer_id in fetch_all(
            _NEWEST,
            {"ids": accounts, "before": before[0], "before_id": before[1], "limit": wanted},
        )
    ]


def _of_document(
    actor: Actor, page: PageRequest, account: Account | None, document_id: UUID
) -> Page[Transfer]:
    rows = transfers_visible(actor).filter(document_id=document_id).order_by("timestamp")
    if account is not None:
        rows = rows.filter(Q(debit_account_id=account.id) | Q(credit_account_id=account.id))
    if page.cursor:
        rows = rows.filter(timestamp__gt=decode_timestamp(page.cursor))
    found = list(rows[: page.limit + 1])
    shown = found[: page.limit]
    more = len(found) > page.limit
    return Page(
        items=shown,
        next_cursor=encode_timestamp(shown[-1].timestamp) if more else None,
    )


def transfer_get(*, actor: Actor, transfer_id: str) -> Transfer:
    """One transfer by its public id.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    found = transfers_visible(actor).filter(id=decode(Transfer.PREFIX, transfer_id)).first()
    if found is None:
        raise NotFound(f"There is no transfer {transfer_id}.", code="transfer_missing")
    return found


def journal(document_id: UUID) -> list[Transfer]:
    """All transfers of a document (a payment, a refund, a payout) that the scope sees, in order."""
    return list(Transfer.objects.filter(document_id=document_id).order_by("timestamp"))


def states_of(transfers: Sequence[Transfer]) -> dict[UUID, str]:
    """The state of each: posted, pending, or what became of the pending one."""
    pending = [t.id for t in transfers if t.is_pending]
    ends = dict(
        Transfer.objects.filter(pending_id__in=pending).values_list("pending_id", "flags")
        if pending
        else ()
    )
    return {t.id: _state(TransferFlags(t.flags), ends.get(t.id)) for t in transfers}


def _state(flags: TransferFlags, end: int | None) -> str:
    if flags & TransferFlags.VOID_PENDING:
        return "voided"
    if flags & TransferFlags.EXPIRED:
        return "expired"
    if not flags & TransferFlags.PENDING:
        return "posted"
    if end is None:
        return "pending"
    if end & TransferFlags.POST_PENDING:
        return "posted"
    return "voided" if end & TransferFlags.VOID_PENDING else "expired"
