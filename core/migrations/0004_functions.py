"""The audit log's guards, the functions for data keys, and grants of the new tables."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable, RunSqlFile


class Migration(migrations.Migration):
    dependencies = [("core", "0003_audit_chain_keys_attempts")]

    operations = [
        RunSqlFile(
            __file__,
            "0004_functions.sql",
            reverse="""
            DROP TRIGGER audit_guard ON core_auditrecord;
            DROP TRIGGER audit_no_truncate ON core_auditrecord;
            DROP TRIGGER audit_unsealed_at_first ON core_auditrecord;
            DROP FUNCTION core_audit_guard();
            DROP FUNCTION core_audit_unsealed();
            DROP INDEX audit_chain_place;
            DROP FUNCTION core_audit_chain(uuid, uuid);
            REVOKE UPDATE (sequence, previous_hash, hash, sealed_at)
                ON core_auditrecord FROM app_worker;
            GRANT UPDATE ON core_auditrecord TO app_worker;
            DROP FUNCTION core_datakey_newest(uuid, text);
            DROP FUNCTION core_datakey_wrapped(uuid, text, integer);
            DROP FUNCTION core_datakey_add(uuid, text, integer, text);
            """,
        ),
        ProtectTable(
            "core_auditchain",
            merchant_column="tenant_id",
            reseller_column="tenant_id",
            merchant="SELECT",
            reseller="SELECT",
            worker="SELECT, INSERT, UPDATE",
        ),
        ProtectTable(
            "core_datakey",
            merchant_column=None,
            reseller_column=None,
            staff="",
            worker="SELECT, UPDATE",
            definer="SELECT, INSERT",
        ),
        ProtectTable(
            "core_attemptcounter",
            merchant_column=None,
            reseller_column=None,
            staff="",
            auth="SELECT, INSERT, UPDATE",
            worker="SELECT, DELETE",
        ),
    ]
