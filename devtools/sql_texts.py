"""Compare the SQL functions as they are now with the copies that the migrations install.

`<app>/sql/<function>.sql` holds a function as it is now; migrations hold frozen copies. The newest
copy of each must say what the current text says, or a reader of one is misled about the other.
Needs Django's settings and no database, so what a migration does in Python it does not see:
`tests/core/test_sql_functions.py` compares the current texts with the database.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import django
from django.apps import apps
from django.db.migrations import Migration, RunSQL
from django.db.migrations.loader import MigrationLoader

from devtools.home import ROOT

#: What the comment above a function says, each at the beginning of a line.
CONTRACT: Final = ("Arguments:", "Returns:", "Errors:", "Callers:")

_END_OF_STATEMENT: Final = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?P<quote>\$\w*\$).*?(?P=quote)|'[^']*'|(?P<end>;)", re.DOTALL
)
_COMMENT: Final = re.compile(r"(?:\s|--[^\n]*\n?|/\*.*?\*/)*", re.DOTALL)
_CREATE: Final = re.compile(r"create\s+(?:or\s+replace\s+)?function\s+(\w+)", re.IGNORECASE)
_DROP: Final = re.compile(r"drop\s+function\s+(?:if\s+exists\s+)?(\w+)", re.IGNORECASE)
_ALTER: Final = re.compile(r"alter\s+function\s+(\w+)(?!.*\bowner\s+to\b)", re.IGNORECASE | re.S)


@dataclass(frozen=True, slots=True)
class Text:
    """One definition of a function, and the file that holds it."""

    function: str
    path: Path
    definition: str


class Frozen:
    """The newest copy of each function, by the migrations in the order in which they run."""

    def __init__(self, migrations: Iterable[Migration]) -> None:
        self.newest: dict[str, Text] = {}
        #: Functions that were altered after their newest copy, and the file that does it.
        self.altered: dict[str, Path] = {}
        for migration in migrations:
            module = Path(str(sys.modules[migration.__module__].__file__))
            for operation in migration.operations:
                if isinstance(operation, RunSQL) and isinstance(operation.sql, str):
                    self._run(operation.sql, getattr(operation, "path", module))

    def _run(self, text: str, path: Path) -> None:
        for statement in statements(text):
            if made := _CREATE.match(statement):
                self.newest[made[1]] = Text(made[1], path, _definition(statement))
                self.altered.pop(made[1], None)
            elif dropped := _DROP.match(statement):
                self.newest.pop(dropped[1], None)
                self.altered.pop(dropped[1], None)
            elif altered := _ALTER.match(statement):
                self.altered[altered[1]] = path


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL text, each without the comment above it."""
    start = 0
    for found in _END_OF_STATEMENT.finditer(text):
        if found["end"]:
            yield _bare(text[start : found.end()])
            start = found.end()
    if rest := _bare(text[start:]):
        yield rest


def _bare(statement: str) -> str:
    return _COMMENT.sub("", statement, count=1).rstrip()


def _definition(statement: str) -> str:
    """What is compared: a function that is made and one that is replaced read the same."""
    return _CREATE.sub(r"CREATE OR REPLACE FUNCTION \1", statement, count=1)


def differences(frozen: Frozen, folders: Iterable[Path]) -> list[str]:
    """What the current texts in `folders` say otherwise than the migrations; empty when nothing."""
    found: list[str] = []
    current: dict[Path, Text] = {}
    for file in sorted(each for folder in folders for each in folder.glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        found += _unsound(file, text)
        current[file] = Text(file.stem, file, "\n".join(map(_definition, statements(text))))
    for function, copy in sorted(frozen.newest.items()):
        home = copy.path.parent.parent / "sql" / f"{function}.sql"
        here = current.pop(home, None)
        if here is None:
            found.append(
                f"{function} has no current text: {_shown(copy.path)} makes it, and"
                f" {_shown(home)} is missing"
            )
        elif here.definition != copy.definition:
            found.append(_differ(here, copy))
    for function, path in sorted(frozen.altered.items()):
        found.append(
            f"{function} is altered in {_shown(path)} and not defined there: put the whole"
            " definition into a migration"
        )
    for file, text_left in sorted(current.items()):
        found.append(
            f"{text_left.function} is made by no migration of its app, and {_shown(file)} holds a"
            " text of it"
        )
    return found


def _unsound(file: Path, text: str) -> Iterator[str]:
    defined = [made[1] for made in map(_CREATE.match, statements(text)) if made]
    if defined != [file.stem] or len([*statements(text)]) != 1:
        yield f"{_shown(file)} should define {file.stem} and nothing else"
    comment = _COMMENT.match(text)
    missing = [label for label in CONTRACT if not comment or f"\n-- {label} " not in comment[0]]
    if missing:
        yield f"{_shown(file)} does not say in the comment on top: {', '.join(missing)}"


def _differ(current: Text, copy: Text) -> str:
    lines = difflib.unified_diff(
        copy.definition.splitlines(),
        current.definition.splitlines(),
        _shown(copy.path),
        _shown(current.path),
        n=1,
        lineterm="",
    )
    return "\n".join(
        (
            (
                f"{current.function} differs: {_shown(current.path)} is not what its newest copy"
                f" {_shown(copy.path)} installs"
            ),
            *(f"  {line}" for line in lines),
        )
    )


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def migrations_in_order() -> list[Migration]:
    """Every migration, in an order in which `migrate` may run them."""
    graph = MigrationLoader(None).graph
    plan: Mapping[tuple[str, str], None] = {
        node: None for leaf in graph.leaf_nodes() for node in graph.forwards_plan(leaf)
    }
    return [graph.nodes[node] for node in plan]


def main() -> int:
    """Print what differs; 1 if anything does."""
    django.setup()
    folders = [Path(config.path) / "sql" for config in apps.get_app_configs()]
    found = differences(Frozen(migrations_in_order()), folders)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
