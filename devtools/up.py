"""`./dev up`, `./dev down` and `./dev reset`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from devtools import processes, say, stack
from devtools.fleet import EVERY_PROCESS, Ports, authority_of, services
from devtools.home import ROOT, Home, read_json, write_private
from devtools.ports import HOST, answers, require_free
from devtools.postgres import forget_elsewhere
from devtools.say import Stop
from devtools.supervisor import (
    Interrupted,
    Supervisor,
    ignore_stop_signals,
    interruptible,
    stop_recorded,
)

DEFAULT_PORT = 8000
SPACE_TO_RUN_BYTES = 150_000_000
READY_WITHIN_S = 90
DETACHED = "MERCHANTRY_DETACHED"


def up(*, port: int | None, detach: bool, tls: bool = False) -> int:
    """Start the platform; returns the exit code.

    With `tls` the entry speaks TLS 1.3 and HTTP/2 with a certificate of an authority of its own.

    In the foreground it returns when the platform has been stopped; detached, when it is ready.
    Without a port it takes the usual one, or says where the platform already runs.

    Raises:
        Stop: the platform runs already, on another port than the one asked for.
    """
    home = Home.default()
    home.make()
    detached_child = bool(os.environ.pop(DETACHED, ""))
    lock = home.try_lock()
    if lock is None:
        return _already_running(home, port, tls=tls)
    port = DEFAULT_PORT if port is None else port
    if detach and not detached_child:
        lock.close()
        return _start_detached(home, port, tls=tls)
    with lock, interruptible():
        return _run(home, _base_url(port, tls=tls), detached=detached_child)


def _base_url(port: int, *, tls: bool) -> str:
    # Browsers give passkeys and secure cookies to a name, and none to a certificate's address.
    return f"https://localhost:{port}" if tls else f"http://{HOST}:{port}"


def _run(home: Home, base_url: str, *, detached: bool) -> int:
    supervisor = Supervisor(home)
    code = 0
    began = time.monotonic()
    try:
        left = stop_recorded(home)
        if left:
            say.warn(f"the last run was ended by force; stopped what it left: {', '.join(left)}")
        home.ensure_space(SPACE_TO_RUN_BYTES)
        require_free(urlsplit(base_url).port or DEFAULT_PORT)
        supervisor.facts |= {"phase": "starting", "base_url": base_url}
        supervisor.write_down()
        _start_everything(supervisor, base_url)
        supervisor.facts["phase"] = "ready"
        supervisor.write_down()
        say.done(f"ready after {time.monotonic() - began:.0f} s")
        say.line(describe(home))
        say.line(
            "Running in the background; ./dev down stops it." if detached else "Ctrl-C stops it."
        )
        if detached:
            _turn_output_to(home.log_of("supervisor"))
        supervisor.watch()
    except Interrupted:
        say.line()
        # Asked to stop while it ran is a good end; while it started, the start has failed.
        code = 0 if supervisor.facts.get("phase") == "ready" else 130
    except Stop as stop:
        say.problem(str(stop))
        code = 1
    except OSError as error:
        say.problem(say.explain_os_error(error))
        code = 1
    finally:
        ignore_stop_signals()
        supervisor.stop_all()
    if code == 0:
        say.done("stopped")
    return code


def _start_everything(supervisor: Supervisor, base_url: str) -> None:
    home = supervisor.home
    secrets = stack.read_secrets(home)
    servers = stack.start_servers(supervisor, secrets)
    ports = Ports.behind(urlsplit(base_url).port or DEFAULT_PORT)
    env = stack.platform_env(home, secrets, base_url=base_url)
    env |= stack.provision(home, secrets, servers)
    migrate(env)
    env["PROMETHEUS_MULTIPROC_DIR"] = str(_fresh_metrics(home))
    # What ./dev manage and ./dev demo need to speak to the same servers.
    write_private(home.run / "env.json", json.dumps(_own_part(env)))
    supervisor.facts["ports"] = {"web": ports.web, "streams": ports.streams}
    with say.timed(f"starting {', '.join(EVERY_PROCESS)}", "all processes answer"):
        for service in services(home, env, ports):
            supervisor.start(service)
        # They take their time to start, and the demo tenants can be made meanwhile.
        seed(home, env)
        wait_until_ready(supervisor, base_url, streams=ports.streams)
        if ports.console is not None and not answers(ports.console, within_s=30):
            supervisor.require_alive()
            raise Stop(f"The console does not answer; see {supervisor.log_of('console')}.")
        wait_for_workers(supervisor, env["REDIS_URL"], count=2)


def _fresh_metrics(home: Home) -> Path:
    """An empty folder for the processes' counts, so that the one that answers can add them up.

    What a process counted stays when it dies, for its counts were true; a new run begins at nought.
    """
    folder = home.run / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def wait_until_ready(supervisor: Supervisor, base_url: str, *, streams: int | None = None) -> None:
    """Wait until the platform answers there and, if its port is named, the websockets' server too.

    Raises:
        Stop: a process ended, or it took too long.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    url = f"{base_url}/health/ready"
    # The entry's own authority is not trusted yet; the question is whether the entry answers.
    context = ssl._create_unverified_context() if url.startswith("https") else None
    said = "no answer"
    while True:
        supervisor.require_alive()
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as response:
                if response.status == 200:
                    break
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError as error:
            said = str(error)
        if time.monotonic() > deadline:
            raise Stop(
                f"The platform is not ready after {READY_WITHIN_S} s; {url} says: {said}\n"
                f"The logs are in {supervisor.home.log}."
            )
        time.sleep(0.1)
    if streams is not None and not answers(streams, within_s=30):
        supervisor.require_alive()
        raise Stop(f"The websockets do not answer; see {supervisor.log_of('streams')}.")
    supervisor.require_alive()


