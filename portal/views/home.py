"""The home page: today, the days before, what just happened, and what waits for an action."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from core.money import format_money
from core.pagination import PageRequest
from ledger.selectors import balance_by_currency
from notifications import selectors as notifications
from payments.acceptance.selectors import shown_state
from portal import selectors
from portal.charts import Bucket, Chart, money_line
from portal.navigation import live_parts
from tenants import selectors as tenants
from tenants.models import Level, Merchant
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest

PERIODS: Final = (7, 30, 90)
DEFAULT_PERIOD: Final = 30


@dataclass(frozen=True, slots=True)
class Task:
    """Something that waits for this person; `tone` as for pills."""

    title: str
    text: str
    url: str
    icon: str
    tone: str = ""


#: The parts of the page that follow events; templates/portal/home.html says how often each.
PARTS: Final = ("kpis", "chart", "recent", "busiest")


@portal_view(None, at="", name="home", place=Place("", 10, "Home", "house"))
def home(request: PortalRequest) -> HttpResponse:
    """Today's figures with the days before; a reseller sees those of all its merchants.

    A page that keeps itself current says which parts it wants (static/js/live.js); a payment that
    comes in then costs the list of the newest ones, and not every figure in every open tab.
    """
    if "payments.read" not in request.actor.scopes:
        return render(request, "portal/home_empty.html")
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else DEFAULT_PERIOD
    today = timezone.now().astimezone(dt.UTC).date()
    seat, wanted = request.seat, live_parts(request)
    parts = frozenset(PARTS) if wanted is None else wanted & set(PARTS)
    context: dict[str, Any] = {
        "parts": parts,
        "whole": wanted is None,
        "days": days,
        "periods": PERIODS,
        "today": today,
        "is_reseller": seat.level == Level.RESELLER,
    }
    volume = None
    if parts - {"recent"}:
        volume = selectors.volume(
            livemode=seat.livemode,
            since=today - dt.timedelta(days=2 * days - 1),
            today=today,
            currency=request.GET.get("currency", "").upper(),
            fallback=seat.default_currency,
        )
        context["volume"] = volume
    if "kpis" in parts and volume is not None:
        context["kpis"] = _kpis(request, volume, today)
    if "chart" in parts and volume is not None:
        context["chart"] = _chart(volume, today, days)
    recent = selectors.recent_payments(livemode=seat.livemode) if "recent" in parts else []
    context["recent"] = [(payment, shown_state(payment)) for payment in recent]
    if wanted is None:
        context["tasks"] = _tasks(request, has_payments=bool(recent))
    if seat.level == Level.RESELLER:
        since = today - dt.timedelta(days=days - 1)
        context |= _portfolio(request, volume if "busiest" in parts else None, since, recent)
    return render(request, "portal/home.html", context)


def _chart(volume: selectors.Volume, today: dt.date, days: int) -> Chart:
    """The period as a line, the one before it dashed."""
    buckets = []
    for ago in range(days - 1, -1, -1):
        day = today - dt.timedelta(days=ago)
        now = volume.amount_minor.get(day, 0)
        before = volume.amount_minor.get(day - dt.timedelta(days=days), 0)
        buckets.append(
            Bucket(
                label=f"{day.day} {day:%b}",
                value=now,
                text=format_money(now, volume.currency),
                previous=before,
                previous_text=format_money(before, volume.currency),
            )
        )
    return money_line(
        buckets,
        volume.currency,
        title="Volume by day",
        series_name=f"Last {days} days",
        # A dashed line along the bottom would say nothing.
        previous_name=f"{days} days before" if any(row.previous for row in buckets) else "",
    )


def _kpis(request: PortalRequest, volume: selectors.Volume, today: dt.date) -> list[dict[str, Any]]:
    """Today's figures in one currency: amounts carry its code, counts name it where it matters."""
    yesterday = today - dt.timedelta(days=1)
    code, livemode = volume.currency, request.seat.livemode
    amount, amount_before = (volume.amount_minor.get(day, 0) for day in (today, yesterday))
    count, count_before = (volume.count.get(day, 0) for day in (today, yesterday))
    now, before = (
        selectors.outcome(livemode=livemode, day=day, today=today, currency=code)
        for day in (today, yesterday)
    )
    among = f" in {code}" if len(volume.currencies) > 1 else ""
    figures = [
        {"label": "Volume today", "value": format_money(amount, code), "unit": code}
        | _change(amount, amount_before),
        {"label": f"Payments today{among}", "value": f"{count:,}"} | _change(count, count_before),
        {"label": f"Success rate today{among}", "value": _permille(now.success_permille)}
        | _points(now.success_permille, before.success_permille),
    ]
    if request.seat.level == Level.RESELLER:
        merchants = tenants.merchants(actor=request.actor)
        active = merchants.filter(status="active").count()
        figures.append(
            {
                "label": "Active merchants",
                "value": f"{active:,}",
                "note": f"of {merchants.count():,} signed up",
            }
        )
    elif "balance.read" in request.actor.scopes:
        figures.append(_balance(request, volume.currency))
    return figures


