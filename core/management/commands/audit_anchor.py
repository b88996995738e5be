from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.audit_anchor import AnchorBroken, anchor_audit_heads


class Command(BaseCommand):
    help = "Anchor the heads of the audit chains outside the database now (beat does so hourly)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            moved = anchor_audit_heads()
        except AnchorBroken as error:
            raise CommandError(f"{settings.AUDIT_ANCHOR}: {error}. Nothing was anchored.") from None
        self.stdout.write(f"{moved} heads anchored in {settings.AUDIT_ANCHOR}.")
