"""Every address of the platform, the admin's and the error pages included, to walk over."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from django.contrib import admin
from django.urls import reverse

from tests.permission_table import TABLE
from tests.tenants.test_permission_table import path_of

#: The admin's own pages beside its lists, and one page of a row: all rows' pages are one view.
_ADMIN: Final = (
    "/admin/",
    "/admin/login/",
    "/admin/logout/",
    "/admin/jsi18n/",
    "/admin/search/",
    "/admin/autocomplete/",
    "/admin/tenants/",
    "/admin/r/1/1/",
    "/admin/tenants/user/00000000-0000-0000-0000-000000000001/change/",
    "/admin/nothing/",
)


def _admin_addresses() -> Iterator[str]:
    yield from _ADMIN
    for model in admin.site._registry:
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@lru_cache(maxsize=1)
def addresses() -> dict[str, str]:
    """Route (or path, in the admin and where nothing is) to a path of its shape."""
    found = {route: path_of(route) for route in TABLE}
    found |= {path: path for path in _admin_addresses()}
    return found | {path: path for path in ("/nothing/here", "/v1/nothing")}


def pages() -> list[str]:
    """The paths that answer with a page: all but the API's."""
    return sorted(path for path in addresses().values() if not path.startswith("/v1"))
