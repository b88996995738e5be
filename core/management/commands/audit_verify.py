from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.audit_verification import Verdict, verify_audit_log


class Command(BaseCommand):
    help = (
        "Verify the audit log's chains against key, heads and anchor; names the first bad record "
        "of each and what was done to it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", type=UUID, help="Only the chain of this tenant (UUID).")

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify_audit_log(chain=options["tenant"])
        for fault in verdict.faults:
            self.stderr.write(str(fault))
        for problem in verdict.anchor_faults:
            self.stderr.write(f"The anchor: {problem}.")
        for sentence in verdict.anchor_checked:
            self.stdout.write(f"The anchor: {sentence}")
        bad = len(verdict.faults) + len(verdict.anchor_faults)
        if bad:
            raise CommandError(f"{bad} bad of {_extent(verdict)}.")
        self.stdout.write(f"{_extent(verdict)}: all seals match. {_held(verdict)}")


def _extent(verdict: Verdict) -> str:
    return f"{verdict.records} records in {verdict.chains} chains"


def _held(verdict: Verdict) -> str:
    """What the verification rests on, in sentences."""
    if verdict.anchored_at is None:
        anchor = "No head was ever anchored, so a chain put back to an older state does not show."
    else:
        anchor = f"Anchored last at {verdict.anchored_at:%F %T} UTC."
    if verdict.unkeyed:
        anchor += f" {verdict.unkeyed} records were sealed before there was a key."
    return anchor
