"""The processes of the platform: the same commands as in production (README, "In production")."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.home import ROOT, Home
from devtools.ports import HOST, free_port
from devtools.supervisor import Service

#: Names of the processes, in the order in which they are started.
EVERY_PROCESS = ("entry", "web", "console", "streams", "worker", "sender", "beat", "relay")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen on loopback; `entry` alone is public.

    Without a console of its own, web answers the admin too.
    """

    entry: int
    web: int
    streams: int
    console: int | None = None

    @classmethod
    def behind(cls, entry: int) -> Ports:
        """The public port as given, the others as the system picks them."""
        return cls(entry=entry, web=free_port(), streams=free_port(), console=free_port())


def services(home: Home, env: Mapping[str, str], ports: Ports) -> Sequence[Service]:
    """Every process, each with its command, environment and time to end."""
    binaries = Path(sys.executable).parent
    celery = [str(binaries / "celery"), "-A", "config"]
    worker = [*celery, "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    commands: dict[str, tuple[list[str], float]] = {
        "entry": (entry_command(binaries), 20),
        "web": (web_command(binaries, ports.web), 20),
        "console": (web_command(binaries, ports.console or ports.web), 20),
        "streams": (
            [sys.executable, "-m", "config.streams", "-b", HOST, "-p", str(ports.streams)],
            15,
        ),
        "worker": (
            [*worker, "--concurrency", "2", "--queues", "celery", "--hostname", "worker@%h"], 60
        ),
        "sender": (
            [*worker, "--concurrency", "1", "--queues", "webhooks", "--hostname", "sender@%h"], 60
        ),
        "beat": (
            [*celery, "beat", "--loglevel", "INFO", "--pidfile=", "--schedule",
             str(home.run / "celerybeat-schedule")],
            15,
        ),
        "relay": ([sys.executable, "manage.py", "relay"], 15),
    }  # fmt: skip
    return [
        Service(
            name,
            commands[name][0],
            entry_env(home.run / "entry", env, ports)
            if name == "entry"
            else process_env(name, env),
            ROOT,
            stop_timeout_s=commands[name][1],
        )
        for name in EVERY_PROCESS
    ]


#: By process: what it answers (PROCESS), and the variable that holds its database's address.
_KINDS: dict[str, tuple[str, str]] = {
    "web": ("web", "DATABASE_WEB_URL"),
    "streams": ("web", "DATABASE_WEB_URL"),
    "console": ("console", "DATABASE_CONSOLE_URL"),
    "worker": ("all", "DATABASE_WORKER_URL"),
    "sender": ("all", "DATABASE_WORKER_URL"),
    "beat": ("all", "DATABASE_WORKER_URL"),
    "relay": ("all", "DATABASE_RELAY_URL"),
}


def process_env(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """A process's own environment: its database role, and no other one's address.

    Where the server has no roles for processes (before PostgreSQL 16), all keep the common one.
    """
    kind, variable = _KINDS[name]
    others = {"DATABASE_OWNER_URL", *(address for _, address in _KINDS.values())}
    own = {key: value for key, value in env.items() if key not in others}
    return {**own, "PROCESS": kind, "DATABASE_URL": env.get(variable) or env["DATABASE_URL"]}


CADDYFILE = ROOT / "deploy" / "Caddyfile"


def web_command(binaries: Path, port: int) -> list[str]:
    """One process; its slots and threads are the application's own (core/serving)."""
    return [sys.executable, "-m", "config.server", "--host", HOST, "--port", str(port)]


def entry_command(binaries: Path) -> list[str]:
    """Caddy, configured by deploy/Caddyfile and the environment."""
    return [str(binaries / "caddy"), "run", "--config", str(CADDYFILE)]


#: Lines for deploy/Caddyfile: an authority of its own, and no older TLS.
_LOCAL_TLS = "tls internal {\n\tprotocols tls1.3\n}"


def authority_of(home: Home) -> Path:
    """The root certificate of the entry's own authority, once `./dev up --tls` has made it."""
    return home.run / "entry" / "pki" / "authorities" / "local" / "root.crt"


def trusting_the_entry(home: Home) -> ssl.SSLContext:
    """A client's context that trusts the entry's own authority, if there is one."""
    context = ssl.create_default_context()
    if authority_of(home).exists():
        context.load_verify_locations(authority_of(home))
    return context


def entry_env(state: Path, env: Mapping[str, str], ports: Ports) -> dict[str, str]:
    """What deploy/Caddyfile asks for, and none of the platform's secrets; `state` is a folder."""
    passed = {name: env[name] for name in ("PATH", "HOME", "LANG") if name in env}
    return {
        **passed,
        # It shares the machine with all the others here, and keeps little from one request to the
        # next, so that garbage is worth collecting seldom.
        "GOMAXPROCS": str(max(1, (os.cpu_count() or 2) // 2)),
        "GOGC": "400",
        "GOMEMLIMIT": "256MiB",
        "ENTRY_ADDRESS": env["BASE_URL"],
        "ENTRY_BIND": HOST,
        "ENTRY_TLS": _LOCAL_TLS if env["BASE_URL"].startswith("https") else "",
        "WEB": f"{HOST}:{ports.web}",
        "CONSOLE": f"{HOST}:{ports.console or ports.web}",
        "STREAMS": f"{HOST}:{ports.streams}",
        "STATIC_FILES": str(ROOT / "static"),
        "STATE": str(state),
        "XDG_CONFIG_HOME": str(state),
        "XDG_DATA_HOME": str(state),
    }
