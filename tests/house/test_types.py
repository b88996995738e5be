"""Where the type checker may be switched off, and where nothing may be `Any`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devtools.check import PACKAGES
from devtools.home import ROOT

#: The faces of the saga's room speak JSON; everything else there moves money.
_FACES: Final = {"admin.py", "api.py", "serializers.py", "selectors.py"}
_REASONED: Final = re.compile(r"# type: ignore\[[a-z-]+\]  # \S")
#: What Django, DRF and django-csp keep on a request under a name of theirs.
_OF_LIBRARIES: Final = {"user", "_auth", "_csp_nonce"}


def _sources(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _product() -> Iterator[tuple[str, str]]:
    return _sources(*(room for room in PACKAGES if room not in ("devtools", "tests")))


def test_nothing_that_the_saga_moves_is_any() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, source in _sources("payments/intents")
        if Path(name).name not in _FACES
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert found == []


def test_what_the_type_checker_does_not_see_has_its_reason_beside_it() -> None:
    found = [
        f"{name}:{number} {line.strip()}"
        for name, source in _product()
        for number, line in enumerate(source.splitlines(), start=1)
        if "# type: ignore" in line and ("attr-defined" in line or _REASONED.search(line) is None)
    ]
    assert found == [], "a request's own values are a core.requests.RequestKey; the rest says why"


def test_values_of_ours_are_read_from_a_request_by_their_key() -> None:
    found = []
    for name, source in _product():
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(
                    func=ast.Name("getattr" | "setattr"),
                    args=[ast.Name("request" | "http"), ast.Constant(attribute), *_],
                ) if attribute not in _OF_LIBRARIES:
                    found.append(f"{name}:{node.lineno} {attribute!r}")
    assert found == []
