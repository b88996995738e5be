"""`./dev bench mutants`: how many small faults in the code that counts the tests notice.

A seeded sample of mutants (one sign, one number, one call changed) of the modules that
`_mutants_modules` names. Each is put into a process of its own, never into the checkout, and meets
the tests that reach the changed line. Killed is one with which a test fails, or that does not come
to an end. One that survives is answered for with its reason in `mutants_survivors.toml`, or it
fails the run.

What has been run is kept in `.dev/mutants/`: a second start goes on where the first was stopped,
and runs again only what a change concerns: mutants of changed modules, and survivors of changed
tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from devtools import say
from devtools.bench import _mutants_map
from devtools.bench._mutants_map import PLUGIN, Map
from devtools.bench._mutants_modules import MODULES
from devtools.bench._mutants_source import Mutant, sample
from devtools.home import ROOT, Home
from devtools.testing import servers

#: The promise (docs/architecture.md).
LEAST_KILLED = 0.95
REASONS: Final = Path(__file__).with_name("mutants_survivors.toml")
_COLD_START_S = 90.0
_MAKER: Final = "devtools/bench/_mutants_source.py"


def run(arguments: list[str]) -> int:
    """Run the sample and print; the last line is one JSON object.

    Returns:
        0 if enough mutants were killed and each that survived has its reason.
    """
    options = _options(arguments)
    folder = Home.default().path / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with say.timed("making the mutants", "mutants") as remarks:
        mutants = _sample(folder, options)
        remarks.append(f"{len(mutants)}")
    log = _Log(folder / f"results-{options.seed}.jsonl")
    with servers() as env:
        reached = _mutants_map.up_to_date(folder, env)
        left = [mutant for mutant in mutants if not log.knows(mutant, reached)]
        say.line(f"{len(mutants) - len(left)} are known, {len(left)} to run")
        until = began + 60 * options.minutes if options.minutes else float("inf")
        _run_all(left, reached, log, env | {"TEST_RUN_ID": "mutants"}, options.workers, until)
    log.write({"minutes": (time.monotonic() - began) / 60})
    return _report(mutants, log)


def _sample(folder: Path, options: argparse.Namespace) -> list[Mutant]:
    """The sample, which takes half a minute to make: kept as long as no module changes."""
    kept = folder / f"sample-{options.seed}-{options.sample}.json"
    digests = {path: _mutants_map.digest(path) for path in (*MODULES, _MAKER)}
    found = json.loads(kept.read_text()) if kept.exists() else {}
    if found.get("digests") != digests:
        mutants = sample(options.sample, seed=options.seed)
        found = {"digests": digests, "mutants": [asdict(mutant) for mutant in mutants]}
        kept.write_text(json.dumps(found))
    mutants = [Mutant(**each) for each in found["mutants"]]
    return [mutant for mutant in mutants if options.only in mutant.path]


class _Log:
    """The results, one JSON object a line: what a stopped run has found is not lost."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self.results: dict[str, dict[str, Any]] = {}
        self.minutes = 0.0
        for line in path.read_text().splitlines() if path.exists() else ():
            self._take(json.loads(line))

    def write(self, entry: dict[str, Any]) -> None:
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        self.minutes += entry.get("minutes", 0.0)
        if "key" in entry:
            self.results[entry["key"]] = entry

    def knows(self, mutant: Mutant, reached: Map) -> bool:
        result = self.results.get(mutant.key)
        if result is None:
            return False
        if result["outcome"] != "survived":
            return True
        tests = reached.tests_for(mutant.path, mutant.line)
        return bool(result["tests"] == _identity(tests, reached))


