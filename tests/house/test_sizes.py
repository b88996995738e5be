"""How long files and functions may be: past it, a file becomes a package of the same name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from devtools.check import PACKAGES
from devtools.home import ROOT

FILE_LINES: Final = 500
FUNCTION_LINES: Final = 70


def too_long(name: str, source: str) -> Iterator[str]:
    """The file itself and its functions, where they are past the limit."""
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        yield f"{name} has {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{name}:{node.lineno} {node.name} has {lines} lines"


def test_files_and_functions_keep_to_the_limits() -> None:
    found = [
        fault
        for room in PACKAGES
        for path in sorted((ROOT / room).rglob("*.py"))
        if "migrations" not in path.parts
        for fault in too_long(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert found == [], f"at most {FILE_LINES} lines a file, {FUNCTION_LINES} a function: divide it"


def test_what_is_too_long_is_found() -> None:
    body = "    x = 1\n" * (FUNCTION_LINES - 1)
    assert list(too_long("a.py", f"def f():\n{body}")) == []
    assert list(too_long("a.py", f"def f():\n{body}    x = 2\n")) == ["a.py:1 f has 71 lines"]
    method = "class A:\n    async def f(self):\n" + "        x = 1\n" * FUNCTION_LINES
    assert list(too_long("a.py", method)) == ["a.py:2 f has 71 lines"]
    assert list(too_long("a.py", "x = 1\n" * FILE_LINES)) == []
    assert list(too_long("a.py", "x = 1\n" * (FILE_LINES + 1))) == ["a.py has 501 lines"]
