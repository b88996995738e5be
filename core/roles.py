"""The database roles, and how they are made on a server.

* `merchantry_owner` owns the schema and runs migrations; nothing else uses it.
* `merchantry_app` is the login role of every process: neither owner nor superuser, no BYPASSRLS,
  NOINHERIT, so that it can do nothing before it has switched to one of the scope roles.
* `app_merchant`, `app_reseller`, `app_staff`, `app_worker`, `app_auth` carry grants and policies.
* `app_definer` owns the SECURITY DEFINER functions (key look-up, posting); nobody logs in as it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from core.db import TENANT_ROLES

OWNER = "merchantry_owner"
LOGIN = "merchantry_app"
DEFINER = "app_definer"


class RolesNotPermitted(RuntimeError):
    """The given account may not create roles or databases; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class RoleUrls:
    """Addresses of one database: for migrations, and for every process."""

    owner_url: str
    login_url: str


def ensure_roles(
    owner_dsn: str,
    *,
    database: str,
    login_password: str,
    owner_password: str,
) -> RoleUrls:
    """Make the roles and the database on a server, or bring them into line; safe to repeat.

    Args:
        owner_dsn: address of an account with CREATEROLE and CREATEDB (usually the superuser).
        database: the name of the database to own.

    Raises:
        RolesNotPermitted: the account lacks CREATEROLE or CREATEDB.
    """
    with psycopg.connect(owner_dsn, autocommit=True) as conn:
        # Several processes may provision one server at once (test workers): one at a time.
        conn.execute("select pg_advisory_lock(727401)")
        _check_rights(conn)
        for role in (*TENANT_ROLES, DEFINER):
            _ensure_role(conn, role, "NOLOGIN")
        _ensure_role(conn, OWNER, "LOGIN", owner_password)
        _ensure_role(conn, LOGIN, "LOGIN NOINHERIT", login_password)
        for role in TENANT_ROLES:
            conn.execute(
                sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(
                    sql.Identifier(role), sql.Identifier(LOGIN)
                )
            )
        # The owner hands functions over to app_definer (ALTER … OWNER TO needs membership).
        conn.execute(
            sql.SQL("GRANT {} TO {} WITH SET TRUE").format(
                sql.Identifier(DEFINER), sql.Identifier(OWNER)
            )
        )
        _ensure_database(conn, database)
    with psycopg.connect(owner_dsn, dbname=database, autocommit=True) as conn:
        _prepare_schema(conn)
    return RoleUrls(
        owner_url=_address(owner_dsn, OWNER, owner_password, database),
        login_url=_address(owner_dsn, LOGIN, login_password, database),
    )


def _address(admin_dsn: str, user: str, password: str, database: str) -> str:
    """The administrator's address for another account; host, port and TLS settings stay."""
    parts = conninfo_to_dict(admin_dsn)
    host = f"{parts.pop('host', '127.0.0.1')}:{parts.pop('port', '5432')}"
    for own in ("user", "password", "dbname"):
        parts.pop(own, None)
    address = f"postgresql://{user}:{quote(password, safe='')}@{host}/{database}"
    return f"{address}?{urlencode(parts)}" if parts else address


def _check_rights(conn: psycopg.Connection) -> None:
    row = conn.execute(
        "select rolsuper or (rolcreaterole and rolcreatedb), rolname from pg_roles"
        " where rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        name = row[1] if row else "the account"
        raise RolesNotPermitted(
            f"The database account {name!r} may not create roles and databases. Give an "
            "administrator's address, or have one run: ALTER ROLE "
            f"{name} CREATEROLE CREATEDB;"
        )


def _ensure_role(
    conn: psycopg.Connection, role: str, attributes: str, password: str | None = None
) -> None:
    exists = conn.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    if not exists:
        conn.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(attributes)))
    if password is not None:
        conn.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        )


def _ensure_database(conn: psycopg.Connection, database: str) -> None:
    if not conn.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
        # An administrator without SUPERUSER may only give a database to a role it belongs to.
        conn.execute(
            sql.SQL("GRANT {} TO current_user WITH SET TRUE").format(sql.Identifier(OWNER))
        )
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                sql.Identifier(database), sql.Identifier(OWNER)
            )
        )


def _prepare_schema(conn: psycopg.Connection) -> None:
    conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    conn.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
    # ALTER FUNCTION … OWNER TO app_definer needs CREATE on the schema for the new owner.
    conn.execute(
        sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(DEFINER))
    )
    for role in (*TENANT_ROLES, LOGIN):
        conn.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
