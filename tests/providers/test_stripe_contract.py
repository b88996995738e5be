"""The Stripe adapter keeps the contract of every provider, against localstripe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from payments.providers.base import ProviderError
from tests.providers.contract import AdapterContract
from tests.providers.rigs import StripeRig


@pytest.mark.xdist_group("localstripe")
class TestStripeContract(AdapterContract):
    @pytest.fixture
    def rig(self, localstripe: str) -> Iterator[StripeRig]:
        with StripeRig(localstripe) as rig:
            yield rig

    def test_a_spent_token_is_told_without_charging_it(
        self, rig: StripeRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def retrieve(_: object, token: str) -> stripe.Token:
            values = {"id": token, "used": token == "tok_1Spent"}
            return stripe.Token.construct_from(values, "sk_test_x")

        monkeypatch.setattr(stripe.TokenService, "retrieve", retrieve)
        rig.adapter.check_source(source="tok_1Fresh")
        # A test card's name can be charged and is nothing that can be read.
        rig.adapter.check_source(source="tok_visa")

        with pytest.raises(ProviderError) as refused:
            rig.adapter.check_source(source="tok_1Spent")
        assert (refused.value.code, refused.value.permanent) == ("token_already_used", True)
