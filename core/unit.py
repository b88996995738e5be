"""The unit of work: state, audit record and event of one change, sent as one SQL statement.

A write service collects everything that belongs together and flushes it in a single round trip,
as data-modifying CTEs. Either all of it is stored or, with the transaction, none. A unit that
writes a row without recording the change is refused; `core.models.Entity.UNRECORDED` names the rows
and columns that need no record.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, models
from psycopg.types.json import Jsonb

from core.card_columns import Check, check_of, encoded
from core.context import Actor, request_id
from core.db import ScopeError, current_scope, execute_prepared, execute_with_commit, numbered
from core.errors import Conflict
from core.events import EventSpec, is_declared
from core.models import AuditRecord, Entity, OutboxEvent, Tenancy
from core.pan import may_contain_card_number
from core.rows import new_row
from core.shapes import component_name

#: The SQLSTATE of `core_must_touch` (core/sql).
STALE: Final = "M0001"


class StaleState(Conflict):
    """Another transaction changed the row between reading and writing it."""

    default_code = "state_changed"


class UnrecordedChange(TypeError):
    """A unit of work writes a row without recording the change: a fault of the service."""


class Recordable(Protocol):
    """What an audit record or an event can be about."""

    @property
    def public_id(self) -> str: ...

    def tenancy(self) -> Tenancy: ...


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
    """A model as the unit of work sees it: its table, its columns, and the indexes of some.

    `recorded`: a change needs a record, unless it changes `unrecorded` columns only.
    """

    name: str
    columns: tuple[_Column, ...]
    checked: tuple[int, ...]
    converted: tuple[int, ...]
    recorded: bool
    unrecorded: frozenset[str]

    def sent(self, row: Mapping[str, Any]) -> list[Any]:
        """A new row's values; a card number is refused or masked, as its column declares.

        Most rows need one search only, over all their texts joined.
        """
        values = [row[column.attname] for column in self.columns]
        texts = [encoded(values[place]) for place in self.checked if values[place] is not None]
        # NUL is neither a digit nor a separator of digits, so no number spans two values.
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
    unrecorded = model.UNRECORDED if issubclass(model, Entity) else "It has no public id."
    return _Table(
        model._meta.db_table,
        columns,
        tuple(place for place, column in enumerate(columns) if column.check is not None),
        tuple(place for place, column in enumerate(columns) if column.convert is not None),
        recorded=not isinstance(unrecorded, str) or not unrecorded,
        unrecorded=frozenset(unrecorded if not isinstance(unrecorded, str) else ()),
    )


def _convert(field: models.Field[Any, Any]) -> Convert | None:
    """How a column's value must be changed before psycopg binds it; None leaves it as it is."""
    if isinstance(field, models.JSONField):
        return _json
    if isinstance(field, models.CharField):
        # Choices are enum members, which psycopg would take for a PostgreSQL enum.
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
    """The text for one shape of unit; it holds no values, so few shapes exist."""
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
        f"core_must_touch((SELECT count(*) FROM s{index}), ${number + place})"  # noqa: S608 - numbers
        if failing
        else f"(SELECT count(*) FROM s{index})"  # noqa: S608 - numbers
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
        # By `id()`: hashing a row costs calls, and these keep the rows alive.
        self._written: dict[int, models.Model] = {}
        self._recorded: dict[int, object] = {}

    def insert(self, *instances: models.Model) -> None:
        """Add new rows; rows of one table go into one INSERT."""
        for instance in instances:
            model = type(instance)
            self._inserts.setdefault(model, []).append(instance)
            if _table(model).recorded:
                self._written[id(instance)] = instance

    def update(
        self,
        instance: models.Model,
        *fields: str,
        expect: Mapping[str, Any] | None = None,
        what: str = "",
    ) -> None:
        """Write the named fields of a row that exists.

        Args:
            expect: what the row must still hold (column values by field name); else `flush` raises
                StaleState.
        """
        table = _table(type(instance))
        by_name = {column.attname: column for column in table.columns}
        values: list[Any] = []

        def term(name: str, value: Any) -> str:
            column = by_name[name]
            values.append(column.sent(value))
            return f'"{column.name}" = %s'

        named = [name if name in by_name else f"{name}_id" for name in fields]
        if table.recorded and not table.unrecorded.issuperset(named):
            self._written[id(instance)] = instance
        sets = ", ".join(term(name, getattr(instance, name)) for name in named)
        where = " AND ".join(
            term(name, value) for name, value in [("id", instance.pk), *(expect or {}).items()]
        )
        update = f'UPDATE "{table.name}" SET {sets}'  # noqa: S608 - names of models
        text = f"{update} WHERE {where} RETURNING 1"
        self.sql(text, values, guard=what or str(instance))

    def sql(self, text: str, params: Sequence[Any] = (), *, guard: str = "") -> None:
        """Add a data-modifying statement with RETURNING; with `guard` it must touch a row."""
        if guard:
            self._guarded.append((len(self._statements), guard))
        self._statements.append((text, list(params)))

    def record(
        self,
        row: Recordable | None,
        *,
        action: str,
        event: EventSpec | None,
        actor: Actor,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        aggregate: str = "",
        object_id: str = "",
        tenancy: Tenancy | None = None,
        also: Iterable[models.Model] = (),
    ) -> None:
        """Record a change: who did what to which row, and the event that reports it.

        The tenant is the row's; for a row without one, the audit record takes the actor's. The
        same holds for the mode.

        Args:
            row: what was changed; None for an attempt on something that does not exist.
            action: the audit record's, `object.verb`.
            event: what the relay delivers after the commit; None for nothing.
            payload: the event's, the public JSON of what it is about; a public event has one.
            aggregate: public id of the object whose events must arrive in order, where the event is
                about another one.
            object_id: public id of what the event is about, where that is not the row.
            tenancy: whose change it is, where it is not the row's tenant's.
            also: other rows of the unit whose change this record covers.

        Raises ValueError: the event is not declared, or is a public one without payload.
        """
        self._recorded[id(row)] = row
        for other in also:
            self._recorded[id(other)] = other
        target, whose = "", tenancy
        if row is not None:
            target, whose = row.public_id, tenancy or row.tenancy()
        whose, request = whose or Tenancy(), request_id()
        self._inserts.setdefault(AuditRecord, []).append(
            _audit_record(
                actor, whose, request, action=action, target=target, before=before, after=after
            )
        )
        if event is not None:
            about = object_id or target
            self._inserts.setdefault(OutboxEvent, []).append(
                _outbox_event(event, whose, request, about, aggregate or about, payload)
            )

    def forget(
        self,
        *,
        object_id: str,
        resource_id: uuid.UUID,
        payload: Mapping[str, Any],
        merchant_id: Any,
    ) -> None:
        """Remove an object's deleted personal data from its events and the kept answers.

        Its events then carry `payload` alone; ids, types and times stay, so lists and replays
        still add up, and a webhook that is retried later carries the new content. The answers kept
        for repeats of the requests that made it are emptied (`core.idempotency`).

        Args:
            object_id: its public id, by which the events name it.
            resource_id: its primary key, by which the kept answers name it.
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
            UnrecordedChange: a row was written and its change was not recorded.
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
        """As `flush`, in the same round trip as the COMMIT; the block's end raises StaleState.

        What is written here cannot be read inside the block.
        """
        if self._inserts or self._statements:
            text, params = self._compiled(failing=True)
            execute_with_commit(text, params, _explain)
            self._forget()

    def _compiled(self, *, failing: bool) -> tuple[str, list[Any]]:
        unrecorded = self._written.keys() - self._recorded.keys()
        if unrecorded:
            kinds = sorted({type(self._written[key]).__name__ for key in unrecorded})
            raise UnrecordedChange(
                f"{', '.join(kinds)}: written without a record of the change (Writes.record)."
            )
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
        self._written, self._recorded = {}, {}


def _audit_record(
    actor: Actor,
    whose: Tenancy,
    request: str,
    *,
    action: str,
    target: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> AuditRecord:
    merchant_id, reseller_id, livemode = whose
    if merchant_id is None and reseller_id is None:
        merchant_id, reseller_id = actor.merchant_id, actor.reseller_id
    return new_row(
        AuditRecord,
        merchant_id=merchant_id,
        reseller_id=reseller_id,
        livemode=actor.livemode if livemode is None else livemode,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        ip=actor.ip,
        request_id=request,
        action=action,
        target=target,
        before=dict(before) if before is not None else None,
        after=dict(after) if after is not None else None,
    )


def _outbox_event(
    event: EventSpec,
    whose: Tenancy,
    request: str,
    object_id: str,
    aggregate: str,
    payload: Mapping[str, Any] | None,
) -> OutboxEvent:
    if not is_declared(event):
        raise ValueError(f"The event {event.name} is not declared.")
    if payload is None and event.carries:
        name = component_name(event.carries)
        raise ValueError(f"The event {event.name} carries a {name}; give its payload.")
    return new_row(
        OutboxEvent,
        type=event.name,
        aggregate=aggregate,
        object_id=object_id,
        payload=dict(payload or {}),
        merchant_id=whose.merchant_id,
        reseller_id=whose.reseller_id,
        livemode=bool(whose.livemode),
        request_id=request,
    )


def _stale(what: str) -> StaleState:
    return StaleState(
        f"{what} was changed by another request at the same time. Read it again before you decide."
    )


def _explain(error: psycopg.Error) -> StaleState | None:
    return _stale(error.diag.message_primary or "It") if error.sqlstate == STALE else None
