from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.rotation import MAX_AGE, rotate


class Command(BaseCommand):
    help = (
        "Rotate the keys of encrypted fields: wrap data keys with the newest entry of FIELD_KEYS, "
        "begin new data keys where they are old, and seal the fields again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than-days",
            type=int,
            default=MAX_AGE.days,
            help="Begin new data keys for tenants whose key is older (0: for all).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate(older_than=timedelta(days=options["older_than_days"]))
        self.stdout.write(
            f"{done.rewrapped} data keys wrapped again, {done.new_keys} begun, "
            f"{done.resealed} fields sealed again."
        )
