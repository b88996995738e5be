"""The audit log's anchor in a bucket with object lock, on a real S3 server (SeaweedFS)."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from core import audit_anchor_s3, deadline
from core.audit_anchor import anchor_audit_heads
from core.audit_anchor_lines import AnchorBroken, AnchorUnavailable, NotStamped
from core.audit_anchor_s3 import S3Anchor
from core.audit_timestamps import TimeStampAuthority
from core.audit_verification import verify_audit_log
from core.tasks import anchor_heads
from tests.core import s3_server
from tests.core.audit_support import (
    assert_named_when_computed_again_and_anchored,
    chain_records,
    compute_again_with_the_key,
    cut_to,
    head_row,
    merchant_with_sealed_records,
    seal_all,
    seal_another,
    signed_head,
    tamper,
    the_fault,
)
from tests.core.s3_server import ACCESS, BUCKET, PLAIN_BUCKET, SECRET
from tests.core.support import audit
from tests.core.time_stamper import OPENSSL, serving
from tests.factories import Tenants

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# One server for all of them.
pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def client(s3_port: int) -> S3Client:
    return s3_server.client_of(s3_port)


@pytest.fixture
def prefix(s3_port: int, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings name a prefix of this test's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{s3_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    prefix = f"audit/{uuid.uuid4()}"
    settings.AUDIT_ANCHOR = f"s3://{BUCKET}/{prefix}"
    return prefix


@pytest.fixture
def tenants(prefix: str) -> Tenants:
    return merchant_with_sealed_records()


def go_on(tenants: Tenants) -> None:
    """One more record, sealed and anchored: an object of its own."""
    seal_another(tenants)
    anchor_audit_heads()


def key_of(prefix: str, number: int) -> str:
    return f"{prefix}/{number:010}.jsonl"


def versions(client: S3Client, key: str) -> list[str]:
    """Newest first."""
    listed = client.list_object_versions(Bucket=BUCKET, Prefix=key)
    return [version["VersionId"] for version in listed.get("Versions", [])]


def faults(tenants: Tenants) -> tuple[str, ...]:
    return verify_audit_log(chain=tenants.merchant.id).anchor_faults


def test_heads_become_objects_that_nobody_can_delete(
    tenants: Tenants, prefix: str, client: S3Client, settings: LazySettings
) -> None:
    settings.AUDIT_ANCHOR_LOCK_DAYS = 30
    anchor_audit_heads()

    key = key_of(prefix, 1)
    stored = client.head_object(Bucket=BUCKET, Key=key)
    assert stored["ObjectLockMode"] == "COMPLIANCE"
    locked_for = stored["ObjectLockRetainUntilDate"] - stored["LastModified"]
    assert timedelta(days=29) < locked_for <= timedelta(days=30, minutes=1)
    [version] = versions(client, key)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=BUCKET, Key=key, VersionId=version)


def test_only_heads_that_moved_are_written_again(tenants: Tenants, prefix: str) -> None:
    anchor_audit_heads()
    assert anchor_audit_heads() == 0
    audit(tenants, "thing.after")
    seal_all()
    assert anchor_audit_heads() == 1

    anchored = S3Anchor(BUCKET, prefix, lock=timedelta(days=1)).read().anchored
    mine = [line for line in anchored if line.head.chain == tenants.merchant.id]
    assert [line.head.sequence for line in mine] == [5, 6]


def test_an_untouched_log_passes_and_the_command_says_what_was_checked(
    tenants: Tenants, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit_anchor")
    call_command("audit_verify", tenant=tenants.merchant.id)
    said = capsys.readouterr().out
    assert f"in 1 objects of s3://{BUCKET}/{prefix}/: the oldest version of each was read" in said
    assert "lock and seals were checked; the first lock ends at 20" in said
    assert "all seals match. Anchored last at 2" in said


def test_an_edit_and_a_deletion_are_named(tenants: Tenants, admin_dsn: str) -> None:
    anchor_audit_heads()
    third = chain_records(tenants)[2]
    tamper(admin_dsn, "UPDATE core_auditrecord SET actor_id = 'other' WHERE id = %s", third.id)
    assert the_fault(tenants).problem == "was changed after it was sealed"
    tamper(admin_dsn, "DELETE FROM core_auditrecord WHERE id = %s", third.id)
    assert the_fault(tenants).problem == "is missing: it was deleted"


def test_a_cut_is_named(tenants: Tenants, admin_dsn: str) -> None:
    earlier = head_row(admin_dsn, tenants)
    go_on(tenants)
    cut_to(admin_dsn, tenants, earlier)
    assert "was cut off (the anchor of " in the_fault(tenants).problem


def test_a_chain_computed_again_with_the_key_is_named_though_it_is_anchored_again(
    tenants: Tenants, admin_dsn: str
) -> None:
    assert_named_when_computed_again_and_anchored(admin_dsn, tenants)


def test_a_chain_computed_again_and_anchored_under_a_new_prefix_is_too_young(
    tenants: Tenants, admin_dsn: str, settings: LazySettings
) -> None:
    anchor_audit_heads()
    tamper(
        admin_dsn,
        "UPDATE core_auditrecord SET created_at = created_at - interval '30 hours'"
        " WHERE merchant_id = %s",
        tenants.merchant.id,
    )
    compute_again_with_the_key(admin_dsn, tenants)
    settings.AUDIT_ANCHOR = f"s3://{BUCKET}/audit/{uuid.uuid4()}"
    anchor_audit_heads()

    fault = the_fault(tenants)

    assert fault.sequence == 1
    assert "and was anchored first at 20" in fault.problem
    made_at = chain_records(tenants)[0].created_at
    # Within a day of the gap's end, at whatever hour this runs
    ended_at = made_at + timedelta(hours=12)
    settings.AUDIT_ANCHOR_GAPS = [f"{made_at - timedelta(hours=1):%F}/{ended_at:%FT%T}"]
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()


def test_an_object_under_a_delete_marker_is_read_and_named(
    tenants: Tenants, prefix: str, client: S3Client, admin_dsn: str
) -> None:
    anchor_audit_heads()
    client.delete_object(Bucket=BUCKET, Key=key_of(prefix, 1))
    assert faults(tenants) == ("object 1 has a delete marker; the oldest version was read",)
    assert verify_audit_log(chain=tenants.merchant.id).faults == ()
    tamper(
        admin_dsn,
        "UPDATE core_auditrecord SET actor_id = 'other' WHERE merchant_id = %s AND sequence = 5",
        tenants.merchant.id,
    )
    compute_again_with_the_key(admin_dsn, tenants)
    [fault] = verify_audit_log(chain=tenants.merchant.id).faults
    assert "differs from the anchor" in fault.problem


def test_a_replaced_object_is_named_and_the_first_version_counts(
    tenants: Tenants, prefix: str, client: S3Client, admin_dsn: str
) -> None:
    anchor_audit_heads()
    key = key_of(prefix, 1)
    tamper(
        admin_dsn,
        "UPDATE core_auditrecord SET actor_id = 'other' WHERE merchant_id = %s AND sequence = 5",
        tenants.merchant.id,
    )
    compute_again_with_the_key(admin_dsn, tenants)
    # What the attacker's own anchoring writes, put where ours is.
    theirs = f"audit/{uuid.uuid4()}"
    anchor = S3Anchor(BUCKET, theirs, lock=timedelta(days=1))
    anchor.append([signed_head(tenants)], at=chain_records(tenants)[0].created_at)
    body = client.get_object(Bucket=BUCKET, Key=key_of(theirs, 1))["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert len(versions(client, key)) == 2

    verdict = verify_audit_log(chain=tenants.merchant.id)

    assert verdict.anchor_faults == (
        "object 1 was replaced by a newer version; the oldest one was read",
    )
    [fault] = verdict.faults
    assert "differs from the anchor" in fault.problem


def test_a_removed_object_is_named_and_nothing_is_anchored_behind_the_hole(
    tenants: Tenants, prefix: str, client: S3Client
) -> None:
    # Locked for as long as a test waits: this is what the end of a lock permits.
    anchor = S3Anchor(BUCKET, prefix, lock=timedelta(seconds=2))
    for _ in range(2):
        anchor.append([signed_head(tenants)], at=chain_records(tenants)[0].created_at)
        audit(tenants, "thing.after")
        seal_all()
    key = key_of(prefix, 1)
    [version] = versions(client, key)
    while versions(client, key):
        # AccessDenied until the lock has ended.
        with contextlib.suppress(ClientError):
            client.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
        time.sleep(0.1)

    assert faults(tenants) == ("object 1 is missing: it was removed",)
    with pytest.raises(AnchorBroken, match="object 1 of the anchor is missing"):
        anchor_audit_heads()
    # What is left is read on from where it says that it begins.
    [left] = [line.head.sequence for line in anchor.read().anchored]
    assert left == 6


def test_an_object_put_without_a_lock_is_named(
    tenants: Tenants, prefix: str, client: S3Client
) -> None:
    anchor_audit_heads()
    theirs = f"audit/{uuid.uuid4()}"
    body = client.get_object(Bucket=BUCKET, Key=key_of(prefix, 1))["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key_of(theirs, 1), Body=body)
    holding = S3Anchor(BUCKET, theirs, lock=timedelta(days=1)).read()
    assert holding.faults == ["object 1 is not locked in COMPLIANCE mode"]


@pytest.mark.parametrize("change", ["edit", "renumber", "swap"])
def test_an_anchor_that_was_edited_is_named(
    tenants: Tenants, prefix: str, client: S3Client, change: str
) -> None:
    """Here in a bucket where the attacker is the first to write."""
    anchor_audit_heads()
    go_on(tenants)
    theirs = f"audit/{uuid.uuid4()}"
    bodies = [
        client.get_object(Bucket=BUCKET, Key=key_of(prefix, number))["Body"].read().decode()
        for number in (1, 2)
    ]
    if change == "edit":
        bodies[1] = bodies[1].replace('"sequence": 6', '"sequence": 7')
    elif change == "swap":
        bodies.reverse()
    else:
        bodies = [bodies[1].replace('"object": 2', '"object": 1')]
    for number, body in enumerate(bodies, start=1):
        client.put_object(
            Bucket=BUCKET, Key=key_of(theirs, number), Body=body.encode(),
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=client.head_object(
                Bucket=BUCKET, Key=key_of(prefix, 1)
            )["ObjectLockRetainUntilDate"],
        )  # fmt: skip

    found = S3Anchor(BUCKET, theirs, lock=timedelta(days=1)).read().faults

    assert (
        list(found)
        == {
            "edit": ["line 2 of object 2 of the anchor, or the one before it, was changed"],
            "renumber": ["object 1 of the anchor does not follow the one before it"],
            "swap": [
                "object 1 of the anchor cannot be read: it says that it is object 2",
                "object 2 of the anchor cannot be read: it says that it is object 1",
            ],
        }[change]
    )


def test_an_anchoring_reads_back_to_the_last_object_that_repeats_all_heads(
    tenants: Tenants, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_anchor_s3, "REPEAT_EVERY", 2)
    other = merchant_with_sealed_records()
    anchor = S3Anchor(BUCKET, prefix, lock=timedelta(days=1))
    at = chain_records(tenants)[0].created_at
    moved = []
    for _ in range(4):
        moved.append(anchor.append([signed_head(tenants), signed_head(other)], at=at))
        audit(tenants, "thing.after")
        seal_all()

    assert moved == [2, 1, 2, 1]
    assert faults(tenants) == ()
    read: list[int] = []
    lines = S3Anchor._lines

    def counted(self: S3Anchor, number: int, found: Any) -> Any:
        read.append(number)
        return lines(self, number, found)

    monkeypatch.setattr(S3Anchor, "_lines", counted)
    assert anchor.append([signed_head(other)], at=at) == 0
    assert read == [3, 4]


def test_two_that_anchor_at_once_take_numbers_of_their_own(
    tenants: Tenants, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = S3Anchor(BUCKET, prefix, lock=timedelta(days=1))
    at = chain_records(tenants)[0].created_at
    other = merchant_with_sealed_records()
    put, others = S3Anchor._put, [True]

    def overtaken(self: S3Anchor, number: int, begins: bytes, texts: list[str]) -> None:
        if others and others.pop():
            S3Anchor(BUCKET, prefix, lock=timedelta(days=1)).append([signed_head(other)], at=at)
        put(self, number, begins, texts)

    monkeypatch.setattr(S3Anchor, "_put", overtaken)
    assert anchor.append([signed_head(tenants)], at=at) == 1

    held = anchor.read()
    assert held.faults == []
    assert [line.head.chain for line in held.anchored] == [other.merchant.id, tenants.merchant.id]


@pytest.mark.skipif(OPENSSL is None, reason="NO TIME STAMP IS TESTED: there is no openssl")
def test_where_stamps_are_expected_too_the_bucket_alone_attests_nothing(
    tenants: Tenants, prefix: str, tmp_path: Path
) -> None:
    at = chain_records(tenants)[0].created_at
    with serving(tmp_path) as tsa:
        stamps = TimeStampAuthority(tsa.url, tsa.roots)
        anchor = S3Anchor(BUCKET, prefix, lock=timedelta(days=1), stamps=stamps)
        tsa.behaviour = "refuse"
        with pytest.raises(NotStamped):
            anchor.append([signed_head(tenants)], at=at)
        [line] = anchor.read().anchored
        assert line.attested_at is None

        tsa.behaviour = "stamp"
        assert anchor.append([signed_head(tenants)], at=at) == 0

        held = anchor.read()
        assert [line.attested_at is not None for line in held.anchored] == [True]
        assert held.faults == []
        assert held.checked[1].endswith("they cover 1 of 1 heads.")


def test_a_bucket_without_object_lock_is_refused(
    tenants: Tenants, settings: LazySettings, client: S3Client
) -> None:
    settings.AUDIT_ANCHOR = f"s3://{PLAIN_BUCKET}/audit"
    with pytest.raises(AnchorUnavailable, match="the bucket plain has no object lock"):
        anchor_audit_heads()
    with pytest.raises(CommandError, match="Nothing was anchored"):
        call_command("audit_anchor")
    assert client.list_objects_v2(Bucket=PLAIN_BUCKET, Prefix="audit")["KeyCount"] == 0


def test_a_server_that_is_away_fails_the_task_and_the_log_goes_on(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    anchor_audit_heads()
    [gone] = s3_server.free_ports(1)
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{gone}")
        with pytest.raises(AnchorUnavailable, match="Could not connect"):
            anchor_heads()
        audit(tenants, "thing.after")
        seal_all()
        assert chain_records(tenants)[-1].sequence == 6
        [fault] = faults(tenants)
        assert "Could not connect" in fault
    anchor_heads()
    assert faults(tenants) == ()


def test_a_client_has_its_limits_or_what_is_left_of_the_deadline(prefix: str) -> None:
    def limits() -> tuple[float, float]:
        # botocore sets its attributes by name, which its types do not know.
        config: Any = S3Anchor(BUCKET, prefix, lock=timedelta(days=1))._client.meta.config
        return config.connect_timeout, config.read_timeout

    assert limits() == (5.0, 10.0)
    with deadline.within(2):
        assert max(limits()) <= 2


def test_a_server_that_hangs_is_given_up(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_anchor_s3, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(AnchorUnavailable, match="Read timeout"):
            anchor_audit_heads()
