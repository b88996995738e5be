"""Which tests reach which line, from one run under coverage; kept in .dev/mutants/map.json.

A test file that has changed since is run again, all of them when a module has.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from devtools import say
from devtools.bench._mutants_modules import MODULES, TESTS
from devtools.home import ROOT
from devtools.say import Stop

PLUGIN: Final = (
    "-p", "devtools.bench._mutants_pytest", "-p", "no:cacheprovider", "--hypothesis-seed=1", "-q",
)  # fmt: skip
#: How long the tests of one mutant may take, by what they take without it, and how many they are,
#: beside the module's own.
MOST_S, MOST_TESTS = 30.0, 120


@dataclass(slots=True)
class Map:
    """What the run under coverage saw."""

    digests: dict[str, str] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    #: By module, by test: the lines. The test "" is what runs at import.
    reached: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def tests_for(self, path: str, line: int) -> list[str]:
        """The tests that reach a line, those first that say most about it, within the limits.

        A line of the module's or a class's own, or of a signature, runs at import: the module's own
        tests and those that reach anything in it are taken instead.
        """
        lines = _statement(path, line)
        reached = self.reached[path]
        tests = {
            test for test, seen in reached.items() if test and lines and not lines.isdisjoint(seen)
        }
        if not tests:
            own = {test for test in self.took if _file(test) in MODULES[path]}
            tests = own.difference(self.failed).union(test for test in reached if test)
        return self._ordered(path, tests)

    def runs_at_import(self, path: str, line: int) -> bool:
        """Whether what the line does may be remembered from the import."""
        lines = _statement(path, line)
        return not lines or not lines.isdisjoint(self.reached[path].get("", ()))

    def _ordered(self, path: str, tests: set[str]) -> list[str]:
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.took.get(test, 0.0), test)):
            by_file[_file(test)].append(test)
        own = [test for file in MODULES[path] for test in by_file.pop(file, [])]
        sizes: dict[str, int] = defaultdict(int)
        for test in self.took:
            sizes[_file(test)] += 1
        files = sorted(by_file, key=lambda file: -len(by_file[file]) / max(1, sizes[file]))
        others: list[str] = []
        while len(others) < len(tests) - len(own):  # one of each file, then the second of each
            others += [by_file[file].pop(0) for file in files if by_file[file]]
        return self._within_limits(own, others)

    def _within_limits(self, own: list[str], others: Iterable[str]) -> list[str]:
        chosen, seconds, beside = list[str](), 0.0, 0
        for test in (*own, *others):
            seconds += self.took.get(test, 0.0)
            beside += test not in own
            if chosen and (seconds > MOST_S or beside > MOST_TESTS):
                break
            chosen.append(test)
        return chosen


def up_to_date(folder: Path, env: dict[str, str]) -> Map:
    """The map as it is kept, with what has changed since run again."""
    kept = folder / "map.json"
    known = Map(**json.loads(kept.read_text())) if kept.exists() else Map()
    now = {path: digest(path) for path in (*MODULES, *test_files())}
    if any(known.digests.get(path) != now[path] for path in MODULES):
        known = Map()
    stale = {_file(test) for test in known.failed}
    again = [path for path in test_files() if known.digests.get(path) != now[path] or path in stale]
    if again:
        say.doing(f"which tests reach which line: running {len(again)} test files under coverage")
        _merge(known, _run(again, folder / "map", env), set(again), set(now))
        known.digests = now
        kept.write_text(json.dumps(asdict(known)))
        for test in known.failed:
            say.warn(f"fails without any mutant, and is left out: {test}")
    return known


def _run(files: list[str], folder: Path, env: dict[str, str]) -> list[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder.with_suffix(".log")
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGIN, "--durations=0", *files],
            check=False,
            cwd=ROOT,
            env={**env, "MUTANTS_MAP": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if done.returncode not in (0, 1):
        raise Stop(f"The tests could not be run under coverage. The end of {log}:\n{say.tail(log)}")
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def _merge(known: Map, parts: list[dict[str, Any]], again: set[str], now: set[str]) -> None:
    """Forget what was known of the files that ran again or are gone, and take the parts."""
    stale = {
        test for test in (*known.took, *known.failed)
        if _file(test) in again or _file(test) not in now
    }  # fmt: skip
    known.took = {test: took for test, took in known.took.items() if test not in stale}
    known.failed = [test for test in known.failed if test not in stale]
    for part in parts:
        known.failed += part["failed"]
        known.took |= part["took"]
    for path in MODULES:
        lines = known.reached.setdefault(path, {})
        for test in stale:
            lines.pop(test, None)
        for part in parts:
            for test, seen in part["reached"][path].items():
                if test not in known.failed:
                    lines[test] = sorted({*lines.get(test, ()), *seen})


def _statement(path: str, line: int) -> set[int]:
    """The lines of the statement in a function that holds a line; a compound one's head alone.

    Empty when it is no statement of a function: a signature, or what runs at import.
    """
    found: tuple[int, set[int]] = (0, set())
    for depth, node, inside in _tree((ROOT / path).read_text()):
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        last = _first_line(body[0]) - 1 if body else (node.end_lineno or node.lineno)
        lines = set(range(_first_line(node), max(last, _first_line(node)) + 1))
        if line in lines and depth >= found[0]:
            definition = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
            found = (depth, lines if inside and not definition else set())
    return found[1]


@functools.cache
def _tree(source: str) -> list[tuple[int, Any, bool]]:
    return list(_statements(ast.parse(source).body, 0, inside=False))


def _statements(body: list[Any], depth: int, *, inside: bool) -> Iterable[tuple[int, Any, bool]]:
    for node in body:
        yield depth, node, inside
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        below = inside or function
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            children = getattr(node, name, [])
            if isinstance(children, list):
                yield from _statements(children, depth + 1, inside=below)


def _first_line(node: Any) -> int:
    if isinstance(node, ast.match_case):
        return int(node.pattern.lineno)
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(each.lineno for each in decorators)]))


def test_files() -> list[str]:
    """The files of the tests that may notice."""
    files = [
        file
        for name in TESTS
        for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("test_*.py"))
    ]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()[:16]


def _file(test: str) -> str:
    return test.partition("::")[0]
