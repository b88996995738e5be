"""`./dev bench faults`: what a paying merchant notices when parts of the platform die.

One merchant pays twenty times a second, at times that are fixed beforehand, and has a webhook
endpoint. Meanwhile one thing breaks at a time: each process is killed, a PostgreSQL backend, the
whole server, Valkey forgets everything, Valkey and the database stop answering. The merchant's
client repeats what broke under the same Idempotency-Key (`_payers`).

By fault, in seconds: `gap_s`, the longest time without an answered payment, but for the time
between two payments; `away_s`, how long the fault itself may hold up every payment (connections to
the database are stopped for so long), which `worst_gap_s` leaves out; `slowest_s`, the slowest
payment, from when it was due to its end; `webhooks_s`, how long after load and fault were over the
last `payment.completed` came. `lost` counts payments without an end, or that were acknowledged and
are not completed; `double` payments and charges beyond the first of one Idempotency-Key. At the end
the books are recomputed.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import psycopg

from devtools import say, stack
from devtools.bench._api import ask, card_tokens
from devtools.bench._faults import AWAY_S, FAULTS
from devtools.bench._receiver import Receiver, receiver
from devtools.bench._stack import Load, Platform, platform, restarting
from devtools.fleet import EVERY_PROCESS

PER_S = 20
#: Enough that none is missing while answers take twelve seconds.
PAYERS = 250
FAULT_AFTER_S, GIVE_UP_S, WEBHOOKS_WITHIN_S = 3.0, 60.0, 60.0
EVENT = "payment.completed"
#: The promises (docs/architecture.md).
MOST_GAP_S, MOST_SLOWEST_S, MOST_WEBHOOKS_S = 5.0, 15.0, 10.0


@dataclass(slots=True)
class Case:
    """What the paying merchant saw of one fault."""

    gap_s: float
    away_s: float
    slowest_s: float
    webhooks_s: float
    lost: int
    double: int

    @property
    def own_gap_s(self) -> float:
        """The gap without the time for which the fault itself may hold up every payment."""
        return round(max(0.0, self.gap_s - self.away_s), 2)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.own_gap_s < MOST_GAP_S
            and self.slowest_s < MOST_SLOWEST_S
            and self.webhooks_s < MOST_WEBHOOKS_S
            and not self.lost
            and not self.double
        )


def run(arguments: list[str]) -> int:
    """Break one thing after the other and print; the last line is one JSON object.

    Returns:
        0 if every promise was kept and the books agree with the journal.
    """
    options = _options(arguments)
    cases: dict[str, Case] = {}
    with (
        platform(wanted=EVERY_PROCESS, extra_env={}) as running,
        restarting(running),
        Load() as load,
        Load("devtools.bench._payers") as payers,
        receiver() as endpoint,
    ):
        _register(running, endpoint)
        bench = _Bench(running, load, payers, endpoint)
        bench.measure("none", seconds=5)  # the first payments of a process are slow
        for name in options.only or list(FAULTS):
            cases[name] = bench.measure(name, seconds=options.seconds)
        books = stack.run_manage(["ledger_verify", "--full"], running.env)
    say.line((books.stdout + books.stderr).strip()[-300:])
    say.line(json.dumps(_figures(cases)))
    return 0 if all(case.kept for case in cases.values()) and books.returncode == 0 else 1


class _Bench:
    def __init__(self, running: Platform, load: Load, payers: Load, endpoint: Receiver) -> None:
        self._running, self._load, self._payers = running, load, payers
        self._endpoint = endpoint
        self._key = str(running.demo["merchants"][0]["secret_key_test"])
        self._amount = 4_200

    def measure(self, name: str, *, seconds: float) -> Case:
        """Pay for so long, break it meanwhile, and look at what came of every payment."""
        bodies = self._bodies(name, int(PER_S * seconds))
        self._payers.begin(
            port=self._running.port, key=self._key, per_s=PER_S, clients=PAYERS,
            give_up_s=GIVE_UP_S, bodies=bodies,
        )  # fmt: skip
        time.sleep(FAULT_AFTER_S)
        if name in FAULTS:
            FAULTS[name](self._running)
        healed = time.monotonic()
        outcome = self._payers.outcome()
        over = max(healed, outcome["ended"])
        paid = outcome["payments"]
        acknowledged = {each["id"] for each in paid if each["id"]}
        webhooks_s = self._wait_for_webhooks(acknowledged, since=over)
        listed = self._listed({body["reference"] for body in bodies})
        completed = {item["id"] for item in listed if item["status"] == "completed"}
        case = Case(
            gap_s=_gap_s(outcome),
            away_s=AWAY_S.get(name, 0.0),
            slowest_s=round(
                max((each["ended"] or outcome["ended"]) - each["due"] for each in paid), 2
            ),
            webhooks_s=webhooks_s,
            lost=sum(each["ended"] is None or each["id"] not in completed for each in paid),
            double=_beyond_first(item["reference"] for item in listed)
            + self._charges_beyond_first(bodies),
        )
        self._tell(name, case, paid)
        return case

    def _bodies(self, name: str, count: int) -> list[dict[str, Any]]:
        """Payments, each with its own reference and amount, by which their charges are found."""
        run_id = secrets.token_hex(4)
        bodies = []
        tokens = card_tokens(
            self._load,
            port=self._running.port,
            merchant=self._running.demo["merchants"][0],
            count=count,
        )
        for number, token in enumerate(tokens):
            self._amount += 1
            bodies.append(
                {
                    "amount": self._amount,
                    "currency": "USD",
                    "payment_method_token": token,
                    "confirm": True,
                    "reference": f"{name}-{run_id}-{number}",
                }
            )
        return bodies

    def _wait_for_webhooks(self, payments: set[str], *, since: float) -> float:
        """Seconds from `since` until each payment's event has come; 0 if all were there before."""
        waited_s = 0.0
        while missing := payments - self._endpoint.told_of(EVENT):
            waited_s = time.monotonic() - since
            if waited_s > WEBHOOKS_WITHIN_S:
                say.warn(f"no {EVENT} for {len(missing)}: {' '.join(sorted(missing)[:3])}")
                break
            time.sleep(0.02)
        return round(waited_s, 2)

    def _listed(self, references: set[str]) -> list[dict[str, Any]]:
        """The payments under these references, as the API lists them, newest first."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            status, page = ask(
                self._running, "GET", f"/v1/payments?limit=100{cursor}", self._key, timeout_s=20
            )
            if status != 200:
                raise RuntimeError(f"The payments could not be listed: {status} {page!r}")
            mine = [item for item in page["items"] if item["reference"] in references]
            found += mine
            if not page["has_more"] or not mine:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def _charges_beyond_first(self, bodies: list[dict[str, Any]]) -> int:
        """Charges at the sandbox's bank beyond the first of an amount; declined ones are none."""
        amounts = [body["amount"] for body in bodies]
        with psycopg.connect(
            self._running.admin_url, dbname=stack.DATABASE, connect_timeout=5
        ) as admin:
            rows = admin.execute(
                "select amount_minor from providers_sandboxcharge"
                " where amount_minor = any(%s) and state not in ('declined', 'canceled')",
                [amounts],
            )
            return _beyond_first(amount for (amount,) in rows)

    def _tell(self, name: str, case: Case, paid: list[dict[str, Any]]) -> None:
        seen = Counter(what for each in paid for what in each["seen"])
        ends = Counter(each["status"] for each in paid if each["status"] != "completed")
        say.done(
            f"{name:<15} gap {case.gap_s:5.2f} s  slowest {case.slowest_s:5.2f} s"
            f"  webhooks {case.webhooks_s:5.2f} s  lost {case.lost}  double {case.double}"
            f"{'' if case.kept or name not in FAULTS else '  BROKEN'}"
        )
        details = [f"{count}x {what}" for what, count in (seen + ends).most_common(8)]
        if details:
            say.line(f"    {', '.join(details)}")


