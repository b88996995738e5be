"""What a superuser of the database can do to the audit log without the key, and how it shows."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from structlog.testing import capture_logs

from core import crypto
from core.audit_anchor import FileAnchor, anchor_audit_heads
from core.audit_anchor_lines import AnchorBroken
from core.audit_seal import GENESIS, unkeyed_hash
from core.audit_verification import verify_audit_log
from core.db import Scope, fetch_all, tenant_atomic
from tests.core.audit_support import (
    assert_named_when_computed_again_and_anchored,
    chain_records,
    cut_to,
    head_row,
    merchant_with_sealed_records,
    seal_all,
    tamper,
    the_fault,
)
from tests.core.support import audit, worker_sql
from tests.factories import Tenants, make_tenants

OLD_KEY = "1:" + base64.b64encode(b"0" * 32).decode()
NEW_KEY = "2:" + base64.b64encode(b"1" * 32).decode()


@pytest.fixture
def anchor(tmp_path: Path, settings: LazySettings) -> Path:
    path = tmp_path / "anchor.jsonl"
    settings.AUDIT_ANCHOR = f"file:{path}"
    return path


@pytest.fixture
def tenants(anchor: Path) -> Tenants:
    """A merchant with five sealed records; where the anchor is, is the test's own."""
    return merchant_with_sealed_records()


@pytest.fixture
def keys(settings: LazySettings) -> Iterator[LazySettings]:
    yield settings
    settings.FIELD_KEYS = [OLD_KEY]
    crypto.forget_keys()


def compute_again(admin_dsn: str, tenants: Tenants, **head: Any) -> None:
    """Seal the whole chain by the public formula, as it was before there was a key."""
    previous = GENESIS
    records = chain_records(tenants)
    for record in records:
        digest = unkeyed_hash(previous, record.sequence or 0, record)
        tamper(
            admin_dsn,
            "UPDATE core_auditrecord SET previous_hash = %s, hash = %s, key_version = ''"
            " WHERE id = %s",
            previous, digest, record.id,
        )  # fmt: skip
        previous = digest
    values = {"sequence": len(records), "hash": previous, **head}
    for column, value in values.items():
        tamper(
            admin_dsn,
            f"UPDATE core_auditchain SET {column} = %s WHERE tenant_id = %s",
            value, tenants.merchant.id,
        )  # fmt: skip


def test_an_edit_is_named(tenants: Tenants, admin_dsn: str) -> None:
    victim = chain_records(tenants)[2]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", victim.id)
    fault = the_fault(tenants)
    assert (fault.sequence, fault.record_id) == (3, victim.id)
    assert fault.problem == "was changed after it was sealed"


def test_a_deletion_is_named(tenants: Tenants, admin_dsn: str) -> None:
    victim = chain_records(tenants)[2]
    tamper(admin_dsn, "DELETE FROM core_auditrecord WHERE id = %s", victim.id)
    fault = the_fault(tenants)
    assert (fault.sequence, fault.problem) == (3, "is missing: it was deleted")


def test_a_cut_that_takes_the_signed_head_of_then_along_is_named_by_the_anchor(
    tenants: Tenants, admin_dsn: str
) -> None:
    earlier = head_row(admin_dsn, tenants)
    audit(tenants, "thing.undone")
    seal_all()
    anchor_audit_heads()
    last = chain_records(tenants)[-1]
    cut_to(admin_dsn, tenants, earlier)

    fault = the_fault(tenants)

    assert fault.sequence == last.sequence
    assert "was cut off (the anchor of " in fault.problem
    assert fault.problem.endswith(f" has {last.sequence})")


def test_a_whole_chain_taken_away_is_named_by_the_anchor(tenants: Tenants, admin_dsn: str) -> None:
    anchor_audit_heads()
    length = len(chain_records(tenants))
    for table, column in (("core_auditrecord", "merchant_id"), ("core_auditchain", "tenant_id")):
        tamper(admin_dsn, f"DELETE FROM {table} WHERE {column} = %s", tenants.merchant.id)

    found = {fault.chain: fault for fault in verify_audit_log().faults}

    fault = found[tenants.merchant.id]
    assert fault.sequence == 1
    assert fault.problem.endswith(f" has {length})")


@pytest.mark.parametrize(
    ("head", "at", "problem"),
    [
        ({}, 1, "was sealed again without the key"),
        ({"keyed_from": 99}, 6, "follows a head that our key did not sign"),
        ({"keyed_from": 99, "key_version": "", "signature": None}, 6, "our key did not sign"),
    ],
)
def test_a_chain_computed_again_is_named(
    tenants: Tenants, admin_dsn: str, head: dict[str, Any], at: int, problem: str
) -> None:
    first = chain_records(tenants)[0]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", first.id)
    compute_again(admin_dsn, tenants, **head)

    fault = the_fault(tenants)

    assert fault.sequence == at
    assert problem in fault.problem


