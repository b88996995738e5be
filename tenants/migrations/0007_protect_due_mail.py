"""Only workers see the mails that are due."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import ProtectTable


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0006_due_mail")]

    operations: ClassVar[list[Operation]] = [
        ProtectTable(
            "tenants_duemail",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, INSERT, UPDATE, DELETE",
        ),
    ]