def _register(running: Platform, endpoint: Receiver) -> None:
    status, refusal = ask(
        running, "POST", "/v1/webhook_endpoints", running.demo["merchants"][0]["secret_key_test"],
        {"url": endpoint.url, "events": [EVENT]},
    )  # fmt: skip
    if status != 201:
        raise RuntimeError(f"The endpoint was refused: {status} {refusal!r}")


def _gap_s(outcome: dict[str, Any]) -> float:
    """The longest time between two answered payments, without the time between two payments."""
    times = [outcome["began"], *outcome["answers"]]
    if len(times) < 2:
        return float(round(outcome["ended"] - outcome["began"], 2))
    return float(round(max(0.0, max(b - a for a, b in pairwise(times)) - 1 / PER_S), 2))


def _beyond_first(keys: Any) -> int:
    return sum(count - 1 for count in Counter(keys).values())


def _figures(cases: dict[str, Case]) -> dict[str, Any]:
    return {
        "faults": {name: asdict(case) for name, case in cases.items()},
        "worst_gap_s": max(case.own_gap_s for case in cases.values()),
        "worst_slowest_s": max(case.slowest_s for case in cases.values()),
        "worst_webhooks_s": max(case.webhooks_s for case in cases.values()),
        "lost": sum(case.lost for case in cases.values()),
        "double": sum(case.double for case in cases.values()),
    }


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench faults")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the load lasts")
    parser.add_argument("--only", nargs="*", choices=list(FAULTS), help="these faults alone")
    return parser.parse_args(arguments)
