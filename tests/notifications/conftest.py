from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.support import clear_the_desk
from tests.factories import Tenants, make_tenants
from tests.notifications.receiver import Receiver, running_receiver


@pytest.fixture(autouse=True)
def _clear_desk() -> None:
    clear_the_desk()


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.ALLOW_LOOPBACK_WEBHOOKS = True
    with running_receiver() as running:
        yield running


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants()
