"""What the audit log's seals are made of: the canonical record, its MAC, and the signed head.

The key is derived from the key provider's (HKDF-SHA256), one for each purpose, and never reaches
the database: who can write there, superusers among them, can compute no seal.

    record:  HMAC(chain key, "record|" previous hash, sequence, canonical record)
    head:    HMAC(head key, canonical head)

Records from before there was a key carry `SHA-256(previous hash, sequence, canonical record)`; the
signed head of a chain says which ones these may be.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from core.crypto import key_provider
from core.models import AuditRecord

GENESIS: Final = bytes(32)
_CHAIN: Final = b"merchantry audit chain"
_HEAD: Final = b"merchantry audit head"
_ANCHOR: Final = b"merchantry audit anchor"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends; `keyed_from` is the first sequence that carries a MAC."""

    chain: UUID
    sequence: int
    hash: bytes
    keyed_from: int = 1

    def canonical(self) -> bytes:
        content = {
            "chain": str(self.chain),
            "sequence": self.sequence,
            "hash": self.hash.hex(),
            "keyed_from": self.keyed_from,
        }
        return _json(content)


def canonical(record: AuditRecord) -> bytes:
    """The bytes of a record that its seal covers: sorted JSON, times in UTC to the microsecond."""
    content = {
        "id": str(record.id),
        "created_at": record.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "merchant_id": _text(record.merchant_id),
        "reseller_id": _text(record.reseller_id),
        "livemode": record.livemode,
        "actor_kind": record.actor_kind,
        "actor_id": record.actor_id,
        "actor_label": record.actor_label,
        "ip": _text(record.ip),
        "request_id": record.request_id,
        "action": record.action,
        "target": record.target,
        "before": record.before,
        "after": record.after,
    }
    return _json(content)


def newest_key_version() -> str:
    """The version of the key that seals are made with now."""
    return key_provider().derive(_CHAIN)[0]


def record_mac(
    previous_hash: bytes, sequence: int, record: AuditRecord, *, key_version: str
) -> bytes:
    """The seal of a record at its place. Raises CannotOpen for a key that is not configured."""
    text = b"record|" + previous_hash + sequence.to_bytes(8, "big") + canonical(record)
    return _mac(_CHAIN, key_version, text)


def unkeyed_hash(previous_hash: bytes, sequence: int, record: AuditRecord) -> bytes:
    """The seal of a record from before there was a key; it needs no secret to compute."""
    return hashlib.sha256(previous_hash + sequence.to_bytes(8, "big") + canonical(record)).digest()


def head_signature(head: Head, *, key_version: str) -> bytes:
    """The signature of a chain's head. Raises CannotOpen for a key that is not configured."""
    return _mac(_HEAD, key_version, head.canonical())


def anchor_mac(previous_mac: bytes, line: bytes, *, key_version: str) -> bytes:
    """The seal of an anchor's line. Raises CannotOpen for a key that is not configured."""
    return _mac(_ANCHOR, key_version, previous_mac + line)


def same(one: bytes, other: bytes) -> bool:
    """Whether two seals are equal, in constant time."""
    return hmac.compare_digest(one, other)


def _mac(purpose: bytes, key_version: str, text: bytes) -> bytes:
    key = key_provider().derive(purpose, version=key_version)[1]
    return hmac.digest(key, text, "sha256")


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _text(value: object) -> str | None:
    return None if value is None else str(value)
