"""Processes are kept alive, written down, found again after a crash, and stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools import processes, up
from devtools.home import ROOT, Home
from devtools.say import Stop
from devtools.supervisor import Service, Supervisor, stop_recorded

_SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]


def _wait_for(what: Callable[[], bool], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _service(name: str, command: list[str], tmp_path: Path) -> Service:
    return Service(name, command, dict(os.environ), tmp_path, stop_timeout_s=5)


def test_a_process_that_crashes_is_started_again(home: Home, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = [sys.executable, "-c", f"open({str(runs)!r}, 'a').write('x'); raise SystemExit(3)"]
    supervisor = Supervisor(home)
    try:
        supervisor.start(_service("web", command, tmp_path))
        supervisor.watch(until=lambda: runs.exists() and len(runs.read_text()) >= 3)
    finally:
        supervisor.stop_all()

    assert len(runs.read_text()) == 3


def test_a_process_that_ends_during_the_start_is_reported_with_its_log(
    home: Home, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the settings lack a key')"]
    supervisor = Supervisor(home)
    try:
        supervisor.start(_service("web", command, tmp_path)).wait()
        with pytest.raises(Stop) as stopped:
            supervisor.require_alive()
    finally:
        supervisor.stop_all()

    assert "'web' ended during the start" in str(stopped.value)
    assert "the settings lack a key" in str(stopped.value)


def test_the_data_is_stopped_after_those_who_use_it(home: Home, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    supervisor = Supervisor(home)
    for name in ("postgres", "valkey", "worker", "web"):
        program = (
            "import signal, sys, time\n"
            f"def end(*_): open({str(ended)!r}, 'a').write('{name} '); sys.exit()\n"
            "signal.signal(signal.SIGTERM, end)\n"
            f"open({str(tmp_path / name)!r}, 'w').close()\n"
            "time.sleep(300)"
        )
        supervisor.start(_service(name, [sys.executable, "-c", program], tmp_path))
    for name in ("postgres", "valkey", "worker", "web"):
        _wait_for((tmp_path / name).exists)

    supervisor.stop_all()

    assert ended.read_text().split() == ["web", "worker", "valkey", "postgres"]
    assert not home.state_file.exists()


def test_a_process_that_does_not_listen_is_ended_with_its_children(
    home: Home, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"process = subprocess.Popen({_SLEEP!r})\n"
        f"open({str(child)!r}, 'w').write(str(process.pid))\n"
        "time.sleep(300)"
    )
    service = _service("web", [sys.executable, "-c", program], tmp_path)
    service.stop_timeout_s = 0.5
    supervisor = Supervisor(home)
    process = supervisor.start(service)
    _wait_for(lambda: child.exists() and child.read_text() != "")

    supervisor.stop_all()

    assert process.poll() == -signal.SIGKILL
    _wait_for(lambda: processes.start_mark(int(child.read_text())) is None)


def test_what_a_killed_supervisor_left_is_found_and_stopped(home: Home) -> None:
    program = f"""
import os, time
from pathlib import Path
from devtools.home import Home
from devtools.supervisor import Service, Supervisor
home = Home(Path({str(home.path)!r}))
lock = home.try_lock()
supervisor = Supervisor(home)
supervisor.start(Service("web", {_SLEEP!r}, dict(os.environ), Path("/")))
time.sleep(300)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    _wait_for(lambda: "web" in home.read_state().get("services", {}))
    assert home.try_lock() is None
    recorded = home.read_state()["services"]["web"]
    parent.kill()
    parent.wait()
    assert processes.is_same(recorded["pid"], recorded["started"])

    lock = home.try_lock()
    assert lock is not None, "the kernel gives the lock back when its holder dies"
    with lock:
        assert stop_recorded(home) == ["web"]

    assert not processes.is_same(recorded["pid"], recorded["started"])
    assert not home.state_file.exists()


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(home: Home) -> None:
    stranger = subprocess.Popen(_SLEEP)
    try:
        started = processes.start_mark(stranger.pid)
        assert started is not None
        home.write_state({"services": {"web": {"pid": stranger.pid, "started": started - 1}}})

        assert stop_recorded(home) == []

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"services": [1]}', '{"services": {"a": 7}}'])
def test_a_damaged_record_stops_nothing_and_breaks_nothing(home: Home, content: str) -> None:
    home.state_file.write_text(content)

    assert stop_recorded(home) == []


def test_processes_are_recognised_by_their_mark_when_nobody_wrote_them_down(home: Home) -> None:
    ours = subprocess.Popen(_SLEEP, env={**os.environ, processes.MARK: str(home.path)})
    other = subprocess.Popen(_SLEEP, env={**os.environ, processes.MARK: "/another/checkout"})
    try:
        _wait_for(lambda: processes.stop_marked(home.path) == 1)
        assert ours.wait(timeout=30) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_a_run_begins_to_count_at_nought(home: Home) -> None:
    folder = up._fresh_metrics(home)
    (folder / "counter_1.db").write_text("of the run before")

    assert up._fresh_metrics(home) == folder
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


def test_up_says_where_the_platform_runs_and_moves_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Home, "default", lambda: home)
    home.write_state({"phase": "ready", "base_url": "http://127.0.0.1:8110"})
    with home.try_lock() or pytest.fail("the lock is free"):
        for port in (None, 8110):
            assert up.up(port=port, detach=True) == 0
        assert capsys.readouterr().out.count("already running") == 2
        with pytest.raises(Stop, match=r"at http://127\.0\.0\.1:8110 and not at"):
            up.up(port=8120, detach=True)
