"""A relay in a process of its own, for tests that kill it: `relay_child.py LOGFILE [stall]`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import django

django.setup()

from core import outbox, relay  # noqa: E402
from core.models import OutboxEvent  # noqa: E402

log = Path(sys.argv[1])
stall = "stall" in sys.argv


def note(event: OutboxEvent) -> None:
    with log.open("a") as file:
        file.write(f"{os.getpid()} {event.aggregate} {event.type}\n")
    if stall:
        time.sleep(60)


outbox.subscribe("test.child", note)
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with log.open("a") as file:
    file.write("ready\n")
relay.run(stop)
