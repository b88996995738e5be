"""What the payment tests share: looking behind the API, and moving time for the poller."""

from __future__ import annotations

from typing import Any

import psycopg

from core import ids
from core.db import Scope, tenant_atomic
from payments.intents.models import Intent
from payments.intents.services.recovery import intent_check
from payments.intents.states import FINAL
from tests import crashing
from tests.api import Api


def crash(api: Api, at: str, method: str, path: str, body: str, key: str) -> None:
    """Make the call in a process of its own that is killed (-9) at `at`."""
    secret = api.tenants.secret_key_test
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    crashing.crash(at, method, path, body, headers)


def later(admin_dsn: str, merchant_id: Any) -> None:
    """As if an hour had passed: leases, locks and looks of this merchant's are due."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update intents_intent set next_check_at = now() - interval '1 second'"
            " where merchant_id = %s and next_check_at is not null",
            [merchant_id],
        )
        admin.execute(
            "update core_idempotencyrecord set locked_until = now() - interval '1 second'"
            " where merchant_id = %s and locked_until is not null",
            [merchant_id],
        )


def recover(admin_dsn: str, merchant_id: Any, *, looks: int = 4) -> list[Intent]:
    """Let the poller look at the merchant's open intents until all are final."""
    for _ in range(looks):
        later(admin_dsn, merchant_id)
        with tenant_atomic(Scope.merchant(merchant_id)):
            open_ids = list(
                Intent.objects.exclude(state__in=FINAL)
                .filter(next_check_at__isnull=False)
                .exclude(state="AUTHORIZED", step="")
                .values_list("id", flat=True)
            )
        for intent_id in open_ids:
            intent_check(intent_id=intent_id)
    with tenant_atomic(Scope.merchant(merchant_id)):
        return list(Intent.objects.order_by("id"))


def charges(admin_dsn: str, merchant_id: Any) -> list[tuple[int, int]]:
    """What the sandbox's bank really did for a merchant: (captured, refunded) a charge."""
    with psycopg.connect(admin_dsn) as admin:
        return admin.execute(
            "select captured_minor, refunded_minor from providers_sandboxcharge"
            " where merchant_key = %s order by created_at",
            [ids.encode("mer", merchant_id)],
        ).fetchall()


def books(admin_dsn: str, merchant_id: Any) -> dict[str, int]:
    """Posted balances of the merchant's book by account (credits less debits), pending apart."""
    with psycopg.connect(admin_dsn) as admin:
        rows = admin.execute(
            "select split_part(name, '/', 1), credits_posted - debits_posted,"
            " debits_pending + credits_pending from ledger_account where scope_id = %s",
            [merchant_id],
        ).fetchall()
    found = {name: balance for name, balance, _ in rows}
    found["pending"] = sum(pending for _, _, pending in rows)
    found["sum"] = sum(balance for _, balance, _ in rows)
    return found
