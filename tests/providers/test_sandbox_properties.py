"""Whatever is asked of it, in whatever order and however often, the sandbox's books agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.providers.base import (
    CancelPayment,
    CaptureMethod,
    CapturePayment,
    ProviderError,
    RefundPayment,
    Status,
)
from tests.providers.asking import Payments
from tests.providers.rigs import SandboxRig

AMOUNT = 1000

step = st.tuples(
    st.sampled_from(["capture", "refund", "cancel", "create"]),
    st.integers(min_value=-1, max_value=AMOUNT + 1),
    st.integers(min_value=0, max_value=3),
)


@pytest.fixture
def rig(admin_dsn: str) -> SandboxRig:
    return SandboxRig(admin_dsn)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(step, max_size=12), manual=st.booleans())
def test_money_goes_out_once_and_never_back_more(
    rig: SandboxRig, steps: list[tuple[str, int, int]], manual: bool
) -> None:
    method = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
    request = Payments(rig).request(amount_minor=AMOUNT, capture_method=method)
    made = rig.adapter.create_payment(request)
    refusals: list[ProviderError] = []
    name, there = request.reference, made.provider_id
    for kind, amount, key in steps:
        try:
            if kind == "create":
                rig.adapter.create_payment(request)
            elif kind == "cancel":
                rig.adapter.cancel_payment(
                    CancelPayment(reference=name, idempotency_key=f"{name}-x{key}")
                )
            elif kind == "capture":
                rig.adapter.capture_payment(
                    CapturePayment(
                        reference=name,
                        idempotency_key=f"{name}-c{key}",
                        provider_id=there,
                        amount_minor=amount,
                        currency="USD",
                    )
                )
            else:
                rig.adapter.refund_payment(
                    RefundPayment(
                        reference=f"{name}-r{key}",
                        idempotency_key=f"{name}-r{key}",
                        provider_id=there,
                        amount_minor=amount,
                        currency="USD",
                    )
                )
        except ProviderError as refused:
            refusals.append(refused)
    assert all(refused.permanent for refused in refusals)
    truth = rig.adapter.get_payment_status(reference=name, provider_id=None)
    assert rig.charges(name) == 1
    assert 0 <= truth.amount_refunded_minor <= truth.amount_captured_minor <= AMOUNT
    if truth.canceled:
        assert truth.amount_captured_minor == 0
    else:
        assert truth.status is Status.SUCCEEDED
    now = datetime.now(UTC)
    page = rig.adapter.list_settlement_lines(
        since=now - timedelta(hours=1), until=now + timedelta(hours=1), limit=10_000
    )
    moved = sum(line.gross_minor for line in page.lines if line.reference.startswith(name))
    assert moved == truth.amount_captured_minor - truth.amount_refunded_minor
