"""The published bounds after which a payment on a card that times out has its end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest

from core.db import Scope, tenant_atomic
from payments.intents.models import Intent
from payments.intents.services.recovery import intent_check
from tests.api import Api, new_api

ROOT = Path(__file__).parents[2]


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def intent_of(api: Api) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get()


def pass_until_the_next_look(api: Api, admin_dsn: str) -> dt.timedelta:
    """Move the attempt's times back by what it waits, as if that had passed; look, and say it."""
    intent = intent_of(api)
    assert intent.next_check_at is not None
    waits = intent.next_check_at - intent.updated_at
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update intents_intent set created_at = created_at - %(by)s,"
            " next_check_at = next_check_at - %(by)s where id = %(id)s",
            {"by": waits, "id": intent.id},
        )
    intent_check(intent_id=intent.id)
    return dt.timedelta(minutes=round(waits / dt.timedelta(minutes=1)))


def test_a_request_that_was_lost_ends_after_65_minutes(api: Api, admin_dsn: str) -> None:
    made = api.pay("4000000000004087", amount=700).json()["data"]
    looks = [pass_until_the_next_look(api, admin_dsn) for _ in range(2)]
    assert looks == [dt.timedelta(minutes=5), dt.timedelta(minutes=60)]
    read = api.get(f"/v1/payments/{made['id']}").json()["data"]
    assert (read["status"], read["failure"]["code"]) == ("failed", "provider_never_received")


def test_an_answer_that_was_lost_is_found_after_five_minutes(api: Api, admin_dsn: str) -> None:
    made = api.pay("4000000000005043", amount=700).json()["data"]
    assert pass_until_the_next_look(api, admin_dsn) == dt.timedelta(minutes=5)
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"


@pytest.mark.parametrize("page", ["docs/test-cards.md", "templates/developers/guide_body.html"])
def test_the_bounds_are_published(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "65 minutes" in text
    assert "5 minutes" in text
