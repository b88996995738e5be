"""Row-level security and grants of the kernel's tables."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        # Append-only by grant; the worker's UPDATE serves the sealer and a trigger binds it.
        ProtectTable(
            "core_auditrecord",
            merchant="SELECT, INSERT",
            reseller="SELECT, INSERT",
            staff="SELECT, INSERT",
            worker="SELECT, INSERT, UPDATE",
            auth="INSERT",
        ),
        ProtectTable(
            "core_outboxevent",
            merchant="SELECT, INSERT",
            reseller="SELECT, INSERT",
            staff="SELECT, INSERT",
            auth="INSERT",
        ),
        ProtectTable(
            "core_inboxmessage",
            merchant_column=None,
            reseller_column=None,
            worker="SELECT, INSERT, UPDATE, DELETE",
        ),
        ProtectTable(
            "core_idempotencyrecord",
            reseller="SELECT, INSERT, UPDATE",
            staff="SELECT, INSERT, UPDATE",
            auth="",
        ),
        ProtectTable(
            "core_usednonce",
            merchant_column=None,
            reseller_column=None,
            auth="SELECT, INSERT",
            staff="",
        ),
        ProtectTable("core_requestlog", merchant="SELECT, INSERT", reseller="SELECT, INSERT"),
    ]