def _balance(request: PortalRequest, currency: str) -> dict[str, Any]:
    """What the merchant could be paid out now, and what is still on its way to there."""
    found = [row for row in balance_by_currency(actor=request.actor) if row.currency == currency]
    available = sum(row.available_minor for row in found)
    pending = sum(row.pending_minor for row in found)
    return {
        "label": "Available balance",
        "value": format_money(available, currency).replace("-", "−"),
        "unit": currency,
        "note": f"{format_money(pending, currency)} on its way".replace("-", "−"),
        "url": reverse("portal:balance"),
    }


def _change(now: int, before: int) -> dict[str, Any]:
    """Today against yesterday, as a percentage where there was a yesterday."""
    if before == 0:
        return {"note": "nothing yesterday" if now else "none yet, none yesterday"}
    permille = (now - before) * 1000 // before
    return {
        "delta": _permille(abs(permille)),
        "direction": "up" if permille >= 0 else "down",
        "good": permille >= 0,
        "note": "vs yesterday",
    }


def _points(now: int | None, before: int | None) -> dict[str, Any]:
    if now is None:
        return {"note": "nothing decided yet"}
    if before is None:
        return {"note": "nothing to compare with"}
    gap = now - before
    return {
        "delta": f"{abs(gap) // 10}.{abs(gap) % 10} points",
        "direction": "up" if gap >= 0 else "down",
        "good": gap >= 0,
        "note": "vs yesterday",
    }


def _permille(value: int | None) -> str:
    return "—" if value is None else f"{value // 10:,}.{value % 10} %"


def _portfolio(
    request: PortalRequest, volume: selectors.Volume | None, since: dt.date, recent: list[Any]
) -> dict[str, Any]:
    busiest = []
    if volume is not None:
        busiest = selectors.busiest_merchants(
            livemode=request.seat.livemode, since=since, currency=volume.currency
        )
    wanted = {row.merchant_id for row in busiest} | {row.merchant_id for row in recent}
    found = {row.id: row for row in Merchant.objects.filter(id__in=wanted)}
    return {
        "busiest": [(found[row.merchant_id], row) for row in busiest if row.merchant_id in found],
        "merchants": {key: row.name for key, row in found.items()},
    }


def _tasks(request: PortalRequest, *, has_payments: bool) -> list[Task]:
    """What waits: failing endpoints, and the first steps of an account that has taken nothing."""
    scopes, tasks = request.actor.scopes, []
    if request.seat.level != Level.MERCHANT:
        return []
    if "webhooks.read" in scopes:
        endpoints = notifications.endpoints_page(
            actor=request.actor, page=PageRequest(limit=100)
        ).items
        for row in endpoints:
            turned_off = row.status == "disabled" and row.disabled_reason != "by_user"
            if turned_off or row.failures_in_row:
                tasks.append(
                    Task(
                        "A webhook endpoint is off" if turned_off else "A webhook keeps failing",
                        row.url,
                        reverse("portal:webhook", args=[row.public_id]),
                        "webhook",
                        "bad" if turned_off else "warn",
                    )
                )
        if not endpoints and "webhooks.write" in scopes:
            tasks.append(
                Task(
                    "Add a webhook endpoint",
                    "Let your server hear about payments as they happen.",
                    reverse("portal:webhooks"),
                    "webhook",
                )
            )
    if "keys.read" in scopes and not has_payments:
        tasks.append(
            Task(
                "Get your API key",
                "Take the first live payment."
                if request.seat.livemode
                else "Take the first payment with a test card.",
                reverse("portal:keys"),
                "key-round",
            )
        )
    if request.seat.tenant_status == "pending":
        tasks.append(
            Task(
                "Live payments are not open yet",
                "We are checking your business. Test mode works in the meantime.",
                reverse("portal:settings"),
                "shield-check",
                "warn",
            )
        )
    return tasks
