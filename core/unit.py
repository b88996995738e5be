"""The unit of work: state, audit record and event of one change, sent as one SQL statement.

A write service collects everything that belongs together and flushes it in a single round trip,
as data-modifying CTEs. Either all of it stands or, with the transaction, none.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, models
from psycopg.types.json import Jsonb

from core.card_columns import Check, check_of, encoded
from core.context import Actor, request_id
from core.db import ScopeError, current_scope, execute_prepared, execute_with_commit, numbered
from core.errors import Conflict
from core.events import EventSpec, is_declared
from core.models import AuditRecord, OutboxEvent
from core.pan import may_contain_card_number
from core.rows import new_row

#: The SQLSTATE of `core_must_touch` (core/sql).
STALE: Final = "M0001"


class StaleState(Conflict):
    """The row was changed by somebody else between reading and writing it."""

    default_code = "state_changed"


Convert = Callable[[Any], Any]


class _Column(NamedTuple):
    """A column: its attribute, its name, and what a value passes through before it is sent."""

    attname: str
    name: str
    check: Check | None
    convert: Convert | None

    def sent(self, value: Any) -> Any:
        if value is not None:
            if self.check is not None:
                value = self.check(value)
            if self.convert is not None:
                value = self.convert(value)
        return value


class _Table(NamedTuple):
    """A model as the unit of work sees it: its table, its columns, and where some of them are."""

    name: str
    columns: tuple[_Column, ...]
    checked: tuple[int, ...]
    converted: tuple[int, ...]

    def sent(self, row: Mapping[str, Any]) -> list[Any]:
        """A new row's values; a card number is refused or masked, as its column has it.

        One look at all texts of the row together answers for most rows.
        """
        values = [row[column.attname] for column in self.columns]
        texts = [encoded(values[place]) for place in self.checked if values[place] is not None]
        # No digits and no separator of digits: what is on both sides of it stays apart.
        suspicious = may_contain_card_number(b"\0".join(texts))
        for place in self.checked if suspicious else ():
            check = self.columns[place].check
            if check is not None and values[place] is not None:
                values[place] = check(values[place])
        for place in self.converted:
            convert = self.columns[place].convert
            if convert is not None and values[place] is not None:
                values[place] = convert(values[place])
        return values


@functools.cache
def _table(model: type[models.Model]) -> _Table:
    columns = tuple(
        _Column(field.attname, field.column or "", check_of(field), _convert(field))
        for field in model._meta.local_concrete_fields
        if not isinstance(field, models.AutoField) and not field.generated
    )
    return _Table(
        model._meta.db_table,
        columns,
        tuple(place for place, column in enumerate(columns) if column.check is not None),
        tuple(place for place, column in enumerate(columns) if column.convert is not None),
    )


def _convert(field: models.Field[Any, Any]) -> Convert | None:
    """How a column's value must be changed before psycopg binds it; None leaves it as it is."""
    if isinstance(field, models.JSONField):
        return _json
    if isinstance(field, models.CharField):
        # Choices are enum members, which psycopg would take for an enum of PostgreSQL's.
        return str
    return None


def _json(value: Any) -> Any:
    return None if value is None else Jsonb(value, dumps=orjson.dumps)


