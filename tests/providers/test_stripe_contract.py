"""The Stripe adapter keeps the contract of every provider, against localstripe."""

from __future__ import annotations

import pytest

from tests.providers.contract import AdapterContract
from tests.providers.rigs import StripeRig


@pytest.mark.xdist_group("localstripe")
class TestStripeContract(AdapterContract):
    @pytest.fixture
    def rig(self, localstripe: str) -> StripeRig:
        return StripeRig(localstripe)
