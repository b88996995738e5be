"""Accounts at providers, their secrets, and the table that routes payments to them."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import rotation
from core.context import Actor
from core.crypto import CannotOpen
from core.db import Scope, fetch_one, tenant_atomic
from core.errors import InvalidRequest, NotFound
from payments.providers import services
from payments.providers.base import Health
from payments.providers.models import ProviderAccount
from payments.providers.selectors import account_get, adapter_for, forget_accounts, route

ACTOR = Actor(kind="user", id="usr_test", label="Finance", platform=True)
KEY = "sk_test_" + "k" * 24


def account(**changes: Any) -> ProviderAccount:
    given: dict[str, Any] = {
        "provider": "stripe",
        "label": "Stripe " + secrets.token_hex(4),
        "livemode": False,
        "credentials": {"secret_key": KEY},
        "webhook_secrets": ["whsec_new", "whsec_old"],
        # Nobody listens there: no test speaks to the world.
        "api_base": "http://127.0.0.1:9",
    } | changes
    return services.account_create(actor=ACTOR, **given)


def merchant_account(**changes: Any) -> tuple[ProviderAccount, uuid.UUID]:
    """An account that one new merchant alone is routed to, so that tests do not meet."""
    merchant_id, reseller_id = uuid.uuid4(), uuid.uuid4()
    made = account(merchant_id=merchant_id, reseller_id=reseller_id, **changes)
    return made, merchant_id


def add_rule(made: ProviderAccount, **changes: Any) -> None:
    services.rule_create(
        actor=ACTOR,
        account_id=made.id,
        merchant_id=made.merchant_id,
        reseller_id=made.reseller_id,
        **changes,
    )


def routed(merchant_id: uuid.UUID, currency: str = "USD", amount_minor: int = 1000) -> uuid.UUID:
    return route(
        currency=currency, amount_minor=amount_minor, merchant_id=merchant_id, livemode=False
    ).id


def row_of(admin_dsn: str, account_id: uuid.UUID) -> str:
    with psycopg.connect(admin_dsn) as conn:
        row = conn.execute(
            "select t::text from providers_provideraccount t where id = %s", [account_id]
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_secrets_are_sealed_in_the_table_and_open_in_the_adapter(admin_dsn: str) -> None:
    made = account()
    row = row_of(admin_dsn, made.id)
    assert KEY not in row
    assert "whsec" not in row
    config = adapter_for(made.id).config
    assert config.credentials["secret_key"] == KEY
    assert config.webhook_secrets == ("whsec_new", "whsec_old")
    assert KEY not in repr(config)
    assert "whsec" not in repr(config)


def test_a_sealed_secret_does_not_open_in_another_row(admin_dsn: str) -> None:
    first, second = account(), account()
    with psycopg.connect(admin_dsn) as conn:
        conn.execute(
            "update providers_provideraccount set credentials ="
            " (select credentials from providers_provideraccount where id = %s) where id = %s",
            [first.id, second.id],
        )
    try:
        with pytest.raises(CannotOpen, match="not sealed for this row"):
            adapter_for(second.id)
        # One account that does not open keeps no other from being looked after.
        assert services.health_check_all() >= 1
    finally:
        with psycopg.connect(admin_dsn) as conn:
            conn.execute(
                "update providers_provideraccount set credentials = '' where id = %s", [second.id]
            )


def test_creating_an_account_is_audited_without_its_secrets(admin_dsn: str) -> None:
    made = account()
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "select action, actor_id, t::text from core_auditrecord t where target = %s",
            [made.public_id],
        ).fetchall()
    assert [(row[0], row[1]) for row in rows] == [("provider_account.created", "usr_test")]
    assert KEY not in rows[0][2]


def replace_secret(made: ProviderAccount, secret: str, *, hours: int = 24) -> tuple[str, ...]:
    services.account_replace_webhook_secret(
        actor=ACTOR,
        account_id=made.id,
        secret=secret,
        overlap=timedelta(hours=hours),
        reason="rolled",
    )
    return adapter_for(made.id).config.webhook_secrets


def test_the_old_webhook_secrets_are_accepted_until_the_overlap_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = account()
    assert replace_secret(made, "whsec_2", hours=2) == ("whsec_2", "whsec_new", "whsec_old")
    # As many at once as were replaced within that time; none lives longer than it was to.
    assert replace_secret(made, "whsec_3")[:2] == ("whsec_3", "whsec_2")
    later = timezone.now() + timedelta(hours=3)
    monkeypatch.setattr("payments.providers.selectors.timezone.now", lambda: later)
    forget_accounts()
    assert adapter_for(made.id).config.webhook_secrets == ("whsec_3", "whsec_2")
    monkeypatch.undo()
    assert replace_secret(made, "whsec_4", hours=0) == ("whsec_4",)


@pytest.mark.parametrize("secret", ["", "  ", "whsec_old"])
def test_a_webhook_secret_in_use_is_no_new_one(secret: str) -> None:
    made = account()
    with pytest.raises(InvalidRequest) as refused:
        replace_secret(made, secret)
    assert refused.value.param == "secret"
    assert adapter_for(made.id).config.webhook_secrets == ("whsec_new", "whsec_old")


def test_a_replaced_key_is_used_for_what_the_old_one_began(admin_dsn: str) -> None:
    made, merchant_id = merchant_account()
    add_rule(made)
    new = "sk_test_" + "n" * 24
    adapter_for(made.id)
    services.account_replace_key(
        actor=ACTOR, account_id=made.id, secret_key=f" {new} ", reason="rolled"
    )
    # Captures and refunds ask for the adapter of the account that took the payment.
    assert adapter_for(routed(merchant_id)).config.credentials == {"secret_key": new}
    with psycopg.connect(admin_dsn) as conn:
        [record] = conn.execute(
            "select t::text from core_auditrecord t where target = %s and action = %s",
            [made.public_id, "provider_account.key_replaced"],
        ).fetchall()
    assert "rolled" in record[0]
    assert new not in record[0]


def test_a_key_of_the_other_mode_replaces_nothing(sandbox_account: uuid.UUID) -> None:
    made = account()
    for account_id in (made.id, sandbox_account):
        with pytest.raises(InvalidRequest) as refused:
            services.account_replace_key(
                actor=ACTOR, account_id=account_id, secret_key="sk_live_x", reason="r"
            )
        assert refused.value.param == "secret_key"
    assert adapter_for(made.id).config.credentials["secret_key"] == KEY


@pytest.mark.usefixtures("own_database")
def test_rotation_seals_them_again_and_they_still_open(admin_dsn: str) -> None:
    made, _ = merchant_account()
    before = row_of(admin_dsn, made.id)
    rotation.rotate(older_than=timedelta())
    assert row_of(admin_dsn, made.id) != before
    forget_accounts()
    config = adapter_for(made.id).config
    assert config.credentials["secret_key"] == KEY
    assert config.webhook_secrets == ("whsec_new", "whsec_old")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"provider": "sandbox", "livemode": True, "credentials": {}}, "livemode"),
        ({"livemode": True}, "credentials.secret_key"),
        ({"credentials": {"secret_key": "sk_live_x"}}, "credentials.secret_key"),
        ({"credentials": {}}, "credentials.secret_key"),
        ({"api_base": "http://stripe.example"}, "api_base"),
        ({"api_base": "ftp://127.0.0.1"}, "api_base"),
    ],
)
def test_what_can_not_work_is_refused(admin_dsn: str, changes: dict[str, Any], param: str) -> None:
    label = secrets.token_hex(8)
    with pytest.raises(InvalidRequest) as refused:
        account(label=label, **changes)
    assert refused.value.param == param
    with psycopg.connect(admin_dsn) as conn:
        found = conn.execute(
            "select count(*) from providers_provideraccount where label = %s", [label]
        ).fetchone()
    assert found == (0,)


def test_the_database_refuses_a_live_sandbox_too() -> None:
    with pytest.raises(IntegrityError), tenant_atomic(Scope.staff()):
        ProviderAccount.objects.create(provider="sandbox", label="x", livemode=True)


@pytest.mark.parametrize("table", ["provideraccount", "routingrule", "providerhealth"])
def test_merchants_and_resellers_see_no_account(table: str) -> None:
    for scope in (Scope.merchant(uuid.uuid4()), Scope.reseller(uuid.uuid4())):
        with (
            pytest.raises(Exception, match="permission denied"),
            tenant_atomic(scope),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"select * from providers_{table}")


def test_an_unknown_account_is_not_found() -> None:
    for ask in (adapter_for, account_get):
        with pytest.raises(NotFound):
            ask(uuid.uuid4())


# Routing


def test_a_test_payment_goes_to_the_sandbox_unless_something_else_is_set_up(
    sandbox_account: uuid.UUID,
) -> None:
    assert routed(uuid.uuid4()) == sandbox_account
    assert routed(uuid.uuid4(), "JPY", 1) == sandbox_account


def test_a_live_payment_without_a_live_account_has_no_route() -> None:
    with pytest.raises(InvalidRequest) as refused:
        route(currency="XPF", amount_minor=1, merchant_id=uuid.uuid4(), livemode=True)
    assert refused.value.code == "no_route"


def test_a_merchants_own_rule_comes_before_the_platforms(sandbox_account: uuid.UUID) -> None:
    made, merchant_id = merchant_account()
    add_rule(made, priority=30_001)
    assert routed(merchant_id) == made.id
    assert routed(uuid.uuid4()) == sandbox_account


def test_rules_fit_by_currency_and_amount(sandbox_account: uuid.UUID) -> None:
    made, merchant_id = merchant_account()
    add_rule(made, currencies=["EUR", "USD"], min_amount_minor=100, max_amount_minor=200)
    assert routed(merchant_id, "USD", 100) == made.id
    assert routed(merchant_id, "EUR", 200) == made.id
    assert routed(merchant_id, "USD", 99) == sandbox_account
    assert routed(merchant_id, "USD", 201) == sandbox_account
    assert routed(merchant_id, "GBP", 150) == sandbox_account


def test_priority_decides_between_rules() -> None:
    made, merchant_id = merchant_account()
    other = account(merchant_id=merchant_id, reseller_id=made.reseller_id)
    add_rule(made, priority=20)
    add_rule(other, priority=10)
    assert routed(merchant_id) == other.id


def test_a_disabled_account_is_not_routed_to_but_still_answers(
    sandbox_account: uuid.UUID,
) -> None:
    made, merchant_id = merchant_account()
    add_rule(made)
    services.account_set_enabled(actor=ACTOR, account_id=made.id, enabled=False)
    assert routed(merchant_id) == sandbox_account
    assert adapter_for(made.id).name == "stripe"


def test_an_account_that_fails_its_checks_is_passed_over_until_it_recovers(
    sandbox_account: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, merchant_id = merchant_account()
    add_rule(made)
    answer: dict[str, Any] = {"ok": False}
    monkeypatch.setattr(
        type(adapter_for(made.id)), "health", lambda self: Health(latency_ms=1, **answer)
    )
    for _ in range(3):
        assert routed(merchant_id) == made.id
        services.health_check(account_id=made.id)
        forget_accounts()
    assert routed(merchant_id) == sandbox_account
    answer["ok"] = True
    services.health_check(account_id=made.id)
    forget_accounts()
    assert routed(merchant_id) == made.id


def test_bad_rules_are_refused() -> None:
    made, merchant_id = merchant_account()
    for changes in (
        {"currencies": ["ZZZ"]},
        {"min_amount_minor": 2, "max_amount_minor": 1},
    ):
        with pytest.raises(InvalidRequest):
            add_rule(made, **changes)
    assert routed(merchant_id) != made.id


def test_a_merchants_account_is_not_lent_to_another(sandbox_account: uuid.UUID) -> None:
    made, _ = merchant_account()
    stranger = uuid.uuid4()
    with pytest.raises(InvalidRequest):
        services.rule_create(
            actor=ACTOR, account_id=made.id, merchant_id=stranger, reseller_id=uuid.uuid4()
        )
    assert routed(stranger) == sandbox_account


def test_an_adapter_is_kept_until_its_account_changes() -> None:
    made = account()
    first = adapter_for(made.id)
    forget_accounts()
    assert adapter_for(made.id) is first
    replace_secret(made, "whsec_x")
    assert adapter_for(made.id) is not first


def test_routing_costs_nothing_while_it_is_remembered_and_works_in_a_merchants_scope() -> None:
    merchant_id = uuid.uuid4()
    with tenant_atomic(Scope.merchant(merchant_id)):
        fetch_one("SELECT 1")  # opens the scope
        with CaptureQueriesContext(connection) as first:
            account_id = routed(merchant_id)
    with CaptureQueriesContext(connection) as again:
        routed(merchant_id)
        adapter_for(account_id)
        adapter_for(account_id)
    assert (len(first), len(again)) == (1, 1)
