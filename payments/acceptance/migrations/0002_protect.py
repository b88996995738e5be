"""Row-level security, same-tenant foreign keys and the append-only history of payments."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable

#: (child, column, parent): the child's merchant and mode must be the parent's. Foreign-key checks
#: bypass policies, so a plain key would let a foreign tenant's row in.
_SAME_TENANT = [
    ("acceptance_paymentmethod", "customer_id", "acceptance_customer"),
    ("acceptance_payment", "customer_id", "acceptance_customer"),
    ("acceptance_payment", "payment_method_id", "acceptance_paymentmethod"),
    ("acceptance_refund", "payment_id", "acceptance_payment"),
    ("acceptance_paymentevent", "payment_id", "acceptance_payment"),
]


def _same_tenant(child: str, column: str, parent: str) -> migrations.RunSQL:
    name = f"{child}_{column}_same_tenant"
    return migrations.RunSQL(
        f'ALTER TABLE {child} ADD CONSTRAINT "{name}" FOREIGN KEY (merchant_id, livemode, {column})'
        f" REFERENCES {parent} (merchant_id, livemode, id)",
        f'ALTER TABLE {child} DROP CONSTRAINT "{name}"',
    )


class Migration(migrations.Migration):
    dependencies = [("acceptance", "0001_initial"), ("core", "0002_protect")]

    operations = [
        ProtectTable("acceptance_customer"),
        ProtectTable("acceptance_paymentmethod"),
        ProtectTable("acceptance_payment"),
        ProtectTable("acceptance_refund"),
        ProtectTable("acceptance_paymentevent", merchant="SELECT, INSERT", worker="SELECT, INSERT"),
        *[_same_tenant(*each) for each in _SAME_TENANT],
    ]
