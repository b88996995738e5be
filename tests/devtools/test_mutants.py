"""How `./dev bench mutants` puts a mutant into a process, and which tests it gives it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from devtools.bench import _mutants_map, _mutants_swap
from devtools.bench._mutants_map import Map
from devtools.bench._mutants_modules import MODULES
from devtools.home import ROOT

SOURCE = """
LIMIT = 3


def capped(amount):
    if amount > LIMIT:
        return LIMIT
    return amount


def counted(amounts):
    return sum(
        capped(amount)
        for amount in amounts
    )


class Row:
    kind = "row"

    def worth(self, amount):
        return capped(amount) + 1
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "mutated_here.py").write_text(SOURCE)
    for place in (_mutants_swap, _mutants_map):
        monkeypatch.setattr(place, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mutated_here", raising=False)
    return importlib.import_module("mutated_here")


def test_a_mutant_takes_the_functions_place_wherever_it_was_imported(module: ModuleType) -> None:
    capped, row = module.capped, module.Row()
    assert _mutants_swap.swap("mutated_here.py", SOURCE.replace("> LIMIT", ">= LIMIT + 5"))
    assert (capped(7), module.counted([7, 7]), row.worth(7)) == (7, 14, 8)
    assert "LIMIT + 5" not in Path(str(module.__file__)).read_text()


def test_a_method_is_changed_in_objects_that_exist(module: ModuleType) -> None:
    row = module.Row()
    assert _mutants_swap.swap("mutated_here.py", SOURCE.replace("+ 1", "- 1"))
    assert row.worth(2) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("LIMIT = 3", "LIMIT = 4"), ('kind = "row"', 'kind = ""'), ("(amount):", "(amount=1):")],
)
def test_what_runs_at_import_is_not_swapped(module: ModuleType, before: str, after: str) -> None:
    assert not _mutants_swap.swap("mutated_here.py", SOURCE.replace(before, after))
    assert (module.LIMIT, module.capped(7), module.Row.kind) == (3, 3, "row")


@pytest.mark.usefixtures("module")
def test_a_line_leads_to_the_tests_of_its_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mutants_map, "MODULES", {"mutated_here.py": ("own.py",)})
    known = Map(
        took={
            "own.py::made": 3.0,
            "own.py::slow": 2.0,
            "own.py::quick": 1.0,
            "other.py::a": 0.1,
            "other.py::b": 0.2,
        },
        reached={
            "mutated_here.py": {
                "": [2, 5],
                "own.py::slow": [6, 7],
                "own.py::quick": [6, 8],
                "other.py::a": [12],
                "other.py::b": [6, 8, 12],
            }
        },
    )
    assert known.tests_for("mutated_here.py", 6) == ["own.py::quick", "own.py::slow", "other.py::b"]
    assert known.tests_for("mutated_here.py", 7) == ["own.py::slow"]
    # Any line of the statement counts, and what runs at import concerns every test of the module.
    assert known.tests_for("mutated_here.py", 14) == ["other.py::a", "other.py::b"]
    assert known.tests_for("mutated_here.py", 2) == [
        "own.py::quick", "own.py::slow", "own.py::made", "other.py::a", "other.py::b",
    ]  # fmt: skip
    assert known.runs_at_import("mutated_here.py", 2)
    assert not known.runs_at_import("mutated_here.py", 7)


def test_every_module_that_is_changed_is_there() -> None:
    assert [path for path in MODULES if not (ROOT / path).is_file()] == []


def test_every_line_of_the_modules_has_its_statement() -> None:
    for path in MODULES:
        for line in range(1, len((ROOT / path).read_text().splitlines()) + 1):
            statement = _mutants_map._statement(path, line)
            assert not statement or line in statement, (path, line)


def test_a_case_of_a_match_is_its_own_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def f(x):\n    match x:\n        case 1:\n            return 2\n    return 3\n"
    (tmp_path / "matched.py").write_text(source)
    monkeypatch.setattr(_mutants_map, "ROOT", tmp_path)
    found = [_mutants_map._statement("matched.py", line) for line in range(1, 6)]
    assert found == [set(), {2}, {3}, {4}, {5}]


@pytest.mark.usefixtures("module")
def test_tests_beside_the_modules_own_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mutants_map, "MODULES", {"mutated_here.py": ("own.py",)})
    monkeypatch.setattr(_mutants_map, "MOST_S", 5.0)
    took = {f"{file}.py::{n}": 2.0 for file in ("own", "x", "y") for n in range(3)}
    known = Map(took=took, reached={"mutated_here.py": {test: [7] for test in took}})
    assert known.tests_for("mutated_here.py", 7) == ["own.py::0", "own.py::1"]
    monkeypatch.setattr(_mutants_map, "MOST_S", 100.0)
    monkeypatch.setattr(_mutants_map, "MOST_TESTS", 2)
    chosen = known.tests_for("mutated_here.py", 7)
    assert chosen == ["own.py::0", "own.py::1", "own.py::2", "x.py::0", "y.py::0"]
