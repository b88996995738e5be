"""An event is found by the object that it is about, which need not be what it is ordered by."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0007_staff_release")]

    operations = [
        migrations.AddField(
            model_name="outboxevent",
            name="object_id",
            # The database's own default: processes of the version before insert without it.
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Public id of the object it is about.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="outboxevent",
            name="aggregate",
            field=models.CharField(
                help_text="Public id of the object whose events arrive in order.", max_length=64
            ),
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(fields=["object_id", "id"], name="outbox_object"),
        ),
        # Deleting a customer blanks what its events said (Writes.forget); a merchant can change
        # nothing else of an event, and row-level security keeps it to its own.
        migrations.RunSQL(
            "GRANT UPDATE (payload) ON core_outboxevent TO app_merchant;",
            "REVOKE UPDATE (payload) ON core_outboxevent FROM app_merchant;",
        ),
    ]
