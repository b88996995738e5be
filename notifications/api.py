"""REST: `/v1/events`, `/v1/webhook_endpoints`, `/v1/webhook_deliveries`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.query import PAGE, known, span_names, span_of, span_parameters
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import InvalidRequest
from core.pagination import PageRequest
from notifications import selectors, serializers, services, shapes
from notifications.models import WebhookEndpoint
from notifications.selectors import DeliveryFilter, EventFilter


class EventsView(ApiView):
    filters: ClassVar = ("limit", "cursor", "type", "object", *span_names("created_"))
    permissions: ClassVar[dict[str, str]] = {"GET": "events.read"}

    @extend_schema(
        operation_id="events_list",
        summary="List events",
        tags=["Events"],
        parameters=[
            *PAGE,
            OpenApiParameter("type", str, description="An event type, or `payment.*`."),
            OpenApiParameter(
                "object",
                str,
                description="Of this object (`pay_…`, `ref_…`, `cus_…`); 404 if there is none.",
            ),
            *span_parameters("Created", "created_"),
        ],
        responses=shapes.EventList,
    )
    def get(self, request: Request) -> Response:
        """Events of the last 30 days, newest first.

        Every event is listed here before its webhooks leave: after an outage, reconcile from here.
        """
        query = self.query
        wanted = EventFilter(
            event_type=query.get("type"),
            object_id=query.get("object"),
            created=span_of(query, "created_"),
        )
        with tenant_atomic(self.actor.scope):
            page = selectors.events_page(
                actor=self.actor, wanted=wanted, page=PageRequest.from_query(query)
            )
            return Response(page.render(shapes.event_out))


class EventView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"GET": "events.read"}

    @extend_schema(
        operation_id="events_retrieve",
        summary="Retrieve an event",
        tags=["Events"],
        responses=shapes.EventOut,
    )
    def get(self, request: Request, event_id: str) -> Response:
        """One event by its id."""
        with tenant_atomic(self.actor.scope):
            return Response(
                shapes.event_out(selectors.event_get(actor=self.actor, event_id=event_id))
            )


class EventResendView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"POST": "events.resend"}

    @extend_schema(
        operation_id="events_resend",
        summary="Resend an event",
        tags=["Events"],
        request=serializers.Resend,
        responses={202: shapes.ResentOut},
    )
    def post(self, request: Request, event_id: str) -> Response:
        """Resend an event's webhook, to one endpoint or to all that want it.

        Each is a new delivery with `trigger` `resend` and a schedule of its own. The `webhook-id`
        is the event's, as at first, so a receiver that has it already may ignore it. The endpoint
        that `endpoint` names gets it whatever it subscribes to. 409 `no_endpoint` when no enabled
        endpoint wants the event, `endpoint_disabled` when the one that is named is disabled.
        """
        body = known(self.body, "endpoint")
        endpoint_id = body.get("endpoint")
        if endpoint_id is not None and not isinstance(endpoint_id, str):
            raise InvalidRequest(
                "endpoint must be an id (we_…).", code="parameter_invalid", param="endpoint"
            )
        return self.once(
            lambda: services.event_resend(
                actor=self.actor, event_id=event_id, endpoint_id=endpoint_id
            ),
            render=shapes.resent_out,
            status=202,
        )


class EndpointsView(ApiView):
    filters: ClassVar = ("limit", "cursor")
    permissions: ClassVar[dict[str, str]] = {"GET": "webhooks.read", "POST": "webhooks.write"}
    seals_answers = True

    @extend_schema(
        operation_id="webhook_endpoints_list",
        summary="List webhook endpoints",
        tags=["Webhooks"],
        parameters=PAGE,
        responses=shapes.EndpointList,
    )
    def get(self, request: Request) -> Response:
        """The endpoints of the key's mode, newest first."""
        query = self.query
        with tenant_atomic(self.actor.scope):
            page = selectors.endpoints_page(actor=self.actor, page=PageRequest.from_query(query))
            return Response(page.render(shapes.endpoint_out))

    @extend_schema(
        operation_id="webhook_endpoints_create",
        summary="Create a webhook endpoint",
        tags=["Webhooks"],
        request=serializers.EndpointCreate,
        responses={201: shapes.EndpointWithSecretOut},
    )
    def post(self, request: Request) -> Response:
        """Register an address for events; the answer shows its secret this once.

        Only the very same request, repeated under its Idempotency-Key within 30 days, is given the
        same answer again.

        Verify each webhook with the secret (Standard Webhooks). A 2xx status within 15 s
        counts as received, whatever the body is; otherwise it is sent again after 5 s, 5 min,
        30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h. 410 disables the endpoint.
        """
        body = known(self.body, "url", "events", "description")
        spec = services.endpoint_spec(
            url=body.get("url"), events=body.get("events"), description=body.get("description")
        )
        return self.once(
            lambda: services.endpoint_create(actor=self.actor, spec=spec), render=_with_secret
        )


