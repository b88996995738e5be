"""A public object is declared in `shapes.py` alone; serializers only read requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devtools.home import ROOT

_ROOMS: Final = ("core", "developers", "ledger", "notifications", "payments", "portal", "tenants")


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for room in _ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            yield str(Path(file).relative_to(ROOT)), ast.parse(file.read_text())


SOURCES: Final = dict(_sources())


def _classes(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(base) for base in node.bases]


def test_serializers_are_requests_or_their_fields() -> None:
    others = [
        f"{path}: {name}"
        for path, tree in SOURCES.items()
        if path.endswith("/serializers.py")
        for name, bases in _classes(tree)
        if not all(base == "StrictSerializer" or base.endswith("Field") for base in bases)
    ]
    assert others == []


def test_typed_dicts_of_answers_are_in_shapes() -> None:
    elsewhere = [
        f"{path}: {name}"
        for path, tree in SOURCES.items()
        if not path.endswith("/shapes.py")
        for name, _ in _classes(tree)
        if name.endswith("Out")
    ]
    assert elsewhere == []


def test_operations_answer_with_shapes() -> None:
    answers = {
        (path, ast.unparse(part))
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "responses"
        for part in (node.value.values if isinstance(node.value, ast.Dict) else [node.value])
    }
    assert len(answers) > 30
    assert {part for _, part in answers if not part.startswith("shapes.")} == set()
