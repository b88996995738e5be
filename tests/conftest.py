"""The test database: real PostgreSQL, spoken to as the login role that row-level security binds.

Tests commit for real and clean nothing up; each makes tenants of its own (`tests/factories.py`),
and tenancy keeps them apart. A run migrates one template and gives every worker a copy of it. A
test of code that works on all rows of a database takes the fixture `own_database` instead.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import hypothesis
import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import process_state, whole_database

ROOT = Path(__file__).resolve().parent.parent
_RUN = os.environ.get("TEST_RUN_ID") or secrets.token_hex(3)
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_TEMPLATE = f"test_{_RUN}_template"
_DATABASE = f"test_{_RUN}_{_WORKER}"
_AS_FOUND: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
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
    # Never the development platform's: it has another key. The tests that anchor name their own.
    os.environ["AUDIT_ANCHOR"] = f"file:{Path(tempfile.gettempdir()) / f'anchor-{_DATABASE}'}"
    os.environ.setdefault("SECRET_KEY", "tests-only-0123456789-0123456789-0123456789")
    os.environ["REDIS_URL"] = _own_redis()
    admin = os.environ.get("DATABASE_OWNER_URL", "")
    if not admin:
        raise pytest.UsageError(
            "The tests need a database: run ./dev test, or set DATABASE_OWNER_URL and REDIS_URL."
        )
    os.environ["DATABASE_ADMIN_URL"] = os.environ.setdefault("DATABASE_ADMIN_URL", admin)
    os.environ["DATABASE_URL"] = _dsn("merchantry_app", _LOGIN_PASSWORD, _DATABASE)


def _dsn(role: str, password: str, database: str) -> str:
    parts = conninfo_to_dict(os.environ["DATABASE_ADMIN_URL"])
    host = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    return f"postgresql://{role}:{password}@{host}/{database}"


_set_environment()
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")
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


def _create(name: str) -> None:
    """Copy the template."""
    with _admin() as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER merchantry_owner").format(
                sql.Identifier(name), sql.Identifier(_TEMPLATE)
            )
        )
        # A copy has the tables of its template and not the grants on the database itself.
        conn.execute(
            sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
        )


def _drop(name: str) -> None:
    with _admin() as conn:
        conn.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


@pytest.fixture(scope="session", autouse=True)
def database(django_db_blocker: Any) -> Iterator[str]:
    """A database of this worker's own; database access is open in every test."""
    _build_template()
    _create(_DATABASE)
    # Never blocked again: threads of ours may still write when the last test is over.
    django_db_blocker.unblock()
    yield _DATABASE
    from core import liveness
    from core.api import request_log

    # What the requests of the tests left in the buffer has no database to go to afterwards.
    request_log.flush()
    connections.close_all()
    liveness.stop()
    _drop(_DATABASE)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The controller drops what the workers shared."""
    if hasattr(session.config, "workerinput"):
        return
    for name in (_TEMPLATE, f"{_TEMPLATE}_building"):
        _drop(name)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the order, which the header tells only a run without -q."""
    seed = str(config.getoption("random_order_seed", "")).removeprefix("default:")
    if config.getoption("random_order_enabled", default=False):
        terminalreporter.write_line(f"again in this order: --random-order-seed={seed}")


@pytest.fixture(scope="session")
def another_database(database: str) -> Callable[[], AbstractContextManager[str]]:
    """another_database() makes a database and uses it meanwhile, in this process and its children.

    It costs half a second. Tests take `own_database`; this is for fixtures of a wider scope.
    """
    return _another_database


@pytest.fixture
def own_database(another_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A database as the migrations leave it, and an empty cache, for this test alone.

    For code that works on all rows (tests/whole_database.py): in the worker's database such a test
    would depend on what ran before it. The test's fixtures, threads and child processes use it too;
    fixtures of a wider scope have not seen it.
    """
    with another_database() as name:
        yield name


@contextmanager
def _another_database() -> Iterator[str]:
    from core.api import request_log

    name = f"{_DATABASE}_{secrets.token_hex(3)}"
    _create(name)
    _leave_database()
    for url in (settings.REDIS_URL, settings.CACHE_URL):
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    with pytest.MonkeyPatch.context() as here:
        here.setitem(connections.settings["default"], "NAME", name)
        here.setenv("DATABASE_URL", _dsn("merchantry_app", _LOGIN_PASSWORD, name))
        # The request log's thread keeps its connection to the worker's database.
        here.setattr(request_log, "flush", _not_in_thread("request-log", request_log.flush))
        yield name
        _leave_database()
    _drop(name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test depends on what an earlier one has left in the process."""
    process_state.forget()
    # Cut by an earlier test, it is found so and made again before its next use.
    connections["default"].close_if_unusable_or_obsolete()
    item.stash[_AS_FOUND] = process_state.snapshot()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Once its fixtures have changed back what they changed."""
    yield
    changed = process_state.changes(item.stash[_AS_FOUND], process_state.snapshot())
    assert changed == [], "the test did not change back what it changed"


@pytest.fixture(autouse=True)
def _own_database_first(request: pytest.FixtureRequest) -> None:
    """Whatever the order of a test's arguments, no fixture writes before the database is chosen."""
    if "own_database" in request.fixturenames:
        request.getfixturevalue("own_database")


def _leave_database() -> None:
    """Write what is buffered for this thread's database, and forget what was read from it."""
    from core import liveness
    from core.api import request_log
    from ledger.backends import get_ledger

    request_log.flush()
    process_state.forget()
    liveness.stop()
    close = getattr(get_ledger(), "close", None)
    if close:
        close()
    connections.close_all()


def _not_in_thread(name: str, function: Callable[[], int]) -> Callable[[], int]:
    return lambda: 0 if threading.current_thread().name == name else function()


@pytest.fixture
def owner_dsn(database: str) -> str:
    """The owner's address of the test's database, for what only the owner may do."""
    return _dsn("merchantry_owner", _OWNER_PASSWORD, _current_database())


@pytest.fixture
def admin_dsn(database: str) -> str:
    """The administrator's address of the test's database (a superuser: sees every row)."""
    return make_conninfo(os.environ["DATABASE_ADMIN_URL"], dbname=_current_database())


@pytest.fixture
def process_dsns(database: str) -> dict[str, str]:
    """The address of the test's database for the login role of each kind of process."""
    from core.roles import PROCESS_LOGINS, process_password

    return {
        role: _dsn(role, process_password(_LOGIN_PASSWORD, role), _current_database())
        for role in PROCESS_LOGINS
    }


@pytest.fixture(scope="session")
def worker_admin_dsn(database: str) -> str:
    """As `admin_dsn`, of the worker's database: for fixtures that several tests share."""
    return make_conninfo(os.environ["DATABASE_ADMIN_URL"], dbname=database)


def _current_database() -> str:
    return str(connections.settings["default"]["NAME"])


# Before any test module is imported, as above.
whole_database.guard(lambda: _current_database() != _DATABASE)