@functools.lru_cache(maxsize=1024)
def _statement(
    extra: tuple[tuple[str, int], ...],
    inserts: tuple[tuple[type[models.Model], int], ...],
    guarded: tuple[int, ...],
    failing: bool,
) -> str:
    """The text for one shape of unit; values never stand in it, so few shapes exist."""
    parts: list[str] = []
    number = 0
    for index, (text, count) in enumerate(extra):
        parts.append(f"s{index} AS ({numbered(text, number)})")
        number += count
    for index, (model, rows) in enumerate(inserts):
        table = _table(model)
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        width = len(table.columns)
        values = []
        for _ in range(rows):
            values.append(f"({', '.join(f'${number + n + 1}' for n in range(width))})")
            number += width
        parts.append(
            f'i{index} AS (INSERT INTO "{table.name}" ({columns})'  # noqa: S608 - names of models
            f" VALUES {', '.join(values)})"
        )
    counts = ", ".join(
        f"core_must_touch((SELECT count(*) FROM s{index}), ${number + place})"  # noqa: S608
        if failing
        else f"(SELECT count(*) FROM s{index})"  # noqa: S608
        for place, index in enumerate(guarded, start=1)
    )
    return f"WITH {', '.join(parts)} SELECT {counts or '1'}"


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
        table = _table(type(instance))
        by_name = {column.attname: column for column in table.columns}
        values: list[Any] = []

        def term(name: str, value: Any) -> str:
            column = by_name[name]
            values.append(column.sent(value))
            return f'"{column.name}" = %s'

        named = [name if name in by_name else f"{name}_id" for name in fields]
        sets = ", ".join(term(name, getattr(instance, name)) for name in named)
        where = " AND ".join(
            term(name, value) for name, value in [("id", instance.pk), *(expect or {}).items()]
        )
        text = f'UPDATE "{table.name}" SET {sets} WHERE {where} RETURNING 1'  # noqa: S608
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
            new_row(
                AuditRecord,
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
        spec: EventSpec,
        *,
        aggregate: str,
        payload: Mapping[str, Any],
        object_id: str = "",
        merchant_id: Any = None,
        reseller_id: Any = None,
        livemode: bool = False,
    ) -> OutboxEvent:
        """Add an event that the relay will deliver once this transaction has committed.

        Args:
            spec: the event as its room declares it (`<room>/events.py`).
            aggregate: public id of the object whose events must arrive in order.
            payload: the public JSON of the object that the event is about.
            object_id: that object's public id, where it is not the aggregate itself.

        Raises ValueError: the event is not declared.
        """
        if not is_declared(spec):
            raise ValueError(f"The event {spec.name} is not declared.")
        event = new_row(
            OutboxEvent,
            type=spec.name,
            aggregate=aggregate,
            object_id=object_id or aggregate,
            payload=dict(payload),
            merchant_id=merchant_id,
            reseller_id=reseller_id,
            livemode=livemode,
            request_id=request_id(),
        )
        self.insert(event)
        return event

    def forget(
        self,
        *,
        object_id: str,
        resource_id: uuid.UUID,
        payload: Mapping[str, Any],
        merchant_id: Any,
    ) -> None:
        """Let nothing repeat what an object's deleted personal data said.

        Its events say `payload` alone: ids, types and times stay, so lists and replays still add
        up; a webhook that is tried again later carries the new content. The answers kept for
        repetitions of the requests that made it are emptied (`core.idempotency`).

        Args:
            object_id: its public id, by which the events know it.
            resource_id: its primary key, by which the kept answers do.
        """
        self.sql(
            "UPDATE core_outboxevent SET payload = %s"
            " WHERE merchant_id = %s AND object_id = %s RETURNING 1",
            [_json(dict(payload)), merchant_id, object_id],
        )
        self.sql(
            "UPDATE core_idempotencyrecord SET body = NULL"
            " WHERE merchant_id = %s AND resource_id = %s AND status IS NOT NULL RETURNING 1",
            [merchant_id, resource_id],
        )

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
        text, params = self._compiled(failing=False)
        counts = execute_prepared(text, params)[0]
        for (_, what), count in zip(self._guarded, counts, strict=False):
            if count == 0:
                raise _stale(what)
        self._forget()

    def flush_with_commit(self) -> None:
        """As `flush`, in the same round trip as the COMMIT; StaleState comes at the block's end.

        What is written here cannot be read in the block any more.
        """
        if self._inserts or self._statements:
            text, params = self._compiled(failing=True)
            execute_with_commit(text, params, _explain)
            self._forget()

    def _compiled(self, *, failing: bool) -> tuple[str, list[Any]]:
        params: list[Any] = [value for _, values in self._statements for value in values]
        for model, instances in self._inserts.items():
            table = _table(model)
            for instance in instances:
                params += table.sent(instance.__dict__)
        if failing:
            params += [what for _, what in self._guarded]
        text = _statement(
            tuple((text, len(values)) for text, values in self._statements),
            tuple((model, len(rows)) for model, rows in self._inserts.items()),
            tuple(index for index, _ in self._guarded),
            failing,
        )
        return text, params

    def _forget(self) -> None:
        for instances in self._inserts.values():
            for instance in instances:
                instance._state.adding = False
                instance._state.db = DEFAULT_DB_ALIAS
        self._inserts, self._statements, self._guarded = {}, [], []


def _stale(what: str) -> StaleState:
    return StaleState(
        f"{what} was changed by another request at the same time. Read it again before you decide."
    )


def _explain(error: psycopg.Error) -> StaleState | None:
    return _stale(error.diag.message_primary or "It") if error.sqlstate == STALE else None
