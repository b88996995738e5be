"""What each kind of process can become in the database, and what it does as that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from psycopg import sql

from core import roles
from core.checks import own_database_role
from core.db import TENANT_ROLES, Scope, tenant_atomic
from core.ids import encode
from core.process import Process, current_process, serves
from devtools.fleet import EVERY_PROCESS, process_env
from devtools.home import ROOT
from payments.providers import signing
from payments.providers.adapters.sandbox.spec import webhook_secret
from tenants import totp
from tenants.models import Membership, Merchant
from tenants.services import passwords, sign_up, team
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.places import new_address
from tests.providers.test_webhook_door import body as webhook_event
from tests.tenants.test_permission_table import browser_for

#: In words of its own, so that a slip in core/roles.py is a red test.
MAY_BECOME: Final = {
    "merchantry_web": {"app_merchant", "app_reseller", "app_auth", "app_intake"},
    "merchantry_console": {"app_staff", "app_auth", "app_intake"},
    "merchantry_worker": {
        "app_worker", "app_merchant", "app_reseller", "app_auth", "app_intake",
    },
    "merchantry_relay": {"app_worker", "app_merchant", "app_reseller", "app_intake"},
}  # fmt: skip
#: The platform's own sandbox account, which the migrations make.
SANDBOX: Final = UUID("01980000-0000-7000-8000-000000005a4d")
EVERY_ROLE: Final = (
    *TENANT_ROLES, roles.DEFINER, roles.OWNER, roles.LOGIN, *roles.PROCESS_LOGINS, "postgres",
)  # fmt: skip


def become(conn: psycopg.Connection[Any], role: str) -> bool:
    """Whether the connection may switch to the role."""
    try:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege:
        conn.rollback()
        return False
    conn.rollback()
    return True


@pytest.mark.parametrize("login", MAY_BECOME)
def test_each_process_becomes_what_its_line_says_and_nothing_else(
    login: str, process_dsns: dict[str, str]
) -> None:
    with psycopg.connect(process_dsns[login]) as conn:
        found = {role for role in EVERY_ROLE if role != login and become(conn, role)}
    assert found == MAY_BECOME[login]
    assert set(roles.PROCESS_LOGINS[login]) == MAY_BECOME[login]


@pytest.mark.parametrize("scope", ["app_merchant", "app_reseller", "app_auth", "app_intake"])
def test_sql_injected_into_a_scope_of_the_web_becomes_no_staff(
    scope: str, process_dsns: dict[str, str]
) -> None:
    t = make_tenants()
    with psycopg.connect(process_dsns["merchantry_web"]) as conn:
        for statement in (
            "SET ROLE app_staff",
            "SET LOCAL ROLE app_worker",
            "RESET ROLE; SET ROLE app_staff",
            "SELECT set_config('role', 'app_staff', true)",
            "SET SESSION AUTHORIZATION merchantry_console",
        ):
            conn.execute(
                "SELECT set_config('role', %s, true), set_config('app.tenant', %s, true)",
                [scope, str(t.merchant.id)],
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)
            conn.rollback()


@pytest.mark.parametrize("login", MAY_BECOME)
def test_no_process_reads_tenants_keys_or_hashes_without_a_scope(
    login: str, process_dsns: dict[str, str]
) -> None:
    with psycopg.connect(process_dsns[login], autocommit=True) as conn:
        for table in ("tenants_merchant", "tenants_apikey", "core_outboxevent", "intents_intent"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT password FROM tenants_user")
        conn.execute("SELECT email FROM tenants_user LIMIT 1")


def test_no_role_reads_a_password_hash_but_one_account_while_logging_in(
    process_dsns: dict[str, str], admin_dsn: str
) -> None:
    with psycopg.connect(admin_dsn) as conn:
        readers = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
            " AND has_column_privilege(oid, 'tenants_user', 'password', 'SELECT')",
            [[*TENANT_ROLES, roles.LOGIN, *roles.PROCESS_LOGINS]],
        ).fetchall()
        callers = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
            " AND has_function_privilege(oid, 'tenants_password_hash(uuid)', 'EXECUTE')",
            [[*TENANT_ROLES, roles.LOGIN, *roles.PROCESS_LOGINS]],
        ).fetchall()
    assert readers == []
    assert callers == [("app_auth",)]


def test_the_scope_of_intake_reads_no_content(process_dsns: dict[str, str]) -> None:
    with psycopg.connect(process_dsns["merchantry_web"], autocommit=True) as conn:
        for statement in (
            "SELECT raw FROM core_inboxmessage",
            "SELECT payload FROM core_outboxevent",
            "SELECT after FROM core_auditrecord",
            "SELECT path FROM core_requestlog",
            "SELECT name FROM tenants_merchant",
            "SELECT body FROM core_idempotencyrecord",
            "SELECT amount_minor FROM intents_intent",
        ):
            conn.execute("SET ROLE app_intake")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)
            conn.execute("RESET ROLE")


def test_the_passwords_of_the_processes_tell_of_no_other() -> None:
    made = {role: roles.process_password("secret", role) for role in roles.PROCESS_LOGINS}
    assert len(set(made.values())) == len(made)
    assert "secret" not in made.values()
    assert roles.process_password("secret", "merchantry_web") == made["merchantry_web"]


def test_the_deployment_check_warns_of_a_role_that_opens_every_scope(
    process_dsns: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = own_database_role(None)
    assert [warning.id for warning in found] == ["core.W001"]
    monkeypatch.setitem(settings.DATABASES["default"], "USER", "merchantry_web")
    assert own_database_role(None) == []


def test_each_process_of_the_platform_gets_its_own_address_and_no_other_ones() -> None:
    env = {
        "DATABASE_URL": "all",
        "DATABASE_OWNER_URL": "owner",
        **{
            f"DATABASE_{role.removeprefix('merchantry_').upper()}_URL": role
            for role in roles.PROCESS_LOGINS
        },
    }
    found = {name: process_env(name, env) for name in EVERY_PROCESS if name != "entry"}
    addresses = {name: given["DATABASE_URL"] for name, given in found.items()}
    assert addresses == {
        "web": "merchantry_web",
        "streams": "merchantry_web",
        "console": "merchantry_console",
        "worker": "merchantry_worker",
        "sender": "merchantry_worker",
        "beat": "merchantry_worker",
        "relay": "merchantry_relay",
    }
    kinds = {name: given["PROCESS"] for name, given in found.items() if given["PROCESS"] != "all"}
    assert kinds == {"web": "web", "streams": "web", "console": "console"}
    assert {tuple(sorted(given)) for given in found.values()} == {("DATABASE_URL", "PROCESS")}
    old_server = process_env("web", {"DATABASE_URL": "all", "DATABASE_OWNER_URL": "owner"})
    assert old_server == {"DATABASE_URL": "all", "PROCESS": "web"}


# ---- what a process answers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "web", "console"),
    [
        ("/", True, False),
        ("/login", True, False),
        ("/v1/payments", True, False),
        ("/admin/", False, True),
        ("/admin/tenants/merchant/", False, True),
        ("/administration", True, False),
        ("/health/live", True, True),
        ("/static/css/app.css", True, True),
    ],
)
def test_who_answers_an_address(path: str, web: bool, console: bool) -> None:
    assert serves(path, Process.ALL)
    assert (serves(path, Process.WEB), serves(path, Process.CONSOLE)) == (web, console)


@override_settings(PROCESS="konsole")
def test_a_process_of_no_kind_does_not_start() -> None:
    with pytest.raises(ImproperlyConfigured, match="PROCESS is 'konsole'; it takes one of"):
        current_process()


# ---- real processes ----------------------------------------------------------------------------


def run_child(kind: str, dsn: str, process: str, **given: Any) -> dict[str, Any]:
    """What a process of a kind says that it could do (tests/core/process_child.py)."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "core" / "process_child.py"), kind],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": dsn, "PROCESS": process},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def t() -> Tenants:
    return make_tenants(totp=True, service_caller=True)


