"""The saga: one way in for all money, and one way on for every attempt.

`steps` asks channels; `answers` commits what they said, from a call, a webhook or the poller.
"""

from payments.intents.services.answers import (
    Accepted,
    IntentClaim,
    StepFailed,
    StepRefused,
    audit_exception,
    intent_apply,
)
from payments.intents.services.steps import (
    About,
    Draft,
    Price,
    intent_adopt,
    intent_advance,
    intent_settle,
    intent_submit,
    intent_void,
    intent_withdraw,
    is_withdrawable,
)

__all__ = [
    "About",
    "Accepted",
    "Draft",
    "IntentClaim",
    "Price",
    "StepFailed",
    "StepRefused",
    "audit_exception",
    "intent_adopt",
    "intent_advance",
    "intent_apply",
    "intent_settle",
    "intent_submit",
    "intent_void",
    "intent_withdraw",
    "is_withdrawable",
]
