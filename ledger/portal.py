"""The balance page and account statements in the portal, with exports that stream."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date

from core import errors
from core.db import Scope
from core.downloads import stream
from core.ids import encode
from core.money import to_major
from core.pagination import PageRequest
from ledger import selectors
from ledger.chart import BY_NAME
from ledger.documents import document_name
from ledger.models import Account, Transfer
from ledger.pdf import pdf_pages
from ledger.selectors import StatementLine
from ledger.serializers import code_name, line_state
from tenants.portal_base import PortalRequest, portal_view
from tenants.selectors import merchants

DAYS: Final = 30
SHOWN: Final = 200
_AVAILABLE: Final = (BY_NAME["merchant_available"].code, BY_NAME["merchant_pending"].code)
_HEADER: Final = (
    "transfer", "booked_at", "effective_on", "what", "state", "currency", "amount", "balance",
    "document",
)  # fmt: skip


@portal_view("balance.read")
def balance_page(request: PortalRequest) -> HttpResponse:
    """Pending, available and reserved money by currency, and the last 30 days of one of them."""
    balances = selectors.balance_by_currency(actor=request.actor)
    currencies = [b.currency for b in balances]
    wanted = request.GET.get("currency", "").upper()
    shown = wanted if wanted in currencies else next(iter(currencies), "")
    found = selectors.accounts_visible(request.actor, shown).order_by("code", "id")
    accounts = list(found[: SHOWN + 1])
    more, accounts = len(accounts) > SHOWN, accounts[:SHOWN]
    names = _merchant_names(request, accounts)
    context = {
        "balances": balances,
        "currency": shown,
        "daily": _daily(request, shown) if shown else [],
        "more": more,
        "rows": [(a, _title(a), names.get(a.merchant_id, ""), _balance(a)) for a in accounts],
        "is_reseller": bool(names),
    }
    return render(request, "ledger/balance.html", context)


@portal_view("ledger.read")
def statement_page(request: PortalRequest, account_id: str) -> HttpResponse:
    """One account's transfers with the balance after each, newest first."""
    account = selectors.account_get(actor=request.actor, account_id=account_id)
    since, until, problem = _span(request)
    page = None
    if not problem:
        try:
            page = selectors.statement_page(
                account=account,
                page=PageRequest.from_query(request.GET.dict()),
                since=since,
                until=until,
            )
        except errors.InvalidRequest as error:
            problem = error.message
    side = selectors.normal_side(account.code)
    rows = [
        {
            "line": line,
            "what": code_name(line.code).replace("_", " ").capitalize(),
            "state": line_state(line.flags),
            "signed_minor": _signed(line, side),
            "balance_minor": _balance_after(line, side),
            "transfer": encode(Transfer.PREFIX, line.transfer),
        }
        for line in (page.items if page else [])
    ]
    context = {
        "account": account,
        "title": _title(account),
        "merchant": _merchant_names(request, [account]).get(account.merchant_id, ""),
        "balance_minor": _balance(account),
        "page": page,
        "rows": rows,
        "problem": problem,
        "values": {"from": request.GET.get("from", ""), "to": request.GET.get("to", "")},
        "filtered": bool(since or until),
    }
    return render(request, "ledger/statement.html", context, status=400 if problem else 200)


@portal_view("ledger.read")
def statement_export(request: PortalRequest, account_id: str, kind: str) -> HttpResponseBase:
    """The filtered statement as CSV or PDF, streamed in bounded memory."""
    account = selectors.account_get(actor=request.actor, account_id=account_id)
    since, until, problem = _span(request)
    if problem or kind not in ("csv", "pdf"):
        return HttpResponse(
            problem or "Statements come as csv or pdf.", status=400, content_type="text/plain"
        )
    write, content_type = {
        "csv": (csv_lines, "text/csv; charset=utf-8"),
        "pdf": (pdf_lines, "application/pdf"),
    }[kind]
    return stream(
        request,
        write(request.scope, account, since, until),
        filename=f"statement-{account.public_id}-{timezone.now():%Y%m%d-%H%M%S}.{kind}",
        content_type=content_type,
    )


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> bytes:
        return text.encode()


