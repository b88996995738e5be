"""The one place where sessions are locked: before payments, and short."""

from __future__ import annotations

import uuid

from core.errors import NotFound
from payments.checkout.models import CheckoutSession


def lock_session(session_id: uuid.UUID) -> CheckoutSession:
    """The session, locked until the open transaction ends.

    Raises:
        NotFound: no such session in this scope.
    """
    session = CheckoutSession.objects.select_for_update(no_key=True).filter(pk=session_id).first()
    if session is None:
        raise NotFound("There is no such checkout session.")
    return session
