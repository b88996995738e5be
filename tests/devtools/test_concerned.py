"""Which tests `./dev test --since REF` chooses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devtools import concerned as choice
from devtools import testing
from devtools.concerned import SWEEPS, TESTS, changed_since, concerned
from devtools.home import ROOT
from devtools.say import Stop

#: Chosen for whatever the portal imports.
FACES = {"tests/browser", *SWEEPS}


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A repository whose branch left main before main's newest commit."""
    git(tmp_path, "init", "-b", "main")
    for name in ("kept", "edited", "removed"):
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "checkout", "-b", "work")
    git(tmp_path, "checkout", "main")
    (tmp_path / "kept").write_text("by somebody else")
    git(tmp_path, "commit", "-am", "on main")
    git(tmp_path, "checkout", "work")
    return tmp_path


def test_changes_are_the_branchs_own_committed_or_not(branch: Path) -> None:
    (branch / "committed").write_text("new")
    git(branch, "add", ".")
    git(branch, "rm", "removed")
    git(branch, "commit", "-m", "second")
    (branch / "edited").write_text("in another way")
    (branch / "ünsaved").write_text("not added")

    assert changed_since("main", branch) == ["committed", "edited", "removed", "ünsaved"]


def test_a_name_that_git_does_not_know_is_said(branch: Path) -> None:
    with pytest.raises(Stop, match="git cannot compare with 'mian'"):
        changed_since("mian", branch)


@pytest.mark.parametrize(
    "name",
    [
        "core/money.py",
        "config/settings/base.py",
        "requirements.txt",
        "pyproject.toml",
        "payments/__init__.py",
        "templates/base/portal.html",
        "tests/conftest.py",
        "devtools/pytest_workers.py",
        "an_app_without_a_row/models.py",
    ],
)
def test_what_is_under_all_of_it_concerns_every_test(name: str) -> None:
    assert concerned([name, "tests/core/test_money.py"]) is None


def test_a_test_file_concerns_itself_and_one_that_is_gone_nothing() -> None:
    changed = ["tests/core/test_money.py", "tests/core/test_that_was_removed.py"]
    assert concerned(changed) == ["tests/core/test_money.py"]


def test_a_helper_of_the_tests_concerns_its_folder_and_those_that_import_it() -> None:
    assert concerned(["tests/ledger/fake_cluster.py"]) == ["tests/ledger"]
    found = concerned(["tests/portal/support.py"])
    assert found is not None
    assert {"tests/portal", "tests/tenants/test_portal_pages.py"} <= set(found)
    assert "tests/portal/test_home.py" not in found
    assert "tests/tenants" not in found


def test_an_app_concerns_the_apps_that_import_it_and_no_other() -> None:
    checkout = concerned(["payments/checkout/services/sessions.py"])
    assert set(checkout or ()) == {"tests/checkout", *SWEEPS}
    acceptance = concerned(["payments/acceptance/models.py"])
    assert set(acceptance or ()) == {"tests/payments", "tests/checkout", *FACES}
    ledger = concerned(["ledger/sql/post.sql"])
    assert set(ledger or ()) == {
        "tests/checkout", "tests/devtools", "tests/ledger", "tests/payments", *FACES,
    }  # fmt: skip


def test_a_page_concerns_its_app() -> None:
    assert concerned(["templates/sandbox/challenge.html"]) == concerned(
        ["payments/providers/models.py"]
    )


def test_a_document_concerns_the_tests_that_read_it() -> None:
    found = concerned(["docs/ledger.md"])
    assert found is not None
    assert {"tests/core/test_house_rules.py", "tests/ledger/test_examples.py"} <= set(found)
    assert "tests/ledger/test_post.py" not in found


def test_a_tool_concerns_its_own_tests_and_those_that_use_it() -> None:
    found = concerned(["devtools/valkey.py"])
    assert found is not None
    assert {"tests/devtools", "tests/providers/test_frozen_valkey.py"} <= set(found)


def test_every_app_has_its_tests_and_every_folder_is_chosen_by_something() -> None:
    apps = {
        ".".join(file.relative_to(ROOT).parent.parts)
        for pattern in ("*/apps.py", "payments/*/apps.py")
        for file in ROOT.glob(pattern)
    }
    assert apps - {"core"} <= TESTS.keys()
    named = {*SWEEPS, *(test for tests in TESTS.values() for test in tests)}
    assert {name for name in named if not (ROOT / name).exists()} == set()
    folders = {file.relative_to(ROOT).parent.as_posix() for file in ROOT.glob("tests/*/test_*.py")}
    # What is tested in these lies in core and config.
    assert folders - named == {"tests/core", "tests/serving"}


def test_the_choice_stands_before_the_other_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "changed_since", lambda reference: [f"tests/core/{reference}.py"])
    for reference, expected in (
        ("test_money", ["tests/core/test_money.py", "-q"]),
        ("test_gone", None),
    ):
        assert testing._since(["--since", reference, "-q"]) == expected
    assert testing._since(["tests/core", "-q"]) == ["tests/core", "-q"]
    monkeypatch.setattr(choice, "changed_since", lambda _: ["core/money.py"])
    assert testing._since(["--since=main", "-q"]) == ["-q"]
