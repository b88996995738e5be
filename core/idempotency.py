"""One answer per Idempotency-Key, kept in PostgreSQL for 30 days.

A claim commits in the same transaction as the effect it protects. A short operation inserts the
finished record with its effect (`complete`); one that calls a provider inserts it in flight
(`begin`), and finishes it together with the provider's answer. A claim in flight names the process
that holds it: a retry that finds the process gone takes it over, and never runs the request again.
A validation error rolls the claim
back with everything else, so it stores nothing. Deleting personal data empties the answers that
hold it (`core.unit.Writes.forget`): the key stays used, and its repetition is answered 404.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from django.db import IntegrityError
from django.utils import timezone

from core import liveness
from core.context import Actor
from core.crypto import PLATFORM_TENANT, open_sealed, seal
from core.db import Scope, after_commit, tenant_atomic
from core.errors import Conflict, InvalidRequest, NotFound, Unprocessable
from core.models import IdempotencyRecord
from core.pan import refuse_card_numbers
from core.rows import new_row
from core.unit import Writes

#: A claim ends with the process that holds it (`core.liveness`), or when its request lets it go.
#: This is for a request that hangs in a process that lives: longer than the longest time-out that a
#: provider account may have (80 s, and the time to connect), so no request at work is overtaken.
LOCK = dt.timedelta(seconds=120)
_MAX_KEY = 255
# Random keys in hexadecimal hold long runs of digits by chance, and a card number no letters.
_HEX_KEY: Final = re.compile(r"(?=.*[a-f])[0-9a-f]{16,}", re.IGNORECASE)
#: Before a sealed body; an answer itself is JSON and begins with a brace.
_SEALED: Final = b"sealed:"

#: Turns the object that was made into the stored answer: (status, body bytes).
Render = Callable[[Any], tuple[int, bytes]]


class _Place(TypedDict):
    """The row and column of a sealed answer; it opens nowhere else."""

    tenant_id: uuid.UUID
    table: str
    column: str
    pk: uuid.UUID


@dataclass(slots=True)
class Answer:
    """A finished answer: its status, its body, and whether it was given before."""

    status: int
    body: bytes
    replayed: bool = False


class Claim:
    """The right to do one request once.

    Args:
        actor: who asks; the key belongs to the actor's merchant and mode (or to the caller).
        key: the Idempotency-Key.
        request: what makes the request the same: method, path with query, and `canonical_body`.
        render: turns the object made into the answer to keep.
        sealed: keep the answer encrypted, for it holds a secret that is stored nowhere else, and
            give it to the same caller alone: the request log shows the key to the merchant's team.

    Attributes:
        record: the row of this claim, once it has committed.
        begun: the row of a claim in flight, once it was sent: that it committed is not known yet.
        answer: the stored answer, once it has committed; what was rolled back is no answer.
    """

    def __init__(
        self,
        *,
        actor: Actor,
        key: str,
        request: tuple[str, str, bytes],
        render: Render,
        sealed: bool = False,
    ):
        self.actor = actor
        self.owner = _owner(actor)
        self.key = key
        self.fingerprint = _fingerprint(*request, caller=actor.id if sealed else "")
        self.record: IdempotencyRecord | None = None
        self.begun: IdempotencyRecord | None = None
        self.answer: Answer | None = None
        self._render = render
        self._sealed = sealed

    def begin(self, writes: Writes, resource_id: uuid.UUID) -> None:
        """Claim the key as in flight, in the same statement as the object it makes."""
        record = self._new_record(resource_id)
        record.holder, record.locked_until = liveness.holder(), timezone.now() + LOCK
        self.begun = record
        writes.insert(record)
        after_commit(lambda: self._committed(record, None))

    def finish(self, writes: Writes, resource: Any) -> Answer:
        """Store the answer; inserts a finished record when `begin` was not needed."""
        status, body = self._render(resource)
        answer = Answer(status, body)
        record: IdempotencyRecord = self.record or self._new_record(getattr(resource, "id", None))
        record.status, record.body = status, self._kept(record, body)
        record.holder = record.locked_until = None
        if self.record is None:
            writes.insert(record)
        else:
            writes.update(record, "status", "body", "holder", "locked_until")
        after_commit(lambda: self._committed(record, answer))
        return answer

    def _kept(self, record: IdempotencyRecord, body: bytes) -> bytes:
        if not self._sealed:
            return body
        return _SEALED + seal(body.decode(), **_place(record)).encode()

    def complete(self, resource: Any) -> Answer:
        """For operations of one transaction: store the finished answer with it."""
        writes = Writes()
        answer = self.finish(writes, resource)
        writes.flush()
        return answer

    def _committed(self, record: IdempotencyRecord, answer: Answer | None) -> None:
        self.record, self.answer = record, answer

    def _new_record(self, resource_id: uuid.UUID | None) -> IdempotencyRecord:
        return new_row(
            IdempotencyRecord,
            owner=self.owner,
            key=self.key,
            fingerprint=self.fingerprint,
            merchant_id=self.actor.merchant_id,
            reseller_id=self.actor.reseller_id,
            resource_id=resource_id,
        )

    def previous(self) -> Answer | uuid.UUID | None:
        """What became of an earlier request under this key.

        This claim takes over a request that died or was given up: it then holds that request's
        row, and `finish` or `keep` ends it.

        Returns:
            the stored answer; the id of the object that a request which died was making; or None
            when the key is free.

        Raises:
            Unprocessable: the key was used for another request.
            NotFound: what the request made was deleted since, and its answer with it.
            Conflict: the first request is still at work.
        """
        found = IdempotencyRecord.objects.filter(owner=self.owner, key=self.key)
        scope = self.actor.scope
        if self.actor.kind == "service":
            # A service's keys are its own, whichever merchant it acts for; in the merchant's scope
            # its key of another merchant's request would look free. The answer is that merchant's.
            found, scope = found.defer("body"), Scope.intake()
        with tenant_atomic(scope):
            record = found.annotate(abandoned=liveness.HolderDied("holder")).first()
        if record is None:
            return None
        if bytes(record.fingerprint) != self.fingerprint:
            raise Unprocessable(
                "This Idempotency-Key was used for another request. Use a fresh key for each "
                "operation, and the same key only to repeat the very same request.",
                param="Idempotency-Key",
            )
        if record.status is not None:
            if "body" in record.get_deferred_fields():
                with tenant_atomic(_scope_of(record, self.actor)):
                    record.refresh_from_db(fields=["body"])
            if record.body is None:
                raise NotFound(
                    "What this request made was deleted since. Use a fresh Idempotency-Key to make "
                    "another.",
                    code="resource_deleted",
                    param="Idempotency-Key",
                )
            return Answer(record.status, _opened(record), replayed=True)
        assert record.locked_until is not None
        scope = _scope_of(record, self.actor)
        at_work = record.holder is not None and not record.abandoned
        if (at_work and record.locked_until > timezone.now()) or not _taken_over(record, scope):
            raise in_flight()
        self.record = record
        assert record.resource_id is not None
        return record.resource_id

    def keep(self, status: int, body: bytes) -> Answer:
        """Store the answer of a claim that another request began, in a transaction of its own.

        Should the first request have come to its end after all, its answer counts.
        """
        assert self.record is not None
        with tenant_atomic(_scope_of(self.record, self.actor)):
            IdempotencyRecord.objects.filter(id=self.record.id, status=None).update(
                status=status, body=self._kept(self.record, body), holder=None, locked_until=None
            )
        return Answer(status, body, replayed=True)

    def let_go(self) -> None:
        """Let a retry take this claim over at once: its request ends without knowing its answer."""
        held = self.record or self.begun
        if held is not None and self.answer is None:
            with tenant_atomic(_scope_of(held, self.actor)):
                IdempotencyRecord.objects.filter(id=held.id, status=None).update(holder=None)


def _scope_of(record: IdempotencyRecord, actor: Actor) -> Scope:
    """Where a record is written: with its merchant or reseller, whose scopes web opens."""
    if record.merchant_id is not None:
        return Scope.merchant(record.merchant_id)
    if record.reseller_id is not None:
        return Scope.reseller(record.reseller_id)
    return actor.scope


def _taken_over(record: IdempotencyRecord, scope: Scope) -> bool:
    """Make this process the holder; False when another retry was quicker."""
    before = {"holder": record.holder, "locked_until": record.locked_until}
    record.holder, record.locked_until = liveness.holder(), timezone.now() + LOCK
    with tenant_atomic(scope):
        taken = IdempotencyRecord.objects.filter(id=record.id, status=None, **before).update(
            holder=record.holder, locked_until=record.locked_until
        )
    return taken == 1


def in_flight() -> Conflict:
    """The answer for a key whose first request is still at work."""
    return Conflict(
        "A request with this Idempotency-Key is still at work. Ask again in a second.",
        code="idempotency_key_in_flight",
        param="Idempotency-Key",
    )


def _opened(record: IdempotencyRecord) -> bytes:
    """The stored answer as it was given."""
    assert record.body is not None
    kept = bytes(record.body)
    if not kept.startswith(_SEALED):
        return kept
    return open_sealed(kept[len(_SEALED) :].decode(), **_place(record)).encode()


def _place(record: IdempotencyRecord) -> _Place:
    return {
        "tenant_id": record.merchant_id or PLATFORM_TENANT,
        "table": IdempotencyRecord._meta.db_table,
        "column": "body",
        "pk": record.id,
    }


def is_duplicate_claim(error: IntegrityError) -> bool:
    """Whether `error` is another request's claim on the same key."""
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", "") == "idempotency_once"


