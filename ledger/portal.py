"""The balance page and account statements in the portal, with exports that stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, When
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from core import errors, spans
from core.cells import Sheet
from core.db import Scope, tenant_atomic
from core.downloads import download, stream
from core.ids import encode
from core.money import to_plain
from core.pagination import PageRequest
from core.paper import paper_pdf
from core.spans import ALWAYS, Span
from ledger import selectors
from ledger.chart import BY_NAME, UNSEEN_BY_MERCHANTS, TransferCode
from ledger.documents import DocumentName, document_name, documents_named
from ledger.models import Account, Transfer
from ledger.selectors import StatementLine, balances
from ledger.shapes import code_name, line_state
from ledger.statement_filter import EVERY_LINE, StatementFilter
from ledger.statement_paper import PaperLine, statement_data
from tenants import policies
from tenants.models import Level
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest
from tenants.selectors import merchants

PERIODS: Final = (7, 30, 90)
DEFAULT_PERIOD: Final = 30
SHOWN: Final = 200
_MERCHANTS: Final = (BY_NAME["merchant_available"].code, BY_NAME["merchant_pending"].code)
_HEADER: Final = (
    "transfer", "booked_at", "effective_on", "what", "state", "currency", "amount", "balance",
    "document", "reference",
)  # fmt: skip
#: Lines of an export whose document names are looked up at once.
_NAMED_AT_ONCE: Final = 1000
#: A longer statement would take a minute and a gigabyte to set (core/paper.py).
PDF_LINES: Final = 5_000
_NOTES: Final = {
    "Available": "Can be paid out",
    "Pending": "Taken, not yet available",
    "In reserve": "Set aside from what was taken, and released later",
    "Held for disputes": "Until the payers' banks have decided",
}


@portal_view(
    "balance.read", at="balance", name="balance", place=Place("", 40, "Balance", "landmark")
)
def balance_page(request: PortalRequest) -> HttpResponse:
    """Where the money of one currency is, and the last days of it.

    A reseller reads what it has earned before what its merchants have, and the chart is of that.
    """
    seat = request.seat
    is_reseller = seat.level == Level.RESELLER
    standings = balances.standings(actor=request.actor, first=seat.default_currency)
    wanted = request.GET.get("currency", "").upper()
    standing = next((row for row in standings if row.currency == wanted), None)
    standing = standing or next(iter(standings), None)
    context: dict[str, Any] = {"standings": standings, "is_reseller": is_reseller}
    if standing is not None:
        days = request.GET.get("days", "")
        period = int(days) if days in {str(each) for each in PERIODS} else DEFAULT_PERIOD
        codes = (balances.EARNINGS,) if is_reseller else _MERCHANTS
        context |= {
            "currency": standing.currency,
            "standing": standing,
            "figures": [
                (word, standing.by_code[code], _NOTES[word])
                for code, word in balances.WORDS.items()
            ],
            "daily": _daily(request, standing.currency, codes, period),
            "periods": PERIODS,
            "days": period,
        } | _accounts(request, standing.currency)
    return render(request, "ledger/balance.html", context)


def _accounts(request: PortalRequest, currency: str) -> dict[str, Any]:
    """The rows of the table: what is the reader's own first, then by the chart's order."""
    mine_first = Case(When(code=balances.EARNINGS, then=0), default=1)
    found = selectors.accounts_visible(request.actor, currency).order_by(mine_first, "code", "id")
    accounts = list(found[: SHOWN + 1])
    more, accounts = len(accounts) > SHOWN, accounts[:SHOWN]
    names = _merchant_names(request, accounts)
    return {
        "more": more,
        "rows": [(a, _title(a), names.get(_whose(a), ""), _balance(a)) for a in accounts],
    }


@portal_view("ledger.read", at="balance/accounts/<str:account_id>", name="statement")
def statement_page(request: PortalRequest, account_id: str) -> HttpResponse:
    """One account's transfers with the balance after each, newest first."""
    account = selectors.account_get(actor=request.actor, account_id=account_id)
    span, problem = _span(request)
    wanted = _wanted(request)
    page = None
    if not problem:
        try:
            page = selectors.statement_page(
                account=account,
                page=PageRequest.from_query(request.GET.dict()),
                span=span,
                wanted=wanted,
            )
        except errors.InvalidRequest as error:
            problem = error.message
    side = selectors.normal_side(account.code)
    lines = page.items if page else []
    named = documents_named({line.document_id for line in lines if line.document_id})
    rows = [
        {
            "line": line,
            "what": _kind(line.code),
            "document": named.get(line.document_id) if line.document_id else None,
            "state": line_state(line.flags),
            "signed_minor": _signed(line, side),
            "balance_minor": _balance_after(line, side),
            "transfer": encode(Transfer.PREFIX, line.transfer),
        }
        for line in lines
    ]
    context = {
        "account": account,
        "title": _title(account),
        "merchant": _merchant_names(request, [account]).get(_whose(account), ""),
        "balance_minor": _balance(account),
        "page": page,
        "rows": rows,
        "problem": problem,
        "values": {"from": request.GET.get("from", ""), "to": request.GET.get("to", "")},
        "kinds": [("", "Every kind"), *_kinds(request)],
        "kind": wanted.code.name.lower() if wanted.code else "",
        "holds": wanted.holds,
        "filtered": bool(span != ALWAYS or wanted.code),
    }
    return render(request, "ledger/statement.html", context, status=400 if problem else 200)


