"""A process of one kind, logged in with its own role: `process_child.py KIND` with JSON on stdin.

Prints as its last line, as JSON, what it could do.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import django

django.setup()

from django.test import Client  # noqa: E402

from core import hmac_auth, ids  # noqa: E402
from core.context import Actor  # noqa: E402
from core.db import Scope, tenant_atomic  # noqa: E402
from core.idempotency import Claim, canonical_body  # noqa: E402
from core.unit import Writes  # noqa: E402


def web(given: dict[str, Any]) -> dict[str, Any]:
    """Log in, look around, take a payment, submit an intent; and try what is not the web's."""
    client = Client(REMOTE_ADDR=given["address"])
    form = {"email": given["email"], "password": given["password"]}
    login = client.post("/login", form)
    verify = client.post("/login/verify", {"code": given["otp"]})
    pages = ("/", "/payments", "/team", "/balance", "/developers/keys")
    token = _api("POST", "/v1/tokens", CARD, key=given["publishable_key"])
    payment = _api(
        "POST",
        "/v1/payments",
        {
            "amount": 1_000,
            "currency": "USD",
            "payment_method_token": token.json()["data"]["id"],
            "confirm": True,
        },
        key=given["secret_key"],
    )
    paid = payment.json()["data"]
    refund = _api(
        "POST", "/v1/refunds", {"payment": paid["id"], "amount": 100}, key=given["secret_key"]
    )
    staff = _api(
        "POST",
        "/v1/auth/login",
        {
            "email": given["staff_email"],
            "password": given["password"],
            "otp": given["staff_otp"],
        },
    )
    refused = _api("GET", "/v1/payments", key=staff.json()["data"]["access_token"])
    return {
        "login": [login.status_code, login.headers.get("Location")],
        "verify": [verify.status_code, verify.headers.get("Location")],
        "pages": {page: client.get(page).status_code for page in pages},
        "token": token.status_code,
        "payment": [payment.status_code, paid["status"]],
        "refund": refund.status_code,
        "service": _service(given),
        "webhook": [_webhook(given), _webhook(given)],
        "again": _again(given),
        "continued": _continued(given, paid["id"]),
        "balance": _api("GET", "/v1/balance", key=given["secret_key"]).status_code,
        "reset": Client(REMOTE_ADDR=given["address"])
        .post("/password/reset", {"email": given["email"]})
        .status_code,
        "admin": client.get("/admin/").status_code,
        "staff": [refused.status_code, refused.json()["error"]["code"]],
        "ready": client.get("/health/ready", REMOTE_ADDR="127.0.0.1").status_code,
        "metrics": client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code,
    }


CARD = {"card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}


def _api(method: str, path: str, body: Any = None, *, key: str = "", once: str = "") -> Any:
    headers = {"Idempotency-Key": once or secrets.token_hex(16)}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = b"" if body is None else json.dumps(body).encode()
    return Client().generic(method, path, data, content_type="application/json", headers=headers)


def _webhook(given: dict[str, Any]) -> list[Any]:
    """Deliver a provider's event."""
    answer = Client().post(
        given["webhook"],
        data=given["event"].encode(),
        content_type="application/json",
        headers={"Sandbox-Signature": given["signature"]},
    )
    return [answer.status_code, answer.json()["data"]["duplicate"]]


def _again(given: dict[str, Any]) -> list[Any]:
    """Repeat a request under its key."""
    key, answer = secrets.token_hex(16), None
    for _ in range(2):
        answer = Client().post(
            "/v1/customers",
            json.dumps({"email": "payer@example.test"}).encode(),
            content_type="application/json",
            headers={"Authorization": f"Bearer {given['secret_key']}", "Idempotency-Key": key},
        )
    assert answer is not None
    return [answer.status_code, answer.headers.get("Idempotent-Replayed") == "true"]


def _continued(given: dict[str, Any], payment_id: str) -> list[Any]:
    """Repeat a request whose process has died after its payment was made."""
    body = {"amount": 1_000, "currency": "USD"}
    merchant_id = ids.decode("mer", given["merchant"])
    claim = Claim(
        actor=Actor(kind="api_key", id="dead", merchant_id=merchant_id),
        key=secrets.token_hex(16),
        request=("POST", "/v1/payments", canonical_body(body)),
        render=lambda made: (201, b""),
    )
    with tenant_atomic(Scope.merchant(merchant_id)):
        writes = Writes()
        claim.begin(writes, ids.decode("pay", payment_id))
        writes.flush()
    claim.let_go()
    answer = _api("POST", "/v1/payments", body, key=given["secret_key"], once=claim.key)
    again = _api("POST", "/v1/payments", body, key=given["secret_key"], once=claim.key)
    return [
        answer.status_code,
        answer.json()["data"]["id"] == payment_id,
        again.content == answer.content,
    ]


def _service(given: dict[str, Any]) -> list[Any]:
    """A trusted service submits an attempt for a merchant twice and reads it, all signed."""
    token = _api("POST", "/v1/tokens", CARD, key=given["publishable_key"]).json()["data"]["id"]
    body = json.dumps(
        {
            "merchant": given["merchant"],
            "operation": "payment",
            "amount": 1_000,
            "currency": "USD",
            "payment_method_token": token,
        }
    ).encode()
    key = secrets.token_hex(16)
    made = _signed(given, "POST", "/v1/intents", body, key)
    again = _signed(given, "POST", "/v1/intents", body, key)
    found = _signed(given, "GET", f"/v1/intents/{made.json()['data']['id']}", b"", "")
    return [made.status_code, again.content == made.content, found.status_code]


def _signed(given: dict[str, Any], method: str, path: str, body: bytes, key: str) -> Any:
    headers = hmac_auth.sign_headers(
        key_id=given["service_key_id"],
        secret=given["service_secret"].encode(),
        method=method,
        url=f"http://testserver{path}",
        content_type="application/json",
        idempotency_key=key,
        body=body,
    )
    return Client().generic(
        method,
        path,
        body,
        content_type="application/json",
        headers={**headers, "Idempotency-Key": key},
    )


def console(given: dict[str, Any]) -> dict[str, Any]:
    """Open every list of the admin and act; and try what is not the console's."""
    from django.contrib import admin
    from django.urls import reverse

    client = Client()
    name, value = given["cookie"]
    client.cookies[name] = value
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model, page in admin.site._registry.items()
        if getattr(page, "view_permission", "platform.staff") == "platform.staff"
    ]
    return {
        "index": client.get("/admin/").status_code,
        "lists": {address: client.get(address).status_code for address in lists},
        "suspend": client.post(given["suspend"], {"reason": "asked for"}).status_code,
        "login": client.get("/login").status_code,
        "api": client.get("/v1/payments").status_code,
        "portal": client.get("/").status_code,
        "live": client.get("/health/live").status_code,
    }


