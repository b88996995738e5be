"""Every write on checkout sessions.

- `sessions`: the merchant's and the payer's moves, and what follows from the payment
- `recording`: what every change writes beside the row: audit record and event
"""

from payments.checkout.services.sessions import (
    CHANNEL,
    MAX_ATTEMPTS,
    CardEntryUnavailable,
    SessionDraft,
    expire_due,
    session_create,
    session_expire,
    session_follow,
    session_give_up,
    session_of_payment,
    session_pay,
    session_refresh,
    session_tokenise,
)

__all__ = [
    "CHANNEL",
    "MAX_ATTEMPTS",
    "CardEntryUnavailable",
    "SessionDraft",
    "expire_due",
    "session_create",
    "session_expire",
    "session_follow",
    "session_give_up",
    "session_of_payment",
    "session_pay",
    "session_refresh",
    "session_tokenise",
]
