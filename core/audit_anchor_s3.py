"""The audit log's anchor as objects in an S3 bucket with object lock.

Each anchoring is one object, `<prefix>/0000000001.jsonl` and so on without a gap, written once
(`If-None-Match`) and locked in COMPLIANCE mode: until the lock ends no one, the bucket's owner
included, can delete that version or shorten the lock. Others can still put a version or a delete
marker over it; so the oldest version of each is read, and what lies over it is reported.

An object's first line names its number and the seal that it follows; lines as in
`core.audit_anchor_lines` come after it. Every 250th object repeats all heads, so that an anchoring
reads no more than 250 of them.

Endpoint, region and credentials come from the usual AWS variables, files or roles
(AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID …).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from core import deadline
from core.audit_anchor_lines import (
    AnchorBroken,
    AnchorUnavailable,
    Evidence,
    Holding,
    NotStamped,
    Pass,
    TimeStamps,
)
from core.audit_seal import Head

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 10.0
TRIES: Final = 3
#: An anchoring reads back to the last object of this distance, which repeats all heads.
REPEAT_EVERY: Final = 250
_MODE: Final = "COMPLIANCE"
_NAME: Final = re.compile(r"(\d{10})\.jsonl")
_TAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class _Taken(Exception):
    """Another process has written the object of this number."""


@dataclass(slots=True)
class _Object:
    """One number's versions as the listing has them, newest first, and what lies over the oldest.

    Attributes:
        version: the oldest one's id; empty where only delete markers are left.
    """

    key: str
    version: str = ""
    stored_at: datetime | None = None
    versions: int = 0
    markers: int = 0

    def add(self, version: str, stored_at: datetime) -> None:
        self.versions += 1
        if self.stored_at is None or stored_at <= self.stored_at:
            self.version, self.stored_at = version, stored_at


@dataclass(slots=True)
class _Listing:
    objects: dict[int, _Object] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)

    @property
    def last(self) -> int:
        return max(self.objects, default=0)

    def faults(self) -> Iterator[str]:
        """What the listing alone shows."""
        for key in self.foreign:
            yield f"{key} is none of the anchor's objects"
        for number in range(1, self.last + 1):
            found = self.objects.get(number)
            if found is None or not found.versions:
                yield f"object {number} is missing: it was removed"
            elif found.versions > 1:
                yield f"object {number} was replaced by a newer version; the oldest one was read"
            if found is not None and found.versions and found.markers:
                yield f"object {number} has a delete marker; the oldest version was read"


class S3Anchor:
    """A prefix of a bucket that has object lock.

    Args:
        lock: how long each object is locked from its writing on.
    """

    def __init__(
        self, bucket: str, prefix: str, *, lock: timedelta, stamps: TimeStamps | None = None
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.lock = lock
        self.stamps = stamps

    def append(self, heads: Sequence[Head], *, at: datetime) -> int:
        self._refuse_without_lock()
        for _ in range(TRIES):
            try:
                return self._append(heads, at)
            except _Taken:
                continue
        raise AnchorUnavailable(f"other processes are anchoring in {self.bucket} at this moment")

    def read(self) -> Holding:
        evidence = Evidence(self.stamps)
        listing = self._listing()
        evidence.faults += listing.faults()
        reading = Pass()
        ends: list[datetime] = []
        known = True
        for number in range(1, listing.last + 1):
            found = listing.objects.get(number)
            if found is None or not found.versions:
                known = False
                continue
            try:
                until = self._read_object(number, found, reading, evidence, known=known)
            except AnchorBroken as error:
                evidence.faults.append(str(error))
                known = False
            else:
                ends += [until] if until else []
                known = True
        locked = f"; the first lock ends at {min(ends):%F %T} UTC" if ends else ""
        return evidence.holding(
            checked=f"{len(evidence.anchored)} heads in {len(listing.objects)} objects of"
            f" s3://{self.bucket}/{self.prefix}: the oldest version of each was read, its number,"
            f" lock and seals were checked{locked}.",
            attests=True,
        )

    def _append(self, heads: Sequence[Head], at: datetime) -> int:
        listing = self._listing()
        last = listing.last
        missing = set(range(1, last + 1)) - {n for n, o in listing.objects.items() if o.versions}
        if missing:
            raise AnchorBroken(f"object {min(missing)} of the anchor is missing")
        reading = Pass()
        first = (last - 1) // REPEAT_EVERY * REPEAT_EVERY + 1
        for number in range(max(first, 1), last + 1):
            begins, lines, _ = self._lines(number, listing.objects[number])
            _follows(number, begins, reading, known=number > first)
            for at_line, line in enumerate(lines, start=2):
                reading.read(line, where=_where(number, at_line))
        begins = reading.mac
        next_to = last + 1
        repeats = next_to % REPEAT_EVERY == 1
        owed = reading.moved(heads) or (self.stamps is not None and not reading.stamped)
        texts = reading.added(heads, at=at, all_of_them=repeats and bool(owed))
        moved, not_stamped = len(texts), None
        try:
            texts += reading.stamp(self.stamps)
        except NotStamped as error:
            not_stamped = error
        if texts:
            self._put(next_to, begins, texts)
        if not_stamped is not None:
            raise not_stamped
        return moved

    def _read_object(
        self, number: int, found: _Object, reading: Pass, evidence: Evidence, *, known: bool
    ) -> datetime | None:
        """Collect what an object holds; return when its lock ends. Raises AnchorBroken.

        Behind a missing object (`known` is false) the chain goes on from where this one says.
        """
        begins, lines, until = self._lines(number, found)
        if until is None:
            evidence.faults.append(f"object {number} is not locked in {_MODE} mode")
        _follows(number, begins, reading, known=known)
        for at_line, text in enumerate(lines, start=2):
            line = reading.read(text, where=_where(number, at_line))
            if isinstance(line, bytes):
                evidence.stamp(line, reading.last, where=_where(number, at_line))
            else:
                evidence.head(line, stored_at=found.stored_at)
        return until

    def _lines(self, number: int, found: _Object) -> tuple[bytes, list[str], datetime | None]:
        """The seal that an object follows, its lines, and the end of its lock (None without)."""
        with self._talking():
            answer = self._client.get_object(
                Bucket=self.bucket, Key=found.key, VersionId=found.version
            )
            content = answer["Body"].read()
        locked = answer.get("ObjectLockMode") == _MODE
        until = answer.get("ObjectLockRetainUntilDate") if locked else None
        try:
            first, *lines = content.decode("ascii").splitlines()
            opening = json.loads(first)
            begins = bytes.fromhex(opening["after"])
            if opening["object"] != number:
                raise ValueError(f"it says that it is object {opening['object']}")
        except (ValueError, KeyError, TypeError) as error:
            raise AnchorBroken(f"object {number} of the anchor cannot be read: {error}") from error
        return begins, lines, until

    def _put(self, number: int, begins: bytes, texts: Sequence[str]) -> None:
        opening = json.dumps({"object": number, "after": begins.hex()})
        key = f"{self.prefix}{number:010}.jsonl"
        with self._talking():
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body="".join(f"{text}\n" for text in (opening, *texts)).encode("ascii"),
                ContentType="application/jsonl",
                ObjectLockMode=_MODE,
                ObjectLockRetainUntilDate=datetime.now(UTC) + self.lock,
                IfNoneMatch="*",
            )
        # Some servers take the lock's headers and do not know them.
        with self._talking():
            stored = self._client.head_object(
                Bucket=self.bucket, Key=key, VersionId=answer["VersionId"]
            )
        if stored.get("ObjectLockMode") != _MODE:
            raise AnchorBroken(f"{key} was stored in {self.bucket} without its lock")

    def _refuse_without_lock(self) -> None:
        """Raises AnchorUnavailable for a bucket without object lock."""
        from botocore.exceptions import ClientError

        with self._talking():
            try:
                answer = self._client.get_object_lock_configuration(Bucket=self.bucket)
                enabled = answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
            except ClientError as error:
                if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                    raise
                enabled = False
        if not enabled:
            raise AnchorUnavailable(
                f"the bucket {self.bucket} has no object lock, so its credentials could be used to"
                " delete the anchor. Make one with it (aws s3api create-bucket"
                " --object-lock-enabled-for-bucket) and name that"
            )

    def _listing(self) -> _Listing:
        """Everything under the prefix, delete markers too. A thousand versions are one request."""
        listing = _Listing()
        paginator = self._client.get_paginator("list_object_versions")
        with self._talking():
            for page in paginator.paginate(Bucket=self.bucket, Prefix=self.prefix):
                deadline.check()
                for version in page.get("Versions", []):
                    if found := self._found(listing, version["Key"]):
                        found.add(version["VersionId"], version["LastModified"])
                for marker in page.get("DeleteMarkers", []):
                    if found := self._found(listing, marker["Key"]):
                        found.markers += 1
        return listing

    def _found(self, listing: _Listing, key: str) -> _Object | None:
        """The object of a key, in the listing; None for what is none of ours."""
        name = _NAME.fullmatch(key.removeprefix(self.prefix))
        if name is not None:
            return listing.objects.setdefault(int(name[1]), _Object(key))
        # Consoles make an empty object of a folder's name.
        if key != self.prefix and key not in listing.foreign:
            listing.foreign.append(key)
        return None

    @cached_property
    def _client(self) -> S3Client:
        # Half a second and 30 MB, which only those pay who anchor in a bucket.
        import boto3
        from botocore.config import Config

        limits = Config(
            connect_timeout=deadline.cap_s(CONNECT_TIMEOUT_S),
            read_timeout=deadline.cap_s(READ_TIMEOUT_S),
            retries={"mode": "standard", "total_max_attempts": TRIES},
        )
        with self._talking():
            return boto3.client("s3", config=limits)

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Turn what the library raises into our errors. Raises AnchorUnavailable, _Taken."""
        from botocore.exceptions import BotoCoreError, ClientError

        deadline.check()
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                raise _Taken from error
            raise AnchorUnavailable(f"s3://{self.bucket}: {error}") from error
        except (BotoCoreError, ValueError) as error:
            # ValueError: an AWS variable that makes no address.
            raise AnchorUnavailable(f"s3://{self.bucket}: {error}") from error


def _follows(number: int, begins: bytes, reading: Pass, *, known: bool) -> None:
    """Check that an object goes on where the one before it ended. Raises AnchorBroken."""
    if known and begins != reading.mac:
        raise AnchorBroken(f"object {number} of the anchor does not follow the one before it")
    reading.mac = begins


def _where(number: int, line: int) -> str:
    return f"line {line} of object {number} of the anchor"
