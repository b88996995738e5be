"""The request of a person who has taken a seat: a page of the portal, or of the admin."""

from __future__ import annotations

from typing import Final, cast

from django.http import HttpRequest

from core.context import Actor
from core.db import Scope
from core.proxies import client_ip
from core.requests import ACTOR, RequestKey
from core.serving.callers import note_tenant
from tenants.models import User
from tenants.seats import Seat

SEAT: Final = RequestKey[Seat]("seat", set_by="portal_view or AdminScopeMiddleware")
_SCOPE: Final = RequestKey[Scope]("scope", set_by="portal_view or AdminScopeMiddleware")


class PortalRequest(HttpRequest):
    """What views are given; made by :func:`seated` alone, which sets everything declared here."""

    user: User
    actor: Actor
    scope: Scope
    seat: Seat


def seated(request: HttpRequest, *, user: User, seat: Seat, second_factor: bool) -> PortalRequest:
    """The request of `user`, who works from `seat` and has passed a second factor or not."""
    scope = seat.scope()
    note_tenant(scope.tenant or "platform")
    ACTOR.set(request, seat.actor(user=user, second_factor=second_factor, ip=client_ip(request)))
    SEAT.set(request, seat)
    _SCOPE.set(request, scope)
    return cast("PortalRequest", request)
