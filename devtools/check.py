"""`./dev check`: everything that can be said about the code without running the platform."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devtools import say
from devtools.home import ROOT

SCHEMA = ROOT / "docs" / "openapi.json"
_FORMAT = ("--format", "openapi-json")
BIN = Path(sys.executable).parent

#: What mypy looks at: our rooms, those that exist.
PACKAGES = (
    "config", "core", "tenants", "ledger", "kyc", "notifications", "payments", "payouts", "wallets",
    "onboarding", "portal", "developers", "devtools", "tests",
)  # fmt: skip

#: Tests that read the sources alone: without the suite's database, and without its workers.
_PYTEST = (
    sys.executable, "-m", "pytest", "--noconftest", "-p", "no:django", "-p", "no:cacheprovider",
    "-n", "0", "-q",
)  # fmt: skip

_NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@dataclass(frozen=True, slots=True)
class Result:
    ok: bool
    output: str


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[], Result]


def check(*, fix: bool) -> int:
    """Run every step, two at a time, and print a line for each; 1 if any failed."""
    if fix:
        _fix()
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        pending = [(step, pool.submit(_timed, step)) for step in steps()]
        failed = []
        for step, future in pending:
            result, seconds = future.result()
            say.line(f"{'✓' if result.ok else '✗'} {step.name:<34} {seconds:6.1f} s")
            if not result.ok:
                failed.append(step.name)
                say.line(_indented(result.output))
    say.line()
    if failed:
        say.line(f"{len(failed)} of {len(pending)} checks failed: {', '.join(failed)}")
        return 1
    say.line(f"All {len(pending)} checks passed in {time.monotonic() - began:.0f} s.")
    return 0


def steps() -> list[Step]:
    """The steps, the longest first, so that the short ones fill the time beside it."""
    present = [name for name in PACKAGES if (ROOT / name / "__init__.py").exists()]
    return [
        Step("types (mypy)", lambda: _command([str(BIN / "mypy"), *present])),
        Step("format (ruff)", lambda: _command([str(BIN / "ruff"), "format", "--check", "."])),
        Step("lint (ruff)", lambda: _command([str(BIN / "ruff"), "check", "."])),
        Step("imports (import-linter)", lambda: _command([str(BIN / "lint-imports"), "--no-logo"])),
        Step("house rules (pytest)", lambda: _command([*_PYTEST, "tests/house"])),
        Step("migrations complete", _migrations),
        Step("OpenAPI document up to date", _openapi),
        Step(
            "SQL functions as migrated",
            lambda: _without_server([sys.executable, "-m", "devtools.sql_texts"]),
        ),
        Step(
            "templates (djlint)",
            lambda: _command([str(BIN / "djlint"), "templates", "--lint", "--quiet"]),
        ),
    ]


def _fix() -> None:
    for command in (
        [str(BIN / "ruff"), "check", "--fix", "--quiet", "."],
        [str(BIN / "ruff"), "format", "--quiet", "."],
    ):
        subprocess.run(command, cwd=ROOT, check=False)
    result = _manage(["spectacular", *_FORMAT, "--file", str(SCHEMA)])
    if not result.ok:
        say.warn(f"{SCHEMA.name} could not be written:\n{_indented(result.output)}")


def _timed(step: Step) -> tuple[Result, float]:
    began = time.monotonic()
    return step.run(), time.monotonic() - began


def _migrations() -> Result:
    result = _manage(["makemigrations", "--check", "--dry-run"])
    if result.ok:
        return result
    return Result(ok=False, output=f"{result.output}\nRun ./dev manage makemigrations.")


def _openapi() -> Result:
    """The committed document is what the code says, and the generator warns of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / SCHEMA.name
        result = _manage(
            ["spectacular", *_FORMAT, "--validate", "--fail-on-warn", "--file", str(fresh)]
        )
        if not result.ok:
            return result
        committed = SCHEMA.read_text() if SCHEMA.exists() else ""
        if fresh.read_text() != committed:
            shown = SCHEMA.relative_to(ROOT)
            different = _command(
                ["git", "diff", "--no-index", "--stat", str(SCHEMA), str(fresh)]
            ).output
            return Result(
                ok=False,
                output=f"{shown} is not what the code says. Run ./dev check --fix and commit it.\n"
                f"{different}",
            )
    return Result(ok=True, output="")


def _manage(arguments: list[str]) -> Result:
    return _without_server(
        [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", *arguments]
    )


def _without_server(command: list[str]) -> Result:
    """Run with settings that need no server: these commands only read the code."""
    return _command(
        command,
        {
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "SECRET_KEY": "checks-only-0123456789-0123456789-0123456789",
            "FIELD_KEYS": "1:" + base64.b64encode(bytes(32)).decode(),
            "DATABASE_URL": _NOWHERE,
        },
    )


def _command(command: list[str], extra_env: dict[str, str] | None = None) -> Result:
    # mypy's Django plug-in imports the settings, which want an address and a key.
    env = {
        **os.environ,
        "DATABASE_URL": _NOWHERE,
        "SECRET_KEY": "checks-only-0123456789-0123456789-0123456789",
        **(extra_env or {}),
    }
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        return Result(ok=False, output=f"{error.filename} is not installed.")
    return Result(ok=done.returncode == 0, output=(done.stdout + done.stderr).strip())


def _indented(text: str, most_lines: int = 200) -> str:
    lines = text.splitlines()
    left_out = len(lines) - most_lines
    shown = lines[:most_lines] + ([f"… and {left_out} lines more"] if left_out > 0 else [])
    return "\n".join(f"    {line}" for line in shown)
