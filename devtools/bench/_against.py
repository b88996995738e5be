"""Another checkout's platform, or ledger, measured beside this one's in one run.

The other checkout (`git worktree add ../before COMMIT`, then `./dev help` in it, which makes its
.venv) brings up servers of its own with its own benchmark's stack, on data of its own. Rounds of
both alternate, and each is compared with its neighbour: a machine that slows down slows both.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from devtools import say
from devtools.say import Stop

#: (clients, payments) → payments a second.
Pay = Callable[[int, int], float]

#: Only what every version of the benchmark's stack has.
_HOLD = """
import json, sys
from devtools.bench._stack import platform
with platform(wanted=("entry", "web"), extra_env=json.loads(sys.argv[1])) as running:
    print("READY " + json.dumps(
        {"port": running.port, "demo": running.demo, "admin_url": running.admin_url}), flush=True)
    sys.stdin.readline()
"""
_HOLD_LEDGER = """
import json, os, sys, tempfile
from pathlib import Path
from devtools.bench.ledger import _start
from devtools.home import ROOT, Home
from devtools.supervisor import Supervisor
(ROOT / ".dev").mkdir(exist_ok=True)
with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / ".dev") as folder:
    os.chmod(folder, 0o711)
    home = Home(Path(folder))
    home.make()
    supervisor = Supervisor(home)
    try:
        print("READY " + json.dumps(_start(supervisor, float(sys.argv[1])).env), flush=True)
        sys.stdin.readline()
    finally:
        supervisor.stop_all()
"""


def other_platform(
    checkout: Path, env: Mapping[str, str]
) -> contextlib.AbstractContextManager[dict[str, Any]]:
    """Bring up the platform of another checkout; yields its `port`, `demo` and `admin_url`.

    Raises:
        Stop: there is no environment in it, or it did not start.
    """
    return _held(checkout, _HOLD, json.dumps(dict(env)))


def other_ledger(
    checkout: Path, *, seconds: float
) -> contextlib.AbstractContextManager[dict[str, str]]:
    """Bring up the ledger of another checkout; yields the environment of its processes.

    Raises:
        Stop: there is no environment in it, or it did not start.
    """
    return _held(checkout, _HOLD_LEDGER, str(seconds))


def python_of(checkout: Path) -> Path:
    """The interpreter of a checkout's own environment."""
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise Stop(f"{checkout} has no .venv: run ./dev help in it first.")
    return python


@contextlib.contextmanager
def _held(checkout: Path, script: str, argument: str) -> Iterator[dict[str, Any]]:
    """What a script of another checkout says when it is ready; it lives as long as the block."""
    holder = subprocess.Popen(
        [python_of(checkout), "-c", script, argument],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        for line in holder.stdout:
            if line.startswith("READY "):
                found: dict[str, Any] = json.loads(line.removeprefix("READY "))
                break
        else:
            raise Stop(f"{checkout} did not start; try its own ./dev bench.")
        yield found
    finally:
        with contextlib.suppress(OSError):
            holder.stdin.close()
        holder.wait(60)


def ratio(ours: Callable[[], float], theirs: Callable[[], float], *, rounds: int) -> float:
    """Ours over the other, the median over rounds that alternate; the first round only warms up."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds + 1):
        for is_ours in (True, False) if number % 2 else (False, True):
            rates[is_ours].append(ours() if is_ours else theirs())
    pairs = zip(rates[True][1:], rates[False][1:], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def compare(
    ours: Pay,
    other: Pay,
    *,
    clients: tuple[int, ...],
    rounds: int,
    seconds: float,
) -> dict[str, float]:
    """By number of clients: the median over the rounds of our payments a second over `other`'s."""
    ratios = {}
    for count in clients:
        rates: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds + 1):
            # Who goes second may find a warmer machine, so they take turns.
            for is_ours in (True, False) if number % 2 else (False, True):
                guess = rates[is_ours][-1] if rates[is_ours] else 40.0 * count
                pay = ours if is_ours else other
                rates[is_ours].append(pay(count, max(count, int(guess * seconds))))
        # The first round only measures how many payments fill the time.
        pairs = list(zip(rates[True], rates[False], strict=True))[1:]
        ratios[str(count)] = round(statistics.median(a / b for a, b in pairs), 3)
        say.done(
            f"{count:>2} clients: {statistics.median(a for a, _ in pairs):.0f}/s here, "
            f"{statistics.median(b for _, b in pairs):.0f}/s there, ratio {ratios[str(count)]}"
        )
    return ratios
