from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connection

from core import crypto, rotation
from core.crypto import CannotOpen, blind_index, open_sealed, seal
from core.db import Scope, fetch_all, tenant_atomic
from core.ids import new_id
from notifications import services
from notifications.services import webhooks
from tests.core.support import worker_sql
from tests.factories import make_tenants

NEW_KEY = "2:" + base64.b64encode(b"1" * 32).decode()


@pytest.fixture(autouse=True)
def _no_remembered_keys() -> Iterator[None]:
    crypto.forget_keys()
    yield
    crypto.forget_keys()


def make_key(tenant_id: UUID) -> None:
    """The first data key of a tenant, as its own scope would make it."""
    with tenant_atomic(Scope.merchant(tenant_id)):
        seal("", tenant_id=tenant_id, table="t", column="c", pk="0")


def test_opens_in_its_place_alone() -> None:
    tenant, pk = new_id(), new_id()
    place: dict[str, Any] = {"tenant_id": tenant, "table": "t", "column": "c", "pk": pk}
    make_key(tenant)
    sealed = seal("geheim ☂", **place)

    assert "geheim" not in sealed
    assert open_sealed(sealed, **place) == "geheim ☂"
    assert seal("geheim ☂", **place) != sealed
    make_key(other := new_id())
    elsewhere: list[dict[str, Any]] = [
        {"tenant_id": other},
        {"table": "u"},
        {"column": "d"},
        {"pk": new_id()},
    ]
    for moved in elsewhere:
        with pytest.raises(CannotOpen):
            open_sealed(sealed, **{**place, **moved})


def test_a_changed_value_does_not_open() -> None:
    place: dict[str, Any] = {"tenant_id": new_id(), "table": "t", "column": "c", "pk": new_id()}
    make_key(place["tenant_id"])
    sealed = seal("x" * 40, **place)
    middle = len(sealed) // 2
    swapped = "A" if sealed[middle] != "A" else "B"
    for wrong in (
        sealed[:middle] + swapped + sealed[middle + 1 :],
        sealed[:-8],
        sealed.replace("v1.1.", "v1.2."),
        "v2" + sealed[2:],
        "",
        "plain text",
    ):
        with pytest.raises(CannotOpen):
            open_sealed(wrong, **place)


def test_opens_in_every_scope_of_no_other_tenant_and_outside_any() -> None:
    tenants = make_tenants(users=False)
    place: dict[str, Any] = {
        "tenant_id": tenants.merchant.id,
        "table": "t",
        "column": "c",
        "pk": "1",
    }
    with tenant_atomic(tenants.scope):
        sealed = seal("a", **place)
    crypto.forget_keys()
    assert open_sealed(sealed, **place) == "a"
    for scope in (Scope.staff(), Scope.worker(), Scope.auth()):
        crypto.forget_keys()
        with tenant_atomic(scope):
            assert open_sealed(sealed, **place) == "a"
    crypto.forget_keys()
    with (
        pytest.raises(ProgrammingError, match="is not read in the scope of another one"),
        tenant_atomic(tenants.reseller_scope),
    ):
        open_sealed(sealed, **place)


def add_key(tenant_id: UUID, *, version: int = 1, purpose: str = "data") -> None:
    fetch_all("SELECT core_datakey_add(%s, %s, %s, 'junk')", [tenant_id, purpose, version])


def versions_of(tenant_id: UUID, *, purpose: str = "data") -> list[int]:
    rows = worker_sql(
        "SELECT version FROM core_datakey WHERE tenant_id = %s AND purpose = %s",
        [tenant_id, purpose],
    )
    return sorted(row[0] for row in rows)


@pytest.mark.parametrize(
    ("scope", "makes_own", "makes_foreign", "makes_platform"),
    [
        ("app_merchant", True, False, False),
        ("app_reseller", True, False, False),
        ("app_auth", False, False, True),
        ("none", False, False, True),
        ("app_staff", True, True, True),
        ("app_worker", True, True, True),
    ],
)
def test_a_key_is_made_in_the_scope_of_its_tenant_alone(
    scope: Any, makes_own: bool, makes_foreign: bool, makes_platform: bool, admin_dsn: str
) -> None:
    own, foreign = new_id(), new_id()
    # A purpose of its own: the platform's keys are every other test's too.
    purpose = secrets.token_hex(4)
    opened = contextlib.nullcontext if scope == "none" else lambda: tenant_atomic(Scope(scope, own))
    for tenant, may in (
        (own, makes_own),
        (foreign, makes_foreign),
        (crypto.PLATFORM_TENANT, makes_platform),
    ):
        refused = (
            contextlib.nullcontext()
            if may
            else pytest.raises(ProgrammingError, match="is not made in the scope")
        )
        with refused, opened():
            add_key(tenant, purpose=purpose)
        assert versions_of(tenant, purpose=purpose) == ([1] if may else [])
    # What cannot be opened is left for no other test.
    with psycopg.connect(admin_dsn) as conn:
        conn.execute("DELETE FROM core_datakey WHERE wrapped = 'junk'")


