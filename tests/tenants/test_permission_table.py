"""Every address × every role: what `tests/permission_table.py` says is what the platform does."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django_otp import DEVICE_ID_SESSION_KEY

from core import ids
from core.db import Scope, tenant_atomic
from tenants import policies
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import TotpDevice
from tenants.portal.base import PortalPage
from tenants.tokens import ACCESS_LIFETIME
from tests.factories import Tenants, make_tenants
from tests.permission_table import ADMIN, ROLES, TABLE, Row
from tests.visitor import Visitor

LEVELS: Final = ("merchant", "reseller", "platform")
INITIALS: Final = {
    "merchant": {"o": "owner", "a": "admin", "d": "developer", "v": "viewer"},
    "reseller": {"o": "owner", "a": "admin", "d": "developer", "v": "viewer"},
    "platform": {"c": "compliance", "f": "finance", "s": "support"},
}
#: Values that fit a converter and name nothing.
NOTHING: Final = {"uuid": str(uuid.UUID(int=1)), "slug": "nothing", "int": "1", "str": "nothing"}


def _walk(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, route)
        else:
            yield route, entry


@lru_cache(maxsize=1)
def routes() -> dict[str, URLPattern]:
    """Every address but the admin's own, which share one rule."""
    return {
        route: entry
        for route, entry in _walk(get_resolver().url_patterns)
        if not route.startswith("admin/")
    }


def path_of(route: str) -> str:
    """A path that the route matches, with an id of the right shape that names nothing."""
    parts = []
    for part in route.split("/"):
        if part.startswith("<"):
            kind = part[1:-1].split(":")[0]
            parts.append(NOTHING[kind])
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def holders(permission: str) -> set[tuple[str, str]]:
    """The (level, role) pairs that ROLES gives a permission to."""
    found = set()
    columns = ROLES[permission].replace("2", "").split("|")
    for level, letters in zip(LEVELS, columns, strict=True):
        found |= {(level, INITIALS[level][letter]) for letter in letters.strip() if letter != "-"}
    return found


EVERYBODY: Final = [(level, role) for level, names in INITIALS.items() for role in names.values()]


@pytest.fixture(scope="module")
def tenants() -> Tenants:
    return make_tenants(totp=True)


# ---- the table and the platform name the same things ------------------------------------------


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert sorted(set(routes()) - set(TABLE)) == [], "add these to tests/permission_table.py"
    assert sorted(set(TABLE) - set(routes())) == [], "these addresses are gone"


def test_every_permission_is_held_as_written() -> None:
    assert set(ROLES) == set(policies.PERMISSIONS)
    for name, row in policies.PERMISSIONS.items():
        actual = {(level, str(role)) for level in LEVELS for role in row.roles(level)}
        assert actual == holders(name), name
        assert row.second_factor is ROLES[name].endswith("2"), name


@pytest.mark.parametrize("route", sorted(TABLE))
def test_the_view_demands_what_the_row_says(route: str) -> None:
    entry, row = routes().get(route), TABLE[route]
    if entry is None:
        pytest.fail(f"{route} is gone")
    view: Any = getattr(entry.callback, "view_class", None) or getattr(entry.callback, "cls", None)
    demanded = getattr(view, "permissions", None)
    page = inspect.unwrap(entry.callback, stop=lambda view: isinstance(view, PortalPage))
    if row.kind == "api":
        assert not view.public
        served = {name.upper() for name in view.http_method_names if hasattr(view, name)}
        assert demanded == row.methods
        assert served - {"OPTIONS", "HEAD"} == set(row.methods)
    elif row.kind == "page":
        assert isinstance(page, PortalPage)
        assert page.spec.permission in row.methods.values()
        assert set(page.spec.levels) == set(row.levels)
    else:
        assert not isinstance(page, PortalPage)
        assert view is None or getattr(view, "public", True)


# ---- the platform does what the table says ----------------------------------------------------


def token_for(t: Tenants, level: str, role: str, *, livemode: bool) -> str:
    """A token of this person; made again before the one that is known has expired."""
    key = (t.merchant.id, level, role, livemode)
    token, made_at = _known_tokens.get(key, ("", 0.0))
    if not token or time.monotonic() - made_at > ACCESS_LIFETIME.total_seconds() / 4:
        token = t.access_token(f"{level}.{role}", livemode=livemode)
        _known_tokens[key] = token, time.monotonic()
    return token


