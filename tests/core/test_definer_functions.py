"""Functions that run with their owner's rights: who calls each of them, and for whose rows.

Row-level security does not hold inside them, so each declares its rule in `RULES`, and a new one
without a line there fails. What a tenant's scope may call is tried with another tenant's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg
import pytest

from core.crypto import seal
from core.db import Role, Scope, tenant_atomic
from core.ids import new_id
from ledger.chart import MerchantBook, TransferCode
from ledger.services import TransferSpec, post_or_raise
from tests.factories import Tenants, make_tenants
from tests.ledger.test_post import held

TENANTS: Final[tuple[Role, ...]] = ("app_merchant", "app_reseller")

#: trigger, internal: nothing calls it but the database, and other functions.
#: look-up: not in a tenant's scope; it finds the tenant, or is a provider's side of a call.
#: worker: for all tenants, by schedule.
#: counter: names a subject and touches no tenant's row.
#: own tenant: in a tenant's scope it refuses, or does not find, what is another tenant's.
Kind = Literal["trigger", "internal", "look-up", "worker", "counter", "own tenant"]

_SCOPES = "app_merchant app_reseller app_staff app_worker"
RULES: Final[dict[str, tuple[Kind, str]]] = {
    "checkout_session_door": ("look-up", "merchantry_app"),
    "core_datakey_add": ("own tenant", f"merchantry_app app_auth {_SCOPES}"),
    "core_datakey_newest": ("own tenant", f"merchantry_app app_auth app_intake {_SCOPES}"),
    "core_datakey_wrapped": ("own tenant", f"merchantry_app app_auth app_intake {_SCOPES}"),
    "core_throttle_take": ("look-up", "app_auth"),
    "core_throttle_take_mail": ("counter", "app_auth app_merchant app_reseller app_staff"),
    "ledger_expire": ("worker", "app_worker"),
    "ledger_known": ("own tenant", _SCOPES),
    "ledger_open": ("own tenant", _SCOPES),
    "ledger_post": ("own tenant", f"merchantry_app {_SCOPES}"),
    "ledger_post_batch": ("internal", ""),
    "ledger_transit_zero": ("trigger", ""),
    "providers_account": ("look-up", "merchantry_app app_staff app_worker"),
    "providers_candidates": ("own tenant", "merchantry_app app_merchant app_staff app_worker"),
    "sandbox_attach": ("look-up", "merchantry_app"),
    "sandbox_cancel": ("look-up", "merchantry_app"),
    "sandbox_capture": ("look-up", "merchantry_app"),
    "sandbox_challenge": ("look-up", "merchantry_app"),
    "sandbox_check_source": ("look-up", "merchantry_app"),
    "sandbox_claim_events": ("look-up", "merchantry_app"),
    "sandbox_create_payment": ("look-up", "merchantry_app"),
    "sandbox_event_delivered": ("look-up", "merchantry_app"),
    "sandbox_get_payment": ("look-up", "merchantry_app"),
    "sandbox_get_refund": ("look-up", "merchantry_app"),
    "sandbox_lines": ("look-up", "merchantry_app"),
    "sandbox_refund": ("look-up", "merchantry_app"),
    "sandbox_tokenize": ("look-up", "merchantry_app"),
    "tenants_api_key_find": ("look-up", "merchantry_app app_auth"),
    "tenants_invitation_accept": ("look-up", "app_auth"),
    "tenants_invitation_find": ("look-up", "app_auth"),
    "tenants_machine_client_find": ("look-up", "merchantry_app app_auth"),
    "tenants_machine_token": ("look-up", "merchantry_app"),
    "tenants_merchant_facts": ("look-up", "merchantry_app app_auth app_worker"),
    "tenants_password_hash": ("look-up", "app_auth"),
    "tenants_password_renew": ("look-up", "app_auth"),
    "tenants_password_set": ("look-up", "app_auth"),
    "tenants_person_token": ("look-up", "merchantry_app"),
    "tenants_seats": ("look-up", "merchantry_app app_auth"),
    "tenants_service_caller_find": ("look-up", "merchantry_app app_auth"),
}


def test_every_function_with_rights_of_its_own_has_its_callers_declared(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "SELECT p.proname, coalesce(array_agg(coalesce(r.rolname, 'PUBLIC'))"
            "       FILTER (WHERE a.grantee IS NOT NULL), '{}')::text[]"
            "  FROM pg_proc p"
            "  LEFT JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
            "    ON a.grantee <> p.proowner"
            "  LEFT JOIN pg_roles r ON r.oid = a.grantee"
            " WHERE p.prosecdef AND p.prorettype <> 'trigger'::regtype"
            "   AND p.pronamespace = 'public'::regnamespace GROUP BY p.oid, p.proname"
        ).fetchall()
        triggers = conn.execute(
            "SELECT proname FROM pg_proc WHERE prosecdef AND prorettype = 'trigger'::regtype"
            " AND pronamespace = 'public'::regnamespace"
        ).fetchall()
    # An overload would have the rule of its namesake.
    assert len({name for name, _ in rows}) == len(rows)
    assert {name: set(callers) for name, callers in rows} == {
        name: set(callers.split()) for name, (kind, callers) in RULES.items() if kind != "trigger"
    }
    assert {name for (name,) in triggers} == {
        name for name, (kind, _) in RULES.items() if kind == "trigger"
    }


def test_what_a_tenants_scope_may_call_is_for_its_own_tenant_and_is_tried() -> None:
    open_to_tenants = {
        name: kind for name, (kind, callers) in RULES.items() if {*callers.split()} & {*TENANTS}
    }
    assert set(open_to_tenants.values()) == {"own tenant", "counter"}
    assert {name for name, kind in open_to_tenants.items() if kind == "own tenant"} == {
        attempt.function for attempt in ATTEMPTS
    }


@dataclass(frozen=True)
class Ground:
    """Two merchants of two resellers; each has 500 pending in its book, from one transfer."""

    tenants: Tenants
    book: MerchantBook
    paid: TransferSpec


def ground() -> Ground:
    t = make_tenants(users=False)
    book = MerchantBook(t.merchant.id, t.reseller.id, "USD", False)
    paid = TransferSpec(
        id=new_id(),
        debit=book.receivable,
        credit=book.pending,
        amount_minor=500,
        code=TransferCode.PAYMENT,
    )
    with tenant_atomic(t.scope):
        post_or_raise([paid])
        seal("a", tenant_id=t.merchant.id, table="t", column="c", pk="1")
    with tenant_atomic(t.reseller_scope):
        seal("a", tenant_id=t.reseller.id, table="t", column="c", pk="1")
    return Ground(t, book, paid)


Params = Callable[[Ground, Ground, Role], list[Any]]
REFUSED: Final = "refused"


@dataclass(frozen=True)
class Attempt:
    """A call with another tenant's rows (the second `Ground`), in a scope of the first.

    `answer` is what it gets: `REFUSED`, or the exact rows. With rows of its own, the scope gets
    another one.
    """

    name: str
    function: str
    sql: str
    params: Params
    answer: str | list[Any]
    roles: tuple[Role, ...] = TENANTS


def tenant_of(place: Ground, role: Role) -> Any:
    return place.tenants.merchant.id if role == "app_merchant" else place.tenants.reseller.id


def _open(place: Ground, role: Role, **changes: Any) -> list[Any]:
    fresh = new_id()
    fields = {
        "scope": tenant_of(place, role),
        "merchant": place.tenants.merchant.id,
        "reseller": place.tenants.reseller.id,
        **changes,
    }
    name = f"merchant_pending/{fresh}/USD/test"
    return [fresh, name, fields["merchant"], fields["reseller"], fields["scope"]]


_OPEN: Final = (
    "SELECT ledger_open(ARRAY[%s::uuid], ARRAY[%s], ARRAY[2010], ARRAY[8400], ARRAY['USD'],"
    " ARRAY[false], ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid])"
)
_POST: Final = (
    "SELECT ledger_post(ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[1::bigint],"
    " ARRAY[8400], ARRAY[90])"
)
_KNOWN: Final = (
    "SELECT ledger_known(ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[500::bigint],"
    " ARRAY[8400], ARRAY[10], NULL, NULL, NULL, NULL, NULL, NULL)"
)
#: ledger.status: exists; exists with another debit account; no such debit, or credit, account.
_EXISTS, _OTHER, _NO_DEBIT, _NO_CREDIT = 46, 37, -21, -22

CORRECTS: Final = "corrects its transfer"

ATTEMPTS: Final = (
    Attempt(
        "makes its data key", "core_datakey_add",
        "SELECT core_datakey_add(%s, 'attempt', 1, 'junk')",
        lambda mine, theirs, role: [tenant_of(theirs, role)], REFUSED,
    ),
    Attempt(
        "reads its newest data key", "core_datakey_newest",
        "SELECT version FROM core_datakey_newest(%s, 'data')",
        lambda mine, theirs, role: [tenant_of(theirs, role)], REFUSED,
    ),
    Attempt(
        "reads its data key", "core_datakey_wrapped",
        "SELECT core_datakey_wrapped(%s, 'data', 1) IS NOT NULL",
        lambda mine, theirs, role: [tenant_of(theirs, role)], REFUSED,
    ),
    Attempt(
        "guesses its transfer", "ledger_known", _KNOWN,
        lambda mine, theirs, role: [theirs.paid.id, theirs.paid.debit_id, theirs.paid.credit_id],
        [([_OTHER],)],
    ),
    Attempt(
        "opens its account", "ledger_open", _OPEN,
        lambda mine, theirs, role: _open(theirs, role), REFUSED,
    ),
    Attempt(
        "opens an account that its merchant sees", "ledger_open", _OPEN,
        lambda mine, theirs, role: _open(mine, role, merchant=theirs.tenants.merchant.id), REFUSED,
    ),
    Attempt(
        "opens an account that its reseller sees", "ledger_open", _OPEN,
        lambda mine, theirs, role: _open(mine, role, reseller=theirs.tenants.reseller.id), REFUSED,
    ),
    Attempt(
        "debits its account", "ledger_post", _POST,
        lambda mine, theirs, role: [new_id(), theirs.book.pending.id, mine.book.pending.id],
        [([_NO_DEBIT],)],
    ),
    Attempt(
        "credits its account", "ledger_post", _POST,
        lambda mine, theirs, role: [new_id(), mine.book.pending.id, theirs.book.pending.id],
        [([_NO_CREDIT],)],
    ),
    Attempt(
        "moves money between its accounts", "ledger_post", _POST,
        lambda mine, theirs, role: [new_id(), theirs.book.pending.id, theirs.paid.debit_id],
        [([_NO_DEBIT],)],
    ),
    Attempt(
        CORRECTS, "ledger_post",
        _POST.removesuffix(")") + ", p_corrects => ARRAY[%s::uuid])",
        lambda mine, theirs, role: [
            new_id(), mine.paid.debit_id, mine.book.pending.id, theirs.paid.id,
        ],
        REFUSED,
    ),
    Attempt(
        "reads its routes", "providers_candidates",
        "SELECT DISTINCT provider FROM providers_candidates(%s, false, 'payment')",
        lambda mine, theirs, role: [theirs.tenants.merchant.id], [], ("app_merchant",),
    ),
)  # fmt: skip


def call(dsn: str, scope: Scope, attempt: Attempt, params: list[Any]) -> str | list[Any]:
    with psycopg.connect(dsn) as conn:
        conn.execute(
            "SELECT set_config('role', %s, true), set_config('app.tenant', %s, true)",
            [scope.role, str(scope.tenant)],
        )
        try:
            return conn.execute(attempt.sql, params).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return REFUSED
        finally:
            conn.rollback()


@pytest.mark.parametrize("role", TENANTS)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.name)
def test_the_scope_of_one_tenant_does_nothing_with_the_rows_of_another(
    attempt: Attempt, role: Role, process_dsns: dict[str, str]
) -> None:
    if role not in attempt.roles:
        assert role not in RULES[attempt.function][1].split()
        return
    mine, theirs = ground(), ground()
    scope = Scope(role, tenant_of(mine, role))
    params = attempt.params(mine, theirs, role)

    assert call(process_dsns["merchantry_web"], scope, attempt, params) == attempt.answer

    assert [held(each.book, "pending") for each in (mine, theirs)] == [(500, 0), (500, 0)]


@pytest.mark.parametrize("role", TENANTS)
@pytest.mark.parametrize(
    "attempt", [a for a in ATTEMPTS if a.name != CORRECTS], ids=lambda each: each.name
)
def test_the_same_call_with_rows_of_its_own_is_answered(
    attempt: Attempt, role: Role, process_dsns: dict[str, str]
) -> None:
    if role not in attempt.roles:
        return
    mine = ground()
    scope = Scope(role, tenant_of(mine, role))
    params = attempt.params(mine, mine, role)

    answer = call(process_dsns["merchantry_web"], scope, attempt, params)

    assert answer not in (attempt.answer, REFUSED)


def test_no_tenant_corrects_a_transfer_of_its_own_and_staff_does(admin_dsn: str) -> None:
    place = ground()
    attempt = next(each for each in ATTEMPTS if each.name == CORRECTS)
    params = attempt.params(place, place, "app_merchant")
    for scope in (place.tenants.scope, place.tenants.reseller_scope):
        assert call(admin_dsn, scope, attempt, params) == REFUSED
    assert call(admin_dsn, Scope.staff(), attempt, params) == [([1],)]
