"""Celery entry points of the tenants room, and the events that start them."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from core.ids import decode
from core.models import OutboxEvent
from tenants import mail
from tenants.models import Invitation, SignInLink, User


@shared_task(name="tenants.send_invitation")
def send_invitation(invitation_id: str) -> None:
    """Mail an invitation's link."""
    mail.invitation_mail(invitation_id=UUID(invitation_id))


@shared_task(name="tenants.send_password_reset")
def send_password_reset(user_id: str) -> None:
    """Mail a password reset link."""
    mail.password_reset_mail(user_id=UUID(user_id))


@shared_task(name="tenants.send_sign_in_link")
def send_sign_in_link(link_id: str) -> None:
    """Mail a sign-in link."""
    mail.sign_in_link_mail(link_id=UUID(link_id))


def on_invitation_created(event: OutboxEvent) -> None:
    """The relay tells of a new invitation: mail it. Mailed twice is no harm."""
    send_invitation.delay(str(decode(Invitation.PREFIX, event.aggregate)))


def on_password_reset_requested(event: OutboxEvent) -> None:
    """The relay tells that somebody forgot a password."""
    send_password_reset.delay(str(decode(User.PREFIX, event.aggregate)))


def on_sign_in_link_requested(event: OutboxEvent) -> None:
    """The relay reports that somebody asked for a sign-in link."""
    send_sign_in_link.delay(str(decode(SignInLink.PREFIX, event.aggregate)))
