"""Statements that travel together: what is answered, what fails, and what a failure leaves."""

from __future__ import annotations

import datetime as dt
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from core.pipeline import Statement, roundtrip

VALUES = "SELECT $1::uuid, $2::text, $3::int, $4::timestamptz, $5::jsonb, $6::bytea"


@pytest.fixture
def conn(admin_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(admin_dsn) as found:
        found.execute("CREATE TEMP TABLE kept (n int PRIMARY KEY)")
        found.execute(
            "CREATE TEMP TABLE child (n int REFERENCES kept DEFERRABLE INITIALLY DEFERRED)"
        )
        found.commit()
        yield found


def kept(conn: psycopg.Connection) -> list[int]:
    rows = [n for (n,) in conn.execute("SELECT n FROM kept ORDER BY n")]
    conn.rollback()
    return rows


def insert(*values: int) -> list[Statement]:
    return [Statement("INSERT INTO kept VALUES ($1) RETURNING n", [n]) for n in values]


def test_answers_are_read_as_psycopg_reads_them(conn: psycopg.Connection) -> None:
    now = dt.datetime.now(dt.UTC)
    params = [uuid.uuid4(), "Ä \U0001f600", -5, now, '{"a": [1, null]}', b"\x00\xff"]
    with psycopg.RawCursor(conn) as cursor:
        expected = cursor.execute(VALUES, params).fetchall()
    for _ in range(3):
        assert roundtrip(conn, [Statement(VALUES, params)]) == [expected]
    nothing = [(None,) * 6]
    assert roundtrip(conn, [Statement(VALUES, [None] * 6)]) == [nothing]


def test_begin_and_commit_travel_along(conn: psycopg.Connection) -> None:
    answers = roundtrip(
        conn, [*insert(1, 2), Statement("UPDATE kept SET n = n WHERE n > 5")], commit=True
    )
    assert answers == [[(1,)], [(2,)], []]
    assert conn.info.transaction_status == TransactionStatus.IDLE
    conn.rollback()
    assert kept(conn) == [1, 2]


def test_without_commit_the_transaction_stays_open(conn: psycopg.Connection) -> None:
    roundtrip(conn, insert(1))
    assert conn.info.transaction_status == TransactionStatus.INTRANS
    roundtrip(conn, insert(2))
    conn.rollback()
    assert kept(conn) == []


def test_in_autocommit_a_statement_stands_by_itself(conn: psycopg.Connection) -> None:
    conn.autocommit = True
    roundtrip(conn, insert(1))
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert kept(conn) == [1]


def test_what_comes_after_a_failure_is_not_run(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation) as failed:
        roundtrip(conn, insert(1, 1, 2), commit=True)
    assert failed.value.diag.constraint_name == "kept_pkey"
    assert conn.info.transaction_status == TransactionStatus.INERROR
    conn.rollback()
    assert kept(conn) == []
    # The connection is as good as before, with what it has prepared.
    assert roundtrip(conn, insert(3), commit=True) == [[(3,)]]


def test_a_statement_that_cannot_be_prepared_is_not_taken_for_prepared(
    conn: psycopg.Connection,
) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            roundtrip(conn, [Statement("SELECT * FROM no_such_table")])
        conn.rollback()
    # What stood behind the failure was not prepared either, though its turn had come.
    with pytest.raises(psycopg.errors.DivisionByZero):
        roundtrip(conn, [Statement("SELECT 1 / $1::int", [0]), Statement("SELECT 42")])
    conn.rollback()
    assert roundtrip(conn, [Statement("SELECT 42")]) == [[(42,)]]


def test_a_refusal_at_the_commit_is_raised(conn: psycopg.Connection) -> None:
    orphan = Statement("INSERT INTO child VALUES ($1)", [9])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        roundtrip(conn, [*insert(1), orphan], commit=True)
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert kept(conn) == []


def test_a_statement_is_prepared_once_for_its_types(conn: psycopg.Connection) -> None:
    asked = Statement("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE $1")
    for n in range(5):
        roundtrip(conn, [*insert(n), *insert(100 + n)])
        roundtrip(conn, [Statement("SELECT $1", [n]), Statement("SELECT $1", [str(n)])])
    counts = [
        roundtrip(conn, [asked._replace(params=[text])])[0][0][0]
        for text in ("INSERT INTO kept%", "SELECT $1")
    ]
    assert counts == [1, 2]


def test_more_than_the_sockets_hold_goes_both_ways(conn: psycopg.Connection) -> None:
    large = "x" * 3_000_000
    echo = Statement("SELECT $1::text", [large])
    assert roundtrip(conn, [echo] * 4) == [[(large,)]] * 4


def test_a_value_that_cannot_be_sent_leaves_the_connection_alone(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        roundtrip(conn, [*insert(1), Statement("SELECT $1::text", ["a\x00b"])])
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert roundtrip(conn, insert(1), commit=True) == [[(1,)]]


def test_a_cut_connection_says_so_and_is_closed(conn: psycopg.Connection, admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        roundtrip(conn, insert(1), commit=True)
    assert conn.closed
    with pytest.raises(psycopg.OperationalError, match="closed"):
        roundtrip(conn, insert(1))


def test_a_connection_cut_in_the_middle_is_closed(conn: psycopg.Connection, admin_dsn: str) -> None:
    def stop() -> None:
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])

    timer = threading.Timer(0.2, stop)
    timer.start()
    with pytest.raises(psycopg.OperationalError):
        roundtrip(conn, [*insert(1), Statement("SELECT pg_sleep(30)"), *insert(2)], commit=True)
    timer.join()
    assert conn.closed


def test_who_is_called_away_leaves_no_half_read_connection(conn: psycopg.Connection) -> None:
    """As Celery's time limit does: an exception out of a signal's handler."""

    class CalledAwayError(Exception):
        pass

    def handler(*_: object) -> None:
        raise CalledAwayError

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(CalledAwayError):
            roundtrip(conn, [Statement("SELECT pg_sleep(30)"), *insert(1)], commit=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert conn.closed


def test_other_threads_go_on_while_one_waits(admin_dsn: str) -> None:
    def work(n: int) -> int:
        with psycopg.connect(admin_dsn, autocommit=True) as own:
            asked = Statement("SELECT $1::int, pg_sleep(0.2)", [n])
            return int(roundtrip(own, [asked])[0][0][0])

    ticks = 0
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(work, n) for n in range(8)]
        while not all(future.done() for future in waiting):
            ticks += 1
    assert [future.result() for future in waiting] == list(range(8))
    assert ticks > 1000
