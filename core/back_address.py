"""Addresses that a visitor brings along (`next`, the referring page): where a page sends back to.

A request is untrusted, and the link behind it may come from a third party. So an address counts
only as a path of this installation: `back_address` is the one place that judges it, and `with_next`
the one that hands it on.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlencode, urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme

FIELD: Final = "next"
#: In the address of a step of signing in: a form was sent without a session, and nothing was done.
UNSENT: Final = "unsent"
#: Django refuses to redirect to more than 2,048 characters; one that is handed on twice grows.
MAX_CHARS: Final = 1_000


def back_address(request: HttpRequest, given: str | None, fallback: str = "") -> str:
    """The path and query of `given` when it names a page here, else `fallback`.

    An absolute address of this host is cut down to its path, and a fragment is dropped, so that
    what comes out never leaves the host.
    """
    if not given or len(given) > MAX_CHARS or not given.isprintable():
        return fallback
    if not url_has_allowed_host_and_scheme(
        given, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return fallback
    parts = urlsplit(given)
    # Browsers read a backslash as a slash and `//name` as a host.
    if not parts.path.startswith("/") or parts.path.startswith("//") or "\\" in parts.path:
        return fallback
    try:
        resolve(unquote(parts.path))
    except Resolver404:
        return fallback
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def asked_address(request: HttpRequest, fallback: str = "") -> str:
    """The page that the form or the query names in `next`, judged by `back_address`."""
    given = request.POST.get(FIELD) or request.GET.get(FIELD)
    return back_address(request, given, fallback)


def referring_address(request: HttpRequest, fallback: str) -> str:
    """The page that the browser came from, judged by `back_address`."""
    return back_address(request, request.headers.get("Referer"), fallback)


def with_next(address: str, target: str) -> str:
    """`address` with `target` as its `next`; without it where it would be too long to come back."""
    if not target or len(target) > MAX_CHARS:
        return address
    return f"{address}?{urlencode({FIELD: target})}"


def sign_in_address(request: HttpRequest, step: str) -> str:
    """`step` of signing in, leading back to the page that was asked for.

    Where a form was sent, it leads to the form's page, and `UNSENT` makes the step say that nothing
    was done.
    """
    if request.method in ("GET", "HEAD"):
        return with_next(step, request.get_full_path())
    # An address that only takes forms leads on to the page of its form.
    return with_flag(with_next(step, referring_address(request, request.path)), UNSENT)


def with_flag(address: str, name: str) -> str:
    """`address` with `name` set in its query."""
    return f"{address}{'&' if '?' in address else '?'}{name}=1"
