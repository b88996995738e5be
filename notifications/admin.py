"""Webhooks for the platform's staff: read-only, except that an event can be resent."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import ids
from core.admin import actor_of, allowed, display, staff_action
from core.models import OutboxEvent
from notifications import selectors, services
from notifications.models import WebhookDelivery, WebhookEndpoint
from tenants.admin.columns import OfMerchantAdmin

_STATES: Final[dict[str, str]] = {
    WebhookDelivery.State.DELIVERED.value: "success",
    WebhookDelivery.State.PENDING.value: "info",
    WebhookDelivery.State.FAILED.value: "danger",
    WebhookDelivery.State.CANCELED.value: "warning",
}
_STATUSES: Final[dict[str, str]] = {
    WebhookEndpoint.Status.ENABLED.value: "success",
    WebhookEndpoint.Status.DISABLED.value: "danger",
}


class _OfWebhooks(OfMerchantAdmin):
    """Pages about merchants' endpoints, for staff who help integrators."""

    view_permission = "webhooks.read"
    ordering = ("-id",)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_OfWebhooks):
    """The addresses of merchants for events, without the secrets."""

    id_columns: ClassVar = {"we": "id", "mer": "merchant_id"}
    search_help_text = "An endpoint's id (we_…) or a merchant's (mer_…)"
    list_display = ("public_id", "url", "shown_status", "failures_in_row", "merchant", "livemode")
    list_filter = ("status", "livemode")
    exclude = ("secret_sealed", "previous_secret_sealed")
    readonly_fields = ("merchant",)

    @display(description="Status", label=_STATUSES)
    def shown_status(self, row: WebhookEndpoint) -> str:
        """The status as a coloured word."""
        return row.status


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_OfWebhooks):
    """Deliveries of events to merchants, with the answers of their servers."""

    id_columns: ClassVar = {
        "whd": "id",
        "evt": "event_id",
        "we": "endpoint_id",
        "mer": "merchant_id",
    }
    search_help_text = "The id of a delivery (whd_…), event (evt_…), endpoint (we_…) or merchant"
    list_display = (
        "public_id",
        "event_type",
        "shown_state",
        "attempts",
        "last_status",
        "merchant",
        "livemode",
        "created_at",
    )
    list_filter = ("state", "trigger", "livemode")
    fields = (
        *("public_id", "event", "event_type", "endpoint", "merchant", "livemode", "trigger"),
        *("state", "attempts", "next_attempt_at", "delivered_at", "last_status", "last_error"),
        *("created_at", "attempt_log"),
    )
    readonly_fields = ("public_id", "event", "endpoint", "merchant", "created_at", "attempt_log")
    actions_detail = ("resend",)

    def has_resend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For support staff, who help merchants whose server was down."""
        return allowed(request, "events.resend")

    @staff_action(
        "Resend",
        permission="resend",
        question="The endpoint receives the event again, under the same webhook-id.",
        icon="send",
    )
    def resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Resend the delivery's event to its endpoint."""
        row = self.found(request, object_id)
        made = services.delivery_resend(actor=actor_of(request), delivery_id=row.id)
        return self.done(request, made.id, "The event is on its way again, as this new delivery.")

    @display(description="State", label=_STATES)
    def shown_state(self, row: WebhookDelivery) -> str:
        """The state as a coloured word."""
        return row.state

    @display(description="Event")
    def event(self, row: WebhookDelivery) -> str:
        """The event's public id."""
        return ids.encode(OutboxEvent.PREFIX, row.event_id)

    @display(description="Endpoint")
    def endpoint(self, row: WebhookDelivery) -> str:
        """The endpoint's public id."""
        return ids.encode(WebhookEndpoint.PREFIX, row.endpoint_id)

    @display(description="Attempts")
    def attempt_log(self, row: WebhookDelivery) -> SafeString | str:
        """Each attempt's time, status, duration and answer."""
        lines = (
            (
                f"{attempt.created_at:%Y-%m-%d %H:%M:%S} UTC",
                attempt.status or "no answer",
                f"{attempt.duration_ms} ms",
                attempt.error or attempt.response_excerpt,
            )
            for attempt in selectors.attempts_of(delivery=row)
        )
        found = format_html_join("", "<li>{} · <strong>{}</strong> · {} · {}</li>", lines)
        return format_html("<ol>{}</ol>", found) if found else "—"