def canonical_body(body: Mapping[str, Any]) -> bytes:
    """A parsed JSON body in one spelling, so that the same values are the same request.

    A client that rebuilds its body for the retry may order the keys in another way (maps have no
    order in Go or Rust) or space them differently, and still asks for the same.
    Numbers keep their kind: `1` and `1.0` are not the same.
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def check_key(key: str | None, *, required: bool) -> str | None:
    """Validate the header's form.

    Raises:
        InvalidRequest: missing where money moves, empty, longer than 255, not printable ASCII, or
            a card number, which no row of ours may hold.
    """
    if key is None:
        if required:
            raise InvalidRequest(
                "This request moves money and needs an Idempotency-Key header: a fresh random "
                "value (such as a UUID) for each operation, repeated only when you retry it.",
                code="idempotency_key_missing",
                param="Idempotency-Key",
            )
        return None
    # Not every server hands over a value that is not ASCII.
    if not key or len(key) > _MAX_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            "An Idempotency-Key is 1 to 255 printable ASCII characters; this one is empty, longer, "
            "or holds others.",
            code="idempotency_key_invalid",
            param="Idempotency-Key",
        )
    if not _HEX_KEY.fullmatch(key):
        refuse_card_numbers(key, "Idempotency-Key")
    return key


def _owner(actor: Actor) -> str:
    mode = "live" if actor.livemode else "test"
    if actor.merchant_id is not None and actor.kind != "service":
        return f"{actor.merchant_id}:{mode}"
    return f"{actor.kind}:{actor.id}:{mode}"


def _fingerprint(method: str, path: str, body: bytes, *, caller: str) -> bytes:
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), body, caller.encode()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
