from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.audit import verify_audit_log


class Command(BaseCommand):
    help = "Recompute the audit log's hash chains; names the first bad record of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", type=UUID, help="Only the chain of this tenant (UUID).")

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify_audit_log(chain=options["tenant"])
        for fault in verdict.faults:
            self.stderr.write(str(fault))
        summary = f"{verdict.records} records in {verdict.chains} chains"
        if verdict.faults:
            raise CommandError(f"{len(verdict.faults)} bad of {summary}.")
        self.stdout.write(f"{summary}: all hashes match.")
