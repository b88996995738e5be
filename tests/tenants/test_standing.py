"""Which status may follow which, what a merchant needs first, and the second person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent
from tenants.models import Merchant, Reseller, TenantChange, TenantStatus, TotpDevice
from tenants.models.tree import TENANT_MOVES
from tenants.services import merchants, standing
from tests.factories import Tenants, make_tenants
from tests.tenants.test_permission_table import browser_for

WHY = "Papers checked"


def by(t: Tenants, role: str) -> Actor:
    return t.actor(role, level="platform")


def set_status(t: Tenants, status: str, *, role: str = "compliance", reason: str = WHY) -> Any:
    return standing.tenant_set_status(
        actor=by(t, role), status=status, reason=reason, merchant_id=t.merchant.id
    )


def shop(**given: Any) -> Tenants:
    return make_tenants(totp=True, **{"status": "pending", **given})


def status_of(t: Tenants) -> str:
    with tenant_atomic(Scope.staff()):
        return Merchant.objects.get(id=t.merchant.id).status


def records(t: Tenants) -> list[str]:
    with tenant_atomic(Scope.staff()):
        rows = AuditRecord.objects.filter(target=t.merchant.public_id).order_by("id")
        return list(rows.values_list("action", flat=True))


@pytest.mark.parametrize("before", TenantStatus.values)
@pytest.mark.parametrize("after", TenantStatus.values)
def test_a_status_follows_the_table_and_no_other_way(before: str, after: str) -> None:
    t = shop(status=before)
    if after in TENANT_MOVES[before]:
        waits = set_status(t, after)
        assert (waits is not None) is (after == "active")
        assert status_of(t) == (before if waits else after)
    else:
        with pytest.raises(errors.Conflict):
            set_status(t, after)
        assert (status_of(t), records(t)) == (before, [])


def test_an_activation_waits_for_a_second_person_and_is_recorded_with_its_reason() -> None:
    t = shop()
    change = set_status(t, "active")
    with pytest.raises(errors.PermissionDenied):
        standing.tenant_change_confirm(actor=by(t, "compliance"), change_id=change.id)
    assert status_of(t) == "pending"

    standing.tenant_change_confirm(actor=by(t, "finance"), change_id=change.id)

    assert status_of(t) == "active"
    assert records(t) == [
        "merchant.status_proposed",
        "merchant.status_confirmed",
        "merchant.status_changed",
    ]
    with tenant_atomic(Scope.staff()):
        record = AuditRecord.objects.get(
            action="merchant.status_changed", target=t.merchant.public_id
        )
        event = OutboxEvent.objects.get(
            type="merchant.status_changed", aggregate=t.merchant.public_id
        )
    assert record.before == {"status": "pending"}
    assert record.after == {
        "status": "active",
        "reason": WHY,
        "proposal": change.public_id,
        "proposed_by": t.users["platform.compliance"].public_id,
    }
    assert event.payload == {"id": t.merchant.public_id, "status": "active"}


@pytest.mark.parametrize("role", ["support", "finance"])
def test_only_compliance_proposes(role: str) -> None:
    t = shop()
    with pytest.raises(errors.PermissionDenied):
        set_status(t, "active", role=role)
    assert records(t) == []


@pytest.mark.parametrize("status", ["active", "closed"])
@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_changes(status: str, reason: str) -> None:
    t = shop()
    with pytest.raises(errors.InvalidRequest) as caught:
        set_status(t, status, reason=reason)
    assert (caught.value.param, status_of(t), records(t)) == ("reason", "pending", [])


def _without_second_factor(t: Tenants) -> None:
    with tenant_atomic(Scope.staff()):
        TotpDevice.objects.filter(user=t.users["merchant.owner"]).delete()


def _without_legal_name(t: Tenants) -> None:
    with tenant_atomic(Scope.staff()):
        Merchant.objects.filter(id=t.merchant.id).update(legal_name="")


def _without_reseller(t: Tenants) -> None:
    with tenant_atomic(Scope.staff()):
        Reseller.objects.filter(id=t.reseller.id).update(status="suspended")


@pytest.mark.parametrize(
    ("take_away", "said"),
    [
        (_without_legal_name, "Enter its legal name (Correct details)."),
        (_without_second_factor, "set up a second factor."),
        (_without_reseller, "Activate its reseller first."),
    ],
)
def test_what_is_missing_is_said_and_refused_by_proposal_and_confirmation(
    take_away: Any, said: str
) -> None:
    t = shop()
    change = set_status(t, "active")
    take_away(t)
    with pytest.raises(errors.Conflict, match="cannot take live payments yet") as caught:
        standing.tenant_change_confirm(actor=by(t, "finance"), change_id=change.id)
    assert caught.value.code == "tenant_incomplete"
    assert said in caught.value.message
    standing.tenant_change_reject(actor=by(t, "compliance"), change_id=change.id)
    with pytest.raises(errors.Conflict, match="cannot take live payments yet"):
        set_status(t, "active")
    assert status_of(t) == "pending"


def test_one_proposal_waits_at_a_time_and_for_three_days() -> None:
    t = shop()
    change = set_status(t, "active")
    with pytest.raises(errors.Conflict):
        set_status(t, "active")
    with tenant_atomic(Scope.staff()):
        TenantChange.objects.filter(id=change.id).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )
    with pytest.raises(errors.Conflict, match="three days"):
        standing.tenant_change_confirm(actor=by(t, "finance"), change_id=change.id)
    assert set_status(t, "active") is not None


def test_what_was_rejected_is_not_confirmed() -> None:
    t = shop()
    change = set_status(t, "active")
    standing.tenant_change_reject(actor=by(t, "finance"), change_id=change.id)
    with pytest.raises(errors.Conflict):
        standing.tenant_change_confirm(actor=by(t, "finance"), change_id=change.id)
    assert status_of(t) == "pending"


def test_the_database_knows_two_persons() -> None:
    t = shop()
    change = set_status(t, "active")
    with pytest.raises(IntegrityError), tenant_atomic(Scope.staff()):
        TenantChange.objects.filter(id=change.id).update(
            state="confirmed", decided_by=t.users["platform.compliance"]
        )


def test_compliance_reads_what_is_missing_corrects_it_and_a_colleague_confirms() -> None:
    t = shop(legal_name="")
    client = browser_for(t, "platform", "compliance")
    address = "admin:tenants_merchant_{}"
    page = reverse(address.format("change"), args=[t.merchant.id])
    activate = reverse(address.format("activate"), args=[t.merchant.id])
    assert "✗ Legal name: Enter its legal name" in client.get(page).content.decode()
    refused = client.post(activate, {"reason": WHY})
    assert refused.status_code == 422
    assert "cannot take live payments yet" in refused.content.decode()

    correct = reverse(address.format("correct"), args=[t.merchant.id])
    client.post(correct, {"legal_name": "Corner Books LLC", "country": "de"})
    assert "✓ Legal name" in client.get(page).content.decode()
    assert client.post(activate, {"reason": WHY}).status_code == 302
    with tenant_atomic(Scope.staff()):
        change = TenantChange.objects.get(merchant=t.merchant)
        row = Merchant.objects.get(id=t.merchant.id)
    assert (row.legal_name, row.country, row.status) == ("Corner Books LLC", "DE", "pending")
    confirm = reverse("admin:tenants_tenantchange_confirm", args=[change.id])
    colleague = browser_for(t, "platform", "finance")
    assert WHY in colleague.get(confirm).content.decode()
    assert colleague.post(confirm).status_code == 302
    assert status_of(t) == "active"
    shown = client.get(page).content.decode()
    assert (activate in shown, "/suspend" in shown) == (False, True)


def test_a_legal_name_is_text() -> None:
    t = shop()
    for wrong in ("", "x" * 201, "4242 4242 4242 4242"):
        with pytest.raises(errors.InvalidRequest):
            merchants.merchant_identify(
                actor=by(t, "compliance"),
                merchant_id=t.merchant.id,
                legal_name=wrong,
                country="US",
            )
