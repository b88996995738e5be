"""The one way to ask a provider: bounded in time and number, and never in other merchants' way.

A call may take what its account allows; while a person or a program waits for our answer it may
take PROVIDER_BUDGET_S at most, and it always leaves enough of the deadline to commit what came of
it. It runs in a thread of its own, because no client can promise to be back in time (names resolve
without a limit, and a byte a second keeps a read alive), and its request gives its slot to others
meanwhile. PROVIDER_CALLS_MAX calls may be out at one account, and PROVIDER_WAITS_MAX callers wait
for all accounts together; of both a merchant has a share, beside which there is always room for one
more merchant. An account that has not answered several times in a row is left alone for a while
(`core.breaker`).

A call that is not let through raises `ProviderBusy`, and nothing was sent: the saga leaves the step
to a worker and answers 202; other callers answer 503. What the provider did not take (`NotTaken`:
429, no connection) is sent again, with the same idempotency key, as long as the time allows and no
earlier than the provider says; then it is `ProviderNotReady`, a kind of busy. A call that does not
come back in time raises `ProviderSilent`: its effect is unknown. Limits are those of one process.
"""

from __future__ import annotations

import contextvars
import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Final, TypeVar

import structlog
from celery import current_task
from django.conf import settings

from core import deadline
from core.breaker import Breaker, BreakerOpen
from core.db import assert_outside_transaction
from core.errors import Unavailable
from core.serving import slots
from payments.providers.base import (
    UNREACHABLE,
    Adapter,
    Health,
    NotTaken,
    ProviderAnswer,
    ProviderError,
    RefundAnswer,
    Status,
)
from payments.providers.selectors import adapter_for

log = structlog.get_logger(__name__)

#: Calls in a row without an answer after which an account is left alone, and for how long.
FAILURES: Final = 5
OPEN_S: Final = 5.0
OPEN_MAX_S: Final = 60.0
#: What is kept of the deadline for committing the answer, or that there was none.
_COMMIT_S: Final = 2.0
#: With less time than this a call is not begun.
_LEAST_S: Final = 0.5
#: When to try again where all places are taken.
_SATURATED_RETRY_S: Final = 2
#: The pause before what was not taken is sent again; it doubles each time.
_PAUSE_S: Final = 0.25

_T = TypeVar("_T")


class ProviderBusy(Unavailable):
    """Nothing was sent: the account's calls are all out, or it has not answered lately."""

    default_code = "provider_busy"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(f"{message} Nothing was sent to it; try again in a moment.")
        self.retry_after_s = max(1, round(retry_after_s))


class ProviderNotReady(ProviderBusy):
    """The provider was asked, as often as the time allowed, and did nothing with the request."""

    default_code = "provider_not_ready"


class ProviderSilent(ProviderError):
    """The call did not come back in time. Whether it took effect is unknown."""

    def __init__(self) -> None:
        super().__init__("The provider did not answer in time.", permanent=False, code=UNREACHABLE)


