"""The REST face of events and webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.ids import encode, new_id
from core.models import AuditRecord, IdempotencyRecord
from notifications.models import WebhookEndpoint
from notifications.services import webhooks
from tests.core.support import emit, eventually
from tests.factories import Tenants, make_tenants
from tests.notifications.receiver import Receiver
from tests.notifications.support import deliveries, endpoint, happen, send

BASE = "/v1/webhook_endpoints"


class Api:
    """A client with one tenant's key; returns status and the envelope's inside."""

    def __init__(self, tenants: Tenants, **which: Any) -> None:
        self.tenants, self.which = tenants, which
        self.client = Client()

    def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        sent = {**self.tenants.headers(**self.which), **headers}
        response = self.client.generic(
            method,
            path,
            data=b"" if body is None else orjson.dumps(body),
            content_type="application/json",
            headers=sent,
        )
        envelope = response.json()
        assert envelope["success"] is (response.status_code < 400)
        return response.status_code, envelope.get("data") or envelope.get("error")


@pytest.fixture
def api(tenants: Tenants) -> Api:
    return Api(tenants)


def count_endpoints(tenants: Tenants) -> int:
    with tenant_atomic(Scope.worker()):
        return WebhookEndpoint.objects.filter(merchant_id=tenants.merchant.id).count()


def test_creates_an_endpoint_and_shows_its_secret_to_that_request_alone(
    api: Api, tenants: Tenants, receiver: Receiver
) -> None:
    key = new_id().hex
    wish = {"url": receiver.url, "events": ["payment.*", "refund.created"], "description": "shop"}
    status, made = api("POST", BASE, wish, **{"Idempotency-Key": key})

    assert status == 201
    assert made["secret"].startswith("whsec_")
    assert made["id"].startswith("we_")
    assert (made["status"], made["livemode"], made["events"]) == ("enabled", False, wish["events"])

    status, again = api("POST", BASE, wish, **{"Idempotency-Key": key})
    assert (status, again) == (201, made)
    with tenant_atomic(Scope.worker()):
        stored = IdempotencyRecord.objects.get(key=key)
        row = WebhookEndpoint.objects.get(merchant_id=tenants.merchant.id)
        audits = AuditRecord.objects.filter(target=made["id"])
        assert list(audits.values_list("action", flat=True)) == ["webhook_endpoint.create"]
        assert made["secret"] not in str(audits.values())
    assert bytes(stored.body or b"").startswith(b"sealed:")
    assert made["secret"].encode() not in bytes(stored.body or b"")
    assert made["secret"] not in row.secret_sealed

    assert api("GET", f"{BASE}/{made['id']}")[1].get("secret") is None
    status, listed = api("GET", BASE)
    assert [item["id"] for item in listed["items"]] == [made["id"]]

    happen(tenants)
    send()
    assert len(receiver.verified(made["secret"])) == 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": 5}, "url"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"events": None}, "events"),
        ({"events": []}, "events"),
        ({"events": "payment.created"}, "events"),
        ({"events": ["payment.exploded"]}, "events[0]"),
        ({"events": ["*", 5]}, "events[1]"),
        ({"events": ["*"] * 51}, "events"),
        ({"description": "x" * 201}, "description"),
        ({"description": "card 4242 4242 4242 4242"}, "description"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_wishes_name_the_field_and_change_nothing(
    api: Api, tenants: Tenants, change: dict[str, Any], param: str
) -> None:
    wish = {"url": "https://93.184.216.34/", "events": ["*"], **change}
    status, error = api("POST", BASE, {k: v for k, v in wish.items() if v is not None})

    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert count_endpoints(tenants) == 0


def test_changes_disables_and_deletes(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    made, _ = endpoint(tenants, receiver.url)
    path = f"{BASE}/{made.public_id}"

    status, changed = api("PATCH", path, {"events": ["payment.failed"], "description": "new"})
    assert (status, changed["events"], changed["description"]) == (200, ["payment.failed"], "new")
    happen(tenants, "payment.failed")
    status, changed = api("PATCH", path, {"status": "disabled"})
    assert (changed["status"], changed["disabled_reason"]) == ("disabled", "by_user")
    assert [d.state for d in deliveries(made)] == ["canceled"]
    happen(tenants, "payment.failed")
    send()
    assert receiver.requests == []
    status, changed = api("PATCH", path, {"status": "enabled"})
    assert (changed["status"], changed["disabled_reason"]) == ("enabled", None)
    assert api("PATCH", path, {"status": "asleep"})[0] == 400
    for name in ("url", "events", "description", "status"):
        status, refused = api("PATCH", path, {name: None})
        assert (status, refused["param"]) == (400, name)
    assert api("PATCH", path, {"url": "https://10.0.0.1/"})[0] == 400

    status, gone = api("DELETE", path)
    assert (status, gone["deleted"]) == (200, True)
    for method, where in (("GET", path), ("PATCH", path), ("DELETE", path)):
        assert api(method, where, {} if method == "PATCH" else None)[0] == 404
    assert api("GET", BASE)[1]["items"] == []


def test_rolls_the_secret(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    made, old = endpoint(tenants, receiver.url)
    status, rolled = api("POST", f"{BASE}/{made.public_id}/roll_secret", {"overlap_hours": 1})

    assert status == 200
    assert rolled["secret"] != old
    assert rolled["previous_secret_until"] is not None
    happen(tenants)
    send()
    assert receiver.verified(old) == receiver.verified(rolled["secret"])
    for wrong in (-1, 169, 1.5, "1", True):
        path = f"{BASE}/{made.public_id}/roll_secret"
        assert api("POST", path, {"overlap_hours": wrong})[0] == 400


def test_lists_events_and_reads_one(api: Api, tenants: Tenants) -> None:
    first = emit(tenants, "payment.created", aggregate="pay_1", status="pending")
    second = emit(tenants, "payment.completed", aggregate="pay_1")
    emit(tenants, "refund.created", aggregate="ref_1")
    emit(tenants, "internal.secret", aggregate="pay_1")

    status, page = api("GET", "/v1/events?object=pay_1")
    assert status == 200
    assert [item["id"] for item in page["items"]] == [second.public_id, first.public_id]
    assert page["items"][1]["data"] == {"status": "pending"}
    assert [e["type"] for e in api("GET", "/v1/events?type=refund.*")[1]["items"]] == [
        "refund.created"
    ]
    status, half = api("GET", "/v1/events?limit=2")
    assert half["has_more"] is True
    rest = api("GET", f"/v1/events?limit=2&cursor={half['next_cursor']}")[1]
    assert [e["type"] for e in half["items"] + rest["items"]] == [
        "refund.created",
        "payment.completed",
        "payment.created",
    ]
    assert api("GET", f"/v1/events/{first.public_id}")[1]["type"] == "payment.created"
    assert api("GET", "/v1/events?created_from=2999-01-01T00:00:00Z")[1]["items"] == []
    for bad in ("type=nonsense", "created_from=yesterday", "limit=0", "cursor=%00", "typo=1"):
        assert api("GET", f"/v1/events?{bad}")[0] == 400, bad


def test_sends_an_event_again(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    target, secret = endpoint(tenants, receiver.url)
    event = happen(tenants)
    send()

    status, made = api("POST", f"/v1/events/{event.public_id}/resend", {})
    assert (status, len(made["deliveries"])) == (202, 1)
    assert made["deliveries"][0]["trigger"] == "resend"
    send()
    first, second = receiver.verified(secret)
    assert first == second
    assert {r.headers["webhook-id"] for r in receiver.requests} == {event.public_id}

    path = f"/v1/events/{event.public_id}/resend"
    assert api("POST", path, {"endpoint": target.public_id})[0] == 202
    assert api("POST", path, {"endpoint": encode("we", new_id())})[0] == 404
    api("PATCH", f"{BASE}/{target.public_id}", {"status": "disabled"})
    status, error = api("POST", path, {"endpoint": target.public_id})
    assert (status, error["code"]) == (409, "endpoint_disabled")
    status, error = api("POST", path, {})
    assert (status, error["code"]) == (409, "no_endpoint")


def test_a_repeated_resend_is_one(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    event = happen(tenants)
    for _ in range(2):
        path = f"/v1/events/{event.public_id}/resend"
        assert api("POST", path, {}, **{"Idempotency-Key": "once-" + event.public_id})[0] == 202
    assert [d.trigger for d in deliveries(target)] == ["event", "resend"]


def test_replays_what_an_endpoint_missed(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    target, secret = endpoint(tenants, receiver.url)
    since_then = timezone.now()
    since = since_then.isoformat()
    delivered = happen(tenants, aggregate="pay_ok")
    send()
    path = f"{BASE}/{target.public_id}"
    api("PATCH", path, {"status": "disabled"})
    missed = [happen(tenants, aggregate=f"pay_{n}") for n in range(3)]
    assert api("POST", f"{path}/replay", {"created_from": since})[0] == 409
    api("PATCH", path, {"status": "enabled"})

    status, replayed = api("POST", f"{path}/replay", {"created_from": since})
    assert (status, replayed) == (202, {"events": 3, "has_more": False})
    waiting = [row for row in deliveries(target) if row.trigger == "replay"]
    waiting.sort(key=lambda row: row.next_attempt_at or since_then)
    assert [row.event_id for row in waiting] == [event.id for event in missed]
    due = [row.next_attempt_at or since_then for row in waiting]
    assert [due[n + 1] - due[n] for n in range(2)] == [timedelta(milliseconds=50)] * 2

    def all_sent() -> bool:
        send()
        return len(receiver.requests) == 4

    eventually(all_sent)
    got = [event["id"] for event in receiver.verified(secret)]
    assert got[0] == delivered.public_id
    assert set(got[1:]) == {event.public_id for event in missed}
    assert api("POST", f"{path}/replay", {"created_from": since})[1]["events"] == 0
    assert api("POST", f"{path}/replay", {})[0] == 400
    span = {"created_from": since, "created_before": since}
    status, error = api("POST", f"{path}/replay", span)
    assert (status, error["param"]) == (400, "created_from")


def test_a_long_replay_says_that_there_is_more(
    api: Api, tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_REPLAY", 2)
    target, _ = endpoint(tenants, receiver.url)
    path, since = f"{BASE}/{target.public_id}", timezone.now().isoformat()
    api("PATCH", path, {"status": "disabled"})
    missed = [happen(tenants) for _ in range(3)]
    api("PATCH", path, {"status": "enabled"})

    answers = [api("POST", f"{path}/replay", {"created_from": since})[1] for _ in range(3)]

    assert answers == [
        {"events": 2, "has_more": True},
        {"events": 1, "has_more": False},
        {"events": 0, "has_more": False},
    ]
    assert [row.event_id for row in deliveries(target)] == [event.id for event in missed]


def test_a_span_of_events_is_exact(api: Api, tenants: Tenants) -> None:
    first, second = emit(tenants, "payment.created"), emit(tenants, "payment.created")
    at = second.created_at.isoformat().replace("+00:00", "Z")
    for query, found in ((f"created_from={at}", second), (f"created_before={at}", first)):
        page = api("GET", f"/v1/events?{query}")[1]
        assert [event["id"] for event in page["items"]] == [found.public_id]


def test_the_delivery_log(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(500)
    event = happen(tenants)
    send()

    _, page = api("GET", f"/v1/webhook_deliveries?endpoint={target.public_id}&state=pending")
    [row] = page["items"]
    assert (row["event"], row["attempts"], row["last_status"]) == (event.public_id, 1, 500)
    detail = api("GET", f"/v1/webhook_deliveries/{row['id']}")[1]
    assert [a["status"] for a in detail["attempt_log"]] == [500]
    assert api("GET", f"/v1/webhook_deliveries?event={event.public_id}")[1]["items"] == [row]
    assert api("GET", "/v1/webhook_deliveries?state=nonsense")[0] == 400


def test_another_tenant_finds_nothing_and_changes_nothing(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    event = happen(tenants)
    [row] = deliveries(target)
    for stranger in (Api(make_tenants()), Api(tenants, livemode=True)):
        for method, path, body in (
            ("GET", f"{BASE}/{target.public_id}", None),
            ("PATCH", f"{BASE}/{target.public_id}", {"status": "disabled"}),
            ("DELETE", f"{BASE}/{target.public_id}", None),
            ("POST", f"{BASE}/{target.public_id}/roll_secret", {}),
            ("POST", f"{BASE}/{target.public_id}/replay", {"created_from": "2026-01-01T00:00:00Z"}),
            ("GET", f"/v1/events/{event.public_id}", None),
            ("POST", f"/v1/events/{event.public_id}/resend", {}),
            ("GET", f"/v1/webhook_deliveries/{row.public_id}", None),
        ):
            assert stranger(method, path, body)[0] == 404, (method, path)
        for path in ("/v1/events", BASE, "/v1/webhook_deliveries"):
            assert stranger("GET", path)[1]["items"] == []
        filtered = f"/v1/webhook_deliveries?endpoint={target.public_id}"
        assert stranger("GET", filtered)[0] == 404
    assert [d.state for d in deliveries(target)] == ["pending"]
    with tenant_atomic(Scope.worker()):
        after = WebhookEndpoint.objects.get(id=target.id)
    assert (after.status, after.secret_sealed) == ("enabled", target.secret_sealed)


def test_a_publishable_key_may_not(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    public = Api(tenants, kind="pk")
    assert public("GET", "/v1/events")[0] == 403
    assert public("GET", BASE)[0] == 403
    assert public("POST", BASE, {"url": receiver.url, "events": ["*"]})[0] == 403
    assert public("DELETE", f"{BASE}/{target.public_id}")[0] == 403
    assert count_endpoints(tenants) == 1


def test_there_is_a_most_endpoints(api: Api, tenants: Tenants, receiver: Receiver) -> None:
    for _ in range(16):
        endpoint(tenants, receiver.url)
    status, error = api("POST", BASE, {"url": receiver.url, "events": ["*"]})
    assert (status, error["code"]) == (409, "too_many_endpoints")
    assert count_endpoints(tenants) == 16


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "param"),
    [
        ("POST", BASE, {"events": ["*"]}, "parameter_missing", "url"),
        ("POST", BASE, {"url": "https://93.184.216.34/h"}, "parameter_missing", "events"),
        ("POST", BASE, {"url": 5, "events": ["*"]}, "parameter_invalid", "url"),
        ("POST", BASE, {"events": []}, "parameter_invalid", "events"),
        ("POST", f"{BASE}/we_x/replay", {}, "parameter_missing", "created_from"),
        (
            "POST",
            f"{BASE}/we_x/replay",
            {"created_from": "2026-01-01", "only_missing": 1},
            "parameter_invalid",
            "only_missing",
        ),
        (
            "POST",
            f"{BASE}/we_x/roll_secret",
            {"overlap_hours": 169},
            "parameter_invalid",
            "overlap_hours",
        ),
        ("POST", "/v1/events/evt_x/resend", {"endpoint": 5}, "parameter_invalid", "endpoint"),
        ("GET", "/v1/webhook_deliveries?state=bogus", None, "parameter_invalid", "state"),
    ],
)
def test_a_parameters_fault_has_the_code_that_it_has_everywhere(
    api: Api, method: str, path: str, body: Any, code: str, param: str
) -> None:
    status, error = api(method, path, body)
    assert (status, error["code"], error["param"]) == (400, code, param)
