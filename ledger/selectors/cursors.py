"""Cursors of the ledger's lists: where a page ended.

Booking times are unique within an account, so a statement needs no more; between accounts the id
decides; a document's transfers stand in the order of their timestamps. Each decoder raises
InvalidRequest for a cursor that we did not make.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_moment(moment: datetime) -> str:
    return _cursor_of(_micros(moment))


def decode_moment(cursor: str) -> datetime:
    return _moment(_cursor_bytes(cursor, 8))


def encode_timestamp(timestamp: int) -> str:
    return _cursor_of(timestamp.to_bytes(8, "big"))


def decode_timestamp(cursor: str) -> int:
    return int.from_bytes(_cursor_bytes(cursor, 8), "big")


def encode_place(moment: datetime, transfer: UUID) -> str:
    return _cursor_of(_micros(moment) + transfer.bytes)


def decode_place(cursor: str) -> tuple[datetime, UUID]:
    raw = _cursor_bytes(cursor, 24)
    return _moment(raw[:8]), UUID(bytes=raw[8:])


def _micros(moment: datetime) -> bytes:
    return ((moment - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big")


def _moment(raw: bytes) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw, "big"))
    except OverflowError as error:
        raise _foreign_cursor() from error


def _cursor_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _cursor_bytes(cursor: str, size: int) -> bytes:
    """The bytes in a cursor of ours. Raises InvalidRequest where it is none of that size."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise _foreign_cursor() from error
    # Eight bytes are a moment or a timestamp, which the database holds in 63 bits.
    if len(raw) != size or raw[0] > 127:
        raise _foreign_cursor()
    return raw


def _foreign_cursor() -> InvalidRequest:
    return InvalidRequest(
        "The cursor is not one of ours. Take next_cursor from the page before.",
        code="cursor_invalid",
        param="cursor",
    )
