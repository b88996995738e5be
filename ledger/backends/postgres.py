"""The ledger on PostgreSQL: each call one statement, one round trip, one commit.

A connection of its own, in autocommit: the scope is opened by the same statement that posts
(ADR 0020), so that a commit costs one round trip and not four.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
from django.db import connections
from psycopg import pq

from core.db import Scope, tenant_atomic
from core.errors import Unavailable
from core.postgres.base import resolved
from ledger.backends import pgwire
from ledger.backends.base import (
    AccountSpec,
    BalancePoint,
    Balances,
    BookedTransfer,
    Result,
    TransferSpec,
)
from ledger.backends.opened import OPENED
from ledger.backends.wire import check_batch, references, results, transfer_columns
from ledger.chart import AccountRef
from ledger.flags import AccountFlags, TransferFlags
from ledger.models import Account, Transfer
from ledger.services import posting
from ledger.status import AccountStatus

T = TypeVar("T")

_STATEMENT: Final = b"ledger_post_1"
_SQL: Final = b"SELECT ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
_OIDS: Final = (*(pgwire.ARRAY_OIDS[oid] for oid in pgwire.POST_OIDS), 25, 2950)
_FORMATS: Final = (*[pq.Format.BINARY] * 12, pq.Format.TEXT, pq.Format.BINARY)

#: SQLSTATEs to retry: serialisation failure, deadlock, two calls at once with the same id.
_AGAIN: Final = frozenset({"40001", "40P01", "23505"})
_ATTEMPTS: Final = 5
#: The largest batch takes a few seconds; what takes this long hangs.
_STATEMENT_S: Final = 60
#: Where the settings do not say.
_CONNECT_S: Final = 5


class _ThreadsOwn:
    """A thread's connection, closed when the thread or the ledger ends."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self._process = os.getpid()

    def __del__(self) -> None:
        # A forked child holds a copy, and closing that would end its parent's session.
        if self._process == os.getpid():
            self.conn.close()


