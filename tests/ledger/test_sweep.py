"""Notes beside a cluster: what a crash left is settled, with the cluster as the truth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.db import Scope, tenant_atomic
from core.ids import new_id
from ledger import tasks
from ledger.backends import tigerbeetle
from ledger.backends.tigerbeetle import TigerBeetleLedger, _note
from ledger.models import ClusterNote

#: A sweep looks at all notes.
pytestmark = pytest.mark.usefixtures("own_database")


class OnlyLookups(TigerBeetleLedger):
    """A cluster that holds these ids; no server is needed to be asked for them."""

    def __init__(self, *held: UUID) -> None:
        self.held = held
        self.asked: list[int] = []

    def accounts(self, ids: Sequence[UUID]) -> Any:
        self.asked.append(len(ids))
        return [SimpleNamespace(id=i) for i in ids if i in self.held]

    transfers = accounts


def notes(*ids: UUID) -> dict[UUID, bool]:
    """The notes that are there, and whether they are confirmed."""
    with tenant_atomic(Scope.worker()):
        rows = ClusterNote.objects.filter(id__in=ids)
        return {row.id: row.confirmed_at is not None for row in rows}


def aged(admin_dsn: str, note: UUID, by: timedelta) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute(
            "UPDATE ledger_clusternote SET noted_at = noted_at - %s WHERE id = %s", [by, note]
        )


def test_what_the_cluster_holds_is_confirmed_and_the_rest_kept_for_a_week(admin_dsn: str) -> None:
    booked, late, fresh = new_id(), new_id(), new_id()
    _note("transfer", {booked: {"corrects": "x"}, late: {"corrects": "y"}})
    OnlyLookups(booked).sweep_notes(older_than_s=-1)
    assert notes(booked, late) == {booked: True, late: False}
    # A request that timed out may be booked hours later.
    aged(admin_dsn, late, timedelta(days=6))
    OnlyLookups().sweep_notes()
    assert notes(late) == {late: False}
    OnlyLookups(late).sweep_notes()
    assert notes(late) == {late: True}
    # A writer that is still at work is left alone.
    _note("account", {fresh: {"name": "n"}})
    OnlyLookups().sweep_notes()
    assert notes(fresh) == {fresh: False}
    aged(admin_dsn, fresh, timedelta(days=8))
    OnlyLookups().sweep_notes()
    assert notes(fresh) == {}


def test_notes_that_are_missed_again_and_again_do_not_stand_before_others(
    admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed, later = [new_id() for _ in range(3)], new_id()
    _note("transfer", {i: {"corrects": "x"} for i in missed})
    for one in missed:
        aged(admin_dsn, one, timedelta(days=2))
    monkeypatch.setattr(tigerbeetle, "_ASK_FOR", 3)
    OnlyLookups().sweep_notes(older_than_s=-1)
    _note("transfer", {later: {"corrects": "x"}})
    OnlyLookups(later).sweep_notes(older_than_s=-1)
    assert notes(later) == {later: True}


def test_a_note_is_written_anew_until_it_is_confirmed() -> None:
    one = new_id()
    _note("transfer", {one: {"corrects": "x"}})
    _note("transfer", {one: {"corrects": "y"}})
    OnlyLookups(one).sweep_notes(older_than_s=-1)
    _note("transfer", {one: {"corrects": "z"}})
    with tenant_atomic(Scope.worker()):
        assert ClusterNote.objects.get(id=one).body == {"corrects": "y"}


def test_a_cluster_is_not_asked_for_nothing() -> None:
    only = new_id()
    _note("account", {only: {"name": "n"}})
    OnlyLookups(only).sweep_notes(older_than_s=-1)
    assert notes(only) == {only: True}
    again = OnlyLookups()
    again.sweep_notes(older_than_s=-1)
    assert again.asked == []


def test_the_task_sweeps_a_cluster_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[bool] = []
    cluster = OnlyLookups()
    monkeypatch.setattr(cluster, "sweep_notes", lambda: swept.append(True))
    monkeypatch.setattr(tasks, "get_ledger", lambda: object())
    tasks.sweep_notes()
    assert swept == []
    monkeypatch.setattr(tasks, "get_ledger", lambda: cluster)
    tasks.sweep_notes()
    assert swept == [True]


@pytest.mark.parametrize(("backend", "scheduled"), [("postgres", "False"), ("tigerbeetle", "True")])
def test_it_is_scheduled_with_a_cluster_alone(backend: str, scheduled: str) -> None:
    code = (
        "from config.settings.base import CELERY_BEAT_SCHEDULE as s;"
        "print('ledger.sweep_notes' in s)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LEDGER_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == scheduled


@pytest.mark.parametrize(
    ("words", "starts", "said"),
    [
        ({}, True, ""),
        ({"LEDGER_BACKEND": "tigerbeetle"}, False, "does not move the platform's bookings"),
        ({"LEDGER_BACKEND": "tigerbeetle", "LEDGER_CLUSTER_BESIDE": "1"}, True, ""),
        ({"LEDGER_BACKEND": "mongodb"}, False, "must be postgres or tigerbeetle"),
    ],
)
def test_nothing_starts_that_would_seem_to_book_on_a_cluster(
    words: dict[str, str], starts: bool, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.web"],
        env={**os.environ, **words},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0, said in done.stderr) == (starts, True)
