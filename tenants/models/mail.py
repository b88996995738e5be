"""Mails that are due: they wait here until the mail server has taken them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.ids import new_id


class DueMail(models.Model):
    """A mail of this room that has not gone out yet; its row is deleted when it has.

    The text, with its link, is made when the mail is sent: no token is stored.
    """

    class Kind(models.TextChoices):
        INVITATION = "invitation"
        RESET = "reset"
        SIGN_IN_LINK = "sign_in_link"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event_id = models.UUIDField(unique=True, help_text="The event that asked for the mail.")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    subject_id = models.UUIDField(help_text="The invitation, the person, or the link.")
    due_at = models.DateTimeField(help_text="When it is tried next.")
    expires_at = models.DateTimeField(help_text="After this it is of no use to its reader.")
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["due_at"], name="duemail_due")]
