"""Row-level security, grants, and the foreign keys that carry the tenant."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]

    operations = [
        ProtectTable("notifications_webhookendpoint", reseller=""),
        ProtectTable("notifications_webhookdelivery", reseller=""),
        ProtectTable("notifications_webhookattempt", merchant="SELECT", reseller=""),
        migrations.RunSQL(
            "ALTER TABLE notifications_webhookdelivery"
            " ADD CONSTRAINT delivery_endpoint_same_merchant"
            " FOREIGN KEY (merchant_id, endpoint_id)"
            " REFERENCES notifications_webhookendpoint (merchant_id, id);",
            "ALTER TABLE notifications_webhookdelivery"
            " DROP CONSTRAINT delivery_endpoint_same_merchant;",
        ),
    ]
