"""The lines of an anchor: heads, each sealed together with the line before, and time stamps.

    {"at": …, "chain": …, "sequence": …, "hash": …, "keyed_from": …, "key": …, "mac": …}
    {"time_stamp": base64 of an RFC 3161 response}

A time stamp covers the text of the last head before it, and by the seals everything earlier. It has
no seal of ours: its signature is the time-stamping authority's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from core.audit_seal import GENESIS, Head, anchor_mac, newest_key_version, same
from core.crypto import CannotOpen

_STAMP: Final = "time_stamp"


class AnchorBroken(Exception):
    """The anchor was edited, or cannot be read; the text says where."""


class AnchorUnavailable(Exception):
    """What keeps or stamps the anchor could not be reached, or refused; a later try may do."""


class NotStamped(AnchorUnavailable):
    """The heads are anchored, and their time stamp is missing; the next anchoring fetches it."""


class StampRefused(Exception):
    """A time stamp that proves nothing: not trusted, of another text, or no time stamp at all."""


class TimeStamps(Protocol):
    """Makes and checks time stamps; `core.audit_timestamps` has the one there is."""

    def stamp(self, text: bytes) -> bytes:
        """A time stamp of a text. Raises AnchorUnavailable."""

    def checked(self, stamp: bytes, text: bytes) -> datetime:
        """When a text was stamped. Raises StampRefused."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head as it was anchored at a time.

    Attributes:
        at: the time by our own clock.
        attested_at: when it existed for certain, by the store that keeps it or the authority that
            stamped it; None where neither attests it.
    """

    at: datetime
    head: Head
    attested_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What an anchor holds and what is wrong with it.

    Attributes:
        anchored: every head, oldest first; what follows a fault is left out where it cannot be
            trusted.
        faults: what was done to the anchor itself, a phrase each.
        checked: what was checked, a sentence each.
        attests: whether it can prove when something was anchored.
    """

    anchored: Sequence[Anchored]
    faults: Sequence[str] = ()
    checked: Sequence[str] = ()
    attests: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One head in an anchor and the seal that binds it to the one before."""

    anchored: Anchored
    key_version: str
    mac: bytes

    @classmethod
    def after(cls, previous: bytes, anchored: Anchored, key_version: str) -> Line:
        mac = anchor_mac(previous, _content(anchored), key_version=key_version)
        return cls(anchored, key_version, mac)

    def text(self) -> str:
        content = json.loads(_content(self.anchored))
        return json.dumps({**content, "key": self.key_version, "mac": self.mac.hex()})


@dataclass(slots=True)
class Pass:
    """One pass over an anchor's lines, in order; writing goes on where reading has ended.

    Attributes:
        mac: the seal that the next line follows.
        last: the newest head's line.
        stamped: whether a time stamp follows it.
        heads: the newest head of each chain.
    """

    mac: bytes = GENESIS
    last: Line | None = None
    stamped: bool = False
    heads: dict[UUID, Head] = field(default_factory=dict)

    def read(self, text: str, *, where: str) -> Line | bytes:
        """A line, its seal checked, or the bytes of a time stamp, unchecked. Raises AnchorBroken.

        Args:
            where: of the anchor, for the error: "line 7 of the anchor".
        """
        try:
            found = json.loads(text)
            if _STAMP in found:
                stamp = base64.b64decode(found[_STAMP], validate=True)
                self.stamped = True
                return stamp
            line = _parsed(found)
            expected = Line.after(self.mac, line.anchored, line.key_version)
        except (ValueError, KeyError, TypeError) as error:
            raise AnchorBroken(f"{where} cannot be read: {error}") from error
        except CannotOpen as error:
            raise AnchorBroken(f"{where}: {error}") from error
        if not same(line.mac, expected.mac):
            raise AnchorBroken(f"{where}, or the one before it, was changed")
        self._go_on(line)
        return line

    def moved(self, heads: Iterable[Head]) -> list[Head]:
        """Those heads that are not the newest ones read."""
        return [head for head in heads if self.heads.get(head.chain) != head]

    def added(self, heads: Sequence[Head], *, at: datetime, all_of_them: bool = False) -> list[str]:
        """Lines for those heads that have moved (or for all), to be put behind what was read."""
        version = newest_key_version()
        texts = []
        for head in heads if all_of_them else self.moved(heads):
            line = Line.after(self.mac, Anchored(at, head), version)
            texts.append(line.text())
            self._go_on(line)
        return texts

    def stamp(self, stamps: TimeStamps | None) -> list[str]:
        """A time stamp for the last line where it has none. Raises NotStamped."""
        if stamps is None or self.last is None or self.stamped:
            return []
        try:
            stamp = stamps.stamp(self.last.text().encode())
        except AnchorUnavailable as error:
            raise NotStamped(f"the heads are anchored without a time stamp: {error}") from error
        self.stamped = True
        return [json.dumps({_STAMP: base64.b64encode(stamp).decode()})]

    def _go_on(self, line: Line) -> None:
        self.mac, self.last, self.stamped = line.mac, line, False
        self.heads[line.anchored.head.chain] = line.anchored.head


class Evidence:
    """Collects heads and, where time stamps are expected, what these prove.

    A head counts as attested at the later of the times that speak for it, and not at all while one
    of them is missing.
    """

    def __init__(self, stamps: TimeStamps | None) -> None:
        self.stamps = stamps
        self.anchored: list[Anchored] = []
        self.faults: list[str] = []
        self.stamps_seen = 0
        self._unstamped = 0

    def head(self, line: Line, *, stored_at: datetime | None = None) -> None:
        self.anchored.append(replace(line.anchored, attested_at=stored_at))
        self._unstamped += 1

    def stamp(self, stamp: bytes, line: Line | None, *, where: str) -> None:
        """A time stamp behind a line; covers the heads that no earlier one does."""
        self.stamps_seen += 1
        if self.stamps is None:
            return
        try:
            at = self.stamps.checked(stamp, line.text().encode() if line else b"")
        except StampRefused as error:
            self.faults.append(f"the time stamp in {where}: {error}")
            return
        for index in range(len(self.anchored) - self._unstamped, len(self.anchored)):
            stored_at = self.anchored[index].attested_at
            attested_at = max(at, stored_at) if stored_at else at
            self.anchored[index] = replace(self.anchored[index], attested_at=attested_at)
        self._unstamped = 0

    def holding(self, *, checked: str, attests: bool) -> Holding:
        """Everything collected; `attests` says whether the place does so without time stamps."""
        if self.stamps is None:
            said = [checked]
            if self.stamps_seen:
                said.append(
                    f"{self.stamps_seen} time stamps were not checked: AUDIT_TIMESTAMP_ROOTS names"
                    " no certificates."
                )
            return Holding(self.anchored, self.faults, said, attests)
        covered = len(self.anchored) - self._unstamped
        # A head without its stamp is not attested, whatever its place says.
        for index in range(covered, len(self.anchored)):
            self.anchored[index] = replace(self.anchored[index], attested_at=None)
        stamps = (
            f"{self.stamps_seen} time stamps checked against the trusted certificates; they cover"
            f" {covered} of {len(self.anchored)} heads."
        )
        return Holding(self.anchored, self.faults, [checked, stamps], attests=True)


def _content(anchored: Anchored) -> bytes:
    head = json.loads(anchored.head.canonical())
    at = anchored.at.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps({"at": at, **head}, sort_keys=True).encode()


def _parsed(found: dict[str, object]) -> Line:
    head = Head(
        UUID(str(found["chain"])),
        int(str(found["sequence"])),
        bytes.fromhex(str(found["hash"])),
        int(str(found["keyed_from"])),
    )
    at = datetime.fromisoformat(str(found["at"]))
    return Line(Anchored(at, head), str(found["key"]), bytes.fromhex(str(found["mac"])))
