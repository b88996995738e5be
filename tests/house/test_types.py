"""Where the type checker may be switched off, and where nothing may be `Any`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from devtools.check import PACKAGES
from devtools.home import ROOT

#: The faces of the saga's room speak JSON; everything else there moves money.
_FACES: Final = {"admin.py", "api.py", "serializers.py", "selectors.py"}
_REASONED: Final = re.compile(r"# type: ignore\[[a-z-]+\]  # \S")
_SWITCHED_OFF: Final = re.compile(r"# noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \S")
_BY_NAME: Final = re.compile(r"\b[gs]etattr\(\s*(?:request|http),\s*\"(\w+)\"")
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


def _without_reason(source: str) -> list[int]:
    """The numbers of the lines where a rule of ruff is switched off and nothing says why."""
    lines = enumerate(source.splitlines(), start=1)
    return [n for n, line in lines if "# noqa" in line and _SWITCHED_OFF.search(line) is None]


def test_what_ruff_does_not_see_has_its_reason_beside_it() -> None:
    found = [
        f"{name}:{number}"
        for name, source in _sources(*(room for room in PACKAGES if room != "tests"))
        for number in _without_reason(source)
    ]
    assert found == [], "write `# noqa: S608 - names of models`"


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa", "x = 1  # noqa: S608", "x = 1  # noqa: S608 (so)", "x  # noqa - so"]
)
def test_a_rule_that_is_switched_off_without_a_reason_is_found(line: str) -> None:
    assert _without_reason(f"{line}\nx = 1  # noqa: S608, S311 - so\n") == [1]


def test_values_of_ours_are_read_from_a_request_by_their_key() -> None:
    found = [
        f"{name} {match[1]}"
        for name, source in _product()
        for match in _BY_NAME.finditer(source)
        if match[1] not in _OF_LIBRARIES
    ]
    assert found == []
