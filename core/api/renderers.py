"""The envelope that every answer of the API comes in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from rest_framework.renderers import BaseRenderer

from core.context import request_id
from core.pan import mask_card_numbers, mask_in
from core.times import iso


def meta() -> dict[str, str]:
    return {"requestId": request_id(), "timestamp": iso(dt.datetime.now(dt.UTC))}


def success(data: Any) -> dict[str, Any]:
    return {"success": True, "data": data, "meta": meta()}


def failure(
    *,
    type: str,  # noqa: A002 - the field's name in the envelope
    code: str,
    message: str,
    param: str | None = None,
    details: Any = None,
) -> dict[str, Any]:
    return {
        "success": False,
        "error": {
            "type": type,
            "code": code,
            # An error repeats what it was given: an id, a field's name, a value out of a list.
            "message": mask_card_numbers(message),
            "param": param and mask_card_numbers(param),
            "details": mask_in(details),
            "doc_url": f"{settings.BASE_URL}/docs/api#error-{code}",
        },
        "meta": meta(),
    }


class EnvelopeRenderer(BaseRenderer):
    """Renders what a view returned as `{"success": true, "data": …, "meta": …}`.

    An answer that is an envelope already (errors, replays) passes through as it is; bytes are a
    stored answer, sent again to the letter.
    """

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if isinstance(data, bytes):
            return data
        response = (renderer_context or {}).get("response")
        if response is not None and response.status_code == 204:
            return b""
        if isinstance(data, dict) and "success" in data and "meta" in data:
            return dump(data)
        return dump(success(data))


def dump(value: Any) -> bytes:
    """JSON bytes; UUIDs and aware datetimes are understood, floats never reach an amount."""
    return orjson.dumps(value, default=_text, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _text(value: Any) -> str:
    # Left to itself orjson writes microseconds, and every time of the API has milliseconds. It
    # passes dates on too, which need no formatter of ours.
    if isinstance(value, dt.datetime):
        return iso(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError
