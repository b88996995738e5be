"""Which tests a change concerns: the choice behind `./dev test --since REF`."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import grimp

from devtools.home import ROOT
from devtools.say import Stop

#: An app's own tests.
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "tenants": ("tests/tenants",),
    "ledger": ("tests/ledger",),
    "notifications": ("tests/notifications",),
    "payments.providers": ("tests/providers",),
    "payments.intents": ("tests/payments",),
    "payments.acceptance": ("tests/payments",),
    "payments.checkout": ("tests/checkout",),
    "portal": ("tests/portal", "tests/browser"),
    "developers": ("tests/developers",),
    "devtools": ("tests/devtools",),
}
#: Sweeps over every app: addresses, tables, columns, permissions.
SWEEPS: Final = (
    "tests/api_fuzz",
    "tests/core/test_house_rules.py",
    "tests/developers",
    "tests/house",
    "tests/portal",
    "tests/tenants/test_permission_table.py",
    "tests/tenants/test_rls.py",
    "tests/test_card_doors.py",
)
#: Where the templates of an app stand when the folder has another name than the app.
_TEMPLATES: Final = {
    "acceptance": "payments.acceptance",
    "checkout": "payments.checkout",
    "sandbox": "payments.providers",
}
_STATIC: Final = (
    "tests/browser", "tests/checkout", "tests/core/test_static_versions.py", "tests/portal",
)  # fmt: skip
#: Requests that come through the entry.
_ENTRY: Final = ("tests/browser/test_entry.py", "tests/serving")


def changed_since(reference: str, root: Path = ROOT) -> list[str]:
    """The files that differ from where this branch left `reference`, committed or not.

    Raises:
        Stop: git does not know `reference`.
    """
    commands = (
        ["diff", "--name-only", "--no-renames", "--merge-base", reference, "--"],
        ["ls-files", "--others", "--exclude-standard"],
    )
    files: set[str] = set()
    for command in commands:
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *command],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Stop(f"git cannot compare with {reference!r}: {done.stderr.strip()}")
        files.update(done.stdout.splitlines())
    return sorted(files)


def concerned(changed: Iterable[str], root: Path = ROOT) -> list[str] | None:
    """The files and folders of tests that a change of these files concerns; None for all of them.

    A test file concerns itself, a helper of the tests all that import it. An app's file concerns
    the tests of the app, those of the apps that import it, and the sweeps over every app. A
    document concerns the tests that name it. Any other file (core, config, requirements, the
    tests' conftest) concerns everything.
    """
    chosen: set[str] = set()
    for name in changed:
        found = _concerned(PurePosixPath(name), root)
        if found is None:
            return None
        chosen.update(found)
    return sorted(
        path
        for path in chosen
        if (root / path).exists()
        and not any(str(folder) in chosen for folder in PurePosixPath(path).parents)
    )


def _concerned(path: PurePosixPath, root: Path) -> set[str] | None:
    top = path.parts[0]
    if top == "tests":
        return _by_test_file(path, root)
    if top == "templates":
        folder = path.parts[1]
        return _by_app(_TEMPLATES.get(folder, folder))
    if top == "static":
        return set(_STATIC)
    if path.name == "pytest_workers.py":
        return None
    if top == "devtools":
        return {*TESTS["devtools"], *_importing(_module(path))}
    if top == "deploy":
        return _naming(path, root) | set(_ENTRY)
    if top in ("docs", ".ci") or (len(path.parts) == 1 and path.suffix == ".md"):
        return _naming(path, root)
    return _by_app(".".join(path.parts[:2]) if top == "payments" else top)


def _by_test_file(path: PurePosixPath, root: Path) -> set[str] | None:
    if path.name.startswith("test_") and path.suffix == ".py":
        return {str(path)}
    folder = None if len(path.parts) == 2 else {str(path.parent)}
    if path.name == "conftest.py" or path.suffix != ".py" or not (root / path).exists():
        return folder
    return {*(folder or ()), *_importing(_module(path))} or None


def _by_app(app: str) -> set[str] | None:
    if app not in TESTS:
        return None
    modules = _graph().find_downstream_modules(app, as_package=True)
    apps = [
        name
        for name in TESTS
        if name == app or any(f"{module}.".startswith(f"{name}.") for module in modules)
    ]
    return {test for name in apps for test in TESTS[name]} | set(SWEEPS)


def _naming(path: PurePosixPath, root: Path) -> set[str]:
    """The tests that read a document or a manifest: they name it."""
    files = (root / "tests").rglob("test_*.py")
    named = {
        file.relative_to(root).as_posix()
        for file in files
        if path.name in file.read_text(encoding="utf-8")
    }
    return named | {"tests/core/test_house_rules.py"}


@functools.cache
def _graph() -> grimp.ImportGraph:
    """Who imports whom, from the sources as they are now."""
    rooms = {name.partition(".")[0] for name in TESTS}
    return grimp.build_graph("core", "tests", *sorted(rooms), cache_dir=None)


def _module(path: PurePosixPath) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _importing(module: str) -> set[str]:
    """The test files that import a module, directly or not."""
    graph = _graph()
    if module not in graph.modules:
        return set()
    return {
        name.replace(".", "/") + ".py"
        for name in graph.find_downstream_modules(module)
        if name.startswith("tests.") and name.rpartition(".")[2].startswith("test_")
    }
