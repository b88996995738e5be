"""Provider accounts in the staff's console."""

from __future__ import annotations

import secrets
import time
from typing import Any

import psycopg
import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django_otp import DEVICE_ID_SESSION_KEY

from core.context import Actor
from core.db import Scope, tenant_atomic
from payments.providers import services
from payments.providers.models import ProviderAccount, RoutingRule
from payments.providers.selectors import adapter_for
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import TotpDevice
from tests.factories import Tenants, make_tenants

KEY = "sk_test_" + "q" * 24


@pytest.fixture(scope="module")
def tenants(database: str) -> Tenants:
    return make_tenants(totp=True)


def browser(tenants: Tenants, role: str) -> Client:
    """A browser in which a member of staff has passed both steps."""
    user = tenants.users[f"platform.{role}"]
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user_id=user.id)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session[SESSION_STARTED] = session[SESSION_SEEN] = int(time.time())
    session.save()
    return client


def form(label: str, **changes: Any) -> dict[str, Any]:
    return {
        "provider": "stripe",
        "label": label,
        "api_base": "http://127.0.0.1:9",
        "timeout_s": 20,
        "secret_key": KEY,
        "webhook_secret": "whsec_console",
    } | changes


def found(label: str) -> ProviderAccount | None:
    with tenant_atomic(Scope.staff()):
        return ProviderAccount.objects.filter(label=label).first()


def test_an_account_is_opened_with_sealed_secrets_and_an_audit_record(
    tenants: Tenants, admin_dsn: str
) -> None:
    label = "Stripe " + secrets.token_hex(4)
    client = browser(tenants, "finance")
    add = reverse("admin:providers_provideraccount_add")
    assert client.get(add).status_code == 200
    assert client.post(add, form(label)).status_code == 302
    account = found(label)
    assert account is not None
    assert adapter_for(account.id).config.credentials["secret_key"] == KEY
    with psycopg.connect(admin_dsn) as conn:
        [record] = conn.execute(
            "select action, actor_label, t::text from core_auditrecord t where target = %s",
            [account.public_id],
        ).fetchall()
    assert record[:2] == (
        "provider_account.created",
        tenants.users["platform.finance"].email,
    )
    assert KEY not in record[2]
    # Its page and the list show what it is, and neither secret.
    change = reverse("admin:providers_provideraccount_change", args=[account.id])
    for page in (change, reverse("admin:providers_provideraccount_changelist")):
        text = client.get(page).content.decode()
        assert label in text
        assert f"/v1/provider_webhooks/stripe/{account.public_id}" in text
        assert KEY not in text
        assert "v1.1." not in text


def test_a_key_of_the_other_mode_is_refused_with_a_message(tenants: Tenants) -> None:
    label = "Stripe " + secrets.token_hex(4)
    client = browser(tenants, "support")
    add = reverse("admin:providers_provideraccount_add")
    response = client.post(add, form(label, livemode="on"))
    assert response.status_code == 302
    said = [str(message) for message in get_messages(response.wsgi_request)]
    assert any("begins with sk_live_" in message for message in said)
    assert found(label) is None


def test_whoever_may_not_operate_may_only_look(tenants: Tenants) -> None:
    label = "Stripe " + secrets.token_hex(4)
    client = browser(tenants, "compliance")
    listing = reverse("admin:providers_provideraccount_changelist")
    assert client.get(listing).status_code == 200
    assert (
        client.post(reverse("admin:providers_provideraccount_add"), form(label)).status_code == 403
    )
    assert found(label) is None


def test_an_account_is_switched_off_and_on(tenants: Tenants) -> None:
    account = services.account_create(
        actor=Actor.system("test"),
        provider="stripe",
        label="Stripe " + secrets.token_hex(4),
        livemode=False,
        credentials={"secret_key": KEY},
        api_base="http://127.0.0.1:9",
    )
    listing = reverse("admin:providers_provideraccount_changelist")
    for action, enabled in (("disable", False), ("enable", True)):
        browser(tenants, "finance").post(
            listing, {"action": action, "_selected_action": [str(account.id)]}
        )
        now = found(account.label)
        assert now is not None
        assert now.enabled is enabled


def test_finance_replaces_key_and_webhook_secret_which_no_page_shows(tenants: Tenants) -> None:
    account = services.account_create(
        actor=Actor.system("test"),
        provider="stripe",
        label="Stripe " + secrets.token_hex(4),
        livemode=False,
        credentials={"secret_key": KEY},
        webhook_secrets=["whsec_before"],
        api_base="http://127.0.0.1:9",
    )
    new = "sk_test_" + "n" * 24
    change = reverse("admin:providers_provideraccount_change", args=[account.id])
    client = browser(tenants, "finance")
    page = client.get(change).content.decode()
    names = [
        f"admin:providers_provideraccount_{action}"
        for action in ("replace_key", "replace_webhook_secret")
    ]
    for_key, for_secret = (reverse(name, args=[account.id]) for name in names)
    assert for_key in page
    assert for_secret in page
    for role in ("support", "compliance"):
        given = {"secret_key": new, "reason": "rolled"}
        assert browser(tenants, role).post(for_key, given).status_code == 403

    wrong = client.post(for_key, {"secret_key": "sk_live_wrong", "reason": "rolled"})
    assert wrong.status_code == 422
    assert "begins with sk_test_" in wrong.content.decode()
    assert "sk_live_wrong" not in wrong.content.decode()

    done = client.post(for_key, {"secret_key": new, "reason": "rolled"}, follow=True)
    assert new not in done.content.decode()
    rolled = {"secret": "whsec_after", "overlap_h": "24", "reason": "rolled"}
    done = client.post(for_secret, rolled, follow=True)
    assert "whsec_after" not in done.content.decode()
    config = adapter_for(account.id).config
    assert config.credentials == {"secret_key": new}
    assert config.webhook_secrets == ("whsec_after", "whsec_before")


def test_switching_needs_the_permission(tenants: Tenants) -> None:
    account = services.account_create(
        actor=Actor.system("test"),
        provider="stripe",
        label="Stripe " + secrets.token_hex(4),
        livemode=False,
        credentials={"secret_key": KEY},
        api_base="http://127.0.0.1:9",
    )
    browser(tenants, "compliance").post(
        reverse("admin:providers_provideraccount_changelist"),
        {"action": "disable", "_selected_action": [str(account.id)]},
    )
    now = found(account.label)
    assert now is not None
    assert now.enabled


def test_a_rule_is_added_and_none_is_deleted(tenants: Tenants) -> None:
    account = services.account_create(
        actor=Actor.system("test"),
        provider="stripe",
        label="Stripe " + secrets.token_hex(4),
        livemode=False,
        credentials={"secret_key": KEY},
        api_base="http://127.0.0.1:9",
    )
    client = browser(tenants, "finance")
    given = {"account": str(account.id), "currencies": "CHF,SEK", "priority": 65_000 // 2}
    assert client.post(reverse("admin:providers_routingrule_add"), given).status_code == 302
    with tenant_atomic(Scope.staff()):
        rule = RoutingRule.objects.get(account_id=account.id)
    assert rule.currencies == ["CHF", "SEK"]
    delete = reverse("admin:providers_routingrule_delete", args=[rule.id])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    with tenant_atomic(Scope.staff()):
        assert RoutingRule.objects.filter(id=rule.id).exists()
