"""Views: list, export, one payment, and what can be done to it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from core import errors, ids
from core.db import tenant_atomic
from core.downloads import download
from core.idempotency import Answer, Claim, is_duplicate_claim
from core.money import format_money, to_plain
from core.pagination import PageRequest, paginate
from payments.acceptance import selectors
from payments.acceptance.models import Payment, Refund
from payments.acceptance.portal.export import csv_lines
from payments.acceptance.portal.filters import TABS, parse_major, read_filters
from payments.acceptance.portal.reasons import REFUND_REASONS, open_disputes, refund_reason
from payments.acceptance.portal.timeline import timeline
from payments.acceptance.services.payments import payment_cancel, payment_capture
from payments.acceptance.services.refunds import refund_create
from payments.acceptance.states import PaymentStatus, RefundStatus
from tenants import selectors as tenants
from tenants.models import Level, Merchant
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest

MERCHANTS_OFFERED: Final = 200


# ---- list and export ------------------------------------------------------------------------


@portal_view(
    "payments.read", at="payments", name="payments", place=Place("", 30, "Payments", "credit-card")
)
def payments_page(request: PortalRequest) -> HttpResponse:
    """The payments of the seat's tenant and mode, filtered, newest first."""
    form = read_filters(request.GET, request.seat, merchant_finder(request))
    if found := _pointed_at(request, form.values):
        return redirect("portal:payment", payment_id=found)
    page = None
    if not form.problems:
        rows = selectors.payments(form.wanted).select_related("customer")
        try:
            page = paginate(rows, PageRequest.from_query(request.GET.dict()))
        except errors.InvalidRequest as error:
            form.problems["page"] = error.message
    shown = page.items if page is not None else []
    context = {
        "form": form,
        "values": form.values,
        "page": page,
        "rows": [(payment, selectors.shown_state(payment)) for payment in shown],
        "tabs": TABS,
        "merchants": merchant_names(request, shown),
        "is_reseller": request.seat.level == Level.RESELLER,
        "offered_merchants": SimpleLazyObject(lambda: offered_merchants(request)),
        "currency": form.values["currency"].upper() or request.seat.default_currency or "USD",
        "first_page": not request.GET.get("cursor"),
    }
    return render(request, "acceptance/payments.html", context)


def _pointed_at(request: PortalRequest, values: dict[str, str]) -> str | None:
    """The payment whose whole ID, or whose refund's, is all that was searched for."""
    if {name for name, value in values.items() if value} != {"q"}:
        return None
    livemode = request.seat.livemode
    with contextlib.suppress(errors.NotFound):
        payment_id = ids.decode(Payment.PREFIX, values["q"])
        return selectors.payment_get(payment_id=payment_id, livemode=livemode).public_id
    with contextlib.suppress(errors.NotFound):
        refund_id = ids.decode(Refund.PREFIX, values["q"])
        refund = selectors.refund_get(refund_id=refund_id, livemode=livemode)
        return ids.encode(Payment.PREFIX, refund.payment_id)
    return None


def merchant_finder(request: PortalRequest) -> Callable[[str], Merchant] | None:
    """How the name or id of a merchant in the filter is understood; None where there is but one."""
    if request.seat.level != Level.RESELLER:
        return None

    def find(text: str) -> Merchant:
        rows = tenants.merchants(actor=request.actor)
        with contextlib.suppress(errors.NotFound):
            rows = rows.filter(id=ids.decode(Merchant.PREFIX, text))
            text = ""
        # The whole name before a part of it: "Café" is found beside "Café Nord".
        found = [*rows.filter(name__iexact=text)[:2]] if text else []
        found = found or [*rows.filter(name__icontains=text)[:2]]
        if not found:
            raise errors.InvalidRequest("None of your merchants is called so.")
        if len(found) > 1:
            raise errors.InvalidRequest(
                "Several of your merchants fit. Enter the whole name, or the merchant's ID."
            )
        return found[0]

    return find


def offered_merchants(request: PortalRequest) -> list[str]:
    """Names to choose from in the filter, in the alphabet's order; longer lists are typed into."""
    if "merchants.read" not in request.actor.scopes:
        return []
    rows = tenants.merchants(actor=request.actor).order_by("name")
    return list(rows.values_list("name", flat=True)[:MERCHANTS_OFFERED])


def merchant_names(request: PortalRequest, payments: list[Payment]) -> dict[UUID, str]:
    """Names of the merchants in a list; a reseller sees payments of many."""
    if request.seat.level != Level.RESELLER:
        return {}
    wanted = {payment.merchant_id for payment in payments}
    return dict(Merchant.objects.filter(id__in=wanted).values_list("id", "name"))


