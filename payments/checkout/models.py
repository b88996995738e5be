"""Checkout sessions: one thing to pay, on a page of ours, until it is paid or out of time."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.card_columns import Exempt
from core.models import TenantOwned
from payments.acceptance.models import Customer, Payment
from payments.checkout.states import SessionStatus

#: How long a payer has.
SESSION_LIFETIME: Final = dt.timedelta(hours=24)


def default_expiry() -> dt.datetime:
    """When a session that is made now runs out."""
    return timezone.now() + SESSION_LIFETIME


class CheckoutSession(TenantOwned):
    """What a payer is asked to pay. `amount_minor` is in minor units of `currency` and never moves.

    The page's address carries a secret of 128 random bits, of which only the SHA-256 is stored;
    the answer that is kept for repetitions of the same request is sealed.
    At most one attempt is alive at a time: starting one takes the row's lock, and `payment` is the
    attempt that counts.
    """

    CARD_NUMBERS: ClassVar = {
        "secret_digest": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "cs"

    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=5)
    status = models.CharField(
        max_length=12, choices=SessionStatus.choices, default=SessionStatus.OPEN
    )
    manual_capture = models.BooleanField(default=False)
    description = models.CharField(max_length=500, blank=True)
    reference = models.CharField(max_length=100, blank=True)
    statement_descriptor = models.CharField(max_length=22, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    customer = models.ForeignKey(
        Customer, null=True, on_delete=models.PROTECT, related_name="checkout_sessions"
    )
    payment = models.ForeignKey(
        Payment, null=True, on_delete=models.PROTECT, related_name="checkout_sessions"
    )
    success_url = models.CharField(max_length=500, blank=True)
    cancel_url = models.CharField(max_length=500, blank=True)
    return_origin = models.CharField(
        max_length=270, blank=True, help_text="Scheme and host that the payer goes back to."
    )
    secret_digest = models.BinaryField(max_length=32, help_text="SHA-256 of the page's secret.")
    expires_at = models.DateTimeField(default=default_expiry)
    completed_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True, help_text="When the merchant closed it.")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="checkout_session_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(status__in=SessionStatus.values), name="checkout_session_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[SessionStatus.PROCESSING, SessionStatus.COMPLETE])
                | Q(payment__isnull=False),
                name="checkout_session_paid_by_payment",
            ),
            models.UniqueConstraint(
                fields=["merchant_id", "livemode", "id"], name="checkout_session_of_merchant"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "livemode", "-id"], name="checkout_session_newest"),
            models.Index(
                fields=["reseller_id", "livemode", "-id"], name="checkout_session_reseller"
            ),
            # Staff look for a reference among all merchants.
            models.Index(
                fields=["reference", "merchant_id"],
                name="checkout_session_reference",
                condition=~Q(reference=""),
            ),
            models.Index(
                fields=["expires_at"],
                name="checkout_session_to_expire",
                condition=Q(status__in=[SessionStatus.OPEN, SessionStatus.PROCESSING]),
            ),
        ]


class CheckoutAttempt(TenantOwned):
    """One try to pay a session: a payment of its own. A page's key makes one attempt at most."""

    PREFIX: ClassVar[str] = "csa"
    UNRECORDED: ClassVar[str] = "session and payment, which it joins, are recorded"

    session = models.ForeignKey(CheckoutSession, on_delete=models.PROTECT, related_name="attempts")
    payment = models.OneToOneField(
        Payment, on_delete=models.PROTECT, related_name="checkout_attempt"
    )
    key = models.CharField(max_length=64, help_text="Minted by the page for one submit.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "key"], name="checkout_attempt_once"),
        ]
