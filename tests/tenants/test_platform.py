"""A new installation: the platform, its first member of staff, its first reseller."""

from __future__ import annotations

import re
import secrets
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from core import errors
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tenants.models import Invitation, Level, Membership, Platform, Reseller
from tenants.services import sign_up, team
from tests.factories import make_tenants

NEW = "A new long passphrase 42"


def create_platform(*options: str) -> str:
    out = StringIO()
    call_command("create_platform", *options, stdout=out)
    return out.getvalue()


def fresh_address() -> str:
    return f"first.{secrets.token_hex(6)}@example.test"


def link_in(text: str) -> str:
    found = re.search(r"https?://[^/]+(/invitations/\S+)", text)
    assert found is not None, text
    return found[1]


def test_the_first_member_of_staff_joins_by_the_printed_link() -> None:
    email = fresh_address()
    said = create_platform("--name", "Acme Payments", "--email", email)
    client = Client()
    joined = client.post(link_in(said), {"name": "First", "password": NEW})
    assert joined.headers["Location"] == "/admin/"
    # Staff sees nothing before the second factor is enrolled.
    assert client.get("/admin/").headers["Location"].startswith("/login/setup")
    with tenant_atomic(Scope.staff()):
        found = Membership.objects.values_list("level", "role", "user__is_staff")
        assert found.get(user__email=email) == (Level.PLATFORM, "compliance", True)
    assert "is a member already" in create_platform("--email", email)


def test_repeating_the_command_makes_nothing_twice() -> None:
    email = fresh_address()
    first = create_platform("--name", "Acme Payments", "--email", email)
    with tenant_atomic(Scope.staff()):
        before = Platform.objects.count()
    again = create_platform("--name", "Another name", "--email", email.upper())
    assert link_in(again) == link_in(first)
    assert "was there already" in again
    with tenant_atomic(Scope.staff()):
        assert Platform.objects.count() == before
        assert Invitation.objects.filter(email=email).count() == 1
    other_role = create_platform("--email", email, "--role", "finance")
    assert link_in(other_role) != link_in(first)
    assert Client().get(link_in(first)).status_code == 404


def test_an_installation_without_a_platform_gets_one_and_it_is_audited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Other tests have made theirs in this database.
    monkeypatch.setattr(sign_up, "_platform_find", lambda: None)
    with pytest.raises(CommandError, match="Give a name"):
        create_platform("--email", fresh_address())
    name = f"Acme {secrets.token_hex(4)}"
    said = create_platform("--name", f"  {name} ", "--email", fresh_address())
    assert f"Platform {name} (plt_" in said
    with tenant_atomic(Scope.staff()):
        row = Platform.objects.get(name=name)
        assert AuditRecord.objects.filter(action="platform.created", target=row.public_id).exists()


@pytest.mark.parametrize("email", ["", "nonsense"])
def test_a_bad_address_is_said_in_a_sentence(email: str) -> None:
    with pytest.raises(CommandError, match="not an e-mail address"):
        create_platform("--name", "Acme", "--email", email)


def test_compliance_signs_up_a_reseller_whose_owner_then_joins() -> None:
    t, email = make_tenants(), fresh_address()
    row = sign_up.reseller_sign_up(
        actor=t.actor("compliance", level="platform"),
        platform_id=t.platform.id,
        name="Northwind",
        country="de",
        owner_email=email,
    )
    with tenant_atomic(Scope.staff()):
        invitation = Invitation.objects.get(email=email)
    assert (invitation.level, invitation.role, invitation.reseller_id) == (
        Level.RESELLER,
        "owner",
        row.id,
    )
    team.invitation_accept(
        token=team.invitation_token(invitation.id), name="O", password=NEW, ip=None
    )
    with pytest.raises(errors.PermissionDenied) as caught:
        sign_up.owner_invite(
            actor=t.actor("compliance", level="platform"), reseller_id=row.id, email=fresh_address()
        )
    assert caught.value.code == "owner_required"


def test_a_reseller_whose_owner_cannot_be_invited_is_not_made() -> None:
    t, name = make_tenants(), f"Northwind {secrets.token_hex(4)}"
    with pytest.raises(errors.InvalidRequest):
        sign_up.reseller_sign_up(
            actor=t.actor("compliance", level="platform"),
            platform_id=t.platform.id,
            name=name,
            country="DE",
            owner_email="nonsense",
        )
    with tenant_atomic(Scope.staff()):
        assert not Reseller.objects.filter(name=name).exists()
