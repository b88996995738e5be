"""The door for providers' webhooks."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.views import ApiView
from core.ids import decode
from core.inbox import RAW_MAX_BYTES
from payments.providers.models import ProviderAccount
from payments.providers.services import webhook_receive


class ProviderWebhookView(ApiView):
    """Events of payment providers. The signature over the raw body is the only credential."""

    public: ClassVar[bool] = True
    authentication_classes = []
    max_body_bytes: ClassVar[int] = RAW_MAX_BYTES

    @extend_schema(exclude=True)
    def post(self, request: Request, provider: str, account_id: str) -> Response:
        """Take one event. 200 also for one that came before; 4xx stores nothing."""
        message, created = webhook_receive(
            provider=provider,
            account_id=decode(ProviderAccount.PREFIX, account_id),
            raw_body=request._request.body,
            headers=request.headers,
        )
        return Response({"received": True, "duplicate": not created, "event": message.event_id})
