"""`./dev bench payments`: payments a second against a floor of the same server.

The floor is `POST /v1/_bench/floor`: the same authentication, parsing, idempotency-free insert of
one row and rendering, in the same process on the same connection pool. Rounds of floor, created and
full payments alternate, so that a machine that slows down slows all of them.

A full payment is one POST that creates, confirms and captures over the sandbox, with a card token
that was made before the clock started. Only the web server runs beside the databases unless
`--all-processes` is given: what relay and worker do later is not the request's work, but shares the
two cores of a small machine.

With `--against CHECKOUT` the full payments of another checkout are measured in the same run, and
the JSON has `against`: our rate over the other's by number of clients (see `_against.py`).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from devtools import say
from devtools.bench._against import compare, other_platform
from devtools.bench._api import card_tokens
from devtools.bench._stack import Load, Platform, platform
from devtools.fleet import EVERY_PROCESS
from devtools.stack import DATABASE

CLIENTS = (1, 4, 16)
KINDS = ("floor", "create", "full")
PATHS = {"floor": "/v1/_bench/floor", "create": "/v1/payments", "full": "/v1/payments"}
MEMORY_PAYMENTS = 10_000
#: The figures that the platform promises (docs/architecture.md).
LEAST_RATIO, LEAST_RATIO_CREATE, MOST_COMMITS, MOST_STATEMENTS = 0.33, 0.7, 3, 25
_ENV = {"BENCH_FLOOR": "1", "API_RATE_PER_S": "100000"}


@dataclass(slots=True)
class Series:
    """What was measured of one kind of request with one number of clients."""

    rates: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return statistics.median(self.rates)

    def percentile_ms(self, percent: int) -> float:
        return statistics.quantiles(self.latencies_ms, n=100, method="inclusive")[percent - 1]


def run(arguments: list[str]) -> int:
    """Measure and print; the last line is one JSON object. 0 if every promise was kept."""
    options = _options(arguments)
    wanted = EVERY_PROCESS if options.all_processes else ("entry", "web")
    with (
        platform(wanted=wanted, extra_env=_ENV) as running,
        Load() as load,
    ):
        bench = _Bench(running, load)
        bench.warm_up()
        measured = bench.rounds(rounds=options.rounds, seconds=options.seconds)
        cost = bench.cost_of_a_payment()
        memory = {} if options.quick else bench.memory(MEMORY_PAYMENTS)
        against = bench.against(options) if options.against else {}
    figures = _figures(measured) | cost | memory | against
    _print_table(measured, figures)
    say.line(json.dumps(figures))
    return 0 if _kept(figures) else 1


class _Payer:
    """Sends one merchant's requests to one platform."""

    def __init__(self, load: Load, *, port: int, merchant: Mapping[str, Any]) -> None:
        self._load = load
        self._port = port
        self._merchant = merchant

    def send(self, kind: str, *, clients: int, requests: int) -> dict[str, Any]:
        tokens = self.tokens(requests) if kind == "full" else []
        return self._load.send(**self.plan(kind, clients=clients, requests=requests, tokens=tokens))

    def pay(self, clients: int, payments: int) -> float:
        """Full payments; how many a second."""
        return _rate(self.send("full", clients=clients, requests=payments))

    def plan(self, kind: str, *, clients: int, requests: int, tokens: list[str]) -> dict[str, Any]:
        amount = {"amount": 4200, "currency": "USD"}
        bodies: list[dict[str, Any]] = {
            "floor": [amount],
            "create": [{**amount, "description": "Bench order"}],
            "full": [
                {
                    **amount,
                    "description": "Bench order",
                    "payment_method_token": token,
                    "confirm": True,
                    "capture_method": "automatic",
                }
                for token in tokens
            ],
        }[kind]
        return {
            "port": self._port,
            "path": PATHS[kind],
            "key": self._merchant["secret_key_test"],
            "clients": clients,
            "requests": requests,
            "bodies": bodies,
        }

    def tokens(self, count: int) -> list[str]:
        """Card tokens, one for each payment; made while no clock runs."""
        return card_tokens(self._load, port=self._port, merchant=self._merchant, count=count)


