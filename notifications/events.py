"""The events of this room."""

from __future__ import annotations

from typing import Final

from core.events import Audience, declare
from notifications.shapes import EndpointOut

WEBHOOK_ENDPOINT_DISABLED: Final = declare(
    "webhook_endpoint.disabled",
    "An endpoint was disabled: it answered 410, or has failed for two days. Sent to the other "
    "endpoints.",
    carries=EndpointOut,
    seen_by=Audience.WEBHOOKS,
)
