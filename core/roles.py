"""The database roles, and how they are made on a server.

* `merchantry_owner` owns the schema and runs migrations; nothing else uses it.
* `merchantry_app` holds what a process may do before a scope is open, and may open every scope:
  neither owner nor superuser, no BYPASSRLS, NOINHERIT, so that it can do little before it has
  switched to one of the scope roles. Commands, tests and small installations log in as it.
* `merchantry_web`, `merchantry_console`, `merchantry_worker`, `merchantry_relay` are the login
  roles of the processes. Each inherits what `merchantry_app` may do outside a scope, cannot become
  it, and opens the scopes of its own line of `PROCESS_LOGINS` alone (PostgreSQL 16 or newer).
* `app_merchant`, `app_reseller`, `app_staff`, `app_worker`, `app_auth`, `app_intake` carry grants
  and policies.
* `app_definer` owns the SECURITY DEFINER functions (key look-up, posting) and has no login.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from core.db import TENANT_ROLES, Role

OWNER = "merchantry_owner"
LOGIN = "merchantry_app"
DEFINER = "app_definer"

#: The login role of each kind of process, and the scopes that it opens. What a web process's SQL
#: can be made to do ends there: it becomes neither staff nor worker. Nor can it make a person
#: staff: web logs people in, and what `app_auth` may write is narrow for that reason
#: (tenants/migrations/0015_auth_scope.sql). docs/access.md lists what is left.
PROCESS_LOGINS: Final[Mapping[str, tuple[Role, ...]]] = {
    # Portal, API, checkout and websockets.
    "merchantry_web": ("app_merchant", "app_reseller", "app_auth", "app_intake"),
    # The admin.
    "merchantry_console": ("app_staff", "app_auth", "app_intake"),
    # Tasks, webhooks to merchants, and beat. Mails are made in the scope of logging in.
    "merchantry_worker": (
        "app_worker", "app_merchant", "app_reseller", "app_auth", "app_intake",
    ),
    # Outbox and audit seal; its subscribers work for merchants.
    "merchantry_relay": ("app_worker", "app_merchant", "app_reseller", "app_intake"),
}  # fmt: skip
#: Before, membership has no options: who inherits from a role may also become it.
_SINCE_OPTIONS: Final = 160_000


class RolesNotPermitted(RuntimeError):
    """The roles cannot be made or used; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class RoleUrls:
    """Addresses of one database: for migrations, for commands, and for each kind of process.

    `process_urls` is by login role, and empty on a server older than PostgreSQL 16.
    """

    owner_url: str
    login_url: str
    process_urls: Mapping[str, str] = field(default_factory=dict)


def ensure_roles(
    owner_dsn: str,
    *,
    database: str,
    login_password: str,
    owner_password: str,
) -> RoleUrls:
    """Make the roles and the database on a server, or complete them; safe to repeat.

    Roles belong to the whole server, so several platforms may stand on them: one that exists is
    checked and never changed, and its password least of all.

    Args:
        owner_dsn: address of an account with CREATEROLE and CREATEDB (usually the superuser).
        database: the name of the database to own.
        login_password, owner_password: of `merchantry_app` and `merchantry_owner`, which are made
            with them or must let us in with them.

    Raises:
        RolesNotPermitted: the account lacks CREATEROLE or CREATEDB, a role that exists does not
            open with its password, or it could go around row-level security.
    """
    processes = {role: process_password(login_password, role) for role in PROCESS_LOGINS}
    passwords = {
        OWNER: ("DATABASE_OWNER_PASSWORD", owner_password),
        LOGIN: ("DATABASE_LOGIN_PASSWORD", login_password),
        **{role: ("DATABASE_LOGIN_PASSWORD", text) for role, text in processes.items()},
    }
    with psycopg.connect(owner_dsn, autocommit=True, connect_timeout=10) as conn:
        # Several processes may provision one server at once (test workers): one at a time.
        conn.execute("select pg_advisory_lock(727401)")
        _check_rights(conn)
        check_existing_roles(conn)
        for role, (variable, password) in passwords.items():
            if _exists(conn, role):
                _check_login(conn, owner_dsn, database, role, variable, password)
        for role in (*TENANT_ROLES, DEFINER):
            _ensure_role(conn, role, "NOLOGIN")
        _ensure_role(conn, OWNER, "LOGIN", owner_password)
        _ensure_role(conn, LOGIN, "LOGIN NOINHERIT", login_password)
        for role in TENANT_ROLES:
            _grant_role(conn, role, to=LOGIN, options="INHERIT FALSE, SET TRUE")
        has_options = conn.info.server_version >= _SINCE_OPTIONS
        if has_options:
            for role, text in processes.items():
                _ensure_process_login(conn, role, text)
        # The owner hands functions over to app_definer (ALTER … OWNER TO needs membership).
        _grant_role(conn, DEFINER, to=OWNER, options="SET TRUE")
        _ensure_database(conn, database)
    with psycopg.connect(owner_dsn, dbname=database, autocommit=True, connect_timeout=10) as conn:
        _prepare_schema(conn)
    return RoleUrls(
        owner_url=_address(owner_dsn, OWNER, owner_password, database),
        login_url=_address(owner_dsn, LOGIN, login_password, database),
        process_urls={
            role: _address(owner_dsn, role, text, database)
            for role, text in processes.items()
            if has_options
        },
    )


