"""The unit of work: state, audit record and event of one change, sent as one SQL statement.

A write service collects everything that belongs together and flushes it in a single round trip,
as data-modifying CTEs. Either all of it stands or, with the transaction, none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection, models

from core.context import Actor, request_id
from core.db import ScopeError, current_scope
from core.errors import Conflict
from core.models import AuditRecord, OutboxEvent


class StaleState(Conflict):
    """The row was changed by somebody else between reading and writing it."""

    default_code = "state_changed"


class _Insert(NamedTuple):
    head: str
    row: str
    fields: tuple[models.Field[Any, Any], ...]


@functools.cache
def _insert_parts(model: type[models.Model]) -> _Insert:
    fields = tuple(
        f
        for f in model._meta.local_concrete_fields
        if not isinstance(f, models.AutoField) and not f.generated
    )
    columns = ", ".join(f'"{f.column}"' for f in fields)
    row = "(" + ", ".join("%s" for _ in fields) + ")"
    return _Insert(f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ', row, fields)


class Writes:
    """Collects the writes of one change and sends them together.

    Nothing reaches the database before `flush()`, which must run inside `tenant_atomic`.
    """

    def __init__(self) -> None:
        self._inserts: dict[type[models.Model], list[models.Model]] = {}
        self._statements: list[tuple[str, list[Any]]] = []
        self._guarded: list[tuple[int, str]] = []

    def insert(self, *instances: models.Model) -> None:
        """Add new rows; rows of one table go into one INSERT."""
        for instance in instances:
            self._inserts.setdefault(type(instance), []).append(instance)

    def update(
        self,
        instance: models.Model,
        *fields: str,
        expect: Mapping[str, Any] | None = None,
        what: str = "",
    ) -> None:
        """Write the named fields of a row that exists.

        Args:
            expect: what must still stand in the row (column values by field name); `flush` raises
                StaleState when it does not.
        """
        meta = instance._meta
        values: list[Any] = []
        sets = []
        for name in fields:
            field = meta.get_field(name)
            assert isinstance(field, models.Field)
            sets.append(f'"{field.column}" = %s')
            values.append(
                field.get_db_prep_save(getattr(instance, field.attname), connection=connection)
            )
        where = ['"id" = %s']
        values.append(instance.pk)
        for name, value in (expect or {}).items():
            field = meta.get_field(name)
            assert isinstance(field, models.Field)
            where.append(f'"{field.column}" = %s')
            values.append(field.get_db_prep_save(value, connection=connection))
        text = (
            f'UPDATE "{meta.db_table}" SET {", ".join(sets)}'
            f" WHERE {' AND '.join(where)} RETURNING 1"
        )
        self.sql(text, values, guard=what or str(instance))

    def sql(self, text: str, params: Sequence[Any] = (), *, guard: str = "") -> None:
        """Add a data-modifying statement with RETURNING; with `guard` it must touch a row."""
        if guard:
            self._guarded.append((len(self._statements), guard))
        self._statements.append((text, list(params)))

    def audit(
        self,
        *,
        actor: Actor,
        action: str,
        target: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        merchant_id: Any = None,
        reseller_id: Any = None,
        livemode: bool | None = None,
    ) -> None:
        """Record who did what to which object; tenant and mode default to the actor's."""
        self.insert(
            AuditRecord(
                merchant_id=merchant_id or actor.merchant_id,
                reseller_id=reseller_id or actor.reseller_id,
                livemode=actor.livemode if livemode is None else livemode,
                actor_kind=actor.kind,
                actor_id=actor.id,
                actor_label=actor.label,
                ip=actor.ip,
                request_id=request_id(),
                action=action,
                target=target,
                before=dict(before) if before is not None else None,
                after=dict(after) if after is not None else None,
            )
        )

    def emit(
        self,
        event_type: str,
        *,
        aggregate: str,
        payload: Mapping[str, Any],
        merchant_id: Any = None,
        reseller_id: Any = None,
        livemode: bool = False,
    ) -> OutboxEvent:
        """Add an event that the relay will deliver once this transaction has committed."""
        event = OutboxEvent(
            type=event_type,
            aggregate=aggregate,
            payload=dict(payload),
            merchant_id=merchant_id,
            reseller_id=reseller_id,
            livemode=livemode,
            request_id=request_id(),
        )
        self.insert(event)
        return event

    def flush(self) -> None:
        """Send everything as one statement and empty the unit.

        Raises:
            StaleState: a guarded update found another state than expected.
            ScopeError: called outside `tenant_atomic`.
        """
        if not self._inserts and not self._statements:
            return
        if current_scope() is None:
            raise ScopeError("Writes.flush() needs tenant_atomic()")
        parts: list[str] = []
        params: list[Any] = []
        for index, (text, values) in enumerate(self._statements):
            parts.append(f"s{index} AS ({text})")
            params += values
        for model, instances in self._inserts.items():
            insert = _insert_parts(model)
            rows = ", ".join([insert.row] * len(instances))
            parts.append(f"i{len(parts)} AS ({insert.head}{rows})")
            for instance in instances:
                for field in insert.fields:
                    value = field.pre_save(instance, True)
                    params.append(field.get_db_prep_save(value, connection=connection))
                instance._state.adding = False
                instance._state.db = connection.alias
        counts = ", ".join(f"(SELECT count(*) FROM s{index})" for index, _ in self._guarded)
        with connection.cursor() as cursor:
            cursor.execute(f"WITH {', '.join(parts)} SELECT {counts or '1'}", params)
            row = cursor.fetchone()
        for (_, what), count in zip(self._guarded, row, strict=False):
            if count == 0:
                raise StaleState(
                    f"{what} was changed by another request at the same time. Read it again and "
                    "decide anew."
                )
        self._inserts, self._statements, self._guarded = {}, [], []
