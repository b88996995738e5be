"""Batches as PostgreSQL's binary arrays.

Python's generic adaptation of lists costs more than the posting itself: here a column of a thousand
values becomes one bytes object with two calls.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper

_EPOCH: Final = date(2000, 1, 1)
_NULL: Final = b"\xff\xff\xff\xff"

#: Type oids of the elements and of their arrays, as in pg_type.
UUID_OID, BIGINT_OID, INT_OID, DATE_OID = 2950, 20, 23, 1082
ARRAY_OIDS: Final = {UUID_OID: 2951, BIGINT_OID: 1016, INT_OID: 1007, DATE_OID: 1182}

#: The columns of ledger_post().
POST_OIDS: Final = (
    UUID_OID, UUID_OID, UUID_OID, BIGINT_OID, INT_OID, INT_OID, INT_OID, UUID_OID, INT_OID,
    UUID_OID, DATE_OID, UUID_OID,
)  # fmt: skip


@cache
def _fixed(code: str, count: int) -> struct.Struct:
    return struct.Struct(">" + f"i{code}" * count)


def _head(oid: int, count: int, *, nulls: bool) -> bytes:
    return struct.pack(">iiIii", 1, 1 if nulls else 0, oid, count, 1)


def _numbers(values: Sequence[int | None], *, oid: int, code: str, width: int) -> bytes:
    count = len(values)
    if None in values:
        one = struct.Struct(f">i{code}")
        body = b"".join([_NULL if v is None else one.pack(width, v) for v in values])
        return _head(oid, count, nulls=True) + body
    flat: list[int] = [width] * (2 * count)
    flat[1::2] = values  # type: ignore[assignment]  # no None, see above
    return _head(oid, count, nulls=False) + _fixed(code, count).pack(*flat)


def _uuids(values: Sequence[UUID | None]) -> bytes:
    head = _head(UUID_OID, len(values), nulls=None in values)
    size = b"\x00\x00\x00\x10"
    return head + b"".join([_NULL if v is None else size + v.bytes for v in values])


def encode(oid: int, values: Sequence[Any] | None) -> bytes | None:
    """One column as a binary array; null for a column that says nothing."""
    if values is None:
        return None
    if oid == UUID_OID:
        return _uuids(values)
    if oid == DATE_OID:
        days = [None if day is None else (day - _EPOCH).days for day in values]
        return _numbers(days, oid=DATE_OID, code="i", width=4)
    if oid == BIGINT_OID:
        return _numbers(values, oid=oid, code="q", width=8)
    return _numbers(values, oid=oid, code="i", width=4)


class Column:
    """An encoded array as a parameter of a cursor of psycopg's; a class for each type of it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _ColumnDumper(Dumper):
    """Sends a column as it is."""

    format = pq.Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj.data


_COLUMNS: Final[dict[int, type[Column]]] = {
    oid: type(f"Column{oid}", (Column,), {"__slots__": ()}) for oid in ARRAY_OIDS
}
for _oid, _column in _COLUMNS.items():
    psycopg.adapters.register_dumper(
        _column, type(f"{_column.__name__}Dumper", (_ColumnDumper,), {"oid": ARRAY_OIDS[_oid]})
    )


def posting(columns: Sequence[Sequence[Any] | None]) -> list[Column | None]:
    """The columns of ledger_post() as parameters; null for a column that says nothing."""
    return [
        None if values is None else _COLUMNS[oid](encode(oid, values) or b"")
        for oid, values in zip(POST_OIDS, columns, strict=True)
    ]


def decode_bigints(data: bytes) -> list[int]:
    """The elements of a binary bigint[] without nulls."""
    dimensions = struct.unpack_from(">i", data)[0]
    if dimensions == 0:
        return []
    count: int = struct.unpack_from(">i", data, 12)[0]
    return list(_fixed("q", count).unpack_from(data, 20)[1::2])


_ONE: Final = {oid: _head(oid, 1, nulls=False) for oid in ARRAY_OIDS}
_ONE_UUID: Final = _ONE[UUID_OID] + b"\x00\x00\x00\x10"
_NO_UUID: Final = _head(UUID_OID, 1, nulls=True) + _NULL
_ONE_BIGINT: Final = _ONE[BIGINT_OID] + b"\x00\x00\x00\x08"
_NO_BIGINT: Final = _head(BIGINT_OID, 1, nulls=True) + _NULL
_ONE_INT: Final = _ONE[INT_OID] + b"\x00\x00\x00\x04"
_NO_INT: Final = _head(INT_OID, 1, nulls=True) + _NULL
_BIGINT: Final = struct.Struct(">q")
_INT: Final = struct.Struct(">i")


def one_uuid(value: UUID | None) -> bytes:
    """An array of one UUID, or of one null; as `encode` makes it, in a third of the time."""
    return _NO_UUID if value is None else _ONE_UUID + value.bytes


def one_bigint(value: int | None) -> bytes:
    return _NO_BIGINT if value is None else _ONE_BIGINT + _BIGINT.pack(value)


def one_int(value: int | None) -> bytes:
    return _NO_INT if value is None else _ONE_INT + _INT.pack(value)
