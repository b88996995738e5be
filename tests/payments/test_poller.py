"""A look that always raises neither spins nor hides."""

from __future__ import annotations

from typing import NoReturn

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.liveness import take_turn
from core.models import AuditRecord
from payments.intents.channels import ChannelAnswer, Outcome
from payments.intents.channels.gateway import GatewayPayment
from payments.intents.models import Intent
from payments.intents.progress import exception
from payments.intents.services import intent_apply
from payments.intents.services.exceptions import exception_resolve
from payments.intents.services.recovery import POLLER, check_failed, intent_check_in_turn
from payments.intents.tasks import check
from tests.api import Api, new_api


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def test_a_look_that_always_raises_is_shown_to_a_person(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.pay("4000000000005043").json()["data"]
    intent = _intent(api, made["id"])

    def broken(*_: object) -> NoReturn:
        raise RuntimeError("garbage")

    monkeypatch.setattr(GatewayPayment, "query", broken)
    waits = []
    for _ in range(3):
        with pytest.raises(RuntimeError):
            check(str(intent.id))
        intent = _intent(api, made["id"])
        assert intent.next_check_at is not None
        waits.append(intent.next_check_at)

    assert waits == sorted(waits)
    assert (waits[2] - waits[0]).total_seconds() > 80_000
    assert intent.exception_at is not None
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "processing"


def _fail(intent: Intent, times: int = 1) -> None:
    for _ in range(times):
        check_failed(intent_id=intent.id)


def test_a_failing_look_is_audited_once_and_returns_after_a_note(api: Api) -> None:
    made = api.pay("4000000000005043").json()["data"]
    intent = _intent(api, made["id"])

    _fail(intent, 4)
    assert _codes(_intent(api, made["id"])) == ["look_failed"]
    exception_resolve(intent_id=intent.id, note="Asked the provider.", actor=Actor.system("staff"))
    assert _intent(api, made["id"]).exception_at is None
    _fail(intent, 2)

    intent = _intent(api, made["id"])
    assert intent.exception_at is not None
    assert _codes(intent) == ["look_failed", "resolved", "look_failed"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        records = AuditRecord.objects.filter(target=intent.public_id).order_by("id")
        recorded = list(records.values_list("action", "after__code"))
    assert recorded == [
        ("intent.exception", "look_failed"),
        ("intent.exception_resolved", "resolved"),
        ("intent.exception", "look_failed"),
    ]


def test_an_answer_judged_on_an_older_look_does_not_take_the_failure_away(api: Api) -> None:
    made = api.pay("4000000000005043").json()["data"]
    read_before = _intent(api, made["id"])
    _fail(read_before, 3)

    waiting = ChannelAnswer(outcome=Outcome.UNKNOWN)
    intent_apply(intent=read_before, answer=waiting, actor=POLLER)

    intent = _intent(api, made["id"])
    assert intent.checks == read_before.checks + 4
    assert intent.exception_at is not None
    assert _codes(intent) == ["look_failed"]


@pytest.mark.parametrize("code", ["look_failed", "no_answer"])
def test_what_lasts_returns_and_what_is_news_does_not(code: str) -> None:
    said = {"code": code, "message": "m", "at": "t"}
    closed = {"code": "resolved", "message": "", "at": "t"}
    standing = Intent(exceptions=[said, closed, said], exception_at=timezone.now())
    left_by_itself = Intent(exceptions=[said])

    assert exception(standing, code, "m") == {}
    assert exception(left_by_itself, code, "m")["exceptions"][:-1] == [said]
    news = {**said, "code": "captured_after_end"}
    assert exception(Intent(exceptions=[news, closed]), "captured_after_end", "m") == {}


def _codes(intent: Intent) -> list[str]:
    return [each["code"] for each in intent.exceptions]


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))


@pytest.mark.parametrize(("share", "asked"), [(1, 0), (2, 1)])
def test_past_its_share_of_the_workers_a_merchant_is_asked_for_later(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, share: int, asked: int
) -> None:
    settings.CHECKS_PER_MERCHANT_MAX = share
    intent = _intent(api, api.pay("4000000000005043").json()["data"]["id"])
    seen, query = [], GatewayPayment.query

    def noted(self: GatewayPayment, intent: Intent) -> ChannelAnswer:
        seen.append(intent.id)
        return query(self, intent)

    monkeypatch.setattr(GatewayPayment, "query", noted)
    other_worker = take_turn(f"intents.check/{intent.merchant_id}", share=share)
    assert other_worker is not None
    with other_worker:
        intent_check_in_turn(intent_id=intent.id)
    assert seen == [intent.id] * asked

    intent_check_in_turn(intent_id=intent.id)
    assert seen == [intent.id] * (asked + 1)
