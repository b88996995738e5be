"""Row-level security, same-tenant foreign keys, and the door of the payer's page."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable, RunSqlFile

#: (child, column, parent): the child's merchant and mode must be the parent's. Foreign-key checks
#: bypass policies, so a plain key would let a foreign tenant's row in.
_SAME_TENANT = [
    ("checkout_checkoutsession", "customer_id", "acceptance_customer"),
    ("checkout_checkoutsession", "payment_id", "acceptance_payment"),
    ("checkout_checkoutattempt", "session_id", "checkout_checkoutsession"),
    ("checkout_checkoutattempt", "payment_id", "acceptance_payment"),
]


def _same_tenant(child: str, column: str, parent: str) -> migrations.RunSQL:
    name = f"{child}_{column}_same_tenant"
    return migrations.RunSQL(
        f'ALTER TABLE {child} ADD CONSTRAINT "{name}" FOREIGN KEY (merchant_id, livemode, {column})'
        f" REFERENCES {parent} (merchant_id, livemode, id)",
        f'ALTER TABLE {child} DROP CONSTRAINT "{name}"',
    )


class Migration(migrations.Migration):
    dependencies = [("checkout", "0001_initial"), ("acceptance", "0002_protect")]

    operations = [
        ProtectTable("checkout_checkoutsession", definer="SELECT"),
        # An attempt says for ever which session its payment was made for.
        ProtectTable(
            "checkout_checkoutattempt", merchant="SELECT, INSERT", worker="SELECT, INSERT"
        ),
        *[_same_tenant(*each) for each in _SAME_TENANT],
        RunSqlFile(
            __file__,
            "0002_door.sql",
            reverse="DROP FUNCTION checkout_session_door(uuid, bytea)",
        ),
    ]
