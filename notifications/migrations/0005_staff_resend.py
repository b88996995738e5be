"""Support may send an event again: a new delivery, and nothing else, from the staff's scope."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0004_tell_disabled")]

    operations = [
        migrations.RunSQL(
            "GRANT INSERT ON notifications_webhookdelivery TO app_staff;",
            "REVOKE INSERT ON notifications_webhookdelivery FROM app_staff;",
        ),
    ]
