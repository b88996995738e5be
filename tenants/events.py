"""The events of this room. Integrators see none of them."""

from __future__ import annotations

from typing import Final

from core.events import Audience, declare

MERCHANT_CREATED: Final = declare(
    "merchant.created", "A reseller signed up a merchant.", seen_by=Audience.INTERNAL
)
MERCHANT_STATUS_CHANGED: Final = declare(
    "merchant.status_changed",
    "A merchant was activated, suspended or closed.",
    seen_by=Audience.PORTAL,
)
RESELLER_STATUS_CHANGED: Final = declare(
    "reseller.status_changed",
    "A reseller was activated, suspended or closed.",
    seen_by=Audience.INTERNAL,
)
INVITATION_CREATED: Final = declare(
    "invitation.created",
    "A person was invited to a team; the mail is due.",
    seen_by=Audience.PORTAL,
)
PASSWORD_RESET_REQUESTED: Final = declare(
    "user.password_reset_requested",
    "A person asked for a new password; the mail is due.",
    seen_by=Audience.INTERNAL,
)
SIGN_IN_LINK_REQUESTED: Final = declare(
    "user.sign_in_link_requested",
    "A person asked for a link that lets their browser sign in; the mail is due.",
    seen_by=Audience.INTERNAL,
)
