"""Migration operations for the second wall of tenancy: row-level security and grants.

Policies are written per role, so that none holds an OR (an OR in a policy cost 17 times on a page
of a million rows), and the setting is read through a sub-select, which PostgreSQL evaluates once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.migrations.operations import RunSQL

_TENANT = "(select nullif(current_setting('app.tenant', true), '')::uuid)"


def _policy(table: str, role: str, predicate: str) -> str:
    return (
        f'CREATE POLICY {role} ON "{table}" TO {role} USING ({predicate}) WITH CHECK ({predicate});'
    )


class ProtectTable(RunSQL):
    """Enable and force row-level security on a table, with one policy and grants per role.

    Args:
        table: the table's name in the database.
        merchant_column, reseller_column: the column that holds the tenant's id; None gives that
            role no rows at all.
        merchant, reseller, staff, worker, auth, definer: the privileges, e.g. "SELECT, INSERT";
            an empty string grants nothing and writes no policy.
    """

    def __init__(
        self,
        table: str,
        *,
        merchant_column: str | None = "merchant_id",
        reseller_column: str | None = "reseller_id",
        merchant: str = "SELECT, INSERT, UPDATE",
        reseller: str = "SELECT",
        staff: str = "SELECT",
        worker: str = "SELECT, INSERT, UPDATE, DELETE",
        auth: str = "",
        definer: str = "",
    ) -> None:
        up = [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY;',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY;',
        ]
        wanted = [
            ("app_merchant", f"{merchant_column} = {_TENANT}", merchant if merchant_column else ""),
            ("app_reseller", f"{reseller_column} = {_TENANT}", reseller if reseller_column else ""),
            ("app_staff", "true", staff),
            ("app_worker", "true", worker),
            ("app_auth", "true", auth),
            ("app_definer", "true", definer),
        ]
        down = []
        for role, predicate, privileges in wanted:
            if privileges:
                up.append(_policy(table, role, predicate))
                up.append(f'GRANT {privileges} ON "{table}" TO {role};')
                down.append(f'DROP POLICY {role} ON "{table}";')
                down.append(f'REVOKE ALL ON "{table}" FROM {role};')
        down += [
            f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY;',
            f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY;',
        ]
        super().__init__("\n".join(up), "\n".join(down))


_LOGIN_AND_STAFF = "merchantry_app, app_staff"
_OTHER_SCOPES = "app_merchant, app_reseller, app_worker, app_auth"


def _each_sequence(table: str, statement: str) -> str:
    """Run a statement for the sequences of a table (frameworks count their ids); `%s` names one."""
    return (
        "DO $$ DECLARE s text; BEGIN FOR s IN"  # noqa: S608 - names of our own tables
        " SELECT quote_ident(c.relname) FROM pg_class c"
        " JOIN pg_depend d ON d.objid = c.oid"
        f" WHERE c.relkind = 'S' AND d.refobjid = '\"{table}\"'::regclass LOOP"
        f" EXECUTE format('{statement}', s); END LOOP; END $$;"
    )


def _open_table(table: str, login: str) -> str:
    return "\n".join(
        (
            f'GRANT {login} ON "{table}" TO {_LOGIN_AND_STAFF};',
            f'GRANT SELECT ON "{table}" TO {_OTHER_SCOPES};',
            _each_sequence(
                table,
                f"GRANT USAGE, SELECT ON SEQUENCE %s TO {_LOGIN_AND_STAFF}, {_OTHER_SCOPES}",
            ),
        )
    )


def _close_table(table: str) -> str:
    roles = f"{_LOGIN_AND_STAFF}, {_OTHER_SCOPES}"
    return "\n".join(
        (
            f'REVOKE ALL ON "{table}" FROM {roles};',
            _each_sequence(table, f"REVOKE ALL ON SEQUENCE %s FROM {roles}"),
        )
    )


class PublicTable(RunSQL):
    """First grants on a framework's table that belongs to no tenant (sessions, content types).

    They are wide: `NarrowTable` says what a table's readers really need, and a table without it
    fails a test.
    """

    def __init__(self, table: str, *, login: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
        super().__init__(_open_table(table, login), _close_table(table))


class NarrowTable(RunSQL):
    """Replace the grants of a `PublicTable` by those that are named here, and no others.

    Args:
        login: privileges of the login role, outside any scope.
        staff, reseller: privileges of these scopes; the others get none.
        opened_for: the `login` that the table's PublicTable had, for the way back.
    """

    def __init__(
        self,
        table: str,
        *,
        opened_for: str,
        login: str = "",
        staff: str = "",
        reseller: str = "",
    ) -> None:
        up = [_close_table(table)]
        wanted = {"merchantry_app": login, "app_staff": staff, "app_reseller": reseller}
        for role, privileges in wanted.items():
            if privileges:
                up.append(f'GRANT {privileges} ON "{table}" TO {role};')
            if "INSERT" in privileges:
                up.append(_each_sequence(table, f"GRANT USAGE ON SEQUENCE %s TO {role}"))
        down = [_close_table(table), _open_table(table, opened_for)]
        super().__init__("\n".join(up), "\n".join(down))


def frozen_sql(migration_file: str, name: str) -> str:
    """Text of an .sql file that lies beside a migration and is a part of it.

    Args:
        migration_file: `__file__` of the migration.
        name: the file's name; it begins with the migration's number, e.g. "0015_scopes.sql".

    Raises:
        ValueError: the name has another number. A migration that runs text of another one changes
            when that one is touched, so it keeps a copy of its own.
    """
    migration = Path(migration_file)
    if name.split("_")[0] != migration.name.split("_")[0]:
        raise ValueError(f"{migration.name} runs {name}, which belongs to another migration")
    return (migration.parent / name).read_text(encoding="utf-8")


class RunSqlFile(RunSQL):
    """Run the .sql file that lies beside the migration.

    Args:
        migration_file: `__file__` of the migration.
        name: the file's name, e.g. "0001_functions.sql".
        reverse: the statements that undo it.
    """

    def __init__(self, migration_file: str, name: str, *, reverse: str, **kwargs: Any) -> None:
        self.path = Path(migration_file).parent / name
        super().__init__(frozen_sql(migration_file, name), reverse, **kwargs)
