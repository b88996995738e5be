"""What a log may hold of an address: no link that opens something, no card number, no row."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from django.db import IntegrityError, connection
from django.test import Client, RequestFactory

from core.api import request_log
from core.db import Scope, tenant_atomic
from core.logging import configure_logging, scrub, shown_path
from core.models import RequestLog
from tests.api import CARD_OK, new_api
from tests.checkout.payer import new_session
from tests.factories import make_tenants

PAGES = [
    "/password/reset/usr_secretuser/secret-token",
    "/invitations/secret-token",
    "/pay/cs_secretuser/secret-token",
    "/nowhere/secret-token",
]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    configure_logging()


def requests_in(stream: io.StringIO) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [row for row in rows if row["event"] == "http.request"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_of_a_page_is_in_no_line(path: str, method: str, logged: io.StringIO) -> None:
    # With the checks of a browser: Django's own loggers tell of what they refuse.
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.generic(method, f"{path}?next=secret-token")
    assert requests_in(logged)
    for secret in ("secret-token", "secretuser"):
        assert secret not in logged.getvalue()


def test_a_real_checkout_link_is_logged_as_its_pattern(logged: io.StringIO) -> None:
    url = new_session(new_api())["url"]
    logged.seek(0)
    logged.truncate()
    path = "/" + url.partition("://")[2].partition("/")[2]
    assert Client().get(path).status_code == 200
    assert [row["path"] for row in requests_in(logged)] == ["/pay/<str:session_id>/<str:secret>"]


def test_a_crash_is_logged_without_the_link(
    logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("tenants.services.team.invitation_find", broken)
    Client(raise_request_exception=False).get("/invitations/secret-token")
    assert "secret-token" not in logged.getvalue()
    assert "RuntimeError: broken" in logged.getvalue()


def test_a_path_of_the_api_is_logged_as_it_is(logged: io.StringIO) -> None:
    Client().get("/v1/payments/pay_01kah8q3v5e0trz5b2m8x1c9dn?email=bob@example.com")
    [row] = requests_in(logged)
    assert row["path"] == "/v1/payments/pay_01kah8q3v5e0trz5b2m8x1c9dn"


def test_a_card_number_in_an_ids_place_reaches_no_log(logged: io.StringIO) -> None:
    api = new_api()
    answer = api.get(
        f"/v1/payments/{CARD_OK}", X_Request_Id=CARD_OK, Idempotency_Key=f"order-{CARD_OK}"
    )
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"].startswith("req_")
    request_log.flush()
    with tenant_atomic(Scope.worker()):
        row = RequestLog.objects.get(request_id=answer.headers["X-Request-Id"])
    assert row.path == "/v1/payments/<str:payment_id>"
    assert row.idempotency_key == "order-[card number]"
    assert CARD_OK not in logged.getvalue()


def test_what_matched_nothing_shows_nothing() -> None:
    assert shown_path(RequestFactory().get("/anything")) == "unmatched"
    assert shown_path(RequestFactory().get("/v1/anything")) == "/v1/anything"


def test_the_row_that_the_database_quotes_is_removed(logged: io.StringIO) -> None:
    tenants = make_tenants()
    email = tenants.users["merchant.owner"].email
    try:
        with tenant_atomic(Scope.staff()), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tenants_user (id, email, name, password, is_active, is_staff,"
                " created_at, is_superuser) SELECT gen_random_uuid(), email, '', '', true, false,"
                " now(), false FROM tenants_user WHERE email = %s",
                [email],
            )
    except IntegrityError as error:
        structlog.get_logger("x").error("thing.failed", error=str(error), exc_info=error)
        logging.getLogger("library").exception("it failed")
    assert logged.getvalue().count("duplicate key value") >= 3
    assert email not in logged.getvalue()


def test_a_detail_ends_where_the_next_remark_begins() -> None:
    text = (
        "null value in column\nDETAIL:  Failing row contains (1, bob\n\nSmith, b@x.test).\n"
        "HINT:  None.\n\nThe above exception was the direct cause"
    )
    assert scrub(text) == (
        "null value in column\nDETAIL: [removed]\nHINT:  None.\n\n"
        "The above exception was the direct cause"
    )


def test_a_secret_across_the_cut_of_a_traceback_is_removed_whole(logged: io.StringIO) -> None:
    secret = "whsec_" + "A" * 1_500
    try:
        raise ValueError(f"{secret} " + "x " * 600)
    except ValueError as error:
        structlog.get_logger("x").error("thing.failed", exc_info=error)
    assert "AAAA" not in logged.getvalue()
