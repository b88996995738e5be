"""Prometheus metrics.

Two kinds, because several processes answer: counters of this process, which prometheus-client adds
up over processes when PROMETHEUS_MULTIPROC_DIR is set; and gauges of the platform (lags, queues),
which are read from PostgreSQL at the moment of the scrape and are the same in every process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

_METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})

http_requests = Counter(
    "merchantry_http_requests_total", "Requests answered.", ("method", "route", "status")
)
http_seconds = Histogram(
    "merchantry_http_request_seconds",
    "Time to answer a request.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
outbox_events = Counter(
    "merchantry_outbox_events_total", "Events that the relay has handled.", ("outcome",)
)
webhook_attempts = Counter(
    "merchantry_webhook_attempts_total", "Attempts to deliver customer webhooks.", ("outcome",)
)
breaker_openings = Counter(
    "merchantry_breaker_openings_total", "Servers that were left alone for a while.", ("kind",)
)

# Name → (help, reader). Readers open their own scope; a higher room registers its own.
_gauges: dict[str, tuple[str, Callable[[], float]]] = {}


def register_gauge(name: str, description: str, read: Callable[[], float]) -> None:
    """Add a gauge of the platform, read at every scrape; `read` opens its own transaction."""
    _gauges[name] = (description, read)


def read_gauges() -> Mapping[str, float]:
    return {name: read() for name, (_, read) in _gauges.items()}


def observe_request(*, method: str, route: str, status: int, duration_s: float) -> None:
    """Count one request; `route` is the URL pattern, never the path (bounded cardinality)."""
    method = method if method in _METHODS else "OTHER"
    http_requests.labels(method, route, str(status)).inc()
    http_seconds.labels(method, route).observe(duration_s)


class _PlatformCollector(Collector):
    def collect(self) -> Iterable[Metric]:
        for name, (description, read) in _gauges.items():
            family = GaugeMetricFamily(name, description)
            family.add_metric([], read())
            yield family


def render() -> bytes:
    """The text exposition of all metrics."""
    registry = CollectorRegistry()
    registry.register(_PlatformCollector())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        return generate_latest(registry)
    return generate_latest(REGISTRY) + generate_latest(registry)
