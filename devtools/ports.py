"""Ports on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import time

from devtools.say import Stop

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that lingers from the last run does not make a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port if it is free, else one that the system picks."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int) -> None:
    """See that the public port can be had.

    Raises:
        Stop: the number is no port, or another program listens there.
    """
    if not 1 <= port <= 65_535:
        raise Stop(f"{port} is not a port that can be used: choose one between 1024 and 65535.")
    if not is_free(port):
        raise Stop(
            f"Port {port} cannot be had: another program listens there, or this user may not use "
            "it. Stop that program, or choose another port: "
            f"./dev up --port {next_free(port)}"
        )


def next_free(port: int) -> int:
    """The next free port above that is easy to remember."""
    for candidate in range(max(port, 1024) + 10, 65_000, 10):
        if is_free(candidate):
            return candidate
    return port + 10


def answers(port: int, *, within_s: float) -> bool:
    """Whether something accepts connections on the port before the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        time.sleep(0.1)
    return False
