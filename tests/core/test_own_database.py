"""The fixture `own_database`: a test in it sees what it has made itself, and nothing else."""

from __future__ import annotations

import os
import threading

import psycopg
import pytest
from django.db import connection

from core.api import request_log
from core.db import Scope, fetch_one, tenant_atomic
from core.models import RequestLog
from ledger.services import integrity
from tenants.models import Merchant
from tests.api import Api
from tests.factories import Tenants, make_tenants


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(users=False)


def current() -> str:
    with tenant_atomic(Scope.worker()):
        row = fetch_one("SELECT current_database()")
    assert row is not None
    return str(row[0])


# The fixture that writes is named first, and is still set up after the database.
def test_it_holds_only_what_the_test_has_made(tenants: Tenants, own_database: str) -> None:
    with tenant_atomic(Scope.worker()):
        assert list(Merchant.objects.all()) == [tenants.merchant]


def test_threads_of_the_test_use_it(own_database: str) -> None:
    found: list[str] = []

    def look() -> None:
        found.append(current())
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [own_database]


def test_every_address_leads_to_it(admin_dsn: str, owner_dsn: str, own_database: str) -> None:
    # Child processes read theirs from the environment.
    for dsn in (os.environ["DATABASE_URL"], admin_dsn, owner_dsn):
        with psycopg.connect(dsn) as conn:
            assert conn.info.dbname == own_database


def test_requests_are_logged_in_it(own_database: str) -> None:
    assert Api(make_tenants()).get("/v1/events").status_code == 200
    request_log.flush()
    with tenant_atomic(Scope.worker()):
        assert [entry.path for entry in RequestLog.objects.all()] == ["/v1/events"]


def test_what_works_on_every_row_is_refused_in_the_workers_database(database: str) -> None:
    with pytest.raises(RuntimeError, match="Give the test the fixture own_database"):
        integrity.verify()


def test_what_works_on_every_row_may_run_in_it(own_database: str) -> None:
    assert integrity.verify().transfers == 0


def test_without_it_the_database_is_the_workers(database: str) -> None:
    assert current() == database
    assert os.environ["DATABASE_URL"].endswith(f"/{database}")