def test_a_chain_computed_again_is_named_at_its_first_record_where_it_was_anchored(
    tenants: Tenants, admin_dsn: str
) -> None:
    anchor_audit_heads()
    compute_again(admin_dsn, tenants, keyed_from=99)
    fault = the_fault(tenants)
    assert (fault.sequence, fault.record_id) == (1, chain_records(tenants)[0].id)
    assert "the chain was computed again" in fault.problem


def test_a_chain_computed_again_with_the_key_is_named_though_it_is_anchored_again(
    tenants: Tenants, admin_dsn: str
) -> None:
    assert_named_when_computed_again_and_anchored(admin_dsn, tenants)


def test_nothing_is_sealed_behind_a_head_that_is_not_ours_and_all_others_are(
    tenants: Tenants, anchor: Path, admin_dsn: str
) -> None:
    other = make_tenants(users=False)
    compute_again(admin_dsn, tenants, keyed_from=99, signature=None)
    audit(tenants, "thing.after")
    audit(other, "thing.after")
    seal_all()

    assert worker_sql(
        "SELECT merchant_id, sealed_at IS NOT NULL FROM core_auditrecord"
        " WHERE action = 'thing.after' AND merchant_id = ANY(%s) ORDER BY id",
        [[tenants.merchant.id, other.merchant.id]],
    ) == [(tenants.merchant.id, False), (other.merchant.id, True)]
    anchor_audit_heads()
    anchored = {line.head.chain for line in FileAnchor(anchor).read().anchored}
    assert other.merchant.id in anchored
    assert tenants.merchant.id not in anchored


def test_a_head_taken_away_stops_its_own_chain_alone(tenants: Tenants, admin_dsn: str) -> None:
    tamper(admin_dsn, "DELETE FROM core_auditchain WHERE tenant_id = %s", tenants.merchant.id)
    other = make_tenants(users=False)
    audit(tenants, "thing.after")
    audit(other, "thing.after")
    seal_all()

    assert "our key did not sign" in the_fault(tenants).problem
    assert verify_audit_log(chain=other.merchant.id).faults == ()


def test_records_from_before_the_key_stay_verifiable_up_to_a_signed_boundary(
    tenants: Tenants, admin_dsn: str
) -> None:
    # The chain as an earlier version left it, and the migration.
    compute_again(admin_dsn, tenants, keyed_from=1, key_version="", signature=None)
    migration = importlib.import_module("core.migrations.0014_audit_heads_signed")
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        before = admin.execute(
            "SELECT count(*) FROM core_auditchain WHERE signature IS NULL"
        ).fetchone()
    assert before is not None
    assert before[0] >= 1
    _as_admin(admin_dsn, migration)
    audit(tenants, "thing.after")
    seal_all()
    anchor_audit_heads()

    verdict = verify_audit_log(chain=tenants.merchant.id)
    assert (verdict.faults, verdict.records, verdict.unkeyed) == ((), 6, 5)

    victim = chain_records(tenants)[1]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", victim.id)
    assert the_fault(tenants).record_id == victim.id
    compute_again(admin_dsn, tenants)
    # Up to the boundary all fits by itself again; what is behind it holds it.
    assert the_fault(tenants).sequence == 6
    assert "computed again" in the_fault(tenants).problem


def _as_admin(admin_dsn: str, migration: Any) -> None:
    class Editor:
        def __init__(self, admin: psycopg.Connection[Any]) -> None:
            self.connection = admin
            self.execute = admin.execute

    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        migration.sign_heads(apps, Editor(admin))


def test_a_rotated_key_seals_what_follows_and_the_old_one_verifies_what_was(
    tenants: Tenants, keys: LazySettings
) -> None:
    keys.FIELD_KEYS = [NEW_KEY, OLD_KEY]
    crypto.forget_keys()
    audit(tenants, "thing.after")
    seal_all()
    anchor_audit_heads()

    assert [record.key_version for record in chain_records(tenants)] == [*"11111", "2"]
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()

    keys.FIELD_KEYS = [NEW_KEY]
    crypto.forget_keys()
    fault = the_fault(tenants)
    assert fault.sequence == 1
    assert "No master key local.1 is configured in FIELD_KEYS" in fault.problem


def test_the_key_is_another_one_than_the_fields_and_never_in_the_database(
    tenants: Tenants, admin_dsn: str
) -> None:
    version, key = crypto.key_provider().derive(b"merchantry audit chain")
    assert version == "1"
    assert key != b"0" * 32
    assert key != crypto.key_provider().derive(b"merchantry audit head")[1]
    with psycopg.connect(admin_dsn) as admin:
        for table in ("core_auditchain", "core_auditrecord", "core_datakey"):
            rows = admin.execute(f"SELECT t::text FROM {table} t").fetchall()
            assert not [row for (row,) in rows if key.hex() in row or (b"0" * 32).hex() in row]


