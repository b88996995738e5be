"""Tenant-bound transactions: the one way a service opens a transaction.

The login role has no grants on tenants' data, so a statement outside `tenant_atomic` fails with
`permission denied` instead of quietly returning nothing. What it may read is what comes before a
tenant is known: sessions, people and their authenticators, and the frameworks' own tables. Inside
it, `SET LOCAL role` picks the policy set and `app.tenant` the rows (row-level security, the second
wall of tenancy).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import ipaddress
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from psycopg.adapt import PyFormat
from psycopg.pq import TransactionStatus

from core import deadline
from core.pipeline import Rows, Statement, roundtrip

Role = Literal["app_merchant", "app_reseller", "app_staff", "app_worker", "app_auth", "app_intake"]

TENANT_ROLES: tuple[Role, ...] = (
    "app_merchant",
    "app_reseller",
    "app_staff",
    "app_worker",
    "app_auth",
    "app_intake",
)


class ScopeError(RuntimeError):
    """A programming error: a transaction was opened, or used, under the wrong scope."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a transaction sees.

    `tenant` is the merchant's or the reseller's id; the roles without a tenant (staff, worker,
    auth, intake) see what their own policies allow.
    """

    role: Role
    tenant: uuid.UUID | None = None

    @classmethod
    def merchant(cls, merchant_id: uuid.UUID) -> Scope:
        return cls("app_merchant", merchant_id)

    @classmethod
    def reseller(cls, reseller_id: uuid.UUID) -> Scope:
        return cls("app_reseller", reseller_id)

    @classmethod
    def staff(cls) -> Scope:
        return cls("app_staff")

    @classmethod
    def worker(cls) -> Scope:
        return cls("app_worker")

    @classmethod
    def auth(cls) -> Scope:
        return cls("app_auth")

    @classmethod
    def intake(cls) -> Scope:
        """What a request leaves or looks up before it belongs to one merchant (docs/access.md)."""
        return cls("app_intake")


# psycopg knows these types by name until their first use, when it puts the class in the name's
# place; a thread that looks in between finds neither ("cannot adapt type"). So one uses them here.
for _type in (
    uuid.UUID,
    Decimal,
    dt.date,
    dt.time,
    dt.datetime,
    dt.timedelta,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
):
    for _format in PyFormat:
        with contextlib.suppress(psycopg.ProgrammingError):
            psycopg.adapters.get_dumper(_type, _format)

_scope: ContextVar[Scope | None] = ContextVar("merchantry_scope", default=None)

#: Turns the database's error about a statement into the caller's, or says that it is not its own.
Explain = Callable[[psycopg.Error], Exception | None]


class _Last(NamedTuple):
    text: str
    params: Sequence[Any]
    explain: Explain


_last: ContextVar[list[_Last]] = ContextVar("merchantry_last")


class _Opening:
    """The statement that opens a scope: sent before the transaction's first one, whatever it is.

    A transaction of writes alone then takes one round trip from its BEGIN to its COMMIT. Were the
    opening ever missed, the login role, which has no grants, would be refused.
    """

    def __init__(self, scope: Scope) -> None:
        named = (scope.role, str(scope.tenant or ""))
        left_s = deadline.remaining_s()
        self.statement = (
            Statement(_OPEN_SCOPE, named)
            if left_s is None
            else Statement(_OPEN_SCOPE_WITHIN, (*named, f"{max(1, math.ceil(left_s * 1000))}ms"))
        )
        self.is_due = True

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Django calls this around each statement of its cursors."""
        if self.is_due:
            _send([])
        return execute(sql, params, many, context)


_opening: ContextVar[_Opening | None] = ContextVar("merchantry_opening", default=None)

_OPEN_SCOPE = "select set_config('role', $1, true), set_config('app.tenant', $2, true)"
#: Waiting for a lock is part of a statement, so one time-out ends both.
_OPEN_SCOPE_WITHIN = f"{_OPEN_SCOPE}, set_config('statement_timeout', $3, true)"


def current_scope() -> Scope | None:
    """The scope of the transaction that is open here, or None."""
    return _scope.get()


