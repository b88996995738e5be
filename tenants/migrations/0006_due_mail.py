"""Mails that are due."""

from django.db import migrations, models

import core.ids


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0005_rotation_grants"),
    ]

    operations = [
        migrations.CreateModel(
            name="DueMail",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "event_id",
                    models.UUIDField(help_text="The event that asked for the mail.", unique=True),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("invitation", "Invitation"),
                            ("reset", "Reset"),
                        ],
                        max_length=20,
                    ),
                ),
                ("subject_id", models.UUIDField(help_text="The invitation, or the person.")),
                ("due_at", models.DateTimeField(help_text="When it is tried next.")),
                (
                    "expires_at",
                    models.DateTimeField(help_text="After this it is of no use to its reader."),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["due_at"], name="duemail_due")],
            },
        ),
    ]
