"""Time stamps of the audit log's anchor, by a real time-stamping authority (openssl)."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from core.audit_anchor import FileAnchor, anchor_audit_heads, audit_anchor
from core.audit_anchor_lines import AnchorUnavailable, NotStamped, StampRefused
from core.audit_timestamps import TRIES, TimeStampAuthority
from core.audit_verification import verify_audit_log
from core.checks import audit_anchor_named
from core.tasks import anchor_heads
from tests.core.audit_support import (
    chain_records,
    compute_again_with_the_key,
    cut_to,
    head_row,
    merchant_with_sealed_records,
    seal_another,
    signed_head,
    tamper,
    the_fault,
)
from tests.core.support import eventually
from tests.core.time_stamper import OPENSSL, Authority, serving
from tests.factories import Tenants

pytestmark = pytest.mark.skipif(
    OPENSSL is None, reason="NO TIME STAMP IS TESTED: there is no openssl on this machine"
)


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[Authority]:
    with serving(tmp_path / "tsa") as authority:
        yield authority


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Authority]:
    """An authority that nobody trusts."""
    with serving(tmp_path / "stranger") as authority:
        yield authority


@pytest.fixture
def anchor(tmp_path: Path, tsa: Authority, settings: LazySettings) -> Path:
    path = tmp_path / "anchor.jsonl"
    settings.AUDIT_ANCHOR = f"file:{path}"
    settings.AUDIT_TIMESTAMPS = tsa.url
    settings.AUDIT_TIMESTAMP_ROOTS = str(tsa.roots)
    return path


@pytest.fixture
def tenants(anchor: Path) -> Tenants:
    return merchant_with_sealed_records()


def a_day_and_a_half_ago(admin_dsn: str, tenants: Tenants) -> None:
    """The records claim to be older; sealed and signed as with the key."""
    tamper(
        admin_dsn,
        "UPDATE core_auditrecord SET created_at = created_at - interval '36 hours'"
        " WHERE merchant_id = %s",
        tenants.merchant.id,
    )
    compute_again_with_the_key(admin_dsn, tenants)


def stamps_in(anchor: Path) -> list[bytes]:
    lines = [json.loads(line) for line in anchor.read_text().splitlines()]
    return [base64.b64decode(line["time_stamp"]) for line in lines if "time_stamp" in line]


def faults(tenants: Tenants) -> tuple[str, ...]:
    return verify_audit_log(chain=tenants.merchant.id).anchor_faults


def test_heads_are_followed_by_one_time_stamp_that_openssl_verifies_too(
    tenants: Tenants, anchor: Path, tsa: Authority, tmp_path: Path
) -> None:
    anchor_audit_heads()

    [stamp] = stamps_in(anchor)
    *_, head, _ = anchor.read_text().splitlines()
    (tmp_path / "stamp.tsr").write_bytes(stamp)
    (tmp_path / "line.txt").write_text(head)
    done = subprocess.run(
        [
            str(OPENSSL), "ts", "-verify", "-in", "stamp.tsr", "-data", "line.txt",
            "-CAfile", str(tsa.roots),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert "Verification: OK" in done.stdout + done.stderr
    assert anchor_audit_heads() == 0
    assert tsa.queries == 1


def test_a_stamp_attests_when_every_head_before_it_was_there(
    tenants: Tenants, anchor: Path, tsa: Authority
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    anchor_audit_heads()
    holding = audit_anchor().read()
    times = {line.attested_at for line in holding.anchored}
    [at] = times
    assert at is not None
    assert before <= at <= datetime.now(UTC)
    assert holding.attests


def test_the_command_says_what_was_checked(
    tenants: Tenants, anchor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit_anchor")
    call_command("audit_verify", tenant=tenants.merchant.id)
    said = capsys.readouterr().out
    count = len(audit_anchor().read().anchored)
    assert f"The anchor: {count} heads in the file {anchor}: the seal of each was checked." in said
    assert (
        "The anchor: 1 time stamps checked against the trusted certificates; they cover"
        f" {count} of {count} heads."
    ) in said


def test_an_edit_a_deletion_and_a_cut_are_named(tenants: Tenants, admin_dsn: str) -> None:
    earlier = head_row(admin_dsn, tenants)
    seal_another(tenants)
    anchor_audit_heads()
    third = chain_records(tenants)[2]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", third.id)
    assert the_fault(tenants).problem == "was changed after it was sealed"
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'key_test' WHERE id = %s", third.id)
    cut_to(admin_dsn, tenants, earlier)
    assert "was cut off (the anchor of " in the_fault(tenants).problem
    tamper(admin_dsn, "DELETE FROM core_auditrecord WHERE id = %s", third.id)
    assert the_fault(tenants).problem == "is missing: it was deleted"


def test_a_log_and_an_anchor_computed_again_with_the_key_are_too_young(
    tenants: Tenants, anchor: Path, admin_dsn: str
) -> None:
    anchor_audit_heads()
    a_day_and_a_half_ago(admin_dsn, tenants)
    anchor.unlink()
    anchor_audit_heads()

    fault = the_fault(tenants)

    assert fault.sequence == 1
    assert "and was anchored first at 2" in fault.problem
    assert faults(tenants) == ()


def test_an_anchor_computed_again_without_stamps_attests_nothing(
    tenants: Tenants, anchor: Path, admin_dsn: str, tsa: Authority
) -> None:
    a_day_and_a_half_ago(admin_dsn, tenants)
    FileAnchor(anchor).append([signed_head(tenants)], at=datetime.now(UTC) - timedelta(hours=36))
    fault = the_fault(tenants)
    assert fault.sequence == 1
    assert "and nothing attests that it was anchored" in fault.problem


def test_the_stamp_of_another_anchor_is_refused(
    tenants: Tenants, anchor: Path, admin_dsn: str
) -> None:
    anchor_audit_heads()
    *_, old_stamp = anchor.read_text().splitlines(keepends=True)
    a_day_and_a_half_ago(admin_dsn, tenants)
    anchor.unlink()
    FileAnchor(anchor).append([signed_head(tenants)], at=datetime.now(UTC) - timedelta(hours=36))
    with anchor.open("a") as file:
        file.write(old_stamp)

    [fault] = faults(tenants)

    assert fault.endswith("is not to be trusted: Mismatch between messages")


def test_a_removed_anchor_tail_shows_once_its_records_are_a_day_old(
    tenants: Tenants, anchor: Path
) -> None:
    anchor_audit_heads()
    kept = anchor.read_text()
    seal_another(tenants)
    anchor_audit_heads()
    anchor.write_text(kept)
    last = chain_records(tenants)[-1]

    def found(after: timedelta) -> list[tuple[int, str]]:
        verdict = verify_audit_log(chain=tenants.merchant.id, now=last.created_at + after)
        return [(fault.sequence, fault.problem[-21:]) for fault in verdict.faults]

    assert found(timedelta(hours=24)) == []
    assert found(timedelta(hours=25)) == [(6, "time (AUDIT_ANCHOR_GAPS)"[-21:])]


def test_a_time_in_which_nothing_was_anchored_is_named_in_the_settings(
    tenants: Tenants, admin_dsn: str, settings: LazySettings
) -> None:
    a_day_and_a_half_ago(admin_dsn, tenants)
    anchor_audit_heads()
    made_at = chain_records(tenants)[0].created_at
    assert the_fault(tenants).sequence == 1
    start, end = made_at - timedelta(minutes=5), made_at + timedelta(hours=10)
    settings.AUDIT_ANCHOR_GAPS = ["2020-01-01/2020-02-01T00:00", f"{start:%FT%T}/{end:%FT%T}"]
    # Within a day after the gap has ended it must be anchored all the same.
    assert the_fault(tenants).sequence == 1
    settings.AUDIT_ANCHOR_GAPS = [f"{start:%FT%T}/{made_at + timedelta(hours=20):%FT%T+00:00}"]
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()
    settings.AUDIT_ANCHOR_GAPS = ["yesterday"]
    [fault] = faults(tenants)
    assert "not yesterday" in fault


def test_an_authority_that_is_not_trusted_is_refused(
    tenants: Tenants, anchor: Path, stranger: Authority, settings: LazySettings
) -> None:
    settings.AUDIT_TIMESTAMPS = stranger.url
    with pytest.raises(NotStamped, match="a stamp that is not to be trusted"):
        anchor_audit_heads()
    assert stamps_in(anchor) == []


def test_a_stamp_of_an_authority_that_is_not_trusted_is_named(
    tenants: Tenants, anchor: Path, stranger: Authority
) -> None:
    theirs = FileAnchor(anchor, stamps=TimeStampAuthority(stranger.url, stranger.roots))
    theirs.append([signed_head(tenants)], at=datetime.now(UTC))
    number = len(anchor.read_text().splitlines())

    [fault] = faults(tenants)

    assert fault.startswith(f"the time stamp in line {number} of the anchor: is not to be trusted")
    with pytest.raises(CommandError, match="1 bad of"):
        call_command("audit_verify", tenant=tenants.merchant.id)


def test_an_old_answer_played_again_is_refused(
    tenants: Tenants, anchor: Path, tsa: Authority
) -> None:
    tsa.behaviour = "replay"
    anchor_audit_heads()
    seal_another(tenants)
    with pytest.raises(NotStamped, match="Nonce mismatch"):
        anchor_audit_heads()
    assert len(stamps_in(anchor)) == 1


@pytest.mark.parametrize("change", [b"nonsense", b""])
def test_what_is_no_stamp_is_refused(tsa: Authority, change: bytes) -> None:
    with pytest.raises(StampRefused, match="cannot be read"):
        TimeStampAuthority(tsa.url, tsa.roots).checked(change, b"text")


@pytest.mark.parametrize("behaviour", ["hang", "drip", "refuse"])
def test_an_authority_that_does_not_answer_is_given_up_and_asked_again_next_time(
    tenants: Tenants, anchor: Path, tsa: Authority, behaviour: str
) -> None:
    tsa.behaviour = behaviour
    heads = [signed_head(tenants)]
    impatient = FileAnchor(anchor, stamps=TimeStampAuthority(tsa.url, tsa.roots, timeout_s=0.2))
    with pytest.raises(NotStamped, match="anchored without a time stamp"):
        impatient.append(heads, at=datetime.now(UTC))
    assert len(anchor.read_text().splitlines()) == 1
    # It may hear of a request only after we gave it up.
    eventually(lambda: tsa.queries == TRIES)

    tsa.behaviour = "stamp"
    patient = FileAnchor(anchor, stamps=TimeStampAuthority(tsa.url, tsa.roots))
    assert patient.append(heads, at=datetime.now(UTC)) == 0

    assert len(stamps_in(anchor)) == 1
    assert all(line.attested_at for line in audit_anchor().read().anchored)


def test_the_task_fails_without_its_stamp_and_the_log_goes_on(
    tenants: Tenants, anchor: Path, tsa: Authority
) -> None:
    tsa.behaviour = "refuse"
    with pytest.raises(NotStamped, match="503"):
        anchor_heads()
    with pytest.raises(CommandError, match="anchored without a time stamp"):
        call_command("audit_anchor")
    seal_another(tenants)
    assert chain_records(tenants)[-1].sequence == 6
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()


def test_stamps_that_nobody_checks_are_counted(
    tenants: Tenants, anchor: Path, settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    anchor_audit_heads()
    settings.AUDIT_TIMESTAMPS = settings.AUDIT_TIMESTAMP_ROOTS = ""
    call_command("audit_verify", tenant=tenants.merchant.id)
    assert "1 time stamps were not checked" in capsys.readouterr().out


def test_a_verifier_needs_the_roots_alone(
    tenants: Tenants, anchor: Path, settings: LazySettings
) -> None:
    anchor_audit_heads()
    settings.AUDIT_TIMESTAMPS = ""
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()
    seal_another(tenants)
    with pytest.raises(AnchorUnavailable, match="names no authority"):
        anchor_audit_heads()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AUDIT_ANCHOR", "file:", "AUDIT_ANCHOR is file:"),
        ("AUDIT_ANCHOR", "s3:///prefix", "AUDIT_ANCHOR is file:"),
        ("AUDIT_TIMESTAMPS", "ftp://tsa.example", "AUDIT_TIMESTAMPS is the https://"),
        ("AUDIT_TIMESTAMP_ROOTS", "", "needs AUDIT_TIMESTAMP_ROOTS"),
        ("AUDIT_TIMESTAMP_ROOTS", "/nowhere.pem", "It is a PEM file"),
    ],
)
def test_settings_that_name_no_anchor_are_refused_at_the_start(
    anchor: Path, settings: LazySettings, name: str, value: str, said: str
) -> None:
    assert audit_anchor_named(None) == []
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=said):
        audit_anchor()
    [error] = audit_anchor_named(None)
    assert said in error.msg
