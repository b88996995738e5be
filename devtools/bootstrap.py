"""Make `.venv`, install the pinned packages, then hand over to `python -m devtools`.

Runs on the system's Python and so imports nothing but the standard library. Packages are installed
again only when a requirements file has changed since the last time.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".requirements.json"
LOG = ROOT / ".dev" / "log" / "pip.log"

#: What a virtual environment with all packages takes, with room for pip's own unpacking.
VENV_SPACE_BYTES = 1_200_000_000

#: Commands that need more packages than the platform itself.
NEEDS_MORE = {
    ("test",): "requirements-dev.txt",
    ("check",): "requirements-dev.txt",
    ("bench", "ledger"): "requirements-bench.txt",
    ("bench", "mutants"): "requirements-mutants.txt",
}
NEEDS_NOTHING = {"help", "--help", "-h", ""}


class BootstrapError(Exception):
    """The environment cannot be made; the message says what is wrong and what to do."""


def main(argv: list[str]) -> int:
    command = argv[0] if argv else ""
    os.chdir(ROOT)
    if command in NEEDS_NOTHING and not _python().exists():
        sys.path.insert(0, str(ROOT))
        from devtools.help import HELP

        print(HELP)
        return 0
    code = _try_to_prepare(argv)
    if code == 0:
        python = str(_python())
        os.execv(python, [python, "-m", "devtools", *argv])
    return code


def _try_to_prepare(argv: list[str]) -> int:
    if not argv or argv[0] in NEEDS_NOTHING:
        return 0
    wanted = NEEDS_MORE.get(tuple(argv[:1])) or NEEDS_MORE.get(tuple(argv[:2]))
    try:
        _prepare(wanted or "requirements.txt")
    except BootstrapError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is lost: the next ./dev goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"\n{_explain(error)}", file=sys.stderr)
        return 1
    return 0


def requirements_hash(root: Path, name: str) -> str:
    """The fingerprint of a requirements file together with the files that it includes."""
    text = (root / name).read_text()
    included = [line[3:].strip() for line in text.splitlines() if line.startswith("-r ")]
    parts = [text, *((root / name).read_text() for name in included)]
    version = ".".join(map(str, sys.version_info[:2]))
    return hashlib.sha256("\0".join([version, *parts]).encode()).hexdigest()


def _python() -> Path:
    return VENV / "bin" / "python"


def _prepare(requirements: str) -> None:
    if _is_current(requirements):
        return
    (ROOT / ".dev" / "log").mkdir(parents=True, exist_ok=True)
    with (ROOT / ".dev" / "bootstrap.lock").open("w") as lock:
        _wait_for_turn(lock.fileno())
        if _is_current(requirements):  # another ./dev did it while this one waited
            return
        _ensure_space()
        _ensure_venv()
        _install(requirements)


def _wait_for_turn(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("· another ./dev is installing packages; waiting for it", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_current(requirements: str) -> bool:
    installed = _installed()
    # The developers' packages include those of the platform.
    # The other files include that of the platform.
    enough = {requirements, *(NEEDS_MORE.values() if requirements == "requirements.txt" else ())}
    return os.access(_python(), os.X_OK) and any(
        installed.get(name) == requirements_hash(ROOT, name) for name in enough
    )


def _installed() -> dict[str, str]:
    try:
        content = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _ensure_space() -> None:
    if _installed():
        return
    free = shutil.disk_usage(ROOT).free
    if free < VENV_SPACE_BYTES and not _python().exists():
        raise BootstrapError(
            f"There is not enough disk space for the packages: {free // 1_000_000} MB are free at "
            f"{ROOT}, about {VENV_SPACE_BYTES // 1_000_000} MB are needed. "
            "Free some space, then run the same command again."
        )


def _ensure_venv() -> None:
    if os.access(_python(), os.X_OK) and _works([str(_python()), "-m", "pip", "--version"]):
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise BootstrapError(_no_venv(f"Python's {module!r} module is missing"))
    print("· making .venv", flush=True)
    # --clear: what is there is a half-made environment, for pip does not run in it.
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not _works([str(_python()), "-m", "pip", "--version"]):
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = said[-1] if said else f"python -m venv ended with code {done.returncode}"
        if "space" in reason:
            raise BootstrapError(f"The virtual environment could not be made: {reason}.")
        raise BootstrapError(_no_venv(f"The virtual environment could not be made ({reason})"))


def _no_venv(what: str) -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"{what} from {sys.executable}. On Debian and Ubuntu it is a package of its own: "
        f"apt-get install python3-venv (or python{version}-venv); then run the same command again."
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _install(requirements: str) -> None:
    began = time.monotonic()
    total = sum(
        "==" in line
        for name in {requirements, "requirements.txt"}
        for line in (ROOT / name).read_text().splitlines()
    )
    print(f"· installing {total} packages; the first time this takes a minute or two", flush=True)
    command = [
        str(_python()), "-m", "pip", "install", "--disable-pip-version-check",
        "--no-input", "--progress-bar", "off", "-r", requirements,
    ]  # fmt: skip
    seen, shown = 0, time.monotonic()
    tail: list[str] = []
    with (
        LOG.open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            tail = [*tail[-40:], line.strip()]
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
            unpacking = line.startswith("Installing collected packages")
            if unpacking or (seen and time.monotonic() - shown > 5):
                shown = time.monotonic()
                what = "unpacking" if unpacking else f"{min(seen, total)} of {total} fetched"
                print(f"  {what}, {shown - began:.0f} s", flush=True)
        code = pip.wait()
    if code:
        errors = [line for line in tail if line.startswith("ERROR")] or tail[-3:]
        if any("No space left" in line for line in tail):
            errors = ["there is no space left on the disk"]
        raise BootstrapError(
            "The packages could not be installed: " + " ".join(errors) + f"\nAll of it: {LOG}"
        )
    _remember(requirements)
    print(f"✓ packages installed ({time.monotonic() - began:.0f} s)", flush=True)


def _remember(requirements: str) -> None:
    stamp = _installed() | {requirements: requirements_hash(ROOT, requirements)}
    temporary = STAMP.with_suffix(".new")
    temporary.write_text(json.dumps(stamp))
    temporary.replace(STAMP)


def _explain(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"There is no space left on the disk ({error.filename or ROOT}). "
            "Free some, then run the same command again."
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"{error.filename or ROOT} may not be written by this user: {error.strerror}."
    return f"The environment could not be prepared: {error}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