def csv_lines(
    scope: Scope, account: Account, since: datetime | None, until: datetime | None
) -> Generator[bytes]:
    """The statement oldest first, amounts in major units; opens a scope for each chunk."""
    writer = csv.writer(_Line())
    yield writer.writerow(_HEADER)
    side = selectors.normal_side(account.code)
    for line in selectors.statement_stream(account=account, scope=scope, since=since, until=until):
        after = _balance_after(line, side)
        yield writer.writerow(
            [
                encode(Transfer.PREFIX, line.transfer),
                line.booked_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                line.effective_on or line.booked_at.date(),
                code_name(line.code),
                line_state(line.flags),
                account.currency,
                to_major(_signed(line, side), account.currency),
                "" if after is None else to_major(after, account.currency),
                document_name(line.code, line.document_id) or "",
            ]
        )


def pdf_lines(
    scope: Scope, account: Account, since: datetime | None, until: datetime | None
) -> Generator[bytes]:
    """The statement as a PDF; opens a scope for each chunk."""
    side = selectors.normal_side(account.code)

    def lines() -> Iterator[str]:
        for line in selectors.statement_stream(
            account=account, scope=scope, since=since, until=until
        ):
            amount = f"{to_major(_signed(line, side), account.currency):,}"
            after = _balance_after(line, side)
            balance = "-" if after is None else f"{to_major(after, account.currency):,}"
            when = line.booked_at.astimezone(UTC)
            yield (
                f"{when:%Y-%m-%d %H:%M:%S}  {code_name(line.code):<20} "
                f"{line_state(line.flags):<9} {amount:>18} {balance:>20}"
            )

    columns = f"{'Booked (UTC)':<19}  {'What':<20} {'State':<9} {'Amount':>18} {'Balance':>20}"
    heading = f"{selectors.account_title(account)} - {account.currency} - {account.public_id}"
    yield from pdf_pages(lines(), heading=heading, columns=columns)


def _title(account: Account) -> str:
    """The line of the chart without its "Merchant, ", which goes without saying on these pages."""
    title = selectors.account_title(account).removeprefix("Merchant, ")
    return title[:1].upper() + title[1:]


def _merchant_names(request: PortalRequest, accounts: list[Account]) -> dict[UUID | None, str]:
    """Whose accounts they are, for those who look at several merchants."""
    if request.actor.merchant_id is not None:
        return {}
    wanted = {a.merchant_id for a in accounts if a.merchant_id}
    found = merchants(actor=request.actor).filter(id__in=wanted)
    return dict(found.values_list("id", "name"))


def _signed(line: StatementLine, side: str) -> int:
    """What the line adds to the posted balance; reservations add nothing but are shown."""
    return line.amount_minor if line.direction == side else -line.amount_minor


def _balance_after(line: StatementLine, side: str) -> int | None:
    """What stood on the account after the line; null where the account keeps no history."""
    return line.balance.posted(normal_side=side) if line.balance else None


def _balance(account: Account) -> int:
    net = account.credits_posted - account.debits_posted
    return net if selectors.normal_side(account.code) == "credit" else -net


def _daily(request: PortalRequest, currency: str) -> list[tuple[date, int]]:
    """Pending and available together, in minor units, at the end of each of the last days (UTC)."""
    today = timezone.now().astimezone(UTC).date()
    days = [today - timedelta(days=DAYS - 1 - i) for i in range(DAYS)]
    ends = [datetime.combine(day + timedelta(days=1), time.min, UTC) for day in days]
    totals = selectors.daily_totals(
        actor=request.actor, currency=currency, codes=_AVAILABLE, ends=ends
    )
    return list(zip(days, totals, strict=True))


def _span(request: PortalRequest) -> tuple[datetime | None, datetime | None, str]:
    """The days of the filter, both included, in UTC; and what is wrong with them."""
    found: list[datetime | None] = []
    for name, label in (("from", "From"), ("to", "To")):
        raw = request.GET.get(name, "")
        try:
            day = parse_date(raw) if raw else None
        except ValueError:
            day = None
        if raw and day is None:
            return None, None, f"{label} must be a day such as 2026-01-31."
        if day is not None and not 1970 <= day.year < 9999:
            return None, None, f"{label} must be a day from 1970 to 9998."
        moment = datetime.combine(day, time.min, UTC) if day else None
        found.append(moment + timedelta(days=1) if moment and name == "to" else moment)
    return found[0], found[1], ""


__all__ = ["balance_page", "statement_export", "statement_page"]