def test_the_web_process_does_its_work_without_staff_rights(
    t: Tenants, process_dsns: dict[str, str]
) -> None:
    staff, owner = t.users["platform.support"], t.users["merchant.owner"]
    event = json.dumps(webhook_event())
    found = run_child(
        "web",
        process_dsns["merchantry_web"],
        "web",
        address=new_address(),
        password=PASSWORD,
        email=owner.email,
        otp=totp.code_at(t.totp_secrets[owner.id]),
        staff_email=staff.email,
        staff_otp=totp.code_at(t.totp_secrets[staff.id]),
        secret_key=t.secret_key_test,
        publishable_key=t.publishable_key_test,
        merchant=t.merchant.public_id,
        service_key_id=t.service_key_id,
        service_secret=t.service_secret,
        webhook=f"/v1/provider_webhooks/sandbox/{encode('pra', SANDBOX)}",
        event=event,
        signature=signing.sign(
            raw_body=event.encode(),
            secret=webhook_secret(SANDBOX),
            timestamp_s=int(time.time()),
        ),
    )
    assert found == {
        "login": [302, "/login/verify"],
        "verify": [302, "/"],
        "pages": {
            "/": 200, "/payments": 200, "/team": 200, "/balance": 200, "/developers/keys": 200,
        },
        "token": 201,
        "payment": [201, "completed"],
        "refund": 201,
        "service": [201, True, 200],
        "webhook": [[200, False], [200, True]],
        "again": [201, True],
        "continued": [201, True, True],
        "balance": 200,
        "reset": 200,
        "admin": 404,
        "staff": [403, "console_only"],
        "ready": 200,
        "metrics": 200,
    }  # fmt: skip


