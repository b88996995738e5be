"""What a payment costs the database, counted on the wire, so that no cursor can hide anything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
from django.db import connection

from tests.api import Api, new_api

MOST_STATEMENTS = 25
#: What is about to happen, the provider's own effect, and the provider's answer.
MOST_COMMITS = 3
#: Statements outside a transaction that only read: they write no commit record.
READS = ("tenants_api_key_find", "providers_candidates", "providers_account(")


@dataclass
class Cost:
    """`statements` that reached the server, BEGIN and COMMIT among them; `commits` that wrote."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def counted() -> Iterator[Cost]:
    """Count what this thread's connection sends, by libpq's own trace of the protocol."""
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    cost = Cost()
    with tempfile.TemporaryFile() as trace:
        pgconn.trace(trace.fileno())
        pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield cost
        finally:
            pgconn.untrace()
        trace.seek(0)
        _read(trace.read().decode(errors="replace").splitlines(), cost)


def _read(lines: list[str], cost: Cost) -> None:
    names: dict[str, str] = {}
    status, running = "I", ""
    for line in lines:
        parts = line.split("\t")
        side, message, rest = parts[0], parts[2], parts[-1].strip()
        if side == "F" and message == "Parse":
            name, text = rest.split('"')[1], rest
            names[name] = text
        elif side == "F" and message == "Query":
            running = rest
            cost.statements.append(running)
        elif side == "F" and message == "Bind":
            running = names.get(rest.split('"')[3], "a statement prepared before")
            cost.statements.append(running)
            # In a pipeline the COMMIT goes the way of every other statement.
            cost.commits += '"COMMIT"' in running
        elif message == "ReadyForQuery":
            before, status = status, rest.strip().split()[-1]
            alone = before == "I" and status == "I" and running and "COMMIT" not in running
            if alone and not any(read in running for read in READS):
                cost.commits += 1
            if running.strip('" ') == "COMMIT":
                cost.commits += 1
            running = ""


@pytest.fixture
def api(database: str) -> Api:
    # A connection of its own: what others prepared before would be sent without its text.
    connection.close()
    return new_api()


def test_a_full_payment_stays_within_its_statements_and_commits(api: Api) -> None:
    tokens = [api.token() for _ in range(2)]
    api.pay(token=tokens.pop())
    connection.close()

    with counted() as cost:
        answer = api.pay(token=tokens.pop())

    assert answer.json()["data"]["status"] == "completed"
    assert cost.commits == MOST_COMMITS, cost.statements
    assert 8 <= len(cost.statements) <= MOST_STATEMENTS, cost.statements


def test_a_payment_that_is_only_created_is_one_commit(api: Api) -> None:
    connection.close()

    with counted() as cost:
        answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR"})

    assert answer.status_code == 201
    assert cost.commits == 1, cost.statements
    assert len(cost.statements) <= 8, cost.statements
