"""Where a person logs in from: the network of the address, and the browser by its own cookie.

The cookie is random and holds no personal data. It is set at the first finished login, or when
a sign-in link is used. Which accounts have logged in from it is in `models.KnownPlace`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from core.proxies import client_ip, client_network
from core.requests import RequestKey
from tenants import keys

#: The longest that browsers keep a cookie.
DEVICE_COOKIE_AGE_S: Final = 400 * 86_400
#: What a call without an address (a socket) is counted under.
UNKNOWN_NETWORK: Final = "unknown"
_NEW_DEVICE: Final = RequestKey[str]("new_device", set_by="browser_place")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Place:
    """An address, the network that limits count it by, and a browser's token (empty for an app)."""

    ip: str | None
    network: str
    device: str = ""


def place_of(request: HttpRequest) -> Place:
    """Where a call of the API comes from: programs keep no cookies."""
    return Place(ip=client_ip(request), network=client_network(request) or UNKNOWN_NETWORK)


def browser_place(request: HttpRequest) -> Place:
    """Where a page is asked for from; a browser without a token gets one (`keep_device`)."""
    token = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
    if not _TOKEN.fullmatch(token):
        token = _NEW_DEVICE.find(request) or keys.random_token()
        _NEW_DEVICE.set(request, token)
    place = place_of(request)
    return Place(ip=place.ip, network=place.network, device=token)


def keep_device(response: HttpResponseBase, place: Place) -> None:
    """Let the browser keep its token."""
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        place.device,
        max_age=DEVICE_COOKIE_AGE_S,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
