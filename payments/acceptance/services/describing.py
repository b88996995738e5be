"""Changes to what a payment says; its money and its state are not touched."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from core.api.fields import merged_metadata
from core.context import Actor
from core.errors import NotFound
from core.unit import Writes
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment
from payments.acceptance.shapes import payment_out

_FIELDS = ("description", "reference", "metadata")


def payment_update(*, payment_id: uuid.UUID, actor: Actor, changes: dict[str, Any]) -> Payment:
    """Change description, reference or metadata; runs inside the caller's transaction.

    Metadata is merged by key, under the row's lock: of two changes at the same time both stay. A
    change that changes nothing leaves no record and no event.

    Raises:
        InvalidRequest: more than 50 metadata pairs would be left.
        NotFound: none in this scope and mode.
    """
    payment = lock_payment(payment_id)
    if payment.livemode != actor.livemode:
        raise NotFound("There is no such payment.")
    wanted = dict(changes)
    if "metadata" in wanted:
        wanted["metadata"] = merged_metadata(payment.metadata, wanted["metadata"])
    before = {name: getattr(payment, name) for name in _FIELDS}
    changed = [name for name in _FIELDS if name in wanted and wanted[name] != before[name]]
    if not changed:
        return payment
    for name in changed:
        setattr(payment, name, wanted[name])
    payment.updated_at = timezone.now()
    writes = Writes()
    writes.update(payment, *changed, "updated_at")
    writes.record(
        payment,
        action=events.PAYMENT_UPDATED.name,
        event=events.PAYMENT_UPDATED,
        actor=actor,
        before={name: before[name] for name in changed},
        after={name: wanted[name] for name in changed},
        payload=payment_out(payment),
    )
    writes.flush()
    return payment
