"""What the person at the keyboard reads: progress lines, and sentences when something is wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Stop(Exception):
    """The command cannot go on. The message says what is wrong and what to do about it."""


def line(text: str = "") -> None:
    """Print one line at once; a closed output is ignored."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        print(text, flush=True)


def doing(text: str) -> None:
    line(f"· {text}")


def done(text: str) -> None:
    line(f"✓ {text}")


def warn(text: str) -> None:
    line(f"! {text}")


def problem(text: str) -> None:
    with contextlib.suppress(BrokenPipeError, ValueError):
        print(f"\n{text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def timed(begin: str, end: str) -> Iterator[list[str]]:
    """Announce a step, then say how long it took; what the block appends is said with the end."""
    doing(begin)
    began = time.monotonic()
    remarks: list[str] = []
    yield remarks
    remark = f" {remarks[-1]}" if remarks else ""
    done(f"{end}{remark} ({time.monotonic() - began:.1f} s)")


def explain_os_error(error: OSError) -> str:
    """A sentence for the errors of the operating system that a person can do something about."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"There is no space left on the disk{where}. Free some, then run the same command "
            "again; the data is as it was."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"This user may not write there{where}: {os.strerror(error.errno)}."
    return f"The operating system refused{where}: {error}."


def tail(path: Path, count: int = 12) -> str:
    """The last lines of a log, indented; empty when there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {text}" for text in lines[-count:])
