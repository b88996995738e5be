"""The functions in the database are those of `<app>/sql/`, called by the roles that each names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps

_FUNCTIONS = (
    "SELECT proname, pg_get_functiondef(p.oid) FROM pg_proc p"
    " WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2"
)
_CALLERS = (
    "SELECT p.proname, p.prosecdef, p.proowner::regrole::text,"
    "       coalesce(array_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC'"
    "                          ELSE a.grantee::regrole::text END)"
    "       FILTER (WHERE a.grantee IS NOT NULL), '{}')"
    "  FROM pg_proc p"
    "  LEFT JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
    "    ON a.grantee <> p.proowner"
    " WHERE p.pronamespace = 'public'::regnamespace GROUP BY p.oid"
)


def _texts() -> dict[str, str]:
    folders = [Path(config.path) / "sql" for config in apps.get_app_configs()]
    files = [file for folder in folders for file in folder.glob("*.sql")]
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def _functions(conn: psycopg.Connection[Any]) -> list[Any]:
    return conn.execute(_FUNCTIONS).fetchall()


def test_installing_the_current_texts_changes_no_function(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        before = _functions(conn)
        for text in _texts().values():
            conn.execute(text.encode())
        after = _functions(conn)
        conn.rollback()

    assert [name for name, _ in before] == sorted(_texts())
    assert after == before


def _declared(text: str) -> tuple[set[str], str]:
    """The roles that the comment on top names as callers, and the one that it runs as."""
    callers = re.search(r"^-- Callers: (.*(?:\n--   .*)*)", text, re.MULTILINE)
    assert callers
    line = re.sub(r"\n--  ", "", callers[1])
    runs_as = re.search(r"Runs as (\w+)\.", line)
    roles = line.split(".")[0]
    return set() if roles == "none" else set(roles.split(", ")), runs_as[1] if runs_as else ""


def test_each_function_is_called_by_whom_its_comment_says(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(_CALLERS).fetchall()

    assert {name: _declared(text) for name, text in _texts().items()} == {
        name: (set(callers), owner if definer else "") for name, definer, owner, callers in rows
    }
