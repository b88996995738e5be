"""Look-ups that tell whether an access token still counts, and what they may read."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import RunSqlFile

_REVERSE: Final = """
REVOKE ALL ON tenants_refreshtoken FROM app_staff;
DROP POLICY app_staff ON tenants_refreshtoken;
DROP FUNCTION tenants_machine_token(uuid);
DROP FUNCTION tenants_person_token(uuid, uuid, uuid, uuid, boolean);
REVOKE ALL ON tenants_totpdevice FROM app_definer;
DROP POLICY app_definer ON tenants_totpdevice;
REVOKE ALL ON tenants_refreshtoken FROM app_definer;
DROP POLICY app_definer ON tenants_refreshtoken;
"""


class Migration(migrations.Migration):
    """A person's token and a machine client's, each with one statement."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0007_protect_due_mail")]

    operations: ClassVar[list[Operation]] = [
        RunSqlFile(__file__, "0008_token_standing.sql", reverse=_REVERSE)
    ]
