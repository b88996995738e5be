"""The mail about an endpoint that was disabled: due in the endpoint's row until it is sent."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import structlog
from django.utils import timezone

from core.db import Scope, assert_outside_transaction, tenant_atomic
from core.mail import mail_send
from notifications.lock_objects import lease_disabled_endpoints
from notifications.models import WebhookEndpoint
from tenants.models import Membership, Role

log = structlog.get_logger(__name__)

BATCH: Final = 20
BUDGET_S: Final = 120.0
TRY_AGAIN_S: Final = 300
#: How long a mail that cannot be sent is retried; the portal shows the state anyway.
TRY_FOR: Final = timedelta(days=2)


def tell_of_disabled() -> int:
    """Mail owners and admins that an endpoint was disabled; return how many mails.

    What cannot be sent is tried again in five minutes, for two days.
    """
    assert_outside_transaction("sending mail")
    deadline = time.monotonic() + BUDGET_S
    mails = 0
    with tenant_atomic(Scope.worker()):
        leased = lease_disabled_endpoints(limit=BATCH, again_in_s=TRY_AGAIN_S)
    for endpoint in leased:
        if time.monotonic() < deadline:
            mails += _tell(endpoint)
    return mails


def _tell(endpoint: WebhookEndpoint) -> bool:
    with tenant_atomic(Scope.worker()):
        recipients = list(
            Membership.objects.filter(
                merchant_id=endpoint.merchant_id,
                role__in=[Role.OWNER, Role.ADMIN],
                user__is_active=True,
            ).values_list("user__email", flat=True)
        )
    try:
        if recipients:
            mail_send(
                to=recipients,
                subject="A webhook endpoint was disabled",
                text=_text(endpoint),
            )
    except OSError as error:
        log.warning(
            "webhook.mail_failed", endpoint_id=endpoint.public_id, error_type=type(error).__name__
        )
        if endpoint.disabled_at is not None and endpoint.disabled_at > timezone.now() - TRY_FOR:
            return False
        recipients = []
    with tenant_atomic(Scope.worker()):
        # An endpoint that was enabled and disabled again meanwhile needs another mail.
        WebhookEndpoint.objects.filter(id=endpoint.id, disabled_at=endpoint.disabled_at).update(
            tell_disabled_at=None
        )
    return bool(recipients)


def _text(endpoint: WebhookEndpoint) -> str:
    why = (
        "it answered 410 Gone"
        if endpoint.disabled_reason == WebhookEndpoint.DisabledReason.GONE
        else f"{endpoint.failures_in_row} attempts in a row have failed"
    )
    mode = "live" if endpoint.livemode else "test"
    return (
        f"We no longer send events to {endpoint.url} ({mode} mode), because {why}.\n\n"
        "When the address works again, enable the endpoint under Developers → Webhooks and replay "
        "what it has missed; events are kept for 30 days.\n"
    )
