"""Reads of intents; call them inside `tenant_atomic`."""

from __future__ import annotations

import uuid

from core.errors import NotFound
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
