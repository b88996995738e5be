"""Forgotten passwords: the mailed link, and setting a new one."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import events, keys, policies
from tenants.lock_objects import lock_user
from tenants.models import PasswordReset, User
from tenants.models.people import normalise_email
from tenants.places import Place
from tenants.selectors import roles_of
from tenants.services import login_guard, mail_limits
from tenants.services.sessions import stranger, user_actor

_RESET_PURPOSE: Final = "password_reset"


class ResetTokens(PasswordResetTokenGenerator):
    """Tokens of reset links: good until the next login or the next password."""

    key_salt = "tenants.services.passwords.ResetTokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        """What a token is bound to: Django's own takes the hash of the password."""
        return f"{user.pk}{user.login_stamp}{user.last_login or ''}{timestamp}{user.email}"


reset_tokens: Final = ResetTokens()


def password_reset_request(*, email: str, place: Place) -> None:
    """Send a reset link if the address has an account; says nothing either way.

    One mail per address and day for strangers; from a place that the account knows, five. Its link
    is good for longer than that day (PASSWORD_RESET_TIMEOUT), no matter who asked for it.

    Raises RateLimited, for an unknown address too: a mail was asked for already, or this network
    asks for many.
    """
    address = normalise_email(email)
    with tenant_atomic(Scope.auth()):
        user = User.objects.filter(email=address, is_active=True).first()
    known = login_guard.known_kinds(user_id=user.id if user else None, place=place)
    with tenant_atomic(Scope.auth()):
        mail_limits.reset_take(email=address, place=place, is_known=bool(known))
        writes = Writes()
        writes.record(
            user,
            action="user.password_reset_requested",
            event=events.PASSWORD_RESET_REQUESTED if user else None,
            actor=user_actor(user, ip=place.ip) if user else stranger(ip=place.ip),
        )
        writes.flush()


def password_reset_send(*, actor: Actor, user_id: UUID) -> None:
    """Send a reset link on behalf of support staff; joins the admin's transaction.

    Raises PermissionDenied: the actor may not do that for a person of these roles.
    """
    with tenant_atomic(actor.scope):
        if not policies.may_act(actor, policies.PersonAction.SEND_RESET, *roles_of(user_id)):
            raise errors.PermissionDenied(
                "Your role does not allow this for this person.", code="person_protected"
            )
        writes = Writes()
        writes.record(
            User(id=user_id),
            action="user.password_reset_sent",
            event=events.PASSWORD_RESET_REQUESTED,
            actor=actor,
        )
        writes.flush()


def reset_link_issue(*, user: User) -> str:
    """The token of a link for the mail to this person: a worker's part, as only workers write it.

    Made twice within a second it is the same token.
    """
    token = reset_tokens.make_token(user)
    row = PasswordReset(
        user_id=user.id,
        token_digest=keys.digest(token, purpose=_RESET_PURPOSE).value,
        expires_at=timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
    )
    with tenant_atomic(Scope.worker()):
        PasswordReset.objects.bulk_create([row], ignore_conflicts=True)
    return token


def reset_token_user(*, user_id: UUID, token: str) -> User:
    """The person whose reset link this is. Raises NotFound for an old or used one."""
    with tenant_atomic(Scope.auth()):
        user = User.objects.filter(id=user_id).first()
    if user is None or not user.is_active or not reset_tokens.check_token(user, token):
        raise _link_invalid()
    return user


def password_set(*, user: User, token: str, password: str, place: Place) -> None:
    """Set a new password by a mailed link and end every token; sessions end by their hash.

    The link proves access to the account's mail, and so the owner: from this place the account may
    log in whatever others guess, and no earlier place is trusted any more.

    Raises InvalidRequest with what the password lacks, NotFound for a link that is too old or was
    used meanwhile.
    """
    check_password_strength(password, user=user)
    user.set_password(password)
    with tenant_atomic(Scope.auth()):
        # A statement of its own: the next one then sees what others stored before they released it.
        lock_user(user.id)
        # No scope of the web process may write the column: the function does, for a mailed link.
        done = fetch_one(
            "SELECT tenants_password_set(%s, %s, %s, %s)",
            [
                user.id,
                keys.digests(token, purpose=_RESET_PURPOSE),
                user.password,
                user.login_stamp,
            ],
        )
        if done != (True,):
            raise _link_invalid()
        writes = Writes()
        writes.sql(
            "UPDATE tenants_refreshtoken SET revoked_at = now()"
            " WHERE user_id = %s AND revoked_at IS NULL RETURNING 1",
            [user.id],
        )
        login_guard.places_forget(writes, user_id=user.id)
        writes.record(
            user, action="user.password_set", event=None, actor=user_actor(user, ip=place.ip)
        )
        writes.flush()
        # Its own statement: one that deletes a row and inserts it again would do only one of both.
        login_guard.place_remember(writes, user_id=user.id, place=place)
        writes.flush()
    login_guard.account_forget(account=user.email)
    mail_limits.reset_give_back(email=user.email)


def _link_invalid() -> errors.NotFound:
    return errors.NotFound(
        "This link is too old or was used already. Ask for a new one.",
        code="reset_link_invalid",
    )


def check_password_strength(password: str, *, user: User | None = None) -> None:
    """Raise InvalidRequest with everything that the password lacks, in one message."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise errors.InvalidRequest(
            " ".join(error.messages), code="password_weak", param="password"
        ) from error
