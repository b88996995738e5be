"""Places where the crash tests kill the process for real.

A test starts a process with CRASH_AT set to a name; reaching the point then is a `kill -9` from
inside, so that no handler, `finally` or exit hook softens it. Without the variable this is a
comparison with an empty string.
"""

from __future__ import annotations

import os
import signal

_CRASH_AT = os.environ.get("CRASH_AT", "")


def crash_point(name: str) -> None:
    """Die here if a crash test asked for it."""
    if _CRASH_AT and name == _CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)
