"""What became of invitations: shown to those who sent them, sent again, withdrawn."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.utils import timezone

from core import errors
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tenants.models import Invitation, Role
from tenants.services import mail, team
from tests.factories import Tenants, make_merchant, make_tenants
from tests.portal.support import signed_in, text_of
from tests.tenants.test_api import as_person, call


def aged(row: Invitation, **ago: timedelta) -> None:
    """Move an invitation's times into the past."""
    with tenant_atomic(Scope.staff()):
        now = timezone.now()
        Invitation.objects.filter(id=row.id).update(**{key: now - by for key, by in ago.items()})


def invite(t: Tenants, email: str, *, ends: str = "sent") -> Invitation:
    row = team.invitation_create(actor=t.actor("owner"), email=email, role="viewer")
    if ends == "expired":
        aged(row, created_at=timedelta(days=8), expires_at=timedelta(days=1))
    if ends == "withdrawn":
        team.invitation_revoke(actor=t.actor("owner"), invitation_id=row.id)
    if ends == "accepted":
        team.invitation_accept(
            token=team.invitation_token(row.id),
            name="New",
            password="A new long passphrase 42",
            ip=None,
        )
    return row


@pytest.mark.parametrize("ends", ["sent", "expired", "accepted", "withdrawn"])
def test_the_team_sees_what_became_of_each_invitation_and_who_sent_it(ends: str) -> None:
    t = make_tenants(totp=True)
    row = invite(t, f"{ends}.{t.merchant.id.hex}@example.test", ends=ends)

    client = signed_in(t, "merchant.admin")
    page = text_of(client.get("/team"))
    invited = page.split("Invitations", 1)[1]
    assert f"{row.email} invited by {t.users['merchant.owner'].name}" in invited
    assert ends.capitalize() in invited
    markup = client.get("/team").content.decode()
    open_ones = ends in ("sent", "expired")
    assert (f"/team/invitations/{row.public_id}/resend" in markup) is open_ones
    assert (f"/team/invitations/{row.public_id}/revoke" in markup) is open_ones

    headers = as_person(t, "admin")
    for asked in ("sent", "expired", "accepted", "withdrawn", "all"):
        _, answer = call("GET", f"/v1/team/invitations?status={asked}", headers=headers)
        found = [(each["id"], each["status"]) for each in answer["data"]["items"]]
        assert found == ([(row.public_id, ends)] if asked in (ends, "all") else [])


def test_an_unknown_status_of_invitations_is_refused() -> None:
    t = make_tenants(totp=True)
    status, answer = call("GET", "/v1/team/invitations?status=open", headers=as_person(t, "admin"))
    assert (status, answer["error"]["param"]) == (400, "status")


def test_resending_sends_a_new_link_and_the_old_one_no_longer_works() -> None:
    t = make_tenants(totp=True)
    row = invite(t, f"again.{t.merchant.id.hex}@example.test", ends="expired")

    answer = signed_in(t, "merchant.owner").post(f"/team/invitations/{row.public_id}/resend")

    assert answer.headers["Location"] == "/team"
    with tenant_atomic(t.scope):
        old, new = Invitation.objects.filter(email=row.email).order_by("id")
        recorded = set(
            AuditRecord.objects.filter(target=new.public_id).values_list("action", flat=True)
        )
    assert (old.state(timezone.now()), new.state(timezone.now())) == ("withdrawn", "sent")
    assert recorded == {"invitation.created"}
    assert mail.invitation_mail(invitation_id=new.id)
    assert team.invitation_token(new.id) in outbox.outbox[-1].body
    with pytest.raises(errors.NotFound):
        team.invitation_find(token=team.invitation_token(old.id))


def test_resending_within_a_day_is_refused_and_the_first_link_stays_good() -> None:
    t = make_tenants(totp=True)
    row = invite(t, f"soon.{t.merchant.id.hex}@example.test")
    client = signed_in(t, "merchant.owner")
    client.post(f"/team/invitations/{row.public_id}/resend")
    assert "the link in that mail is still good" in text_of(client.get("/team"))
    path = f"/v1/team/invitations/{row.public_id}/resend"
    status, answer = call("POST", path, {}, headers=as_person(t, "admin"))
    assert (status, answer["error"]["code"]) == (429, "invited_already")
    assert team.invitation_find(token=team.invitation_token(row.id)).id == row.id


@pytest.mark.parametrize("ends", ["accepted", "withdrawn"])
def test_what_has_ended_is_not_sent_again(ends: str) -> None:
    t = make_tenants(totp=True)
    row = invite(t, f"over.{t.merchant.id.hex}@example.test", ends=ends)
    with pytest.raises(errors.Conflict):
        team.invitation_resend(actor=t.actor("owner"), invitation_id=row.id)
    with tenant_atomic(t.scope):
        assert Invitation.objects.filter(email=row.email).count() == 1


def test_an_admin_resends_no_owners_invitation() -> None:
    t = make_tenants(totp=True)
    row = team.invitation_create(
        actor=t.actor("owner"), email=f"o.{t.merchant.id.hex}@example.test", role="owner"
    )
    aged(row, created_at=timedelta(days=2))
    with pytest.raises(errors.PermissionDenied):
        team.invitation_resend(actor=t.actor("admin"), invitation_id=row.id)


def test_a_reseller_sees_the_owners_invitation_resends_and_withdraws_it() -> None:
    t = make_tenants(totp=True)
    shop, client = make_merchant(t), signed_in(t, "reseller.admin")
    page, email = f"/merchants/{shop.merchant.public_id}", f"o.{t.merchant.id.hex}@example.test"
    client.post(f"{page}/owner", {"email": email})
    with tenant_atomic(t.reseller_scope):
        row = Invitation.objects.get(email=email)
    shown = text_of(client.get(page))
    assert f"{email} invited by" in shown
    assert "Sent until" in shown
    assert "Invite the owner" not in shown
    assert email not in text_of(client.get("/team"))

    aged(row, created_at=timedelta(days=2))
    answer = client.post(f"/team/invitations/{row.public_id}/resend")
    assert answer.headers["Location"] == page
    with tenant_atomic(t.reseller_scope):
        new = Invitation.objects.exclude(id=row.id).get(email=email)
    assert (new.role, new.merchant_id) == (Role.OWNER, shop.merchant.id)

    client.post(f"/team/invitations/{new.public_id}/revoke")
    shown = text_of(client.get(page))
    assert "Withdrawn" in shown
    assert "Invite the owner" in shown


def test_another_tenants_invitation_does_not_exist() -> None:
    t, other = make_tenants(totp=True), make_tenants(totp=True)
    row = invite(other, f"x.{other.merchant.id.hex}@example.test")
    client = signed_in(t, "merchant.owner")
    assert client.post(f"/team/invitations/{row.public_id}/resend").status_code == 404
    with pytest.raises(errors.NotFound):
        team.invitation_resend(actor=t.actor("owner"), invitation_id=row.id)
