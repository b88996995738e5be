from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0015_auth_scope"),
    ]

    operations = [
        # With a default, or going back would fail on the links that there are.
        migrations.AlterField(
            model_name="signinlink",
            name="device_digest",
            field=models.BinaryField(
                default=b"", help_text="The browser that asked.", max_length=32
            ),
        ),
        migrations.RemoveField(model_name="signinlink", name="device_digest"),
    ]
