"""`/v1/tokens`: a card becomes a token in the payer's browser, with a publishable key."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.cross_origin import CrossOriginView
from core.errors import InvalidRequest
from payments.acceptance import serializers, shapes
from payments.providers.adapters.sandbox.vault import CardInput, tokenize


class TokensView(CrossOriginView):
    """Exchange a test card for a token that is good for one use within 15 minutes."""

    tag = "Tokens"
    permissions: ClassVar = {"POST": "tokens.create"}
    # A token moves nothing and lives 15 minutes; a stored answer would keep it for 30 days.
    idempotency = "none"

    @extend_schema(
        operation_id="tokens_create",
        request=serializers.TokenCreate,
        responses={201: shapes.TokenOut},
    )
    def post(self, request: Request) -> Response:
        """Tokenise a test card.

        Call it from the payer's page, whatever its origin, with a publishable key. The number goes
        to the sandbox's vault and nowhere else. In live mode cards never reach us:
        the provider's own fields make the token.
        """
        actor = self.actor
        if actor.livemode:
            raise InvalidRequest(
                "Live cards are tokenised by the provider's own card fields, not here. Use a test "
                "key, or take the token that the provider's script gives.",
                code="tokens_test_mode_only",
            )
        card = serializers.TokenCreate.parse(self.body)["card"]
        if actor.merchant_id is None:
            raise InvalidRequest("Use a merchant's key.", code="merchant_required")
        token = tokenize(
            card=CardInput(
                number=card["number"],
                exp_month=card["exp_month"],
                exp_year=card["exp_year"],
                cvc=card["cvc"],
            ),
            merchant_key=ids.encode("mer", actor.merchant_id),
        )
        return Response(shapes.token_out(token), status=201)
