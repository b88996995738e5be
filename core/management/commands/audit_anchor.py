from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.audit_anchor import anchor_audit_heads
from core.audit_anchor_lines import AnchorBroken, AnchorUnavailable, NotStamped


class Command(BaseCommand):
    help = "Anchor the heads of the audit chains outside the database now (beat does so hourly)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            moved = anchor_audit_heads()
        except NotStamped as error:
            raise CommandError(f"{settings.AUDIT_ANCHOR}: {error}.") from None
        except (AnchorBroken, AnchorUnavailable) as error:
            raise CommandError(f"{settings.AUDIT_ANCHOR}: {error}. Nothing was anchored.") from None
        self.stdout.write(f"{moved} heads anchored in {settings.AUDIT_ANCHOR}.")