def test_later_versions_are_the_rotations_alone() -> None:
    tenant = new_id()
    make_key(tenant)
    for scope in (Scope.merchant(tenant), Scope.staff()):
        with pytest.raises(ProgrammingError, match="the rotation alone"), tenant_atomic(scope):
            add_key(tenant, version=2)
    assert versions_of(tenant) == [1]
    with tenant_atomic(Scope.worker()):
        assert crypto.new_data_key(tenant) == 2
    assert versions_of(tenant) == [1, 2]


def test_wrapped_keys_are_not_readable_as_a_tenant() -> None:
    tenants = make_tenants(users=False)
    make_key(tenants.merchant.id)
    with pytest.raises(ProgrammingError), tenant_atomic(tenants.scope):
        fetch_all("SELECT * FROM core_datakey")


def test_a_key_of_a_rolled_back_transaction_is_forgotten() -> None:
    tenants = make_tenants(users=False)
    place: dict[str, Any] = {
        "tenant_id": tenants.merchant.id,
        "table": "t",
        "column": "c",
        "pk": "1",
    }

    def seal_and_fail() -> None:
        with tenant_atomic(tenants.scope):
            seal("lost", **place)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        seal_and_fail()
    with tenant_atomic(tenants.scope):
        sealed = seal("kept", **place)
    crypto.forget_keys()

    assert open_sealed(sealed, **place) == "kept"


def test_first_keys_made_at_once_are_one() -> None:
    place: dict[str, Any] = {"tenant_id": new_id(), "table": "t", "column": "c", "pk": "1"}

    def one(number: int) -> str:
        try:
            with tenant_atomic(Scope.merchant(place["tenant_id"])):
                return seal(str(number), **place)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(one, range(16)))
    crypto.forget_keys()

    assert [open_sealed(text, **place) for text in sealed] == [str(n) for n in range(16)]


def test_the_blind_index_is_stable_and_apart_per_tenant_and_column() -> None:
    tenant, other = new_id(), new_id()

    def index(value: str, *, tenant_id: UUID, column: str) -> str:
        with tenant_atomic(Scope.merchant(tenant_id)):
            return blind_index(value, tenant_id=tenant_id, table="t", column=column)

    base = index("a@b.c", tenant_id=tenant, column="email")
    crypto.forget_keys()

    assert index("a@b.c", tenant_id=tenant, column="email") == base
    assert index("a@b.c", tenant_id=other, column="email") != base
    assert index("a@b.c", tenant_id=tenant, column="phone") != base
    assert index("x@b.c", tenant_id=tenant, column="email") != base


@pytest.mark.usefixtures("own_database")
def test_rotation_renews_master_key_data_key_and_fields(settings) -> None:
    tenants = make_tenants(users=False)
    settings.ALLOW_LOOPBACK_WEBHOOKS = True
    spec = services.endpoint_spec(url="http://127.0.0.1:9/x", events=["*"])
    endpoint, secret = services.endpoint_create(actor=tenants.key_actor(), spec=spec)
    old_keys = list(settings.FIELD_KEYS)

    settings.FIELD_KEYS = [NEW_KEY, *old_keys]
    crypto.forget_keys()
    done = rotation.rotate(older_than=timedelta(0))
    assert (done.rewrapped, done.new_keys, done.resealed) == (1, 1, 1)

    settings.FIELD_KEYS = [NEW_KEY]
    crypto.forget_keys()
    [(sealed,)] = worker_sql(
        "SELECT secret_sealed FROM notifications_webhookendpoint WHERE id = %s", [endpoint.id]
    )
    assert sealed != endpoint.secret_sealed
    endpoint.secret_sealed = sealed
    assert webhooks.live_secrets(endpoint) == [secret]

    again = rotation.rotate()
    assert (again.rewrapped, again.new_keys, again.resealed) == (0, 0, 0)


@pytest.mark.parametrize("keys", [[], ["1"], ["1:abc"], ["1:" + "A" * 43], ["?:" + "A" * 44]])
def test_bad_master_keys_are_named_at_once(keys: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="FIELD_KEYS"):
        crypto.LocalKeyProvider(keys)
