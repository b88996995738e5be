"""Row-level security, grants and look-up functions of the tenants room."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import ProtectTable, PublicTable, RunSqlFile

ALL = "SELECT, INSERT, UPDATE, DELETE"

_DROP_FUNCTIONS = """
DROP FUNCTION tenants_api_key_find(text);
DROP FUNCTION tenants_machine_client_find(text);
DROP FUNCTION tenants_service_caller_find(text);
DROP FUNCTION tenants_merchant_facts(uuid);
DROP FUNCTION tenants_seats(uuid, uuid, uuid);
"""

_SCOPES = "app_merchant, app_reseller, app_staff, app_worker, app_auth, app_definer"
_DROP_POLICIES = f"""
ALTER TABLE tenants_membership DROP CONSTRAINT tenants_membership_same_tree;
ALTER TABLE tenants_invitation DROP CONSTRAINT tenants_invitation_same_tree;
ALTER TABLE tenants_apikey DROP CONSTRAINT tenants_apikey_same_tree;
ALTER TABLE tenants_machineclient DROP CONSTRAINT tenants_machineclient_same_tree;
ALTER TABLE tenants_servicecaller DROP CONSTRAINT tenants_servicecaller_same_tree;
REVOKE ALL ON tenants_merchant, tenants_reseller, tenants_user, tenants_merchantgrant,
    tenants_totpdevice FROM merchantry_app, {_SCOPES};
REVOKE ALL ON SEQUENCE tenants_merchantgrant_id_seq, tenants_totpdevice_id_seq FROM {_SCOPES};
REVOKE ALL ON auth_permission FROM app_definer;
DROP POLICY merchantry_app ON tenants_user;
DROP POLICY app_auth ON tenants_user;
DROP POLICY app_staff ON tenants_user;
DROP POLICY app_worker ON tenants_user;
DROP POLICY app_definer ON tenants_user;
DROP POLICY app_merchant ON tenants_user;
DROP POLICY app_reseller ON tenants_user;
DROP POLICY app_reseller ON tenants_merchantgrant;
DROP POLICY app_auth ON tenants_merchantgrant;
DROP POLICY app_staff ON tenants_merchantgrant;
DROP POLICY app_definer ON tenants_merchantgrant;
DROP POLICY merchantry_app ON tenants_totpdevice;
DROP POLICY app_auth ON tenants_totpdevice;
DROP POLICY app_staff ON tenants_totpdevice;
ALTER TABLE tenants_user DISABLE ROW LEVEL SECURITY;
ALTER TABLE tenants_merchantgrant DISABLE ROW LEVEL SECURITY;
ALTER TABLE tenants_totpdevice DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    """Everything that the second wall of tenancy needs here."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0001_initial")]

    operations: ClassVar[list[Operation]] = [
        ProtectTable(
            "tenants_platform",
            merchant_column=None,
            reseller_column=None,
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            auth="SELECT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_reseller",
            merchant_column=None,
            reseller_column="id",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            auth="SELECT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_merchant",
            merchant_column="id",
            merchant="SELECT",
            reseller="SELECT, INSERT",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT, UPDATE",
            auth="SELECT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_membership",
            merchant=ALL,
            reseller=ALL,
            staff=ALL,
            worker="SELECT",
            auth="SELECT, INSERT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_invitation",
            reseller="SELECT, INSERT, UPDATE",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            auth="SELECT, UPDATE",
        ),
        ProtectTable(
            "tenants_apikey",
            reseller="",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            definer="SELECT, UPDATE",
        ),
        ProtectTable(
            "tenants_machineclient",
            reseller="",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_servicecaller",
            merchant="",
            reseller="",
            staff="SELECT, INSERT, UPDATE",
            worker="SELECT",
            definer="SELECT",
        ),
        ProtectTable(
            "tenants_refreshtoken",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, DELETE",
            auth=ALL,
        ),
        ProtectTable(
            "tenants_recoverycode",
            merchant_column=None,
            reseller_column=None,
            staff="DELETE",
            worker="",
            auth=ALL,
        ),
        PublicTable("tenants_user_groups"),
        PublicTable("tenants_user_user_permissions"),
        RunSqlFile(__file__, "0002_policies.sql", reverse=_DROP_POLICIES),
        RunSqlFile(__file__, "0002_functions.sql", reverse=_DROP_FUNCTIONS),
    ]
