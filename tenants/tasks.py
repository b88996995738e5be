"""Celery entry points of the tenants room, and the events that start them."""

from __future__ import annotations

from celery import shared_task

from core.ids import decode
from core.models import OutboxEvent
from tenants.models import DueMail, Invitation, SignInLink, User
from tenants.services import mail


@shared_task(name="tenants.send_due_mail")
def send_due_mail() -> None:
    """Send the mails that are due; also a sweep, for the mails whose call was lost."""
    mail.mail_send_due()


def on_invitation_created(event: OutboxEvent) -> None:
    """The relay reports a new invitation: mail it. Mailed twice is no harm."""
    mail.mail_due(
        kind=DueMail.Kind.INVITATION,
        subject_id=decode(Invitation.PREFIX, event.aggregate),
        event_id=event.id,
    )


def on_password_reset_requested(event: OutboxEvent) -> None:
    """The relay reports that a person forgot a password."""
    mail.mail_due(
        kind=DueMail.Kind.RESET,
        subject_id=decode(User.PREFIX, event.aggregate),
        event_id=event.id,
    )


def on_sign_in_link_requested(event: OutboxEvent) -> None:
    """The relay reports that a person asked for a sign-in link."""
    mail.mail_due(
        kind=DueMail.Kind.SIGN_IN_LINK,
        subject_id=decode(SignInLink.PREFIX, event.aggregate),
        event_id=event.id,
    )