class _Places:
    """A number of places that merchants share."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._out: Counter[uuid.UUID | None] = Counter()

    def enter(self, merchant_id: uuid.UUID | None) -> bool:
        """Take a place, unless all are taken or the merchant has its share."""
        limit = self._limit()
        with self._lock:
            others = len(self._out) - (merchant_id in self._out)
            # One share more than there are merchants: the next one finds a place.
            share = max(1, limit // (others + 2))
            if self._out.total() >= limit or self._out[merchant_id] >= share:
                self._forget(merchant_id)
                return False
            self._out[merchant_id] += 1
            return True

    def leave(self, merchant_id: uuid.UUID | None) -> None:
        with self._lock:
            self._out[merchant_id] -= 1
            self._forget(merchant_id)

    def _forget(self, merchant_id: uuid.UUID | None) -> None:
        if self._out[merchant_id] <= 0:
            del self._out[merchant_id]


class _Account:
    """The calls that are out at one account, and whether it answers."""

    def __init__(self, account_id: uuid.UUID) -> None:
        self.places = _Places(lambda: settings.PROVIDER_CALLS_MAX)
        self.breaker = Breaker(
            f"provider {account_id}", failures=FAILURES, open_s=OPEN_S, open_max_s=OPEN_MAX_S
        )


_accounts: dict[uuid.UUID, _Account] = {}
_lock = threading.Lock()
#: Who waits here for any provider: each keeps a thread, and no process parks them without a limit.
_waits = _Places(lambda: settings.PROVIDER_WAITS_MAX)


def provider_call(
    *,
    account_id: uuid.UUID,
    merchant_id: uuid.UUID | None,
    send: Callable[[Adapter], _T],
    on_late: Callable[[], object] | None = None,
    repeat: bool = True,
) -> _T:
    """Ask the provider of an account: `send` gets its adapter and returns what it answers.

    Args:
        merchant_id: for whom; None for the platform itself.
        on_late: called, in another thread, when an answer comes after it was given up.
        repeat: whether what the provider did not take is sent again while the time allows. A
            worker does not wait: it comes back later.

    Raises:
        NotFound: no such account.
        ProviderBusy: nothing was sent, or (`ProviderNotReady`) the provider did nothing with it.
        ProviderSilent: no answer in time; whatever was asked may have happened.
        ProviderError: as the adapter raises it.
    """
    assert_outside_transaction("A call to a provider")
    adapter = adapter_for(account_id)
    if not adapter.is_remote:
        try:
            return send(adapter)
        except NotTaken as error:
            raise _not_ready(error.retry_after_s) from error
    ends_at = time.monotonic() + _limit_s(adapter)
    account = _account(account_id)
    if not _waits.enter(merchant_id):
        raise _saturated()
    try:
        for earlier in itertools.count():
            future = _started(account, merchant_id, adapter, send, on_late)
            try:
                return _judged(account.breaker, future, ends_at - time.monotonic())
            except NotTaken as error:
                pause_s = max(error.retry_after_s, _PAUSE_S * 2**earlier * _spread())
                left_s = ends_at - time.monotonic() - pause_s
                if not repeat or current_task or left_s < _LEAST_S:
                    raise _not_ready(pause_s) from error
            with slots.waiting():
                time.sleep(pause_s)
        raise AssertionError("the loop above does not end by itself")
    finally:
        _waits.leave(merchant_id)


def _spread() -> float:
    return random.uniform(1, 1.5)  # noqa: S311 - jitter


def _not_ready(retry_after_s: float) -> ProviderNotReady:
    return ProviderNotReady(
        "The provider takes no requests at the moment.", retry_after_s=retry_after_s
    )


def _saturated() -> ProviderBusy:
    return ProviderBusy(
        "Too many requests to the provider are under way.", retry_after_s=_SATURATED_RETRY_S
    )


def forget_calls() -> None:
    """Forget what this process knows of accounts (tests)."""
    with _lock:
        _accounts.clear()


def _account(account_id: uuid.UUID) -> _Account:
    with _lock:
        found = _accounts.get(account_id)
        if found is None:
            found = _accounts[account_id] = _Account(account_id)
        return found


def _limit_s(adapter: Adapter) -> float:
    """How long the answer is waited for. Raises ProviderBusy where the time left is too short."""
    limit_s = float(adapter.config.timeout_s)
    if not current_task:
        # In a worker nothing but the task waits.
        limit_s = min(limit_s, settings.PROVIDER_BUDGET_S)
    left_s = deadline.remaining_s()
    if left_s is not None:
        limit_s = min(limit_s, left_s - _COMMIT_S)
    if limit_s < _LEAST_S:
        raise ProviderBusy("There was no time left to ask the provider.", retry_after_s=1)
    return limit_s


def _started(
    account: _Account,
    merchant_id: uuid.UUID | None,
    adapter: Adapter,
    send: Callable[[Adapter], _T],
    on_late: Callable[[], object] | None,
) -> Future[_T]:
    """Make the call in a thread of its own, which holds its place for as long as it is out.

    Raises ProviderBusy; no place is taken then.
    """
    future: Future[_T] = Future()
    context = contextvars.copy_context()
    timeout_s = float(adapter.config.timeout_s)
    if not account.places.enter(merchant_id):
        raise _saturated()
    try:
        account.breaker.check()
    except BreakerOpen as error:
        account.places.leave(merchant_id)
        raise ProviderBusy(
            "The provider does not answer at present.", retry_after_s=error.retry_after_s
        ) from None

    def call() -> _T:
        # It goes on when its request has given it up, for a late answer is worth having.
        with deadline.at_least(timeout_s), deadline.within(timeout_s):
            return send(adapter)

    def work() -> None:
        try:
            try:
                answer = context.run(call)
            finally:
                account.places.leave(merchant_id)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            _hand(partial(future.set_exception, error), on_late)
        else:
            _hand(partial(future.set_result, answer), on_late)

    try:
        # Daemonic: a call that hangs must not keep the process from ending.
        threading.Thread(target=work, name="provider-call", daemon=True).start()
    except (RuntimeError, MemoryError) as error:
        # The system gives no more threads. `work` will not run, and so gives nothing back.
        account.places.leave(merchant_id)
        account.breaker.abandoned()
        log.warning("provider.no_thread", error=str(error))
        raise _saturated() from error
    return future


def _hand(over: Callable[[], None], on_late: Callable[[], object] | None) -> None:
    try:
        over()
    except InvalidStateError:
        log.info("provider.answered_late")
        if on_late is not None:
            on_late()


def _judged(breaker: Breaker, future: Future[_T], limit_s: float) -> _T:
    """Wait for the answer and report it to the breaker."""
    try:
        with slots.waiting():
            answer = future.result(timeout=limit_s)
    except TimeoutError:
        # Where the answer comes at this very moment, it is taken.
        if future.cancel():
            breaker.failed()
            raise ProviderSilent from None
        return _judged(breaker, future, limit_s)
    except ProviderError as refused:
        if refused.code == UNREACHABLE:
            breaker.failed()
        else:
            breaker.succeeded()
        raise
    except BaseException:
        breaker.abandoned()
        raise
    if _is_lost(answer):
        breaker.failed()
    elif isinstance(answer, Health) and not answer.ok:
        breaker.abandoned()
    else:
        breaker.succeeded()
    return answer


def _is_lost(answer: object) -> bool:
    """Whether the provider did not answer: no connection, no time, a 5xx, or a garbled body."""
    return (
        isinstance(answer, ProviderAnswer | RefundAnswer)
        and answer.status is Status.UNKNOWN
        and answer.found
    )
