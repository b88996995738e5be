"""`./dev bench webhooks`: how long a merchant's events take while another's receivers are slow.

One merchant has 200 endpoints that answer after 14 s, and events for each of them all the time.
Another one's payments happen at fixed times; what is measured is the time from a payment's answer
to the arrival of its event. Everything is on loopback, and ends after `--seconds`.

The JSON has `other_p50_s`, `other_p99_s` and `other_missing` (events that did not come),
`slow_sent_to` (slow endpoints that were asked), `slow_at_once` (their requests under way at one
moment) and `slow_share`, which is that of all the sender's threads.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import threading
import time
from collections.abc import Iterator

from devtools import say, stack
from devtools.bench._api import ask
from devtools.bench._receiver import Receiver, receiver
from devtools.bench._stack import Platform, platform
from devtools.fleet import EVERY_PROCESS
from devtools.say import Stop

#: Still within the time that a receiver has (15 s).
ANSWERS_AFTER_S = 14.0
PER_S = 2
SLOW_EVERY_S = 2.0
#: The slow endpoints are under way, and some of them known, before the measurement begins.
BEFORE_S = 5.0
#: What was late has come by then.
ARRIVED_WITHIN_S = 60.0
#: The promise (docs/adr/0037).
MOST_P99_S = 5.0
EVENT = "payment.created"

# More endpoints than the API lets a merchant have: the shares must hold whatever that limit is.
_SLOW_MERCHANT = """
import json
from core import ids
from core.context import Actor
from notifications.services import delivery, webhooks
from tenants.services.api_keys import api_key_create
from tenants.services.merchants import merchant_create
bench = dict(kind="system", id="bench", reseller_id=ids.decode("res", {reseller!r}))
merchant = merchant_create(
    actor=Actor(**bench), name="Slow", country="US", default_currency="USD")
actor = Actor(**bench, merchant_id=merchant.id)
_, key = api_key_create(actor=actor, name="bench")
webhooks.MAX_ENDPOINTS = {count}
for number in range({count}):
    webhooks.endpoint_create(
        actor=actor, spec=webhooks.endpoint_spec(url=f"{url}/{{number}}", events=[{event!r}]))
print(json.dumps(dict(key=key, threads=delivery.MAX_THREADS)))
"""


def run(arguments: list[str]) -> int:
    """Measure and print; the last line is one JSON object. 0 if the promise was kept."""
    options = _options(arguments)
    with (
        platform(wanted=EVERY_PROCESS, extra_env={}) as running,
        receiver(ANSWERS_AFTER_S) as late,
        receiver() as prompt,
    ):
        slow_key, threads = _slow_merchant(running, late.url, count=options.endpoints)
        key = running.demo["merchants"][0]["secret_key_test"]
        _made(running, key, "/v1/webhook_endpoints", {"url": prompt.url, "events": [EVENT]})
        with _events(running, slow_key):
            time.sleep(BEFORE_S)
            answered = _pay(running, key, seconds=options.seconds)
            took_s = _arrivals(prompt, answered)
        at_once, sent_to = late.most_at_once, len(late.asked)
    missing = len(answered) - len(took_s)
    if len(took_s) < 2:
        raise Stop("Too few events arrived to say how long they take.")
    p99_s = statistics.quantiles(took_s, n=100, method="inclusive")[98]
    say.done(
        f"{len(took_s)} events of the other merchant: p50 {statistics.median(took_s):.2f} s"
        f"  p99 {p99_s:.2f} s  max {max(took_s):.2f} s  missing {missing}"
    )
    say.done(f"{sent_to} slow endpoints sent to, {at_once} of {threads} threads at most")
    figures = {
        "other_p50_s": round(statistics.median(took_s), 3),
        "other_p99_s": round(p99_s, 3),
        "other_missing": missing,
        "slow_sent_to": sent_to,
        "slow_at_once": at_once,
        "slow_share": round(at_once / threads, 3),
    }
    say.line(json.dumps(figures))
    return 0 if p99_s < MOST_P99_S and not missing else 1


def _slow_merchant(running: Platform, url: str, *, count: int) -> tuple[str, int]:
    """Sign up the merchant with its endpoints; its key, and how many threads a sender has."""
    reseller = running.demo["resellers"][0]["id"]
    program = _SLOW_MERCHANT.format(reseller=reseller, count=count, url=url, event=EVENT)
    done = stack.run_manage(["shell", "--no-imports", "-c", program], running.env)
    if done.returncode:
        raise Stop(f"The slow merchant could not be made:\n{done.stderr[-2000:]}")
    made = json.loads(done.stdout)
    return made["key"], made["threads"]


def _made(running: Platform, key: str, path: str, body: dict[str, object]) -> str:
    """Create something; its id."""
    status, data = ask(running, "POST", path, key, body)
    if status != 201:
        raise Stop(f"POST {path} was refused: {status} {data!r}")
    return str(data["id"])


@contextlib.contextmanager
def _events(running: Platform, key: str) -> Iterator[None]:
    """Within the block each slow endpoint gets an event again and again."""
    over = threading.Event()

    def happen() -> None:
        while not over.is_set():
            ask(running, "POST", "/v1/payments", key, {"amount": 500, "currency": "USD"})
            over.wait(SLOW_EVERY_S)

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _pay(running: Platform, key: str, *, seconds: float) -> dict[str, float]:
    """Make payments at fixed times; when each was answered, by its id."""
    answered: dict[str, float] = {}
    begun = time.monotonic()
    for number in range(int(PER_S * seconds)):
        time.sleep(max(0.0, begun + number / PER_S - time.monotonic()))
        payment = _made(running, key, "/v1/payments", {"amount": 700, "currency": "USD"})
        answered[payment] = time.monotonic()
    return answered


def _arrivals(prompt: Receiver, answered: dict[str, float]) -> list[float]:
    """How long each event took that came at all."""
    ends = time.monotonic() + ARRIVED_WITHIN_S
    while time.monotonic() < ends and not answered.keys() <= prompt.told_of(EVENT):
        time.sleep(0.2)
    came_at = prompt.came_at(EVENT)
    # One may arrive before its payment's answer has been read.
    return [
        max(0.0, came_at[payment] - at) for payment, at in answered.items() if payment in came_at
    ]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench webhooks")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long payments are made")
    parser.add_argument("--endpoints", type=int, default=200, help="slow endpoints")
    return parser.parse_args(arguments)