@portal_view(
    "ledger.read",
    at="balance/accounts/<str:account_id>/statement.<str:kind>",
    name="statement-export",
)
def statement_export(request: PortalRequest, account_id: str, kind: str) -> HttpResponseBase:
    """The filtered statement: CSV is streamed in bounded memory, a PDF is made first and sent."""
    account = selectors.account_get(actor=request.actor, account_id=account_id)
    span, problem = _span(request)
    if problem or kind not in ("csv", "pdf"):
        return HttpResponse(
            problem or "Statements come as csv or pdf.", status=400, content_type="text/plain"
        )
    now, wanted = timezone.now(), _wanted(request)
    filename = f"statement-{account.public_id}-{now:%Y%m%d-%H%M%S}.{kind}"
    if kind == "csv":
        lines = csv_lines(request.scope, account, span, wanted)
        return stream(request, lines, filename=filename, content_type="text/csv; charset=utf-8")
    holder = _holder(request, account)
    pieces = pdf_pieces(request.scope, account, span, wanted, holder=holder, issued_at=now)
    return download(request, pieces, filename=filename, content_type="application/pdf")


def csv_lines(
    scope: Scope,
    account: Account,
    span: Span = ALWAYS,
    wanted: StatementFilter = EVERY_LINE,
) -> Generator[bytes]:
    """The statement oldest first, amounts in major units; opens a scope for each chunk."""
    sheet = Sheet(_HEADER)
    yield sheet.first_line.encode()
    side = selectors.normal_side(account.code)
    lines = selectors.statement_stream(account=account, scope=scope, span=span, wanted=wanted)
    for line, document in _with_documents(scope, lines):
        after = _balance_after(line, side)
        yield sheet.line(
            [
                encode(Transfer.PREFIX, line.transfer),
                line.booked_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                line.effective_on or line.booked_at.date(),
                code_name(line.code),
                line_state(line.flags),
                account.currency,
                to_plain(_signed(line, side), account.currency),
                "" if after is None else to_plain(after, account.currency),
                document_name(line.code, line.document_id) or "",
                document.reference if document else "",
            ]
        ).encode()


def _with_documents(
    scope: Scope, lines: Iterator[StatementLine]
) -> Iterator[tuple[StatementLine, DocumentName | None]]:
    """Each line with the name of its document, looked up for many lines in a scope of its own."""
    while chunk := list(islice(lines, _NAMED_AT_ONCE)):
        wanted = {line.document_id for line in chunk if line.document_id}
        named: dict[UUID, DocumentName] = {}
        if wanted:
            with tenant_atomic(scope):
                named = documents_named(wanted)
        for line in chunk:
            yield line, named.get(line.document_id) if line.document_id else None


def pdf_pieces(
    scope: Scope,
    account: Account,
    span: Span = ALWAYS,
    wanted: StatementFilter = EVERY_LINE,
    *,
    holder: str,
    issued_at: datetime,
) -> Generator[bytes]:
    """The statement as one PDF, oldest line first.

    Raises:
        PayloadTooLarge: it has more lines than one PDF holds.
        PaperNotMade: it could not be set in time.
    """
    side = selectors.normal_side(account.code)
    stream = selectors.statement_stream(account=account, scope=scope, span=span, wanted=wanted)
    found = list(islice(_with_documents(scope, stream), PDF_LINES + 1))
    if len(found) > PDF_LINES:
        raise errors.PayloadTooLarge(
            f"This statement has more than {PDF_LINES:,} lines, too many for one PDF. Narrow the "
            "filter, for example to fewer days, and export the rest after it; or export it as CSV, "
            "which has no limit.",
            code="statement_too_long",
        )
    data = statement_data(
        account=account,
        title=_title(account),
        holder=holder,
        kind=_kind(wanted.code) if wanted.code else "",
        lines=[_paper_line(line, document, side) for line, document in found],
        span=span,
        issued_at=issued_at,
    )
    yield paper_pdf("statement", data)


