"""What SQL injected into the web process can do to the platform's own people: nothing that lasts.

Each attempt is made with web's own login role, without a scope and in each one that it may open.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import psycopg
import pytest

from core import errors, roles
from core.db import Scope, fetch_one, tenant_atomic
from core.ids import new_id
from tenants import keys
from tenants.models import Invitation, Membership, RecoveryCode, User
from tenants.services import passwords, sign_up, team
from tests.factories import Tenants, make_tenants

SCOPES: Final = ("", *roles.PROCESS_LOGINS["merchantry_web"])
#: %(me)s is a merchant's viewer, %(staff)s of the platform's compliance, %(invited)s an open
#: invitation into the staff, %(mine)s one into the merchant for the viewer's address.
ATTEMPTS: Final = {
    "becomes staff": "UPDATE tenants_user SET is_staff = true, is_superuser = true"
    " WHERE id = %(me)s",
    "takes an address": "UPDATE tenants_user SET email = 'x' || email WHERE id = %(staff)s",
    "sets a password": "UPDATE tenants_user SET password = 'x', login_stamp = gen_random_uuid()"
    " WHERE id = %(staff)s",
    "deactivates": "UPDATE tenants_user SET is_active = false WHERE id = %(staff)s",
    "makes a member of staff": "INSERT INTO tenants_user (id, created_at, email, name, password,"
    " is_active, is_staff, is_superuser) VALUES (gen_random_uuid(), now(),"
    " %(staff)s || '@example.test', '', 'x', true, true, false)",
    "joins the platform": "INSERT INTO tenants_membership (id, created_at, user_id, level, role,"
    " platform_id, only_granted) VALUES (gen_random_uuid(), now(), %(me)s, 'platform',"
    " 'compliance', %(platform)s, false)",
    "makes a seat one of the platform": "UPDATE tenants_membership SET level = 'platform',"
    " role = 'compliance', platform_id = %(platform)s, reseller_id = NULL, merchant_id = NULL"
    " WHERE user_id = %(me)s",
    "takes a seat over": "UPDATE tenants_membership SET user_id = %(me)s WHERE user_id = %(staff)s",
    "removes a seat": "DELETE FROM tenants_membership WHERE user_id = %(staff)s",
    "invites into the platform": "INSERT INTO tenants_invitation (id, created_at, email, level,"
    " role, platform_id, token_digest, pepper_version, expires_at) VALUES (gen_random_uuid(),"
    " now(), 'x@example.test', 'platform', 'compliance', %(platform)s, '\\x00', 1,"
    " now() + interval '1 day')",
    "makes an invitation one into the platform": "UPDATE tenants_invitation SET"
    " level = 'platform', role = 'compliance', platform_id = %(platform)s, reseller_id = NULL,"
    " merchant_id = NULL WHERE id = %(mine)s",
    "takes an invitation over": "UPDATE tenants_invitation SET email = 'x@example.test'"
    " WHERE id = %(invited)s",
    "copies an invitation's proof": "SELECT tenants_invitation_accept(ARRAY(SELECT token_digest"
    " FROM tenants_invitation WHERE id = %(invited)s), gen_random_uuid(), gen_random_uuid(), 'x',"
    " 'x', gen_random_uuid())",
    "guesses an invitation's proof": "SELECT tenants_invitation_accept(ARRAY['\\x00'::bytea],"
    " gen_random_uuid(), gen_random_uuid(), 'x', 'x', gen_random_uuid())",
    "guesses a reset link": "SELECT tenants_password_set(%(staff)s, ARRAY['\\x00'::bytea], 'x',"
    " gen_random_uuid())",
    "copies a reset link": "SELECT tenants_password_set(%(staff)s, ARRAY(SELECT token_digest FROM"
    " tenants_passwordreset), 'x', gen_random_uuid())",
    "makes a reset link": "INSERT INTO tenants_passwordreset (id, created_at, user_id,"
    " token_digest, expires_at) VALUES (gen_random_uuid(), now(), %(staff)s, '\\x00',"
    " now() + interval '1 day')",
    "moves a reset link": "UPDATE tenants_passwordreset SET user_id = %(staff)s",
    "renews a password": "SELECT tenants_password_renew(%(staff)s,"
    " tenants_password_hash(%(staff)s), 'x')",
    "takes an authenticator away": "DELETE FROM tenants_totpdevice WHERE user_id = %(staff)s",
    "moves an authenticator": "UPDATE tenants_totpdevice SET user_id = %(unenrolled)s"
    " WHERE user_id = %(staff)s",
    "unconfirms an authenticator": "UPDATE tenants_totpdevice SET confirmed = false"
    " WHERE user_id = %(staff)s",
    "changes a recovery code": "UPDATE tenants_recoverycode SET code_digest = '\\x00'"
    " WHERE user_id = %(staff)s",
    "moves a recovery code": "UPDATE tenants_recoverycode SET user_id = %(me)s"
    " WHERE user_id = %(staff)s",
    "turns a refresh token into staff's": "UPDATE tenants_refreshtoken SET user_id = %(staff)s,"
    " second_factor = true WHERE user_id = %(me)s",
    "lets a refresh token come back": "DELETE FROM tenants_refreshtoken WHERE user_id = %(me)s",
    "moves a sign-in link": "UPDATE tenants_signinlink SET user_id = %(me)s"
    " WHERE user_id = %(staff)s",
}  # fmt: skip
#: What the attempts are about, as it stands; of every person, as an attempt may make another one.
STATE: Final = (
    "SELECT id, email, password, login_stamp, is_active, is_staff, is_superuser FROM tenants_user",
    "SELECT * FROM tenants_membership",
    "SELECT * FROM tenants_invitation",
    "SELECT * FROM tenants_passwordreset",
    "SELECT * FROM tenants_totpdevice",
    "SELECT * FROM tenants_recoverycode",
    "SELECT * FROM tenants_refreshtoken",
)


def recovery_code(user: User) -> RecoveryCode:
    return RecoveryCode(user=user, code_digest=new_id().bytes * 2, pepper_version=1)


def prepared(t: Tenants) -> dict[str, Any]:
    """Everything that the attempts reach for, and the names that they call it by."""
    me, staff = t.users["merchant.viewer"], t.users["platform.compliance"]
    t.access_token("merchant.viewer")
    passwords.reset_link_issue(user=staff)
    invited = sign_up.platform_set_up(name="x", email=f"s.{t.merchant.id.hex}@example.test")
    mine = team.invitation_create(
        actor=t.actor("owner"), email=f"m.{t.merchant.id.hex}@example.test", role="viewer"
    )
    # The merchant's second person has no authenticator that would be in the way.
    unenrolled = User(email=f"u.{t.merchant.id.hex}@example.test")
    with tenant_atomic(Scope.staff()):
        unenrolled.set_password("x")
        unenrolled.save(force_insert=True)
    with tenant_atomic(Scope.auth()):
        recovery_code(staff).save(force_insert=True)
    assert invited.invitation is not None
    return {
        "me": me.id,
        "staff": staff.id,
        "unenrolled": unenrolled.id,
        "platform": t.platform.id,
        "invited": invited.invitation.id,
        "mine": mine.id,
    }


def state(dsn: str) -> list[set[Any]]:
    with psycopg.connect(dsn) as conn:
        return [{repr(row) for row in conn.execute(query)} for query in STATE]


def attempt(dsn: str, scope: str, tenant: UUID, text: str, names: dict[str, Any]) -> str:
    """``refused`` by the database, or ``nothing``: no row, or a function that says no."""
    with psycopg.connect(dsn) as conn:
        if scope:
            conn.execute(
                "SELECT set_config('role', %s, true), set_config('app.tenant', %s, true)",
                [scope, str(tenant)],
            )
        try:
            done = conn.execute(text, names)
        except psycopg.errors.InsufficientPrivilege:
            conn.rollback()
            return "refused"
        said = done.fetchall() == [(False,)] if done.description else done.rowcount == 0
        conn.commit()
        return "nothing" if said else "something"


@pytest.mark.usefixtures("own_database")
def test_web_makes_no_staff_in_any_scope(process_dsns: dict[str, str], admin_dsn: str) -> None:
    t = make_tenants(totp=True)
    names = prepared(t)
    before = state(admin_dsn)
    assert all(before)
    tenants = {"app_reseller": t.reseller.id}
    found = {
        (what, scope): attempt(
            process_dsns["merchantry_web"], scope, tenants.get(scope, t.merchant.id), text, names
        )
        for what, text in ATTEMPTS.items()
        for scope in SCOPES
    }
    assert {key for key, said in found.items() if said == "something"} == set()
    # Where somebody is logged in, the database refuses by itself; functions look for their proof.
    says_no = {
        what for (what, scope), said in found.items() if said != "refused" and scope == "app_auth"
    }
    assert says_no == {"guesses an invitation's proof", "guesses a reset link", "renews a password"}
    assert state(admin_dsn) == before


def test_a_link_that_was_mailed_sets_the_password_of_its_person_once() -> None:
    t = make_tenants()
    staff, other = t.users["platform.finance"], t.users["platform.support"]
    digests = keys.digests(passwords.reset_link_issue(user=staff), purpose="password_reset")

    def use(user: User) -> Any:
        with tenant_atomic(Scope.auth()):
            return fetch_one(
                "SELECT tenants_password_set(%s, %s, 'set', %s)", [user.id, digests, new_id()]
            )

    assert use(other) == (False,)
    assert use(staff) == (True,)
    assert use(staff) == (False,)


def test_a_link_that_is_too_old_sets_no_password(admin_dsn: str) -> None:
    user = make_tenants().users["platform.finance"]
    digests = keys.digests(passwords.reset_link_issue(user=user), purpose="password_reset")
    with psycopg.connect(admin_dsn) as conn:
        conn.execute(
            "UPDATE tenants_passwordreset SET expires_at = now() WHERE user_id = %s", [user.id]
        )
    with tenant_atomic(Scope.auth()):
        done = fetch_one(
            "SELECT tenants_password_set(%s, %s, 'set', %s)", [user.id, digests, new_id()]
        )
    assert done == (False,)


def test_nobody_who_was_there_before_becomes_staff() -> None:
    t = make_tenants()
    user, email = t.users["merchant.viewer"], f"late.{t.merchant.id.hex}@example.test"
    with pytest.raises(errors.Conflict) as caught:
        sign_up.platform_set_up(name="x", email=user.email)
    assert caught.value.code == "staff_account_needed"
    row = sign_up.platform_set_up(name="x", email=email).invitation
    assert row is not None
    with tenant_atomic(Scope.staff()):
        # The address has come to a tenant's account since.
        User.objects.filter(id=user.id).update(email=email)
        user = User.objects.get(id=user.id)
    token = team.invitation_token(row.id)
    with pytest.raises(errors.Conflict) as caught:
        team.invitation_accept(token=token, name="", password="", ip=None, user=user)
    assert caught.value.code == "staff_account_needed"
    digests = keys.digests(token, purpose=team.INVITATION_PURPOSE)
    with tenant_atomic(Scope.auth()):
        done = fetch_one(
            "SELECT tenants_invitation_accept(%s, %s, %s, NULL, NULL, NULL)",
            [digests, user.id, new_id()],
        )
    assert done == (False,)
    with tenant_atomic(Scope.staff()):
        assert not User.objects.get(id=user.id).is_staff
        assert not Membership.objects.filter(user=user, level="platform").exists()


def test_staff_who_left_is_invited_again_and_joins_with_the_same_account() -> None:
    t = make_tenants()
    user = t.users["platform.support"]
    with tenant_atomic(Scope.staff()):
        Membership.objects.filter(user=user).delete()
    row = sign_up.platform_set_up(name="x", email=user.email, role="finance").invitation
    assert row is not None
    team.invitation_accept(
        token=team.invitation_token(row.id), name="", password="", ip=None, user=user
    )
    with tenant_atomic(Scope.staff()):
        found = Membership.objects.get(user=user)
    assert (found.level, found.role) == ("platform", "finance")


def test_an_invitation_is_accepted_for_the_person_of_its_address_alone() -> None:
    t = make_tenants()
    row = team.invitation_create(
        actor=t.actor("owner"), email=t.users["reseller.viewer"].email, role="viewer"
    )
    digests = keys.digests(team.invitation_token(row.id), purpose=team.INVITATION_PURPOSE)

    def accept(user: User) -> Any:
        with tenant_atomic(Scope.auth()):
            return fetch_one(
                "SELECT tenants_invitation_accept(%s, %s, %s, NULL, NULL, NULL)",
                [digests, user.id, new_id()],
            )

    assert accept(t.users["platform.support"]) == (False,)
    with tenant_atomic(t.scope):
        assert Invitation.objects.get(id=row.id).accepted_at is None
    assert accept(t.users["reseller.viewer"]) == (True,)
    assert accept(t.users["reseller.viewer"]) == (False,)