def test_an_anchor_takes_each_head_once_and_is_itself_a_chain(
    tenants: Tenants, anchor: Path
) -> None:
    anchor_audit_heads()
    assert anchor_audit_heads() == 0
    audit(tenants, "thing.after")
    seal_all()
    assert anchor_audit_heads() == 1

    mine = [
        line
        for line in FileAnchor(anchor).read().anchored
        if line.head.chain == tenants.merchant.id
    ]
    assert [line.head.sequence for line in mine] == [5, 6]
    [at] = {entry[0] for entry in fetch_head(tenants)}
    assert mine[-1].head.hash == at
    assert anchor.stat().st_mode & 0o777 == 0o600


def fetch_head(tenants: Tenants) -> list[tuple[bytes]]:
    with tenant_atomic(Scope.worker()):
        rows = fetch_all(
            "SELECT hash FROM core_auditchain WHERE tenant_id = %s", [tenants.merchant.id]
        )
    return [(bytes(row[0]),) for row in rows]


@pytest.mark.parametrize("change", ["edit", "delete", "swap", "forge"])
def test_an_edited_anchor_is_named_and_not_gone_on_with(
    tenants: Tenants, anchor: Path, change: str
) -> None:
    make_tenants(users=False)
    audit(make_tenants(users=False), "thing.do")
    seal_all()
    anchor_audit_heads()
    lines = anchor.read_text().splitlines(keepends=True)
    assert len(lines) >= 2
    first = json.loads(lines[0])
    if change == "edit":
        lines[0] = json.dumps({**first, "sequence": first["sequence"] + 1}) + "\n"
    elif change == "delete":
        del lines[0]
    elif change == "swap":
        lines[:2] = lines[1::-1]
    else:
        lines.append(json.dumps({**first, "mac": "00" * 32}) + "\n")
    anchor.write_text("".join(lines))

    [fault] = verify_audit_log(chain=tenants.merchant.id).anchor_faults
    assert "of the anchor" in fault
    with pytest.raises(CommandError, match="1 bad of"):
        call_command("audit_verify", tenant=tenants.merchant.id)
    with pytest.raises(AnchorBroken):
        anchor_audit_heads()
    with pytest.raises(CommandError, match="Nothing was anchored"):
        call_command("audit_anchor")


@pytest.mark.parametrize("kept", [-1, -40, 1], ids=["its end alone", "half of it", "one byte"])
def test_a_line_whose_writing_was_cut_off_is_anchored_again(
    tenants: Tenants, anchor: Path, kept: int
) -> None:
    audit(make_tenants(users=False), "thing.do")
    seal_all()
    anchor_audit_heads()
    lines = anchor.read_bytes().splitlines(keepends=True)
    before, torn = b"".join(lines[:-1]), lines[-1][:kept]
    anchor.write_bytes(before + torn)

    held = FileAnchor(anchor).read()
    assert (held.faults, len(held.anchored)) == ([], len(lines) - 1)
    assert f"the writing of line {len(lines)} of the anchor was cut off" in held.checked[1]

    with capture_logs() as logs:
        assert anchor_audit_heads() == 1
    assert [line["event"] for line in logs] == ["audit.anchor_line_torn"]
    aside = anchor.with_name("anchor.jsonl.torn")
    assert aside.read_bytes() == torn + b"\n"
    assert anchor.read_bytes().startswith(before)
    held = FileAnchor(anchor).read()
    assert (held.faults, len(held.anchored)) == ([], len(lines))
    assert str(aside) in held.checked[1]
    assert anchor_audit_heads() == 0


def test_a_line_cut_off_hides_no_other(tenants: Tenants, anchor: Path) -> None:
    """Only the last line may have no end, and what stands before it must follow its forerunner."""
    make_tenants(users=False)
    audit(make_tenants(users=False), "thing.do")
    seal_all()
    anchor_audit_heads()
    lines = anchor.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 2
    for cut in (lines[0][:-40] + b"".join(lines[1:]), b"".join(lines[1:]) + b'{"at": "20'):
        anchor.write_bytes(cut)
        assert len(FileAnchor(anchor).read().faults) == 1
        with pytest.raises(AnchorBroken):
            anchor_audit_heads()
        assert anchor.read_bytes() == cut


def test_the_command_says_what_the_verification_rests_on(
    tenants: Tenants, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit_verify", tenant=tenants.merchant.id)
    assert "No head was ever anchored" in capsys.readouterr().out
    call_command("audit_anchor")
    call_command("audit_verify", tenant=tenants.merchant.id)
    assert "all seals match. Anchored last at 2" in capsys.readouterr().out
    assert not connection.in_atomic_block
