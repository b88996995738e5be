"""What staff paste is found by an index: a person in the audit log, an event in the inbox."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0010_idempotency_resource"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="inboxmessage",
            name="inbox_once_per_event",
        ),
        migrations.RemoveIndex(
            model_name="inboxmessage",
            name="inbox_parked",
        ),
        migrations.AddIndex(
            model_name="auditrecord",
            index=models.Index(
                condition=models.Q(("actor_kind", "user")),
                fields=["actor_id", "-id"],
                name="audit_person",
            ),
        ),
        migrations.AddIndex(
            model_name="inboxmessage",
            index=models.Index(fields=["reference", "state"], name="inbox_reference"),
        ),
        migrations.AddConstraint(
            model_name="inboxmessage",
            constraint=models.UniqueConstraint(
                fields=("event_id", "provider", "account_id"), name="inbox_once_per_event"
            ),
        ),
    ]
