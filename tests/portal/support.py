"""A signed-in browser of the test client, and payments to look at."""

from __future__ import annotations

import re
import time
from typing import Any

from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from core.db import Scope, tenant_atomic
from payments.acceptance.models import Payment
from payments.acceptance.services.disputes import dispute_notice
from payments.intents.models import Intent
from payments.providers.base import DisputeNotice
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import TotpDevice
from tests.api import Api
from tests.factories import Tenants
from tests.visitor import Visitor


def signed_in(tenants: Tenants, name: str = "merchant.owner") -> Client:
    """A client with a session as after password and code (a code counts once, so tests skip it)."""
    client, user = Visitor(raise_request_exception=False), tenants.users[name]
    client.force_login(user)
    session = client.session
    session[SESSION_STARTED] = session[SESSION_SEEN] = int(time.time())
    if user.id in tenants.totp_secrets:
        with tenant_atomic(Scope.auth()):
            session[DEVICE_ID_SESSION_KEY] = TotpDevice.objects.get(user=user).persistent_id
    session.save()
    return client


def take_payment(tenants: Tenants, **body: Any) -> dict[str, Any]:
    """A payment over the API, confirmed with a card that succeeds unless told otherwise."""
    api = Api(tenants)
    wanted = {
        "amount": 4890,
        "currency": "USD",
        "confirm": True,
        "payment_method_token": api.token(body.pop("number", "4242424242424242")),
        **body,
    }
    answer = api.post("/v1/payments", wanted).json()
    data = answer["data"] if answer["success"] else answer["error"]["details"]["payment"]
    assert isinstance(data, dict)
    return data


def dispute(tenants: Tenants, status: str, *, amount: int) -> None:
    """The provider's news that the payer disputes the merchant's newest payment."""
    with tenant_atomic(tenants.scope):
        intent = Intent.objects.filter(document_type="payment").order_by("-id")[0]
    notice = DisputeNotice(
        provider_id="dp_1",
        payment_provider_id=intent.external_id,
        amount_minor=amount,
        currency=intent.currency,
        status=status,
        reason="fraudulent",
        occurred_at=timezone.now(),
    )
    dispute_notice(intent, notice)


def payments_of(tenants: Tenants) -> list[Payment]:
    """The merchant's payments as they stand, oldest first."""
    with tenant_atomic(tenants.scope):
        return list(Payment.objects.filter(merchant_id=tenants.merchant.id).order_by("id"))


def text_of(response: Any) -> str:
    """What a person reads on the page: tags, scripts and repeated spaces taken out."""
    html = re.sub(r"<(script|style|template)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
