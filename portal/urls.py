"""Addresses of the portal: every page that a room declares with `portal_view`."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module

from django.apps import apps
from django.urls import URLPattern, include, path
from django.utils.module_loading import module_has_submodule

from portal.navigation import View, form_of, know_seats
from portal.views import styleguide, switches
from tenants.portal.base import PAGES


def _import_pages() -> None:
    """Import what declares pages: `portal` of each room, a module or a package, and our views."""
    rooms = [app for app in apps.get_app_configs() if module_has_submodule(app.module, "portal")]
    for name in ("portal.views", *(f"{app.name}.portal" for app in rooms)):
        found = import_module(name)
        for module in pkgutil.iter_modules(getattr(found, "__path__", ()), f"{name}."):
            import_module(module.name)


def _patterns() -> list[URLPattern]:
    """The address of each page; a fixed part goes before a variable one in the same place."""
    patterns = []
    for name, page in PAGES.items():
        view: View = page
        form = page.spec.form_of
        if form:
            names = re.findall(r"<(?:\w+:)?(\w+)>", PAGES[form].spec.at)
            view = form_of(form, page, *names)
        patterns.append(path(page.spec.at, know_seats(view), name=name))
    return sorted(
        patterns,
        key=lambda each: [(part[:1] == "<", part) for part in str(each.pattern).split("/")],
    )


_import_pages()
_pages = [
    *_patterns(),
    path("settings/theme", switches.theme_set, name="theme"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
]

pages = [path("", include((_pages, "portal")))]
