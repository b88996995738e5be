"""How many mails a stranger can send to one address: every mail of that kind is counted here.

A stranger who uses a limit up must not keep the owner out. So a mail that is counted here carries a
link that lets its reader in, wherever it is opened, for at least as long as the limit stays closed;
and one that the owner has used is given back. While no mail can be asked for, one that works is in
the mailbox.

Counters are kept by the address alone, whether or not it has an account, so a refusal says nothing
about that. They are part of the caller's transaction: a mail that is not sent after all is not
counted.
"""

from __future__ import annotations

from typing import Final

from core.attempts import Throttle, attempts_give_back, mail_take
from core.errors import RateLimited
from tenants.places import Place

DAY_S: Final = 86_400

#: Invitations of all tenants together; each tenant alone has one per address and day.
INVITATIONS: Final = Throttle(
    "mail_invitation", free=5, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S
)
RESETS: Final = Throttle("mail_reset", free=1, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S)
#: Asked for from a place that the account knows: strangers cannot use these up.
RESETS_KNOWN: Final = Throttle(
    "mail_reset_known", free=5, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S
)
#: One network alone cannot ask for all of them.
SIGN_IN_HERE: Final = Throttle(
    "mail_sign_in_here", free=2, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S
)
SIGN_IN: Final = Throttle(
    "mail_sign_in", free=5, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S
)
#: What one network asks for, to whichever addresses.
ASKED_FROM: Final = Throttle(
    "mail_asked_from", free=20, first_delay_s=60, max_delay_s=3600, leak_s=600
)


def reset_take(*, email: str, place: Place, is_known: bool) -> None:
    """Count a password-reset mail. Raises RateLimited (``mail_sent_already``)."""
    _take(ASKED_FROM, place.network, what="network")
    _take(RESETS_KNOWN if is_known else RESETS, email, what="address")


def sign_in_take(*, email: str, place: Place) -> None:
    """Count a sign-in link. Raises RateLimited (``mail_sent_already``)."""
    _take(ASKED_FROM, place.network, what="network")
    _take(SIGN_IN, email, what="address")
    _take(SIGN_IN_HERE, f"{email} {place.network}", what="address")


def sign_in_give_back(*, email: str) -> None:
    """Allow one more sign-in link: the owner has used one. Call it outside a transaction."""
    attempts_give_back((SIGN_IN, email))


def reset_give_back(*, email: str) -> None:
    """Allow one more reset mail: the owner has used one. Call it outside a transaction."""
    attempts_give_back((RESETS, email))


def invitation_take(*, email: str) -> None:
    """Count an invitation of any tenant. Raises RateLimited (``mail_sent_already``)."""
    wait_s = mail_take(INVITATIONS, email)
    if wait_s:
        raise RateLimited(
            f"{email} was invited several times today. The next invitation can be sent "
            f"{in_words(wait_s)}.",
            retry_after_s=wait_s,
            code="mail_sent_already",
        )


def in_words(wait_s: int) -> str:
    """A time to wait as a person reads it: "in 5 minutes", "in 23 hours"."""
    minutes = -(-wait_s // 60)
    if minutes < 120:
        return "in a minute" if minutes == 1 else f"in {minutes} minutes"
    return f"in {-(-minutes // 60)} hours"


def _take(throttle: Throttle, subject: str, *, what: str) -> None:
    wait_s = mail_take(throttle, subject)
    if not wait_s:
        return
    message = (
        "A mail was asked for already. If the address has an account, it is in its mailbox. The "
        "next one can be sent"
        if what == "address"
        else "Many mails were asked for from your network. The next one can be sent"
    )
    raise RateLimited(
        f"{message} {in_words(wait_s)}.", retry_after_s=wait_s, code="mail_sent_already"
    )
