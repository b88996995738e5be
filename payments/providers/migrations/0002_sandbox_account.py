"""The platform's sandbox account and the rule that sends test payments to it.

Data before protection: under forced row-level security the owner of the tables sees nothing.
"""

import uuid

from django.db import migrations

# Stays the same on every installation: test mode works before anything was configured.
SANDBOX_ACCOUNT_ID = uuid.UUID("01980000-0000-7000-8000-000000005a4d")
SANDBOX_RULE_ID = uuid.UUID("01980000-0000-7000-8000-000000005a4e")


def add(apps, schema_editor):
    account, _ = apps.get_model("providers", "ProviderAccount").objects.get_or_create(
        id=SANDBOX_ACCOUNT_ID,
        defaults={"provider": "sandbox", "label": "Sandbox", "livemode": False},
    )
    apps.get_model("providers", "RoutingRule").objects.get_or_create(
        id=SANDBOX_RULE_ID,
        # Last in line: whatever else is set up for test mode comes before it.
        defaults={"account": account, "operation": "payment", "priority": 30_000},
    )


def remove(apps, schema_editor):
    apps.get_model("providers", "RoutingRule").objects.filter(id=SANDBOX_RULE_ID).delete()
    apps.get_model("providers", "ProviderAccount").objects.filter(id=SANDBOX_ACCOUNT_ID).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0001_initial")]

    operations = [migrations.RunPython(add, remove)]
