"""`./dev manage ...`: manage.py in the environment of the platform."""

from __future__ import annotations

import os
import subprocess
import sys

from devtools import stack
from devtools.home import ROOT, Home, read_json
from devtools.ports import HOST
from devtools.supervisor import Supervisor, ignore_stop_signals, stop_recorded
from devtools.up import DEFAULT_PORT

#: A name that never answers, for commands that need settings but no database.
_NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def manage(arguments: list[str]) -> int:
    """Run manage.py against the platform that runs, or with its servers started for the moment."""
    home = Home.default()
    home.make()
    lock = home.try_lock()
    if lock is None:
        return _run(arguments, {**os.environ, **_running_env(home)})
    with lock:
        secrets = stack.read_secrets(home)
        env = stack.platform_env(home, secrets, base_url=f"http://{HOST}:{DEFAULT_PORT}")
        known = home.postgres.exists() or home.postgres_location.exists()
        if not known and not os.environ.get("DATABASE_URL"):
            # Nothing was set up yet, and commands like `check` do not need it.
            return _run(arguments, {**env, "DATABASE_URL": _NOWHERE})
        stop_recorded(home)
        supervisor = Supervisor(home)
        try:
            servers = stack.start_servers(supervisor, secrets)
            env |= stack.provision(home, secrets, servers)
            return _run(arguments, env)
        finally:
            ignore_stop_signals()
            supervisor.stop_all()


def _running_env(home: Home) -> dict[str, str]:
    return {name: str(value) for name, value in read_json(home.run / "env.json").items()}


def _run(arguments: list[str], env: dict[str, str]) -> int:
    try:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, check=False
        ).returncode
    except KeyboardInterrupt:
        return 130
