"""`manage.py ledger_verify`: recompute the books from the journal."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.services.integrity import verify


class Command(BaseCommand):
    help = "Recomputes every balance from the transfers and names the first account that is off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--full", action="store_true", help="from the first transfer, not the checkpoint"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        run = verify(full=options["full"], progress=self.stdout.write)
        took = (run.finished_at - run.started_at).total_seconds()
        what = f"{run.accounts:,} accounts against {run.coverage}; {took:.1f} s"
        if run.fault:
            raise CommandError(f"The books are off. {run.fault} (looked at: {what})")
        self.stdout.write(
            self.style.SUCCESS(f"The books agree with the journal. Looked at: {what}.")
        )
