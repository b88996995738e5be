"""The admin: read-only where the design says so, actions through services, a policy of its own."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import crypto
from core.admin import ReadOnlyAdmin
from core.db import Scope, tenant_atomic
from core.ids import new_id
from core.models import AuditRecord, InboxMessage, OutboxEvent
from tenants import callers
from tenants.models import (
    ApiKey,
    Invitation,
    Merchant,
    RecoveryCode,
    Reseller,
    ServiceCaller,
    TenantChange,
    TotpDevice,
    User,
)
from tests.factories import PASSWORD, Tenants, make_merchant, make_tenants
from tests.tenants.test_permission_table import browser_for

READ_ONLY_APPS = {
    "core", "tenants", "ledger", "intents", "acceptance", "checkout", "notifications",
}  # fmt: skip


@pytest.fixture(scope="module")
def t() -> Tenants:
    return make_tenants(totp=True)


def staff(t: Tenants, role: str) -> Client:
    return browser_for(t, "platform", role)


def page(model: type, object_id: object, action: str = "") -> str:
    meta = model._meta  # type: ignore[attr-defined]
    name = f"admin:{meta.app_label}_{meta.model_name}"
    if action:
        return reverse(f"{name}_{action}", args=[object_id])
    return reverse(f"{name}_change", args=[object_id])


def test_every_page_of_money_ledger_and_audit_is_read_only() -> None:
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label in READ_ONLY_APPS:
            assert isinstance(model_admin, ReadOnlyAdmin), model


def test_no_framework_page_goes_around_our_services() -> None:
    apps = {model._meta.app_label for model in admin.site._registry}
    assert not apps & {"auth", "guardian", "otp_totp", "otp_static", "sessions"}


def test_the_pages_show_what_staff_needs_and_no_secret(t: Tenants) -> None:
    client = staff(t, "support")
    key = t.key_rows["sk", False]
    shown = client.get(page(ApiKey, key.id)).content.decode()
    assert key.name in shown
    assert bytes(key.digest).hex() not in shown
    user = t.users["merchant.owner"]
    shown = client.get(page(User, user.id)).content.decode()
    assert user.email in shown
    assert t.merchant.name in shown
    assert user.password not in shown


def test_a_read_only_page_takes_no_post(t: Tenants) -> None:
    client = staff(t, "compliance")
    response = client.post(page(Merchant, t.merchant.id), {"name": "Changed"})
    assert response.status_code == 403
    for name in ("add", "delete"):
        args = [] if name == "add" else [t.merchant.id]
        address = reverse(f"admin:tenants_merchant_{name}", args=args)
        assert client.get(address).status_code == 403
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).name == t.merchant.name


def _given_up(t: Tenants, model: type[Model]) -> OutboxEvent | InboxMessage:
    """A quarantined row, made as if the relay or a worker had given it up."""
    row: OutboxEvent | InboxMessage
    if model is OutboxEvent:
        row = OutboxEvent(
            type="test.given_up",
            aggregate=f"obj_{new_id().hex}",
            payload={},
            merchant_id=t.merchant.id,
            reseller_id=t.reseller.id,
            quarantined_at=timezone.now(),
            attempts=12,
        )
    else:
        row = InboxMessage(
            id=new_id(),
            provider="nobody",
            account_id=new_id(),
            lane_id=new_id(),
            event_id="evt_1",
            raw=b"{}",
            state="quarantined",
            attempts=12,
        )
    with tenant_atomic(Scope.worker()):
        row.save(force_insert=True)
    return row


@pytest.mark.parametrize("model", [OutboxEvent, InboxMessage])
def test_support_releases_what_was_quarantined(t: Tenants, model: type[Model]) -> None:
    row = _given_up(t, model)
    address = page(model, row.id, "release")
    assert staff(t, "compliance").post(address).status_code == 403
    client = staff(t, "support")
    assert "Mend first" in client.get(address).content.decode()
    with tenant_atomic(Scope.worker()):
        row.refresh_from_db()
    assert row.attempts == 12

    assert client.post(address).status_code == 302

    public_id = getattr(row, "public_id", str(row.id))
    with tenant_atomic(Scope.worker()):
        row.refresh_from_db()
        # Nothing of another test is to find it.
        row.delete()
    assert row.attempts == 0
    with tenant_atomic(Scope.staff()):
        [record] = AuditRecord.objects.filter(
            actor_id=t.users["platform.support"].public_id
        ).filter(action__in=("event.released", "inbox.released"), target=public_id)
    assert record.ip == "127.0.0.1"


def test_compliance_suspends_a_merchant_and_support_cannot() -> None:
    t = make_tenants(totp=True)
    address = page(Merchant, t.merchant.id, "suspend")
    assert staff(t, "support").post(address).status_code == 403
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "active"
    client = staff(t, "compliance")
    assert "Live payments stop" in client.get(address).content.decode()
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "active"
    assert client.post(address).status_code == 422
    assert client.post(address, {"reason": "A notice of the scheme"}).status_code == 302
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "suspended"
        record = AuditRecord.objects.get(action="merchant.status_changed")
        event = OutboxEvent.objects.get(type="merchant.status_changed")
    assert record.actor_id == t.users["platform.compliance"].public_id
    assert record.before == {"status": "active"}
    assert record.after == {"status": "suspended", "reason": "A notice of the scheme"}
    assert event.aggregate == t.merchant.public_id


def test_an_action_is_offered_to_those_who_may(t: Tenants) -> None:
    address = page(Merchant, t.merchant.id, "suspend")
    for role, offered in (("compliance", True), ("support", False), ("finance", False)):
        shown = staff(t, role).get(page(Merchant, t.merchant.id)).content.decode()
        assert (address in shown) is offered, role


def test_the_overview_counts_and_links(t: Tenants) -> None:
    client = staff(t, "support")
    shown = client.get("/admin/").content.decode()
    assert "Active merchants" in shown
    assert "Done last" in shown
    listed = client.get("/admin/tenants/merchant/?status__exact=active")
    assert listed.status_code == 200


def test_every_action_asks_before_it_acts() -> None:
    for model_admin in admin.site._registry.values():
        if not isinstance(model_admin, ReadOnlyAdmin):
            continue
        for name in model_admin._extract_action_names(model_admin.actions_detail):
            act = getattr(model_admin, name)
            while hasattr(act, "__wrapped__") and act.__code__.co_name != "ask":
                act = act.__wrapped__
            assert act.__code__.co_name == "ask", f"{model_admin}.{name} needs @staff_action"


def test_an_action_needs_a_csrf_token(t: Tenants) -> None:
    client = staff(t, "compliance")
    client.handler.enforce_csrf_checks = True
    assert client.post(page(Merchant, t.merchant.id, "suspend")).status_code == 403
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "active"


def test_support_takes_a_lost_authenticator_away() -> None:
    t = make_tenants(totp=True)
    user = t.users["merchant.owner"]
    response = staff(t, "support").post(
        page(User, user.id, "reset_second_factor"), {"reason": "lost the phone, called back"}
    )
    assert response.status_code == 302
    with tenant_atomic(Scope.auth()):
        assert not TotpDevice.objects.filter(user=user).exists()
        assert not RecoveryCode.objects.filter(user=user).exists()
        assert TotpDevice.objects.filter(user=t.users["merchant.admin"]).exists()
    with tenant_atomic(Scope.staff()):
        assert AuditRecord.objects.filter(
            action="user.second_factor_reset", target=user.public_id
        ).exists()


@pytest.mark.parametrize("name", ["password_change", "password_change_done"])
def test_the_frameworks_form_for_passwords_is_not_ours(t: Tenants, name: str) -> None:
    user = t.users["platform.support"]
    given = {"old_password": PASSWORD, "new_password1": "a b c d e f g", "new_password2": "a b c d"}
    for method in ("get", "post"):
        response = getattr(staff(t, "support"), method)(reverse(f"admin:{name}"), given)
        assert (response.status_code, response.headers["Location"]) == (302, "/password/reset")
    with tenant_atomic(Scope.auth()):
        assert User.objects.get(id=user.id).login_stamp == user.login_stamp


def test_support_sends_a_reset_link() -> None:
    t = make_tenants(totp=True)
    user = t.users["merchant.viewer"]
    staff(t, "support").post(page(User, user.id, "send_reset"))
    with tenant_atomic(Scope.staff()):
        assert OutboxEvent.objects.filter(
            type="user.password_reset_requested", aggregate=user.public_id
        ).exists()


def test_an_error_of_ours_becomes_a_message_and_changes_nothing() -> None:
    t = make_tenants(totp=True)
    with tenant_atomic(Scope.staff()):
        Merchant.objects.filter(id=t.merchant.id).update(status="suspended")
    client = staff(t, "compliance")
    client.post(page(Merchant, t.merchant.id, "activate"), {"reason": "Settled"})
    with tenant_atomic(Scope.staff()):
        change = TenantChange.objects.get(merchant=t.merchant)
    response = client.post(page(TenantChange, change.id, "confirm"), follow=True)
    assert "A second person has to confirm this" in response.content.decode()
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "suspended"


def test_the_admin_has_a_policy_of_its_own_and_a_main_landmark(t: Tenants) -> None:
    response = staff(t, "finance").get("/admin/")
    policy = response.headers["Content-Security-Policy"]
    assert "'unsafe-eval'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "default-src 'none'" in policy
    assert b"<main" in response.content
    assert "unsafe-eval" not in Client().get("/login").headers["Content-Security-Policy"]


def test_the_lists_open_with_a_search_and_a_filter(t: Tenants) -> None:
    client = staff(t, "support")
    for model, model_admin in admin.site._registry.items():
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        if model_admin.search_fields:
            response = client.get(address, {"q": "nothing"})
            assert response.status_code == 200, (model, response.headers.get("Location"))


def test_the_sidebar_names_only_pages_that_exist(t: Tenants) -> None:
    shown = staff(t, "support").get("/admin/").content.decode()
    assert reverse("admin:tenants_merchant_changelist") in shown
    assert reverse("admin:core_auditrecord_changelist") in shown


def listed_action(model: type, action: str) -> str:
    meta = model._meta  # type: ignore[attr-defined]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{action}")


def test_compliance_signs_up_a_reseller_with_its_owner() -> None:
    t = make_tenants(totp=True)
    address = listed_action(Reseller, "sign_up")
    client = staff(t, "compliance")
    assert address in client.get("/admin/tenants/reseller/").content.decode()
    shown = client.get(address).content.decode()
    assert t.platform.name in shown
    email = f"owner.{t.platform.id.hex}@example.test"
    form = {"platform": str(t.platform.id), "name": "Northwind", "country": "de"}
    refused = client.post(address, {**form, "owner_email": "nonsense"})
    assert refused.status_code == 422
    assert "Northwind" in refused.content.decode()
    assert client.post(address, {**form, "owner_email": email}).status_code == 302
    with tenant_atomic(Scope.staff()):
        invitation = Invitation.objects.select_related("reseller").get(email=email)
        assert invitation.reseller is not None
        assert (invitation.role, invitation.reseller.country) == ("owner", "DE")
        assert Reseller.objects.filter(platform=t.platform).count() == 2


def test_a_reseller_that_a_service_refuses_is_not_made_by_half() -> None:
    t = make_tenants(totp=True)
    form = {"platform": str(t.platform.id), "name": "X", "country": "QQ"}
    response = staff(t, "compliance").post(
        listed_action(Reseller, "sign_up"),
        {**form, "owner_email": "o@example.test"},
        headers={"Referer": listed_action(Reseller, "sign_up")},
        follow=True,
    )
    assert "ISO 3166-1" in response.content.decode()
    with tenant_atomic(Scope.staff()):
        assert Reseller.objects.filter(platform=t.platform).count() == 1


@pytest.mark.parametrize("role", ["finance", "support"])
def test_other_staff_sign_up_no_reseller(role: str) -> None:
    t = make_tenants(totp=True)
    client, address = staff(t, role), listed_action(Reseller, "sign_up")
    assert address not in client.get("/admin/tenants/reseller/").content.decode()
    assert client.get(address).status_code == 403
    assert client.post(address, {"name": "X"}).status_code == 403


def test_finance_prices_a_merchant_and_compliance_does_not() -> None:
    t = make_tenants(totp=True)
    address = page(Merchant, t.merchant.id, "set_fees")
    form = {"fee_bps": "150", "fee_fixed_minor": "25", "reseller_share_bps": "1000"}
    assert staff(t, "compliance").post(address, form).status_code == 403
    client = staff(t, "finance")
    assert 'value="290"' in client.get(address).content.decode()
    assert client.post(address, {**form, "fee_bps": "10001"}).status_code == 422
    assert client.post(address, form).status_code == 302
    with tenant_atomic(t.scope):
        row = Merchant.objects.get(id=t.merchant.id)
        record = AuditRecord.objects.get(action="merchant.fees_changed")
    assert (row.fee_bps, row.fee_fixed_minor, row.reseller_share_bps) == (150, 25, 1000)
    assert record.before == {"fee_bps": 290, "fee_fixed_minor": 30, "reseller_share_bps": 2000}


def test_compliance_closes_a_merchant_for_good() -> None:
    t = make_tenants(totp=True)
    client = staff(t, "compliance")
    address = page(Merchant, t.merchant.id, "close")
    assert "stays closed" in client.get(address).content.decode()
    client.post(address, {"reason": "Gave up the business"})
    refused = client.post(page(Merchant, t.merchant.id, "activate"), {"reason": "Back again"})
    assert "A closed tenant stays closed." in refused.content.decode()
    with tenant_atomic(t.scope):
        assert Merchant.objects.get(id=t.merchant.id).status == "closed"


def test_a_first_owner_is_invited_where_there_is_none() -> None:
    t = make_tenants(totp=True)
    second = make_merchant(t)
    client, email = staff(t, "compliance"), f"first.{t.merchant.id.hex}@example.test"
    for merchant, made in ((t.merchant, 0), (second.merchant, 1)):
        client.post(page(Merchant, merchant.id, "invite_owner"), {"email": email})
        with tenant_atomic(Scope.staff()):
            assert Invitation.objects.filter(email=email).count() == made


def test_a_service_caller_is_made_shown_once_and_revoked() -> None:
    t = make_tenants(totp=True)
    address, client = listed_action(ServiceCaller, "create"), staff(t, "support")
    form = {"name": "Router", "merchant": t.merchant.public_id, "livemode": "on"}
    assert staff(t, "compliance").post(address, form).status_code == 403
    assert client.post(address, {**form, "merchant": "mer_nonsense"}).status_code == 422
    response = client.post(address, form)
    shown = response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    with tenant_atomic(Scope.staff()):
        row = ServiceCaller.objects.get(merchant_id=t.merchant.id)
    assert row.key_id in shown
    assert (row.livemode, row.reseller_id) == (True, t.reseller.id)
    secret = crypto.open_sealed(
        row.secret_sealed,
        tenant_id=crypto.PLATFORM_TENANT,
        table=callers.TABLE,
        column=callers.COLUMN,
        pk=row.id,
    )
    assert secret in shown
    assert secret not in client.get(page(ServiceCaller, row.id)).content.decode()
    client.post(page(ServiceCaller, row.id, "revoke"))
    with tenant_atomic(Scope.staff()):
        assert ServiceCaller.objects.get(id=row.id).revoked_at is not None
        assert AuditRecord.objects.filter(
            action="service_caller.revoked", target=row.public_id
        ).exists()
