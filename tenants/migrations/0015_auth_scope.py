"""Logging in makes no staff: what app_auth may write, and the functions that ask for a proof."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import ProtectTable, RunSqlFile

_REVERSE: Final = """
DROP FUNCTION tenants_password_renew(uuid, text, text);
DROP FUNCTION tenants_password_set(uuid, bytea[], text, uuid);
DROP FUNCTION tenants_invitation_accept(bytea[], uuid, uuid, text, text, uuid);
DROP FUNCTION tenants_invitation_find(bytea[]);
REVOKE INSERT ON tenants_user FROM app_definer;
REVOKE UPDATE (password, login_stamp) ON tenants_user FROM app_definer;
REVOKE INSERT ON tenants_membership FROM app_definer;
REVOKE SELECT ON tenants_invitation FROM app_definer;
REVOKE UPDATE (accepted_at) ON tenants_invitation FROM app_definer;
DROP POLICY app_definer ON tenants_invitation;
REVOKE UPDATE (used_at) ON tenants_signinlink FROM app_auth;
REVOKE UPDATE (used_at, revoked_at) ON tenants_refreshtoken FROM app_auth;
REVOKE UPDATE (used_at) ON tenants_recoverycode FROM app_auth;
REVOKE UPDATE (name, confirmed, secret_sealed, last_step) ON tenants_totpdevice FROM app_auth;
DROP POLICY app_auth ON tenants_totpdevice;
CREATE POLICY app_auth ON tenants_totpdevice TO app_auth USING (true);
REVOKE SELECT (id, created_at, email, level, role, platform_id, reseller_id, merchant_id,
               pepper_version, invited_by_id, expires_at, accepted_at, revoked_at)
    ON tenants_invitation FROM app_auth;
REVOKE UPDATE (last_login) ON tenants_user FROM app_auth;
GRANT UPDATE ON tenants_signinlink TO app_auth;
GRANT UPDATE, DELETE ON tenants_refreshtoken, tenants_totpdevice TO app_auth;
GRANT UPDATE ON tenants_recoverycode TO app_auth;
GRANT SELECT, UPDATE ON tenants_invitation TO app_auth;
GRANT INSERT ON tenants_membership TO app_auth;
GRANT INSERT, UPDATE ON tenants_user TO app_auth;
"""


class Migration(migrations.Migration):
    """The rules of the scope that the web process opens before it knows who is there."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0014_password_reset")]

    operations: ClassVar[list[Operation]] = [
        # Workers mail the links; what web may become neither makes one nor reads one.
        ProtectTable(
            "tenants_passwordreset",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, INSERT, DELETE",
            definer="SELECT, DELETE",
        ),
        RunSqlFile(__file__, "0015_auth_scope.sql", reverse=_REVERSE),
    ]
