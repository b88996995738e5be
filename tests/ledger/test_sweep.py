"""Notes beside a cluster: what a crash left is settled, with the cluster as the truth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from core.db import Scope, tenant_atomic
from core.ids import new_id
from ledger import tasks
from ledger.backends.tigerbeetle import TigerBeetleLedger, _note
from ledger.models import ClusterNote


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


def test_what_the_cluster_holds_is_confirmed_and_the_rest_dropped() -> None:
    booked, lost, fresh = new_id(), new_id(), new_id()
    _note("transfer", {booked: {"corrects": "x"}, lost: {"corrects": "y"}})
    OnlyLookups(booked).sweep_notes(older_than_s=-1)
    assert notes(booked, lost) == {booked: True}
    # A writer that is still at work is left alone.
    _note("account", {fresh: {"name": "n"}})
    OnlyLookups().sweep_notes()
    assert notes(fresh) == {fresh: False}


def test_a_cluster_is_not_asked_for_nothing() -> None:
    only = new_id()
    _note("account", {only: {"name": "n"}})
    cluster = OnlyLookups(only)
    cluster.sweep_notes(older_than_s=-1)
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
