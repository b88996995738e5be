"""A look that always raises neither spins nor hides."""

from __future__ import annotations

from typing import NoReturn

import pytest

from core import ids
from core.db import Scope, tenant_atomic
from payments.intents.channels.gateway import GatewayPayment
from payments.intents.models import Intent
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


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))
