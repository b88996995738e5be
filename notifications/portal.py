"""The developers' pages about events: endpoints, their deliveries, and the events themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from core import errors, ids, spans
from core.db import tenant_atomic
from core.events import public_events, public_families
from core.models import OutboxEvent
from core.pagination import PageRequest
from notifications import selectors, services
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.payloads import webhook_body
from notifications.shapes import event_out
from tenants.models import Level
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest

_MERCHANT = (Level.MERCHANT,)
_ALL_EVENTS = "*"


def _page_request(request: PortalRequest) -> PageRequest:
    """The page asked for; an invalid limit or cursor gives the first page."""
    try:
        return PageRequest.from_query(request.GET.dict())
    except errors.InvalidRequest:
        return PageRequest()


# ---- endpoints ------------------------------------------------------------------------------


def _endpoints_context(request: PortalRequest, **more: Any) -> dict[str, Any]:
    page = selectors.endpoints_page(actor=request.actor, page=PageRequest(limit=100))
    return {"endpoints": page.items, "families": public_families().items(), **more}


@portal_view(
    "webhooks.read",
    at="developers/webhooks",
    name="webhooks",
    place=Place("Developers", 20, "Webhooks", "webhook"),
    levels=_MERCHANT,
)
def endpoints_page(request: PortalRequest) -> HttpResponse:
    """The endpoints that events are sent to."""
    return render(request, "notifications/endpoints.html", _endpoints_context(request))


def _chosen_events(request: PortalRequest) -> list[str]:
    if request.POST.get("all") == "on":
        return [_ALL_EVENTS]
    return request.POST.getlist("events")


@portal_view(
    "webhooks.write",
    at="developers/webhooks/create",
    name="webhook-create",
    form_of="webhooks",
    levels=_MERCHANT,
)
def endpoint_create(request: PortalRequest) -> HttpResponse:
    """Register an endpoint and show its secret, this once."""
    events = _chosen_events(request)
    try:
        spec = services.endpoint_spec(
            url=request.POST.get("url", "").strip(),
            events=events,
            description=request.POST.get("description", "").strip(),
        )
        endpoint, secret = services.endpoint_create(actor=request.actor, spec=spec)
    except (errors.InvalidRequest, errors.Conflict) as error:
        with tenant_atomic(request.scope):
            context = _endpoints_context(request, refused=error, values=request.POST, chosen=events)
            return render(request, "notifications/endpoints.html", context, status=error.status)
    return _show_secret(request, endpoint, secret, rolled=False)


def _show_secret(
    request: PortalRequest, endpoint: WebhookEndpoint, secret: str, *, rolled: bool
) -> HttpResponse:
    """The endpoint's page with its new secret on top, until the next reload."""
    with tenant_atomic(request.scope):
        context = _endpoint_context(request, endpoint, secret=secret, rolled=rolled)
        return render(request, "notifications/endpoint.html", context)


def _endpoint_context(
    request: PortalRequest, endpoint: WebhookEndpoint, **more: Any
) -> dict[str, Any]:
    state = request.GET.get("state", "")
    if state not in WebhookDelivery.State.values:
        state = ""
    wanted = selectors.DeliveryFilter(endpoint_id=endpoint.public_id, state=state or None)
    page = selectors.deliveries_page(
        actor=request.actor, wanted=wanted, page=_page_request(request)
    )
    return {
        "endpoint": endpoint,
        "deliveries": page,
        "state": state,
        "tabs": [
            ("", "All"),
            ("pending", "On their way"),
            ("delivered", "Delivered"),
            ("failed", "Gave up"),
        ],
        "families": public_families().items(),
        "chosen": endpoint.events,
        **more,
    }


