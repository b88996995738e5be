"""Many callers, one writer: what is queued goes out as one batch, each caller gets its own answer.

One transfer per commit is bound by commits and, on a hot account, by its lock. The coalescer books
whatever queued up while the batch before was on its way, and answers each caller once its batch is
durable: nothing is acknowledged earlier than it would be alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from core.errors import Unavailable
from ledger.backends.base import BATCH_MAX, Ledger, Result, TransferSpec
from ledger.backends.wire import check_batch
from ledger.flags import TransferFlags

#: A caller that has waited this long checks that the writer thread is still alive.
_LOOK_AFTER_S: Final = 1.0


class _Waiting:
    """One caller's transfers; its lock is released when the answer is there."""

    __slots__ = ("answer", "done", "error", "transfers")

    def __init__(self, transfers: Sequence[TransferSpec]) -> None:
        self.transfers = transfers
        self.answer: list[Result] | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Coalescer:
    """Posts for many threads through one writer thread; has the `post` of a ledger.

    Use as a context manager, or call `close`: what is queued is still booked and answered.

    Args:
        ledger: books the batches; used by the writer thread alone.
        batch_max: the most transfers in a batch.
    """

    def __init__(self, ledger: Ledger, *, batch_max: int = BATCH_MAX) -> None:
        self._ledger = ledger
        self._batch_max = batch_max
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Semaphore(0)
        self._idle = False
        self._closed = False
        self._guard = threading.Lock()
        self._writer = threading.Thread(target=self._run, name="ledger-coalescer", daemon=True)
        self._writer.start()

    def __enter__(self) -> Coalescer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more callers, book what is queued, end the writer."""
        with self._guard:
            self._closed = True
            self._idle = False
        self._wake.release()
        self._writer.join()

    def post(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        """Book transfers; returns once they are durable (or refused, each with its reason).

        Raises:
            InvalidRequest: too many, or a value beyond its width.
            Unavailable: closed, or this process was forked from the one with the writer.
            Exception: what the ledger raised for these transfers; whether they were booked is then
                unknown, and the same call with the same ids is right in both cases.
        """
        check_batch(transfers)
        if not transfers:
            return []
        waiting = _Waiting(transfers)
        with self._guard:
            if self._closed or not self._writer.is_alive():
                raise Unavailable("The ledger's writer has ended. Try again.")
            self._queue.append(waiting)
            wake, self._idle = self._idle, False
        if wake:
            self._wake.release()
        while not waiting.done.acquire(timeout=_LOOK_AFTER_S):
            if not self._writer.is_alive():
                raise Unavailable("The ledger's writer has ended. Send the same ids again.")
        if waiting.error is not None:
            raise waiting.error
        assert waiting.answer is not None
        return waiting.answer

    def _run(self) -> None:
        while True:
            batch = self._take()
            if batch is None:
                return
            if not batch:
                self._wake.acquire()
                continue
            self._book(batch)

    def _take(self) -> list[_Waiting] | None:
        """What is queued, up to a batch; an empty list to wait, None to end."""
        batch: list[_Waiting] = []
        size = 0
        with self._guard:
            while self._queue:
                size += len(self._queue[0].transfers)
                if batch and (size > self._batch_max or _chain_open(self._queue[0])):
                    break
                batch.append(self._queue.popleft())
                if _chain_open(batch[-1]):
                    # Its open chain would swallow the caller after it: it goes alone.
                    break
            if not batch:
                if self._closed:
                    return None
                self._idle = True
        return batch

    def _book(self, batch: list[_Waiting]) -> None:
        transfers = [spec for waiting in batch for spec in waiting.transfers]
        try:
            answers = self._ledger.post(transfers)
        except Exception as error:  # noqa: BLE001 - the caller must hear of it
            if len(batch) > 1:
                # One caller's fault is not the others': their ids make it safe to ask again alone.
                for waiting in batch:
                    self._book([waiting])
            else:
                batch[0].error = error
                batch[0].done.release()
            return
        start = 0
        for waiting in batch:
            end = start + len(waiting.transfers)
            waiting.answer = answers[start:end]
            start = end
            waiting.done.release()


def _chain_open(waiting: _Waiting) -> bool:
    return bool(waiting.transfers[-1].flags & TransferFlags.LINKED)
