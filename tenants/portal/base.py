"""The frame of every portal page: who is asking, for which tenant, in which mode.

For the author of a page::

    from tenants.portal.base import PortalRequest, portal_view

    @portal_view("payments.read")                      # permission from tenants/policies.py
    def payments_page(request: PortalRequest) -> HttpResponse:
        rows = payments_list(scope=request.scope, ...)  # selectors of your app
        return render(request, "acceptance/payments.html", {"rows": rows})

    @portal_view("payments.refund", methods=("POST",))  # second factor follows from the permission
    def refund_submit(request: PortalRequest) -> HttpResponse:
        refund_create(actor=request.actor, ...)         # a service opens its own transaction
        return redirect(...)

What the request carries:

* ``request.actor``  the :class:`core.context.Actor` (kind ``user``) for services and policies;
* ``request.scope``  the :class:`core.db.Scope` of the seat, for ``tenant_atomic``;
* ``request.seat``   the :class:`tenants.seats.Seat`: level, role, tenant name, mode, currency;
* templates reach them through ``request``; ``{% if "team.write" in request.actor.scopes %}``
  decides what to show.

What the frame does:

* not logged in → ``/login?next=…`` (who wants JSON gets 401);
* a second factor that the role needs is missing → ``/login/verify`` or ``/login/setup``;
* a form that was made for another account or mode → 409, nothing ran: two tabs share one session,
  so every form posts ``{% seat_field %}`` beside its CSRF token (pages show ``seat.mark`` too);
* no seat in any tenant → a page that says so; permission missing → 403 page, nothing ran;
* GET and HEAD run inside ``tenant_atomic(request.scope)``, rendering included (a lazy query in a
  template stays inside); POST does not, for services open their own and providers must be called
  outside; a POST that renders again uses :func:`render_in_scope`;
* ``core.errors.NotFound`` → 404 page, ``PermissionDenied`` → 403 page; other errors are the page's;
* ``levels`` names the levels of the tree on which the page exists, others get 404.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse

from core import errors
from core.back_address import with_next
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.proxies import client_ip
from core.serving.callers import note_tenant
from tenants import policies
from tenants.models import Level, User
from tenants.seats import Seat, has_second_factor, resolve_seat, second_factor_due

P = ParamSpec("P")
SAFE_METHODS = ("GET", "HEAD")
#: The field by which a form says for which seat it was made.
SEAT_FIELD = "seat"


class PortalRequest(HttpRequest):
    """A request that went through :func:`portal_view` (for annotations; never instantiated)."""

    user: User
    actor: Actor
    scope: Scope
    seat: Seat


View = Callable[Concatenate[PortalRequest, P], HttpResponseBase]


def portal_view(
    permission: str | None,
    *,
    methods: Iterable[str] = ("GET",),
    levels: Iterable[str] = (Level.MERCHANT, Level.RESELLER),
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Wrap a view function as a portal page; see the top of this file.

    ``permission=None`` admits every member of the tenant (own profile, home). Raises KeyError at
    import for a permission that the table does not know.
    """
    if permission is not None and permission not in policies.PERMISSIONS:
        raise KeyError(f"{permission!r} is not in tenants.policies.PERMISSIONS.")
    allowed_methods = tuple(methods) + (("HEAD",) if "GET" in methods else ())
    allowed_levels = frozenset(levels)

    def decorate(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def frame(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method not in allowed_methods:
                return HttpResponseNotAllowed(allowed_methods)
            refusal = _enter(request)
            if refusal is not None:
                return refusal
            asked = cast("PortalRequest", request)
            if request.method not in SAFE_METHODS and not _made_for_this_seat(asked):
                return other_seat_page(asked)
            if asked.seat.level not in allowed_levels:
                if asked.seat.level == Level.PLATFORM and request.path == "/":
                    return redirect("admin:index")
                return not_found_page(asked)
            if permission is not None and not policies.can(asked.actor, permission):
                return no_permission_page(asked, permission)
            return _run(view, asked, *args, **kwargs)

        # The permission table test reads what a page demands.
        frame.portal_permission = permission  # type: ignore[attr-defined]
        frame.portal_levels = allowed_levels  # type: ignore[attr-defined]
        return frame

    return decorate


def _run(
    view: View[P], request: PortalRequest, /, *args: P.args, **kwargs: P.kwargs
) -> HttpResponseBase:
    """Call the view, inside the scope when it only reads, and turn refusals into pages."""
    try:
        if request.method not in SAFE_METHODS:
            return view(request, *args, **kwargs)
        with tenant_atomic(request.scope):
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
            return response
    except errors.NotFound:
        return not_found_page(request)
    except errors.PermissionDenied as error:
        return no_permission_page(request, str((error.details or {}).get("permission", "")))
    except errors.AppError as error:
        return refused_page(request, error)


def _enter(request: HttpRequest) -> HttpResponseBase | None:
    """Fill in actor, scope and seat; or the response that sends the visitor elsewhere."""
    if not request.user.is_authenticated:
        return _send_to(request, reverse("login"))
    user = request.user
    seat = resolve_seat(user_id=user.id, session=request.session)
    if seat is None:
        return render(request, "tenants/no_seat.html", status=403)
    verified = request.user.is_verified()
    if not verified and second_factor_due(user=user, seat=seat):
        name = "login-verify" if has_second_factor(user) else "login-setup"
        return _send_to(request, reverse(name))
    asked = cast("PortalRequest", request)
    asked.seat = seat
    asked.scope = seat.scope()
    note_tenant(asked.scope.tenant or "platform")
    asked.actor = seat.actor(user=user, second_factor=verified, ip=client_ip(request))
    return None


def _made_for_this_seat(request: PortalRequest) -> bool:
    """Whether the form was drawn for the account and mode in which it would act now."""
    return request.POST.get(SEAT_FIELD) == request.seat.mark


def _send_to(request: HttpRequest, url: str) -> HttpResponse:
    """Redirect and come back later; who wants JSON is told by the status."""
    target = request.get_full_path() if request.method in SAFE_METHODS else "/"
    if "application/json" in request.headers.get("Accept", ""):
        return HttpResponse(status=401)
    return redirect(with_next(url, target))


def render_in_scope(
    request: PortalRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render inside the request's scope: for a POST that shows its form again."""
    with tenant_atomic(request.scope):
        return render(request, template, context or {}, status=status)


def no_permission_page(request: HttpRequest, permission: str = "") -> HttpResponse:
    """403: the page exists, the visitor's role may not open it."""
    return render(request, "tenants/no_permission.html", {"permission": permission}, status=403)


def refused_page(request: HttpRequest, error: errors.AppError) -> HttpResponse:
    """What a form's page does not say itself: why nothing was done."""
    context = {"problem": error.message, "status": error.status}
    return render(request, "tenants/refused.html", context, status=error.status)


def not_found_page(request: HttpRequest) -> HttpResponse:
    """404: also the answer for another tenant's object."""
    return render(request, "tenants/not_found.html", status=404)


def other_seat_page(request: HttpRequest) -> HttpResponse:
    """409: the form belongs to an account or mode that the session has left since."""
    return render(request, "tenants/other_seat.html", status=409)
