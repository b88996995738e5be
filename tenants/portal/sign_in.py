"""Pages for logging in: password, second factor, its enrolment, reset, invitations."""

from __future__ import annotations

import time
from typing import Any, Final

import segno
from django import forms
from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp import login as otp_login

from core import errors, ids
from core.back_address import UNSENT, asked_address, sign_in_address, with_flag, with_next
from core.crypto import CannotOpen
from core.db import Scope, tenant_atomic
from core.proxies import client_ip
from tenants import totp
from tenants.middleware import start_session_clock
from tenants.models import Level, TotpDevice, User
from tenants.places import browser_place, keep_device
from tenants.portal.base import not_found_page
from tenants.seats import has_second_factor, seats_of
from tenants.services import passwords, second_factor, sessions, sign_in_links, team

BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
PENDING_USER: Final = "login_user"
PENDING_SINCE: Final = "login_since"
PENDING_NEXT: Final = "login_next"
ENROLMENT: Final = "enrolment"
PENDING_S: Final = 300
#: In the address of the login: the second step was sent after its time.
LATE: Final = "late"


class LoginForm(forms.Form):
    """E-mail address and password."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(forms.Form):
    """A one-time code, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=16,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}
        ),
    )


class SetupForm(CodeForm):
    """The first code of a new authenticator app."""

    code = forms.CharField(
        label="Six-digit code",
        max_length=7,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class ResetForm(forms.Form):
    """Where to send the link."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class NewPasswordForm(forms.Form):
    """A password, typed once: it can be shown, and reset again."""

    password = forms.CharField(
        label="New password",
        max_length=1024,
        strip=False,
        help_text="At least 12 characters. A sentence of four words does well.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class JoinForm(NewPasswordForm):
    """Who accepts an invitation as a new person."""

    name = forms.CharField(
        label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ("name", "password")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login_page(request: HttpRequest) -> HttpResponse:
    """Ask for e-mail address and password; people with a second factor go on to /login/verify."""
    target = asked_address(request)
    if request.method != "POST":
        if request.user.is_authenticated:
            return redirect(target or _home_of(request.user))
        problem = (
            "The code came too late, so you are not signed in. Enter your password again."
            if LATE in request.GET
            else ""
        )
        unsent = UNSENT in request.GET
        return _page(request, "login", LoginForm(), next=target, unsent=unsent, problem=problem)
    form = LoginForm(request.POST)
    if not form.is_valid():
        return _page(request, "login", form, status=422, next=target)
    try:
        user = sessions.password_check(
            email=form.cleaned_data["email"],
            password=form.cleaned_data["password"],
            place=browser_place(request),
        )
    except errors.AppError as error:
        slowed = isinstance(error, errors.RateLimited)
        return _refused(request, "login", form, error, next=target, slowed=slowed)
    if has_second_factor(user):
        # Not logged in before the second factor: until then the session only holds whom to ask.
        request.session.cycle_key()
        request.session[PENDING_USER] = str(user.id)
        request.session[PENDING_SINCE] = int(time.time())
        request.session[PENDING_NEXT] = target
        return redirect("login-verify")
    _log_in(request, user, device=None)
    return _arrived(request, target or _home_of(user))


@require_http_methods(["GET", "HEAD", "POST"])
def verify_page(request: HttpRequest) -> HttpResponse:
    """Ask for the code of the authenticator app, or for a recovery code."""
    user = _pending_user(request)
    if user is None:
        address = with_next(reverse("login"), request.session.get(PENDING_NEXT, ""))
        return redirect(with_flag(address, LATE) if request.method == "POST" else address)
    if request.method != "POST":
        unsent = UNSENT in request.GET
        return _page(request, "verify", CodeForm(), email=user.email, unsent=unsent)
    form = CodeForm(request.POST)
    if not form.is_valid():
        return _page(request, "verify", form, status=422, email=user.email)
    try:
        device = sessions.second_factor_check(
            user=user, code=form.cleaned_data["code"], place=browser_place(request)
        )
    except errors.AppError as error:
        return _refused(request, "verify", form, error, email=user.email)
    target = request.session.get(PENDING_NEXT) or asked_address(request) or _home_of(user)
    _log_in(request, user, device=device)
    return _arrived(request, target)


@require_http_methods(["GET", "HEAD", "POST"])
def link_page(request: HttpRequest) -> HttpResponse:
    """Mail a link that lets a browser try again at once. The answer reveals no account."""
    if request.method != "POST":
        return _page(request, "link", ResetForm())
    form = ResetForm(request.POST)
    if not form.is_valid():
        return _page(request, "link", form, status=422)
    place = browser_place(request)
    try:
        sign_in_links.sign_in_link_request(email=form.cleaned_data["email"], place=place)
    except errors.AppError as error:
        return _refused(request, "link", form, error)
    return render(request, "tenants/link_sent.html", {"email": form.cleaned_data["email"]})


@require_http_methods(["GET", "HEAD", "POST"])
def link_use_page(request: HttpRequest, token: str) -> HttpResponse:
    """Use a mailed link: a GET asks first, because programs that scan mails open links too."""
    place = browser_place(request)
    try:
        if request.method != "POST":
            sign_in_links.sign_in_link_check(token=token)
            return render(request, "tenants/link_use.html")
        sign_in_links.sign_in_link_use(token=token, place=place)
    except errors.NotFound:
        return render(request, "tenants/link_invalid.html", {"kind": "sign_in"}, status=404)
    response = redirect("login")
    # The browser need not be the one that asked.
    keep_device(response, place)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def setup_page(request: HttpRequest) -> HttpResponse:
    """Enrol an authenticator app, and show the recovery codes once."""
    if not request.user.is_authenticated:
        return redirect(sign_in_address(request, reverse("login")))
    user = request.user
    enrolled = has_second_factor(user)
    if enrolled and not user.is_verified():
        # Otherwise a stolen password would be enough to replace the owner's app.
        return redirect("login-verify")
    secret = _enrolment_secret(request, user)
    form = SetupForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {
        "next": asked_address(request),
        "enrolled": enrolled,
        "qr": qr_svg(totp.otpauth_uri(secret=secret, email=user.email)),
        "secret": " ".join(_groups(totp.secret_text(secret))),
    }
    if request.method != "POST":
        return _page(request, "setup", form, **context)
    if not form.is_valid():
        return _page(request, "setup", form, status=422, **context)
    actor = sessions.user_actor(user, ip=client_ip(request))
    try:
        codes = second_factor.enrolment_confirm(
            user=user, secret=secret, code=form.cleaned_data["code"], actor=actor
        )
    except errors.AppError as error:
        return _refused(request, "setup", form, error, **context)
    del request.session[ENROLMENT]
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user_id=user.id)
    request.session.cycle_key()
    otp_login(request, device)
    return render(
        request,
        "tenants/recovery_codes.html",
        {"codes": codes, "next": context["next"] or _home_of(user)},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def logout_page(request: HttpRequest) -> HttpResponse:
    """End the session by POST; a GET asks first, because programs follow links."""
    if request.method == "POST":
        if request.user.is_authenticated:
            user = request.user
            actor = sessions.user_actor(user, ip=client_ip(request))
            sessions.logout_recorded(user=user, actor=actor)
        logout(request)
        return redirect("login")
    return render(request, "tenants/logout.html")


@require_http_methods(["GET", "HEAD", "POST"])
def reset_page(request: HttpRequest) -> HttpResponse:
    """Send a reset link. The answer is the same for an unknown address."""
    if request.method != "POST":
        return _page(request, "reset", ResetForm())
    form = ResetForm(request.POST)
    if not form.is_valid():
        return _page(request, "reset", form, status=422)
    try:
        passwords.password_reset_request(
            email=form.cleaned_data["email"], place=browser_place(request)
        )
    except errors.AppError as error:
        return _refused(request, "reset", form, error)
    return render(request, "tenants/reset_sent.html", {"email": form.cleaned_data["email"]})


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def reset_confirm_page(request: HttpRequest, user_id: str, token: str) -> HttpResponse:
    """Set a new password from a link that was mailed."""
    try:
        user = passwords.reset_token_user(user_id=ids.decode(User.PREFIX, user_id), token=token)
    except errors.NotFound:
        return render(request, "tenants/link_invalid.html", {"kind": "reset"}, status=404)
    form = NewPasswordForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return _page(request, "reset_confirm", form, email=user.email)
    if not form.is_valid():
        return _page(request, "reset_confirm", form, status=422, email=user.email)
    place = browser_place(request)
    try:
        passwords.password_set(
            user=user, token=token, password=form.cleaned_data["password"], place=place
        )
    except errors.NotFound:
        return render(request, "tenants/link_invalid.html", {"kind": "reset"}, status=404)
    except errors.AppError as error:
        return _refused(request, "reset_confirm", form, error, email=user.email)
    response = render(request, "tenants/reset_done.html")
    keep_device(response, place)
    return response


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_page(request: HttpRequest, token: str) -> HttpResponse:
    """Accept an invitation: as the logged-in person, or as a new one."""
    try:
        invitation = team.invitation_find(token=token)
    except errors.NotFound:
        return render(request, "tenants/link_invalid.html", {"kind": "invitation"}, status=404)
    me = request.user if request.user.is_authenticated else None
    context: dict[str, Any] = {
        "invitation": invitation,
        "tenant": invitation.merchant or invitation.reseller or invitation.platform,
        "known": me is not None or sessions.person_exists(email=invitation.email),
        "login_url": with_next(reverse("login"), request.path),
    }
    if request.method != "POST":
        return _page(request, "invitation", JoinForm(), **context)
    form = JoinForm(request.POST)
    if me is None and not form.is_valid():
        return _page(request, "invitation", form, status=422, **context)
    given = form.cleaned_data if me is None else {"name": "", "password": ""}
    try:
        user = team.invitation_accept(
            token=token,
            name=given["name"],
            password=given["password"],
            ip=client_ip(request),
            user=me,
        )
    except errors.NotFound:
        return not_found_page(request)
    except errors.AppError as error:
        return _refused(request, "invitation", form, error, **context)
    if me is not None:
        return redirect(_home_of(user))
    _log_in(request, user, device=None)
    return _arrived(request, _home_of(user))


def qr_svg(text: str) -> SafeString:
    """A QR code as inline SVG; without style attributes, which the page's policy refuses."""
    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(scale=4, border=2, dark="#14181f", light="#ffffff")
    return mark_safe(svg)  # noqa: S308 - made here from modules, holds no text of ours


def _groups(text: str) -> list[str]:
    return [text[index : index + 4] for index in range(0, len(text), 4)]


def _log_in(request: HttpRequest, user: User, *, device: TotpDevice | None) -> None:
    """Begin the session: a new key, both limits counting from now, an audit record."""
    for name in (PENDING_USER, PENDING_SINCE, PENDING_NEXT):
        request.session.pop(name, None)
    login(request, user, backend=BACKEND)
    if device is not None:
        otp_login(request, device)
    start_session_clock(request)
    sessions.login_recorded(user=user, place=browser_place(request), door="portal")


def _arrived(request: HttpRequest, target: str) -> HttpResponse:
    """On to the target; the browser is known from now on."""
    response = redirect(target)
    keep_device(response, browser_place(request))
    return response


def _pending_user(request: HttpRequest) -> User | None:
    """The person who passed the password within five minutes, or is logged in without a code."""
    if request.user.is_authenticated:
        return request.user
    since = request.session.get(PENDING_SINCE, 0)
    user_id = request.session.get(PENDING_USER)
    if not user_id or time.time() - since > PENDING_S:
        return None
    with tenant_atomic(Scope.auth()):
        return User.objects.filter(id=user_id, is_active=True).first()


def _enrolment_secret(request: HttpRequest, user: User) -> bytes:
    """The secret offered in this session, sealed there, so that reloading shows the same code."""
    sealed = request.session.get(ENROLMENT)
    if sealed:
        try:
            return totp.open_secret(sealed, user_id=user.id)
        except CannotOpen:
            pass
    secret = totp.new_secret()
    request.session[ENROLMENT] = totp.seal_secret(secret, user_id=user.id)
    return secret


def _home_of(user: User) -> str:
    """The first page: the admin for staff, the portal for everyone else."""
    seats = seats_of(user_id=user.id)
    if user.is_staff and seats and seats[0].level == Level.PLATFORM:
        return reverse("admin:index")
    return str(settings.LOGIN_REDIRECT_URL)


def _page(
    request: HttpRequest, name: str, form: forms.Form, *, status: int = 200, **context: Any
) -> HttpResponse:
    return render(request, f"tenants/{name}.html", {"form": form, **context}, status=status)


def _refused(
    request: HttpRequest, name: str, form: forms.Form, error: errors.AppError, **context: Any
) -> HttpResponse:
    """The form again, with what was wrong; never with the password in it."""
    status = 422 if error.status < 429 else error.status
    response = _page(request, name, form, status=status, problem=error.message, **context)
    if isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
