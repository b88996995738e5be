"""What `./dev bench mutants` changes, and the tests that may notice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: The modules of the run, each with the tests that are its own and run first.
MODULES: Final = {
    # money
    "core/money.py": ("tests/core/test_money.py",),
    # fees and bookings
    "payments/intents/bookings.py": ("tests/payments/test_bookings.py",),
    # states
    "payments/intents/states.py": ("tests/payments/test_states.py",),
    "payments/acceptance/states.py": ("tests/payments/test_states.py",),
    "payments/checkout/states.py": ("tests/checkout/test_sessions_api.py",),
    # decide, and what carries its decisions out
    "payments/intents/progress.py": ("tests/payments/test_decide.py",),
    "payments/intents/services/answers.py": ("tests/payments/test_poller.py",),
    "payments/intents/services/steps.py": ("tests/payments/test_payment_flow.py",),
    "payments/intents/services/recovery.py": ("tests/payments/test_recovery.py",),
    "payments/acceptance/services/payments.py": ("tests/payments/test_payment_flow.py",),
    "payments/acceptance/services/refunds.py": ("tests/payments/test_payment_flow.py",),
    "payments/acceptance/services/disputes.py": ("tests/payments/test_disputes.py",),
    "payments/acceptance/services/handlers.py": ("tests/payments/test_disputes.py",),
    "payments/acceptance/services/release.py": ("tests/payments/test_release.py",),
    # idempotency
    "core/idempotency.py": ("tests/core/test_idempotency.py",),
    # signing
    "core/hmac_auth.py": ("tests/core/test_hmac_auth.py",),
    "notifications/signing.py": ("tests/notifications/test_signing.py",),
    "payments/providers/signing.py": ("tests/providers/test_signing.py",),
    "tenants/keys.py": ("tests/tenants/test_api_keys.py", "tests/tenants/test_keys.py"),
    # policies
    "tenants/policies.py": ("tests/tenants/test_policies.py", "tests/tenants/test_acts.py"),
}
#: The tests that may notice, files and folders: those that reach these modules for their own sake.
TESTS: Final = (
    "tests/api_fuzz/test_bad_input.py",
    "tests/checkout/test_hosted_page.py",
    "tests/checkout/test_sessions_api.py",
    "tests/core/test_card_references.py",
    "tests/core/test_hmac_auth.py",
    "tests/core/test_idempotency.py",
    "tests/core/test_money.py",
    "tests/notifications/test_delivery.py",
    "tests/notifications/test_signing.py",
    "tests/payments",
    "tests/providers/test_challenge_page.py",
    "tests/providers/test_signing.py",
    "tests/providers/test_stripe_payments.py",
    "tests/providers/test_webhook_door.py",
    "tests/tenants",
)


def module_name(path: str) -> str:
    """`core/money.py` is the module `core.money`."""
    return ".".join(Path(path).with_suffix("").parts)
