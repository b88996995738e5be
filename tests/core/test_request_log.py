"""The request log outlives its database connection."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import OperationalError, connection

from core.api import request_log
from core.db import Scope, fetch_one, tenant_atomic
from core.models import RequestLog
from devtools.ports import free_port
from tests.api import Api
from tests.factories import make_tenants
from tests.threads import no_more_threads

pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def api() -> Api:
    made = Api(make_tenants(users=False))
    request_log.flush()
    return made


def logged() -> list[str]:
    with tenant_atomic(Scope.worker()):
        return list(RequestLog.objects.order_by("id").values_list("path", flat=True))


def cut(admin_dsn: str) -> None:
    """End the server's side of this thread's connection, as a restart does."""
    found = fetch_one("SELECT pg_backend_pid()")
    assert found is not None
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [found[0]])


def test_the_first_rows_after_a_killed_backend_are_written(api: Api, admin_dsn: str) -> None:
    """In a thread of its own, like the writer: Django looks at a connection once a request."""
    assert api.get("/v1/events").status_code == 200
    written = []

    def write() -> None:
        try:
            cut(admin_dsn)
            written.append(request_log.flush())
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()

    assert written == [1]
    assert logged() == ["/v1/events"]


def test_rows_wait_in_their_order_for_a_database_that_is_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/v1/events", "/v1/payments"):
        assert api.get(path).status_code == 200
    connection.close()
    with monkeypatch.context() as away:
        away.setitem(connection.settings_dict, "PORT", free_port())
        for _ in range(2):
            with pytest.raises(OperationalError):
                request_log.flush()

    assert request_log.flush() == 2
    assert logged() == ["/v1/events", "/v1/payments"]


def test_rows_whose_commit_was_made_unseen_are_written_once(api: Api) -> None:
    assert api.get("/v1/events").status_code == 200
    sent = list(request_log._buffer)
    assert request_log.flush() == 1
    request_log._buffer.extend(sent)

    assert request_log.flush() == 1
    assert logged() == ["/v1/events"]


def test_a_request_is_answered_though_the_writer_gets_no_thread(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "_writer", None)
    with no_more_threads():
        assert api.get("/v1/events").status_code == 200
    assert request_log._writer is None, "the next request tries again"
