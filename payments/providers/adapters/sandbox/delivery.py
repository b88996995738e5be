"""The sandbox's webhooks: signed as over HTTP, and handed to the same door.

The door is called in this process instead of over the network, so that test mode needs no address
of its own; verification, storage and processing are those of every other provider.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError

from core.errors import AppError
from payments.providers import signing
from payments.providers.adapters.sandbox import server
from payments.providers.adapters.sandbox.adapter import SIGNATURE_HEADER
from payments.providers.adapters.sandbox.spec import webhook_secret
from payments.providers.adapters.sandbox.wire import Json, ServerRefusedError, ServerTimeoutError
from payments.providers.services import webhook_receive

log = structlog.get_logger(__name__)

BATCH: Final = 100


def deliver_due(*, limit: int = BATCH, account_id: uuid.UUID | None = None) -> int:
    """Settle what is due and send due webhooks; return how many were taken.

    One that is not taken is sent again, later each time, for about a day.
    """
    delivered = 0
    for leased in server.claim_events(limit=limit, account_id=account_id):
        try:
            _deliver(leased)
            delivered += 1
        except (AppError, ServerTimeoutError, ServerRefusedError) as error:
            log.warning(
                "sandbox.webhook_refused", event_id=str(leased.get("row")), error=str(error)
            )
        except (OperationalError, InterfaceError) as error:
            log.warning("sandbox.webhook_delayed", error=type(error).__name__)
            break
    return delivered


def _deliver(leased: Json) -> None:
    account_id = uuid.UUID(str(leased["account"]))
    raw_body = json.dumps(leased["event"]).encode()
    signature = signing.sign(
        raw_body=raw_body,
        secret=webhook_secret(account_id),
        timestamp_s=int(time.time()),
    )
    webhook_receive(
        provider="sandbox",
        account_id=account_id,
        raw_body=raw_body,
        headers={SIGNATURE_HEADER: signature, "Content-Type": "application/json"},
    )
    server.event_delivered(uuid.UUID(str(leased["row"])))
