"""Row-level security and grants of changes to tenants."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import ProtectTable


class Migration(migrations.Migration):
    """The platform's staff alone reads and writes them."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0019_tenant_change")]

    operations: ClassVar[list[Operation]] = [
        ProtectTable(
            "tenants_tenantchange",
            merchant_column=None,
            reseller_column=None,
            staff="SELECT, INSERT, UPDATE",
            worker="",
        ),
    ]
