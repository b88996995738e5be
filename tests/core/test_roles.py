"""The roles of a server: made once, shared by many platforms, never weaker than they must be."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from core import roles
from core.db import TENANT_ROLES

PASSWORDS = {
    "login_password": os.environ.get("DATABASE_LOGIN_PASSWORD", "app-test"),
    "owner_password": os.environ.get("DATABASE_OWNER_PASSWORD", "owner-test"),
}


@pytest.fixture
def fresh_database(database: str) -> Iterator[str]:
    name = f"{database}_roles_{secrets.token_hex(3)}"
    yield name
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"], autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _databases(name: str) -> int:
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"]) as conn:
        row = conn.execute("select count(*) from pg_database where datname = %s", [name]).fetchone()
    return int(row[0]) if row else 0


def test_a_second_platform_of_the_same_server_stands_on_the_same_roles(
    fresh_database: str,
) -> None:
    admin = os.environ["DATABASE_ADMIN_URL"]
    urls = roles.ensure_roles(admin, database=fresh_database, **PASSWORDS)
    assert roles.ensure_roles(admin, database=fresh_database, **PASSWORDS) == urls
    with psycopg.connect(urls.login_url) as conn:
        for role in TENANT_ROLES:
            conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            conn.execute("RESET ROLE")
        conn.execute("SET LOCAL ROLE app_merchant")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="temporary"):
            conn.execute("CREATE TEMPORARY TABLE tenants_apikey (id int)")


@pytest.mark.parametrize(
    ("which", "variable"),
    [
        ("login_password", "DATABASE_LOGIN_PASSWORD"),
        ("owner_password", "DATABASE_OWNER_PASSWORD"),
    ],
)
def test_another_platforms_password_is_asked_for_and_not_replaced(
    which: str, variable: str, fresh_database: str
) -> None:
    with pytest.raises(roles.RolesNotPermitted, match=f"Set {variable} to the role's password"):
        roles.ensure_roles(
            os.environ["DATABASE_ADMIN_URL"],
            database=fresh_database,
            **{**PASSWORDS, which: "of-another-checkout"},
        )

    assert _databases(fresh_database) == 0
    psycopg.connect(os.environ["DATABASE_URL"]).close()


def test_nothing_is_made_beside_a_role_that_is_refused(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise roles.RolesNotPermitted("no")

    monkeypatch.setattr(roles, "check_existing_roles", refuse)
    with pytest.raises(roles.RolesNotPermitted, match="no"):
        roles.ensure_roles(os.environ["DATABASE_ADMIN_URL"], database=fresh_database, **PASSWORDS)
    assert _databases(fresh_database) == 0


@pytest.mark.parametrize(
    ("role", "attribute"),
    [
        ("merchantry_app", "SUPERUSER"),
        ("merchantry_app", "BYPASSRLS"),
        ("merchantry_app", "INHERIT"),
        ("app_merchant", "BYPASSRLS"),
        ("app_definer", "SUPERUSER"),
        ("merchantry_web", "INHERIT"),
        ("merchantry_console", "BYPASSRLS"),
    ],
)
def test_a_role_that_would_break_row_level_security_is_refused(role: str, attribute: str) -> None:
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"]) as conn:
        roles.check_existing_roles(conn)
        # Never committed: roles belong to every test that runs now.
        conn.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role), sql.SQL(attribute)))
        with pytest.raises(roles.RolesNotPermitted, match=f"ALTER ROLE {role} NO{attribute};"):
            roles.check_existing_roles(conn)
        conn.rollback()


def test_nobody_but_the_owner_makes_temporary_tables(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = any(%s)"
            " AND has_database_privilege(oid, current_database(), 'TEMPORARY')",
            [[*TENANT_ROLES, roles.LOGIN, roles.DEFINER, *roles.PROCESS_LOGINS]],
        ).fetchall()
    assert rows == []


def test_every_function_with_rights_of_its_own_looks_into_temporary_tables_last(
    admin_dsn: str,
) -> None:
    """Else whoever may make one could put it before a table of ours (CVE-2007-2138)."""
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT p.oid::regprocedure::text, p.proconfig FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    paths = {
        name: next((text for text in config or [] if text.startswith("search_path=")), "")
        for name, config in rows
    }
    assert len(paths) >= 5
    assert {name: path for name, path in paths.items() if not path.endswith(", pg_temp")} == {}


def test_the_addresses_keep_the_servers_other_settings() -> None:
    address = roles._address(
        "postgresql://admin@db.internal:5433/postgres?sslmode=require", "who", "p/w", "shop"
    )
    assert conninfo_to_dict(address) == {
        "user": "who",
        "password": "p/w",
        "host": "db.internal",
        "port": "5433",
        "dbname": "shop",
        "sslmode": "require",
    }
