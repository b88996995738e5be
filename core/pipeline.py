"""Statements that travel together: one write to the server, one wait for its answers.

libpq's pipeline mode through psycopg's own `pq` layer, for the statements of the hot path.
psycopg's `Connection.pipeline()` sends each statement with a system call of its own, which wakes
the server as often, and us for each answer: with BEGIN, scope, two statements and COMMIT that costs
more than what the statements do (ADR 0027 has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from psycopg import abc, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Connection = psycopg.Connection[Any]
Rows = list[tuple[Any, ...]]


class Statement(NamedTuple):
    """SQL with $1, $2, … for the parameters; the same text each time, without values."""

    text: str
    params: Sequence[Any] = ()


_BEGIN, _COMMIT = Statement("BEGIN"), Statement("COMMIT")
_CONTROL = (_BEGIN.text, _COMMIT.text)

#: The statements that a session has prepared, by text and types of the parameters. A session keeps
#: them for as long as it lives, whatever becomes of its transactions.
_Key = tuple[str, tuple[int, ...]]
_Prepared = dict[_Key, bytes]
_prepared: WeakKeyDictionary[Connection, _Prepared] = WeakKeyDictionary()

#: Texts come from the code, so a session has some dozens; what would come on top of these is sent
#: without being kept.
_PREPARED_MAX = 512


class _Bound(NamedTuple):
    """A statement as it goes over the wire."""

    key: _Key
    values: Sequence[Any]
    formats: Sequence[Any]


def roundtrip(
    conn: Connection, statements: Sequence[Statement], *, commit: bool = False
) -> list[Rows]:
    """Run the statements, and with `commit` the COMMIT, in one round trip.

    Where the connection is not in autocommit and no transaction is open, the BEGIN travels along. A
    statement that fails keeps those after it from being run, the COMMIT among them.

    Returns:
        the rows of each statement, as psycopg's cursors would read them.

    Raises:
        psycopg.Error: of the first statement that failed, or because the connection broke; it is
            then closed, and what became of a COMMIT is unknown.
    """
    if conn.closed:
        raise psycopg.OperationalError("the connection is closed")
    begins = not conn.autocommit and conn.pgconn.transaction_status == TransactionStatus.IDLE
    sent = [*([_BEGIN] if begins else []), *statements, *([_COMMIT] if commit else [])]
    transformer = Transformer.from_context(conn)
    with conn.lock:
        answers = _exchanged(conn, [_bind(transformer, statement) for statement in sent])
    wanted = answers[1:] if begins else answers
    return [_rows(transformer, answer) for answer in wanted[: len(statements)]]


def _bind(transformer: abc.Transformer, statement: Statement) -> _Bound:
    text, params = statement
    if not params:
        return _Bound((text, ()), (), ())
    values = transformer.dump_sequence(params, [PyFormat.AUTO] * len(params))
    return _Bound((text, transformer.types or ()), values, transformer.formats or ())


def _rows(transformer: abc.Transformer, answer: PGresult) -> Rows:
    if answer.status != ExecStatus.TUPLES_OK:
        return []
    transformer.set_pgresult(answer)
    return transformer.load_rows(0, answer.ntuples, tuple)


def _exchanged(conn: Connection, bound: Sequence[_Bound]) -> list[PGresult]:
    """The answer to each statement; raises for the first that failed."""
    pgconn = conn.pgconn
    prepared = _prepared.setdefault(conn, {})
    try:
        pgconn.enter_pipeline_mode()
        fresh = _queue(pgconn, bound, prepared)
        pgconn.pipeline_sync()
        answers = conn.wait(_talk(pgconn, len(fresh) + len(bound)))
        pgconn.exit_pipeline_mode()
    except BaseException:
        # Answers may be on their way that would be left unread.
        conn.close()
        raise
    for place, answer in enumerate(answers):
        if answer.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(answer, encoding=conn.info.encoding)
        if place in fresh:
            key, name = fresh[place]
            prepared[key] = name
    return [answer for place, answer in enumerate(answers) if place not in fresh]


def _queue(
    pgconn: PGconn, bound: Sequence[_Bound], prepared: _Prepared
) -> dict[int, tuple[_Key, bytes]]:
    """Queue the statements; answers which commands prepare one for the first time, by place."""
    names = dict(prepared)
    fresh: dict[int, tuple[_Key, bytes]] = {}
    place = 0
    for key, values, formats in bound:
        name = names.get(key)
        # BEGIN and COMMIT are not worth it, and prepared ones escape pg_stat_statements.
        if name is None and len(names) < _PREPARED_MAX and key[0] not in _CONTROL:
            name = names[key] = b"mk_%d" % len(names)
            text, types = key
            pgconn.send_prepare(name, text.encode(), types)
            fresh[place] = key, name
            place += 1
        if name is None:
            text, types = key
            pgconn.send_query_params(text.encode(), values, types, formats)
        else:
            pgconn.send_query_prepared(name, values, formats)
        place += 1
    return fresh


def _talk(pgconn: PGconn, count: int) -> abc.PQGen[list[PGresult]]:
    """Send what is queued and read the last result of each of `count` commands."""
    yield from generators.send(pgconn)
    answers: list[PGresult] = []
    while len(answers) < count:
        results = yield from generators.fetch_many(pgconn)
        if not results:
            raise psycopg.OperationalError("the connection broke before the answer came")
        answers.append(results[-1])
    yield from generators.fetch_many(pgconn)
    return answers
