"""PostgreSQL killed with SIGKILL in the middle of batches: what was acknowledged is there.

`LEDGER_KILLS` says how often (the suite does it three times).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from core.errors import Unavailable
from ledger.backends import postgres
from ledger.backends.base import TransferSpec
from ledger.backends.postgres import PostgresLedger
from ledger.status import TransferStatus
from tests.core.support import eventually
from tests.ledger.own_server import (
    SIZE,
    Server,
    a_batch,
    assert_durable_or_whole,
    connect,
    running_server,
    send,
)

KILLS = int(os.environ.get("LEDGER_KILLS", "3"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("round_number", range(KILLS))
def test_acknowledged_is_durable_and_the_rest_is_all_or_nothing(
    server: Server, round_number: int
) -> None:
    acknowledged: list[list[TransferSpec]] = []
    unknown: list[list[TransferSpec]] = []

    def work(size: int) -> None:
        conn = connect(server)
        while True:
            batch = a_batch(size)
            try:
                send(conn, batch)
            except psycopg.Error:
                unknown.append(batch)
                return
            acknowledged.append(batch)

    # Linked sets, and single transfers, which take another road through the ledger.
    threads = [threading.Thread(target=work, args=(size,)) for size in (SIZE, SIZE, 1, 1)]
    for thread in threads:
        thread.start()
    eventually(lambda: {len(batch) for batch in acknowledged} == {SIZE, 1}, timeout_s=30)
    time.sleep(0.1 + 0.17 * round_number)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()

    assert {len(batch) for batch in acknowledged} == {SIZE, 1}
    with connect(server) as conn:
        assert_durable_or_whole(conn, acknowledged, unknown)


@pytest.mark.slow
def test_a_ledger_goes_on_with_a_new_connection_after_a_kill(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it raised is unknown; the same with the same ids is right, in the same thread."""
    settings = conninfo_to_dict(server.url)
    default = SimpleNamespace(get_connection_params=lambda: dict(settings))
    monkeypatch.setattr(postgres, "connections", {"default": default})
    ledger = PostgresLedger()
    [before], single, batch = a_batch(1), a_batch(1), a_batch(3)
    assert [r.status for r in ledger.post([before])] == [TransferStatus.CREATED]

    server.kill()
    with pytest.raises(psycopg.Error):
        ledger.post(single)
    with pytest.raises(Unavailable):
        ledger.post(batch)
    server.start()

    assert [r.status for r in ledger.post([before])] == [TransferStatus.EXISTS]
    assert [r.status for r in ledger.post(single)] == [TransferStatus.CREATED]
    assert [r.status for r in ledger.post(batch)] == [TransferStatus.CREATED] * 3
    ledger.close()