def browser_for(t: Tenants, level: str, role: str) -> Client:
    """A browser in which the person has passed both steps."""
    user = t.users[f"{level}.{role}"]
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user_id=user.id)
    client = Visitor(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    import time

    session[SESSION_STARTED] = session[SESSION_SEEN] = int(time.time())
    session.save()
    return client


def _api_rows() -> list[tuple[str, str, str]]:
    return [
        (route, method, str(permission))
        for route, row in TABLE.items()
        if row.kind == "api"
        for method, permission in row.methods.items()
    ]


@pytest.mark.parametrize(("route", "method", "permission"), _api_rows())
def test_the_api_lets_in_exactly_the_roles_of_the_table(
    route: str, method: str, permission: str, tenants: Tenants
) -> None:
    allowed = holders(permission)
    # In live mode one person who loses everything there and one who loses nothing.
    live = [("merchant", "developer", True), ("merchant", "owner", True)]
    for level, role, livemode in [(*pair, False) for pair in EVERYBODY] + live:
        response = Client(raise_request_exception=False).generic(
            method,
            path_of(route),
            data=b"{}" if method != "GET" else b"",
            content_type="application/json",
            headers={
                "Authorization": f"Bearer {token_for(tenants, level, role, livemode=livemode)}",
                "Idempotency-Key": ids.encode("idem", ids.new_id()),
            },
        )
        expected = (level, role) in allowed and not (livemode and role == "developer")
        code = (response.json().get("error") or {}).get("code") if response.content else None
        missing = response.status_code == 403 and code == "permission_missing"
        assert response.status_code != 401, (level, role, livemode)
        assert response.status_code < 500, (level, role, livemode, response.content[:300])
        assert missing is not expected, (level, role, livemode, response.status_code, code)
        if method == "GET":
            # Its length and status tell what the answer would have told.
            head = Client(raise_request_exception=False).head(
                path_of(route), headers={"Authorization": response.request["HTTP_AUTHORIZATION"]}
            )
            assert head.status_code == response.status_code, (level, role, livemode)


@pytest.mark.parametrize(("route", "method", "permission"), _api_rows())
def test_the_api_is_closed_without_a_caller(route: str, method: str, permission: str) -> None:
    response = Client().generic(method, path_of(route), data=b"{}", content_type="application/json")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def _page_rows() -> list[tuple[str, Row]]:
    return [(route, row) for route, row in TABLE.items() if row.kind == "page"]


@pytest.mark.parametrize(("route", "row"), _page_rows(), ids=[name for name, _ in _page_rows()])
def test_the_portal_shows_a_page_to_exactly_the_roles_of_the_table(
    route: str, row: Row, tenants: Tenants
) -> None:
    ((method, permission),) = row.methods.items()
    for level, role in EVERYBODY:
        client = _browsers(tenants)[level, role]
        response = client.post(path_of(route)) if method == "POST" else client.get(path_of(route))
        response.close()  # a download is not read
        assert response.status_code < 500, (level, role, response.content[:300])
        if level not in row.levels:
            # A page of another level does not exist; the start page leads staff to the admin.
            assert response.status_code in (404, 302), (level, role)
        elif permission is None or (level, role) in holders(permission):
            assert response.status_code != 403, (level, role)
        else:
            assert response.status_code == 403, (level, role)


_known_tokens: dict[Any, tuple[str, float]] = {}
_known_browsers: dict[Any, dict[tuple[str, str], Client]] = {}


def _browsers(t: Tenants) -> dict[tuple[str, str], Client]:
    """One browser a person, for logging in costs more than the page."""
    key = t.merchant.id
    if key not in _known_browsers:
        _known_browsers[key] = {pair: browser_for(t, *pair) for pair in EVERYBODY}
    return _known_browsers[key]


@pytest.mark.parametrize(("route", "row"), _page_rows(), ids=[name for name, _ in _page_rows()])
def test_the_portal_is_closed_without_a_session(route: str, row: Row) -> None:
    ((method, _),) = row.methods.items()
    response = Client().generic(method, path_of(route))
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login")


# ---- the admin --------------------------------------------------------------------------------


def _admin_paths() -> dict[str, str]:
    """Every list of the admin with the permission that opens it."""
    paths = {reverse("admin:index"): policies.STAFF_PERMISSION}
    for model in admin.site._registry:
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        address = reverse(f"admin:{label}_changelist")
        paths[address] = ADMIN.get(label, policies.STAFF_PERMISSION)
    return paths


def test_the_admin_is_for_staff_with_a_second_factor(tenants: Tenants) -> None:
    for path, permission in _admin_paths().items():
        assert Client().get(path).headers["Location"].startswith("/login"), path
        allowed = holders(permission) & holders(policies.STAFF_PERMISSION)
        for level, role in EVERYBODY:
            response = _browsers(tenants)[level, role].get(path)
            expected = 200 if (level, role) in allowed else 403
            assert response.status_code == expected, (path, level, role)


def test_staff_without_the_second_step_get_no_admin(tenants: Tenants) -> None:
    client = Client()
    client.force_login(
        tenants.users["platform.support"], backend="django.contrib.auth.backends.ModelBackend"
    )
    session = client.session
    session["started_at"] = session["seen_at"] = int(time.time())
    session.save()
    assert client.get("/admin/").headers["Location"].startswith("/login/verify")