@portal_view("payments.export", at="payments/export.csv", name="payments-export")
def payments_export(request: PortalRequest) -> HttpResponseBase:
    """The filtered payments as a CSV file."""
    form = read_filters(request.GET, request.seat, merchant_finder(request))
    if form.problems:
        return HttpResponse(
            "The filter could not be read, so nothing was exported: "
            + " ".join(form.problems.values()),
            status=400,
            content_type="text/plain; charset=utf-8",
        )
    mode = "live" if request.seat.livemode else "test"
    name = f"payments-{mode}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    return download(
        request,
        csv_lines(wanted=form.wanted),
        filename=name,
        content_type="text/csv; charset=utf-8",
    )


# ---- one payment ----------------------------------------------------------------------------


def _payment(request: PortalRequest, payment_id: str) -> Payment:
    return selectors.payment_get(
        payment_id=ids.decode(Payment.PREFIX, payment_id), livemode=request.seat.livemode
    )


def _context(request: PortalRequest, payment: Payment, **more: Any) -> dict[str, Any]:
    """Everything on the page of one payment; needs an open scope."""
    scopes = request.actor.scopes
    left = selectors.payment_refundable(payment).left_minor
    completed = payment.status == "completed"
    open_states = {"pending", "requires_action"}
    attempts = selectors.payment_attempts(payment_id=payment.id)
    counted = next((row for row in attempts if row.id == payment.intent_id), None)
    events = selectors.payment_events(payment_id=payment.id)
    refunds = selectors.refunds(livemode=payment.livemode, payment_id=payment.id).order_by("-id")
    return {
        "payment": payment,
        "state": selectors.shown_state(payment),
        "timeline": timeline(events, payment.currency),
        "disputes": open_disputes(events),
        "refunds": [(refund, refund_reason(refund.reason)) for refund in refunds],
        "attempts": attempts,
        "ledger": selectors.payment_ledger(payment) if "ledger.read" in scopes else [],
        "fee_rule": counted,
        "residual_minor": counted.reseller_fee_minor
        if counted is not None and "fee_split.read" in scopes
        else None,
        "merchant_name": merchant_names(request, [payment]).get(payment.merchant_id, ""),
        "left_minor": left,
        "refund_hint": f"At most {format_money(left, payment.currency)}, all that is left.",
        "left_major": to_plain(left, payment.currency),
        "capturable_major": to_plain(payment.amount_capturable_minor, payment.currency),
        "may_refund": completed and left > 0 and "payments.refund" in scopes,
        "may_capture": payment.amount_capturable_minor > 0 and "payments.capture" in scopes,
        "may_cancel": (payment.status in open_states or payment.amount_capturable_minor > 0)
        and "payments.cancel" in scopes,
        "reasons": REFUND_REASONS,
        "nonce": secrets.token_urlsafe(18),
        **more,
    }


@portal_view("payments.read", at="payments/<str:payment_id>", name="payment")
def payment_page(request: PortalRequest, payment_id: str) -> HttpResponse:
    """One payment: what happened, what it cost, where the money is."""
    payment = _payment(request, payment_id)
    return render(request, "acceptance/payment.html", _context(request, payment))


def _again(
    request: PortalRequest, payment_id: str, dialog: str, error: str, *, status: int = 400
) -> HttpResponse:
    """The page with one of its dialogs open and what was wrong in it."""
    with tenant_atomic(request.scope):
        payment = _payment(request, payment_id)
        context = _context(request, payment, open_dialog=dialog, problem=error, typed=request.POST)
        return render(request, "acceptance/payment.html", context, status=status)


def _asked_amount(
    request: PortalRequest, payment: Payment, most_minor: int, *, held_minor: int = 0
) -> int:
    """The amount in the form, in minor units.

    Raises:
        InvalidRequest: not an amount of this currency, zero, or above `most_minor`; the words name
            what disputes hold where that is why.
    """
    amount_minor = parse_major(request.POST.get("amount", ""), payment.currency)
    why = ""
    if held_minor:
        held = format_money(held_minor, payment.currency)
        why = f" {held} is disputed, or was lost to a dispute, and cannot be refunded as well."
    if most_minor == 0:
        raise errors.InvalidRequest(f"Nothing of this payment is left.{why}")
    if amount_minor == 0:
        raise errors.InvalidRequest("Enter an amount above zero.")
    if amount_minor > most_minor:
        most = format_money(most_minor, payment.currency)
        raise errors.InvalidRequest(f"At most {most} is left. Enter that or less.{why}")
    return amount_minor


def _read(request: PortalRequest, payment_id: str) -> Payment:
    with tenant_atomic(request.scope):
        return _payment(request, payment_id)


