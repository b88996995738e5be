"""The JSON of an event, the same in `GET /v1/events` and in a webhook."""

from __future__ import annotations

from typing import Any, Final

import orjson

from core.models import OutboxEvent
from core.times import iso

MAX_WEBHOOK_BYTES: Final = 20_000


def event_json(event: OutboxEvent) -> dict[str, Any]:
    """An event as integrators see it; `data` is the object at that moment."""
    return {
        "id": event.public_id,
        "object": "event",
        "type": event.type,
        "created_at": iso(event.created_at),
        "livemode": event.livemode,
        "request_id": event.request_id or None,
        "data": event.payload,
    }


def webhook_body(event: OutboxEvent) -> bytes:
    """The bytes of a webhook; the same for every attempt, so that receivers can compare.

    Standard Webhooks asks for less than 20 kB: a larger event is sent thin, with the object's id
    alone, to be fetched.
    """
    content = {**event_json(event), "timestamp": iso(event.created_at)}
    body = orjson.dumps(content)
    if len(body) > MAX_WEBHOOK_BYTES:
        body = orjson.dumps({**content, "data": {"id": event.object_id}, "truncated": True})
    return body
