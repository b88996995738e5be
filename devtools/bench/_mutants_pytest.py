"""The pytest plugin of `./dev bench mutants`: what reaches a line, and what meets a mutant.

`MUTANTS_MAP` names a folder: the tests run once under coverage, and each worker leaves a file
there. `MUTANTS_JOBS` names two pipes: the tests are collected once, and for each job that is read
from the first a child with the mutant runs the job's tests, up to the first that fails.
`MUTANTS_ONE` names a file with one job, whose mutant this process itself loads.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from devtools.bench._mutants_modules import MODULES, module_name
from devtools.bench._mutants_swap import load_instead, swap
from devtools.home import ROOT

#: What a child's exit status says, and a mutant that cannot be put into a process which is running.
SURVIVED: Final = "survived"
KILLED: Final = "killed"
TIMEOUT: Final = "timeout"
ERROR: Final = "error"
COLD: Final = "cold"
#: A mutant that recurses or collects without end must not exhaust the machine.
_MOST_MEMORY_BYTES: Final = 4_000_000_000

_MAP = os.environ.get("MUTANTS_MAP", "")
_JOBS = os.environ.get("MUTANTS_JOBS", "")
_ONE = os.environ.get("MUTANTS_ONE", "")


if _MAP:  # what runs at import is the context "" (COLD has to know)
    from coverage import Coverage

    _coverage = Coverage(
        data_file=None, include=[str(ROOT / path) for path in MODULES], config_file=False
    )
    _coverage.start()
if _ONE:  # before conftest.py sets Django up, and with it imports the platform
    _job = json.loads(Path(_ONE).read_text())
    load_instead(module_name(_job["path"]), _job["path"], _job["source"])


def pytest_configure(config: pytest.Config) -> None:
    if _MAP:
        if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
            config.pluginmanager.register(_Map(Path(_MAP)), "mutants-map")
    elif _JOBS:
        config.pluginmanager.register(_Jobs(*map(int, _JOBS.split(","))), "mutants-jobs")
    elif _ONE:
        config.pluginmanager.register(_One(_job), "mutants-one")


class _Map:
    """Coverage by test, and how long each took."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._coverage = folder, _coverage
        self._took: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self._coverage.switch_context(item.nodeid)
        result = yield
        self._coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._took[report.nodeid] += report.duration
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        reached: dict[str, dict[str, list[int]]] = {}
        for path in MODULES:
            reached[path] = defaultdict(list)
            for line, tests in data.contexts_by_lineno(str(ROOT / path)).items():
                for test in tests:
                    reached[path][test].append(line)
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        content = {"took": self._took, "failed": sorted(self._failed), "reached": reached}
        (self._folder / f"{worker}.json").write_text(json.dumps(content))


class _Jobs:
    """Children of one process that has collected every test and has not run any."""

    def __init__(self, jobs: int, results: int) -> None:
        self._jobs, self._results = os.fdopen(jobs, "r"), results

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        conftest = _conftest(session)
        conftest._build_template()
        items = {item.nodeid: item for item in session.items}
        self._say({"ready": len(items)})
        for number, line in enumerate(self._jobs):
            job = json.loads(line)
            database = f"{conftest._DATABASE}_{number}"
            began = time.monotonic()
            result = _in_child(job, items, conftest, database)
            result["seconds"] = round(time.monotonic() - began, 2)
            self._say(result)
        os._exit(0)

    def _say(self, what: dict[str, Any]) -> None:
        os.write(self._results, (json.dumps(what) + "\n").encode())


def _in_child(
    job: dict[str, Any], items: dict[str, pytest.Item], conftest: Any, database: str
) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reader)
        try:
            if not swap(job["path"], job["source"]):
                _finish(writer, {"outcome": COLD})
            _enter(conftest, database)
            _run([items[test] for test in job["tests"] if test in items], writer)
        except Exception as error:  # noqa: BLE001 - ours, for pytest catches what a test raises
            _finish(writer, {"outcome": ERROR, "by": "", "why": repr(error)[:300]})
        finally:
            os._exit(70)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], job["limit_s"])
    said = os.read(reader, 65_536) if ready else b""
    os.close(reader)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(child, 0)
    conftest._drop(database)
    if not ready:
        return {"outcome": TIMEOUT}
    if not said:
        return {"outcome": KILLED, "by": "", "why": "the process ended"}
    answer: dict[str, Any] = json.loads(said)
    return answer


def _enter(conftest: Any, database: str) -> None:
    """A database of this mutant's own: what it writes wrongly misleads no other."""
    import redis
    from django.conf import settings
    from django.db import connections

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    conftest._DATABASE = database
    os.environ["DATABASE_URL"] = conftest._dsn("merchantry_app", conftest._LOGIN_PASSWORD, database)
    connections.settings["default"]["NAME"] = database
    for url in (settings.REDIS_URL, settings.CACHE_URL):
        with redis.Redis.from_url(url) as client:
            client.flushdb()


def _run(items: list[pytest.Item], writer: int) -> None:
    """Run the tests in this order; the process ends with the first that fails, or the last."""
    if items:
        items[0].config.pluginmanager.register(_First(writer), "mutants-first")
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    _finish(writer, {"outcome": SURVIVED, "ran": len(items)})


class _First:
    """Report the first failure and end the process."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longrepr).strip().splitlines() or [""]
            _finish(self._writer, {"outcome": KILLED, "by": report.nodeid, "why": why[0][:300]})


class _One:
    """One mutant that this process has loaded in place of its module."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        _enter(_conftest(session), self._job["database"])
        with Path(self._job["answer"]).open("wb", buffering=0) as answer:
            _run([items[test] for test in self._job["tests"] if test in items], answer.fileno())
        return True


def _conftest(session: pytest.Session) -> Any:
    """tests/conftest.py as pytest has loaded it."""
    file = str(ROOT / "tests" / "conftest.py")
    plugins = session.config.pluginmanager.get_plugins()
    return next(plugin for plugin in plugins if getattr(plugin, "__file__", "") == file)


def _finish(writer: int, result: dict[str, Any]) -> None:
    os.write(writer, json.dumps(result).encode())
    sys.stdout.flush()
    os._exit(0)
