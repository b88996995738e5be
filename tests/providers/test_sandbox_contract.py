"""The sandbox keeps the contract of every provider."""

from __future__ import annotations

import pytest

from tests.providers.contract import AdapterContract
from tests.providers.rigs import SandboxRig


class TestSandboxContract(AdapterContract):
    @pytest.fixture
    def rig(self, admin_dsn: str) -> SandboxRig:
        return SandboxRig(admin_dsn)