@contextlib.contextmanager
def tenant_atomic(scope: Scope) -> Iterator[None]:
    """Run the block in one transaction that sees the rows of `scope` alone.

    Nested under the same scope it joins the open transaction: an error then undoes the whole, for
    there are no savepoints (a released savepoint would keep the inner scope's role).

    No statement of it runs longer than what was left of the deadline (`core.deadline`) when the
    transaction began.

    Raises:
        ScopeError: nested under another scope, or inside a transaction opened without one; or the
            block swallowed an error of the database, which has then kept nothing of it.
        DeadlineExceeded: nothing is left, and no transaction was begun.
    """
    outer = _scope.get()
    if outer is not None:
        if outer != scope:
            raise ScopeError(f"a transaction for {outer} is open; {scope} needs one of its own")
        yield
        return
    database = connections[DEFAULT_DB_ALIAS]
    if database.in_atomic_block:
        raise ScopeError("tenant_atomic() cannot begin inside transaction.atomic()")
    deadline.check()
    with transaction.atomic():
        # The token is reset before the commit hooks run: a hook opens its own scope.
        opening = _Opening(scope)
        token, last_token = _scope.set(scope), _last.set([])
        opening_token = _opening.set(opening)
        try:
            with database.execute_wrapper(opening):
                yield
            if not database.needs_rollback:
                _refuse_to_lose()
                _commit_with(_last.get())
        finally:
            _scope.reset(token)
            _last.reset(last_token)
            _opening.reset(opening_token)


def _refuse_to_lose() -> None:
    """Refuse to commit what the database has given up.

    PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, which is no error: the
    caller would see a success, and the commit hooks would run.
    """
    open_now = connection.connection
    if open_now is not None and open_now.pgconn.transaction_status == TransactionStatus.INERROR:
        raise ScopeError("a statement failed, the block went on, and nothing of it was kept")


def assert_outside_transaction(what: str) -> None:
    """Refuse `what` (a call to the outside) while a transaction holds locks and snapshots.

    Raises:
        ScopeError: a transaction is open.
    """
    if connection.in_atomic_block:
        raise ScopeError(f"{what} must not happen inside a database transaction")


def after_commit(callback: Callable[[], Any]) -> None:
    """Run `callback` once the open transaction has committed (at once when none is open)."""
    transaction.on_commit(callback)


def execute_prepared(text: str, params: Sequence[Any]) -> Rows:
    """Run one statement of the hot path as a prepared statement, and return its rows.

    Django's cursor sends literals, which PostgreSQL parses and plans each time; here the
    parameters are bound by the server, and the plan is kept with the connection.

    Args:
        text: SQL with $1, $2, … for the parameters; the same text each time, without values.
    """
    return _send([Statement(text, params)])[0]


def _send(statements: Sequence[Statement], *, commit: bool = False) -> list[Rows]:
    """Send the statements in one round trip, the open scope's own before them where it is due."""
    opening = _opening.get()
    first = [opening.statement] if opening is not None and opening.is_due else []
    sent = [*first, *statements]
    database = connections[DEFAULT_DB_ALIAS]
    # As Django's cursors do: a connection that has rested may be gone.
    database.close_if_health_check_failed()
    database.ensure_connection()
    if database.queries_logged:
        database.queries_log.extend({"sql": text, "time": ""} for text, _ in sent)
    with database.wrap_database_errors:
        rows = roundtrip(database.connection, sent, commit=commit)
    if opening is not None:
        opening.is_due = False
    return rows[len(first) :]


def execute_with_commit(text: str, params: Sequence[Any], explain: Explain) -> None:
    """Keep a statement for the end of `tenant_atomic`, where it travels with the COMMIT.

    Rows locked by it are then held for no round trip to us at all: of what is locked by many, such
    as an account's balance, that is most of the time. The statement must fail in the database when
    it may not stand; `explain` then says it in the caller's words, raised at the block's end.

    Raises:
        ScopeError: no `tenant_atomic` is open.
    """
    if _scope.get() is None:
        raise ScopeError("execute_with_commit() needs tenant_atomic()")
    _last.get().append(_Last(text, params, explain))


def _commit_with(statements: list[_Last]) -> None:
    """Send the statements and the COMMIT in one round trip."""
    if not statements:
        return
    try:
        _send([Statement(text, params) for text, params, _ in statements], commit=True)
    except DatabaseError as error:
        for statement in statements:
            explained = isinstance(error.__cause__, psycopg.Error) and statement.explain(
                error.__cause__
            )
            if explained:
                raise explained from error.__cause__
        raise


@functools.lru_cache(maxsize=512)
def numbered(text: str, offset: int = 0) -> str:
    """Turn each %s of a statement into $n, counting on from `offset`."""
    first, *rest = text.split("%s")
    return first + "".join(f"${offset + n + 1}{part}" for n, part in enumerate(rest))


def fetch_all(sql: str, params: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement on the scoped connection and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def fetch_one(sql: str, params: Any = None) -> tuple[Any, ...] | None:
    """Run one statement on the scoped connection and return its first row, or None."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
