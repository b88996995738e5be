"""What this process serves: everything, or the addresses of its kind alone (setting PROCESS).

The admin needs the staff's rights in the database, the portal and the API never do. Where the
console is a process of its own, the web process has no way to become staff (`core.roles`): it
answers the admin's addresses with 404, and tells the platform's staff to use the console.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponseBase

ADMIN: Final = "/admin/"
#: Probes of the process's operator, and the files of its pages.
_EVERYWHERE: Final = ("/health/", "/metrics", "/static/")


class Process(StrEnum):
    """The kinds of process that answer requests."""

    #: Small installations and tests: one process, whose login role opens every scope.
    ALL = "all"
    WEB = "web"
    CONSOLE = "console"


def current_process() -> Process:
    """Which kind this is. Raises ImproperlyConfigured for a word that is none."""
    try:
        return Process(settings.PROCESS)
    except ValueError:
        known = ", ".join(kind.value for kind in Process)
        raise ImproperlyConfigured(
            f"PROCESS is {settings.PROCESS!r}; it takes one of {known}."
        ) from None


def serves(path: str, process: Process) -> bool:
    """Whether a process of this kind answers an address."""
    if process is Process.ALL or path.startswith(_EVERYWHERE):
        return True
    return path.startswith(ADMIN) == (process is Process.CONSOLE)


class ProcessMiddleware:
    """404 for what another kind of process answers; the entry routes no such request here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        current_process()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        """Refuse before the view runs, and after the middlewares that the error page needs."""
        if not serves(request.path, current_process()):
            raise Http404("Another process answers this address.")
