"""`./dev bench NAME`: each module here is one benchmark with a `run(arguments) -> int`."""

from __future__ import annotations

import importlib
from pathlib import Path

from devtools.say import Stop


def names() -> list[str]:
    """The benchmarks that there are."""
    return sorted(
        file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_")
    )


def bench(arguments: list[str]) -> int:
    """Run one benchmark: a table, and one JSON object as the last line.

    Raises:
        Stop: there is none of that name.
    """
    name = arguments[0] if arguments else ""
    if name not in names():
        what = f"There is no benchmark {name!r}." if name else "Say which benchmark."
        raise Stop(f"{what} There are: {', '.join(names())}.")
    module = importlib.import_module(f"devtools.bench.{name}")
    return int(module.run(arguments[1:]))
