"""The test database: real PostgreSQL, spoken to as the login role that row-level security binds.

Tests commit for real and clean nothing up; each makes tenants of its own (`tests/factories.py`),
and tenancy keeps them apart. A run migrates one template and gives every worker a copy of it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import psycopg
import pytest
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
_RUN = os.environ.get("TEST_RUN_ID") or secrets.token_hex(3)
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_TEMPLATE = f"test_{_RUN}_template"
_DATABASE = f"test_{_RUN}_{_WORKER}"
#: The roles belong to the whole server: where a platform may share it, `./dev test` hands over the
#: passwords that it uses.
_LOGIN_PASSWORD = os.environ.get("DATABASE_LOGIN_PASSWORD", "app-test")
_OWNER_PASSWORD = os.environ.get("DATABASE_OWNER_PASSWORD", "owner-test")


def _own_redis() -> str:
    """Two databases of the cache server for each worker: some tests flush theirs."""
    base = os.environ.setdefault(
        "REDIS_BASE_URL", os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    )
    parts = urlsplit(base)
    worker = int(_WORKER.removeprefix("gw")) if _WORKER.startswith("gw") else 0
    return parts._replace(path=f"/{int(parts.path.strip('/') or 0) + 2 * worker}").geturl()


def _set_environment() -> None:
    """Everything that settings read, set before Django is imported."""
    os.environ["TEST_RUN_ID"] = _RUN
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    os.environ.setdefault("SECRET_KEY", "tests-only-0123456789-0123456789-0123456789")
    os.environ["REDIS_URL"] = _own_redis()
    admin = os.environ.get("DATABASE_OWNER_URL", "")
    if not admin:
        raise pytest.UsageError(
            "The tests need a database: run ./dev test, or set DATABASE_OWNER_URL and REDIS_URL."
        )
    os.environ["DATABASE_ADMIN_URL"] = os.environ.setdefault("DATABASE_ADMIN_URL", admin)
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(os.environ["DATABASE_ADMIN_URL"])
    host = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    os.environ["DATABASE_URL"] = f"postgresql://merchantry_app:{_LOGIN_PASSWORD}@{host}/{_DATABASE}"


_set_environment()
# Before any test module is imported: they import models at the top, as modules should.
django.setup()


def _admin() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_ADMIN_URL"], autocommit=True)


def _build_template() -> None:
    """Make the roles, migrate one database; under xdist the first worker does it for all."""
    from core.roles import RolesNotPermitted, ensure_roles

    with _admin() as lock:
        lock.execute("select pg_advisory_lock(hashtext(%s))", [_TEMPLATE])
        if lock.execute("select 1 from pg_database where datname = %s", [_TEMPLATE]).fetchone():
            return
        building = f"{_TEMPLATE}_building"
        try:
            urls = ensure_roles(
                os.environ["DATABASE_ADMIN_URL"],
                database=building,
                login_password=_LOGIN_PASSWORD,
                owner_password=_OWNER_PASSWORD,
            )
        except RolesNotPermitted as error:
            raise pytest.UsageError(str(error)) from None
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_OWNER_URL": urls.owner_url},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise pytest.UsageError(f"The migrations failed:\n{done.stdout}\n{done.stderr}")
        lock.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(building), sql.Identifier(_TEMPLATE)
            )
        )


@pytest.fixture(scope="session", autouse=True)
def database(django_db_blocker: Any) -> Iterator[str]:
    """A database of this worker's own; database access is open in every test."""
    _build_template()
    with _admin() as conn:
        conn.execute("select pg_advisory_lock(hashtext(%s))", [_TEMPLATE])
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER merchantry_owner").format(
                sql.Identifier(_DATABASE), sql.Identifier(_TEMPLATE)
            )
        )
        # A copy has the tables of its template and not the grants on the database itself.
        conn.execute(
            sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(_DATABASE))
        )
    # Never blocked again: threads of ours may still write when the last test is over.
    django_db_blocker.unblock()
    yield _DATABASE
    from django.db import connections

    from core.api import request_log

    # What the requests of the tests left in the buffer has no database to go to afterwards.
    request_log.flush()
    connections.close_all()
    with _admin() as conn:
        conn.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_DATABASE))
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The controller drops what the workers shared."""
    if hasattr(session.config, "workerinput"):
        return
    with _admin() as conn:
        for name in (_TEMPLATE, f"{_TEMPLATE}_building"):
            conn.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def owner_dsn(database: str) -> str:
    """The owner's address of this worker's database, for what only the owner may do."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(os.environ["DATABASE_ADMIN_URL"])
    host = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    return f"postgresql://merchantry_owner:{_OWNER_PASSWORD}@{host}/{database}"


@pytest.fixture(scope="session")
def process_dsns(database: str) -> dict[str, str]:
    """The address of this worker's database for the login role of each kind of process."""
    from psycopg.conninfo import conninfo_to_dict

    from core.roles import PROCESS_LOGINS, process_password

    parts = conninfo_to_dict(os.environ["DATABASE_ADMIN_URL"])
    host = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    return {
        role: f"postgresql://{role}:{process_password(_LOGIN_PASSWORD, role)}@{host}/{database}"
        for role in PROCESS_LOGINS
    }


@pytest.fixture(scope="session")
def admin_dsn(database: str) -> str:
    """The administrator's address of this worker's database (a superuser: sees every row)."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(os.environ["DATABASE_ADMIN_URL"], dbname=database)
