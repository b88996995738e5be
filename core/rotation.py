"""Key rotation: rewrap data keys, begin new ones, seal fields again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.utils import timezone
from psycopg import sql

from core import crypto
from core.db import Scope, fetch_all, tenant_atomic
from core.models import DataKey

CHUNK: Final = 500
MAX_AGE: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed text. `tenant` is the column that names the tenant whose key sealed it, or
    None for the platform's; `place` and `pk` are what the value was bound to."""

    table: str
    column: str
    tenant: str | None
    place: str
    pk: str = "id"


@dataclass(frozen=True, slots=True)
class Rotated:
    """Counts of a rotation: data keys rewrapped and begun, fields sealed again."""

    rewrapped: int
    new_keys: int
    resealed: int


_columns: list[SealedColumn] = []


def register_sealed_column(
    *, table: str, column: str, tenant: str | None, pk: str = "id", place: str = ""
) -> None:
    """Let the rotation reach a column; the worker role needs SELECT and UPDATE on it.

    `place` is the column name given to `seal`, where it differs from the column's own.
    """
    entry = SealedColumn(table, column, tenant, place or column, pk)
    if entry not in _columns:
        _columns.append(entry)


def sealed_columns() -> tuple[SealedColumn, ...]:
    """Every column that the rotation reaches."""
    return tuple(_columns)


def rotate(*, older_than: timedelta = MAX_AGE) -> Rotated:
    """Bring all keys and fields up to date. Safe to repeat and to interrupt.

    1. Data keys under an old master key are wrapped with the newest.
    2. Tenants whose data key is older than `older_than` get a new one.
    3. Registered fields that are not under their tenant's newest key are sealed again, each only if
       it has not changed meanwhile.
    """
    with tenant_atomic(Scope.worker()):
        rewrapped = crypto.rewrap_data_keys()
    crypto.forget_keys()
    new_keys = _begin_new_keys(older_than)
    return Rotated(rewrapped, new_keys, sum(_reseal(column) for column in _columns))


def _begin_new_keys(older_than: timedelta) -> int:
    with tenant_atomic(Scope.worker()):
        rows = fetch_all(
            "SELECT tenant_id FROM core_datakey WHERE purpose = %s GROUP BY tenant_id"
            " HAVING max(created_at) <= %s",
            [DataKey.Purpose.DATA, timezone.now() - older_than],
        )
        for (tenant_id,) in rows:
            crypto.new_data_key(tenant_id)
    return len(rows)


def _reseal(column: SealedColumn) -> int:
    changed = 0
    after: UUID | int | None = None
    while True:
        with tenant_atomic(Scope.worker()):
            rows = _page(column, after)
            for pk, tenant_id, sealed in rows:
                changed += _reseal_one(column, pk, tenant_id, sealed)
        if len(rows) < CHUNK:
            return changed
        after = rows[-1][0]


def _page(column: SealedColumn, after: UUID | int | None) -> list[tuple[UUID | int, UUID, str]]:
    tenant = (
        sql.Identifier(column.tenant)
        if column.tenant
        else sql.SQL("{}::uuid").format(sql.Literal(str(crypto.PLATFORM_TENANT)))
    )
    query = sql.SQL(
        "SELECT {pk}, {tenant}, {column} FROM {table} WHERE {column} <> ''"
        " AND (%s::text IS NULL OR {pk} > %s) ORDER BY {pk} LIMIT %s"
    ).format(
        pk=sql.Identifier(column.pk),
        tenant=tenant,
        column=sql.Identifier(column.column),
        table=sql.Identifier(column.table),
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [None if after is None else str(after), after, CHUNK])
        return list(cursor.fetchall())


def _reseal_one(column: SealedColumn, pk: UUID | int, tenant_id: UUID, sealed: str) -> int:
    again = crypto.reseal_if_old(
        sealed, tenant_id=tenant_id, table=column.table, column=column.place, pk=str(pk)
    )
    if again is None:
        return 0
    update = sql.SQL("UPDATE {table} SET {column} = %s WHERE {pk} = %s AND {column} = %s").format(
        table=sql.Identifier(column.table),
        column=sql.Identifier(column.column),
        pk=sql.Identifier(column.pk),
    )
    with connection.cursor() as cursor:
        cursor.execute(update, [again, pk, sealed])
        return int(cursor.rowcount)
