"""Keys that make keys: never one that outdoes its maker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import errors, ids
from core.db import tenant_atomic
from tenants.models import ApiKey
from tenants.services import api_keys
from tests.factories import Tenants, make_tenants
from tests.tenants.test_api import call

HERE = "127.0.0.1"


def soon(days: int = 3) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def key_of(t: Tenants, **more: Any) -> tuple[ApiKey, dict[str, str]]:
    """A key that may make keys, and its request headers."""
    row, text = api_keys.api_key_create(actor=t.actor("owner"), name="Maker", **more)
    return row, {"Authorization": f"Bearer {text}"}


def count(t: Tenants) -> int:
    with tenant_atomic(t.scope):
        return ApiKey.objects.count()


def test_the_successor_of_a_limited_key_ends_with_it() -> None:
    t = make_tenants()
    ends = soon()
    row, headers = key_of(t, expires_at=ends)
    by_person, _ = api_keys.api_key_rotate(
        actor=t.actor("owner"), key_id=row.id, overlap=timedelta(days=7)
    )
    assert by_person.expires_at == ends
    status, answer = call("POST", f"/v1/api_keys/{by_person.public_id}/rotate", {}, headers=headers)
    assert status == 201, answer
    with tenant_atomic(t.scope):
        assert ApiKey.objects.get(id=row.id).expires_at == ends
        made = ApiKey.objects.get(id=ids.decode("key", answer["data"]["id"]))
    assert made.expires_at == ends


@pytest.mark.parametrize(("days", "expected"), [(None, 403), (4, 403), (3, 201), (2, 201)])
def test_a_limited_key_makes_none_that_lasts_longer(days: int | None, expected: int) -> None:
    t = make_tenants()
    ends = soon()
    _, headers = key_of(t, expires_at=ends)
    before = count(t)
    wanted = None if days is None else (ends + timedelta(days=days - 3)).isoformat()
    body = {"name": "Longer", "expires_at": wanted}
    status, answer = call("POST", "/v1/api_keys", body, headers=headers)
    assert status == expected, answer
    assert count(t) == before + (expected == 201)
    if expected == 403:
        assert answer["error"]["code"] == "expiry_escalation"


def test_a_limited_key_rotates_no_unlimited_one() -> None:
    t = make_tenants()
    _, headers = key_of(t, expires_at=soon())
    target, before = t.key_rows["sk", False].public_id, count(t)
    status, answer = call("POST", f"/v1/api_keys/{target}/rotate", {}, headers=headers)
    assert (status, answer["error"]["code"]) == (403, "expiry_escalation")
    assert count(t) == before


@pytest.mark.parametrize(
    ("allowlist", "expected"),
    [([], 403), (["0.0.0.0/0"], 403), ([HERE, "192.0.2.1"], 403), ([HERE], 201), (["::1"], 403)],
)
def test_a_key_bound_to_addresses_makes_none_for_others(
    allowlist: list[str], expected: int
) -> None:
    t = make_tenants()
    _, headers = key_of(t, ip_allowlist=["127.0.0.0/8"])
    before = count(t)
    body = {"name": "Elsewhere", "ip_allowlist": allowlist}
    status, answer = call("POST", "/v1/api_keys", body, headers=headers)
    assert status == expected, answer
    assert count(t) == before + (expected == 201)
    if expected == 403:
        assert answer["error"]["code"] == "network_escalation"


def test_a_card_number_is_no_name() -> None:
    t = make_tenants()
    before = count(t)
    with pytest.raises(errors.InvalidRequest) as refused:
        api_keys.api_key_create(actor=t.actor("owner"), name="4242 4242 4242 4242")
    assert refused.value.code == "card_number_refused"
    assert count(t) == before
