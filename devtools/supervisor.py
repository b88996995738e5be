"""Start processes, write down which they are, restart what crashes, stop them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools import processes, say
from devtools.home import Home
from devtools.say import Stop

#: Services are stopped in this order: first what takes work in, last what holds the data.
STOP_ORDER = (
    "entry",
    "web",
    "streams",
    "beat",
    "relay",
    "worker",
    "sender",
    "valkey",
    "postgres",
)

#: The first restart comes at once: callers of the process wait for it.
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 30.0
#: A process that ran this long was healthy: its next crash begins with the short pause again.
HEALTHY_AFTER_S = 60.0


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP asked to stop."""


@dataclass(slots=True)
class Service:
    """A process to keep alive."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 15
    popen: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    started: int | None
    since: float
    pause_s: float = BACKOFF_FIRST_S
    restart_at: float | None = None


class Supervisor:
    """The processes of one platform. Its user must hold the lock of the state folder."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.facts: dict[str, Any] = {}
        self._running: dict[str, _Running] = {}

    def start(self, service: Service) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to `log/<name>.log`."""
        process = self._spawn(service)
        self._running[service.name] = _Running(
            service, process, processes.start_mark(process.pid), time.monotonic()
        )
        self.write_down()
        return process

    def pids(self) -> dict[str, int]:
        """The processes that run, by name."""
        return {name: running.process.pid for name, running in self._running.items()}

    def log_of(self, name: str) -> Path:
        return self.home.log_of(name)

    def write_down(self) -> None:
        """Record who runs, so that after a crash of this process the next one finds them."""
        self.home.write_state(
            {
                "supervisor": {"pid": os.getpid(), "started": processes.start_mark(os.getpid())},
                **self.facts,
                "services": {
                    name: {"pid": running.process.pid, "started": running.started}
                    for name, running in self._running.items()
                },
            }
        )

    def require_alive(self) -> None:
        """Raise Stop, with the end of its log, if a process has ended during the start."""
        for name, running in self._running.items():
            if running.process.poll() is not None:
                log = self.log_of(name)
                raise Stop(
                    f"The process {name!r} ended during the start (code "
                    f"{running.process.returncode}). The end of {log}:\n{say.tail(log, 20)}"
                )

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Restart what crashes, with growing pauses, until interrupted or `until()` holds."""
        while not until():
            for running in self._running.values():
                self._look_after(running)
            time.sleep(0.2)

    def stop_all(self) -> None:
        """Stop every process in order, each with the time it needs to end its work."""
        for name in sorted(self._running, key=_stop_position):
            running = self._running[name]
            if running.process.poll() is None:
                say.doing(f"stopping {name}")
            _end(running)
        self._running.clear()
        with contextlib.suppress(OSError):
            self.home.state_file.unlink()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        log = self.log_of(service.name)
        _rotate(log)
        with log.open("ab") as output:
            return subprocess.Popen(
                service.command,
                env={**service.env, processes.MARK: str(self.home.path)},
                cwd=service.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches this process alone, which stops the others
                # in order, and what a process leaves behind can be ended with its group.
                start_new_session=True,
                **service.popen,
            )

    def _look_after(self, running: _Running) -> None:
        now = time.monotonic()
        if running.restart_at is None:
            code = running.process.poll()
            if code is None:
                return
            _end_group(running.process.pid)
            if now - running.since > HEALTHY_AFTER_S:
                running.pause_s = BACKOFF_FIRST_S
            running.restart_at = now + running.pause_s
            say.warn(
                f"{time.strftime('%H:%M:%S')} {running.service.name} ended (code {code}); starting "
                f"it again in {running.pause_s:g} s, see {self.log_of(running.service.name)}"
            )
            running.pause_s = min(running.pause_s * 2, BACKOFF_MOST_S)
        elif now >= running.restart_at:
            running.process = self._spawn(running.service)
            running.started = processes.start_mark(running.process.pid)
            running.since, running.restart_at = now, None
            self.write_down()


def stop_recorded(home: Home) -> list[str]:
    """Stop what a supervisor that was killed has left behind; returns the names.

    The caller holds the lock, so that no live supervisor's processes are meant.
    """
    recorded = home.read_state().get("services")
    stopped = []
    if isinstance(recorded, dict):
        for name in sorted(recorded, key=_stop_position):
            pid, started = _identity(recorded[name])
            if processes.is_same(pid, started):
                stopped.append(name)
                processes.stop(
                    pid,
                    started,
                    with_signal=signal.SIGINT if name == "postgres" else signal.SIGTERM,
                    timeout_s=30,
                )
    if processes.stop_marked(home.path):
        stopped.append("what they had started")
    with contextlib.suppress(OSError):
        home.state_file.unlink()
    return stopped


def _identity(entry: object) -> tuple[int, int | None]:
    if isinstance(entry, dict):
        pid, started = entry.get("pid"), entry.get("started")
        if isinstance(pid, int) and pid > 1 and isinstance(started, int):
            return pid, started
    return 0, None


def _stop_position(name: str) -> int:
    return STOP_ORDER.index(name) if name in STOP_ORDER else 0


def _end(running: _Running) -> None:
    process, service = running.process, running.service
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(service.stop_signal)
        try:
            process.wait(timeout=service.stop_timeout_s)
        except subprocess.TimeoutExpired:
            say.warn(f"{service.name} did not end within {service.stop_timeout_s:g} s; ending it")
            _end_group(process.pid)
            process.wait()
    _end_group(process.pid)


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _rotate(log: Path, most_bytes: int = 20_000_000) -> None:
    with contextlib.suppress(OSError):
        if log.stat().st_size > most_bytes:
            log.replace(log.with_suffix(".log.1"))


@contextlib.contextmanager
def interruptible() -> Any:
    """Within the block the signals that mean "stop" raise Interrupted; afterwards they wait."""

    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(signal.Signals(number).name)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_signals() -> None:
    """While stopping, a second Ctrl-C must not cut the work of the first one short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
