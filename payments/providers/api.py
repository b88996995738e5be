"""The door for providers' webhooks."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.views import ApiView
from core.errors import PayloadTooLarge
from core.ids import decode
from core.inbox import RAW_MAX_BYTES
from payments.providers.models import ProviderAccount
from payments.providers.services import webhook_receive


class ProviderWebhookView(ApiView):
    """Events of payment providers. The signature over the raw body is the only credential."""

    public: ClassVar[bool] = True
    authentication_classes = []

    @extend_schema(exclude=True)
    def post(self, request: Request, provider: str, account_id: str) -> Response:
        """Take one event. 200 also for one that came before; 4xx stores nothing."""
        message, created = webhook_receive(
            provider=provider,
            account_id=decode(ProviderAccount.PREFIX, account_id),
            raw_body=_raw_body(request._request),
            headers=request.headers,
        )
        return Response({"received": True, "duplicate": not created, "event": message.event_id})


def _raw_body(request: HttpRequest) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    too_large = PayloadTooLarge(f"An event may have {RAW_MAX_BYTES // 1024} KiB at most.")
    if declared.isdigit() and int(declared) > RAW_MAX_BYTES:
        raise too_large
    try:
        return request.body
    except RequestDataTooBig:
        raise too_large from None
