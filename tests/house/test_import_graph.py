"""The import graph of the product: no module reaches itself, imports inside functions included."""

from __future__ import annotations

import grimp

from devtools.check import PACKAGES
from devtools.home import ROOT


def test_no_modules_import_each_other_in_a_circle() -> None:
    rooms = [
        name
        for name in PACKAGES
        if name not in ("devtools", "tests") and (ROOT / name / "__init__.py").exists()
    ]
    graph = grimp.build_graph(*rooms, cache_dir=None)
    # A module that imports none of the rest, or that none of the rest imports, is in no circle.
    left = set(graph.modules)
    while loose := {
        name
        for name in left
        if not graph.find_modules_directly_imported_by(name) & left
        or not graph.find_modules_that_directly_import(name) & left
    }:
        left -= loose
    assert sorted(left) == []
