"""Counters of attempts that close for longer each time, in place of fixed windows."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0019_inbox_lanes_index")]

    operations = [
        migrations.CreateModel(
            name="AttemptThrottle",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=32)),
                (
                    "subject",
                    models.CharField(help_text="SHA-256 of whom it counts.", max_length=64),
                ),
                (
                    "level",
                    models.PositiveIntegerField(help_text="Attempts that are not forgiven yet."),
                ),
                ("counted_at", models.DateTimeField()),
                (
                    "free_at",
                    models.DateTimeField(help_text="Until then every attempt is refused."),
                ),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="throttle_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "subject"), name="throttle_once")
                ],
            },
        ),
    ]
