"""Mail on its way out: one door, with a time-out, the deadline, and a breaker for the server."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.core.mail import get_connection, send_mail

from core import deadline
from core.breaker import Breaker, BreakerOpen

_OPEN_S: Final = 15.0
_breaker = Breaker("mail server", failures=2, open_s=_OPEN_S, open_max_s=120.0)


class MailAway(OSError):
    """Nothing was sent: the mail server has not answered lately."""


def mail_send(*, to: Sequence[str], subject: str, text: str) -> None:
    """Hand one plain-text mail to the mail server.

    Connecting, and each answer of the server, may take EMAIL_TIMEOUT or what is left of the
    deadline. Never in a request: a task sends, and a sweep repeats what could not be sent.

    Raises:
        OSError: the server does not answer, or refused the mail.
    """
    timeout_s = deadline.cap_s(settings.EMAIL_TIMEOUT)
    try:
        _breaker.check()
    except BreakerOpen as error:
        raise MailAway(str(error)) from None
    try:
        send_mail(
            # A line break in a name must not become a mail header.
            subject=" ".join(subject.split()),
            message=text,
            from_email=None,
            recipient_list=list(to),
            connection=get_connection(timeout=timeout_s),
        )
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
        # It answered: it does not take this mail.
        _breaker.succeeded()
        raise
    except OSError:
        _breaker.failed()
        raise
    except BaseException:
        _breaker.abandoned()
        raise
    _breaker.succeeded()
