"""The ledger: what is owed to whom, in double entry."""

from __future__ import annotations

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from core.metrics import register_gauge
        from ledger.backends import require_honest_backend
        from ledger.services.integrity import off_gauge

        require_honest_backend()
        register_gauge(
            "merchantry_ledger_books_off",
            "1 while the newest verification of the books found a fault.",
            off_gauge,
        )
