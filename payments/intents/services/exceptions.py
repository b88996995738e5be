"""The exceptions inbox: what only a person can bring to its end, and how it leaves again."""

from __future__ import annotations

import uuid

from django.utils import timezone

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import Conflict, InvalidRequest
from core.unit import Writes
from payments.intents.lock_objects import lock_intent
from payments.intents.models import Intent
from payments.intents.progress import RESOLVED, Columns, ExceptionLine, exception
from payments.intents.services.answers import audit_exception

_NOTE_MAX = 500


def exception_add(*, intent_id: uuid.UUID, code: str, message: str, actor: Actor) -> Intent:
    """Put an attempt into the inbox; a reason that is on record already changes nothing."""
    with tenant_atomic(Scope.worker()):
        intent = lock_intent(intent_id)
        values = exception(intent, code, message)
        if values:
            exception_save(intent, values, actor)
    return intent


def exception_resolve(*, intent_id: uuid.UUID, note: str, actor: Actor) -> Intent:
    """Take an attempt out of the inbox; the note says what was found and done.

    What was on record is not raised again; a new reason puts the attempt back into the inbox.

    Raises:
        InvalidRequest: no note.
        Conflict: the attempt is not in the inbox.
    """
    said = note.strip()[:_NOTE_MAX]
    if not said:
        raise InvalidRequest("Say in the note what you found and did.", param="note")
    with tenant_atomic(Scope.staff()):
        intent = lock_intent(intent_id)
        if intent.exception_at is None:
            raise Conflict("This attempt is not in the exceptions inbox; nothing was changed.")
        line: ExceptionLine = {
            "at": timezone.now().isoformat(),
            "code": RESOLVED,
            "message": said,
            "by": actor.label or actor.id,
        }
        exception_save(
            intent, {"exception_at": None, "exceptions": [*intent.exceptions, line]}, actor
        )
    return intent


def exception_save(intent: Intent, values: Columns, actor: Actor) -> None:
    """Write columns of a locked attempt; a new line among its exceptions is audited too.

    Raises:
        StaleState: another answer moved the attempt.
    """
    read_version = intent.version
    intent.version = read_version + 1
    for name, value in values.items():
        setattr(intent, name, value)
    writes = Writes()
    writes.update(
        intent, "version", *values, expect={"version": read_version}, what="The payment attempt"
    )
    if "exceptions" in values:
        audit_exception(writes, intent, actor)
    writes.flush()
