"""`./dev test`: the suite, with a database, a cache and a Chromium of its own."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools import chromium, concerned, postgres, say, stack
from devtools.home import ROOT, Home
from devtools.supervisor import (
    Interrupted,
    Supervisor,
    ignore_stop_signals,
    interruptible,
    stop_recorded,
)

PREFIX = "merchantry-test-"


def test(arguments: list[str]) -> int:
    """Run pytest with the arguments; returns its exit code.

    `--since REF` among them selects the tests that the changes since REF concern.

    The servers are this run's own and vanish with it, unless DATABASE_URL (an administrator's
    address) and REDIS_URL name others.
    """
    chosen = _since(arguments)
    if chosen is None:
        return 0
    try:
        with servers() as env:
            return _run(env, chosen)
    except Interrupted:
        say.problem("The tests were interrupted.")
        return 130


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Run a database and a cache for tests alone; yields the environment that names them."""
    _sweep()
    # Other accounts must be able to enter: under root PostgreSQL runs as one of them.
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, interruptible():
        os.chmod(folder, 0o711)
        home = Home(Path(folder))
        home.make()
        lock = home.try_lock()
        supervisor = Supervisor(home)
        try:
            yield _environment(supervisor)
        finally:
            ignore_stop_signals()
            supervisor.stop_all()
            postgres.forget_elsewhere(home)
            if lock is not None:
                lock.close()


def _since(arguments: list[str]) -> list[str] | None:
    """The arguments with `--since REF` replaced by what it chooses; None when that is nothing."""
    parser = argparse.ArgumentParser(prog="./dev test", allow_abbrev=False, add_help=False)
    parser.add_argument("--since")
    options, rest = parser.parse_known_args(arguments)
    if options.since is None:
        return arguments
    changed = concerned.changed_since(options.since)
    tests = concerned.concerned(changed)
    if tests is None:
        say.line(f"{len(changed)} files changed since {options.since}: they concern every test.")
        return rest
    if not tests:
        say.line(f"{len(changed)} files changed since {options.since}: they concern no test.")
        return None
    say.line(f"{len(changed)} files changed since {options.since}; the tests that they concern:")
    for name in tests:
        say.line(f"  {name}")
    return [*tests, *rest]


def _sweep() -> None:
    """End the servers of runs that were killed, and remove their folders."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        home = Home(folder)
        if folder.stat().st_uid != os.geteuid() or not home.run.is_dir():
            continue
        lock = home.try_lock()
        if lock is not None:  # else a run of now
            with lock:
                stop_recorded(home)
                postgres.forget_elsewhere(home)
                shutil.rmtree(folder, ignore_errors=True)


def _environment(supervisor: Supervisor) -> dict[str, str]:
    home = supervisor.home
    # Under xdist each worker keeps connections of its own in several threads and processes.
    started = stack.start_servers(supervisor, stack.read_secrets(home), options=postgres.THROWAWAY)
    env = {
        **os.environ,
        "DATABASE_OWNER_URL": started.admin_url,
        "DATABASE_ADMIN_URL": started.admin_url,
        "REDIS_URL": started.redis_url,
        "PYTHONUNBUFFERED": "1",
    }
    env.pop("DATABASE_URL", None)
    if started.external_database:
        # The platform of this checkout shares the server, and its roles, with the tests.
        shared = Home.default()
        shared.make()
        secrets = stack.read_secrets(shared)
        stack.remember_external(shared, started)
        env |= {name: secrets[name] for name in stack.ROLE_PASSWORDS}
    return env


def _run(env: dict[str, str], arguments: list[str]) -> int:
    browser = chromium.find_for(arguments)
    if browser.path:
        env["CHROMIUM_PATH"] = str(browser.path)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=env,
        # Ctrl-C comes to this process alone, which passes it on and then stops the servers.
        start_new_session=True,
    )
    try:
        code = process.wait()
    except Interrupted:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    return code or _speak_of_browser(browser)


def _speak_of_browser(browser: chromium.Found) -> int:
    """Skipped browser tests are said loudly; in CI they are a failure."""
    if browser.path or not browser.needed:
        return 0
    line = "!" * 100
    say.line(f"\n{line}\nTHE BROWSER TESTS WERE SKIPPED: {browser.why}\n{line}")
    return 1 if os.environ.get("CI", "").lower() in ("1", "true", "yes") else 0