class _Bench:
    def __init__(self, running: Platform, load: Load) -> None:
        self._running = running
        self._load = load
        self._payer = _Payer(load, port=running.port, merchant=running.demo["merchants"][0])

    def warm_up(self) -> None:
        """Open the connections, fill the caches, and let the planner know the tables."""
        with say.timed("warming up", "warm"):
            _warm_up(self._payer, self._running.admin_url)

    def rounds(self, *, rounds: int, seconds: float) -> dict[tuple[str, int], Series]:
        """Alternate the kinds for each number of clients."""
        measured = {(kind, clients): Series() for kind in KINDS for clients in CLIENTS}
        for clients in CLIENTS:
            for number in range(rounds):
                for kind in KINDS:
                    series = measured[kind, clients]
                    # The first round is short and only tells how many requests fill the time.
                    guess = series.rates[-1] * seconds if series.rates else 40.0 * clients
                    outcome = self._payer.send(
                        kind, clients=clients, requests=int(max(guess, clients))
                    )
                    if number == 0:
                        series.rates = [_rate(outcome)]
                        continue
                    if number == 1:
                        series.rates.clear()
                    series.rates.append(_rate(outcome))
                    series.latencies_ms += outcome["latencies_ms"]
            rates = ", ".join(f"{kind} {measured[kind, clients].per_s:.0f}/s" for kind in KINDS)
            say.done(f"{clients:>2} clients: {rates}")
        return measured

    def against(self, options: argparse.Namespace) -> dict[str, dict[str, float]]:
        """Full payments here over those of another checkout, by number of clients."""
        with other_platform(options.against, _ENV) as there:
            other = _Payer(self._load, port=there["port"], merchant=there["demo"]["merchants"][0])
            _warm_up(other, there["admin_url"])
            ratios = compare(
                self._payer.pay,
                other.pay,
                clients=CLIENTS,
                rounds=options.rounds,
                seconds=options.seconds,
            )
        return {"against": ratios}

    def cost_of_a_payment(self, payments: int = 50) -> dict[str, float]:
        """SQL statements and commits of one full payment, as PostgreSQL counts them.

        Counted are the statements that clients send: BEGIN, COMMIT and ROLLBACK are no statements
        but counted as commits, and what a SQL function does inside is one statement.
        """
        tokens = self._payer.tokens(payments)
        with psycopg.connect(self._running.admin_url, autocommit=True) as admin:
            admin.execute("create extension if not exists pg_stat_statements")
            admin.execute("select pg_stat_statements_reset()")
            self._load.send(**self._payer.plan("full", clients=1, requests=payments, tokens=tokens))
            rows = admin.execute(
                "select query, calls from pg_stat_statements"
                " where query not ilike '%pg_stat_statements%' order by calls desc"
            ).fetchall()
        control = ("BEGIN", "COMMIT", "ROLLBACK", "START TRANSACTION")
        statements = sum(calls for query, calls in rows if not query.upper().startswith(control))
        commits = sum(calls for query, calls in rows if query.upper().startswith("COMMIT"))
        return {
            "statements": round(statements / payments, 1),
            "commits": round(commits / payments, 1),
        }

    def memory(self, payments: int) -> dict[str, float]:
        """Memory of the web server along many payments: after the first tenth it stays flat."""
        steps = 10
        each = payments // steps
        samples = []
        with say.timed(f"{payments} payments for the memory", "done"):
            for _ in range(steps):
                self._payer.send("full", clients=16, requests=each)
                samples.append(round(self._running.web_memory_mb(), 1))
        say.line("  web server, MB after each tenth: " + " ".join(map(str, samples)))
        return {
            "memory_mb_after_first_tenth": samples[0],
            "memory_mb_after_last_tenth": samples[-1],
            "memory_growth_percent": round((samples[-1] / samples[0] - 1) * 100, 1),
        }


def _warm_up(payer: _Payer, admin_url: str) -> None:
    for kind in KINDS:
        payer.send(kind, clients=16, requests=200)
    # As autovacuum would within a minute: plans made for empty tables are made again.
    with psycopg.connect(admin_url, dbname=DATABASE, autocommit=True) as admin:
        admin.execute("analyze")
    for kind in KINDS:
        payer.send(kind, clients=16, requests=200)


def _rate(outcome: dict[str, Any]) -> float:
    return float(len(outcome["latencies_ms"])) / float(outcome["seconds"])


def _figures(measured: dict[tuple[str, int], Series]) -> dict[str, Any]:
    """Ratios are the worst over the numbers of clients; rate and latencies those of 4 clients."""
    by_clients = {
        str(clients): {
            "floor_per_s": round(measured["floor", clients].per_s, 1),
            "create_per_s": round(measured["create", clients].per_s, 1),
            "payments_per_s": round(measured["full", clients].per_s, 1),
            "ratio": _ratio(measured, "full", clients),
            "ratio_create": _ratio(measured, "create", clients),
            "p50_ms": round(measured["full", clients].percentile_ms(50), 2),
            "p99_ms": round(measured["full", clients].percentile_ms(99), 2),
        }
        for clients in CLIENTS
    }
    usual = by_clients["4"]
    return {
        "ratio": min(row["ratio"] for row in by_clients.values()),
        "ratio_create": min(row["ratio_create"] for row in by_clients.values()),
        "p50_ms": usual["p50_ms"],
        "p99_ms": usual["p99_ms"],
        "payments_per_s": usual["payments_per_s"],
        "by_clients": by_clients,
    }


def _ratio(measured: dict[tuple[str, int], Series], kind: str, clients: int) -> float:
    return round(measured[kind, clients].per_s / measured["floor", clients].per_s, 3)


def _print_table(measured: dict[tuple[str, int], Series], figures: dict[str, Any]) -> None:
    say.line()
    say.line("clients  request        per s   of floor    p50 ms    p99 ms")
    for clients in CLIENTS:
        for kind in KINDS:
            series = measured[kind, clients]
            ratio = _ratio(measured, kind, clients)
            say.line(
                f"{clients:>7}  {kind:<9} {series.per_s:>10.1f} {ratio:>10.2f}"
                f" {series.percentile_ms(50):>9.2f} {series.percentile_ms(99):>9.2f}"
            )
    say.line()
    say.line(
        f"one full payment: {figures['statements']} statements, {figures['commits']} commits; "
        f"promised: ratio ≥ {LEAST_RATIO}, created only ≥ {LEAST_RATIO_CREATE}, "
        f"statements ≤ {MOST_STATEMENTS}, commits ≤ {MOST_COMMITS}"
    )


def _kept(figures: dict[str, Any]) -> bool:
    return bool(
        figures["ratio"] >= LEAST_RATIO
        and figures["ratio_create"] >= LEAST_RATIO_CREATE
        and figures["statements"] <= MOST_STATEMENTS
        and figures["commits"] <= MOST_COMMITS
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench payments")
    parser.add_argument("--rounds", type=int, default=4, help="the first one only calibrates")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each round takes")
    parser.add_argument("--quick", action="store_true", help="leave out the 10,000 payments")
    parser.add_argument(
        "--all-processes", action="store_true", help="run worker, relay and beat beside the web"
    )
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="compare with another checkout's payments"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error("--rounds must be at least 2: the first one only calibrates")
    return options
