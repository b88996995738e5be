"""Who may listen to a payment's websocket: whoever may open its page."""

from __future__ import annotations

from core import errors, ids
from core.context import Actor
from core.db import tenant_atomic
from payments.acceptance.models import Payment
from payments.acceptance.selectors import payment_get
from tenants import policies


def may_watch_payment(actor: Actor, public_id: str) -> bool:
    """Whether the payment exists for the actor, in its mode; opens a scope of its own."""
    if not policies.can(actor, "payments.read"):
        return False
    try:
        payment_id = ids.decode(Payment.PREFIX, public_id)
        with tenant_atomic(actor.scope):
            payment_get(payment_id=payment_id, livemode=actor.livemode)
    except errors.NotFound:
        return False
    return True
