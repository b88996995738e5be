"""The body of a webhook."""

from __future__ import annotations

from typing import Final

import orjson

from core.models import OutboxEvent
from core.times import iso
from notifications.shapes import event_out

MAX_WEBHOOK_BYTES: Final = 20_000


def webhook_body(event: OutboxEvent) -> bytes:
    """The bytes of a webhook; the same for every attempt, so that receivers can compare.

    Standard Webhooks asks for less than 20 kB: a larger event is sent thin, with the object's id
    alone, to be fetched.
    """
    content = {**event_out(event), "timestamp": iso(event.created_at)}
    body = orjson.dumps(content)
    if len(body) > MAX_WEBHOOK_BYTES:
        body = orjson.dumps({**content, "data": {"id": event.object_id}, "truncated": True})
    return body
