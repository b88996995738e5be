"""A payer who comes back from the challenge: learn what it came to before the shop reads it."""

from __future__ import annotations

from typing import Final

import structlog

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import AppError, NotFound
from payments.intents.channels import Outcome, channel_named
from payments.intents.models import Intent
from payments.intents.selectors import intent_get, intent_merchant
from payments.intents.services.answers import intent_apply
from payments.intents.states import FINAL
from payments.providers.base import ProviderError

log = structlog.get_logger(__name__)

_RETURN: Final = Actor.system("payer-return")


def payer_returned(reference: str) -> str:
    """Ask the provider about an attempt by our reference, and commit what it says.

    It takes no longer than any call for which a caller waits. Without an answer the attempt is
    left to the provider's event.

    Returns:
        where the payer goes on to; empty where the attempt names no place, or is none of ours.
    """
    intent = _attempt(reference)
    if intent is None:
        return ""
    if intent.state not in FINAL:
        try:
            _learn(intent)
        except (ProviderError, AppError) as error:
            log.warning("intent.not_asked", intent_id=reference, error_type=type(error).__name__)
    return intent.return_url


def _learn(intent: Intent) -> None:
    answer = channel_named(intent.channel).query(intent)
    if answer.found and answer.outcome is not Outcome.UNKNOWN:
        intent_apply(intent=intent, answer=answer, actor=_RETURN)


def _attempt(reference: str) -> Intent | None:
    intent_id = ids.decode_or_none(Intent.PREFIX, reference)
    if intent_id is None:
        return None
    try:
        with tenant_atomic(Scope.intake()):
            merchant_id = intent_merchant(intent_id=intent_id)
        with tenant_atomic(Scope.merchant(merchant_id)):
            return intent_get(intent_id=intent_id)
    except NotFound:
        return None
