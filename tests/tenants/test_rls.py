"""The second wall: every tenant table is protected, and shows nothing without a scope."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, transaction
from psycopg import sql

from core.db import TENANT_ROLES, Scope, fetch_all, tenant_atomic
from core.roles import PROCESS_LOGINS
from tenants.models import ApiKey, Membership, Merchant, User
from tests.factories import make_merchant, make_tenants

#: Tables that belong to nobody and may be read before a tenant is known.
OPEN_TABLES = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_admin_log",
    "django_content_type",
    "django_migrations",
    "django_session",
    "guardian_groupobjectpermission",
    "guardian_userobjectpermission",
    "tenants_user_groups",
    "tenants_user_user_permissions",
}
#: Read under the login role for the session, each with a policy of its own.
SESSION_TABLES = {"tenants_user", "tenants_totpdevice"}
#: The same for everybody: names and numbers that no tenant owns. Still closed without a scope.
REFERENCE_TABLES = {"ledger_accountcode"}
FRAMEWORKS = ("otp_totp_", "otp_static_")


@contextmanager
def denied_is_fine() -> Iterator[None]:
    """Swallow "permission denied" alone; any other error of the database stays one."""
    try:
        yield
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise


def _tables(dsn: str) -> dict[str, tuple[bool, bool]]:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        ).fetchall()
    return {name: (enabled, forced) for name, enabled, forced in rows}


def test_every_table_of_ours_has_row_level_security_enabled_and_forced(admin_dsn: str) -> None:
    bare = {
        name: flags
        for name, flags in _tables(admin_dsn).items()
        if flags != (True, True)
        and name not in OPEN_TABLES | REFERENCE_TABLES
        and not name.startswith(FRAMEWORKS)
    }
    assert bare == {}


def test_every_model_with_a_merchant_column_has_policies_for_it(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute("SELECT tablename, policyname, qual FROM pg_policies").fetchall()
    policies = {(table, name): qual for table, name, qual in rows}
    wrong = []
    for model in apps.get_models():
        table = model._meta.db_table
        columns = {field.column for field in model._meta.local_concrete_fields}
        merchant = policies.get((table, "app_merchant"))
        if "merchant_id" in columns and merchant is not None and "app.tenant" not in merchant:
            wrong.append(table)
    assert wrong == []


def test_no_policy_holds_an_or(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute("SELECT tablename, policyname, qual FROM pg_policies").fetchall()
    assert [row for row in rows if row[2] and " OR " in row[2].upper()] == []


def test_without_a_scope_every_table_is_denied(admin_dsn: str) -> None:
    make_tenants()
    readable = []
    for name in _tables(admin_dsn):
        if name in OPEN_TABLES or name in SESSION_TABLES:
            continue
        with denied_is_fine(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f'SELECT 1 FROM "{name}" LIMIT 1')
            readable.append(name)
    assert readable == []


@pytest.mark.parametrize("login", PROCESS_LOGINS)
def test_without_a_scope_every_table_is_denied_to_each_process(
    login: str, admin_dsn: str, process_dsns: dict[str, str]
) -> None:
    readable = set()
    with psycopg.connect(process_dsns[login], autocommit=True) as conn:
        for name in _tables(admin_dsn):
            try:
                conn.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege:
                continue
            readable.add(name)
    assert readable - OPEN_TABLES - SESSION_TABLES == set()
    assert "django_session" in readable


def test_tables_of_frameworks_are_open_no_wider_than_somebody_needs(admin_dsn: str) -> None:
    """Whoever reads django_session is everybody who is logged in."""
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT c.relname, r.rolname, string_agg(p, ' ' ORDER BY n)"
            " FROM pg_class c JOIN pg_roles r ON r.rolname = ANY(%s) CROSS JOIN"
            " unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) WITH ORDINALITY AS x (p, n)"
            " WHERE c.relname = ANY(%s) AND c.relkind = 'r'"
            " AND CASE WHEN p = 'DELETE' THEN has_table_privilege(r.oid, c.oid, p)"
            " ELSE has_any_column_privilege(r.oid, c.oid, p) END GROUP BY 1, 2",
            [["merchantry_app", *TENANT_ROLES], list(OPEN_TABLES)],
        ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, role, privileges in rows:
        found.setdefault(table, {})[role] = privileges
    read = {"merchantry_app": "SELECT", "app_staff": "SELECT"}
    assert found == {
        "auth_group": read,
        "auth_group_permissions": read,
        "auth_permission": {**read, "app_reseller": "SELECT"},
        "django_admin_log": {"app_staff": "SELECT INSERT"},
        "django_content_type": {**read, "app_reseller": "SELECT"},
        "django_session": {"merchantry_app": "SELECT INSERT UPDATE DELETE"},
        "guardian_groupobjectpermission": read,
        "guardian_userobjectpermission": read,
        "tenants_user_groups": read,
        "tenants_user_user_permissions": read,
    }


def test_the_login_role_changes_nothing_about_people_but_their_last_login(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'tenants_user'::regclass"
            " AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege('merchantry_app', attrelid, attnum, 'UPDATE')"
        ).fetchall()
    assert rows == [("last_login",)]


@pytest.mark.parametrize("scope", [Scope.merchant, Scope.reseller])
def test_a_scope_of_an_unknown_tenant_sees_no_row_of_any_table(
    scope: Callable[[uuid.UUID], Scope], admin_dsn: str
) -> None:
    make_tenants(totp=True)
    seen = []
    for name in _tables(admin_dsn):
        if name in OPEN_TABLES | REFERENCE_TABLES or name.startswith(FRAMEWORKS):
            continue
        with denied_is_fine(), tenant_atomic(scope(uuid.uuid4())):
            if fetch_all(f'SELECT count(*) FROM "{name}"')[0][0]:
                seen.append(name)
    assert seen == []


def test_an_empty_tenant_setting_sees_nothing() -> None:
    make_tenants()
    with tenant_atomic(Scope("app_merchant", None)):
        assert Merchant.objects.count() == 0
        assert ApiKey.objects.count() == 0


def test_a_merchant_sees_itself_and_its_own() -> None:
    t, other = make_tenants(), make_tenants()
    with tenant_atomic(t.scope):
        assert list(Merchant.objects.values_list("id", flat=True)) == [t.merchant.id]
        assert ApiKey.objects.count() == 4
        assert ApiKey.objects.filter(id=other.key_rows["sk", False].id).count() == 0
        assert Membership.objects.count() == 4


def test_a_reseller_sees_its_merchants_but_not_their_keys() -> None:
    t, other = make_tenants(), make_tenants()
    second = make_merchant(t)
    with tenant_atomic(t.reseller_scope):
        found = set(Merchant.objects.values_list("id", flat=True))
    assert found == {t.merchant.id, second.merchant.id}
    assert other.merchant.id not in found
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_atomic(t.reseller_scope),
    ):
        ApiKey.objects.count()


def test_a_merchant_sees_its_people_and_no_password() -> None:
    t = make_tenants()
    with tenant_atomic(t.scope):
        emails = set(User.objects.values_list("email", flat=True))
    assert emails == {
        t.users[f"merchant.{role}"].email for role in ("owner", "admin", "developer", "viewer")
    }
    with pytest.raises(ProgrammingError, match="permission denied"), tenant_atomic(t.scope):
        list(User.objects.values_list("password", flat=True))


def test_a_merchant_cannot_write_into_another() -> None:
    t, other = make_tenants(), make_tenants()
    row = t.key_rows["sk", False]
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_atomic(t.scope):
        ApiKey.objects.filter(id=row.id).update(merchant_id=other.merchant.id)
    with tenant_atomic(t.scope):
        assert ApiKey.objects.get(id=row.id).merchant_id == t.merchant.id
        assert ApiKey.objects.filter(id=other.key_rows["sk", False].id).update(name="mine") == 0


def test_a_merchant_cannot_change_its_own_status_or_price() -> None:
    t = make_tenants()
    for change in ({"status": "closed"}, {"fee_bps": 0}):
        with pytest.raises(ProgrammingError, match="permission denied"), tenant_atomic(t.scope):
            Merchant.objects.filter(id=t.merchant.id).update(**change)
    with tenant_atomic(t.scope):
        row = Merchant.objects.get(id=t.merchant.id)
    assert (row.status, row.fee_bps) == ("active", 290)


def test_a_row_cannot_name_a_merchant_of_another_reseller(admin_dsn: str) -> None:
    t, other = make_tenants(), make_tenants()
    with psycopg.connect(admin_dsn) as conn, pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute(
            "UPDATE tenants_apikey SET reseller_id = %s WHERE id = %s",
            [other.reseller.id, t.key_rows["sk", False].id],
        )


def test_lookup_functions_have_a_fixed_path_and_an_owner_without_login(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT p.proname, r.rolname, r.rolcanlogin, p.proconfig,"
            " has_function_privilege('public', p.oid, 'EXECUTE')"
            " FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner"
            " JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE p.prosecdef AND n.nspname = 'public'"
            # Nobody can call a trigger's function, whatever its grants say.
            " AND p.prorettype <> 'trigger'::regtype"
        ).fetchall()
    assert {row[0] for row in rows} >= {"tenants_api_key_find", "tenants_seats"}
    for name, owner, can_login, config, public in rows:
        assert owner == "app_definer", name
        assert not can_login, name
        assert any(setting.startswith("search_path=") for setting in config or []), name
        assert not public, name