def worker(given: dict[str, Any]) -> dict[str, Any]:
    """Run every scheduled task once, and send two mails."""
    from django.conf import settings
    from django.core import mail

    from config.celery import app
    from tenants.services import mail as mails

    app.loader.import_default_modules()
    failed = {}
    for name in settings.CELERY_BEAT_SCHEDULE:
        result = app.tasks[name].apply()
        if not result.successful():
            failed[name] = repr(result.result)
    mail.outbox = []
    mails.invitation_mail(invitation_id=UUID(given["invitation"]))
    mails.password_reset_mail(user_id=UUID(given["user"]))
    return {"failed": failed, "mails": len(mail.outbox)}


def relay(given: dict[str, Any]) -> dict[str, Any]:
    """Deliver what waits, and seal; then count what of a tenant is left."""
    from core import relay as loop
    from core.audit import seal_audit_records
    from core.db import Scope, fetch_all, tenant_atomic

    while loop.relay_once():
        pass
    while seal_audit_records():
        pass
    tenant = UUID(given["tenant"])
    with tenant_atomic(Scope.worker()):
        waiting = fetch_all(
            "SELECT count(*) FROM core_outboxevent WHERE merchant_id = %s AND delivered_at IS NULL",
            [tenant],
        )
        unsealed = fetch_all(
            "SELECT count(*) FROM core_auditrecord WHERE merchant_id = %s AND sealed_at IS NULL",
            [tenant],
        )
    return {"waiting": waiting[0][0], "unsealed": unsealed[0][0]}


def people(given: dict[str, Any]) -> dict[str, Any]:
    """Join by each invitation and enrol; set a new password by a link; use a sign-in link."""
    return {
        "joined": {name: _join(given, **invited) for name, invited in given["invited"].items()},
        "reset": {name: _reset(given, **person) for name, person in given["resets"].items()},
    }


def _join(given: dict[str, Any], *, link: str, email: str) -> list[Any]:
    """Accept, enrol, come back with a recovery code, put another app in the first one's place."""
    first, again = (Client(REMOTE_ADDR=given["address"]) for _ in range(2))
    joined = first.post(link, {"name": "New person", "password": given["password"]})
    codes = _enrol(first)
    login = again.post("/login", {"email": email, "password": given["password"]})
    verify = again.post("/login/verify", {"code": codes[0]})
    used_up = Client(REMOTE_ADDR=given["address"])
    used_up.post("/login", {"email": email, "password": given["password"]})
    twice = used_up.post("/login/verify", {"code": codes[0]})
    return [
        joined.headers.get("Location"),
        len(codes),
        login.headers.get("Location"),
        verify.status_code,
        twice.status_code,
        len(_enrol(again)),
        first.get(link).status_code,
    ]


def _enrol(client: Client) -> list[str]:
    """Set an app up with the secret that the page shows; returns the recovery codes."""
    from tenants import totp
    from tenants.portal.sign_in import ENROLMENT

    assert client.get("/login/setup").status_code == 200
    session = client.session
    secret = totp.open_secret(session[ENROLMENT], user_id=UUID(session["_auth_user_id"]))
    page = client.post("/login/setup", {"code": totp.code_at(secret)})
    return re.findall(r"<li>([0-9a-z]{5}-[0-9a-z]{5})</li>", page.content.decode())


def _reset(given: dict[str, Any], *, link: str, email: str, otp: str) -> list[Any]:
    """Set a new password by the link and log in with it; then ask for a sign-in link and use it."""
    from tenants.models import SignInLink
    from tenants.services import sign_in_links

    client = Client(REMOTE_ADDR=given["address"])
    password = "quite another sentence"
    statuses = [client.post(link, {"password": password}).status_code for _ in range(2)]
    client.post("/login", {"email": email, "password": password})
    statuses.append(client.post("/login/verify", {"code": otp}).status_code)
    other = Client(REMOTE_ADDR=given["address"])
    statuses.append(other.post("/login/link", {"email": email}).status_code)
    with tenant_atomic(Scope.auth()):
        row = SignInLink.objects.get(user__email=email)
    token = sign_in_links.sign_in_link_token(row.id)
    statuses += [other.post(f"/login/link/{token}").status_code for _ in range(2)]
    return statuses


KINDS = {"web": web, "people": people, "console": console, "worker": worker, "relay": relay}
print(json.dumps(KINDS[sys.argv[1]](json.load(sys.stdin))))
