"""`./dev check` finds an SQL function whose current text and newest frozen copy differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.migrations import Migration

from core.rls import RunSqlFile, frozen_sql
from devtools.sql_texts import Frozen, differences, statements

CONTRACT = """-- Twice a number.
--
-- Arguments: n.
-- Returns: twice n.
-- Errors: none.
-- Callers: PUBLIC.
"""
TWICE = """CREATE FUNCTION twice(n int) RETURNS int
LANGUAGE sql AS $$ SELECT 2 * n; $$;
"""
SUM = TWICE.replace("2 * n", "n + n")


class App:
    """An app in a folder of its own: the migrations that it has, and its current texts."""

    def __init__(self, folder: Path) -> None:
        self.migrations = folder / "migrations"
        self.sql = folder / "sql"
        self.migrations.mkdir()
        self.sql.mkdir()
        self.done: list[Migration] = []

    def migrate(self, name: str, text: str) -> None:
        (self.migrations / f"{name}.sql").write_text(text)
        run = RunSqlFile(str(self.migrations / f"{name}.py"), f"{name}.sql", reverse="")
        kind = type("Migration", (Migration,), {"operations": [run]})
        self.done.append(kind(name, "app"))

    def write(self, function: str, text: str) -> None:
        (self.sql / f"{function}.sql").write_text(text)

    def differences(self) -> list[str]:
        return differences(Frozen(self.done), [self.sql])


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


def test_a_current_text_that_says_what_the_newest_copy_says_passes(app: App) -> None:
    app.migrate("0001_twice", TWICE)
    app.migrate("0002_sum", "-- Quicker.\n" + SUM.replace("CREATE", "create or replace"))
    app.write("twice", CONTRACT + SUM)

    assert app.differences() == []


def test_a_planted_difference_is_shown_with_the_function_and_both_files(app: App) -> None:
    app.migrate("0001_twice", TWICE)
    app.migrate("0002_sum", SUM)
    app.write("twice", CONTRACT + TWICE)

    [found] = app.differences()

    head, *lines = found.splitlines()
    assert head == (
        f"twice differs: {app.sql}/twice.sql is not what its newest copy"
        f" {app.migrations}/0002_sum.sql installs"
    )
    assert lines[-2:] == [
        "  -LANGUAGE sql AS $$ SELECT n + n; $$;",
        "  +LANGUAGE sql AS $$ SELECT 2 * n; $$;",
    ]


def test_a_function_without_a_current_text_is_named(app: App) -> None:
    app.migrate("0001_twice", TWICE)

    assert app.differences() == [
        (
            f"twice has no current text: {app.migrations}/0001_twice.sql makes it, and"
            f" {app.sql}/twice.sql is missing"
        )
    ]


def test_a_text_whose_function_was_dropped_is_named(app: App) -> None:
    app.migrate("0001_twice", TWICE)
    app.migrate("0002_drop", "DROP FUNCTION twice(int);")
    app.write("twice", CONTRACT + TWICE)

    assert app.differences() == [
        f"twice is made by no migration of its app, and {app.sql}/twice.sql holds a text of it"
    ]


def test_a_function_that_is_only_altered_after_its_newest_copy_is_named(app: App) -> None:
    app.migrate("0001_twice", TWICE + "ALTER FUNCTION twice(int) OWNER TO app_definer;")
    app.migrate("0002_path", "ALTER FUNCTION twice(int) SET search_path = pg_catalog;")
    app.write("twice", CONTRACT + TWICE)

    assert app.differences() == [
        (
            f"twice is altered in {app.migrations}/0002_path.sql and not defined there: put the"
            " whole definition into a migration"
        )
    ]


def test_a_text_without_its_contract_or_with_more_than_its_function_is_named(app: App) -> None:
    app.migrate("0001_twice", TWICE)
    app.write("twice", CONTRACT.replace("-- Errors: none.\n", "") + TWICE + "SELECT 1;")

    assert app.differences()[:2] == [
        f"{app.sql}/twice.sql should define twice and nothing else",
        f"{app.sql}/twice.sql does not say in the comment on top: Errors:",
    ]


def test_a_migration_runs_no_text_of_another_one(tmp_path: Path) -> None:
    (tmp_path / "0001_twice.sql").write_text(TWICE)

    with pytest.raises(ValueError, match=r"0002_sum\.py runs 0001_twice\.sql"):
        frozen_sql(str(tmp_path / "0002_sum.py"), "0001_twice.sql")


def test_semicolons_in_bodies_strings_and_comments_end_no_statement() -> None:
    text = "-- one; two\nSELECT ';' /* ; */, 'it''s;';\n" + TWICE + "SELECT 1; -- rest"

    assert [*statements(text)] == [
        "SELECT ';' /* ; */, 'it''s;';",
        TWICE.rstrip(),
        "SELECT 1;",
    ]
