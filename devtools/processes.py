"""Processes by pid *and* start time, for the system reuses a pid for another process."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

#: Marks every process of one platform, with the path of its state folder as the value.
MARK = "MERCHANTRY_STATE"


def start_mark(pid: int) -> int | None:
    """When the process began (in units of this system); None if it is dead or a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            # Field 22, counted behind the name, which may itself hold spaces and brackets. Unlike
            # psutil's create_time it does not move when the clock is set.
            return int(stat.read_text().rpartition(")")[2].split()[19])
        return int(process.create_time() * 100)
    except (psutil.Error, OSError, ValueError):
        return None


def is_same(pid: int, started: int | None) -> bool:
    """Whether the process that was recorded is still alive."""
    return started is not None and start_mark(pid) == started


def wait_gone(pid: int, started: int | None, *, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_same(pid, started):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(pid: int, started: int | None, *, with_signal: int, timeout_s: float) -> None:
    """Ask a recorded process to end; after the time, end it and its group by force."""
    if is_same(pid, started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, with_signal)
        if not wait_gone(pid, started, timeout_s=timeout_s):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            wait_gone(pid, started, timeout_s=5)


def stop_marked(state_folder: Path) -> int:
    """End by force what still runs with the mark of this state folder; returns how many.

    For the children of a process that was itself killed: their pids are not recorded.
    """
    stopped = 0
    wanted = str(state_folder)
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == wanted:
                process.kill()
                stopped += 1
    return stopped
