"""What a pill says of a payment is what its filter finds: for every row that there can be."""

from __future__ import annotations

import itertools

from django.db import connection
from django.db.models import Q

from core.db import tenant_atomic
from payments.acceptance.models import Payment
from payments.acceptance.portal.filters import TABS
from payments.acceptance.selectors import SHOWN_STATES, shown_state
from payments.acceptance.states import PaymentStatus
from portal.words import STATES
from tests.factories import Given, make_tenants


def test_every_payment_is_in_the_one_state_that_its_pill_tells() -> None:
    tenants = make_tenants(users=False)
    writes = Given()
    amounts = itertools.product(PaymentStatus, (0, 100), (0, 50, 100), (0, 50), (0, 100))
    for status, captured, refunded, disputed, capturable in amounts:
        if refunded <= captured:
            writes.insert(
                Payment(
                    merchant_id=tenants.merchant.id,
                    reseller_id=tenants.reseller.id,
                    amount_minor=100,
                    currency="EUR",
                    status=status,
                    amount_captured_minor=captured,
                    amount_refunded_minor=refunded,
                    amount_disputed_minor=disputed,
                    amount_capturable_minor=capturable,
                )
            )
    with tenant_atomic(tenants.scope):
        writes.flush()
        rows = Payment.objects.filter(merchant_id=tenants.merchant.id)
        told = {row.id: shown_state(row) for row in rows}
        assert set(told.values()) == set(SHOWN_STATES)
        for state, condition in SHOWN_STATES.items():
            found = set(rows.filter(condition).values_list("id", flat=True))
            assert found == {key for key, value in told.items() if value == state}, state


def test_every_state_has_a_tab_in_the_words_of_its_pill() -> None:
    assert {value: label for value, label in TABS if value} == {
        state: STATES[state].word for state in SHOWN_STATES
    }


def test_the_rare_states_are_found_by_an_index_of_their_own() -> None:
    tenants = make_tenants(users=False)
    with tenant_atomic(tenants.scope), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        # As in a large table, where reading a page in its order beats sorting all that is found.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        for state, name in (
            ("disputed", "disputed"),
            ("refunded", "refunded"),
            ("partially_refunded", "refunded"),
            ("requires_capture", "capturable"),
        ):
            mine = Q(merchant_id=tenants.merchant.id, livemode=False)
            rows = Payment.objects.filter(mine).filter(SHOWN_STATES[state]).order_by("-id")
            plan = rows[:26].explain()
            assert f"payment_merchant_{name}" in plan, (state, plan)
