"""What worker, beat and relay do, in one process: `python -m tests.browser.background`."""

from __future__ import annotations

import signal
import threading

import django

django.setup()

from django.db import InterfaceError, OperationalError  # noqa: E402

from core import relay  # noqa: E402
from core.tasks import sweep_inbox  # noqa: E402
from notifications.services.delivery import send_due  # noqa: E402
from payments.intents.services.recovery import due_intents, intent_check  # noqa: E402
from payments.providers.adapters.sandbox import delivery  # noqa: E402
from tenants.services.mail import mail_send_due  # noqa: E402

_EVERY_S = 0.25


def _sweep(stop: threading.Event) -> None:
    """The sandbox bank's own clock, and every sweep that a worker or the sender would do."""
    while not stop.wait(_EVERY_S):
        try:
            delivery.deliver_due()
            sweep_inbox()
            for intent_id in due_intents():
                intent_check(intent_id=intent_id)
            mail_send_due()
            send_due()
        except (OperationalError, InterfaceError):
            stop.wait(1)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sweeper = threading.Thread(target=_sweep, args=[stop], daemon=True)
    sweeper.start()
    relay.run(stop)


if __name__ == "__main__":
    main()