def _paper_line(line: StatementLine, document: DocumentName | None, side: str) -> PaperLine:
    name = document_name(line.code, line.document_id)
    known = [text for text in (name, document.reference if document else "") if text]
    return PaperLine(
        booked_at=line.booked_at,
        what=_kind(line.code),
        about=" · ".join(known),
        state=line_state(line.flags),
        amount_minor=_signed(line, side),
        balance_minor=_balance_after(line, side),
        posted=line_state(line.flags) == "posted",
    )


def _title(account: Account) -> str:
    """The word for where the money is; of other accounts, the chart's title."""
    if account.code == balances.EARNINGS:
        return "Your earnings"  # only the reseller sees these accounts here
    return balances.WORDS.get(account.code) or selectors.account_title(account)


def _kind(code: int) -> str:
    """What a line is, in words; money that moves on to available has become so."""
    name = code_name(code)
    return "Became available" if name == "available" else name.replace("_", " ").capitalize()


def _kinds(request: PortalRequest) -> list[tuple[str, str]]:
    """The kinds of lines to choose from: shares of a fee for who may see them."""
    hidden = () if policies.can(request.actor, "fee_split.read") else UNSEEN_BY_MERCHANTS
    return [(code.name.lower(), _kind(code)) for code in TransferCode if code not in hidden]


def _wanted(request: PortalRequest) -> StatementFilter:
    """The lines asked for; reservations and their release only with `holds=1`."""
    name = request.GET.get("kind", "").upper()
    code = TransferCode[name] if name in TransferCode.__members__ else None
    return StatementFilter(holds=request.GET.get("holds") == "1", code=code)


def _whose(account: Account) -> UUID | None:
    """The merchant whose business an account is about, though the money may be the reseller's."""
    return account.merchant_id or account.scope_id


def _merchant_names(request: PortalRequest, accounts: list[Account]) -> dict[UUID | None, str]:
    """Whose accounts they are, for those who look at several merchants."""
    if request.actor.merchant_id is not None:
        return {}
    wanted = {whose for a in accounts if (whose := _whose(a))}
    found = merchants(actor=request.actor).filter(id__in=wanted)
    return dict(found.values_list("id", "name"))


def _holder(request: PortalRequest, account: Account) -> str:
    """Whose money it is, and for a reseller's account the merchant whose business it is about."""
    name = _merchant_names(request, [account]).get(_whose(account), "")
    owner = name if name and account.merchant_id else request.seat.tenant_name
    return owner if name in ("", owner) else f"{owner} · {name}"


def _signed(line: StatementLine, side: str) -> int:
    """What the line adds to the posted balance; reservations add nothing but are shown."""
    return line.amount_minor if line.direction == side else -line.amount_minor


def _balance_after(line: StatementLine, side: str) -> int | None:
    """The account's posted balance after the line; null where the account keeps no history."""
    return line.balance.posted(normal_side=side) if line.balance else None


def _balance(account: Account) -> int:
    difference = account.credits_posted - account.debits_posted
    return difference if selectors.normal_side(account.code) == "credit" else -difference


def _daily(
    request: PortalRequest, currency: str, codes: tuple[int, ...], period: int
) -> list[tuple[date, int]]:
    """What these accounts held together, in minor units, at the end of each day (UTC)."""
    today = timezone.now().astimezone(UTC).date()
    days = [today - timedelta(days=period - 1 - i) for i in range(period)]
    ends = [datetime.combine(day + timedelta(days=1), time.min, UTC) for day in days]
    totals = selectors.daily_totals(actor=request.actor, currency=currency, codes=codes, ends=ends)
    return list(zip(days, totals, strict=True))


def _span(request: PortalRequest) -> tuple[Span, str]:
    """The days of the filter, both included; and what is wrong with them."""
    found: list[date | None] = []
    for name, label in (("from", "From"), ("to", "To")):
        raw = request.GET.get(name, "")
        try:
            found.append(spans.read_day(raw) if raw else None)
        except ValueError as error:
            return ALWAYS, f"{label}: {error}"
    span = spans.days(*found)
    return span, "The last day is before the first one." if span.is_empty else ""


__all__ = ["balance_page", "statement_export", "statement_page"]
