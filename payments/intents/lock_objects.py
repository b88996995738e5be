"""The one place where intents are locked; short, and by primary key."""

from __future__ import annotations

import uuid

from payments.intents.models import Intent


def lock_intent(intent_id: uuid.UUID) -> Intent:
    """The intent, locked until the open transaction ends."""
    return Intent.objects.select_for_update(no_key=True).get(pk=intent_id)