class PostgresLedger:
    """The ledger on the platform's own PostgreSQL; safe to share between threads.

    Args:
        scope: in whose name it posts; a worker's by default.
    """

    def __init__(self, scope: Scope | None = None) -> None:
        self._scope = scope or Scope.worker()
        self._local = threading.local()

    def open(self, accounts: Sequence[AccountRef | AccountSpec]) -> list[AccountStatus]:
        with tenant_atomic(self._scope):
            return posting.open_accounts(accounts)

    def post(self, transfers: Sequence[TransferSpec]) -> list[Result]:
        check_batch(transfers)
        if not transfers:
            return []
        self._open_on_first_use(references(transfers))
        params = self._params(transfers)
        return results(transfers, self._retrying(lambda: self._execute(params)))

    def _open_on_first_use(self, accounts: Sequence[AccountRef]) -> None:
        """Opening is idempotent and commits first: an account without transfers is harmless."""
        if not accounts:
            return
        place = connections["default"].settings_dict["NAME"]
        unopened = [account for account in accounts if not OPENED.holds(place, account.id)]
        if unopened:
            statuses = self.open(unopened)
            OPENED.add(
                place, [a.id for a, status in zip(unopened, statuses, strict=True) if status.ok]
            )

    def accounts(self, ids: Sequence[UUID]) -> list[Balances]:
        with tenant_atomic(self._scope):
            found = {a.id: a for a in Account.objects.filter(id__in=ids)}
        return [
            Balances(
                id=a.id,
                ledger=a.ledger,
                code=a.code,
                flags=AccountFlags(a.flags),
                debits_pending=a.debits_pending,
                debits_posted=a.debits_posted,
                credits_pending=a.credits_pending,
                credits_posted=a.credits_posted,
            )
            for a in (found[i] for i in ids if i in found)
        ]

    def transfers(self, ids: Sequence[UUID]) -> list[BookedTransfer]:
        with tenant_atomic(self._scope):
            found = {t.id: t for t in Transfer.objects.filter(id__in=ids)}
        return [
            BookedTransfer(
                id=t.id,
                debit_account_id=t.debit_account_id,
                credit_account_id=t.credit_account_id,
                amount_minor=t.amount,
                pending_id=t.pending_id,
                document_id=t.document_id,
                ledger=t.ledger,
                code=t.code,
                flags=TransferFlags(t.flags),
                timeout_s=t.timeout_s or 0,
                timestamp=t.timestamp,
            )
            for t in (found[i] for i in ids if i in found)
        ]

    def history(self, account_id: UUID, *, limit: int = 100) -> list[BalancePoint]:
        from ledger.selectors import statement_page

        with tenant_atomic(self._scope):
            account = Account.objects.get(id=account_id)
            if not account.flags & AccountFlags.HISTORY:
                return []
            from core.pagination import PageRequest

            lines = statement_page(account=account, page=PageRequest(limit=limit)).items
        return [
            BalancePoint(
                at=line.booked_at,
                debits_pending=line.balance.debits_pending,
                debits_posted=line.balance.debits_posted,
                credits_pending=line.balance.credits_pending,
                credits_posted=line.balance.credits_posted,
            )
            for line in lines
            if line.balance is not None
        ]

    def expire(self, *, limit: int = 1000) -> int:
        return posting.expire_pending(limit=limit)

    # ---- the connection

    def _params(self, transfers: Sequence[TransferSpec]) -> list[bytes | None]:
        tenant = self._scope.tenant
        if len(transfers) == 1 and transfers[0].effective_on is None:
            return [
                *_one(transfers[0]),
                self._scope.role.encode(),
                tenant.bytes if tenant else None,
            ]
        return [
            *(
                pgwire.encode(oid, column)
                for oid, column in zip(pgwire.POST_OIDS, transfer_columns(transfers), strict=True)
            ),
            self._scope.role.encode(),
            tenant.bytes if tenant else None,
        ]

    def _execute(self, params: Sequence[bytes | None]) -> list[int]:
        """Run the statement on this thread's connection, below psycopg's cursors."""
        conn = self._connection()
        answer = conn.pgconn.exec_prepared(
            _STATEMENT,
            params,  # type: ignore[arg-type]  # null is None, which libpq takes
            param_formats=_FORMATS,
            result_format=pq.Format.BINARY,
        )
        if answer.status != pq.ExecStatus.TUPLES_OK:
            raise _error(conn, answer)
        value = answer.get_value(0, 0)
        assert value is not None
        return pgwire.decode_bigints(value)

    def _connection(self) -> psycopg.Connection[Any]:
        own: _ThreadsOwn | None = getattr(self._local, "own", None)
        if own is None or own.conn.closed or own.conn.pgconn.status != pq.ConnStatus.OK:
            own = self._local.own = _ThreadsOwn(self._connect())
        return own.conn

    def _connect(self) -> psycopg.Connection[Any]:
        settings = connections["default"].get_connection_params()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            settings.pop(name, None)
        try:
            settings = resolved(
                settings, limit_s=float(settings.get("connect_timeout") or _CONNECT_S)
            )
            conn: psycopg.Connection[Any] = psycopg.connect(**settings, autocommit=True)
        except psycopg.OperationalError as error:
            raise Unavailable("The ledger's database does not answer. Try again.") from error
        # libpq waits for its answer without a limit.
        conn.execute("SELECT set_config('statement_timeout', %s, false)", [f"{_STATEMENT_S}s"])
        prepared = conn.pgconn.prepare(_STATEMENT, _SQL, _OIDS)
        if prepared.status != pq.ExecStatus.COMMAND_OK:
            raise _error(conn, prepared)
        return conn

    def close(self) -> None:
        """Close this thread's connection."""
        self._local.own = None

    def _retrying(self, call: Callable[[], T]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return call()
            except psycopg.OperationalError as error:
                if error.sqlstate not in _AGAIN:
                    raise
            except psycopg.errors.UniqueViolation:
                continue
        return call()


def _one(spec: TransferSpec) -> list[bytes | None]:
    """The columns of a single transfer; columns that say nothing are null."""
    return [
        pgwire.one_uuid(spec.id),
        pgwire.one_uuid(spec.debit_id),
        pgwire.one_uuid(spec.credit_id),
        pgwire.one_bigint(spec.amount_minor),
        pgwire.one_int(spec.ledger_number),
        pgwire.one_int(spec.code),
        pgwire.one_int(int(spec.flags)) if spec.flags else None,
        pgwire.one_uuid(spec.pending_id) if spec.pending_id else None,
        pgwire.one_int(spec.timeout_s) if spec.timeout_s else None,
        pgwire.one_uuid(spec.document_id) if spec.document_id else None,
        None,
        pgwire.one_uuid(spec.corrects) if spec.corrects else None,
    ]


def _error(conn: psycopg.Connection[Any], answer: Any) -> psycopg.Error:
    """The exception for a failed statement, as psycopg's cursors raise it."""
    return psycopg.errors.error_from_result(answer, encoding=conn.info.encoding)