def process_password(login_password: str, role: str) -> str:
    """The password of a process's login role: derived, so that it tells of no other one."""
    made = hmac.digest(login_password.encode(), role.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def check_existing_roles(conn: psycopg.Connection) -> None:
    """Refuse existing roles whose rights break the isolation of tenants in the database.

    Raises:
        RolesNotPermitted: one of ours is a superuser, ignores row-level security, or (the login
            role) inherits the rights of all scope roles at once.
    """
    rows = conn.execute(
        "select rolname, rolsuper, rolbypassrls, rolinherit and rolname = any(%s) from pg_roles"
        " where rolname = any(%s) order by rolname",
        [[LOGIN, *PROCESS_LOGINS], [*TENANT_ROLES, DEFINER, LOGIN, *PROCESS_LOGINS]],
    ).fetchall()
    for role, *faults in rows:
        named = zip(("SUPERUSER", "BYPASSRLS", "INHERIT"), faults, strict=True)
        wrong = [attribute for attribute, is_set in named if is_set]
        if wrong:
            remedy = " ".join(f"NO{attribute}" for attribute in wrong)
            raise RolesNotPermitted(
                f"The role {role} of this server has {' and '.join(wrong)}, so row-level security "
                "would not hold. Have an administrator run: "
                f"ALTER ROLE {role} {remedy};"
            )


def _check_login(
    conn: psycopg.Connection,
    owner_dsn: str,
    database: str,
    role: str,
    variable: str,
    password: str,
) -> None:
    # The database may have to be made first; the administrator's own is there.
    known = conn.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
    address = _address(owner_dsn, role, password, database if known else conn.info.dbname)
    try:
        psycopg.connect(address, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        raise RolesNotPermitted(
            f"The role {role} exists on this server, made for another checkout or platform, and "
            f"the password that we have does not let us in: {str(error).strip()}\n"
            f"Set {variable} to the role's password (a checkout keeps it in its .dev/env under "
            "this name). Nothing was changed."
        ) from None


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


def _exists(conn: psycopg.Connection, role: str) -> bool:
    found = conn.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    return found is not None


def _ensure_role(
    conn: psycopg.Connection, role: str, attributes: str, password: str | None = None
) -> None:
    if _exists(conn, role):
        return
    conn.execute(
        sql.SQL("CREATE ROLE {} {} PASSWORD {}").format(
            sql.Identifier(role), sql.SQL(attributes), sql.Literal(password)
        )
    )


def _ensure_process_login(conn: psycopg.Connection, role: str, password: str) -> None:
    """A login role that does what `merchantry_app` may do without a scope, and opens its own."""
    _ensure_role(conn, role, "LOGIN NOINHERIT", password)
    _grant_role(conn, LOGIN, to=role, options="INHERIT TRUE, SET FALSE")
    for scope in PROCESS_LOGINS[role]:
        _grant_role(conn, scope, to=role, options="INHERIT FALSE, SET TRUE")


def _grant_role(
    conn: psycopg.Connection, role: str, *, to: str | None = None, options: str
) -> None:
    """Make `to` (by default the administrator) a member of `role`.

    Before 16, PostgreSQL knows no options: membership always allows SET ROLE, and whether it
    inherits is said by the member alone (NOINHERIT).
    """
    member = sql.SQL("current_user") if to is None else sql.Identifier(to)
    statement = sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), member)
    if conn.info.server_version >= _SINCE_OPTIONS:
        statement += sql.SQL(" WITH ") + sql.SQL(options)
    conn.execute(statement)


def _ensure_database(conn: psycopg.Connection, database: str) -> None:
    if not conn.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
        # An administrator without SUPERUSER may only give a database to a role it belongs to.
        _grant_role(conn, OWNER, options="SET TRUE")
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                sql.Identifier(database), sql.Identifier(OWNER)
            )
        )


def _prepare_schema(conn: psycopg.Connection) -> None:
    conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    # Nothing of ours uses temporary tables, and who has none cannot put one before a table of ours.
    conn.execute(
        sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(
            sql.Identifier(conn.info.dbname)
        )
    )
    conn.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
    # ALTER FUNCTION … OWNER TO app_definer needs CREATE on the schema for the new owner.
    conn.execute(
        sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(DEFINER))
    )
    for role in (*TENANT_ROLES, LOGIN):
        conn.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
