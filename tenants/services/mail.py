"""Mails of the tenants room: invitations, password resets and sign-in links, in plain text.

A mail is a row (`DueMail`) before it is a task: neither a lost broker nor a mail server that is
down loses it, because the sweep sends what is due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import quote
from uuid import UUID

import structlog
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from core.db import Scope, after_commit, assert_outside_transaction, tenant_atomic
from core.enqueue import enqueue
from core.mail import mail_send
from tenants.lock_objects import lease_due_mail
from tenants.models import DueMail, Invitation, SignInLink, User
from tenants.services.passwords import reset_link_issue
from tenants.services.sign_in_links import LINK_LIFETIME, sign_in_link_token
from tenants.services.team import invitation_token

log = structlog.get_logger(__name__)

#: How long a mail is worth sending.
_KEPT_FOR: Final = {
    DueMail.Kind.INVITATION: timedelta(days=7),
    DueMail.Kind.RESET: timedelta(days=1),
    DueMail.Kind.SIGN_IN_LINK: LINK_LIFETIME,
}
BATCH: Final = 20


def mail_due(*, kind: DueMail.Kind, subject_id: UUID, event_id: UUID) -> None:
    """Have a mail sent: write it down, then wake a worker. Asked twice by one event, it is one."""
    now = timezone.now()
    row = DueMail(
        event_id=event_id,
        kind=kind,
        subject_id=subject_id,
        due_at=now,
        expires_at=now + _KEPT_FOR[kind],
    )
    with tenant_atomic(Scope.worker()):
        DueMail.objects.bulk_create([row], ignore_conflicts=True)
        after_commit(lambda: enqueue("tenants.send_due_mail"))


def mail_send_due(*, limit: int = BATCH) -> int:
    """Send what is due, the longest waiting first; return how many mails the server took.

    What it does not take is tried again after one minute, two, four, … an hour, until it expires.
    """
    assert_outside_transaction("sending mail")
    sent = 0
    for _ in range(limit):
        # One at a time: a mail that raises holds no other back.
        with tenant_atomic(Scope.worker()):
            leased = lease_due_mail()
        if leased is None:
            break
        sent += _send_one(leased)
    return sent


def _send_one(row: DueMail) -> bool:
    sent = False
    if row.expires_at > timezone.now():
        try:
            match row.kind:
                case DueMail.Kind.INVITATION:
                    sent = invitation_mail(invitation_id=row.subject_id)
                case DueMail.Kind.RESET:
                    sent = password_reset_mail(user_id=row.subject_id)
                case DueMail.Kind.SIGN_IN_LINK:
                    sent = sign_in_link_mail(link_id=row.subject_id)
        except OSError as error:
            log.warning("mail.not_sent", record_id=str(row.id), error_type=type(error).__name__)
            return False
    else:
        log.error("mail.given_up", record_id=str(row.id), attempts=row.attempts)
    with tenant_atomic(Scope.worker()):
        DueMail.objects.filter(id=row.id).delete()
    return sent


def invitation_link(invitation_id: UUID) -> str:
    """The address at which an invitation is accepted, by any holder of the link."""
    return f"{settings.BASE_URL}/invitations/{quote(invitation_token(invitation_id))}"


def invitation_mail(*, invitation_id: UUID) -> bool:
    """Send the link of an open invitation; False when it was withdrawn or used in between."""
    with tenant_atomic(Scope.auth()):
        row = (
            Invitation.objects.select_related("platform", "reseller", "merchant")
            .defer("token_digest")
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
    token = reset_link_issue(user=user)
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
    mail_send(to=[to], subject=subject, text=render_to_string(template, context))
