"""Request ids, logs by allowlist, health, metrics."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from celery import signals
from django.db import OperationalError
from django.test import Client

from core import health, metrics, task_context
from core.context import bind_request_id, request_id
from core.logging import configure_logging, scrub
from tests.core.support import drain, emit, worker_sql
from tests.factories import make_tenants

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    configure_logging()


def entries(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_line_is_json_with_the_request_id(logged: io.StringIO) -> None:
    with bind_request_id("req-log-0001"):
        structlog.get_logger("x").info("thing.done", payment_id="pay_1", duration_ms=5)
    [entry] = entries(logged)
    assert entry["event"] == "thing.done"
    assert entry["level"] == "info"
    assert entry["request_id"] == "req-log-0001"
    assert (entry["payment_id"], entry["duration_ms"]) == ("pay_1", 5)
    assert entry["timestamp"].endswith("Z")


def test_fields_that_nobody_allowed_are_dropped(logged: io.StringIO) -> None:
    structlog.get_logger("x").info(
        "thing.done", card_number="4242424242424242", headers={"Authorization": "x"}, body="secret"
    )
    text = logged.getvalue()
    assert entries(logged)[0]["dropped_fields"] == 3
    for word in ("4242", "Authorization", "secret"):
        assert word not in text


def test_free_text_is_scrubbed_also_in_tracebacks(logged: io.StringIO) -> None:
    try:
        raise ValueError("the key mk_sk_live_abcdef123 and 4242 4242 4242 4242")
    except ValueError as error:
        structlog.get_logger("x").warning("thing.failed", error=str(error), exc_info=error)
    logging.getLogger("library").warning("Bearer abc.def.ghi whsec_%s", "c2VjcmV0")
    text = logged.getvalue()
    for word in ("mk_sk_live", "4242", "abc.def", "whsec_", "c2VjcmV0"):
        assert word not in text
    assert len(entries(logged)) == 2


def test_scrubbing_keeps_ordinary_text() -> None:
    assert scrub("payment pay_01k2 took 12 ms") == "payment pay_01k2 took 12 ms"
    assert scrub("x" * 3000).endswith("…")


@pytest.mark.parametrize("given", ["client-id-0001", "0123abcd", "a.b-c_d:e1"])
def test_a_callers_request_id_is_taken_over(given: str) -> None:
    response = Client().get("/health/live", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "a b c d e f", "id\x00id-id-i", "<script>aa"]
)
def test_a_harmful_request_id_is_replaced(given: str) -> None:
    response = Client().get("/health/live", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"].startswith("req_")
    assert request_id() == ""


def test_tasks_carry_the_request_id_of_their_publisher() -> None:
    headers: dict[str, str] = {}
    with bind_request_id("req-task-0001"):
        signals.before_task_publish.send(sender="t", headers=headers)
    task = SimpleNamespace(request=SimpleNamespace(**headers))
    signals.task_prerun.send(sender="t", task_id="1", task=task)
    assert request_id() == "req-task-0001"
    signals.task_postrun.send(sender="t", task_id="1", task=task)
    assert request_id() == ""
    assert task_context._open == {}

    signals.task_prerun.send(sender="t", task_id="2", task=SimpleNamespace(request=object()))
    assert request_id() == "task_2"
    signals.task_postrun.send(sender="t", task_id="2")


def test_ready_names_everything_it_stands_on() -> None:
    drain()
    response = Client().get("/health/ready")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert set(body["checks"]) == {"database", "cache", "broker", "relay"}


def test_a_late_relay_degrades(monkeypatch: pytest.MonkeyPatch) -> None:
    event = emit(make_tenants(users=False), "test.late")
    worker_sql(
        "UPDATE core_outboxevent SET created_at = created_at - interval '1 hour' WHERE id = %s"
        " RETURNING 1",
        [event.id],
    )
    body = Client().get("/health/ready").json()
    drain()
    assert body["status"] == "degraded"
    assert body["checks"]["relay"]["status"] == "late"
    assert body["checks"]["relay"]["lag_s"] > 3500


def test_a_lost_valkey_degrades_and_a_lost_database_refuses(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHE_URL = "redis://127.0.0.1:1/0"
    response = Client().get("/health/ready")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"]["cache"]["status"] == "down"

    def lost() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(health, "_database", lost)
    response = Client().get("/health/ready")
    assert response.status_code == 503
    assert "gone" not in response.content.decode()
    assert Client().get("/health/live").status_code == 200


def test_metrics_count_requests_by_route_and_show_the_lags() -> None:
    Client().get("/v1/events")
    response = Client().get("/metrics")
    text = response.content.decode()
    assert response.status_code == 200
    assert 'merchantry_http_requests_total{method="GET",route="v1/events",status="401"}' in text
    for name in ("outbox_lag_seconds", "audit_unsealed_seconds", "inbox_parked", "webhooks_due"):
        assert f"\nmerchantry_{name} " in text
    assert metrics.read_gauges()["merchantry_outbox_quarantined"] >= 0


def test_metrics_add_up_what_other_processes_have_counted(tmp_path: Path) -> None:
    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", f"from core import metrics; {code}"],
            cwd=ROOT,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    # Each of them is dead by the time of the scrape; what it counted is not.
    for _ in range(2):
        run("metrics.outbox_events.labels('delivered').inc()")
    run("metrics.webhook_attempts.labels('failed').inc(3)")

    shown = run("print(metrics.render().decode())").splitlines()
    assert 'merchantry_outbox_events_total{outcome="delivered"} 2.0' in shown
    assert 'merchantry_webhook_attempts_total{outcome="failed"} 3.0' in shown


def test_metrics_are_not_for_everybody(settings) -> None:
    assert Client().get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404
    assert Client(REMOTE_ADDR="93.184.216.34").get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "t0ken"
    assert Client().get("/metrics").status_code == 404
    wrong = Client().get("/metrics", headers={"Authorization": "Bearer nope"})
    assert wrong.status_code == 404
    right = Client(REMOTE_ADDR="93.184.216.34").get(
        "/metrics", headers={"Authorization": "Bearer t0ken"}
    )
    assert right.status_code == 200
