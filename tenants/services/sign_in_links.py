"""A proof for owners whose account others guess at: a mailed link that lets their browser try.

The link makes the browser in which it is opened a known place of the account for an hour. It is no
login: password and second factor are still asked for.

It is good for any browser that opens it, and for as long as the mails of strangers can keep the
next one back (`mail_limits`): so a stranger who asks for an owner's links only sends them to the
owner. Reading the mail proves the owner, no matter who asked.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from core import errors, ids
from core.db import Scope, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import events, keys
from tenants.models import SignInLink, User
from tenants.models.people import normalise_email
from tenants.places import Place
from tenants.services import login_guard, mail_limits
from tenants.services.sessions import stranger, user_actor

#: With an hour for the mail to arrive.
LINK_LIFETIME: Final = timedelta(seconds=mail_limits.DAY_S) + timedelta(hours=1)
#: How long a browser that used its link may try; a finished login makes it known for longer.
PASS_LIFETIME: Final = timedelta(hours=1)
_LINK_PURPOSE: Final = "sign_in_link"


def sign_in_link_token(link_id: UUID) -> str:
    """The secret of a link, derived so that the mail task needs only the id."""
    derived = keys.digest(str(link_id), purpose="sign_in_link_token").value
    return base64.urlsafe_b64encode(derived).decode().rstrip("=")


def sign_in_link_request(*, email: str, place: Place) -> None:
    """Mail a link if the address has an account; says nothing either way.

    Raises RateLimited, for an unknown address too.
    """
    address = normalise_email(email)
    with tenant_atomic(Scope.auth()):
        user = User.objects.filter(email=address, is_active=True).first()
        mail_limits.sign_in_take(email=address, place=place)
        link = _new_link(user) if user else None
        writes = Writes()
        if link is not None:
            writes.insert(link)
        writes.record(
            user,
            action="user.sign_in_link_requested",
            event=events.SIGN_IN_LINK_REQUESTED if link else None,
            actor=user_actor(user, ip=place.ip) if user else stranger(ip=place.ip),
            object_id=link.public_id if link else "",
        )
        writes.flush()


def sign_in_link_check(*, token: str) -> UUID:
    """The id of a link that may be used. Raises NotFound: too old, used, or unknown."""
    with tenant_atomic(Scope.auth()):
        row = SignInLink.objects.filter(
            token_digest__in=keys.digests(token, purpose=_LINK_PURPOSE),
            used_at__isnull=True,
            expires_at__gt=timezone.now(),
        ).first()
    if row is None:
        raise errors.NotFound(
            "This link is too old or was used already. Ask for a new one.",
            code="sign_in_link_invalid",
        )
    return row.id


def sign_in_link_use(*, token: str, place: Place) -> str:
    """Let this browser past the account's counter for an hour; returns the account's address.

    One more link may be asked for in its place: the used one no longer lets the owner in.

    Raises as `sign_in_link_check`; the second of two at once finds the link used.
    """
    link_id = sign_in_link_check(token=token)
    with tenant_atomic(Scope.auth()):
        row = fetch_one(
            "UPDATE tenants_signinlink SET used_at = now()"
            " WHERE id = %s AND used_at IS NULL RETURNING user_id",
            [link_id],
        )
        user = User.objects.filter(id=row[0], is_active=True).first() if row else None
        if user is None:
            raise errors.NotFound("This link was used already.", code="sign_in_link_invalid")
        writes = Writes()
        login_guard.device_remember(
            writes, user_id=user.id, device=place.device, lifetime=PASS_LIFETIME
        )
        writes.record(
            user, action="user.sign_in_link_used", event=None, actor=user_actor(user, ip=place.ip)
        )
        writes.flush()
    mail_limits.sign_in_give_back(email=user.email)
    return user.email


def _new_link(user: User) -> SignInLink:
    link_id = ids.new_id()
    token = sign_in_link_token(link_id)
    return SignInLink(
        id=link_id,
        user_id=user.id,
        token_digest=keys.digest(token, purpose=_LINK_PURPOSE).value,
        expires_at=timezone.now() + LINK_LIFETIME,
    )
