"""Where the heads of the audit chains are kept outside the database.

Whoever may write to the database can cut a chain or put an older copy of it back, heads included.
An anchor is written hourly to a place that the database cannot reach, and says of each chain that
has grown how long it was and where it ended. Each line is sealed together with the one before it,
so that the anchor itself is not edited unseen.

`AuditAnchor` is what a place has to offer; the setting AUDIT_ANCHOR names it (`file:` and a path).
All processes that anchor or verify must see the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Protocol
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.audit import signed_heads
from core.audit_seal import GENESIS, Head, anchor_mac, newest_key_version, same
from core.crypto import CannotOpen
from core.db import Scope, tenant_atomic

_FILE: Final = "file:"


class AnchorBroken(Exception):
    """The anchor was edited, or cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head as it was anchored at a time."""

    at: datetime
    head: Head


class AuditAnchor(Protocol):
    """A place that takes lines at its end and gives them back; nothing in it is ever changed."""

    def append(self, heads: Sequence[Head], *, at: datetime) -> int:
        """Anchor those heads that have moved since they were anchored last; return how many."""

    def read(self) -> list[Anchored]:
        """Everything anchored, oldest first. Raises AnchorBroken."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an anchor and the seal that binds it to the one before."""

    anchored: Anchored
    key_version: str
    mac: bytes

    @classmethod
    def after(cls, previous: bytes, anchored: Anchored, key_version: str) -> Line:
        mac = anchor_mac(previous, _content(anchored), key_version=key_version)
        return cls(anchored, key_version, mac)

    def text(self) -> str:
        content = json.loads(_content(self.anchored))
        return json.dumps({**content, "key": self.key_version, "mac": self.mac.hex()}) + "\n"


class FileAnchor:
    """An append-only file; put it on another disk or host than the database's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, heads: Sequence[Head], *, at: datetime) -> int:
        with self._locked() as file:
            lines = read_lines(file)
            known = {line.anchored.head.chain: line.anchored.head for line in lines}
            mac = lines[-1].mac if lines else GENESIS
            version = newest_key_version()
            texts = []
            for head in heads:
                if known.get(head.chain) != head:
                    line = Line.after(mac, Anchored(at, head), version)
                    texts.append(line.text())
                    mac = line.mac
            file.write("".join(texts))
            file.flush()
            os.fsync(file.fileno())
            return len(texts)

    def read(self) -> list[Anchored]:
        if not self.path.exists():
            return []
        with self._locked() as file:
            return [line.anchored for line in read_lines(file)]

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """The file at its beginning; one process at a time has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file


def read_lines(texts: Iterator[str] | IO[str]) -> list[Line]:
    """Parse lines and check the seal of each. Raises AnchorBroken, which names the line."""
    lines: list[Line] = []
    mac = GENESIS
    for number, text in enumerate(texts, start=1):
        try:
            line = _parsed(text)
            expected = Line.after(mac, line.anchored, line.key_version)
        except (ValueError, KeyError, TypeError) as error:
            raise AnchorBroken(f"line {number} of the anchor cannot be read: {error}") from error
        except CannotOpen as error:
            raise AnchorBroken(f"line {number} of the anchor: {error}") from error
        if not same(line.mac, expected.mac):
            raise AnchorBroken(f"line {number} of the anchor, or the one before it, was changed")
        lines.append(line)
        mac = line.mac
    return lines


def audit_anchor() -> AuditAnchor:
    """The anchor that the setting AUDIT_ANCHOR names."""
    name: str = settings.AUDIT_ANCHOR
    if not name.startswith(_FILE) or len(name) == len(_FILE):
        raise ImproperlyConfigured("AUDIT_ANCHOR is file: and the path of a file.")
    return FileAnchor(Path(name.removeprefix(_FILE)))


def anchor_audit_heads(*, now: datetime | None = None) -> int:
    """Anchor every head that has moved since the last time; return how many.

    A head that is not ours is left out: the anchor must not vouch for it.
    """
    with tenant_atomic(Scope.worker()):
        heads, forged = signed_heads(None)
    ours = [heads[chain] for chain in sorted(heads) if chain not in forged]
    return audit_anchor().append(ours, at=now or datetime.now(UTC))


def _content(anchored: Anchored) -> bytes:
    head = json.loads(anchored.head.canonical())
    at = anchored.at.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps({"at": at, **head}, sort_keys=True).encode()


def _parsed(text: str) -> Line:
    found = json.loads(text)
    head = Head(
        UUID(found["chain"]), found["sequence"], bytes.fromhex(found["hash"]), found["keyed_from"]
    )
    at = datetime.fromisoformat(found["at"])
    return Line(Anchored(at, head), found["key"], bytes.fromhex(found["mac"]))
