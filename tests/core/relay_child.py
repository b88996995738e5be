"""A relay in a process of its own, for tests that kill it: `relay_child.py LOGFILE [how]`.

`stall` hangs in the first event, `stall-third` in the third; `cut-first` loses the database there.
"""

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

from django.db import OperationalError, connection  # noqa: E402

from core import outbox, relay  # noqa: E402
from core.models import OutboxEvent  # noqa: E402

log = Path(sys.argv[1])
how = sys.argv[2] if len(sys.argv) > 2 else ""
seen = 0


def note(event: OutboxEvent) -> None:
    global seen
    seen += 1
    with log.open("a") as file:
        file.write(f"{os.getpid()} {event.aggregate} {event.type}\n")
    if (how, seen) in (("stall", 1), ("stall-third", 3)):
        time.sleep(120)
    if (how, seen) == ("cut-first", 1):
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")


outbox.subscribe("test.child*", note)
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with log.open("a") as file:
    file.write("ready\n")
relay.run(stop)
