"""A house rule, read off the code: what speaks to another server is made with its limits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from devtools.home import ROOT

ROOMS: Final = (
    "config", "core", "tenants", "ledger", "notifications", "payments", "portal", "developers",
)  # fmt: skip

#: Calls that make a client or wait for another server, by the end of their dotted name → what has
#: to be said with them.
LIMITS: Final[dict[str, frozenset[str]]] = {
    "psycopg.connect": frozenset({"connect_timeout"}),
    "redis.Redis": frozenset({"socket_timeout", "socket_connect_timeout"}),
    "redis.Redis.from_url": frozenset({"socket_timeout", "socket_connect_timeout"}),
    "redis.ConnectionPool.from_url": frozenset({"socket_timeout", "socket_connect_timeout"}),
    "aioredis.from_url": frozenset({"socket_timeout", "socket_connect_timeout"}),
    "httpx.Client": frozenset({"timeout"}),
    "httpx.AsyncClient": frozenset({"timeout"}),
    "httpx.get": frozenset({"timeout"}),
    "httpx.post": frozenset({"timeout"}),
    "httpx.request": frozenset({"timeout"}),
    "httpx.stream": frozenset({"timeout"}),
    "httpcore.ConnectionPool": frozenset({"network_backend"}),
    "requests.get": frozenset({"timeout"}),
    "requests.post": frozenset({"timeout"}),
    "requests.request": frozenset({"timeout"}),
    "stripe.StripeClient": frozenset({"http_client", "max_network_retries"}),
    "stripe.RequestsClient": frozenset({"timeout"}),
    "smtplib.SMTP": frozenset({"timeout"}),
    "smtplib.SMTP_SSL": frozenset({"timeout"}),
    "socket.create_connection": frozenset({"timeout"}),
    "subprocess.run": frozenset({"timeout"}),
    "urlopen": frozenset({"timeout"}),
    "http.client.HTTPConnection": frozenset({"timeout"}),
    "http.client.HTTPSConnection": frozenset({"timeout"}),
    "boto3.client": frozenset({"config"}),
    "boto3.resource": frozenset({"config"}),
    "grpc.insecure_channel": frozenset({"options"}),
    "grpc.secure_channel": frozenset({"options"}),
    "connection_for_write": frozenset({"transport_options", "connect_timeout"}),
    "get_connection": frozenset({"timeout"}),
}
#: Calls that are made in one place, which knows how they end.
ONE_PLACE: Final[dict[str, str]] = {
    ".delay": "core/enqueue.py",
    ".apply_async": "core/enqueue.py",
    ".send_task": "core/enqueue.py",
    "send_mail": "core/mail.py",
    "EmailMessage": "core/mail.py",
    "getaddrinfo": "core/names.py",
    "gethostbyname": "core/names.py",
    "Connection.connect": "core/postgres/base.py",
    "BoundedConnection.connect": "core/postgres/base.py",
    "at_least": "core/deadline.py",
    "adapter_for": "payments/providers/calls.py",
}
#: Who may do so beside that place, and why.
EXEMPT: Final[dict[tuple[str, str], str]] = {
    ("ledger/backends/postgres.py", "psycopg.connect"): "takes connect_timeout from settings",
    ("core/api/views.py", "at_least"): "the answer of a request whose time is over",
    ("core/liveness.py", "BoundedConnection.connect"): "the lease connection, which is no thread's",
    ("core/downloads.py", "at_least"): "a file has a deadline of its own",
    ("payments/intents/services/answers.py", "at_least"): "an answer about money is committed",
    ("payments/intents/services/steps.py", "at_least"): "what was accepted is committed",
    ("payments/providers/calls.py", "at_least"): "a late answer is worth having",
    ("payments/providers/services.py", "adapter_for"): "webhooks are read here, and not sent for",
}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _named(dotted: str, name: str) -> bool:
    if name.startswith("."):
        return dotted.endswith(name)
    return dotted == name or dotted.endswith(f".{name}")


def faults(source: str, place: str) -> Iterator[str]:
    """What a file does against the rule."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        dotted = _dotted(node.func)
        said = {keyword.arg for keyword in node.keywords}
        for name, needed in LIMITS.items():
            exempt = (place, name) in EXEMPT
            if _named(dotted, name) and not exempt and not needed <= said:
                yield f"{place}:{node.lineno} {dotted}() without {sorted(needed - said)}"
        for name, only in ONE_PLACE.items():
            if _named(dotted, name) and place != only and (place, name) not in EXEMPT:
                yield f"{place}:{node.lineno} {dotted}() belongs in {only}"


def product() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def test_no_client_is_made_without_limits() -> None:
    found = [
        fault
        for path in product()
        for fault in faults(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert found == []


def test_no_exemption_has_outlived_its_call() -> None:
    for place, name in EXEMPT:
        tree = ast.parse((ROOT / place).read_text(encoding="utf-8"))
        calls = [_dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert any(_named(dotted, name) for dotted in calls), (place, name)


@pytest.mark.parametrize(
    "source",
    [
        "task.delay(1)",
        "tasks.check.apply_async(args=[1])",
        "current_app.send_task('x')",
        "redis.Redis.from_url(url)",
        "redis.Redis.from_url(url, socket_timeout=1)",
        "redis.Redis(host='h')",
        "httpx.Client()",
        "psycopg.connect(dsn, autocommit=True)",
        "socket.create_connection(('h', 1))",
        "urllib.request.urlopen(url)",
        "boto3.client('kms')",
        "stripe.StripeClient(key, max_network_retries=0)",
        "stripe.RequestsClient()",
        "socket.getaddrinfo('h', 1)",
        "django.core.mail.send_mail('s')",
        "with_time = deadline.at_least(5)",
    ],
)
def test_a_planted_fault_is_found(source: str) -> None:
    assert len(list(faults(source, "payments/new.py"))) == 1


def test_what_says_its_limits_passes() -> None:
    source = (
        "redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)\n"
        "httpx.Client(timeout=5)\n"
        "psycopg.connect(dsn, connect_timeout=3)\n"
    )
    assert list(faults(source, "payments/new.py")) == []
