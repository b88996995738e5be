"""A process that gets no more threads from its system."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: More than the address space of a process holds: the system refuses such a stack, and the thread.
_NO_STACK_BYTES: Final = 1 << 47


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Every start of a thread in the block fails as at the system's limit (RuntimeError)."""
    before = threading.stack_size(_NO_STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)
