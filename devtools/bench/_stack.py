"""A platform of the benchmark's own: the processes and settings of production, on empty data."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from devtools import say, stack, up
from devtools.fleet import Ports, services
from devtools.home import ROOT, Home, read_json
from devtools.ports import HOST, next_free
from devtools.postgres import forget_elsewhere
from devtools.say import Stop
from devtools.supervisor import Supervisor, ignore_stop_signals, interruptible


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform: where it is, what it holds, and how to ask its database."""

    #: Of the entry, and of the web process behind it.
    port: int
    web_port: int
    demo: dict[str, Any]
    admin_url: str
    supervisor: Supervisor
    #: What `manage.py` needs to reach the same database.
    env: dict[str, str]

    @property
    def pids(self) -> dict[str, int]:
        """Of every process, the servers among them."""
        return self.supervisor.pids()

    def web_memory_mb(self) -> float:
        """Resident memory of the web server's processes together."""
        leader = psutil.Process(self.pids["web"])
        processes = [leader, *leader.children(recursive=True)]
        return float(sum(process.memory_info().rss for process in processes)) / 1_048_576


@contextlib.contextmanager
def platform(*, wanted: tuple[str, ...], extra_env: dict[str, str]) -> Iterator[Platform]:
    """Start PostgreSQL (with every commit on the disk), Valkey and the wanted processes."""
    # Not under /tmp, which may be memory: a commit has to reach a disk.
    parent = ROOT / ".dev"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder, interruptible():
        os.chmod(folder, 0o711)
        home = Home(Path(folder))
        home.make()
        supervisor = Supervisor(home)
        try:
            yield _start(supervisor, wanted, extra_env)
        finally:
            ignore_stop_signals()
            supervisor.stop_all()
            forget_elsewhere(home)


def _start(supervisor: Supervisor, wanted: tuple[str, ...], extra: dict[str, str]) -> Platform:
    home = supervisor.home
    ports = Ports.behind(next_free(18_000))
    base_url = f"http://{HOST}:{ports.entry}"
    secrets = stack.read_secrets(home)
    servers = stack.start_servers(
        supervisor, secrets, options=("shared_preload_libraries=pg_stat_statements",)
    )
    env = stack.platform_env(home, secrets, base_url=base_url) | extra
    env |= stack.provision(home, secrets, servers)
    up.migrate(env)
    up.seed(home, env)
    with say.timed(f"starting {', '.join(wanted)}", "ready"):
        for service in services(home, env, ports):
            if service.name in wanted:
                supervisor.start(service)
        up.wait_until_ready(
            supervisor, base_url, streams=ports.streams if "streams" in wanted else None
        )
    return Platform(
        port=ports.entry,
        web_port=ports.web,
        demo=read_json(home.demo_file),
        admin_url=servers.admin_url,
        supervisor=supervisor,
        env=env,
    )


@contextlib.contextmanager
def restarting(running: Platform) -> Iterator[None]:
    """Within the block a process that dies is started again, as an orchestrator would."""
    over = threading.Event()
    watch = threading.Thread(target=running.supervisor.watch, args=(over.is_set,))
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


class Load:
    """A load generator's process; `program` is the module that it runs."""

    def __init__(self, program: str = "devtools.bench._load") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", program],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, **plan: Any) -> dict[str, Any]:
        """Run one plan of `_load` and return its outcome; anything but 2xx is an error.

        Raises:
            Stop: the server refused a request, or the connection broke.
        """
        outcome = self.try_to_send(**plan)
        refused = {
            status: count
            for status, count in outcome.get("statuses", {}).items()
            if not status.startswith("2")
        }
        if outcome.get("error") or refused or not outcome:
            example = json.dumps(outcome.get("replies", [""])[:1])[:600]
            raise Stop(
                f"The load on {plan.get('path')} failed: "
                f"{outcome.get('error') or refused} {example}"
            )
        return outcome

    def try_to_send(self, **plan: Any) -> dict[str, Any]:
        """As `send`, whatever the answers are."""
        self.begin(**plan)
        return self.outcome()

    def begin(self, **plan: Any) -> None:
        """Start on a plan; `outcome` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(plan) + "\n")
        self._process.stdin.flush()

    def outcome(self) -> dict[str, Any]:
        """What became of the plan that was begun last."""
        assert self._process.stdout is not None
        outcome: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return outcome
