"""Reads of intents; call them inside `tenant_atomic`."""

from __future__ import annotations

import uuid
from typing import Any

from core import ids
from core.errors import NotFound
from core.times import iso
from payments.intents.failures import shown_failure
from payments.intents.models import Intent


def intent_get(*, intent_id: uuid.UUID, livemode: bool | None = None) -> Intent:
    """One intent of the scope.

    Raises:
        NotFound: none in this scope (and mode, where one is given).
    """
    rows = Intent.objects.filter(pk=intent_id)
    if livemode is not None:
        rows = rows.filter(livemode=livemode)
    found = rows.first()
    if found is None:
        raise NotFound("There is no such intent.")
    return found


def intent_merchant(*, intent_id: uuid.UUID) -> uuid.UUID:
    """The merchant whose intent it is, for a service that is bound to none.

    Raises:
        NotFound: there is no such intent.
    """
    found = Intent.objects.filter(pk=intent_id).values_list("merchant_id", flat=True).first()
    if found is None:
        raise NotFound("There is no such intent.")
    return found


def intent_json(intent: Intent) -> dict[str, Any]:
    """An intent as the API shows it; amounts in minor units."""
    return {
        "id": intent.public_id,
        "object": "intent",
        "merchant": ids.encode("mer", intent.merchant_id),
        "operation": intent.operation,
        "state": intent.state,
        "step": intent.step or None,
        "amount": intent.amount_minor,
        "amount_settled": intent.settled_amount_minor,
        "currency": intent.currency,
        "fee": intent.fee_minor,
        "channel": intent.channel,
        "document": _document(intent),
        "next_action": (
            {"type": "redirect", "url": intent.next_action_url} if intent.next_action_url else None
        ),
        "failure": failure_json(intent),
        "tags": intent.tags,
        "livemode": intent.livemode,
        "created_at": iso(intent.created_at),
        "updated_at": iso(intent.updated_at),
    }


def failure_json(intent: Intent) -> dict[str, str] | None:
    """Why it failed, as far as it concerns anybody but staff."""
    if not intent.failure_code:
        return None
    code, message = shown_failure(intent.failure_code, intent.failure_message)
    return {"code": code, "message": message}


def _document(intent: Intent) -> str | None:
    prefixes = {"payment": "pay", "refund": "ref"}
    prefix = prefixes.get(intent.document_type)
    if prefix is None or intent.document_id is None:
        return None
    return ids.encode(prefix, intent.document_id)
