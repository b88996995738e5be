"""Structured logs: one JSON object a line, and only fields that were allowed by name.

An allowlist, not a blocklist: a field that is not listed (a request body, a header) is dropped
and its name counted, so a secret cannot reach the log by a new spelling. Free text of the
standard library's loggers passes through the card-number and token scrubber.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import orjson
import structlog
from django.http import HttpRequest
from structlog.contextvars import merge_contextvars

from core.context import request_id
from core.pan import contains_card_number, mask_card_numbers, mask_in

ALLOWED_FIELDS: Final = frozenset(
    {
        # who and where
        "event", "level", "logger", "timestamp", "request_id", "process", "version", "host",
        "actor_kind", "actor_id", "key_id", "user_id", "merchant_id", "reseller_id", "livemode",
        # HTTP
        "method", "path", "route", "status", "duration_ms", "bytes_in", "bytes_out", "ip",
        # objects, by id alone
        "payment_id", "intent_id", "refund_id", "token_id", "session_id", "endpoint_id",
        "delivery_id", "event_id", "event_type", "aggregate_id", "message_id", "transfer_id",
        "account_id", "provider", "channel", "document_id", "record_id", "seq", "table", "column",
        # work
        "task", "task_id", "queue", "attempt", "attempts", "count", "batch", "handler", "lag_ms",
        "state", "from_state", "to_state", "code", "reason", "error", "error_type", "retry_after_s",
        "delay_s", "statements", "commits", "signal", "port", "address", "command", "worker",
        "exception",
    }
)  # fmt: skip
_SECRET: Final = re.compile(
    r"\b(?:mk_(?:sk|rk|pk)_\w+|whsec_[\w+/=]+|eyJ[\w-]+\.[\w-]+\.[\w-]*|Bearer\s+\S+)",
    re.IGNORECASE,
)
# PostgreSQL quotes the row that it refuses ("Key (email)=(bob@…) already exists"), which may run
# over several lines; the next of its remarks or the next traceback ends it.
_DETAIL: Final = re.compile(
    r"^DETAIL:.*?(?=\n(?:HINT|CONTEXT|QUERY|LINE \d+):|\nTraceback |\n\n(?:The above|During) |\Z)",
    re.MULTILINE | re.DOTALL,
)
MAX_TEXT_CHARS: Final = 2000


def scrub(text: str) -> str:
    """Remove keys, tokens and rows from free text, and mask the card numbers in it."""
    text = _clean(text)
    return text if len(text) <= MAX_TEXT_CHARS else text[:MAX_TEXT_CHARS] + "…"


def _clean(text: str) -> str:
    text = _DETAIL.sub("DETAIL: [removed]", text)
    return _SECRET.sub("[removed]", mask_card_numbers(text))


def shown_path(request: HttpRequest) -> str:
    """A request's address as a log may hold it.

    Links of pages are bearers of rights (invitations, password resets, checkout sessions), so of a
    page the pattern is shown that it matched. The API's paths name objects by their ids and are
    shown, unless a caller put a card number in an id's place. Never the query string.
    """
    if request.path.startswith("/v1/") and not contains_card_number(request.path):
        return request.path
    match = request.resolver_match
    return f"/{match.route}" if match is not None else "unmatched"


def keep_allowed_fields(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """structlog processor: drop what is not on the list, scrub what is text."""
    kept: dict[str, Any] = {}
    dropped = 0
    for name, value in event.items():
        if name.startswith("_"):
            kept[name] = value
        elif name not in ALLOWED_FIELDS:
            dropped += 1
        elif value is None or isinstance(value, bool | int):
            kept[name] = mask_in(value, numbers=True)
        elif name == "exception":
            # The end of a traceback says what happened; its beginning is always the same.
            kept[name] = _clean(str(value))[-MAX_TEXT_CHARS:]
        else:
            kept[name] = scrub(str(value))
    if dropped:
        kept["dropped_fields"] = dropped
    return kept


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(dict(event), default=str).decode()


def _add_request_id(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if "request_id" not in event and (current := request_id()):
        event["request_id"] = current
    return event


def _hide_path(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Django's own loggers write the path into their sentence and add the request to the record."""
    request = getattr(event.get("_record"), "request", None)
    if isinstance(request, HttpRequest) and isinstance(event.get("event"), str):
        event["event"] = event["event"].replace(request.path, shown_path(request))
    return event


_SHARED: Final[list[structlog.types.Processor]] = [
    merge_contextvars,
    _add_request_id,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure_logging(*, level: str = "INFO", stream: Any = None) -> None:
    """Send every logger of the process through the allowlist to stderr as JSON lines."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _hide_path, keep_allowed_fields],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These print full URLs, which may carry a query string.
    for noisy in ("httpx", "httpcore", "stripe", "kombu", "amqp", "asyncio", "daphne"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            keep_allowed_fields,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
