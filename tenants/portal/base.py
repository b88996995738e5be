"""The frame of every portal page: who is asking, for which tenant, in which mode.

For the author of a page::

    from tenants.portal.base import portal_view
    from tenants.requests import PortalRequest

    @portal_view(
        "payments.read",                               # permission from tenants/policies.py
        at="payments", name="payments", place=Place("", 30, "Payments", "credit-card"),
    )
    def payments_page(request: PortalRequest) -> HttpResponse:
        rows = payments_list(scope=request.scope, ...)  # selectors of your app
        return render(request, "acceptance/payments.html", {"rows": rows})

    @portal_view(                                      # second factor follows from the permission
        "payments.refund",
        at="payments/<str:payment_id>/refund", name="payment-refund", form_of="payment",
    )
    def refund_submit(request: PortalRequest, payment_id: str) -> HttpResponse:
        refund_create(actor=request.actor, ...)         # a service opens its own transaction
        return redirect(...)

What the request carries:

* ``request.actor``  the :class:`core.context.Actor` (kind ``user``) for services and policies;
* ``request.scope``  the :class:`core.db.Scope` of the seat, for ``tenant_atomic``;
* ``request.seat``   the :class:`tenants.seats.Seat`: level, role, tenant name, mode, currency;
* templates reach them through ``request``; ``{% if "team.write" in request.actor.scopes %}``
  decides what to show.

What the frame does:

* not logged in → ``/login?next=…`` (a request for JSON gets 401); where a form was sent, the login
  says that nothing was done, and leads back to the form's page;
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
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, Final, Generic, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse

from core import errors
from core.back_address import referring_address, sign_in_address
from core.db import tenant_atomic
from tenants import policies
from tenants.models import Level
from tenants.requests import PortalRequest, seated
from tenants.seats import has_second_factor, resolve_seat, second_factor_due

P = ParamSpec("P")
SAFE_METHODS = ("GET", "HEAD")
#: The field by which a form says for which seat it was made.
SEAT_FIELD = "seat"
#: Every page of the portal by the name of its address, once its module is imported.
PAGES: Final[dict[str, PortalPage[Any]]] = {}


View = Callable[Concatenate[PortalRequest, P], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sidebar offers a page: in which group, in what order, with which label and icon."""

    group: str
    order: int
    label: str
    icon: str


def portal_view(
    permission: str | None,
    *,
    at: str,
    name: str,
    form_of: str = "",
    place: Place | None = None,
    methods: Iterable[str] = (),
    levels: Iterable[str] = (Level.MERCHANT, Level.RESELLER),
    before: Callable[[HttpRequest], None] | None = None,
) -> Callable[[View[P]], PortalPage[P]]:
    """Declare a view function as a page of the portal; see the top of this file.

    Args:
        permission: what the visitor's role must hold; None admits every member of the tenant.
        at: the page's address below the portal's root, in the syntax of `django.urls.path`.
        name: the address's name, `portal:<name>`.
        form_of: the name of the page whose form this view answers, by POST. Another method goes
            to that page, whose address may take only parts that this one has.
        place: where the sidebar offers the page to those who may open it.
        methods: GET, or POST for the answer to a form, unless other ones are named.
        levels: the levels of the tree on which the page exists.
        before: called before the scope is opened, for what is read across tenants.

    Raises:
        KeyError: `tenants.policies` knows no such permission.
        ValueError: another page has this name.
    """
    if permission is not None and permission not in policies.PERMISSIONS:
        raise KeyError(f"{permission!r} is not in tenants.policies.PERMISSIONS.")
    if name in PAGES:
        raise ValueError(f"Two pages of the portal are named {name!r}.")
    allowed_methods = tuple(methods) or (("POST",) if form_of else ("GET",))
    if "GET" in allowed_methods:
        allowed_methods += ("HEAD",)

    spec = PageSpec(permission, at, form_of, place, allowed_methods, frozenset(levels), before)

    def decorate(view: View[P]) -> PortalPage[P]:
        page = PAGES[name] = PortalPage(view, spec)
        return page

    return decorate


@dataclass(frozen=True, slots=True)
class PageSpec:
    """What :func:`portal_view` declares of a page; its arguments have the same names."""

    permission: str | None
    at: str
    form_of: str
    place: Place | None
    methods: tuple[str, ...]
    levels: frozenset[str]
    before: Callable[[HttpRequest], None] | None


class PortalPage(Generic[P]):
    """A view in the frame that :func:`portal_view` puts around it."""

    def __init__(self, view: View[P], spec: PageSpec) -> None:
        update_wrapper(self, view)
        self.spec, self._view = spec, view

    def __call__(
        self, request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        """Answer the request, or send the visitor elsewhere."""
        spec = self.spec
        if request.method not in spec.methods:
            return HttpResponseNotAllowed(spec.methods)
        if spec.before is not None:
            spec.before(request)
        asked = _enter(request)
        if not isinstance(asked, HttpRequest):
            return asked
        if request.method not in SAFE_METHODS and not _made_for_this_seat(asked):
            return other_seat_page(asked)
        if asked.seat.level not in spec.levels:
            if asked.seat.level == Level.PLATFORM and request.path == "/":
                return redirect("admin:index")
            return not_found_page(asked)
        if spec.permission is not None and not policies.can(asked.actor, spec.permission):
            return no_permission_page(asked, spec.permission)
        return _run(self._view, asked, *args, **kwargs)


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


def _enter(request: HttpRequest) -> PortalRequest | HttpResponseBase:
    """The request with actor, scope and seat; or the response that sends the visitor elsewhere."""
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
    return seated(request, user=user, seat=seat, second_factor=verified)


def _made_for_this_seat(request: PortalRequest) -> bool:
    """Whether the form was drawn for the account and mode in which it would act now."""
    return request.POST.get(SEAT_FIELD) == request.seat.mark


def _send_to(request: HttpRequest, url: str) -> HttpResponse:
    """Redirect to `url`, which leads back later; a request for JSON gets 401."""
    if "application/json" in request.headers.get("Accept", ""):
        return HttpResponse(status=401)
    return redirect(sign_in_address(request, url))


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
    """The reason why a form was refused, where its own page does not show one."""
    context = {"problem": error.message, "status": error.status}
    return render(request, "tenants/refused.html", context, status=error.status)


def not_found_page(request: HttpRequest) -> HttpResponse:
    """404: also the answer for another tenant's object."""
    return render(request, "tenants/not_found.html", status=404)


def other_seat_page(request: HttpRequest) -> HttpResponse:
    """409: the form belongs to an account or mode that the session has left since."""
    back = referring_address(request, "/")
    return render(request, "tenants/other_seat.html", {"back": back}, status=409)
