"""Health and metrics endpoints, for orchestrators and monitors."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from core import metrics, valkey
from core.proxies import client_ip
from core.relay import relay_lag_s

RELAY_LAG_LIMIT_S: Final = 60.0
_TIMEOUT_S: Final = 0.5


@require_safe
def live(_request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing else: a lost database must not restart every process."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Say whether this process should get traffic, and the state of what it depends on.

    503 only when PostgreSQL does not answer. Without Valkey or with a late relay the platform still
    takes payments correctly, only later steps are delayed: `degraded`, with 200, for otherwise one
    lost cache would take every process out of service.
    """
    checks = {
        "database": _check(_database),
        "cache": _check(lambda: _ping(settings.CACHE_URL)),
        "broker": _check(lambda: _ping(settings.CELERY_BROKER_URL)),
        "relay": _check(_relay),
    }
    if checks["database"]["status"] != "ok":
        return JsonResponse({"status": "unavailable", "checks": checks}, status=503)
    healthy = all(check["status"] == "ok" for check in checks.values())
    return JsonResponse({"status": "ok" if healthy else "degraded", "checks": checks})


@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Prometheus text. Needs METRICS_TOKEN as bearer, or, without one set, a local scraper."""
    if not _may_scrape(request):
        return HttpResponse("Not found.\n", status=404, content_type="text/plain")
    try:
        text = metrics.render()
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


urlpatterns = [
    path("health/live", live, name="health-live"),
    path("health/ready", ready, name="health-ready"),
    path("metrics", metrics_view, name="metrics"),
]


def _check(probe: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    try:
        return {"status": "ok", **(probe() or {})}
    except _Late as late:
        return {"status": "late", "lag_s": late.lag_s}
    except (DatabaseError, redis.RedisError, OSError) as error:
        return {"status": "down", "error": type(error).__name__}


class _Late(Exception):
    def __init__(self, lag_s: float) -> None:
        super().__init__()
        self.lag_s = lag_s


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select 1")


def _ping(url: str) -> None:
    client = redis.Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=None,
        **valkey.connections_of(url),
    )
    try:
        client.ping()
    finally:
        client.close()


def _relay() -> dict[str, Any]:
    lag_s = round(relay_lag_s(), 1)
    if lag_s > RELAY_LAG_LIMIT_S:
        raise _Late(lag_s)
    return {"lag_s": lag_s}


def _may_scrape(request: HttpRequest) -> bool:
    token = getattr(settings, "METRICS_TOKEN", "")
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    if request.headers.get("X-Forwarded-For"):
        return False
    try:
        return ipaddress.ip_address(client_ip(request) or "").is_private
    except ValueError:
        return False