@portal_view(
    "payments.refund",
    at="payments/<str:payment_id>/refund",
    name="payment-refund",
    form_of="payment",
    levels=(Level.MERCHANT,),
)
def refund_submit(request: PortalRequest, payment_id: str) -> HttpResponse:
    """Refund in part or whole. The form's nonce makes a doubled click one refund."""
    payment = _read(request, payment_id)
    reason = request.POST.get("reason", "")
    if reason not in dict(REFUND_REASONS):
        reason = ""
    claim = _claim(request, f"{request.POST.get('amount')}|{reason}")
    try:
        refund_id = _refund_of(claim.previous())
        if refund_id is None:
            refundable = _refundable(request, payment)
            refund_id = refund_create(
                payment_id=payment.id,
                merchant_id=payment.merchant_id,
                actor=request.actor,
                amount_minor=_asked_amount(
                    request, payment, refundable.left_minor, held_minor=refundable.held_minor
                ),
                reason=reason,
                claim=claim,
            ).id
    except IntegrityError as error:
        if not is_duplicate_claim(error):
            raise
        refund_id = None  # the other click is making it
    except errors.NotFound:
        raise
    except errors.AppError as error:
        return _again(request, payment_id, "refund", error.message, status=error.status)
    _tell_refund(request, payment, refund_id)
    return redirect("portal:payment", payment_id=payment_id)


def _refundable(request: PortalRequest, payment: Payment) -> selectors.Refundable:
    with tenant_atomic(request.scope):
        return selectors.payment_refundable(payment)


def _refund_of(earlier: Answer | UUID | None) -> UUID | None:
    """The refund that an earlier click on the same form made, or was making when it died."""
    if isinstance(earlier, Answer):
        return ids.decode(Refund.PREFIX, earlier.body.decode())
    return earlier


def _tell_refund(request: PortalRequest, payment: Payment, refund_id: UUID | None) -> None:
    """Show what became of a refund, as the books have it now."""
    refund = None
    if refund_id is not None:
        with tenant_atomic(request.scope):
            refund = selectors.refund_get(refund_id=refund_id, livemode=payment.livemode)
    if refund is not None and refund.status == RefundStatus.COMPLETED:
        messages.success(request, "The refund is on its way to the customer.")
    elif refund is not None and refund.status == RefundStatus.FAILED:
        reason = refund.failure_message or "The provider refused it."
        messages.error(request, f"Nothing was refunded. {reason}")
    else:
        messages.success(request, "The refund was requested. This page shows when it is done.")


def _claim(request: PortalRequest, content: str) -> Claim:
    nonce = request.POST.get("nonce", "")[:64] or secrets.token_urlsafe(18)
    key = "".join(letter for letter in nonce if letter.isascii() and letter.isprintable())
    return Claim(
        actor=request.actor,
        key=f"portal-{key}",
        request=("POST", request.path, content.encode()),
        render=lambda refund: (200, refund.public_id.encode()),
    )


def _act(
    request: PortalRequest,
    payment_id: str,
    dialog: str,
    act: Callable[[Payment], Payment],
    said: dict[str, str],
) -> HttpResponse:
    """Do what a dialog asks for; `said` has the words for each state that it may end in."""
    payment = _read(request, payment_id)
    try:
        payment = act(payment)
    except errors.NotFound:
        raise
    except errors.AppError as error:
        return _again(request, payment_id, dialog, error.message, status=error.status)
    if payment.status in said:
        messages.success(request, said[payment.status])
    elif payment.status == PaymentStatus.FAILED:
        messages.error(request, payment.failure_message or "The payment failed.")
    else:
        messages.success(request, "The request was accepted. This page shows when it is done.")
    return redirect("portal:payment", payment_id=payment_id)


@portal_view(
    "payments.capture",
    at="payments/<str:payment_id>/capture",
    name="payment-capture",
    form_of="payment",
    levels=(Level.MERCHANT,),
)
def capture_submit(request: PortalRequest, payment_id: str) -> HttpResponse:
    """Capture an authorisation, in full or in part."""

    def capture(payment: Payment) -> Payment:
        return payment_capture(
            payment_id=payment.id,
            actor=request.actor,
            merchant_id=payment.merchant_id,
            amount_minor=_asked_amount(request, payment, payment.amount_capturable_minor),
        )

    said = {PaymentStatus.COMPLETED.value: "The payment was captured."}
    return _act(request, payment_id, "capture", capture, said)


@portal_view(
    "payments.cancel",
    at="payments/<str:payment_id>/cancel",
    name="payment-cancel",
    form_of="payment",
    levels=(Level.MERCHANT,),
)
def cancel_submit(request: PortalRequest, payment_id: str) -> HttpResponse:
    """Cancel what has not been captured."""

    def cancel(payment: Payment) -> Payment:
        return payment_cancel(
            payment_id=payment.id, actor=request.actor, merchant_id=payment.merchant_id
        )

    said = {PaymentStatus.CANCELED.value: "The payment was canceled."}
    return _act(request, payment_id, "cancel", cancel, said)
