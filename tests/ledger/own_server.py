"""A PostgreSQL of a test's own with the ledger in it, to be killed or starved."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import pq

from core.ids import new_id
from core.roles import ensure_roles
from devtools import postgres
from devtools.account import account_for_database
from devtools.ports import free_port
from ledger.backends import pgwire
from ledger.backends.base import TransferSpec, linked
from ledger.backends.postgres import _FORMATS, _OIDS, _SQL, _STATEMENT
from ledger.backends.wire import transfer_columns
from ledger.chart import account_id

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = 50
USD = 8400


@dataclass
class Server:
    """A PostgreSQL of the test's own, on real commits, with the ledger in it."""

    cluster: postgres.Cluster
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return self.cluster.address(self.port, "ledger_kill")

    def start(self, *, largest_file: int | None = None) -> None:
        """Start it; with `largest_file` no file of its own may grow beyond so many bytes."""
        self.cluster.forget_stale_pid()
        account = self.cluster.account
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.cluster.command(self.port),
                stdout=log,
                stderr=log,
                cwd=self.cluster.base,
                preexec_fn=functools.partial(_limit_files, largest_file) if largest_file else None,
                **(account.popen if account else {}),
            )
        postgres.wait_until_ready(self.cluster.address(self.port), self.process, self.log)

    def kill(self) -> None:
        """SIGKILL to the postmaster and everyone it started, as when the machine dies."""
        import psutil

        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        for child in family:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(family, timeout=30)
        self.process.wait()


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that the server's account reaches, whoever runs the tests.

    Not one of pytest's: every run of it anew closes the folder that all of them lie in.
    """
    with tempfile.TemporaryDirectory(prefix="ledger-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """A server of the test's own, with ten accounts `kill/0` … open."""
    with own_folder() as base, _server_in(base) as found:
        yield found


@contextlib.contextmanager
def _server_in(base: Path) -> Iterator[Server]:
    account = account_for_database(ROOT)
    if account:
        os.chown(base, account.uid, account.gid)
    cluster = postgres.Cluster(base, "kill", account)
    cluster.prepare()
    found = Server(cluster, free_port(), None, base / "log")  # type: ignore[arg-type]
    found.start()
    urls = ensure_roles(
        cluster.address(found.port),
        database="ledger_kill",
        login_password="app",
        owner_password="owner",
    )
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "ledger", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_OWNER_URL": urls.owner_url, "DATABASE_URL": urls.owner_url},
        check=True,
    )
    with psycopg.connect(found.url, autocommit=True) as conn:
        ids = [account_id(f"kill/{i}") for i in range(10)]
        conn.execute(
            "SELECT ledger_open(%s, %s, array_fill(1020, ARRAY[10]), array_fill(8400, ARRAY[10]),"
            " array_fill('USD'::text, ARRAY[10]), array_fill(false, ARRAY[10]), NULL, NULL, NULL)",
            [ids, [f"kill/{i}" for i in range(10)]],
        )
    try:
        yield found
    finally:
        found.process.send_signal(signal.SIGINT)
        found.process.wait()


def a_batch(size: int = SIZE) -> list[TransferSpec]:
    """Transfers of one linked set: all of them, or none."""
    return linked(
        [
            TransferSpec(
                id=new_id(),
                debit=account_id(f"kill/{i % 10}"),
                credit=account_id(f"kill/{(i + 3) % 10}"),
                amount_minor=1,
                code=10,
                ledger=USD,
            )
            for i in range(size)
        ]
    )


def send(conn: psycopg.Connection[Any], batch: list[TransferSpec]) -> list[int]:
    """As PostgresLedger does, on a connection to the server of the test."""
    columns = zip(pgwire.POST_OIDS, transfer_columns(batch), strict=True)
    params = [*(pgwire.encode(oid, values) for oid, values in columns), b"app_worker", None]
    answer = conn.pgconn.exec_prepared(
        _STATEMENT,
        params,  # type: ignore[arg-type]
        param_formats=_FORMATS,
        result_format=pq.Format.BINARY,
    )
    if answer.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(answer)
    value = answer.get_value(0, 0)
    assert value is not None
    return pgwire.decode_bigints(value)


def connect(server: Server) -> psycopg.Connection[Any]:
    conn = psycopg.connect(server.url, autocommit=True)
    conn.pgconn.prepare(_STATEMENT, _SQL, _OIDS)
    return conn


def booked(conn: psycopg.Connection[Any], ids: list[UUID]) -> int:
    """How many of these transfers are there."""
    row = conn.execute("SELECT count(*) FROM ledger_transfer WHERE id = ANY (%s)", [ids]).fetchone()
    assert row is not None
    return int(row[0])


def accounts_off(conn: psycopg.Connection[Any]) -> int:
    """How many accounts do not hold what their transfers say."""
    row = conn.execute(
        "SELECT count(*) FROM ledger_account a WHERE debits_posted <> (SELECT coalesce("
        " sum(amount), 0) FROM ledger_transfer WHERE debit_account_id = a.id)"
        " OR credits_posted <> (SELECT coalesce(sum(amount), 0) FROM ledger_transfer"
        " WHERE credit_account_id = a.id)"
    ).fetchone()
    assert row is not None
    return int(row[0])


def assert_durable_or_whole(
    conn: psycopg.Connection[Any],
    acknowledged: list[list[TransferSpec]],
    unknown: list[list[TransferSpec]],
) -> None:
    """Acknowledged is there; the rest is there whole or not at all, and is right when resent."""
    for batch in acknowledged:
        assert booked(conn, [spec.id for spec in batch]) == len(batch)
    for batch in unknown:
        assert booked(conn, [spec.id for spec in batch]) in (0, len(batch))
        answers = send(conn, batch)
        # Sent again it is booked now, or was booked then (46, and the set fails with it).
        assert answers in ([1] * len(batch), [-46] + [-1] * (len(batch) - 1))
        assert booked(conn, [spec.id for spec in batch]) == len(batch)
    assert accounts_off(conn) == 0
