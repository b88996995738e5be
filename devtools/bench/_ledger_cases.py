"""The Python side of `./dev bench ledger`: one case, one process (`CASE SECONDS`), one JSON line.

Transfers are made before the clock starts; what is measured is posting them and reading answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

Post = Callable[[Sequence[Any]], Sequence[Any]]
PER_SECOND_AT_MOST = 60_000


def account(number: int) -> UUID:
    return UUID(bytes=hashlib.md5(f"account {number}".encode(), usedforsecurity=False).digest())


def main(case: str, seconds: float) -> dict[str, Any]:  # noqa: C901 - one line a case
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    import django

    django.setup()
    from core.ids import new_id
    from ledger.backends.base import TransferSpec, post_pending
    from ledger.backends.coalescer import Coalescer
    from ledger.backends.postgres import PostgresLedger
    from ledger.flags import TransferFlags

    wallets = [account(i) for i in range(1, 10_001)]
    others = [account(i) for i in range(10_001, 20_001)]
    ledger = PostgresLedger()

    def transfer(*, hot: bool = False, flags: TransferFlags = TransferFlags.NONE) -> TransferSpec:
        return TransferSpec(
            id=new_id(),
            debit=wallets[0] if hot else random.choice(wallets),
            credit=random.choice(others),
            amount_minor=1,
            code=10,
            ledger=8400,
            flags=flags,
        )

    def plain(size: int, *, hot: bool = False) -> list[TransferSpec]:
        return [transfer(hot=hot) for _ in range(size)]

    def pairs(size: int) -> list[TransferSpec]:
        """A batch of reservations, the next one settles them."""
        return [transfer(flags=TransferFlags.PENDING) for _ in range(size)]

    def settle(reserved: Sequence[TransferSpec]) -> list[TransferSpec]:
        return [post_pending(new_id(), spec.id) for spec in reserved]

    match case:
        case "single":
            return timed(8, seconds, lambda: [plain(1)], ledger.post)
        case "single_hot":
            return timed(8, seconds, lambda: [plain(1, hot=True)], ledger.post)
        case "coalesced" | "coalesced_hot":
            with Coalescer(ledger) as coalescer:
                hot = case == "coalesced_hot"
                return timed(64, seconds, lambda: [plain(1, hot=hot)], coalescer.post)
        case "batch":
            return timed(2, seconds, lambda: [plain(1000)], ledger.post, size=1000)
        case "batch_hot":
            return timed(2, seconds, lambda: [plain(1000, hot=True)], ledger.post, size=1000)
        case "pairs_single":
            return timed(8, seconds, lambda: both(pairs(1), settle), ledger.post, answers=2)
        case "pairs_batch":
            return timed(
                2, seconds, lambda: both(pairs(1000), settle), ledger.post, size=1000, answers=2
            )
        case "reads":
            return reads(wallets)
        case _:
            raise SystemExit(f"there is no case {case}")


def both(reserved: Any, settle: Callable[[Any], Any]) -> list[Any]:
    return [reserved, settle(reserved)]


def timed(
    threads: int,
    seconds: float,
    make: Callable[[], list[Any]],
    post: Post,
    *,
    size: int = 1,
    answers: int = 1,
) -> dict[str, Any]:
    """Work a second from each: `per_s` transfers, or pairs where a piece of work is two calls."""
    pieces = max(2, int(PER_SECOND_AT_MOST * (seconds + 1) / size / threads / answers))
    pieces = min(pieces, 200_000 // size // threads)
    work = [[make() for _ in range(pieces)] for _ in range(threads)]
    gate = threading.Barrier(threads + 1)
    booked = [0] * threads
    ended = [0.0] * threads
    begun = [0.0]

    def run(number: int) -> None:
        gate.wait()
        for piece in work[number]:
            for call in piece:
                answer = post(call)
                wrong = next((one for one in answer if not one.ok), None)
                if wrong is not None:
                    raise SystemExit(f"{wrong.id}: {wrong.status.name}")
            booked[number] += size
            if time.perf_counter() - begun[0] > seconds:
                break
        ended[number] = time.perf_counter()

    started = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    begun[0] = time.perf_counter()
    gate.wait()
    for thread in started:
        thread.join()
    return {"per_s": sum(booked) / (max(ended) - begun[0])}


def reads(wallets: Sequence[UUID]) -> dict[str, Any]:
    """Median times of the balance now, and as of a day in the past."""
    from core.db import Scope, tenant_atomic
    from ledger.selectors import balance_as_of, balance_now

    now: list[float] = []
    then: list[float] = []
    with tenant_atomic(Scope.worker()):
        for wallet in random.sample(list(wallets), 2000):
            began = time.perf_counter()
            balance_now(wallet)
            middle = time.perf_counter()
            day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=random.randrange(1, 340))
            balance_as_of(wallet, day)
            then.append(time.perf_counter() - middle)
            now.append(middle - began)
    now.sort()
    then.sort()
    half, most = len(now) // 2, int(len(now) * 0.99)
    return {
        "now_ms": now[half] * 1000,
        "as_of_ms": then[half] * 1000,
        "now_p99_ms": now[most] * 1000,
        "as_of_p99_ms": then[most] * 1000,
    }


if __name__ == "__main__":
    sys.setswitchinterval(0.005)
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]))), flush=True)