def wait_for_workers(supervisor: Supervisor, redis_url: str, *, count: int) -> None:
    """Wait until `count` workers answer over the broker.

    Raises:
        Stop: a process ended, or a worker does not answer.
    """
    from celery import Celery

    control = Celery(broker=redis_url, set_as_current=False).control
    deadline = time.monotonic() + READY_WITHIN_S
    while len(control.ping(timeout=0.5, limit=count) or []) < count:
        supervisor.require_alive()
        if time.monotonic() > deadline:
            raise Stop(
                f"A worker does not answer; see {supervisor.log_of('worker')} and sender.log."
            )
    supervisor.require_alive()


def migrate(env: dict[str, str]) -> None:
    """Bring the schema up to date. Raises Stop with the migration's own words."""
    with say.timed("migrating the database", "database migrated") as remarks:
        result = stack.run_manage(["migrate", "--no-input"], env)
        if result.returncode:
            raise Stop(f"The migrations failed:\n{result.stdout[-1000:]}{result.stderr[-3000:]}")
        applied = result.stdout.count("... OK")
        remarks.append(f"with {applied} migrations" if applied else "already")


def seed(home: Home, env: dict[str, str]) -> None:
    """Make the demo tenants, once, and write `.dev/demo.json`."""
    with say.timed("making the demo tenants", "demo tenants"):
        result = stack.run_manage(["seed_demo", "--out", str(home.demo_file)], env)
        if result.returncode:
            raise Stop(f"The demo tenants could not be made:\n{result.stderr[-3000:]}")


def describe(home: Home) -> str:
    """Addresses and demo logins, as a person wants to read them."""
    demo = read_json(home.demo_file)
    base = demo.get("base_url") or home.read_state().get("base_url", "")
    lines = [
        "",
        f"  Portal     {base}/",
        f"  Admin      {base}/admin/",
        f"  API        {base}/v1/",
        f"  API docs   {base}/docs/api",
        "",
    ]
    users = [user for user in demo.get("users", []) if isinstance(user, dict)]
    if users:
        columns = ("email", "password", "role", "tenant")
        tenants = demo.get("resellers", []) + demo.get("merchants", [])
        names = {tenant["id"]: tenant["name"] for tenant in tenants}
        rows = [
            columns,
            *(
                (
                    *(str(user.get(name, "")) for name in columns[:3]),
                    str(names.get(user.get("tenant"), "the platform")),
                )
                for user in users
            ),
        ]
        widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        lines += ["", f"  TOTP secrets and API keys: {_shown(home.demo_file)}"]
    if str(base).startswith("https"):
        lines += [f"  Certificate authority of the entry: {_shown(authority_of(home))}"]
    lines += [f"  Logs: {_shown(home.log)}/", ""]
    return "\n".join(line.rstrip() for line in lines)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _own_part(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if os.environ.get(name) != value}


