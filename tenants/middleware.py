"""What every page of the portal and the admin goes through."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from csp.decorators import csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse

from core import errors
from core.admin_forms import Refilled
from core.back_address import referring_address, sign_in_address
from core.db import Scope, tenant_atomic
from tenants import policies
from tenants.models import Level, User
from tenants.requests import seated
from tenants.seats import has_second_factor, seats_of

SESSION_SEEN: Final = "seen_at"
SESSION_STARTED: Final = "started_at"
# A write per request would cost more than a minute's precision is worth.
SEEN_STEP_S: Final = 60

#: unfold's Alpine evaluates expressions, and its theme writes inline styles.
ADMIN_CSP: Final[dict[str, list[str]]] = {
    "default-src": ["'none'"],
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class SessionLimitsMiddleware:
    """Ends a session after fifteen idle minutes, and after twelve hours in any case.

    The session itself holds the times: a cookie's age is untrusted client input.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.COOKIES.get(settings.SESSION_COOKIE_NAME):
            session = request.session
            if session_expired(session):
                logout(request)
            else:
                _note_use(session)
        return self.get_response(request)


def session_expired(session: SessionBase) -> bool:
    """Whether a signed-in ``session`` has passed one of its limits.

    Changes nothing; call it wherever a session is read without the middleware, as a websocket does
    while it is open. A session without a signed-in person has no limits.
    """
    if SESSION_KEY not in session:
        return False
    now = int(time.time())
    started = int(session.get(SESSION_STARTED, 0))
    seen = int(session.get(SESSION_SEEN, 0))
    return (
        now - started > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE_TIMEOUT_S
    )


def _note_use(session: SessionBase) -> None:
    """Move the idle limit on, at most once in :data:`SEEN_STEP_S`."""
    now = int(time.time())
    if SESSION_KEY in session and now - int(session.get(SESSION_SEEN, 0)) > SEEN_STEP_S:
        session[SESSION_SEEN] = now


def start_session_clock(request: HttpRequest) -> None:
    """Start both limits; the login page calls this."""
    now = int(time.time())
    request.session[SESSION_STARTED] = now
    request.session[SESSION_SEEN] = now


class AdminScopeMiddleware:
    """Opens the staff scope around each view of the admin, rendering included.

    A view that raises rolls everything back; an error of our own becomes a message on the page that
    the person came from. Services called by an action join the open transaction, so an action must
    not call a provider: it enqueues.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._in_admin = csp(ADMIN_CSP)(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        in_admin = request.path.startswith("/admin/")
        return self._in_admin(request) if in_admin else self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Run admin views here; leave all others to Django."""
        if not request.path.startswith("/admin/"):
            return None
        # Everything lazy that reads under the login role is read before the scope is open.
        user = request.user
        verified = user.is_authenticated and user.is_verified()
        if not user.is_authenticated:
            return redirect(sign_in_address(request, reverse("login")))
        refusal = self._seat(request, user, verified=verified)
        if refusal is not None:
            return refusal
        try:
            with tenant_atomic(Scope.staff()):
                response = view(request, *args, **kwargs)
                if isinstance(response, SimpleTemplateResponse):
                    response.render()
                return response
        except Refilled as again:
            return again.response
        except errors.AppError as error:
            messages.error(request, error.message)
            return redirect(referring_address(request, "/admin/"))

    def _seat(self, request: HttpRequest, user: User, *, verified: bool) -> HttpResponse | None:
        """Give staff their actor; the response for everyone else."""
        if not verified:
            step = reverse("login-verify" if has_second_factor(user) else "login-setup")
            return redirect(sign_in_address(request, step))
        platform = [s for s in seats_of(user_id=user.id) if s.level == Level.PLATFORM]
        if not user.is_staff or not user.is_active or not platform:
            return render(
                request,
                "tenants/no_permission.html",
                {"permission": policies.STAFF_PERMISSION},
                status=403,
            )
        seated(request, user=user, seat=platform[0], second_factor=True)
        return None
