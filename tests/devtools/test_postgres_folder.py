"""The database's folder: half-written, damaged, of another version, with a stale pid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import postgres
from devtools.home import Home
from devtools.postgres import COMPLETE, Cluster, place_for
from devtools.say import Stop


@pytest.fixture
def cluster(home: Home) -> Cluster:
    cluster = place_for(home, "secret")
    cluster.options = postgres.THROWAWAY
    return cluster


def _imitate_whole_folder(cluster: Cluster) -> None:
    """The files by which a data folder is recognised, without the cost of initdb."""
    for folder in ("global", "base/1", "base/5", "pg_wal", "pg_xact"):
        (cluster.data / folder).mkdir(parents=True)
    (cluster.data / "global" / "pg_control").write_bytes(b"control")
    (cluster.data / "PG_VERSION").write_text(f"{postgres.version().split('.')[0]}\n")
    (cluster.data / COMPLETE).write_text("made\n")


def test_a_missing_folder_is_made_and_marked_whole(cluster: Cluster) -> None:
    assert cluster.prepare()

    assert (cluster.data / COMPLETE).exists()
    assert (cluster.data / "global" / "pg_control").exists()
    assert [entry.name for entry in cluster.base.iterdir()] == ["data"]  # no password left behind


def test_a_whole_folder_is_kept(cluster: Cluster) -> None:
    _imitate_whole_folder(cluster)

    assert not cluster.prepare()

    assert (cluster.data / "global" / "pg_control").read_bytes() == b"control"


def test_a_half_written_folder_is_moved_aside_and_made_anew(cluster: Cluster) -> None:
    (cluster.data / "base").mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("18\n")
    (cluster.data / "base" / "half").write_text("written")

    assert cluster.prepare()

    assert (cluster.data / COMPLETE).exists()
    (aside,) = cluster.base.glob("data.incomplete-*")
    assert (aside / "base" / "half").read_text() == "written"


def test_what_an_interrupted_initdb_left_is_removed(cluster: Cluster) -> None:
    _imitate_whole_folder(cluster)
    leftover = cluster.base / "data.new-abc"
    leftover.mkdir()
    (leftover / "PG_VERSION").write_text("18\n")
    (cluster.base / "data.new-abc.password").write_text("secret")

    cluster.prepare()

    assert [entry.name for entry in cluster.base.iterdir()] == ["data"]


@pytest.mark.parametrize("lost", ["PG_VERSION", "global", "base/5", "base", "pg_wal", "pg_xact"])
def test_a_damaged_folder_is_left_alone(cluster: Cluster, lost: str) -> None:
    _imitate_whole_folder(cluster)
    (cluster.data / "table").write_text("rows")
    (cluster.data / lost).rename(cluster.base / "lost")

    with pytest.raises(Stop, match="is damaged") as stopped:
        cluster.prepare()

    assert "Nothing was touched" in str(stopped.value)
    assert (cluster.data / "table").read_text() == "rows"


def test_a_folder_of_another_version_is_left_alone(cluster: Cluster) -> None:
    _imitate_whole_folder(cluster)
    (cluster.data / "PG_VERSION").write_text("15\n")

    with pytest.raises(Stop, match="was made by PostgreSQL 15"):
        cluster.prepare()

    assert (cluster.data / "PG_VERSION").read_text() == "15\n"


def test_a_database_folder_that_has_gone_is_not_silently_replaced(home: Home) -> None:
    gone = home.path / "elsewhere"
    home.postgres_location.write_text(f"{gone}\n")

    with pytest.raises(Stop, match="is gone from there"):
        place_for(home, "secret")

    assert not gone.exists()
    home.postgres_location.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives way to another account")
def test_in_a_private_checkout_the_database_lies_elsewhere_and_reset_finds_it(home: Home) -> None:
    home.path.chmod(0o700)

    cluster = place_for(home, "secret")

    assert cluster.base == Path(home.postgres_location.read_text().strip())
    assert not cluster.base.is_relative_to(home.path)
    assert place_for(home, "secret").base == cluster.base
    postgres.forget_elsewhere(home)
    assert not cluster.base.exists()


def test_a_recorded_place_that_is_not_ours_is_never_deleted(home: Home, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    home.postgres_location.write_text(f"{foreign}\n")

    postgres.forget_elsewhere(home)

    assert foreign.exists()


@pytest.mark.parametrize("content", ["", "not a number\n", "4194304\n"])
def test_a_stale_pid_file_is_removed(cluster: Cluster, content: str) -> None:
    _imitate_whole_folder(cluster)
    pid_file = cluster.data / "postmaster.pid"
    pid_file.write_text(content)

    cluster.forget_stale_pid()

    assert not pid_file.exists()


def test_a_pid_that_another_program_has_by_now_is_stale(cluster: Cluster) -> None:
    _imitate_whole_folder(cluster)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (cluster.data / "postmaster.pid").write_text(f"{other.pid}\n")

        cluster.forget_stale_pid()

        assert not (cluster.data / "postmaster.pid").exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_that_really_runs_on_the_folder_is_not_disturbed(
    cluster: Cluster, tmp_path: Path
) -> None:
    _imitate_whole_folder(cluster)
    imitation = tmp_path / "postgres"  # the name by which the server is recognised
    shutil.copy("/bin/sleep", imitation)
    server = subprocess.Popen([imitation, "60"], cwd=cluster.data)
    try:
        (cluster.data / "postmaster.pid").write_text(f"{server.pid}\n")

        with pytest.raises(Stop, match=f"process {server.pid}"):
            cluster.forget_stale_pid()

        assert (cluster.data / "postmaster.pid").exists()
    finally:
        server.kill()
        server.wait()


def test_root_gives_way_to_an_ordinary_account(cluster: Cluster) -> None:
    if os.geteuid() == 0:
        assert cluster.account is not None
        assert cluster.account.uid != 0
    else:
        assert cluster.account is None
