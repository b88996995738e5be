"""Mail of the development platform: written to a file that a developer can read.

The console backend prints mails into the processes' logs, whose scrubber hides the very links that
they are for. In production the setting MAIL_FILE is unset, and this backend refuses to send.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from core.times import iso


class MailFileBackend(BaseEmailBackend):
    """Appends each mail to MAIL_FILE as text: when, to whom, about what, and the body."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        if not settings.MAIL_FILE:
            raise ImproperlyConfigured(
                "core.mail_file writes mails to a file for developers and needs MAIL_FILE; name "
                "the mail server with EMAIL_URL instead."
            )
        text = "".join(map(_readable, email_messages))
        path = Path(settings.MAIL_FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Links in mails let people in: the file is its owner's alone.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            # Web and workers write to it, each mail in one piece.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
        return len(email_messages)


def _readable(message: EmailMessage) -> str:
    return (
        f"{iso(timezone.now())}\nFrom: {message.from_email}\nTo: {', '.join(message.to)}\n"
        f"Subject: {message.subject}\n\n{message.body.rstrip()}\n\n{'-' * 72}\n"
    )
