"""Row-level security and grants of what verifies and corrects the ledger."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable

_NO_TENANT = {"merchant_column": None, "reseller_column": None}


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_integrity")]

    operations = [
        ProtectTable("ledger_checkpointbalance", **_NO_TENANT),
        ProtectTable("ledger_checkpoint", **_NO_TENANT),
        ProtectTable("ledger_clusternote", **_NO_TENANT),
        ProtectTable("ledger_integrityrun", **_NO_TENANT, worker="SELECT, INSERT"),
        ProtectTable(
            "ledger_correctionproposal",
            **_NO_TENANT,
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
        ),
    ]
