"""The chart of accounts as it stood when the ledger began; later lines bring their migration."""

from __future__ import annotations

from typing import Any

from django.db import migrations

_LINES = (
    # code, name, title, kind, normal side, flags (ledger.flags.AccountFlags)
    (1010, "provider_clearing", "Owed by a payment provider", "asset", "debit", 8),
    (1020, "bank", "Settlement bank account", "asset", "debit", 8),
    (1030, "merchant_receivable", "Owed by a merchant", "asset", "debit", 8),
    (1040, "fx_position", "Foreign exchange position", "asset", "debit", 8),
    (1050, "custody", "Stablecoins and crypto in custody", "asset", "debit", 8),
    (2010, "merchant_pending", "Merchant, not yet available", "liability", "credit", 8),
    (2020, "merchant_available", "Merchant, available", "liability", "credit", 8),
    (2030, "merchant_reserve", "Merchant, in reserve", "liability", "credit", 10),
    (2040, "reseller_residual", "Reseller's share of fees", "liability", "credit", 8),
    (2050, "payout_transit", "Payouts on their way", "liability", "credit", 10),
    (2060, "refunds", "Refunds on their way", "liability", "credit", 10),
    (2070, "disputes", "Held for disputes", "liability", "credit", 10),
    (2080, "wallet", "Consumer wallet", "liability", "credit", 10),
    (2090, "settlement_transit", "Settlement in transit", "liability", "credit", 264),
    (2095, "control", "Control of conditional transfers", "liability", "credit", 258),
    (3010, "opening", "Opening balances", "equity", "credit", 8),
    (4010, "platform_fee", "Platform's fees", "revenue", "credit", 8),
    (4020, "dispute_fee", "Dispute fees", "revenue", "credit", 8),
    (4030, "fx_residual", "Rounding of foreign exchange", "revenue", "credit", 8),
    (5010, "provider_fee", "Fees of payment providers", "expense", "debit", 8),
    (5020, "dispute_loss", "Losses from disputes", "expense", "debit", 8),
)


def fill(apps: Any, schema_editor: Any) -> None:
    model = apps.get_model("ledger", "AccountCode")
    model.objects.bulk_create(
        model(code=code, name=name, title=title, kind=kind, normal_side=side, flags=flags)
        for code, name, title, kind, side, flags in _LINES
    )


def empty(apps: Any, schema_editor: Any) -> None:
    apps.get_model("ledger", "AccountCode").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_functions")]

    operations = [migrations.RunPython(fill, empty)]
