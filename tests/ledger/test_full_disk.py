"""No space left in the middle of batches: nothing acknowledged is lost, nothing is there by half.

Twice: the data files cannot grow (a limit on file sizes, which any user may set), and the whole
disk is full, the log's included (a small file system of the test's own, where root may mount one).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.backends.base import TransferSpec
from tests.ledger.own_server import (
    Server,
    a_batch,
    assert_durable_or_whole,
    booked,
    connect,
    own_folder,
    running_server,
    send,
)

BATCH = 1_000
#: A segment of the write-ahead log has 16 MiB, so no limit can be smaller; 16 MiB of transfers
#: are about 70,000.
FILE_BYTES = 16 * 2**20
DISK_BYTES = 400 * 2**20
LEFT_BYTES = 24 * 2**20


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


def fill(server: Server) -> tuple[list[list[TransferSpec]], list[list[TransferSpec]]]:
    """Send batches from two connections until each has been refused: (acknowledged, refused)."""
    acknowledged: list[list[TransferSpec]] = []
    refused: list[list[TransferSpec]] = []
    deadline = time.monotonic() + 90

    def work() -> None:
        with connect(server) as conn:
            while time.monotonic() < deadline:
                batch = a_batch(BATCH)
                try:
                    answers = send(conn, batch)
                except psycopg.Error:
                    refused.append(batch)
                    return
                assert answers == [1] * BATCH
                acknowledged.append(batch)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return acknowledged, refused


@pytest.mark.slow
def test_files_that_cannot_grow_refuse_whole_batches(server: Server) -> None:
    server.kill()
    server.start(largest_file=FILE_BYTES)
    acknowledged, refused = fill(server)

    assert acknowledged
    assert len(refused) == 2
    with connect(server) as conn:
        # The server lives and reads; the refused are not there at all, and stay refused.
        for batch in refused:
            assert booked(conn, [spec.id for spec in batch]) == 0
            with pytest.raises(psycopg.Error, match=r"File too large|No space"):
                send(conn, batch)
            assert booked(conn, [spec.id for spec in batch]) == 0
    server.kill()
    server.start()
    with connect(server) as conn:
        assert_durable_or_whole(conn, acknowledged, refused)


def mount(folder: Path) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs", str(folder)]
    return (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with own_folder() as above:
        folder = above / "disk"
        if not mount(folder):
            pytest.skip("A SMALL DISK WAS NOT TRIED: this user may not mount one.")
        yield folder
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_acknowledged(server: Server, small_disk: Path) -> None:
    server.kill()
    data = server.cluster.data
    subprocess.run(["cp", "-a", str(data), str(small_disk / "data")], check=True)
    shutil.rmtree(data)
    data.symlink_to(small_disk / "data")
    server.start()
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(free - LEFT_BYTES))

    acknowledged, refused = fill(server)
    assert acknowledged
    assert len(refused) == 2
    assert shutil.disk_usage(small_disk).free < LEFT_BYTES // 2

    ballast.unlink()
    # Out of space for its log the server gives up and may not come up by itself.
    server.kill()
    server.start()
    with connect(server) as conn:
        assert_durable_or_whole(conn, acknowledged, refused)
