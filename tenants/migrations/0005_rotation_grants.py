"""Let the rotation of field keys reach the sealed columns of this room."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    """The worker seals anew; of an authenticator it sees the sealed secret and whose it is."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0004_narrow_grants")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(
            """
            CREATE POLICY app_worker ON tenants_totpdevice TO app_worker USING (true);
            GRANT SELECT (user_id, secret_sealed), UPDATE (secret_sealed)
                ON tenants_totpdevice TO app_worker;
            GRANT UPDATE (secret_sealed) ON tenants_servicecaller TO app_worker;
            """,
            """
            REVOKE UPDATE (secret_sealed) ON tenants_servicecaller FROM app_worker;
            REVOKE ALL ON tenants_totpdevice FROM app_worker;
            DROP POLICY app_worker ON tenants_totpdevice;
            """,
        ),
    ]
