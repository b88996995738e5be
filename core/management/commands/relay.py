from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core import relay


class Command(BaseCommand):
    help = "Deliver committed events to their subscribers and seal the audit log, until stopped."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="Deliver what is waiting, then stop."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            while relay.relay_once():
                pass
            return
        stop = threading.Event()
        # The batch in hand is finished and marked; nothing is left leased for a minute.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        relay.run(stop)
