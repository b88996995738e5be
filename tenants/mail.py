"""Mails of the tenants room: invitations, password resets and sign-in links, in plain text."""

from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from core.db import Scope, tenant_atomic
from tenants.models import Invitation, SignInLink, User
from tenants.services.passwords import reset_tokens
from tenants.services.sign_in_links import sign_in_link_token
from tenants.services.team import invitation_token


def invitation_link(invitation_id: UUID) -> str:
    """The address at which an invitation is accepted; whoever knows it may."""
    return f"{settings.BASE_URL}/invitations/{quote(invitation_token(invitation_id))}"


def invitation_mail(*, invitation_id: UUID) -> bool:
    """Send the link of an open invitation; False when it was withdrawn or used in between."""
    with tenant_atomic(Scope.auth()):
        row = (
            Invitation.objects.select_related("platform", "reseller", "merchant")
            .filter(
                id=invitation_id,
                accepted_at__isnull=True,
                revoked_at__isnull=True,
                expires_at__gt=timezone.now(),
            )
            .first()
        )
    if row is None:
        return False
    tenant = row.merchant or row.reseller or row.platform
    name = tenant.name if tenant is not None else "Merchantry"
    link = invitation_link(row.id)
    _send(
        to=row.email,
        subject=f"Join {name} on Merchantry",
        template="tenants/mail/invitation.txt",
        context={"tenant": name, "role": row.role, "link": link},
    )
    return True


def password_reset_mail(*, user_id: UUID) -> bool:
    """Send a reset link; False when the person is gone or deactivated."""
    with tenant_atomic(Scope.auth()):
        user = User.objects.filter(id=user_id, is_active=True).first()
    if user is None:
        return False
    token = reset_tokens.make_token(user)
    link = f"{settings.BASE_URL}/password/reset/{user.public_id}/{token}"
    _send(
        to=user.email,
        subject="Set a new password",
        template="tenants/mail/password_reset.txt",
        context={"name": user.get_full_name(), "link": link},
    )
    return True


def sign_in_link_mail(*, link_id: UUID) -> bool:
    """Send a sign-in link; False when it is used or too old, or the person is deactivated."""
    with tenant_atomic(Scope.auth()):
        row = (
            SignInLink.objects.select_related("user")
            .defer("user__password")
            .filter(
                id=link_id,
                used_at__isnull=True,
                expires_at__gt=timezone.now(),
                user__is_active=True,
            )
            .first()
        )
    if row is None:
        return False
    link = f"{settings.BASE_URL}/login/link/{quote(sign_in_link_token(row.id))}"
    _send(
        to=row.user.email,
        subject="Sign in from your browser",
        template="tenants/mail/sign_in_link.txt",
        context={"name": row.user.get_full_name(), "link": link},
    )
    return True


def _send(*, to: str, subject: str, template: str, context: dict[str, str]) -> None:
    # A line break in a tenant's name must not become a mail header.
    send_mail(
        subject=" ".join(subject.split()),
        message=render_to_string(template, context),
        from_email=None,
        recipient_list=[to],
    )
