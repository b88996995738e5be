"""Where the heads of the audit chains are kept outside the database.

An attacker who can write to the database can cut a chain or restore an older copy, heads included.
An anchor is written hourly to a place that the database cannot reach, and says of each chain that
has grown how long it was and where it ended. Each line is sealed together with the one before it,
so that the anchor itself is not edited unseen (`core.audit_anchor_lines`).

`AuditAnchor` is what a place has to offer; the setting AUDIT_ANCHOR names it: `file:` and a path,
or `s3://bucket/prefix` (`core.audit_anchor_s3`). With AUDIT_TIMESTAMPS a time-stamping authority
attests when the lines existed. All processes that anchor or verify must see the same place.
`docs/audit.md` is for who runs them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.audit import signed_heads
from core.audit_anchor_lines import AnchorBroken, Evidence, Holding, Pass, TimeStamps
from core.audit_anchor_s3 import S3Anchor
from core.audit_seal import Head
from core.audit_timestamps import TimeStampAuthority
from core.db import Scope, tenant_atomic

log = structlog.get_logger(__name__)

_FILE: Final = "file:"
_S3: Final = "s3:"


class AuditAnchor(Protocol):
    """A place that takes lines at its end and gives them back; nothing in it is ever changed."""

    def append(self, heads: Sequence[Head], *, at: datetime) -> int:
        """Anchor those heads that have moved since they were anchored last; return how many.

        Raises:
            AnchorBroken: the place was tampered with; nothing was anchored.
            NotStamped: all is anchored but for the time stamp.
            AnchorUnavailable: the place cannot be reached or refused.
        """

    def read(self) -> Holding:
        """Everything anchored and what is wrong with it. Raises AnchorUnavailable."""


class FileAnchor:
    """An append-only file; put it on another disk or host than the database's.

    A last line without its end was cut off while it was written (power, a full disk). It counts as
    never written: its heads are anchored again, and the next anchoring moves it to `<file>.torn`.
    An attacker who can truncate that line can as well remove it, and no other line may be cut:
    every line that stays is sealed together with the one before it.
    """

    def __init__(self, path: Path, *, stamps: TimeStamps | None = None) -> None:
        self.path = path
        self.stamps = stamps

    def append(self, heads: Sequence[Head], *, at: datetime) -> int:
        with self._locked() as file:
            reading = Pass()
            torn = ""
            for number, text in enumerate(file, start=1):
                if _is_torn(text):
                    torn = text
                else:
                    reading.read(text, where=_where(number))
            if torn:
                self._set_aside(file, len(torn))
            texts = reading.added(heads, at=at)
            _write(file, texts)
            # Behind the lines: without an authority that answers these are kept all the same.
            _write(file, reading.stamp(self.stamps))
            return len(texts)

    def read(self) -> Holding:
        evidence = Evidence(self.stamps)
        notes: list[str] = []
        if self._torn_path.exists():
            notes.append(f"lines whose writing was cut off are set aside in {self._torn_path}.")
        if self.path.exists():
            with self._locked() as file:
                notes += self._read(file, evidence)
        holding = evidence.holding(
            checked=f"{len(evidence.anchored)} heads in the file {self.path}: the seal of each was"
            " checked.",
            attests=False,
        )
        return replace(holding, checked=[*holding.checked, *notes])

    @property
    def _torn_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.torn")

    def _set_aside(self, file: IO[str], size: int) -> None:
        """Move the file's last bytes to the torn ones; they are there twice rather than nowhere."""
        start = os.fstat(file.fileno()).st_size - size
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(self._torn_path, flags, 0o600), "wb") as aside:
            aside.write(os.pread(file.fileno(), size, start) + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        os.ftruncate(file.fileno(), start)
        file.seek(start)
        log.error("audit.anchor_line_torn", count=size, reason=f"kept in {self._torn_path}")

    def _read(self, file: IO[str], evidence: Evidence) -> Sequence[str]:
        """Collect what is anchored; returns what is worth a note and no fault."""
        reading = Pass()
        for number, text in enumerate(file, start=1):
            if _is_torn(text):
                cut_off = (
                    f"the writing of {_where(number)} was cut off: it counts as never written,"
                )
                return [f"{cut_off} and the next anchoring sets it aside."]
            try:
                found = reading.read(text, where=_where(number))
            except AnchorBroken as error:
                evidence.faults.append(str(error))
                return []
            if isinstance(found, bytes):
                evidence.stamp(found, reading.last, where=_where(number))
            else:
                evidence.head(found)
        return []

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """The file at its beginning; one process at a time has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        # One character for each byte, whatever is in it.
        with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace", newline="\n") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file


def audit_anchor() -> AuditAnchor:
    """The anchor that the settings name. Raises ImproperlyConfigured."""
    name: str = settings.AUDIT_ANCHOR
    stamps = time_stamps()
    if name.startswith(_FILE) and len(name) > len(_FILE):
        return FileAnchor(Path(name.removeprefix(_FILE)), stamps=stamps)
    parts = urlsplit(name)
    if name.startswith(_S3) and parts.netloc and not parts.query:
        days: int = settings.AUDIT_ANCHOR_LOCK_DAYS
        if days < 1:
            raise ImproperlyConfigured("AUDIT_ANCHOR_LOCK_DAYS is a number of days, at least 1.")
        return S3Anchor(parts.netloc, parts.path, lock=timedelta(days=days), stamps=stamps)
    raise ImproperlyConfigured(
        "AUDIT_ANCHOR is file: and the path of a file, or s3://bucket/prefix."
    )


def time_stamps() -> TimeStamps | None:
    """The time-stamping authority of the settings, if one is named. Raises ImproperlyConfigured.

    With AUDIT_TIMESTAMP_ROOTS alone stamps are expected and checked, and none is made: so may
    a verifier run that has no way to the authority.
    """
    url: str = settings.AUDIT_TIMESTAMPS
    roots: str = settings.AUDIT_TIMESTAMP_ROOTS
    if url and not url.startswith(("https://", "http://")):
        raise ImproperlyConfigured("AUDIT_TIMESTAMPS is the https:// or http:// address of a TSA.")
    if url and not roots:
        raise ImproperlyConfigured(
            "AUDIT_TIMESTAMPS needs AUDIT_TIMESTAMP_ROOTS, a PEM file of the authority's root"
            " certificates."
        )
    return TimeStampAuthority(url, Path(roots)) if roots else None


def anchor_audit_heads(*, now: datetime | None = None) -> int:
    """Anchor every head that has moved since the last time; return how many.

    A head that is not ours is left out: the anchor must not vouch for it. Errors are those of
    `AuditAnchor.append`.
    """
    with tenant_atomic(Scope.worker()):
        heads, forged = signed_heads(None)
    ours = [heads[chain] for chain in sorted(heads) if chain not in forged]
    return audit_anchor().append(ours, at=now or datetime.now(UTC))


def _where(number: int) -> str:
    return f"line {number} of the anchor"


def _is_torn(text: str) -> bool:
    return not text.endswith("\n")


def _write(file: IO[str], texts: Sequence[str]) -> None:
    if texts:
        file.write("".join(f"{text}\n" for text in texts))
        file.flush()
        os.fsync(file.fileno())
