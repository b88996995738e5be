"""Whether the step that is written was left to a worker."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("intents", "0005_staff_find"),
    ]

    operations = [
        migrations.AddField(
            model_name="intent",
            name="unsent",
            field=models.BooleanField(
                default=False,
                help_text="The step was not sent: the provider took no calls. A worker will.",
            ),
        ),
    ]