def _already_running(home: Home, port: int | None, *, tls: bool) -> int:
    """Another ./dev up holds the lock: wait until it is ready, then say where it is.

    Raises:
        Stop: it is not where the caller wants it, or does not get ready.
    """
    deadline = time.monotonic() + 300
    announced = False
    while time.monotonic() < deadline:
        state = home.read_state()
        if state.get("phase") == "ready":
            base_url = _base_url(DEFAULT_PORT if port is None else port, tls=tls)
            if (port is not None or tls) and state.get("base_url") != base_url:
                raise Stop(
                    f"The platform of this checkout runs already, at {state.get('base_url')} and "
                    f"not at {base_url}. To move it: ./dev down, then ./dev up again."
                )
            say.done("already running")
            say.line(describe(home))
            return 0
        if not announced:
            say.doing("another ./dev is starting or stopping; waiting for it")
            announced = True
        time.sleep(0.3)
        lock = home.try_lock()
        if lock is not None:
            lock.close()
            raise Stop("The other ./dev has ended. Run ./dev up again.")
    raise Stop(f"Another ./dev is busy in {home.path} and does not get ready. Try ./dev down.")


def _start_detached(home: Home, port: int, *, tls: bool) -> int:
    """Start the supervisor in a session of its own and relay what it says until it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "devtools", "up", "--port", str(port), *(["--tls"] if tls else [])],
        cwd=ROOT,
        env={**os.environ, DETACHED: "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        # The supervisor turns its output to its log when it is ready, which ends this loop.
        for text in child.stdout:
            say.line(text.rstrip("\n"))
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        for text in child.stdout:
            say.line(text.rstrip("\n"))
        return 130
    if home.read_state().get("phase") == "ready" and child.poll() is None:
        return 0
    return child.wait() or 1


def _turn_output_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def down() -> int:
    """Stop the platform, or what a killed supervisor left of it."""
    home = Home.default()
    if not home.path.exists():
        say.line("Nothing runs.")
        return 0
    home.make()
    lock = stop_running(home)
    with lock:
        left = stop_recorded(home)
    if left:
        say.done(f"stopped what was left of the last run: {', '.join(left)}")
    return 0


def stop_running(home: Home) -> TextIO:
    """Stop the supervisor that holds the lock, if one does, and return the lock.

    Raises:
        Stop: it does not end.
    """
    lock = home.try_lock()
    if lock is not None:
        if not home.read_state():
            say.line("Nothing runs.")
        return lock
    recorded = home.read_state().get("supervisor")
    entry: dict[str, Any] = recorded if isinstance(recorded, dict) else {}
    pid, started = entry.get("pid", 0), entry.get("started")
    if not processes.is_same(pid, started):
        raise Stop("Another ./dev is working in this checkout. Wait for it, then try again.")
    with say.timed("stopping", "stopped"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            lock = home.try_lock()
            if lock is not None:
                return lock
            time.sleep(0.1)
    raise Stop(
        f"The supervisor (process {pid}) does not end. See {home.log_of('supervisor')}; "
        f"kill -KILL {pid} and ./dev down end it by force."
    )


def reset(*, sure: bool) -> int:
    """Stop and delete the data, after a question."""
    home = Home.default()
    if not home.path.exists():
        say.line("There is nothing to forget.")
        return 0
    if not sure:
        if not sys.stdin.isatty():
            raise Stop("./dev reset deletes all data. Say that you mean it: ./dev reset --yes")
        answer = input("This deletes the database and all logins of this checkout. Type yes: ")
        if answer.strip().lower() != "yes":
            say.line("Nothing was changed.")
            return 1
    home.make()
    with stop_running(home):
        stop_recorded(home)
        _forget(home)
    say.done("forgotten; ./dev up starts from nothing")
    return 0


def _forget(home: Home) -> None:
    forget_elsewhere(home)
    for folder in (home.postgres, home.valkey, home.log, home.path / "static"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (home.demo_file, home.run / "env.json", home.run / "celerybeat-schedule"):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
    if home.external_file.exists():
        say.warn(
            f"the database at {home.external_file.read_text().strip()} is not ours and was left as "
            f"it is; so was {_shown(home.env_file)}, which holds its keys"
        )
    else:
        home.env_file.unlink(missing_ok=True)