@portal_view(
    "webhooks.read", at="developers/webhooks/<str:endpoint_id>", name="webhook", levels=_MERCHANT
)
def endpoint_page(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """One endpoint: its settings, its state, and its deliveries."""
    endpoint = selectors.endpoint_get(actor=request.actor, endpoint_id=endpoint_id)
    return render(request, "notifications/endpoint.html", _endpoint_context(request, endpoint))


@portal_view(
    "webhooks.write",
    at="developers/webhooks/<str:endpoint_id>/update",
    name="webhook-update",
    form_of="webhook",
    levels=_MERCHANT,
)
def endpoint_update(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """Change the address, the description or the events."""
    events = _chosen_events(request)
    try:
        spec = services.endpoint_spec(
            url=request.POST.get("url", "").strip(),
            events=events,
            description=request.POST.get("description", "").strip(),
        )
        services.endpoint_update(actor=request.actor, endpoint_id=endpoint_id, spec=spec)
    except errors.InvalidRequest as error:
        with tenant_atomic(request.scope):
            endpoint = selectors.endpoint_get(actor=request.actor, endpoint_id=endpoint_id)
            context = _endpoint_context(request, endpoint, refused=error, values=request.POST) | {
                "chosen": events
            }
            return render(request, "notifications/endpoint.html", context, status=error.status)
    messages.success(request, "The endpoint was saved.")
    return redirect("portal:webhook", endpoint_id=endpoint_id)


@portal_view(
    "webhooks.write",
    at="developers/webhooks/<str:endpoint_id>/status",
    name="webhook-status",
    form_of="webhook",
    levels=_MERCHANT,
)
def endpoint_status(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """Turn an endpoint off or on."""
    wanted = "enabled" if request.POST.get("status") == "enabled" else "disabled"
    services.endpoint_update(
        actor=request.actor,
        endpoint_id=endpoint_id,
        spec=services.EndpointSpec(status=wanted),
    )
    messages.success(request, f"The endpoint is {wanted}.")
    return redirect("portal:webhook", endpoint_id=endpoint_id)


@portal_view(
    "webhooks.write",
    at="developers/webhooks/<str:endpoint_id>/roll",
    name="webhook-roll",
    form_of="webhook",
    levels=_MERCHANT,
)
def endpoint_roll(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """Make a new signing secret and show it, this once."""
    endpoint, secret = services.endpoint_roll_secret(actor=request.actor, endpoint_id=endpoint_id)
    return _show_secret(request, endpoint, secret, rolled=True)


@portal_view(
    "webhooks.write",
    at="developers/webhooks/<str:endpoint_id>/delete",
    name="webhook-delete",
    form_of="webhook",
    levels=_MERCHANT,
)
def endpoint_delete(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """Delete an endpoint permanently."""
    services.endpoint_delete(actor=request.actor, endpoint_id=endpoint_id)
    messages.success(request, "The endpoint was deleted.")
    return redirect("portal:webhooks")


# ---- deliveries -----------------------------------------------------------------------------


@portal_view(
    "webhooks.read", at="developers/deliveries/<str:delivery_id>", name="delivery", levels=_MERCHANT
)
def delivery_page(request: PortalRequest, delivery_id: str) -> HttpResponse:
    """One delivery: what was sent, and what came back at each attempt."""
    delivery = selectors.delivery_get(actor=request.actor, delivery_id=delivery_id)
    event = OutboxEvent.objects.filter(
        id=delivery.event_id, merchant_id=delivery.merchant_id
    ).first()
    endpoint = WebhookEndpoint.objects.filter(
        id=delivery.endpoint_id, merchant_id=delivery.merchant_id
    ).first()
    return render(
        request,
        "notifications/delivery.html",
        {
            "delivery": delivery,
            "event": event,
            "event_id": ids.encode(OutboxEvent.PREFIX, delivery.event_id),
            "endpoint": endpoint,
            "attempts": selectors.attempts_of(delivery=delivery),
            "body": orjson.loads(webhook_body(event)) if event is not None else None,
        },
    )


# ---- events ---------------------------------------------------------------------------------


@portal_view(
    "events.read",
    at="developers/events",
    name="events",
    place=Place("Developers", 30, "Events", "activity"),
    levels=_MERCHANT,
)
def events_page(request: PortalRequest) -> HttpResponse:
    """The events of the last 30 days, as webhooks carry them."""
    event_type, object_id = request.GET.get("type", ""), request.GET.get("object", "").strip()
    refused: errors.InvalidRequest | None = None
    wanted = selectors.EventFilter(event_type=event_type or None, object_id=object_id or None)
    try:
        page = selectors.events_page(
            actor=request.actor, wanted=wanted, page=_page_request(request)
        )
    except errors.InvalidRequest as error:
        refused = error
        page = selectors.events_page(
            actor=request.actor, wanted=selectors.EventFilter(), page=PageRequest()
        )
    return render(
        request,
        "notifications/events.html",
        {
            "events": page,
            "types": [("", "Every type"), *((name, name) for name in public_events())],
            "type": event_type,
            "object": object_id,
            "refused": refused,
            "filtered": bool(event_type or object_id),
        },
    )


@portal_view("events.read", at="developers/events/<str:event_id>", name="event", levels=_MERCHANT)
def event_page(request: PortalRequest, event_id: str) -> HttpResponse:
    """One event with its content and where it was sent."""
    event = selectors.event_get(actor=request.actor, event_id=event_id)
    wanted = selectors.DeliveryFilter(event_id=event_id)
    deliveries = selectors.deliveries_page(
        actor=request.actor, wanted=wanted, page=PageRequest(limit=100)
    ).items
    endpoints = {
        row.id: row
        for row in WebhookEndpoint.objects.filter(
            merchant_id=selectors.owner_of(request.actor),
            id__in={row.endpoint_id for row in deliveries},
        )
    }
    return render(
        request,
        "notifications/event.html",
        {
            "event": event,
            "text": public_events()[event.type].text,
            "content": event_out(event),
            "deliveries": [(row, endpoints.get(row.endpoint_id)) for row in deliveries],
        },
    )


@portal_view(
    "events.resend",
    at="developers/events/<str:event_id>/resend",
    name="event-resend",
    form_of="event",
    levels=_MERCHANT,
)
def event_resend(request: PortalRequest, event_id: str) -> HttpResponse:
    """Resend an event, to one endpoint or to all that take it."""
    endpoint_id = request.POST.get("endpoint", "") or None
    try:
        made = services.event_resend(
            actor=request.actor, event_id=event_id, endpoint_id=endpoint_id
        )
    except errors.Conflict as error:
        messages.error(request, error.message)
        return redirect("portal:event", event_id=event_id)
    messages.success(request, "The event is on its way again.")
    if len(made) == 1:
        return redirect("portal:delivery", delivery_id=made[0].public_id)
    return redirect("portal:event", event_id=event_id)


@portal_view(
    "webhooks.write",
    at="developers/webhooks/<str:endpoint_id>/replay",
    name="webhook-replay",
    form_of="webhook",
    levels=_MERCHANT,
)
def endpoint_replay(request: PortalRequest, endpoint_id: str) -> HttpResponse:
    """Resend what an endpoint missed since a day."""
    try:
        day = spans.read_day(request.POST.get("from", ""))
    except ValueError:
        messages.error(request, "Choose the day from which to resend events.")
        return redirect("portal:webhook", endpoint_id=endpoint_id)
    try:
        replay = services.deliveries_replay(
            actor=request.actor,
            endpoint_id=endpoint_id,
            span=spans.days(day, None),
        )
    except errors.Conflict as error:
        messages.error(request, error.message)
    else:
        noun = "event is" if replay.events == 1 else "events are"
        more = " There are more: send what was missed once again." if replay.has_more else ""
        messages.success(request, f"{replay.events:,} {noun} on the way again.{more}")
    query = urlencode({"state": "pending"})
    return redirect(f"{reverse('portal:webhook', args=[endpoint_id])}?{query}")
