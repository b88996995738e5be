"""Payments through the entry against those of another checkout, in one run.

The other checkout (`git worktree add ../before COMMIT`, then `./dev help` in it, which makes its
.venv) brings up a platform of its own with its own benchmark's stack, on data of its own. Rounds of
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


@contextlib.contextmanager
def other_platform(checkout: Path, env: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Bring up the platform of another checkout; yields its `port`, `demo` and `admin_url`.

    Raises:
        Stop: there is no environment in it, or it did not start.
    """
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise Stop(f"{checkout} has no .venv: run ./dev help in it first.")
    holder = subprocess.Popen(
        [python, "-c", _HOLD, json.dumps(dict(env))],
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
            raise Stop(f"The platform of {checkout} did not start; try its ./dev bench payments.")
        yield found
    finally:
        with contextlib.suppress(OSError):
            holder.stdin.close()
        holder.wait(60)


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
