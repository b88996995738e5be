"""The browser of the browser tests: found where it usually is, else installed where that may be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devtools import say
from devtools.home import ROOT
from devtools.say import Stop

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    Path("/usr/lib/chromium/chromium"),
    Path("/snap/bin/chromium"),
    Path("/opt/google/chrome/chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
_MARK = "mark.browser"


@dataclass(frozen=True, slots=True)
class Found:
    """A Chromium, or why there is none; `needed` says whether any chosen test wants one."""

    path: Path | None
    needed: bool
    why: str = ""


def find_for(arguments: list[str]) -> Found:
    """Find or install a Chromium if the pytest arguments select files with browser tests.

    Raises:
        Stop: CHROMIUM_PATH names no program.
    """
    if not wants_browser(arguments):
        return Found(None, needed=False)
    path = _present()
    if path:
        return Found(path, needed=True)
    reasons = []
    for way in (_debian_package, _playwright_download):
        reason = way()
        path = _present()
        if path:
            say.done(f"Chromium: {path}")
            return Found(path, needed=True)
        reasons.append(reason)
    why = "; ".join(reasons) + ". Install Chromium (apt-get install chromium) or set CHROMIUM_PATH."
    return Found(None, needed=True, why=f"no Chromium was found: {why}")


def wants_browser(arguments: list[str], tests: Path = ROOT / "tests") -> bool:
    """Whether the files that the arguments name (all tests, if they name none) drive a browser."""
    named = [
        Path(argument.split("::")[0]) for argument in arguments if not argument.startswith("-")
    ]
    chosen = [path for path in named if path.exists()] or [tests]
    files = [
        file for path in chosen for file in (path.rglob("test_*.py") if path.is_dir() else [path])
    ]
    return any(_MARK in file.read_text(errors="replace") for file in files if file.is_file())


def _present() -> Path | None:
    given = os.environ.get("CHROMIUM_PATH", "").strip()
    if given:
        if not os.access(given, os.X_OK):
            raise Stop(f"CHROMIUM_PATH names {given}, which is no program that can be run.")
        return Path(given)
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    for place in _PLACES:
        if os.access(place, os.X_OK):
            return place
    return _downloaded()


def _downloaded() -> Path | None:
    """Playwright's own browser, if it has been downloaded."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    try:
        with sync_playwright() as playwright:
            path = Path(playwright.chromium.executable_path)
    except OSError:
        return None
    return path if os.access(path, os.X_OK) else None


def _debian_package() -> str:
    if not shutil.which("apt-get"):
        return "this is not Debian"
    if os.geteuid() != 0:
        return "Debian's package can only be installed by root"
    say.doing("installing Debian's package chromium for the browser tests")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
    for command in (["apt-get", "update", "-q"], [*install, "chromium", "fonts-dejavu-core"]):
        reason = _run(command, env, within_s=600)
        if reason and command[1] == "install":
            return f"Debian's package could not be installed ({reason})"
    return ""


def _playwright_download() -> str:
    say.doing("downloading Playwright's Chromium")
    reason = _run(
        [sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ), within_s=300
    )
    return f"Playwright's own could not be downloaded ({reason})" if reason else ""


def _run(command: list[str], env: dict[str, str], *, within_s: float) -> str:
    """Run it; the reason of its failure in a few words, or an empty string."""
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=within_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no end within {within_s:.0f} s"
    if done.returncode == 0:
        return ""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1][:200] if lines else f"code {done.returncode}"
