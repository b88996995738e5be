"""PostgreSQL killed with SIGKILL in the middle of batches: what was acknowledged is there.

`LEDGER_KILLS` says how often (the suite does it three times).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from ledger.backends.base import TransferSpec
from tests.ledger.own_server import (
    Server,
    a_batch,
    assert_durable_or_whole,
    connect,
    running_server,
    send,
)

KILLS = int(os.environ.get("LEDGER_KILLS", "3"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("kill")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("round_number", range(KILLS))
def test_acknowledged_is_durable_and_the_rest_is_all_or_nothing(
    server: Server, round_number: int
) -> None:
    acknowledged: list[list[TransferSpec]] = []
    unknown: list[list[TransferSpec]] = []

    def work() -> None:
        conn = connect(server)
        while True:
            batch = a_batch()
            try:
                send(conn, batch)
            except psycopg.Error:
                unknown.append(batch)
                return
            acknowledged.append(batch)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.4 + 0.17 * round_number)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()

    assert acknowledged
    with connect(server) as conn:
        assert_durable_or_whole(conn, acknowledged, unknown)
