"""Row-level security and grants of known places, sign-in links and changes to people."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import ProtectTable


class Migration(migrations.Migration):
    """Logging in reads and writes the first two, the platform's staff the third."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0009_access")]

    operations: ClassVar[list[Operation]] = [
        ProtectTable(
            "tenants_knownplace",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, DELETE",
            auth="SELECT, INSERT, UPDATE, DELETE",
        ),
        ProtectTable(
            "tenants_signinlink",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, DELETE",
            auth="SELECT, INSERT, UPDATE",
        ),
        ProtectTable(
            "tenants_personchange",
            merchant_column=None,
            reseller_column=None,
            staff="SELECT, INSERT, UPDATE",
            worker="",
        ),
    ]