def _identity(tests: list[str], reached: Map) -> str:
    """Changes with the tests that a mutant meets."""
    met = [f"{test} {reached.digests[test.partition('::')[0]]}" for test in tests]
    return hashlib.sha256("\n".join(met).encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Slot:
    """One process that has collected the tests, and takes one mutant after the other."""

    number: int
    env: dict[str, str]
    reached: Map
    process: subprocess.Popen[bytes] | None = None
    jobs: Any = None
    results: Any = None
    cold: int = field(default=0)

    def start(self) -> None:
        job_end, jobs = os.pipe()
        results, result_end = os.pipe()
        self.env = self.env | {"PYTEST_XDIST_WORKER": f"gw{self.number}"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *PLUGIN, "-n0", *_mutants_map.test_files()],
            cwd=ROOT,
            env=self.env | {"MUTANTS_JOBS": f"{job_end},{result_end}"},
            pass_fds=(job_end, result_end),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(job_end)
        os.close(result_end)
        self.jobs, self.results = os.fdopen(jobs, "w"), os.fdopen(results)

    def wait_until_ready(self) -> None:
        """Until every test is collected."""
        if not self.results.readline():
            raise say.Stop("The tests could not be collected: run ./dev test --collect-only.")

    def stop(self) -> None:
        if self.process is not None:
            self.jobs.close()
            self.process.wait(timeout=60)

    def meet(self, mutant: Mutant) -> dict[str, Any]:
        tests = self.reached.tests_for(mutant.path, mutant.line)
        if not tests:
            return {"outcome": "survived", "tests": "", "ran": 0}
        job = {
            "path": mutant.path,
            "source": mutant.source,
            "tests": tests,
            "limit_s": 20 + 6 * sum(self.reached.took.get(test, 0.0) for test in tests),
        }
        self.jobs.write(json.dumps(job) + "\n")
        self.jobs.flush()
        result: dict[str, Any] = json.loads(self.results.readline())
        if result["outcome"] == "error":
            raise say.Stop(f"{mutant.path}:{mutant.line} could not be run: {result['why']}")
        if result["outcome"] == "cold" or (
            result["outcome"] == "survived"
            and self.reached.runs_at_import(mutant.path, mutant.line)
        ):
            result = self._meet_cold(job)
        return result | {"tests": _identity(tests, self.reached)}

    def _meet_cold(self, job: dict[str, Any]) -> dict[str, Any]:
        """In a process that loads the mutant in place of its module."""
        self.cold += 1
        files = sorted({test.partition("::")[0] for test in job["tests"]})
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="merchantry-mutant-") as folder:
            file, answer = Path(folder) / "job.json", Path(folder) / "answer.json"
            database = f"test_mutants_cold{self.number}_{self.cold}"
            file.write_text(json.dumps(job | {"database": database, "answer": str(answer)}))
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *PLUGIN, "-n0", *files],
                cwd=ROOT,
                env=self.env | {"MUTANTS_ONE": str(file)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                out, _ = process.communicate(timeout=_COLD_START_S + job["limit_s"])
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.communicate()
                return {"outcome": "timeout", "cold": True}
            said = answer.read_text() if answer.exists() else ""
        seconds = round(time.monotonic() - began, 2)
        if not said:  # it could not even be imported
            why = out.decode(errors="replace").strip()[-400:]
            return {"outcome": "killed", "by": "", "why": why, "cold": True, "seconds": seconds}
        return {**json.loads(said), "cold": True, "seconds": seconds}


def _run_all(
    mutants: list[Mutant], reached: Map, log: _Log, env: dict[str, str], workers: int, until: float
) -> None:
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in mutants:
        waiting.put(mutant)
    slots = [_Slot(number, env, reached) for number in range(min(workers, len(mutants)))]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.wait_until_ready()
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=_work, args=(slot, waiting, log, until, failures)) for slot in slots
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for slot in slots:
        slot.stop()
    if failures:
        raise failures[0]


def _work(
    slot: _Slot,
    waiting: queue.SimpleQueue[Mutant],
    log: _Log,
    until: float,
    failures: list[BaseException],
) -> None:
    try:
        while time.monotonic() < until:
            mutant = waiting.get_nowait()
            result = slot.meet(mutant)
            log.write({
                "key": mutant.key, "path": mutant.path, "line": mutant.line,
                "definition": mutant.definition, "operator": mutant.operator,
                "before": mutant.before, "after": mutant.after, **result,
            })  # fmt: skip
            if result["outcome"] == "survived":
                say.line(f"  survived: {mutant.path}:{mutant.line}  {mutant.after[:100]}")
            left = waiting.qsize()
            if left % 25 == 0:
                say.doing(f"{left} to run")
    except queue.Empty:
        pass
    except BaseException as error:  # noqa: BLE001 - shown by the thread that waits
        failures.append(error)


def _report(mutants: list[Mutant], log: _Log) -> int:
    reasons = {
        (each["path"], each["definition"], each["before"], each["after"]): each["reason"]
        for each in tomllib.loads(REASONS.read_text()).get("survivor", [])
    }
    run = [mutant for mutant in mutants if mutant.key in log.results]
    survived = [mutant for mutant in run if log.results[mutant.key]["outcome"] == "survived"]
    explained = 0
    for mutant in sorted(survived, key=lambda mutant: (mutant.path, mutant.line)):
        reason = reasons.get((mutant.path, mutant.definition, mutant.before, mutant.after), "")
        explained += bool(reason.strip())
        say.line(f"\n{mutant.path}:{mutant.line} {mutant.definition}\n{mutant.diff()}")
        say.line(f"  {reason or 'NO REASON: write a test that fails, or say why none can.'}")
    killed = len(run) - len(survived)
    score = killed / len(run) if run else 0.0
    _table(run, log)
    figures = {
        "sampled": len(mutants),
        "run": len(run),
        "killed": killed,
        "survived": len(survived),
        "explained": explained,
        "score": round(score, 4),
        "minutes": round(log.minutes, 1),
    }
    say.line(json.dumps(figures))
    whole = len(run) == len(mutants)
    return 0 if whole and score >= LEAST_KILLED and explained == len(survived) else 1


def _table(run: list[Mutant], log: _Log) -> None:
    say.line(f"\n{'module':<45}{'run':>6}{'killed':>8}{'survived':>10}")
    for path in sorted({mutant.path for mutant in run}):
        outcomes = [log.results[each.key]["outcome"] for each in run if each.path == path]
        survived = outcomes.count("survived")
        say.line(f"{path:<45}{len(outcomes):>6}{len(outcomes) - survived:>8}{survived:>10}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench mutants")
    parser.add_argument("--sample", type=int, default=600, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument("--only", default="", help="modules whose path contains this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0, help="stop after this many")
    return parser.parse_args(arguments)