class EndpointView(ApiView):
    permissions: ClassVar[dict[str, str]] = {
        "GET": "webhooks.read",
        "PATCH": "webhooks.write",
        "DELETE": "webhooks.write",
    }

    @extend_schema(
        operation_id="webhook_endpoints_retrieve",
        summary="Retrieve a webhook endpoint",
        tags=["Webhooks"],
        responses=shapes.EndpointOut,
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        """One endpoint by its id, without its secret."""
        with tenant_atomic(self.actor.scope):
            found = selectors.endpoint_get(actor=self.actor, endpoint_id=endpoint_id)
            return Response(shapes.endpoint_out(found))

    @extend_schema(
        operation_id="webhook_endpoints_update",
        summary="Update a webhook endpoint",
        tags=["Webhooks"],
        request=serializers.EndpointUpdate,
        responses=shapes.EndpointOut,
    )
    def patch(self, request: Request, endpoint_id: str) -> Response:
        """Change an endpoint. Disabling it cancels what is on its way; a replay resends it."""
        body = known(self.body, "url", "events", "description", "status")
        for name, value in body.items():
            if value is None:
                raise InvalidRequest(
                    f"{name} must not be null. Leave it out to keep what it is.",
                    code="parameter_invalid",
                    param=name,
                )
        spec = services.endpoint_spec(**body)
        changed = services.endpoint_update(actor=self.actor, endpoint_id=endpoint_id, spec=spec)
        return Response(shapes.endpoint_out(changed))

    @extend_schema(
        operation_id="webhook_endpoints_delete",
        summary="Delete a webhook endpoint",
        tags=["Webhooks"],
        request=None,
        responses={200: shapes.EndpointDeletedOut},
    )
    def delete(self, request: Request, endpoint_id: str) -> Response:
        """Delete an endpoint. Its past deliveries stay readable."""
        with tenant_atomic(self.actor.scope):
            found = selectors.endpoint_get(actor=self.actor, endpoint_id=endpoint_id)
        services.endpoint_delete(actor=self.actor, endpoint_id=endpoint_id)
        return Response(shapes.endpoint_deleted_out(found))


class EndpointRollSecretView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"POST": "webhooks.write"}
    seals_answers = True

    @extend_schema(
        operation_id="webhook_endpoints_roll_secret",
        summary="Rotate an endpoint's secret",
        tags=["Webhooks"],
        request=serializers.Roll,
        responses=shapes.EndpointWithSecretOut,
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Make a new secret, shown once as when the endpoint was made.

        For `overlap_hours` both secrets sign.
        """
        hours = known(self.body, "overlap_hours").get("overlap_hours", 24)
        if not isinstance(hours, int) or isinstance(hours, bool) or not 0 <= hours <= 168:
            raise InvalidRequest(
                "overlap_hours must be a whole number from 0 to 168.",
                code="parameter_invalid",
                param="overlap_hours",
            )
        return self.once(
            lambda: services.endpoint_roll_secret(
                actor=self.actor, endpoint_id=endpoint_id, overlap=timedelta(hours=hours)
            ),
            render=_with_secret,
            status=200,
        )


class EndpointReplayView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"POST": "events.resend"}

    @extend_schema(
        operation_id="webhook_endpoints_replay",
        summary="Replay what an endpoint missed",
        tags=["Webhooks"],
        request=serializers.Replay,
        responses={202: shapes.ReplayedOut},
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Send again what the endpoint missed in a span of time, oldest first, at 20 a second.

        Those of its events that it has not received are sent, as new deliveries with `trigger`
        `replay`; what is on its way is not sent twice. Events are kept for 30 days. 10,000 are
        sent at most: while `has_more` is true, repeat the call, with a fresh Idempotency-Key.
        409 `endpoint_disabled` while the endpoint is disabled.
        """
        body = known(self.body, *span_names("created_"), "only_missing")
        span = span_of(body, "created_")
        if span.start is None:
            raise InvalidRequest(
                "created_from is missing. Give the time from which to replay.",
                code="parameter_missing",
                param="created_from",
            )
        only_missing = body.get("only_missing", True)
        if not isinstance(only_missing, bool):
            raise InvalidRequest(
                "only_missing must be true or false.",
                code="parameter_invalid",
                param="only_missing",
            )
        return self.once(
            lambda: services.deliveries_replay(
                actor=self.actor,
                endpoint_id=endpoint_id,
                span=span,
                only_missing=only_missing,
            ),
            render=lambda made: shapes.ReplayedOut(events=made.events, has_more=made.has_more),
            status=202,
        )


class DeliveriesView(ApiView):
    filters: ClassVar = ("limit", "cursor", "endpoint", "event", "state")
    permissions: ClassVar[dict[str, str]] = {"GET": "webhooks.read"}

    @extend_schema(
        operation_id="webhook_deliveries_list",
        summary="List webhook deliveries",
        tags=["Webhooks"],
        parameters=[
            *PAGE,
            OpenApiParameter("endpoint", str, description="Of this endpoint (`we_…`)."),
            OpenApiParameter("event", str, description="Of this event (`evt_…`)."),
            OpenApiParameter(
                "state",
                str,
                enum=["pending", "delivered", "failed", "canceled"],
                description="In this state.",
            ),
        ],
        responses=shapes.DeliveryList,
    )
    def get(self, request: Request) -> Response:
        """The delivery log of the last 30 days, newest first.

        A delivery is one event on its way to one endpoint. It is `pending` until a 2xx comes back
        (`delivered`), ten attempts have failed (`failed`), or the endpoint is disabled meanwhile
        (`canceled`). A resend or a replay is a delivery of its own.
        """
        query = self.query
        wanted = DeliveryFilter(
            endpoint_id=query.get("endpoint"),
            event_id=query.get("event"),
            state=query.get("state"),
        )
        with tenant_atomic(self.actor.scope):
            page = selectors.deliveries_page(
                actor=self.actor, wanted=wanted, page=PageRequest.from_query(query)
            )
            return Response(page.render(shapes.delivery_out))


class DeliveryView(ApiView):
    permissions: ClassVar[dict[str, str]] = {"GET": "webhooks.read"}

    @extend_schema(
        operation_id="webhook_deliveries_retrieve",
        summary="Retrieve a webhook delivery",
        tags=["Webhooks"],
        responses=shapes.DeliveryDetailOut,
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        """One delivery with every attempt: status, duration, and what the endpoint answered."""
        with tenant_atomic(self.actor.scope):
            found = selectors.delivery_get(actor=self.actor, delivery_id=delivery_id)
            attempts = selectors.attempts_of(delivery=found)
            return Response(shapes.delivery_detail_out(found, attempts))


def _with_secret(made: tuple[WebhookEndpoint, str]) -> shapes.EndpointWithSecretOut:
    endpoint, secret = made
    return shapes.endpoint_with_secret_out(endpoint, secret)
