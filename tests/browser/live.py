"""The platform as a browser meets it: entry, web, streams and the background work, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools.fleet import Ports, entry_command, entry_env, web_command
from devtools.ports import HOST, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
_BINARIES = Path(sys.executable).parent
_READY_WITHIN_S = 300
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = ("/usr/lib/chromium/chromium", "/snap/bin/chromium", "/opt/google/chrome/chrome")


@dataclass(frozen=True, slots=True)
class Live:
    """Where the running platform is reached."""

    url: str
    ws_url: str
    #: Of the web process behind the entry, which production keeps to itself.
    web_port: int


def find_chromium() -> str:
    """Chromium from CHROMIUM_PATH or the usual places, Playwright's own, or an empty string."""
    given = os.environ.get("CHROMIUM_PATH", "").strip()
    found = [given] if given else [shutil.which(name) or "" for name in _NAMES] + list(_PLACES)
    for path in found:
        if path and os.access(path, os.X_OK):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.access(own, os.X_OK) else ""


@contextlib.contextmanager
def running_platform(logs: Path) -> Iterator[Live]:
    """Start the platform on the test database of this process, and stop it at the end."""
    ports = Ports(entry=free_port(), web=free_port(), streams=free_port())
    live = Live(f"http://{HOST}:{ports.entry}", f"ws://{HOST}:{ports.entry}", ports.web)
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.browser.live_settings",
        "BASE_URL": live.url,
        "TRUSTED_PROXIES": HOST,
        "PYTHONPATH": str(ROOT),
    }
    # Django's hatch for a thread that also runs Playwright is of this process alone.
    env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
    commands = {
        "entry": entry_command(_BINARIES),
        "web": web_command(_BINARIES, ports.web),
        "streams": [sys.executable, "-m", "config.streams", "-b", HOST, "-p", str(ports.streams)],
        "background": [sys.executable, "-m", "tests.browser.background"],
    }  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=entry_env(logs / "entry", env, ports) if name == "entry" else env,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        _wait_until_ready(live.url, ports.streams, processes, logs)
        yield live
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(
    url: str, ws_port: int, processes: list[subprocess.Popen[bytes]], logs: Path
) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/health/live", timeout=2).close()
            socket.create_connection(("127.0.0.1", ws_port), timeout=1).close()
            return
        except (OSError, urllib.error.URLError):
            dead = [process.args for process in processes if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                said = "\n".join(
                    f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}"
                    for file in sorted(logs.glob("*.log"))
                )
                raise RuntimeError(
                    f"The platform did not start ({dead or 'too slow'}).\n{said}"
                ) from None
            time.sleep(0.1)
