"""Row-level security and grants of the ledger, and what the database itself refuses."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable, RunSqlFile

_READ = {"merchant": "SELECT", "reseller": "SELECT", "staff": "SELECT", "worker": "SELECT"}
_INTERNAL = {"merchant_column": None, "reseller_column": None, "worker": "SELECT"}


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        ProtectTable("ledger_account", **_READ, definer="SELECT, INSERT, UPDATE"),
        ProtectTable("ledger_transfer", **_READ, definer="SELECT, INSERT"),
        ProtectTable("ledger_failedtransfer", **_INTERNAL, definer="SELECT, INSERT"),
        ProtectTable(
            "ledger_pendingtimeout", **_INTERNAL, definer="SELECT, INSERT, UPDATE, DELETE"
        ),
        ProtectTable("ledger_transitcheck", **_INTERNAL, definer="SELECT, INSERT, DELETE"),
        RunSqlFile(
            __file__,
            "0002_guards.sql",
            reverse="""
            DROP FUNCTION ledger_check_transit(uuid[]);
            DROP TRIGGER transit_zero ON ledger_transitcheck;
            DROP TRIGGER never_deleted ON ledger_account;
            DROP TRIGGER append_only ON ledger_transfer;
            DROP TRIGGER append_only ON ledger_failedtransfer;
            DROP FUNCTION ledger_transit_zero();
            DROP FUNCTION ledger_refuse();
            DROP INDEX ledger_transfer_timestamp;
            DROP SEQUENCE ledger_timestamp;
            ALTER TABLE ledger_account RESET (fillfactor, autovacuum_vacuum_scale_factor);
            ALTER TABLE ledger_transfer RESET (autovacuum_vacuum_insert_scale_factor);
            ALTER TABLE ledger_transfer DROP CONSTRAINT ledger_transfer_sound;
            ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_sound;
            DROP FUNCTION ledger_account_sound;
            DROP FUNCTION ledger_transfer_sound;
            """,
        ),
    ]