def test_people_join_and_set_passwords_in_the_web_process(
    t: Tenants, process_dsns: dict[str, str]
) -> None:
    mark = t.merchant.id.hex
    staff = sign_up.platform_set_up(name="x", email=f"staff.{mark}@example.test").invitation
    assert staff is not None
    owner = team.invitation_create(
        actor=t.actor("owner"), email=f"owner.{mark}@example.test", role="owner"
    )
    resets = {}
    for name in ("platform.finance", "merchant.owner"):
        user = t.users[name]
        token = passwords.reset_link_issue(user=user)
        resets[name] = {
            "link": f"/password/reset/{user.public_id}/{token}",
            "email": user.email,
            "otp": totp.code_at(t.totp_secrets[user.id]),
        }
    found = run_child(
        "people",
        process_dsns["merchantry_web"],
        "web",
        address=new_address(),
        password="a new long passphrase 42",
        invited={
            row.level: {
                "link": f"/invitations/{team.invitation_token(row.id)}",
                "email": row.email,
            }
            for row in (staff, owner)
        },
        resets=resets,
    )
    joined = [10, "/login/verify", 302, 422, 10, 404]
    assert found == {
        "joined": {"platform": ["/admin/", *joined], "merchant": ["/", *joined]},
        "reset": {name: [200, 404, 302, 200, 302, 404] for name in resets},
    }
    with tenant_atomic(Scope.staff()):
        rows = Membership.objects.filter(user__email__in=[staff.email, owner.email])
        assert set(rows.values_list("user__email", "level", "role", "user__is_staff")) == {
            (staff.email, "platform", "compliance", True),
            (owner.email, "merchant", "owner", False),
        }


def test_the_console_process_serves_the_admin_alone(
    t: Tenants, process_dsns: dict[str, str]
) -> None:
    client = browser_for(t, "platform", "compliance")
    found = run_child(
        "console",
        process_dsns["merchantry_console"],
        "console",
        cookie=[
            settings.SESSION_COOKIE_NAME,
            client.cookies[settings.SESSION_COOKIE_NAME].value,
        ],
        suspend=f"/admin/tenants/merchant/{t.merchant.id}/suspend/",
    )
    assert found["lists"] == dict.fromkeys(found["lists"], 200)
    assert len(found["lists"]) > 20
    del found["lists"]
    assert found == {
        "index": 200, "suspend": 302, "login": 404, "api": 404, "portal": 404, "live": 200,
    }  # fmt: skip
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "suspended"


def test_the_worker_runs_every_scheduled_task_and_mails(
    t: Tenants, process_dsns: dict[str, str]
) -> None:
    row = team.invitation_create(
        actor=t.actor("owner"), email=f"w.{t.merchant.id.hex}@example.test", role="viewer"
    )
    found = run_child(
        "worker",
        process_dsns["merchantry_worker"],
        "all",
        invitation=str(row.id),
        user=str(t.users["merchant.viewer"].id),
    )
    assert found == {"failed": {}, "mails": 2}


def test_the_relay_delivers_and_seals(t: Tenants, process_dsns: dict[str, str]) -> None:
    team.invitation_create(
        actor=t.actor("owner"), email=f"r.{t.merchant.id.hex}@example.test", role="viewer"
    )
    found = run_child("relay", process_dsns["merchantry_relay"], "all", tenant=str(t.merchant.id))
    assert found == {"waiting": 0, "unsealed": 0}
